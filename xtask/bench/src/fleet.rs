//! A fleet: the subscribers and the publisher of one server, driven by one thread.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::judge::Judge;
use crate::poller::{self, Input, Poller, Wait};
use crate::profile::{Door, Profile, Reader, Transport};
use crate::publisher::{FIRST_TOKEN, Publisher};
use crate::wire::{self, MARKER};

/// What a fleet is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How subscribers listen
    pub(crate) transport: Transport,
    /// How many there are
    pub(crate) subscribers: usize,
    /// Over how many topics they are spread, one after the other
    pub(crate) topics: usize,
    /// What their names begin with
    pub(crate) name: &'static str,
    /// Bytes of an event's data
    pub(crate) size: usize,
    /// Events in flight
    pub(crate) window: usize,
    /// Where subscribers resume, if they do
    pub(crate) resume: Option<String>,
    /// How to publish; the profile's cheapest way if nothing is said
    pub(crate) door: Option<String>,
}

impl Plan {
    /// Subscribers of one topic, live from now on.
    pub(crate) fn fan_out(
        transport: Transport,
        subscribers: usize,
        size: usize,
        window: usize,
    ) -> Plan {
        Plan {
            transport,
            subscribers,
            topics: 1,
            name: "t",
            size,
            window,
            resume: None,
            door: None,
        }
    }

    /// How often an event is delivered.
    pub(crate) fn copies(&self) -> usize {
        self.subscribers / self.topics
    }
}

/// Connected subscribers and their publisher.
pub(crate) struct Fleet {
    plan: Plan,
    poller: Poller,
    subscribers: Vec<Subscriber>,
    publisher: Option<Publisher>,
    topics: Vec<String>,
    /// Events published in each topic
    published: Vec<u64>,
    /// Where the next event goes
    next_topic: usize,
    received: u64,
    ready: Vec<usize>,
    buffer: Vec<u8>,
}

struct Subscriber {
    socket: OwnedFd,
    seen: u64,
    judge: Option<Box<Judge>>,
}

/// How long a server may take for what is under way before the run is given up.
const PATIENCE: Duration = Duration::from_secs(20);

impl Fleet {
    /// Connects the subscribers, a few hundred at a time, and then the publisher.
    ///
    /// With `judged` every byte is parsed and every event checked; without, events are only counted.
    pub(crate) fn connect(
        profile: &Profile,
        address: SocketAddr,
        plan: &Plan,
        judged: bool,
    ) -> Result<Fleet> {
        let mut plan = plan.clone();
        plan.transport = profile.transport(plan.transport);
        let plan = &plan;
        let reader = profile.reader(plan.transport).with_context(|| {
            format!("{} does not speak {}", profile.name, plan.transport.name())
        })?;
        let mut fleet = Fleet {
            plan: plan.clone(),
            poller: Poller::new()?,
            subscribers: Vec::with_capacity(plan.subscribers),
            publisher: None,
            topics: (0..plan.topics)
                .map(|t| format!("{}{t}", plan.name))
                .collect(),
            published: vec![0; plan.topics],
            next_topic: 0,
            received: 0,
            ready: Vec::new(),
            buffer: vec![0; 256 * 1024],
        };
        const AT_ONCE: usize = 256;
        while fleet.subscribers.len() < plan.subscribers {
            let from = fleet.subscribers.len();
            let to = plan.subscribers.min(from + AT_ONCE);
            let mut greetings = Vec::new();
            for index in from..to {
                let socket = poller::dial(address, index)?;
                let greeting = Greeting::begin(
                    reader,
                    plan,
                    &socket,
                    &address,
                    &fleet.topics[index % plan.topics],
                )?;
                fleet.poller.watch(&socket, index)?;
                greetings.push(greeting);
                fleet.subscribers.push(Subscriber {
                    socket,
                    seen: 0,
                    judge: None,
                });
            }
            fleet.greet(from, &mut greetings, judged)?;
        }
        if plan.window > 0 {
            let door = match &plan.door {
                Some(name) => profile
                    .publish
                    .get(name)
                    .with_context(|| format!("{} has no door {name}", profile.name))?,
                None => profile.cheapest_door(plan.topics)?,
            };
            fleet.open(door, address)?;
        }
        Ok(fleet)
    }

    fn open(&mut self, door: &Door, address: SocketAddr) -> Result<()> {
        let plan = &self.plan;
        let publisher = Publisher::open(
            door,
            &self.topics[0],
            address,
            plan.window,
            plan.size,
            &self.poller,
        )?;
        self.publisher = Some(publisher);
        Ok(())
    }

    /// Finishes the handshakes of the newest connections.
    fn greet(&mut self, from: usize, greetings: &mut [Greeting], judged: bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut left = greetings.len();
        while left > 0 {
            ensure!(
                Instant::now() < deadline,
                "{left} handshakes are not finished"
            );
            self.poller
                .wait(Wait::AtMost(Duration::from_millis(100)), &mut self.ready)?;
            for token in std::mem::take(&mut self.ready) {
                if token < from {
                    continue;
                }
                let subscriber = &mut self.subscribers[token];
                let greeting = &mut greetings[token - from];
                match poller::read(&subscriber.socket, &mut self.buffer) {
                    Input::Bytes(len) if greeting.done => {
                        self.received += subscriber.take(&self.buffer[..len])?;
                    }
                    Input::Bytes(len) => {
                        greeting.held.extend_from_slice(&self.buffer[..len]);
                        let Some(head) = greeting.finish(&subscriber.socket)? else {
                            continue;
                        };
                        left -= 1;
                        if judged {
                            subscriber.judge = Some(Box::new(Judge::new(
                                self.plan.transport,
                                head,
                                self.plan.size,
                            )));
                        }
                        let rest = std::mem::take(&mut greeting.held);
                        self.received += subscriber.take(&rest)?;
                    }
                    Input::Nothing => {}
                    Input::Closed => bail!("the server closed a handshake"),
                }
            }
        }
        Ok(())
    }

    /// Publishes `count` events at once and waits until every subscriber has every one.
    pub(crate) fn burst(&mut self, count: usize) -> Result<u64> {
        let before = self.received;
        let each = (self.plan.subscribers / self.plan.topics) as u64;
        self.publish(count)?;
        self.await_total(before + count as u64 * each)?;
        Ok(self.received - before)
    }

    /// Publishes `count` events, to one topic after the other.
    pub(crate) fn publish(&mut self, count: usize) -> Result<()> {
        let publisher = self
            .publisher
            .as_mut()
            .context("this fleet does not publish")?;
        let (topics, published, next) = (&self.topics, &mut self.published, &mut self.next_topic);
        publisher.publish((0..count).map(|_| {
            let topic = *next;
            *next = (topic + 1) % topics.len();
            published[topic] += 1;
            (topics[topic].as_str(), published[topic])
        }))
    }

    /// Takes what arrives until the total received reaches `due` and nothing is unanswered.
    pub(crate) fn await_total(&mut self, due: u64) -> Result<()> {
        let mut progress = (self.received, Instant::now());
        loop {
            if self.received >= due && self.publisher.as_ref().is_none_or(|p| !p.is_busy()) {
                ensure!(
                    self.received == due,
                    "{} events too many",
                    self.received - due
                );
                return Ok(());
            }
            self.turn(Wait::Spin)?;
            if self.received > progress.0 {
                progress = (self.received, Instant::now());
            } else if progress.1.elapsed() > PATIENCE {
                bail!("{} of {due} events did not come", due - self.received);
            }
        }
    }

    /// Reads once from every socket that has input.
    pub(crate) fn turn(&mut self, wait: Wait) -> Result<()> {
        self.turn_with(wait, |_, _| {})
    }

    /// Like [`Fleet::turn`]; tells for each read how many events its subscriber had seen before and has seen now.
    pub(crate) fn turn_with(&mut self, wait: Wait, mut seen: impl FnMut(u64, u64)) -> Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        self.poller.wait(wait, &mut ready)?;
        for &token in &ready {
            if token >= FIRST_TOKEN {
                let publisher = self
                    .publisher
                    .as_mut()
                    .expect("its token was registered with it");
                publisher.handle_ready(token, &mut self.buffer)?;
                continue;
            }
            let subscriber = &mut self.subscribers[token];
            match poller::read(&subscriber.socket, &mut self.buffer) {
                Input::Bytes(len) => {
                    let before = subscriber.seen;
                    self.received += subscriber.take(&self.buffer[..len])?;
                    seen(before, subscriber.seen);
                }
                Input::Nothing => {}
                Input::Closed => bail!("the server closed a subscriber's connection"),
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// Events received so far, over all subscribers.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Events published so far, over all topics.
    pub(crate) fn published(&self) -> u64 {
        self.published.iter().sum()
    }

    /// Makes the publisher wait for its answers, taking deliveries meanwhile.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.publisher.as_ref().is_some_and(Publisher::is_busy) {
            ensure!(Instant::now() < deadline, "a publish was never answered");
            self.turn(Wait::Spin)?;
        }
        Ok(())
    }

    /// What the judge of one subscriber has noted.
    pub(crate) fn judge(&self, subscriber: usize) -> Option<&Judge> {
        self.subscribers[subscriber].judge.as_deref()
    }

    /// Reads until nothing has come for `quiet`; which subscribers the server closed meanwhile.
    pub(crate) fn drain(&mut self, quiet: Duration) -> Result<Vec<usize>> {
        let mut closed = Vec::new();
        let mut ready = Vec::new();
        loop {
            self.poller.wait(Wait::AtMost(quiet), &mut ready)?;
            if ready.is_empty() {
                return Ok(closed);
            }
            for &token in ready.iter().filter(|t| **t < FIRST_TOKEN) {
                let subscriber = &mut self.subscribers[token];
                match poller::read(&subscriber.socket, &mut self.buffer) {
                    Input::Bytes(len) => self.received += subscriber.take(&self.buffer[..len])?,
                    Input::Nothing => {}
                    Input::Closed => {
                        self.poller.forget(&subscriber.socket)?;
                        closed.push(token);
                    }
                }
            }
        }
    }
}

impl Subscriber {
    /// Counts the events in `input`, or checks them if it has a judge.
    fn take(&mut self, input: &[u8]) -> Result<u64> {
        let count = match &mut self.judge {
            Some(judge) => judge.feed(input)?,
            None => memchr::memchr_iter(MARKER, input).count() as u64,
        };
        self.seen += count;
        Ok(count)
    }
}

/// A subscriber's handshake under way.
struct Greeting {
    held: Vec<u8>,
    hello: Option<(String, Option<String>)>,
    transport: Transport,
    head: Option<wire::Head>,
    done: bool,
}

impl Greeting {
    fn begin(
        reader: &Reader,
        plan: &Plan,
        socket: &OwnedFd,
        address: &SocketAddr,
        topic: &str,
    ) -> Result<Greeting> {
        let host = address.to_string();
        let path = reader.path.replace("{topic}", topic);
        let request = match plan.transport {
            Transport::Ws => wire::upgrade_request(&path, &host, reader.protocol.as_deref()),
            Transport::Sse => wire::stream_request(&path, &host, plan.resume.as_deref()),
            Transport::Line => String::new(),
        };
        let hello = reader.hello.as_ref().map(|h| h.replace("{topic}", topic));
        let mut greeting = Greeting {
            held: Vec::new(),
            hello: hello.map(|h| (h, reader.expect.clone())),
            transport: plan.transport,
            head: None,
            done: false,
        };
        match plan.transport {
            Transport::Line => {
                greeting.head = Some(wire::Head {
                    status: 200,
                    len: 0,
                    body: wire::Body::Close,
                });
                greeting.say_hello(socket)?;
            }
            _ => poller::write_all(socket, request.as_bytes())?,
        }
        Ok(greeting)
    }

    fn say_hello(&self, socket: &OwnedFd) -> Result<()> {
        let Some((hello, _)) = &self.hello else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        match self.transport {
            Transport::Ws => wire::push_frame(&mut bytes, hello.as_bytes()),
            _ => bytes.extend_from_slice(hello.as_bytes()),
        }
        poller::write_all(socket, &bytes)
    }

    /// How the body ends, once the handshake is through; what follows it stays in `held`.
    fn finish(&mut self, socket: &OwnedFd) -> Result<Option<wire::Body>> {
        if self.head.is_none() {
            let Some(head) = wire::response_head(&self.held)? else {
                return Ok(None);
            };
            let wanted = if self.transport == Transport::Ws {
                101
            } else {
                200
            };
            ensure!(
                head.status == wanted,
                "a subscription was answered with {}: {}",
                head.status,
                String::from_utf8_lossy(&self.held)
            );
            self.held.drain(..head.len);
            self.head = Some(head);
            self.say_hello(socket)?;
        }
        if let Some((_, Some(expect))) = &self.hello
            && memchr::memmem::find(&self.held, expect.as_bytes()).is_none()
        {
            return Ok(None);
        }
        self.done = true;
        Ok(self.head.as_ref().map(|h| h.body))
    }
}

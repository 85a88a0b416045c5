//! One small world: a hub, publishers, readers that stall and are cut, time, restarts; all from a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::oracle::{Account, Published};
use super::people::People;
use super::shared::{Shared, known_to};
use crate::config::{HubConfig, LagAction, LagPolicy, MaxLag, Retention, RetentionRule};
use crate::delivery::{Budget, CloseReason, Delivery, EndReason, GapReason};
use crate::event::NewEvent;
use crate::grant::Grant;
use crate::hub::Hub;
use crate::label::{IdempotencyKey, Key};
use crate::pattern::Pattern;
use crate::position::Position;
use crate::publish::{PublishError, Receipt};
use crate::random::{Digest, Random};
use crate::subscribe::{Start, SubscribeError, SubscribeOptions};
use crate::subscription::Subscription;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// How large a world is
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) steps: u64,
    pub(crate) readers: u64,
    pub(crate) topics: u64,
    pub(crate) batch: u64,
}

/// What a run did, to tell one from another and to see that it did something
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) digest: u64,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) gaps: u64,
}

pub(super) struct World {
    pub(super) random: Random,
    scale: Scale,
    pub(super) config: HubConfig,
    /// One with its log in memory, or several over one store
    pub(super) hubs: Vec<Hub>,
    pub(super) shared: Option<Shared>,
    pub(super) now: Timestamp,
    pub(super) published: Published,
    /// Who is present, by hub
    pub(super) people: Vec<People>,
    pub(super) readers: Vec<Reader>,
    saved: Option<(Vec<u8>, u64)>,
    pub(super) retry: Option<(NewEvent, Receipt, Timestamp)>,
    lives: u64,
    serial: u64,
    trace: Digest,
    totals: Trace,
    /// Whether every step is printed
    loud: bool,
}

/// A client: it keeps its position while it is away
pub(super) struct Reader {
    patterns: Vec<Pattern>,
    lag: LagPolicy,
    pub(super) stream: Option<Stream>,
    pub(super) position: Option<Position>,
    /// Up to where the log it was given its position by is the same as the present one
    pub(super) common: u64,
}

pub(super) struct Stream {
    subscription: Subscription,
    /// Whose it is
    pub(super) hub: usize,
    pub(super) account: Account,
    waker: Arc<Flag>,
    /// Whether it waits for its waker
    parked: bool,
    expires: Option<Timestamp>,
    /// Up to where what it has been told by now belongs to the present log
    pub(super) common: u64,
    /// How many of its hub's joins and leaves it knows of, if it is to hear of them
    heard: Option<usize>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

const NAMES: [&str; 8] = ["a", "b", "a/x", "a/y", "b/x", "c/d/e", "c/d/f", "a/y/z"];
const PATTERNS: [&str; 16] = [
    "**", "a", "b", "a/x", "a/y", "b/x", "c/d/e", "*", "a/*", "*/x", "c/**", "a/**", "*/*",
    "*/d/*", "a/y/z", "never",
];

/// Runs the world of a seed; an error says what promise was broken.
pub(crate) fn run(seed: u64, scale: Scale, loud: bool) -> Result<Trace, String> {
    let mut world = World::new(seed, scale);
    world.loud = loud;
    world.begin()?;
    for step in 0..scale.steps {
        world
            .step()
            .map_err(|error| format!("step {step}: {error}"))?;
    }
    world
        .finish()
        .map_err(|error| format!("at the end: {error}"))?;
    world.totals.digest = world.trace.finish();
    Ok(world.totals)
}

impl World {
    fn new(seed: u64, scale: Scale) -> World {
        let mut random = Random::new(seed);
        let config = config(&mut random, scale);
        let now = Timestamp(1_000_000);
        let has_store = match scale.steps {
            ..=1000 => random.next().is_multiple_of(2),
            // Two hubs and a store cost several times as much.
            _ => random.next().is_multiple_of(25),
        };
        let kept = 20 + random.next() % (scale.steps * 2);
        let shared = has_store.then(|| Shared::new(random.next(), kept as usize));
        let hub = Hub::new(config.clone(), random.next(), now);
        let mut published = Published::default();
        published.clear(hub.head());
        let readers = (0..scale.readers)
            .map(|_| reader(&mut random, scale))
            .collect();
        World {
            random,
            scale,
            config,
            hubs: vec![hub],
            shared,
            people: vec![People::default()],
            now,
            published,
            readers,
            saved: None,
            retry: None,
            lives: 1,
            serial: 0,
            trace: Digest::new(),
            totals: Trace::default(),
            loud: false,
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let large = self.scale.steps > 1000;
        match self.random.next() % 72 {
            0..24 => self.publish()?,
            24..48 => self.visit()?,
            48..52 => {
                let reader = self.any_reader();
                self.readers[reader].cut();
            }
            52..54 => self.change_patterns()?,
            54..56 => self.change_grant()?,
            56..60 => {
                let later = self.random.next() % 40;
                self.let_pass(later);
            }
            60 if self.shared.is_none() => self.end_or_delete()?,
            61 => self.retry()?,
            // In a large world a restart costs as much as a thousand steps.
            62 if !large || self.random.next().is_multiple_of(500) => match self.shared {
                Some(_) => self.disturb_store()?,
                None => self.restart()?,
            },
            63..66 => self.meet()?,
            66..72 if self.shared.is_some() => self.work_store()?,
            _ => self.history()?,
        }
        for hub in &self.hubs {
            let stats = hub.stats();
            if stats.log_bytes + stats.form_bytes > self.config.max_bytes {
                return Err(format!(
                    "the log has {stats:?}, more than {}",
                    self.config.max_bytes
                ));
            }
        }
        Ok(())
    }

    /// Time passes, and every hub is told so.
    pub(super) fn let_pass(&mut self, millis: u64) {
        self.now = Timestamp(self.now.0 + millis);
        for (hub, people) in self.hubs.iter().zip(&mut self.people) {
            hub.handle_tick(self.now);
            people.expire(self.now);
        }
    }

    /// Somebody comes to a topic, or leaves it.
    fn meet(&mut self) -> Result<(), String> {
        let index = self.any_hub();
        let topic = self.new_event().topic;
        let (hub, people) = (&self.hubs[index], &mut self.people[index]);
        people.step(hub, topic, &mut self.random, self.now)
    }

    /// Everybody comes, and reads to the head.
    fn finish(&mut self) -> Result<(), String> {
        self.calm_store()?;
        for reader in 0..self.readers.len() {
            self.check_parked(reader)?;
            if self.readers[reader].stream.is_none() {
                self.connect(reader)?;
            }
            self.read(reader, usize::MAX)?;
            if self.readers[reader].is_reading_back() {
                // It was told to ask again later.
                self.let_pass(2 * self.config.read_back_retry.as_millis() as u64);
                self.read(reader, usize::MAX)?;
            }
            if self.readers[reader].is_reading_back() {
                return Err(format!("{reader} still waits for a store that is well"));
            }
            self.readers[reader].cut();
        }
        let subscriptions = self.hubs.iter().map(|hub| hub.stats().subscriptions);
        match subscriptions.sum::<usize>() {
            0 => Ok(()),
            left => Err(format!("{left} subscriptions are left behind")),
        }
    }

    fn publish(&mut self) -> Result<(), String> {
        let count = 1 + self.random.next() % self.scale.batch;
        let batch: Vec<NewEvent> = (0..count).map(|_| self.new_event()).collect();
        if self.shared.is_some() {
            return self.publish_to_store(batch);
        }
        let receipts = self.hubs[0].publish(batch.clone(), None, self.now);
        let receipts = receipts
            .try_ready()
            .map_err(|_| "the memory log is always ready")?;
        for (event, receipt) in batch.into_iter().zip(receipts) {
            match receipt {
                Ok(receipt) => self.note(event, receipt)?,
                Err(PublishError::Ended) => self.log(format_args!("{} had ended", event.topic)),
                Err(error) => return Err(format!("publish: {error}")),
            }
        }
        Ok(())
    }

    fn note(&mut self, event: NewEvent, receipt: Receipt) -> Result<(), String> {
        let data = String::from_utf8_lossy(event.data.as_ref().as_bytes()).into_owned();
        self.add(receipt.position, &event.topic, &data)?;
        let (position, now) = (receipt.position, self.now);
        self.log(format_args!(
            "{now} published {position} to {}",
            event.topic
        ));
        if event.end {
            // Its end has an offset of its own.
            let head = self.hubs[0].head().offset;
            self.published.head = head.min(receipt.position.offset + 1);
        }
        if event.idempotency.is_some() {
            self.retry = Some((event, receipt, self.now));
        }
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        position: Position,
        topic: &Topic,
        data: &str,
    ) -> Result<(), String> {
        self.totals.published += 1;
        self.published.add(position, topic, data)
    }

    pub(super) fn new_event(&mut self) -> NewEvent {
        self.serial += 1;
        let topic = match self.scale.topics <= NAMES.len() as u64 {
            true => Topic::parse(NAMES[(self.random.next() % self.scale.topics) as usize])
                .expect("a name"),
            false => far_topic(&mut self.random, self.scale),
        };
        let size = (self.random.next() % 40) as usize;
        let data = format!("{}:{}", self.serial, "x".repeat(size));
        let mut event = NewEvent::new(topic, data);
        if self.random.next().is_multiple_of(3) {
            event.key = Key::parse(["k", "l", "m"][(self.random.next() % 3) as usize]).ok();
        }
        if self.random.next().is_multiple_of(8) {
            event.idempotency = IdempotencyKey::parse(&self.serial.to_string()).ok();
        }
        event.end = self.random.next().is_multiple_of(200);
        event
    }

    /// A publisher that did not hear the answer asks again.
    fn retry(&mut self) -> Result<(), String> {
        if self.shared.is_some() {
            return self.retry_at_store();
        }
        let Some((event, first, when)) = self.retry.take() else {
            return Ok(());
        };
        if self.now.since(when) >= self.config.idempotency_ttl {
            return Ok(());
        }
        let receipts = self.hubs[0]
            .publish(vec![event], None, self.now)
            .try_ready();
        let again = receipts
            .map_err(|_| "the memory log is always ready")?
            .remove(0);
        match again {
            Ok(again) if again.duplicate && again.position == first.position => Ok(()),
            other => Err(format!("a retry of {first:?} was answered {other:?}")),
        }
    }

    fn end_or_delete(&mut self) -> Result<(), String> {
        let topic = self.new_event().topic;
        if self.random.next().is_multiple_of(2) {
            // A second end is refused, and that is all.
            let _ = self.hubs[0].end_topic(&topic, self.now);
        } else {
            self.hubs[0].delete_topic(&topic, self.now);
        }
        self.published.head = self.hubs[0].head().offset;
        Ok(())
    }

    /// A reader comes, or is polled if it was woken.
    fn visit(&mut self) -> Result<(), String> {
        let reader = self.any_reader();
        if self.readers[reader].stream.is_none() {
            self.connect(reader)?;
        }
        let polls = 1 + (self.random.next() % 4) as usize;
        self.read(reader, polls)
    }

    fn connect(&mut self, index: usize) -> Result<(), String> {
        let known = |position: &Position| {
            position.offset <= self.readers[index].common || !self.is_beyond_telling(*position)
        };
        self.readers[index].position = self.readers[index].position.filter(known);
        let reader = &self.readers[index];
        let start = match reader.position {
            Some(position) => Start::After(position),
            None => match self.random.next() % 5 {
                0 => Start::Earliest,
                1 => Start::Last(self.random.next() % 5),
                2 => Start::Since(Timestamp(self.now.0 - self.random.next() % 50)),
                _ => Start::Now,
            },
        };
        let expires = self
            .random
            .next()
            .is_multiple_of(4)
            .then(|| Timestamp(self.now.0 + 1 + self.random.next() % 60));
        let grant = expires.map(|_| Grant {
            expires,
            ..Grant::all()
        });
        let hub = self.any_hub();
        let presence = self.random.next().is_multiple_of(4);
        let heard = presence.then(|| self.people[hub].heard_all());
        let reader = &mut self.readers[index];
        let options = SubscribeOptions {
            patterns: reader.patterns.clone(),
            start,
            lag: reader.lag,
            grant: grant.map(Arc::new),
            presence,
        };
        let subscription = self.hubs[hub]
            .subscribe(options, self.now)
            .map_err(|e| e.to_string())?;
        let at = subscription.position();
        let line = format!("connect {index} {:?} {start:?} at {at}", reader.patterns);
        let foreign = match reader.position {
            Some(position) if position.epoch != self.published.epoch => Some(GapReason::Epoch),
            Some(position) if position.offset > reader.common => Some(GapReason::Rewound),
            _ => None,
        };
        if let Some(position) = reader.position.filter(|position| *position != at) {
            return Err(format!("{position} was resumed at {at}"));
        }
        let mut account = Account::default();
        let after = if foreign.is_some() { 0 } else { at.offset };
        for pattern in &reader.patterns {
            account.read(pattern, after, foreign, &mut self.published);
        }
        if reader.position.is_none() {
            reader.keep(at);
        }
        reader.stream = Some(Stream {
            subscription,
            hub,
            account,
            waker: Arc::new(Flag(AtomicBool::new(false))),
            parked: false,
            expires,
            common: reader.common,
            heard,
        });
        self.log(format_args!("{line}"));
        Ok(())
    }

    /// Polls a reader as its task would: while it has something, and then only once it was woken.
    fn read(&mut self, index: usize, polls: usize) -> Result<(), String> {
        let budget = Budget {
            events: [1, 4, 256][(self.random.next() % 3) as usize],
            bytes: [30, 10_000][(self.random.next() % 2) as usize],
        };
        for _ in 0..polls {
            let Some(stream) = &mut self.readers[index].stream else {
                return Ok(());
            };
            if stream.parked && !stream.waker.0.swap(false, Ordering::SeqCst) {
                return self.check_parked(index);
            }
            stream.parked = false;
            let waker = Waker::from(stream.waker.clone());
            let told = stream
                .subscription
                .poll(&mut Context::from_waker(&waker), self.now, budget);
            stream.parked = told.is_pending() || stream.subscription.is_caught_up();
            match told {
                Poll::Pending if stream.subscription.is_reading_back() => {}
                Poll::Pending => {
                    let known = known_to(&self.shared, stream.hub);
                    stream.account.skipped_before(known, &self.published)?;
                    if let Some(heard) = &mut stream.heard {
                        self.people[stream.hub].heard_everything(heard, &stream.account)?;
                    }
                    return Ok(());
                }
                Poll::Ready(delivery) => self.tell(index, delivery)?,
            }
        }
        Ok(())
    }

    fn tell(&mut self, index: usize, delivery: Delivery) -> Result<(), String> {
        let now = self.now;
        self.log(format_args!("{now} told {index} {delivery:?}"));
        let reader = &mut self.readers[index];
        let stream = reader.stream.as_mut().expect("it was polled");
        let before = reader.position;
        match delivery {
            Delivery::Batch(batch) => {
                if stream.expires.is_some_and(|at| at <= self.now) {
                    return Err(format!("{batch:?} was given after the grant ran out"));
                }
                for event in batch.events() {
                    stream.account.event(event, &self.published)?;
                }
                self.totals.delivered += batch.events().len() as u64;
                let position = stream.subscription.position();
                if position != batch.to() {
                    return Err(format!("the cursor stands at {position} after {batch:?}"));
                }
                stream.common = u64::MAX;
                reader.keep(position);
                return Ok(());
            }
            Delivery::Gap(gap) => {
                self.totals.gaps += 1;
                stream.account.gap(&gap, &self.published)?;
                let most = match gap.reason {
                    GapReason::Epoch => 0,
                    GapReason::Rewound => std::mem::replace(&mut stream.common, u64::MAX),
                    _ => u64::MAX,
                };
                if gap.to.offset > most {
                    return Err(format!("{gap:?}, and {most} was common"));
                }
            }
            Delivery::End(end) if end.reason != EndReason::Revoked => {
                stream
                    .account
                    .skipped_before(end.at.offset, &self.published)?;
                stream.account.leave(&end.pattern);
            }
            Delivery::Presence(change) => {
                let heard = stream.heard.as_mut().ok_or("it did not ask who is there")?;
                self.people[stream.hub].told(heard, &change, &stream.account)?;
            }
            Delivery::PresenceMissed => {
                let heard = stream.heard.as_mut().ok_or("it did not ask who is there")?;
                let kept = self.config.max_presence_changes;
                self.people[stream.hub].missed(heard, kept)?;
            }
            Delivery::Closed(CloseReason::Expired)
                if stream.expires.is_none_or(|at| at > self.now) =>
            {
                return Err("closed as expired before its time".to_owned());
            }
            Delivery::Closed(_) => {
                reader.stream = None;
                return Ok(());
            }
            _ => {}
        }
        match before {
            Some(before) if before != stream.subscription.position() => {
                Err("something else than an event moved the cursor".into())
            }
            _ => Ok(()),
        }
    }

    /// A reader that waits and was not woken has nothing to be told.
    fn check_parked(&mut self, index: usize) -> Result<(), String> {
        let Some(stream) = &mut self.readers[index].stream else {
            return Ok(());
        };
        let expired = stream.expires.is_some_and(|at| at <= self.now);
        let waits_for_store = stream.subscription.is_reading_back();
        if !stream.parked || stream.waker.0.load(Ordering::SeqCst) || expired || waits_for_store {
            return Ok(());
        }
        let known = known_to(&self.shared, stream.hub);
        let mut told = stream.account.skipped_before(known, &self.published);
        if let Some(mut heard) = stream.heard {
            told = told.and(self.people[stream.hub].heard_everything(&mut heard, &stream.account));
        }
        let cursor = {
            let core = self.hubs[stream.hub].lock();
            format!(
                "{:?} in a log up to {}",
                core.cursors[stream.subscription.id().0 as usize],
                core.log.head
            )
        };
        told.map_err(|e| format!("nobody woke {index} at hub {}: {e}; {cursor}", stream.hub))
    }

    fn change_patterns(&mut self) -> Result<(), String> {
        let index = self.any_reader();
        let pattern = match self.scale.topics <= NAMES.len() as u64 {
            true => any_pattern(&mut self.random),
            false => Pattern::exact(far_topic(&mut self.random, self.scale)),
        };
        let reader = &mut self.readers[index];
        let Some(stream) = &mut reader.stream else {
            return Ok(());
        };
        if reader.patterns.contains(&pattern) {
            if reader.patterns.len() > 1 {
                reader.patterns.retain(|own| *own != pattern);
                stream.subscription.remove(&pattern);
                stream.account.leave(&pattern);
            }
            return Ok(());
        }
        if stream.expires.is_some_and(|at| at <= self.now)
            || stream.subscription.patterns().is_empty()
        {
            return Ok(());
        }
        let at = match stream.subscription.add(pattern.clone(), None, self.now) {
            Ok(at) => at,
            Err(SubscribeError::Forbidden { .. }) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        stream.parked = false;
        stream
            .account
            .read(&pattern, at.offset, None, &mut self.published);
        reader.patterns.push(pattern.clone());
        self.log(format_args!("{index} adds {pattern} at {at}"));
        Ok(())
    }

    /// A grant is renewed, and may have shrunk.
    fn change_grant(&mut self) -> Result<(), String> {
        let index = self.any_reader();
        let keeps = self.random.next();
        let until = self.now.0 + 1 + self.random.next() % 60;
        let reader = &mut self.readers[index];
        let Some(stream) = &mut reader.stream else {
            return Ok(());
        };
        let kept =
            |(index, _): &(usize, &Pattern)| *index == 0 || !(keeps >> index).is_multiple_of(4);
        let (kept, gone): (Vec<_>, Vec<_>) = reader.patterns.iter().enumerate().partition(kept);
        let grant = Grant {
            subscribe: kept.iter().map(|(_, pattern)| (*pattern).clone()).collect(),
            expires: Some(Timestamp(until)),
            ..Grant::default()
        };
        let covers = grant.subscribe.clone();
        if stream
            .subscription
            .regrant(Arc::new(grant), self.now)
            .is_err()
        {
            return Ok(());
        }
        stream.expires = Some(Timestamp(until));
        stream.parked = false;
        for (_, pattern) in gone {
            if !covers.covers(pattern) {
                stream.account.leave(pattern);
            }
        }
        reader.patterns = reader
            .patterns
            .iter()
            .filter(|pattern| covers.covers(pattern))
            .cloned()
            .collect();
        Ok(())
    }

    /// The process ends and another begins: with the log, with an older one, or with none.
    fn restart(&mut self) -> Result<(), String> {
        self.readers.iter_mut().for_each(Reader::cut);
        self.lives += 1;
        let mut file = Vec::new();
        self.people = vec![People::default()];
        self.hubs[0]
            .snapshot()
            .write_to(&mut file)
            .map_err(|e| e.to_string())?;
        let head = self.hubs[0].head().offset;
        self.log(format_args!("restart at {head}"));
        match (self.random.next() % 4, self.saved.take()) {
            (0, _) => {
                self.hubs = vec![Hub::new(self.config.clone(), self.random.next(), self.now)];
                self.published.clear(self.hubs[0].head());
                self.retry = None;
                return Ok(());
            }
            (1, Some((older, head))) if older.get(17..25) == file.get(17..25) => {
                self.restore(&older)?;
                self.published.rewind(head);
                self.retry = None;
                for reader in &mut self.readers {
                    reader.common = reader.common.min(head);
                }
                self.saved = Some((older, head));
            }
            _ => {
                self.restore(&file)?;
                // Who reads on from an older copy later was in this life too.
                self.saved = Some((file, head));
            }
        }
        Ok(())
    }

    fn restore(&mut self, file: &[u8]) -> Result<(), String> {
        let hub = Hub::restore(
            &mut &*file,
            self.config.clone(),
            self.random.next(),
            self.now,
        );
        self.hubs = vec![hub.map_err(|e| e.to_string())?];
        Ok(())
    }

    /// A client that polls: one page, from where it was.
    fn history(&mut self) -> Result<(), String> {
        let (index, hub) = (self.any_reader(), self.any_hub());
        let reader = &mut self.readers[index];
        let (None, Some(position)) = (&reader.stream, reader.position) else {
            return Ok(());
        };
        if position.epoch != self.published.epoch || position.offset > reader.common {
            return Ok(());
        }
        let options = SubscribeOptions {
            patterns: reader.patterns.clone(),
            start: Start::After(position),
            ..SubscribeOptions::default()
        };
        let page = self.hubs[hub]
            .history(
                options,
                Budget {
                    events: 5,
                    bytes: 500,
                },
                self.now,
            )
            .map_err(|e| e.to_string())?;
        let mut account = Account::default();
        for pattern in &reader.patterns {
            account.read(pattern, position.offset, None, &mut self.published);
        }
        let mut gaps = page.gaps.iter().peekable();
        for event in &page.events {
            while let Some(gap) = gaps.next_if(|gap| gap.to.offset < event.offset()) {
                account.gap(gap, &self.published)?;
            }
            account.event(event, &self.published)?;
        }
        gaps.try_for_each(|gap| account.gap(gap, &self.published))?;
        if page.up_to_date {
            account.skipped_before(known_to(&self.shared, hub), &self.published)?;
        }
        self.totals.delivered += page.events.len() as u64;
        reader.keep(page.next);
        Ok(())
    }

    /// Takes a line into the trace.
    pub(super) fn log(&mut self, line: std::fmt::Arguments<'_>) {
        let line = line.to_string();
        if self.loud {
            println!("{line}");
        }
        self.trace.update(line.as_bytes());
    }

    pub(super) fn any_hub(&mut self) -> usize {
        (self.random.next() % self.hubs.len() as u64) as usize
    }

    fn any_reader(&mut self) -> usize {
        (self.random.next() % self.readers.len() as u64) as usize
    }
}

impl Reader {
    pub(super) fn cut(&mut self) {
        self.stream = None;
    }

    fn is_reading_back(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.subscription.is_reading_back())
    }

    /// Keeps a position, given by the log of now.
    fn keep(&mut self, position: Position) {
        self.position = Some(position);
        self.common = u64::MAX;
    }
}

fn reader(random: &mut Random, scale: Scale) -> Reader {
    let count = [1, 1, 2, 3][(random.next() % 4) as usize];
    let wide = scale.topics <= NAMES.len() as u64 || random.next().is_multiple_of(256);
    let mut pattern = || match wide {
        true => any_pattern(random),
        false => Pattern::exact(far_topic(random, scale)),
    };
    let mut patterns: Vec<Pattern> = (0..count).map(|_| pattern()).collect();
    patterns.sort();
    patterns.dedup();
    let action = match random.next() % 10 {
        0 => LagAction::Newest,
        1 => LagAction::Conflate,
        2 => LagAction::Disconnect,
        _ => LagAction::Replay,
    };
    let max_lag = MaxLag {
        events: Some(random.next() % 12),
        bytes: random.next().is_multiple_of(3).then_some(200),
        age: random
            .next()
            .is_multiple_of(3)
            .then_some(Duration::from_millis(30)),
    };
    Reader {
        patterns,
        lag: LagPolicy { action, max_lag },
        stream: None,
        position: None,
        common: u64::MAX,
    }
}

fn far_topic(random: &mut Random, scale: Scale) -> Topic {
    let first = ["a", "b", "c"][(random.next() % 3) as usize];
    Topic::parse(&format!("{first}/{}", random.next() % scale.topics)).expect("it is one")
}

fn any_pattern(random: &mut Random) -> Pattern {
    // Some are read by many, so that readers meet at the same place.
    let among = [2, PATTERNS.len() as u64][(random.next() % 2) as usize];
    let text = PATTERNS[(random.next() % among) as usize];
    Pattern::parse(text).expect("it is one")
}

fn config(random: &mut Random, scale: Scale) -> HubConfig {
    let mut config = HubConfig::default();
    for pattern in ["**", "a/*", "b", "*/x"] {
        if random.next().is_multiple_of(2) {
            config.retention.push(RetentionRule {
                pattern: Pattern::parse(pattern).expect("it is one"),
                retention: Retention {
                    max_events: random
                        .next()
                        .is_multiple_of(2)
                        .then_some(1 + random.next() % 20),
                    max_bytes: random
                        .next()
                        .is_multiple_of(4)
                        .then_some(20 + random.next() % 400),
                    max_age: random
                        .next()
                        .is_multiple_of(2)
                        .then_some(Duration::from_millis(1 + random.next() % 100)),
                },
            });
        }
    }
    config.max_bytes = match scale.steps {
        ..=1000 => 20_000 + (random.next() % 60_000) as usize,
        _ => 4_000_000 + (random.next() % 40_000_000) as usize,
    };
    config.end_ttl = Duration::from_millis(1 + random.next() % 100);
    config.idempotency_ttl = Duration::from_millis(200);
    config.expiry_notice = Duration::from_millis(10);
    config.read_back_retry = Duration::from_millis(1 + random.next() % 20);
    config.max_read_back_bytes = 20 + (random.next() % 400) as usize;
    config.max_presence_changes = 3 + (random.next() % 20) as usize;
    config
}

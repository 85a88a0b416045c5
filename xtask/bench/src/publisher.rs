//! The publishing side: turns event numbers into a server's bytes, through whichever door its profile names.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anyhow::{Result, bail, ensure};

use crate::poller::{self, Input, Poller, Wait};
use crate::profile::{Carrier, Door};
use crate::wire::{self, Body};

/// The tokens of publishing connections start here, above any subscriber's.
pub(crate) const FIRST_TOKEN: usize = 1 << 32;

/// One server's publishing connections.
pub(crate) struct Publisher {
    door: Door,
    lanes: Vec<Lane>,
    /// Requests made and not sent yet, because every lane waits for an answer
    waiting: std::collections::VecDeque<Vec<u8>>,
    /// Answers outstanding, over all lanes
    open: usize,
    host: String,
    size: usize,
    bytes: Vec<u8>,
    body: Vec<u8>,
    event: Vec<u8>,
}

/// One connection, and what has come of the answer it waits for.
struct Lane {
    socket: OwnedFd,
    busy: bool,
    answer: Vec<u8>,
}

impl Publisher {
    /// Opens the door: one connection, or one for each event in flight where each is a request.
    pub(crate) fn open(
        door: &Door,
        topic: &str,
        address: SocketAddr,
        window: usize,
        size: usize,
        poller: &Poller,
    ) -> Result<Publisher> {
        let count = if door.by == Carrier::Post { window } else { 1 };
        let host = address.to_string();
        let mut lanes = Vec::new();
        for index in 0..count {
            let socket = poller::dial(address, index)?;
            if door.by == Carrier::Ws {
                let path = door.path.replace("{topic}", topic);
                let request = wire::upgrade_request(&path, &host, door.protocol.as_deref());
                poller::write_all(&socket, request.as_bytes())?;
                await_input(&socket, |held| match wire::response_head(held)? {
                    Some(head) if head.status != 101 => {
                        bail!("a publisher's handshake was answered with {}", head.status)
                    }
                    head => Ok(head.is_some()),
                })?;
            }
            if let Some(hello) = &door.hello {
                let mut bytes = Vec::new();
                match door.by {
                    Carrier::Ws => wire::push_frame(&mut bytes, hello.as_bytes()),
                    _ => bytes.extend_from_slice(hello.as_bytes()),
                }
                poller::write_all(&socket, &bytes)?;
            }
            if let Some(expect) = &door.expect {
                await_input(&socket, |held| {
                    Ok(memchr::memmem::find(held, expect.as_bytes()).is_some())
                })?;
            }
            poller.watch(&socket, FIRST_TOKEN + index)?;
            lanes.push(Lane {
                socket,
                busy: false,
                answer: Vec::new(),
            });
        }
        Ok(Publisher {
            door: door.clone(),
            lanes,
            waiting: std::collections::VecDeque::new(),
            open: 0,
            host,
            size,
            bytes: Vec::new(),
            body: Vec::new(),
            event: Vec::new(),
        })
    }

    /// Publishes these events, given as topic and number, in as few writes as the door allows.
    pub(crate) fn publish<'a>(
        &mut self,
        events: impl Iterator<Item = (&'a str, u64)>,
    ) -> Result<()> {
        self.bytes.clear();
        self.body.clear();
        for (topic, seq) in events {
            self.event.clear();
            wire::push_data(&mut self.event, seq, self.size);
            let data = std::str::from_utf8(&self.event).expect("event data is ASCII");
            let mut text = self
                .door
                .event
                .replace("{topic}", topic)
                .replace("{data}", data);
            if text.contains("{len}") {
                text = text.replace("{len}", &data.len().to_string());
            }
            match self.door.by {
                Carrier::Ws => wire::push_frame(&mut self.bytes, text.as_bytes()),
                Carrier::Line => self.bytes.extend_from_slice(text.as_bytes()),
                Carrier::Batch => self.body.extend_from_slice(text.as_bytes()),
                Carrier::Post => {
                    let request = self.request(topic, text.as_bytes());
                    self.waiting.push_back(request);
                    self.open += 1;
                }
            }
        }
        if self.door.by == Carrier::Batch {
            let request = self.request("", &self.body);
            self.waiting.push_back(request);
            self.open += 1;
        }
        if self.bytes.is_empty() {
            return self.send_waiting();
        }
        poller::write_all(&self.lanes[0].socket, &self.bytes)
    }

    /// Whether requests are still unanswered.
    pub(crate) fn is_busy(&self) -> bool {
        self.open > 0
    }

    /// Takes what a lane's socket brought.
    pub(crate) fn handle_ready(&mut self, token: usize, buffer: &mut [u8]) -> Result<()> {
        let lane = &mut self.lanes[token - FIRST_TOKEN];
        let len = match poller::read(&lane.socket, buffer) {
            Input::Bytes(len) => len,
            Input::Nothing => return Ok(()),
            Input::Closed => bail!("the server closed a publisher's connection"),
        };
        if !matches!(self.door.by, Carrier::Post | Carrier::Batch) {
            // Echoes and acknowledgements; the deliveries tell whether a publish worked.
            return Ok(());
        }
        lane.answer.extend_from_slice(&buffer[..len]);
        let Some(end) = whole_response(&lane.answer)? else {
            return Ok(());
        };
        lane.answer.drain(..end);
        lane.busy = false;
        self.open -= 1;
        self.send_waiting()
    }

    fn send_waiting(&mut self) -> Result<()> {
        for lane in self.lanes.iter_mut().filter(|l| !l.busy) {
            let Some(request) = self.waiting.pop_front() else {
                break;
            };
            poller::write_all(&lane.socket, &request)?;
            lane.busy = true;
        }
        Ok(())
    }

    fn request(&self, topic: &str, body: &[u8]) -> Vec<u8> {
        let path = self.door.path.replace("{topic}", topic);
        let mut request = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for header in &self.door.headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        request
    }
}

/// The length of the first response in `input` once it is complete.
fn whole_response(input: &[u8]) -> Result<Option<usize>> {
    let Some(head) = wire::response_head(input)? else {
        return Ok(None);
    };
    ensure!(
        (200..300).contains(&head.status),
        "a publish was answered with {}: {}",
        head.status,
        String::from_utf8_lossy(input)
    );
    Ok(match head.body {
        Body::Length(len) => (input.len() >= head.len + len).then_some(head.len + len),
        Body::Chunked => memchr::memmem::find(&input[head.len - 2..], b"\r\n0\r\n\r\n")
            .map(|at| head.len + at + 5),
        Body::Close => Some(input.len()),
    })
}

/// Waits until a connection that nothing else reads yet has brought what is wanted.
fn await_input(socket: &OwnedFd, is_enough: impl Fn(&[u8]) -> Result<bool>) -> Result<()> {
    let mut poller = Poller::new()?;
    poller.watch(socket, 0)?;
    let (mut ready, mut held, mut buffer) = (Vec::new(), Vec::new(), [0; 4096]);
    while !is_enough(&held)? {
        poller.wait(Wait::AtMost(std::time::Duration::from_secs(10)), &mut ready)?;
        ensure!(!ready.is_empty(), "no answer to a publisher's handshake");
        match poller::read(socket, &mut buffer) {
            Input::Bytes(len) => held.extend_from_slice(&buffer[..len]),
            Input::Nothing => {}
            Input::Closed => bail!("the server closed a publisher's handshake"),
        }
    }
    Ok(())
}

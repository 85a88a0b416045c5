//! A client of little weight: it follows one topic, and comes back when it was told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::TOPICS;
use super::ledger::Ledger;

/// How long a client waits that was not told, as an `EventSource` would
const UNTOLD: Duration = Duration::from_secs(1);

/// Least time between two tries, when the port is closed
const AGAIN: Duration = Duration::from_millis(50);

/// A client and what it knows
struct Client {
    address: SocketAddr,
    topic: usize,
    door: Door,
    ledger: Arc<Ledger>,
    position: Option<String>,
    /// The number that the next event must have
    next: u64,
    returns: Duration,
    lives: usize,
    is_over: bool,
}

#[derive(Clone, Copy)]
enum Door {
    EventStream,
    WebSocket,
}

/// Follows a topic until its stream is revoked
pub(super) async fn follow(address: SocketAddr, number: usize, ledger: Arc<Ledger>) {
    let mut client = Client {
        address,
        topic: number % TOPICS,
        door: match number / TOPICS % 2 {
            0 => Door::EventStream,
            _ => Door::WebSocket,
        },
        ledger,
        position: None,
        next: 0,
        returns: UNTOLD,
        lives: 0,
        is_over: false,
    };
    while !client.is_over {
        // However it ends, the client comes back; what it did not get shows in the numbers.
        if client.live().await.is_err() && client.lives > 0 {
            client.ledger.write(|all| all.turned_away += 1);
            client.returns = client.returns.max(AGAIN);
        }
        tokio::time::sleep(client.returns).await;
    }
}

impl Client {
    /// One connection, from its request to its end
    async fn live(&mut self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(self.request().as_bytes()).await?;
        let mut arrived = Vec::new();
        // The head, of either door, ends with an empty line.
        let end = loop {
            if let Some(at) = arrived.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut arrived).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        };
        let wanted = match self.door {
            Door::EventStream => &b"HTTP/1.1 200"[..],
            Door::WebSocket => b"HTTP/1.1 101",
        };
        if !arrived.starts_with(wanted) {
            let head = String::from_utf8_lossy(&arrived[..end]).into_owned();
            self.strange(format!("answered {head:?}"));
        }
        arrived.drain(..end);
        self.returns = UNTOLD;
        let mut block = Block::default();
        loop {
            let reply = match self.door {
                Door::EventStream => self.take_lines(&mut arrived, &mut block),
                Door::WebSocket => self.take_frames(&mut arrived),
            };
            if let Some(reply) = reply {
                stream.write_all(&reply).await?;
            }
            if self.is_over || stream.read_buf(&mut arrived).await? == 0 {
                return Ok(());
            }
        }
    }

    fn request(&self) -> String {
        let (address, topic) = (self.address, self.topic);
        let position = self.position.as_deref();
        match self.door {
            Door::EventStream => {
                let header = position.map(|id| format!("Last-Event-ID: {id}\r\n"));
                format!(
                    "GET /topics/drain/{topic} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{}\r\n",
                    header.unwrap_or_default()
                )
            }
            Door::WebSocket => format!(
                "GET /topics/drain/{topic}{} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Protocol: push.v1\r\n\r\n",
                position
                    .map(|id| format!("?after={id}"))
                    .unwrap_or_default()
            ),
        }
    }

    /// The lines of an event stream that are whole
    fn take_lines(&mut self, arrived: &mut Vec<u8>, block: &mut Block) -> Option<Vec<u8>> {
        let whole = arrived.iter().rposition(|byte| *byte == b'\n')? + 1;
        let text = String::from_utf8(arrived.drain(..whole).collect()).unwrap();
        for line in text.lines_with_their_ends() {
            // The lines of an event stream end with LF alone: this one frames a chunk.
            if line.ends_with("\r\n") {
                continue;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => block.id = Some(id.to_owned()),
                Some(("event", event)) => block.event = event.to_owned(),
                Some(("data", data)) => block.data = data.to_owned(),
                Some(("retry", millis)) => {
                    self.returns = Duration::from_millis(millis.parse().unwrap());
                }
                Some(_) => self.strange(format!("a line {line:?}")),
                None if line == "\n" => self.take_block(std::mem::take(block)),
                None => {}
            }
        }
        None
    }

    fn take_block(&mut self, block: Block) {
        let of_data = |name: &str| -> Option<Value> {
            let data: Value = serde_json::from_str(&block.data).ok()?;
            data.get(name).cloned()
        };
        match block.event.as_str() {
            "" if block.data.is_empty() => {}
            "" => self.event(&block.data),
            "push.state" => self.begins(),
            "push.gap" => self.ledger.write(|all| all.gaps += 1),
            "push.reconnect" => {}
            "push.end" => self.ends(of_data("reason").as_ref()),
            other => self.strange(format!("an event {other}")),
        }
        if let Some(id) = block.id {
            self.sees(id);
        }
    }

    /// The WebSocket frames that are whole; answers what is to be sent for them
    fn take_frames(&mut self, arrived: &mut Vec<u8>) -> Option<Vec<u8>> {
        let mut reply = Vec::new();
        loop {
            let (header, length) = match arrived.as_slice() {
                [_, 127, ..] => unreachable!("nobody publishes as much"),
                [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
                [_, length, ..] if *length < 126 => (2, usize::from(*length)),
                _ => break,
            };
            if arrived.len() < header + length {
                break;
            }
            let opcode = arrived[0] & 0x0f;
            let payload: Vec<u8> = arrived.drain(..header + length).skip(header).collect();
            match opcode {
                1 => self.message(&payload),
                8 => {
                    self.closed(&payload);
                    reply.extend_from_slice(&masked(8, &payload[..2]));
                }
                9 => reply.extend_from_slice(&masked(10, &payload)),
                _ => self.strange(format!("a frame {opcode}")),
            }
        }
        (!reply.is_empty()).then_some(reply)
    }

    fn message(&mut self, payload: &[u8]) {
        let message: Value = serde_json::from_slice(payload).unwrap();
        if let Some(event) = message.get("event") {
            self.event(event["data"].as_str().unwrap());
            self.sees(event["id"].as_str().unwrap().to_owned());
        } else if let Some(state) = message.get("state") {
            self.begins();
            self.sees(state["at"].as_str().unwrap().to_owned());
        } else if message.get("gap").is_some() {
            self.ledger.write(|all| all.gaps += 1);
        } else if let Some(end) = message.get("end") {
            self.ends(end.get("reason"));
        } else if message.get("reconnect").is_none() {
            self.strange(format!("a message {message}"));
        }
    }

    fn closed(&mut self, payload: &[u8]) {
        let (code, reason) = payload.split_at(2);
        let reason = String::from_utf8_lossy(reason);
        let millis = reason
            .strip_prefix("reconnect after ")
            .and_then(|rest| rest.strip_suffix(" ms")?.parse().ok());
        match millis {
            Some(millis) if code == 1012_u16.to_be_bytes() => {
                self.returns = Duration::from_millis(millis);
            }
            _ => self.strange(format!("closed by {code:?} {reason:?}")),
        }
    }

    fn begins(&mut self) {
        self.lives += 1;
        let lives = self.lives;
        self.ledger.write(|all| match lives {
            1 => all.following += 1,
            2 => all.arrivals.push(Instant::now()),
            _ => {
                all.strange.insert("a client came back twice".to_owned());
            }
        });
    }

    fn sees(&mut self, id: String) {
        let epoch = id.split('-').next().unwrap_or_default().to_owned();
        let known = self
            .position
            .as_deref()
            .is_some_and(|old| old.starts_with(&epoch));
        if !known {
            self.ledger.write(|all| {
                all.epochs.insert(epoch);
            });
        }
        self.position = Some(id);
    }

    fn event(&mut self, data: &str) {
        let (topic, next) = (self.topic, self.next);
        if data == "done" {
            self.ledger.write(|all| {
                all.finished += 1;
                all.lost += all.answered[topic].saturating_sub(next);
            });
            return;
        }
        let number: u64 = data.parse().unwrap();
        self.ledger.write(|all| {
            all.delivered += 1;
            all.lost += number.saturating_sub(next);
            all.repeats += u64::from(number < next);
        });
        self.next = next.max(number + 1);
    }

    fn ends(&mut self, reason: Option<&Value>) {
        if reason.and_then(Value::as_str) != Some("revoked") {
            self.strange(format!("an end: {reason:?}"));
        }
        if !self.is_over {
            self.ledger.write(|all| all.revoked.push(Instant::now()));
        }
        self.is_over = true;
    }

    fn strange(&self, what: String) {
        self.ledger.write(|all| {
            all.strange.insert(what);
        });
    }
}

/// What stands between two blank lines of an event stream
#[derive(Default)]
struct Block {
    id: Option<String>,
    event: String,
    data: String,
}

/// A small frame as a client must send it
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8];
    // A mask of zeros changes nothing.
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

trait Lines {
    fn lines_with_their_ends(&self) -> impl Iterator<Item = &str>;
}

impl Lines for str {
    fn lines_with_their_ends(&self) -> impl Iterator<Item = &str> {
        self.split_inclusive('\n')
    }
}

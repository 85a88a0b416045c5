//! One connection of the floor: a request head, then frames from a publisher or nothing at all.

use std::os::fd::OwnedFd;

use anyhow::{Result, bail};

use crate::poller;

/// A connection, which takes no memory beyond this once its role is known.
pub(crate) struct Connection {
    /// Its socket
    pub(crate) socket: OwnedFd,
    /// What it turned out to be
    pub(crate) role: Role,
    /// What its path named, until the topic has been entered
    pub(crate) topic: Vec<u8>,
    held: Vec<u8>,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its request has not come whole
    Unknown,
    /// A WebSocket subscriber
    Frames,
    /// An event stream subscriber
    Stream,
    /// A WebSocket that publishes
    Publisher,
}

/// The messages one read brought, each `topic SP data`, in one allocation.
#[derive(Default)]
pub(crate) struct Published {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Published {
    /// Topic and data of each.
    pub(crate) fn events(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&end| {
            let message = &self.bytes[start..end];
            start = end;
            let space = memchr::memchr(b' ', message)?;
            Some((&message[..space], &message[space + 1..]))
        })
    }

    /// Forgets them and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

impl Connection {
    /// A connection that has said nothing yet.
    pub(crate) fn new(socket: OwnedFd) -> Connection {
        Connection {
            socket,
            role: Role::Unknown,
            topic: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Takes input; an error means that the connection is not worth keeping.
    pub(crate) fn handle_input(&mut self, input: &[u8], published: &mut Published) -> Result<()> {
        match self.role {
            Role::Unknown => {
                self.held.extend_from_slice(input);
                if memchr::memmem::find(&self.held, b"\r\n\r\n").is_some() {
                    self.answer()?;
                }
            }
            Role::Publisher => {
                self.held.extend_from_slice(input);
                let taken = take_frames(&mut self.held, published)?;
                self.held.drain(..taken);
            }
            Role::Frames | Role::Stream => {}
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<()> {
        let head = std::mem::take(&mut self.held);
        let path = head.split(|&b| b == b' ').nth(1).unwrap_or_default();
        let (role, topic) = if let Some(topic) = path.strip_prefix(b"/ws/") {
            (Role::Frames, topic)
        } else if let Some(topic) = path.strip_prefix(b"/sse/") {
            (Role::Stream, topic)
        } else if path == b"/publish" {
            (Role::Publisher, &b""[..])
        } else {
            bail!("no such path");
        };
        self.role = role;
        self.topic = topic.to_vec();
        let answer = if role == Role::Stream {
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()
        } else {
            upgrade_answer(&head)?
        };
        poller::write_all(&self.socket, answer.as_bytes())
    }
}

/// The 101 for a request (RFC 6455 section 4.2.2).
fn upgrade_answer(head: &[u8]) -> Result<String> {
    let Ok(head) = std::str::from_utf8(head) else {
        bail!("a head that is not text");
    };
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    });
    let Some(key) = key else {
        bail!("not a WebSocket");
    };
    let accept = ws_codec::handshake::accept_key(key.as_bytes());
    let accept = std::str::from_utf8(&accept)?;
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// Unmasks the whole frames in `held` and returns how many bytes they took.
fn take_frames(held: &mut [u8], published: &mut Published) -> Result<usize> {
    let mut at = 0;
    while let Some(&[_, second]) = held.get(at..at + 2) {
        let (start, len) = match second & 0x7f {
            126 => match held.get(at + 2..at + 4) {
                Some(b) => (at + 8, usize::from(u16::from_be_bytes([b[0], b[1]]))),
                None => break,
            },
            127 => bail!("a message this long is not published here"),
            short => (at + 6, usize::from(short)),
        };
        if held.len() < start + len {
            break;
        }
        let mask = [
            held[start - 4],
            held[start - 3],
            held[start - 2],
            held[start - 1],
        ];
        let payload = &mut held[start..start + len];
        let mut words = payload.chunks_exact_mut(4);
        for word in &mut words {
            for (byte, key) in word.iter_mut().zip(mask) {
                *byte ^= key;
            }
        }
        for (byte, key) in words.into_remainder().iter_mut().zip(mask) {
            *byte ^= key;
        }
        published.bytes.extend_from_slice(payload);
        published.ends.push(published.bytes.len());
        at = start + len;
    }
    Ok(at)
}

/// Appends a server's text frame.
pub(crate) fn push_frame(out: &mut Vec<u8>, data: &[u8]) {
    out.push(0x81);
    if let Ok(len @ 0..126) = u8::try_from(data.len()) {
        out.push(len);
    } else {
        out.push(126);
        let len = u16::try_from(data.len()).expect("the publisher's frames are below 64 KiB");
        out.extend_from_slice(&len.to_be_bytes());
    }
    out.extend_from_slice(data);
}

/// Appends an event as one HTTP chunk, with an id as long as pushserver's.
pub(crate) fn push_chunk(out: &mut Vec<u8>, data: &[u8], number: u64) {
    let id = format!("id: e5f1c0a97b3d2468-{number:08}-9c41\ndata: ");
    out.extend_from_slice(format!("{:x}\r\n{id}", id.len() + data.len() + 2).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n\r\n");
}

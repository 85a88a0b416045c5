//! The floor: the least a push server can do, as a server, to divide everything else by.
//!
//! One thread, one epoll, and `send()` of ready bytes. It has no log, no limits, no timers and no manners: a
//! subscriber that cannot take a whole message is cut. Its variants are the two ends of what can be done, and two
//! mistakes that the harness must be able to see.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use anyhow::Result;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with, send, sockopt};

use crate::poller::{self, Input, Poller, Wait};
use connection::{Connection, Published, Role};

mod connection;

/// How the floor sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// One `send()` for each event and subscriber
    Write,
    /// One `send()` for each subscriber, for all events that one read brought
    Batch,
    /// A planted mistake: `Batch`, but each subscriber gets its own copy of each event
    Clone,
    /// A planted mistake: `Batch`, but each subscriber's events are encoded anew
    Encode,
}

/// Serves until it is killed.
pub(crate) fn serve(listen: SocketAddr, mode: Mode) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    // The standard library listens with 128; ten thousand clients come at once.
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    let mut floor = Floor {
        poller: Poller::new()?,
        connections: Vec::new(),
        free: Vec::new(),
        topics: HashMap::new(),
        by_name: Vec::new(),
        published: Published::default(),
        mode,
        numbered: 0,
    };
    floor.poller.watch(&listener, LISTENER)?;
    let (mut ready, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        floor
            .poller
            .wait(Wait::AtMost(std::time::Duration::from_secs(60)), &mut ready)?;
        for &token in &ready {
            if token == LISTENER {
                floor.accept_all(&listener)?;
            } else {
                floor.read(token, &mut buffer)?;
            }
        }
    }
}

const LISTENER: usize = usize::MAX >> 1;

struct Floor {
    poller: Poller,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    topics: HashMap<Vec<u8>, usize>,
    by_name: Vec<Topic>,
    published: Published,
    mode: Mode,
    numbered: u64,
}

/// The subscribers of a topic, and what one read brought for them.
#[derive(Default)]
struct Topic {
    frames: Vec<usize>,
    streams: Vec<usize>,
    joined_frames: Vec<u8>,
    joined_stream: Vec<u8>,
    events: Vec<Vec<u8>>,
}

impl Floor {
    fn accept_all(&mut self, listener: &TcpListener) -> Result<()> {
        loop {
            let socket = match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.poller.watch(&socket, slot)?;
            self.connections[slot] = Some(Connection::new(socket));
        }
    }

    fn read(&mut self, slot: usize, buffer: &mut [u8]) -> Result<()> {
        let Some(connection) = &mut self.connections[slot] else {
            return Ok(());
        };
        let len = match poller::read(&connection.socket, buffer) {
            Input::Bytes(len) => len,
            Input::Nothing => return Ok(()),
            Input::Closed => {
                self.close(slot);
                return Ok(());
            }
        };
        let was = connection.role;
        if connection
            .handle_input(&buffer[..len], &mut self.published)
            .is_err()
        {
            self.close(slot);
            return Ok(());
        }
        if was == Role::Unknown && connection.role != Role::Unknown {
            let (role, name) = (connection.role, std::mem::take(&mut connection.topic));
            self.enter(slot, role, name);
        }
        self.deliver();
        Ok(())
    }

    fn enter(&mut self, slot: usize, role: Role, name: Vec<u8>) {
        let topic = self.topic(name);
        match role {
            Role::Frames => self.by_name[topic].frames.push(slot),
            Role::Stream => self.by_name[topic].streams.push(slot),
            Role::Publisher | Role::Unknown => {}
        }
    }

    fn topic(&mut self, name: Vec<u8>) -> usize {
        *self.topics.entry(name).or_insert_with(|| {
            self.by_name.push(Topic::default());
            self.by_name.len() - 1
        })
    }

    /// Sends what the last read published.
    fn deliver(&mut self) {
        let published = std::mem::take(&mut self.published);
        let mut touched = Vec::new();
        for (name, data) in published.events() {
            let Some(&index) = self.topics.get(name) else {
                continue;
            };
            self.numbered += 1;
            let topic = &mut self.by_name[index];
            if topic.events.is_empty()
                && topic.joined_frames.is_empty()
                && topic.joined_stream.is_empty()
            {
                touched.push(index);
            }
            if matches!(self.mode, Mode::Clone | Mode::Encode) {
                topic.events.push(data.to_vec());
                continue;
            }
            if !topic.frames.is_empty() {
                connection::push_frame(&mut topic.joined_frames, data);
            }
            if !topic.streams.is_empty() {
                connection::push_chunk(&mut topic.joined_stream, data, self.numbered);
            }
            if self.mode == Mode::Write {
                self.flush(index);
            }
        }
        if self.mode != Mode::Write {
            for index in touched {
                self.flush(index);
            }
        }
        self.published = published;
        self.published.clear();
    }

    fn flush(&mut self, index: usize) {
        let mut topic = std::mem::take(&mut self.by_name[index]);
        let mut cut = Vec::new();
        for (slots, joined) in [
            (&topic.frames, &topic.joined_frames),
            (&topic.streams, &topic.joined_stream),
        ] {
            for &slot in slots {
                let Some(connection) = &self.connections[slot] else {
                    continue;
                };
                let whole = match self.mode {
                    Mode::Write | Mode::Batch => sent_whole(&connection.socket, joined),
                    Mode::Clone => sent_whole(&connection.socket, &cloned(&topic.events)),
                    Mode::Encode => sent_whole(&connection.socket, &encoded(&topic.events)),
                };
                if !whole {
                    cut.push(slot);
                }
            }
        }
        topic.joined_frames.clear();
        topic.joined_stream.clear();
        topic.events.clear();
        topic.frames.retain(|slot| !cut.contains(slot));
        topic.streams.retain(|slot| !cut.contains(slot));
        self.by_name[index] = topic;
        for slot in cut {
            self.close(slot);
        }
    }

    fn close(&mut self, slot: usize) {
        if self.connections[slot].take().is_some() {
            for topic in &mut self.by_name {
                topic.frames.retain(|&s| s != slot);
                topic.streams.retain(|&s| s != slot);
            }
            self.free.push(slot);
        }
    }
}

fn sent_whole(socket: &OwnedFd, bytes: &[u8]) -> bool {
    send(socket, bytes, SendFlags::NOSIGNAL) == Ok(bytes.len())
}

/// The mistake of a queue of owned events for each subscriber: copied in, then joined.
fn cloned(events: &[Vec<u8>]) -> Vec<u8> {
    let queue: Vec<Vec<u8>> = events.to_vec();
    let mut joined = Vec::new();
    for event in queue {
        connection::push_frame(&mut joined, &event);
    }
    joined
}

/// The mistake of encoding for each subscriber.
fn encoded(events: &[Vec<u8>]) -> Vec<u8> {
    let mut joined = Vec::new();
    for event in events {
        let text = String::from_utf8_lossy(event).into_owned();
        connection::push_frame(&mut joined, text.as_bytes());
    }
    joined
}

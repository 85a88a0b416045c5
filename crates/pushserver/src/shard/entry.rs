//! A connection that has become a stream.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use pushcore::Timestamp;

use super::dirty::Cause;
use super::sock::Sock;
use super::timers::Scheduled;
use crate::admission::Place;
use crate::app::{App, Farewell};
use crate::transport::{Door, Output};

/// A place of a shard's slab: a stream, and what calls for it
pub(super) struct Entry {
    stream: Stream,
    waker: Waker,
    pub(super) scheduled: Scheduled,
    _place: Place,
}

/// A socket, a door, and what did not fit into the socket
///
/// What it does not have is a read buffer or a queue of events: bytes are read into the shard's buffer, and what
/// is still to be sent is the log after the subscription's cursor.
struct Stream {
    sock: Sock,
    door: Door,
    held: Option<Box<Held>>,
    stage: Stage,
    /// Whether the waker is called as soon as the client has sent something
    listening: bool,
}

/// What a stream has only at its start, at its end and while its client takes nothing
///
/// Apart from the entry, because most streams have nothing of it for most of their time.
#[derive(Default)]
struct Held {
    /// What the client sent after its request
    early: Bytes,
    /// Bytes that are committed to this connection but not on its socket: at most one output of the door
    unsent: Bytes,
    /// Since when the socket has taken nothing, while `unsent` waits
    blocked_since: Option<Timestamp>,
    /// When the stream is sent away, and when its client is to come back after that
    farewell: Option<(Timestamp, Duration)>,
    /// Until when a stream lingers
    until: Timestamp,
}

/// How far a stream is on its way to its end
///
/// ```text
///   Streaming --the door's last bytes--> Finishing --written, write side shut--> Lingering --> over
/// ```
#[derive(Clone, Copy)]
enum Stage {
    Streaming,
    /// The last bytes are committed
    Finishing,
    /// Everything is written; what the client still sends is read and thrown away until it closes too, because
    /// closing a socket with unread bytes resets the connection and may destroy the last event on its way
    Lingering,
}

/// How a visit ended
pub(super) enum Turn {
    /// Events went out, if anything did, and all else is as it was, the deadline too
    Sent,
    /// Nothing more to do until a waker or a deadline says so
    Idle,
    /// The visit used up its share; there is more
    Again,
    /// The connection has ended
    Over,
}

/// Bytes one connection may be sent or read in one turn before others have theirs
const TURN_BYTES: usize = 256 * 1024;

/// How long a client is given to close its side once ours is shut
const LINGER: Duration = Duration::from_secs(2);

impl Entry {
    pub(super) fn new(
        sock: Sock,
        waker: Waker,
        head: Bytes,
        door: Door,
        early: Bytes,
        place: Place,
    ) -> Self {
        let held = Held {
            early,
            unsent: head,
            ..Held::default()
        };
        Self {
            stream: Stream {
                sock,
                door,
                held: Some(Box::new(held)),
                stage: Stage::Streaming,
                listening: false,
            },
            waker,
            scheduled: Scheduled::default(),
            _place: place,
        }
    }

    /// When time alone gives the connection something to do
    pub(super) fn deadline(&self, app: &Arc<App>) -> Timestamp {
        self.stream.deadline(app)
    }

    /// The server leaves: from its next visit on, the stream knows when it ends
    pub(super) fn handle_leave(&mut self, farewell: Farewell, now: Timestamp) {
        let farewell = (now.saturating_add(farewell.stays), farewell.returns);
        self.stream.held().farewell = Some(farewell);
    }

    /// Sends what waits; reads what the client sent and lets the door act on the time, unless events alone are the cause
    pub(super) fn turn(
        &mut self,
        cause: Cause,
        app: &Arc<App>,
        now: Timestamp,
        read_buffer: &mut [u8],
    ) -> Turn {
        let cx = &mut Context::from_waker(&self.waker);
        let stream = &mut self.stream;
        if cause == Cause::Events && stream.listening && stream.held.is_none() {
            match stream.send(cx, app, now) {
                Sent::Events => return Turn::Sent,
                Sent::All => return Turn::Idle,
                Sent::Some => return Turn::Again,
                Sent::End => return Turn::Over,
            }
        }
        let turn = stream.turn(cx, app, now, read_buffer);
        if stream.held.as_deref().is_some_and(Held::is_empty) {
            stream.held = None;
        }
        turn
    }
}

impl Stream {
    fn deadline(&self, app: &Arc<App>) -> Timestamp {
        let door = self.door.deadline();
        let Some(held) = &self.held else {
            return door;
        };
        if matches!(self.stage, Stage::Lingering) {
            return held.until;
        }
        match (held.blocked_since, held.farewell) {
            // Whatever else is due has to wait until the socket takes something again.
            (Some(since), _) => since.saturating_add(app.config.stream.write_deadline),
            (None, Some((at, _))) => door.min(at),
            (None, None) => door,
        }
    }

    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        app: &Arc<App>,
        now: Timestamp,
        read_buffer: &mut [u8],
    ) -> Turn {
        let mut again = match self.receive(cx, app, now, read_buffer) {
            Received::All => false,
            Received::Some => true,
            Received::End => return Turn::Over,
        };
        if let Some(held) = &mut self.held {
            if matches!(self.stage, Stage::Lingering) {
                return if now >= held.until {
                    Turn::Over
                } else {
                    Turn::Idle
                };
            }
            if let Some((_, returns)) = held.farewell.take_if(|(at, _)| now >= *at) {
                self.door.handle_leave(returns, now);
            }
        }
        self.door.handle_time(now);
        let was_paused = !self.door.wants_input(app);
        match self.send(cx, app, now) {
            Sent::All | Sent::Events => {}
            Sent::Some => again = true,
            Sent::End => return Turn::Over,
        }
        // Nobody was asked to tell when there is input, while it was not wanted.
        again |= was_paused && self.door.wants_input(app);
        if again { Turn::Again } else { Turn::Idle }
    }

    fn held(&mut self) -> &mut Held {
        self.held.get_or_insert_default()
    }

    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        app: &Arc<App>,
        now: Timestamp,
        buffer: &mut [u8],
    ) -> Received {
        if let Some(held) = &mut self.held {
            while held.early.has_remaining() {
                let n = held.early.len().min(buffer.len());
                held.early.copy_to_slice(&mut buffer[..n]);
                self.door.handle_input(app, now, &mut buffer[..n]);
            }
        }
        self.listening = false;
        let mut taken = 0;
        while taken < TURN_BYTES {
            if !self.door.wants_input(app) {
                return Received::All;
            }
            match self.sock.poll_read_now(cx, buffer) {
                Poll::Pending => {
                    self.listening = true;
                    return Received::All;
                }
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Received::End;
                }
                Poll::Ready(Ok(n)) => {
                    taken += n;
                    if matches!(self.stage, Stage::Streaming) {
                        self.door.handle_input(app, now, &mut buffer[..n]);
                    }
                }
            }
        }
        Received::Some
    }

    /// Puts bytes on the socket until all of them are there; what was put leaves `bytes`
    fn push_out(&mut self, cx: &mut Context<'_>, bytes: &mut Bytes) -> Poll<io::Result<()>> {
        loop {
            ready!(self.sock.poll_flush_now(cx))?;
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let n = ready!(self.sock.poll_write_now(cx, bytes))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            bytes.advance(n);
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, app: &Arc<App>, now: Timestamp) -> Sent {
        let mut output = match &mut self.held {
            Some(held) => std::mem::take(&mut held.unsent),
            None => Bytes::new(),
        };
        let (mut sent, mut drained, mut outputs) = (0, false, 0);
        loop {
            let len = output.len();
            match self.push_out(cx, &mut output) {
                Poll::Ready(Ok(())) => sent += len,
                Poll::Ready(Err(_)) => return Sent::End,
                Poll::Pending => return self.blocked(output, len, app, now),
            }
            if let Some(held) = &mut self.held {
                held.blocked_since = None;
            }
            if matches!(self.stage, Stage::Finishing) {
                if let Poll::Ready(Err(_)) = self.sock.poll_shutdown_write(cx) {
                    return Sent::End;
                }
                self.stage = Stage::Lingering;
                self.held().until = now.saturating_add(LINGER);
                return Sent::All;
            }
            if sent >= TURN_BYTES {
                return Sent::Some;
            }
            if drained {
                return match outputs {
                    1 => Sent::Events,
                    _ => Sent::All,
                };
            }
            outputs += 1;
            match self.door.poll_output(cx, app, now) {
                Poll::Pending if outputs == 1 => return Sent::Events,
                Poll::Pending => return Sent::All,
                Poll::Ready(Output::Bytes(bytes)) => output = bytes,
                Poll::Ready(Output::Drained(bytes)) => {
                    output = bytes;
                    drained = true;
                }
                Poll::Ready(Output::Last(bytes)) => {
                    output = bytes;
                    self.stage = Stage::Finishing;
                }
            }
        }
    }

    /// Keeps what the socket has no room for, `len` bytes before this visit, unless it has had none for too long
    fn blocked(&mut self, unsent: Bytes, len: usize, app: &Arc<App>, now: Timestamp) -> Sent {
        self.door.handle_blocked();
        let held = self.held();
        if unsent.len() < len {
            held.blocked_since = None;
        }
        held.unsent = unsent;
        let since = *held.blocked_since.get_or_insert(now);
        if now >= since.saturating_add(app.config.stream.write_deadline) {
            app.metrics.closed("write-deadline");
            return Sent::End;
        }
        Sent::All
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.early.is_empty()
            && self.unsent.is_empty()
            && self.blocked_since.is_none()
            && self.farewell.is_none()
            && self.until == Timestamp::default()
    }
}

enum Received {
    All,
    Some,
    End,
}

enum Sent {
    /// All that waited, which was at most events
    Events,
    /// All that waited
    All,
    /// As much as one turn may
    Some,
    /// Nothing more can be sent
    End,
}

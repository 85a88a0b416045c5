//! A connection that has become a stream.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use pushcore::Timestamp;

use super::sock::Sock;
use super::timers::Scheduled;
use crate::admission::Place;
use crate::app::{App, Farewell};
use crate::transport::{Door, Output};

/// One stream of a shard: a socket, a door, and what did not fit into the socket
///
/// What it does not have is a read buffer or a queue of events: bytes are read into the shard's buffer, and what
/// is still to be sent is the log after the subscription's cursor.
pub(super) struct Entry {
    sock: Sock,
    waker: Waker,
    door: Door,
    /// Bytes that are committed to this connection but not on its socket: at most one output of the door
    unsent: Bytes,
    /// Since when the socket has taken nothing, while `unsent` waits
    blocked_since: Option<Timestamp>,
    early: Option<Box<Bytes>>,
    stage: Stage,
    /// When the stream is sent away, and when its client is to come back after that
    farewell: Option<(Timestamp, Duration)>,
    pub(super) scheduled: Scheduled,
    _place: Place,
}

/// How far a stream is on its way to its end
///
/// ```text
///   Streaming --the door's last bytes--> Finishing --written, write side shut--> Lingering --> over
/// ```
enum Stage {
    Streaming,
    /// The last bytes are in `unsent`
    Finishing,
    /// Everything is written; what the client still sends is read and thrown away until it closes too, because
    /// closing a socket with unread bytes resets the connection and may destroy the last event on its way
    Lingering {
        until: Timestamp,
    },
}

/// How a visit ended
pub(super) enum Turn {
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
        Self {
            sock,
            waker,
            door,
            unsent: head,
            blocked_since: None,
            early: (!early.is_empty()).then(|| Box::new(early)),
            stage: Stage::Streaming,
            farewell: None,
            scheduled: Scheduled::default(),
            _place: place,
        }
    }

    /// When time alone gives the connection something to do
    pub(super) fn deadline(&self, app: &Arc<App>) -> Timestamp {
        if let Stage::Lingering { until } = self.stage {
            return until;
        }
        let door = self.door.deadline();
        let door = match self.farewell {
            Some((at, _)) => door.min(at),
            None => door,
        };
        match self.blocked_since {
            // Whatever else is due has to wait until the socket takes something again.
            Some(since) => since.saturating_add(app.config.stream.write_deadline),
            None => door,
        }
    }

    /// Reads what the client sent, lets the door act on the time, and sends what waits
    pub(super) fn turn(&mut self, app: &Arc<App>, now: Timestamp, read_buffer: &mut [u8]) -> Turn {
        // Lent to the context for the visit, because a clone would be an atomic operation per delivery.
        let waker = std::mem::replace(&mut self.waker, Waker::noop().clone());
        let turn = self.turn_with(&mut Context::from_waker(&waker), app, now, read_buffer);
        self.waker = waker;
        turn
    }

    fn turn_with(
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
        if let Stage::Lingering { until } = self.stage {
            return if now >= until { Turn::Over } else { Turn::Idle };
        }
        if let Some((at, returns)) = self.farewell
            && now >= at
        {
            self.farewell = None;
            self.door.handle_leave(returns, now);
        }
        self.door.handle_time(now);
        let was_paused = !self.door.wants_input(app);
        match self.send(cx, app, now) {
            Sent::All => {}
            Sent::Some => again = true,
            Sent::End => return Turn::Over,
        }
        // Nobody was asked to tell when there is input, while it was not wanted.
        again |= was_paused && self.door.wants_input(app);
        if again { Turn::Again } else { Turn::Idle }
    }

    /// The server leaves: from its next visit on, the stream knows when it ends
    pub(super) fn handle_leave(&mut self, farewell: Farewell, now: Timestamp) {
        self.farewell = Some((now.saturating_add(farewell.stays), farewell.returns));
    }

    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        app: &Arc<App>,
        now: Timestamp,
        buffer: &mut [u8],
    ) -> Received {
        if let Some(mut early) = self.early.take() {
            while early.has_remaining() {
                let n = early.len().min(buffer.len());
                early.copy_to_slice(&mut buffer[..n]);
                self.door.handle_input(app, now, &mut buffer[..n]);
            }
        }
        let mut taken = 0;
        while taken < TURN_BYTES {
            if !self.door.wants_input(app) {
                return Received::All;
            }
            match self.sock.poll_read_now(cx, buffer) {
                Poll::Pending => return Received::All,
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

    /// Puts on the socket all that is committed; says how much that was
    fn push_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut total = 0;
        loop {
            ready!(self.sock.poll_flush_now(cx))?;
            if self.unsent.is_empty() {
                return Poll::Ready(Ok(total));
            }
            let n = ready!(self.sock.poll_write_now(cx, &self.unsent))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.blocked_since = None;
            self.unsent.advance(n);
            total += n;
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, app: &Arc<App>, now: Timestamp) -> Sent {
        let mut sent = 0;
        let mut drained = false;
        loop {
            match self.push_out(cx) {
                Poll::Ready(Ok(n)) => sent += n,
                Poll::Ready(Err(_)) => return Sent::End,
                Poll::Pending => {
                    self.door.handle_blocked();
                    let since = *self.blocked_since.get_or_insert(now);
                    let deadline: Duration = app.config.stream.write_deadline;
                    if now >= since.saturating_add(deadline) {
                        app.metrics.closed("write-deadline");
                        return Sent::End;
                    }
                    return Sent::All;
                }
            }
            self.blocked_since = None;
            self.unsent = Bytes::new();
            if matches!(self.stage, Stage::Finishing) {
                if let Poll::Ready(Err(_)) = self.sock.poll_shutdown_write(cx) {
                    return Sent::End;
                }
                self.stage = Stage::Lingering {
                    until: now.saturating_add(LINGER),
                };
                return Sent::All;
            }
            if sent >= TURN_BYTES {
                return Sent::Some;
            }
            if drained {
                return Sent::All;
            }
            match self.door.poll_output(cx, app, now) {
                Poll::Pending => return Sent::All,
                Poll::Ready(Output::Bytes(bytes)) => self.unsent = bytes,
                Poll::Ready(Output::Drained(bytes)) => {
                    self.unsent = bytes;
                    drained = true;
                }
                Poll::Ready(Output::Last(bytes)) => {
                    self.unsent = bytes;
                    self.stage = Stage::Finishing;
                }
            }
        }
    }
}

enum Received {
    All,
    Some,
    End,
}

enum Sent {
    All,
    Some,
    End,
}

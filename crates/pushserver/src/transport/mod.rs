//! The doors through which one log is read.
//!
//! A door turns a subscription into bytes for one kind of client and, where the client may speak, its bytes into
//! commands. It knows no socket: a shard's entry, an HTTP/2 body or an upgraded connection drives it.

pub(crate) mod closed;
mod command;
mod history;
pub(crate) mod plain;
mod presence;
pub(crate) mod push;
pub(crate) mod renewal;
mod socket;
pub(crate) mod sse;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use pushcore::{Budget, End, Notify, Position, Subscription, Timestamp};

use crate::app::App;

/// One stream to one client
pub(crate) enum Door {
    /// Server-Sent Events
    Sse(Box<sse::EventStream>),
    /// WebSocket without a subprotocol: messages are events
    Plain(Box<plain::PlainSocket>),
    /// WebSocket with the subprotocol `push.v1`
    Push(Box<push::PushSocket>),
    /// A WebSocket that only says why it closes
    Closed(Box<closed::ClosedSocket>),
}

/// What is to be sent next
#[derive(Debug)]
pub(crate) enum Output {
    /// These bytes; more may follow at once
    Bytes(Bytes),
    /// Events, after which there is nothing until the waker is woken: it is armed already
    ///
    /// Nothing else has happened, and no deadline has come nearer.
    Drained(Bytes),
    /// These bytes, then the end of the connection
    Last(Bytes),
}

/// What may wait unsent for a connection that has once been full: little, because there may be many of them, and
/// they are sent to so seldom that a larger write would save nothing
const BLOCKED_BYTES: usize = 16 * 1024;

/// What one output may hold; less once the client took less than it was sent
fn budget(app: &App, was_blocked: bool) -> Budget {
    let bytes = app.config.stream.send_buffer_bytes;
    Budget {
        bytes: if was_blocked {
            bytes.min(BLOCKED_BYTES)
        } else {
            bytes
        },
        ..Budget::default()
    }
}

/// Where a client stands that was told of this end: behind it, unless it had come further already
///
/// An end that lies before its first position is told to every client that comes back, and must not take it back.
fn behind(end: &End, subscription: &Subscription) -> Position {
    let position = subscription.position();
    let is_further = position.epoch == end.at.epoch && position.offset > end.at.offset;
    if is_further { position } else { end.at }
}

impl Output {
    /// Bytes that a subscription brought
    fn of(bytes: Bytes, subscription: &Subscription) -> Self {
        if subscription.is_caught_up() {
            Self::Drained(bytes)
        } else {
            Self::Bytes(bytes)
        }
    }
}

impl Door {
    /// Lets `owner` be told by `key` when there are events, instead of the waker of a poll; everything else wakes that
    pub(crate) fn notify(&mut self, owner: &Arc<dyn Notify>, key: u32) {
        match self {
            Self::Sse(stream) => stream.subscription.notify(owner, key),
            Self::Plain(socket) => socket.subscription.notify(owner, key),
            Self::Push(socket) => socket.subscription.notify(owner, key),
            Self::Closed(_) => {}
        }
    }

    /// The next bytes to send
    ///
    /// `Poll::Pending` has armed the waker for the next event.
    #[inline]
    pub(crate) fn poll_output(
        &mut self,
        cx: &mut Context<'_>,
        app: &Arc<App>,
        now: Timestamp,
    ) -> Poll<Output> {
        match self {
            Self::Sse(stream) => stream.poll_output(cx, app, now),
            Self::Plain(socket) => socket.poll_output(cx, app, now),
            Self::Push(socket) => socket.poll_output(cx, app, now),
            Self::Closed(socket) => socket.poll_output(),
        }
    }

    /// Takes bytes from the client, which may be changed in place
    pub(crate) fn handle_input(&mut self, app: &Arc<App>, now: Timestamp, bytes: &mut [u8]) {
        match self {
            // What follows the request of an event stream is never answered: the connection ends with the stream.
            Self::Sse(_) => {}
            Self::Plain(socket) => socket.handle_input(app, now, bytes),
            Self::Push(socket) => socket.handle_input(app, now, bytes),
            Self::Closed(socket) => socket.handle_input(app, now, bytes),
        }
    }

    /// Whether the client's bytes are taken now; while they are not, they wait in its socket
    pub(crate) fn wants_input(&self, app: &Arc<App>) -> bool {
        match self {
            Self::Sse(_) | Self::Closed(_) => true,
            Self::Plain(socket) => socket.wants_input(),
            Self::Push(socket) => socket.wants_input(app),
        }
    }

    /// Lets time pass: heartbeats, pings, deadlines
    pub(crate) fn handle_time(&mut self, now: Timestamp) {
        match self {
            Self::Sse(stream) => stream.handle_time(now),
            Self::Plain(socket) => socket.handle_time(now),
            Self::Push(socket) => socket.handle_time(now),
            Self::Closed(socket) => socket.handle_time(now),
        }
    }

    /// Takes note that the client's side is full
    pub(crate) fn handle_blocked(&mut self) {
        match self {
            Self::Sse(stream) => stream.handle_blocked(),
            Self::Plain(socket) => socket.handle_blocked(),
            Self::Push(socket) => socket.handle_blocked(),
            Self::Closed(_) => {}
        }
    }

    /// Sends the client away: it is to come back after `delay`
    pub(crate) fn handle_leave(&mut self, delay: Duration, now: Timestamp) {
        match self {
            Self::Sse(stream) => stream.handle_leave(delay),
            Self::Plain(socket) => socket.handle_leave(delay, now),
            Self::Push(socket) => socket.handle_leave(delay, now),
            Self::Closed(_) => {}
        }
    }

    /// When [`Door::handle_time`] has something to do at the latest
    pub(crate) fn deadline(&self) -> Timestamp {
        match self {
            Self::Sse(stream) => stream.deadline(),
            Self::Plain(socket) => socket.deadline(),
            Self::Push(socket) => socket.deadline(),
            Self::Closed(socket) => socket.deadline(),
        }
    }
}

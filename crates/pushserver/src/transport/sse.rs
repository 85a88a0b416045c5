//! Server-Sent Events: a subscription as an event stream (WHATWG HTML 9.2).

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use pushcore::{CloseReason, Delivery, End, Subscription, Timestamp};
use serde::Serialize;
use serde_json::json;
use sse_codec::HEARTBEAT;

use super::Output;
use crate::app::App;
use crate::connections::Listed;
use crate::encode::{self, Form, GapObject};

/// One event stream
///
/// Its first bytes are the time to wait before coming back and the state event, whose id is the starting cursor:
/// so headers flush at once, and a client that never gets an event still owns a position.
pub(crate) struct EventStream {
    /// Dropped first: as long as the stream is listed, its subscription can be renewed
    listed: Listed,
    pub(super) subscription: Subscription,
    was_blocked: bool,
    form: Form,
    next: Next,
    /// The server leaves, and the client is to come back after this time
    leave: Option<Duration>,
    heartbeat: Duration,
    heartbeat_due: Timestamp,
}

/// What a stream sends next
enum Next {
    /// What the subscription brings
    Events,
    Opening(Bytes),
    Heartbeat,
    /// Nothing any more
    End,
}

/// What a client is told first
#[derive(Serialize)]
struct State<'a> {
    at: &'a str,
    connection: String,
}

/// How the response to an event stream is framed
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// HTTP/1.1: chunks
    Chunked,
    /// HTTP/1.0, and wherever another layer frames: as it is
    Bare,
}

/// What `data:` holds
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataForm {
    /// The event's data as published
    Raw,
    /// The event object
    Json,
}

impl EventStream {
    pub(crate) fn new(
        app: &Arc<App>,
        subscription: Subscription,
        listed: Listed,
        data: DataForm,
        framing: Framing,
        now: Timestamp,
    ) -> Self {
        let form = match (data, framing) {
            (DataForm::Raw, Framing::Bare) => Form::SseRaw,
            (DataForm::Json, Framing::Bare) => Form::SseJson,
            (DataForm::Raw, Framing::Chunked) => Form::SseRawChunked,
            (DataForm::Json, Framing::Chunked) => Form::SseJsonChunked,
        };
        let heartbeat = app.jitter.around(app.config.stream.heartbeat, 0.2);
        let at = subscription.position().to_string();
        let mut opening = Vec::new();
        sse_codec::encode_retry(
            app.jitter.around(app.config.stream.retry, 0.5),
            &mut opening,
        );
        opening.extend(encode::sse_control(
            "push.state",
            Some(&at),
            &State {
                at: &at,
                connection: listed.id().to_string(),
            },
        ));
        Self {
            subscription,
            was_blocked: false,
            listed,
            form,
            next: Next::Opening(encode::framed(form, &opening)),
            leave: None,
            heartbeat,
            heartbeat_due: now.saturating_add(heartbeat),
        }
    }

    /// The bytes the stream begins with, for whoever writes them together with the response head
    pub(crate) fn take_opening(&mut self) -> Bytes {
        match std::mem::replace(&mut self.next, Next::Events) {
            Next::Opening(bytes) => bytes,
            other => {
                self.next = other;
                Bytes::new()
            }
        }
    }

    pub(crate) fn poll_output(
        &mut self,
        cx: &mut Context<'_>,
        app: &Arc<App>,
        now: Timestamp,
    ) -> Poll<Output> {
        let output = if self.leave.is_none() && matches!(self.next, Next::Events) {
            ready!(self.poll_subscription(cx, app, now))
        } else {
            self.output_beside_events()
        };
        self.heartbeat_due = now.saturating_add(self.heartbeat);
        Poll::Ready(output)
    }

    fn output_beside_events(&mut self) -> Output {
        match std::mem::replace(&mut self.next, Next::Events) {
            Next::Opening(bytes) => Output::Bytes(bytes),
            Next::End => self.last(&[]),
            Next::Heartbeat if self.leave.is_none() => {
                Output::Bytes(encode::framed(self.form, HEARTBEAT))
            }
            Next::Heartbeat | Next::Events => self.goodbye(),
        }
    }

    fn poll_subscription(
        &mut self,
        cx: &mut Context<'_>,
        app: &Arc<App>,
        now: Timestamp,
    ) -> Poll<Output> {
        let budget = super::budget(app, self.was_blocked);
        let polled = self.subscription.poll(cx, now, budget);
        self.listed.note(app, &polled, now);
        Poll::Ready(match ready!(polled) {
            Delivery::Batch(batch) => {
                Output::of(encode::batch(app, &batch, self.form), &self.subscription)
            }
            Delivery::Gap(gap) => self.control("push.gap", None, &GapObject::new(&gap)),
            Delivery::End(end) => self.end(&end),
            Delivery::Expiring { at } => {
                self.control("push.expiring", None, &json!({ "at": at.0 }))
            }
            Delivery::Presence(_) => return self.poll_subscription(cx, app, now),
            Delivery::Closed(reason) => self.closed(reason),
            other => unreachable!("{other:?} is not delivered to event streams"),
        })
    }

    /// A topic has ended, or a pattern may no longer be read
    ///
    /// With the last of them the stream ends. The id moves the client behind the end, so that an `EventSource` which
    /// comes back has read everything and is told to stop.
    fn end(&mut self, end: &End) -> Output {
        let at = super::behind(end, &self.subscription).to_string();
        let data = json!({ "match": end.pattern.as_str(), "reason": end.reason.as_str() });
        if !self.subscription.is_over() {
            return self.control("push.end", Some(&at), &data);
        }
        self.last(&encode::sse_control("push.end", Some(&at), &data))
    }

    fn goodbye(&mut self) -> Output {
        let delay = self.leave.take().unwrap_or_default();
        let mut bytes = Vec::new();
        sse_codec::encode_retry(delay, &mut bytes);
        let data = json!({ "after_ms": delay.as_millis() as u64 });
        bytes.extend(encode::sse_control("push.reconnect", None, &data));
        self.last(&bytes)
    }

    fn closed(&mut self, reason: CloseReason) -> Output {
        self.last(&encode::sse_control(
            "push.end",
            None,
            &json!({ "reason": reason.as_str() }),
        ))
    }

    fn control(&self, name: &'static str, id: Option<&str>, data: &impl Serialize) -> Output {
        Output::Bytes(encode::framed(
            self.form,
            &encode::sse_control(name, id, data),
        ))
    }

    /// The last bytes of the stream, and whatever ends a body in its framing
    fn last(&mut self, bytes: &[u8]) -> Output {
        self.next = Next::End;
        let mut last = Vec::new();
        if !bytes.is_empty() {
            last.extend_from_slice(&encode::framed(self.form, bytes));
        }
        if self.form.is_chunked() {
            last.extend_from_slice(encode::LAST_CHUNK);
        }
        Output::Last(last.into())
    }

    pub(crate) fn handle_time(&mut self, now: Timestamp) {
        if matches!(self.next, Next::Events) && now >= self.heartbeat_due {
            self.next = Next::Heartbeat;
        }
    }

    /// The client takes less than it is sent: what waits for it is to be small
    pub(crate) fn handle_blocked(&mut self) {
        self.was_blocked = true;
    }

    pub(crate) fn handle_leave(&mut self, delay: Duration) {
        self.listed.sent_away();
        self.leave.get_or_insert(delay);
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        self.heartbeat_due
    }
}

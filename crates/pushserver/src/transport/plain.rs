//! WebSocket without a subprotocol, on one topic: each message is an event's data, in both directions.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pushcore::{
    CloseReason, Data, Delivery, EndReason, Grant, NewEvent, PublishError, Subscription, Timestamp,
    Topic,
};
use ws_codec::handshake::Deflate;
use ws_codec::{CloseCode, CloseFrame, Message};

use super::Output;
use super::socket::Socket;
use crate::app::App;
use crate::close_codes::Closing;
use crate::connections::Listed;
use crate::encode::{self, Form};
use crate::publish::{Entry, Results, publish_entries};

/// A WebSocket that follows one topic and may publish to it
///
/// There are no control messages: where a gap would stand, the connection closes with the code that says so.
pub(crate) struct PlainSocket {
    socket: Socket,
    form: Form,
    pub(super) subscription: Subscription,
    was_blocked: bool,
    listed: Listed,
    topic: Topic,
    grant: Arc<Grant>,
    /// What the client published and the store has not answered yet; nothing more is read meanwhile
    publishing: Option<Pin<Box<dyn Future<Output = Results> + Send>>>,
}

impl PlainSocket {
    pub(crate) fn new(
        app: &Arc<App>,
        subscription: Subscription,
        listed: Listed,
        topic: Topic,
        grant: Arc<Grant>,
        agreed: Option<Deflate>,
        now: Timestamp,
    ) -> Self {
        let socket = Socket::new(app, agreed, now);
        Self {
            form: if socket.takes_deflated() {
                Form::WsPlainDeflated
            } else {
                Form::WsPlain
            },
            socket,
            subscription,
            was_blocked: false,
            listed,
            topic,
            grant,
            publishing: None,
        }
    }

    pub(crate) fn poll_output(
        &mut self,
        cx: &mut Context<'_>,
        app: &Arc<App>,
        now: Timestamp,
    ) -> Poll<Output> {
        self.poll_publishing(cx, app, now);
        loop {
            if let Some(control) = self.socket.poll_control() {
                return Poll::Ready(control);
            }
            if !self.socket.may_send() {
                return Poll::Pending;
            }
            let budget = super::budget(app, self.was_blocked);
            let polled = self.subscription.poll(cx, now, budget);
            self.listed.note(app, &polled, now);
            match ready!(polled) {
                Delivery::Batch(batch) => {
                    let bytes = encode::batch(app, &batch, self.form);
                    return Poll::Ready(Output::of(bytes, &self.subscription));
                }
                Delivery::Gap(gap) => {
                    let reason = format!("events were lost ({})", gap.reason.as_str());
                    self.close(app, Closing::Gap, &reason, now);
                }
                Delivery::End(end) => match end.reason {
                    EndReason::Ended => self.close(app, Closing::Ended, "the topic has ended", now),
                    EndReason::Deleted => {
                        self.close(app, Closing::Deleted, "the topic was deleted", now);
                    }
                    _ => self.close(
                        app,
                        Closing::Revoked,
                        "the grant no longer covers the topic",
                        now,
                    ),
                },
                Delivery::Closed(CloseReason::Expired) => {
                    self.close(app, Closing::Expired, "the grant has run out", now);
                }
                Delivery::Closed(CloseReason::Lagged) => {
                    self.close(app, Closing::Lagged, "the reader fell too far behind", now);
                }
                Delivery::Closed(_) => {
                    self.close(app, Closing::Revoked, "the grant was revoked", now);
                }
                // Nothing in this mode can carry a warning or a presence.
                _ => {}
            }
        }
    }

    /// Goes on with what was published, and with the messages behind it
    fn poll_publishing(&mut self, cx: &mut Context<'_>, app: &Arc<App>, now: Timestamp) {
        loop {
            if let Some(publishing) = &mut self.publishing {
                let Poll::Ready(receipts) = publishing.as_mut().poll(cx) else {
                    return;
                };
                self.publishing = None;
                self.check(app, receipts.into_iter().find_map(Result::err), now);
            }
            let Some(mut unread) = self.socket.take_unread() else {
                return;
            };
            self.handle_input(app, now, &mut unread);
        }
    }

    /// A publish that fails closes the connection, because nothing else could tell the client
    fn check(&mut self, app: &Arc<App>, error: Option<PublishError>, now: Timestamp) {
        match error {
            None => {}
            Some(PublishError::Ended) => {
                self.close(app, Closing::Ended, "the topic has ended", now);
            }
            Some(error) => self.close(app, Closing::Overloaded, &error.to_string(), now),
        }
    }

    pub(crate) fn handle_input(&mut self, app: &Arc<App>, now: Timestamp, mut bytes: &mut [u8]) {
        while !bytes.is_empty() && self.publishing.is_none() {
            let (topic, mut events) = (&self.topic, Vec::new());
            self.socket.take_in(app, now, &mut bytes, |message| {
                let data = match message {
                    Message::Text(text) => Data::from(text.into_owned()),
                    Message::Binary(bytes) => Data::bytes(bytes.into_owned()),
                };
                events.push(NewEvent::new(topic.clone(), data));
            });
            if !events.is_empty() {
                self.publish(app, events, now);
            }
        }
        self.socket.keep_unread(bytes);
    }

    fn publish(&mut self, app: &Arc<App>, events: Vec<NewEvent>, now: Timestamp) {
        let grant = &self.grant;
        if app.hub.is_revoked(grant, now) {
            return self.close(app, Closing::Revoked, "the grant was revoked", now);
        }
        if !grant.may_publish(&self.topic) || grant.is_expired(now) {
            let reason = "the grant does not cover publishing to this topic";
            return self.close(app, Closing::Forbidden, reason, now);
        }
        let (subject, address) = (grant.subject.as_deref(), self.listed.address());
        if let Err(problem) = app.publish_rates.admit(subject, address, events.len(), now) {
            app.metrics.refused(problem.kind());
            return self.close(app, Closing::Overloaded, problem.detail(), now);
        }
        if events.len() > app.config.http.max_batch_events {
            let (app, subject) = (Arc::clone(app), grant.subject.clone());
            let entries = events.into_iter().map(Entry::Event).collect();
            self.publishing = Some(Box::pin(async move {
                publish_entries(&app, entries, subject.as_deref()).await
            }));
            return;
        }
        match app.hub.publish(events, subject, now).try_ready() {
            Ok(receipts) => {
                app.metrics.published(&receipts);
                self.check(app, receipts.into_iter().find_map(Result::err), now);
            }
            Err(publishing) => {
                let app = Arc::clone(app);
                self.publishing = Some(Box::pin(async move {
                    let receipts = publishing.await;
                    app.metrics.published(&receipts);
                    receipts
                }));
            }
        }
    }

    pub(crate) fn wants_input(&self) -> bool {
        self.publishing.is_none() && !self.socket.has_unread()
    }

    fn close(&mut self, app: &Arc<App>, closing: Closing, reason: &str, now: Timestamp) {
        app.metrics.closed(closing.as_str());
        self.socket.close(closing.frame(reason), now);
    }

    pub(crate) fn handle_time(&mut self, now: Timestamp) {
        self.socket.handle_time(now);
    }

    /// The client takes less than it is sent: what waits for it is to be small
    pub(crate) fn handle_blocked(&mut self) {
        self.was_blocked = true;
    }

    pub(crate) fn handle_leave(&mut self, delay: Duration, now: Timestamp) {
        self.listed.sent_away();
        self.socket.close(restart_frame(delay), now);
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        self.socket.deadline()
    }
}

/// Service restart: the delay is in the reason, as nothing else of a close frame reaches a browser
pub(crate) fn restart_frame(delay: Duration) -> CloseFrame {
    CloseFrame::new(
        CloseCode::SERVICE_RESTART,
        &format!("reconnect after {} ms", delay.as_millis()),
    )
}

//! WebSocket with the subprotocol `push.v1`: commands and events as JSON text messages.

mod obey;
mod run;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pushcore::{CloseReason, Delivery, Grant, Pattern, Subscription, Timestamp, Topic};
use serde_json::{Value, json};
use ws_codec::Message;
use ws_codec::handshake::Deflate;

use self::run::{Run, reply};
use super::Output;
use super::command::{Failure, presence_message};
use super::history::History;
use super::plain::restart_frame;
use super::renewal::{Awaited, Renewal};
use super::socket::Socket;
use crate::app::App;
use crate::attendance::Present;
use crate::close_codes::Closing;
use crate::connections::Listed;
use crate::encode::{self, Form, GapObject};
use crate::follow;
use crate::rates::Allowance;
use crate::refresh::renewed;

/// A connection that subscribes, publishes and asks by commands
pub(crate) struct PushSocket {
    socket: Socket,
    form: Form,
    pub(super) subscription: Subscription,
    was_blocked: bool,
    listed: Listed,
    grant: Arc<Grant>,
    present: Present,
    /// Commands it may still say
    commands: Option<Allowance>,
    /// Publishes the store has not answered yet; nothing more is read meanwhile
    publishing: Option<Box<Run>>,
    /// A token of which it is not known yet whether it is good; nothing more is read meanwhile
    renewing: Option<Box<Renewal>>,
    /// An answer to `history` that is under way; nothing more is read meanwhile
    history: Option<Box<History>>,
    /// Until a token comes, the connection reads nothing and nothing else is carried out
    awaited: Option<Box<Awaited>>,
    /// Commands of the last read that wait for that answer, or until the answers before them are on their way
    waiting: VecDeque<Message<'static>>,
}

impl PushSocket {
    /// `subscription` holds the patterns of the URL, if it names any
    pub(crate) fn new(
        app: &Arc<App>,
        subscription: Subscription,
        listed: Listed,
        grant: Arc<Grant>,
        awaited: Option<Awaited>,
        agreed: Option<Deflate>,
        now: Timestamp,
    ) -> Self {
        let socket = Socket::new(app, agreed, now);
        let is_awaited = awaited.is_some();
        let mut this = Self {
            form: if socket.takes_deflated() {
                Form::WsPushDeflated
            } else {
                Form::WsPush
            },
            socket,
            subscription,
            was_blocked: false,
            listed,
            grant,
            commands: None,
            present: Present::new(&app.attendance),
            publishing: None,
            renewing: None,
            history: None,
            awaited: awaited.map(Box::new),
            waiting: VecDeque::new(),
        };
        if !is_awaited {
            this.say_state();
        }
        this
    }

    fn say_state(&mut self) {
        let at = self.subscription.position().to_string();
        let connection = self.listed.id().to_string();
        let state = json!({ "state": { "at": at, "connection": connection } });
        self.socket.say(&state.to_string());
    }

    pub(crate) fn poll_output(
        &mut self,
        cx: &mut Context<'_>,
        app: &Arc<App>,
        now: Timestamp,
    ) -> Poll<Output> {
        self.poll_waiting(cx, app, now);
        let grant = &self.grant;
        self.present
            .handle_time(now, |topic| may_stay(app, grant, topic, now));
        if self
            .awaited
            .as_ref()
            .is_some_and(|awaited| awaited.until <= now)
        {
            self.close(app, Closing::Unauthorized, "no token came in time", now);
        }
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
                other => self.tell(app, other, now),
            }
        }
    }

    /// Says what is not an event
    fn tell(&mut self, app: &Arc<App>, delivery: Delivery, now: Timestamp) {
        let message = match delivery {
            Delivery::Gap(gap) => json!({ "gap": GapObject::new(&gap) }),
            Delivery::End(end) => {
                let grant = &self.grant;
                self.present
                    .retain(|topic| may_stay(app, grant, topic, now));
                let at = super::behind(&end, &self.subscription).to_string();
                json!({ "end": {
                    "match": end.pattern.as_str(), "reason": end.reason.as_str(), "at": at,
                }})
            }
            Delivery::Expiring { at } => json!({ "expiring": { "at": at.0 } }),
            Delivery::Presence(change) => presence_message(&change),
            Delivery::PresenceMissed => json!({ "presence": { "missed": true } }),
            Delivery::Closed(reason) => {
                let (closing, text) = match reason {
                    CloseReason::Expired => (Closing::Expired, "the grant has run out"),
                    CloseReason::Lagged => (Closing::Lagged, "the reader fell too far behind"),
                    _ => (Closing::Revoked, "the grant was revoked"),
                };
                self.close(app, closing, text, now);
                return;
            }
            other => unreachable!("{other:?} is handled elsewhere"),
        };
        self.socket.say(&message.to_string());
    }

    /// Goes on with what waits for an answer, and with the commands behind it
    fn poll_waiting(&mut self, cx: &mut Context<'_>, app: &Arc<App>, now: Timestamp) {
        loop {
            if self.poll_publishing(cx).is_pending()
                || self.poll_renewing(cx, app, now).is_pending()
                || self.poll_history(cx).is_pending()
            {
                return;
            }
            if !self.takes_commands(app) {
                return;
            }
            if !self.waiting.is_empty() {
                self.obey_waiting(app, now);
            } else if let Some(mut unread) = self.socket.take_unread() {
                self.handle_input(app, now, &mut unread);
            } else {
                return;
            }
        }
    }

    fn poll_publishing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(run) = &mut self.publishing else {
            return Poll::Ready(());
        };
        let results = ready!(run.poll(cx));
        if let Some(run) = self.publishing.take() {
            run.answer(&mut self.socket, results);
        }
        Poll::Ready(())
    }

    fn poll_renewing(&mut self, cx: &mut Context<'_>, app: &Arc<App>, now: Timestamp) -> Poll<()> {
        let Some(renewal) = &mut self.renewing else {
            return Poll::Ready(());
        };
        let decided = ready!(renewal.poll(cx));
        let reference = renewal.reference.take();
        self.renewing = None;
        let result = decided.and_then(|grant| self.renew(app, grant, now));
        let code = result.as_ref().err().map(|failure| failure.code);
        reply(&mut self.socket, reference, result);
        if self.awaited.is_some() {
            match code {
                Some("unauthorized") => {
                    self.close(app, Closing::Unauthorized, "the token is not accepted", now);
                }
                Some("forbidden") => {
                    let reason = "the grant does not cover what the URL names";
                    self.close(app, Closing::Forbidden, reason, now);
                }
                _ => {}
            }
        }
        Poll::Ready(())
    }

    fn poll_history(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(history) = &mut self.history {
            ready!(history.poll(cx, &mut self.socket));
            self.history = None;
        }
        Poll::Ready(())
    }

    /// Goes on under `grant`, from the same cursor
    fn renew(
        &mut self,
        app: &Arc<App>,
        grant: Arc<Grant>,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        if let Some(awaited) = &self.awaited {
            awaited.reading.check(&grant)?;
        }
        let subscription = &mut self.subscription;
        self.listed
            .renew(&grant, || subscription.regrant(Arc::clone(&grant), now))?;
        if let Some(awaited) = self.awaited.take() {
            let reading = awaited.reading;
            let added = subscription.add_all(reading.patterns, Some(reading.start), now);
            if let Err(error) = added {
                // Revoked since, or the server is full: nothing is read, and the client is told to go.
                let problem = follow::subscribe_problem(&error);
                let closing = Closing::of(&problem);
                self.close(app, closing, problem.detail(), now);
                return Err(problem.into());
            }
            self.say_state();
        }
        let answer = renewed(&grant);
        self.present
            .retain(|topic| may_stay(app, &grant, topic, now));
        self.grant = grant;
        Ok(answer)
    }

    fn close(&mut self, app: &Arc<App>, closing: Closing, reason: &str, now: Timestamp) {
        self.awaited = None;
        self.present.clear();
        app.metrics.closed(closing.as_str());
        self.socket.close(closing.frame(reason), now);
    }

    pub(crate) fn handle_input(&mut self, app: &Arc<App>, now: Timestamp, mut bytes: &mut [u8]) {
        while !bytes.is_empty() && self.waiting.is_empty() && self.takes_commands(app) {
            let waiting = &mut self.waiting;
            self.socket.take_in(app, now, &mut bytes, |message| {
                waiting.push_back(message.into_owned());
            });
            self.obey_waiting(app, now);
        }
        self.socket.keep_unread(bytes);
    }

    /// Commands are taken only while the one before is answered and its answer is on its way
    pub(crate) fn wants_input(&self, app: &Arc<App>) -> bool {
        self.waiting.is_empty() && !self.socket.has_unread() && self.takes_commands(app)
    }

    /// Whether no answer is under way, and another may be queued: one read can bring a thousand commands, and each may ask
    /// for a megabyte
    fn takes_commands(&self, app: &App) -> bool {
        self.publishing.is_none()
            && self.renewing.is_none()
            && self.history.is_none()
            && self.socket.queued() <= app.config.stream.send_buffer_bytes
    }

    pub(crate) fn handle_time(&mut self, now: Timestamp) {
        self.socket.handle_time(now);
    }

    /// The client takes less than it is sent: what waits for it is to be small
    pub(crate) fn handle_blocked(&mut self) {
        self.was_blocked = true;
    }

    pub(crate) fn handle_leave(&mut self, delay: Duration, now: Timestamp) {
        self.socket
            .say(&json!({ "reconnect": { "after_ms": delay.as_millis() as u64 } }).to_string());
        self.listed.sent_away();
        self.socket.close(restart_frame(delay), now);
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        let socket = self.socket.deadline().min(self.present.deadline());
        match &self.awaited {
            Some(awaited) => socket.min(awaited.until),
            None => socket,
        }
    }
}

/// Who may no longer read a topic is no longer present at it
fn may_stay(app: &App, grant: &Grant, topic: &Topic, now: Timestamp) -> bool {
    let pattern = [Pattern::exact(topic.clone())];
    app.hub.check_reading(grant, &pattern, now).is_ok()
}

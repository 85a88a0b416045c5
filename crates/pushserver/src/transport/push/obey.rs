//! Carrying out the commands of a connection: what each may cost, in which order, and what is said of it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pushcore::Timestamp;
use serde_json::{Value, json};
use ws_codec::Message;

use super::PushSocket;
use super::run::{Run, reply};
use crate::app::App;
use crate::close_codes::Closing;
use crate::rates::{self, Allowance};
use crate::transport::command::{Command, Envelope, Failure, Inputs, NotACommand};
use crate::transport::history::History;
use crate::transport::renewal::Renewal;
use crate::web::problem::Problem;

impl PushSocket {
    /// Carries out the commands that have come, up to one whose answer is still under way
    ///
    /// Publishes that follow each other go to the log together. Answers come in the order of the commands.
    pub(super) fn obey_waiting(&mut self, app: &Arc<App>, now: Timestamp) {
        // A revocation comes with what is sent, and a client that reads nothing is sent nothing.
        if !self.waiting.is_empty() && app.hub.is_revoked(&self.grant, now) {
            self.close(app, Closing::Revoked, "the grant was revoked", now);
        }
        let mut run = Run::default();
        while self.takes_commands(app)
            && !self.socket.is_closed()
            && let Some(message) = self.waiting.pop_front()
        {
            let envelope = match &message {
                Message::Text(text) => Some(Envelope::parse(text)),
                Message::Binary(_) => None,
            };
            let behind = match envelope {
                Some(Err(fault)) => {
                    self.refuse(app, fault, &mut run, now);
                    continue;
                }
                Some(Ok(Envelope {
                    reference,
                    command: Command::Publish(inputs),
                })) => {
                    self.join(app, reference, inputs, &mut run, now);
                    continue;
                }
                Some(Ok(envelope)) => Some(envelope),
                None => None,
            };
            self.publish(app, &mut run);
            if self.publishing.is_some() {
                drop(behind);
                self.waiting.push_front(message);
                return;
            }
            match behind {
                Some(envelope) => self.obey(app, envelope, now),
                None => {
                    let reason = "push.v1 speaks JSON text messages; binary ones have no meaning";
                    self.close(app, Closing::BadMessage, reason, now);
                }
            }
        }
        if self.socket.is_closed() {
            self.waiting.clear();
        }
        self.publish(app, &mut run);
    }

    /// Says what is wrong with a message that is no command
    fn refuse(&mut self, app: &Arc<App>, fault: NotACommand, run: &mut Run, now: Timestamp) {
        // It was looked at all the same.
        let failure = match self.spend_command(app, now) {
            Ok(()) => fault.failure,
            Err(problem) => refusal(app, problem),
        };
        run.fail(fault.reference, failure);
    }

    /// Lets a publish join those before it
    fn join(
        &mut self,
        app: &Arc<App>,
        reference: Option<Value>,
        inputs: Inputs,
        run: &mut Run,
        now: Timestamp,
    ) {
        let spent = self.spend_command(app, now);
        let (subject, address) = (self.grant.subject.as_deref(), self.listed.address());
        let rates = &app.publish_rates;
        match spent.and_then(|()| rates.admit(subject, address, inputs.len(), now)) {
            Err(problem) => run.fail(reference, refusal(app, problem)),
            Ok(()) if self.awaited.is_some() => run.fail(reference, no_token()),
            Ok(()) => {
                let max = app.config.http.max_batch_events;
                run.join(reference, inputs, max, &self.grant, now);
            }
        }
    }

    /// Carries out a command that is no publish
    fn obey(&mut self, app: &Arc<App>, envelope: Envelope, now: Timestamp) {
        let Envelope { reference, command } = envelope;
        if let Err(problem) = self.spend_command(app, now) {
            return reply(&mut self.socket, reference, Err(refusal(app, problem)));
        }
        let result = match command {
            Command::Refresh(refresh) => {
                let renewal = Renewal::start(app, refresh, self.listed.address(), reference);
                self.renewing = Some(Box::new(renewal));
                // Most know at once.
                let _ = self.poll_renewing(&mut Context::from_waker(Waker::noop()), app, now);
                return;
            }
            Command::Ping => Ok(json!({})),
            _ if self.awaited.is_some() => Err(no_token()),
            Command::Publish(_) => unreachable!("it has joined the run"),
            Command::History(history) => match history.run(app, &self.grant, now) {
                Ok(page) => {
                    self.history = History::answer(app, page, reference.as_ref(), &mut self.socket);
                    return;
                }
                Err(failure) => Err(failure),
            },
            Command::Subscribe(subscribe) => {
                subscribe.run(app, &mut self.subscription, &self.grant, now)
            }
            Command::Unsubscribe(unsubscribe) => unsubscribe.run(&mut self.subscription),
            Command::Presence(presence) => presence.run(app, &self.grant, now),
            Command::Join(join) => join.run(app, &mut self.present, &self.grant, now),
            Command::Leave(leave) => leave.run(&mut self.present),
        };
        reply(&mut self.socket, reference, result);
    }

    /// Takes a command from what the connection may say
    fn spend_command(&mut self, app: &Arc<App>, now: Timestamp) -> Result<(), Problem> {
        if app.publish_rates.is_open() {
            return Ok(());
        }
        let Some(per_second) = app.config.rates.connection_commands_per_second else {
            return Ok(());
        };
        let allowance = self
            .commands
            .get_or_insert_with(|| Allowance::full(per_second, now));
        allowance.take(per_second, 1, now).map_err(|wait| {
            let setting = "rates.connection_commands_per_second";
            rates::too_many("too-many-commands", setting, wait)
        })
    }

    /// Hands the run to the log; over a store its answers may come later
    fn publish(&mut self, app: &Arc<App>, run: &mut Run) {
        let mut run = std::mem::take(run);
        if run.is_empty() {
            return;
        }
        match run.start(app, self.grant.subject.as_deref()) {
            Poll::Ready(results) => run.answer(&mut self.socket, results),
            Poll::Pending => self.publishing = Some(Box::new(run)),
        }
    }
}

/// A refusal of one of the rates, counted
fn refusal(app: &App, problem: Problem) -> Failure {
    app.metrics.refused(problem.kind());
    problem.into()
}

fn no_token() -> Failure {
    Failure::new(
        "unauthorized",
        "the first message of this connection is {\"refresh\":{\"token\":\"…\"}}",
    )
}

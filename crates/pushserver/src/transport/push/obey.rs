//! Carrying out the commands of a connection: what each may cost, in which order, and what is said of it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pushcore::Timestamp;
use serde_json::json;
use ws_codec::Message;

use super::PushSocket;
use super::run::{Run, reply};
use crate::app::App;
use crate::close_codes::Closing;
use crate::rates::{self, Allowance};
use crate::transport::command::{Command, Envelope, Failure, NotACommand};
use crate::transport::history::History;
use crate::transport::renewal::Renewal;
use crate::web::problem::Problem;

impl PushSocket {
    /// Carries out the commands that have come, up to one whose answer is still under way
    ///
    /// Publishes that follow each other go to the log together.
    pub(super) fn obey_waiting(&mut self, app: &Arc<App>, now: Timestamp) {
        if self.is_closed {
            self.waiting.clear();
        }
        let mut run = Run::default();
        while !self.is_closed
            && self.takes_commands(app)
            && let Some(message) = self.waiting.pop_front()
        {
            let Message::Text(text) = &message else {
                let reason = "push.v1 speaks JSON text messages; binary ones have no meaning";
                self.publish(app, &mut run);
                return self.close(app, Closing::BadMessage, reason, now);
            };
            match Envelope::parse(text) {
                Ok(envelope) => self.obey(app, envelope, &mut run, now),
                Err(fault) => self.refuse(app, fault, &mut run, now),
            }
        }
        self.publish(app, &mut run);
    }

    /// Says what is wrong with a message that is no command
    fn refuse(&mut self, app: &Arc<App>, fault: NotACommand, run: &mut Run, now: Timestamp) {
        self.publish(app, run);
        // It was looked at all the same.
        let failure = match self.spend_command(app, now) {
            Ok(()) => fault.failure,
            Err(problem) => {
                app.metrics.refused(problem.kind());
                problem.into()
            }
        };
        reply(&mut self.socket, fault.reference, Err(failure));
    }

    /// Carries out a command, or lets a publish join the `run` of those before it; everything else is carried out, and
    /// answered, behind that
    fn obey(&mut self, app: &Arc<App>, envelope: Envelope, run: &mut Run, now: Timestamp) {
        let Envelope { reference, command } = envelope;
        if let Err(problem) = self.spend(app, &command, now) {
            app.metrics.refused(problem.kind());
            self.publish(app, run);
            return reply(&mut self.socket, reference, Err(problem.into()));
        }
        if !matches!(command, Command::Publish(_)) {
            self.publish(app, run);
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
            _ if self.awaited.is_some() => Err(Failure::new(
                "unauthorized",
                "the first message of this connection is {\"refresh\":{\"token\":\"…\"}}",
            )),
            Command::Publish(inputs) => {
                let max = app.config.http.max_batch_events;
                match inputs.append_to(&mut run.entries, max, &self.grant, now) {
                    Ok(count) => {
                        run.commands.push((reference, count));
                        return;
                    }
                    Err(failure) => {
                        self.publish(app, run);
                        Err(failure)
                    }
                }
            }
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

    /// Takes a command from what the connection may say, and its events from what its subject may publish
    fn spend(&mut self, app: &Arc<App>, command: &Command, now: Timestamp) -> Result<(), Problem> {
        self.spend_command(app, now)?;
        let Command::Publish(inputs) = command else {
            return Ok(());
        };
        let (subject, address) = (self.grant.subject.as_deref(), self.listed.address());
        app.publish_rates.admit(subject, address, inputs.len(), now)
    }

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

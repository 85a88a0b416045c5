//! What a connection does when nothing happens.

use core::time::Duration;

use super::{Connection, State};
use crate::control::ControlPayload;
use crate::end::{Ended, Lost};
use crate::failure::Refused;
use crate::nanos::Nanos;

impl Connection {
    /// Does what is due at `now`: to be called at [`poll_timeout`](Connection::poll_timeout), and harmless at other times.
    pub fn handle_timeout(&mut self, now: Duration) {
        let now_nanos = Nanos::from(now);
        match self.state {
            State::Over => {}
            State::AwaitingClose | State::Leaving => {
                if now_nanos >= self.close_by {
                    self.finish(Ended::Lost(Lost::CloseUnanswered));
                }
            }
            State::Open => {
                if now_nanos >= self.message_due() {
                    self.fail(Refused::TooSlow.into(), now);
                } else if now_nanos >= self.silence_due() {
                    if self.pinged {
                        self.finish(Ended::Lost(Lost::Silent));
                    } else {
                        self.pinged = true;
                        self.queue().ping.get_or_insert(ControlPayload::EMPTY);
                    }
                }
            }
        }
    }

    /// When [`handle_timeout`](Connection::handle_timeout) is to be called next, if nothing comes in before; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let due = match self.state {
            State::Open => self.message_due().min(self.silence_due()),
            State::AwaitingClose | State::Leaving => self.close_by,
            State::Over => Nanos::NEVER,
        };
        due.into_duration()
    }

    /// When the message under way has taken too long
    fn message_due(&self) -> Nanos {
        self.config
            .max_message_time
            .map_or(Nanos::NEVER, |time| self.begun.after(time))
    }

    /// When the peer has been silent for too long: first for a ping, then for good
    fn silence_due(&self) -> Nanos {
        let Some(ping_after) = self.config.ping_after else {
            return Nanos::NEVER;
        };
        let patience = if self.pinged {
            ping_after + self.config.max_silence
        } else {
            ping_after
        };
        self.last_heard.after(patience)
    }
}

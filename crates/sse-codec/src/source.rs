//! A client that comes back: when to connect, with which ID, and when to stop.

use core::time::Duration;

use crate::decode::Decoder;
use crate::items::Items;
use crate::response::{Passing, Response, Verdict};

/// Everything about an `EventSource` but the network: connect, read, lose, wait, come back, miss nothing
///
/// ```text
///                connect            200, text/event-stream
///   ┌─> Waiting ─────────> Connecting ────────────────────> Open ──┐
///   │                          │ lost, or a passing refusal        │ lost, or ended
///   └──────────────────────────┴───────────────────────────────────┘
///   any ── any other answer, an oversized stream, close() ──> Closed
/// ```
///
/// The driver asks [`poll_action`](Self::poll_action) what to do, does it, and tells what came of it. Time is what any
/// monotonic clock reads, as the [`Duration`] since a moment of the driver's choice; chance is a seed.
///
/// ```
/// use core::time::Duration;
/// use sse_codec::{Action, Backoff, Decoder, EventSource, Response};
///
/// let at = Duration::from_secs;
/// let mut source = EventSource::new(Decoder::new(), Backoff::default(), 7);
/// assert_eq!(source.poll_action(at(0)), Action::Connect { last_event_id: None });
/// let head = Response { status: 200, content_type: Some("text/event-stream"), retry_after: None };
/// source.handle_response(&head, at(1));
/// let mut items = source.decode(b"retry: 100\nid: 17\ndata: Hello\n\n");
/// while let Some(event) = items.next_event()? {
///     println!("{}", event.data);
/// }
/// source.handle_lost(at(2));
/// assert!(matches!(source.poll_action(at(2)), Action::Wait { .. }));
/// assert_eq!(source.poll_action(at(3)), Action::Connect { last_event_id: Some("17") });
/// # Ok::<(), sse_codec::Oversized>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventSource {
    decoder: Decoder,
    backoff: Backoff,
    state: State,
    /// Attempts in a row that led to no stream
    failures: u32,
    random: u64,
}

/// How long a client waits before it comes back
///
/// The standard has it wait the reconnection time, and "optionally, wait some more", in particular to "avoid
/// overloading a potentially already overloaded server". So the wait is drawn between the reconnection time and one
/// and a half of it; every attempt that fails doubles the upper end, up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The reconnection time until the server says otherwise: 3 s
    pub initial: Duration,
    /// The shortest wait, whatever the server says: 100 ms
    ///
    /// A server that says `retry: 0` and ends each stream at once would otherwise have its client spin.
    pub min: Duration,
    /// How far doubling goes: 60 s; a longer reconnection time or `Retry-After` from the server still counts, up to the
    /// decoder's `max_retry`
    pub max: Duration,
    /// What to make of statuses that speak of a passing condition: as browsers do, fail
    pub passing: Passing,
}

/// What the driver is to do next
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Send a request, now; then say [`handle_response`](EventSource::handle_response) or
    /// [`handle_lost`](EventSource::handle_lost)
    Connect {
        /// What goes into `Last-Event-ID`, as UTF-8; without, the header is left out
        last_event_id: Option<&'a str>,
    },
    /// Wait for the answer
    AwaitResponse,
    /// Read and [`decode`](EventSource::decode), until [`handle_lost`](EventSource::handle_lost)
    Read,
    /// Do nothing until then, and ask again
    Wait {
        /// The moment to connect
        until: Duration,
    },
    /// There will be nothing more
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { until: Duration },
    Connecting,
    Open,
    Closed,
}

impl EventSource {
    /// A source that is to connect at once.
    ///
    /// The decoder brings the limits and, with [`Decoder::with_last_event_id`], where to go on. `seed` decides how
    /// long it waits within the bounds; give each client its own.
    #[must_use]
    pub fn new(decoder: Decoder, backoff: Backoff, seed: u64) -> Self {
        Self {
            decoder,
            backoff,
            state: State::Waiting {
                until: Duration::ZERO,
            },
            failures: 0,
            random: seed,
        }
    }

    /// What to do; a due connection is reported once and counts as being made from then on.
    pub fn poll_action(&mut self, now: Duration) -> Action<'_> {
        match self.state {
            State::Waiting { until } if now < until => Action::Wait { until },
            State::Waiting { .. } => {
                self.state = State::Connecting;
                let id = self.decoder.last_event_id();
                Action::Connect {
                    last_event_id: (!id.is_empty()).then_some(id),
                }
            }
            State::Connecting => Action::AwaitResponse,
            State::Open => Action::Read,
            State::Closed => Action::Stop,
        }
    }

    /// The head of the answer has come; ignored unless one is awaited.
    pub fn handle_response(&mut self, response: &Response<'_>, now: Duration) -> Verdict {
        let verdict = response.verdict(self.backoff.passing);
        if self.state != State::Connecting {
            return verdict;
        }
        match verdict {
            Verdict::Open => {
                self.failures = 0;
                self.state = State::Open;
            }
            Verdict::Reestablish => self.wait(now, response.retry_after),
            Verdict::Fail => self.state = State::Closed,
        }
        verdict
    }

    /// Takes bytes of the body; an error of the items is the end, see [`close`](Self::close).
    pub fn decode<'s, 'c>(&'s mut self, chunk: &'c [u8]) -> Items<'s, 'c> {
        self.decoder.decode(chunk)
    }

    /// The connection could not be made, was lost, or the body has ended, which is the same.
    ///
    /// An unfinished event is discarded: it will come again, as its ID has not been taken over.
    pub fn handle_lost(&mut self, now: Duration) {
        match self.state {
            State::Connecting | State::Open => {
                self.decoder.finish();
                self.wait(now, None);
            }
            State::Waiting { .. } | State::Closed => {}
        }
    }

    /// Stops for good.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }

    /// The decoder, with the last event ID and the reconnection time.
    #[must_use]
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    fn wait(&mut self, now: Duration, retry_after: Option<Duration>) {
        let told = self
            .decoder
            .reconnection_time()
            .unwrap_or(self.backoff.initial);
        let asked = retry_after.unwrap_or_default();
        let least = told
            .max(asked.min(self.decoder.limits.max_retry))
            .max(self.backoff.min);
        let half_more = |wait: Duration| wait.saturating_add(wait / 2);
        let doubled = half_more(least.saturating_mul(1 << self.failures.min(16)));
        let most = doubled.min(self.backoff.max.max(half_more(least)));
        let wait = least.saturating_add(self.fraction_of(most - least));
        let until = now.saturating_add(wait);
        if self.state == State::Connecting {
            self.failures = self.failures.saturating_add(1);
        }
        self.state = State::Waiting { until };
    }

    /// Somewhere between nothing and all of `span`, by SplitMix64.
    fn fraction_of(&mut self, span: Duration) -> Duration {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(match millis.checked_add(1) {
            Some(choices) => mixed % choices,
            None => mixed,
        })
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(3),
            min: Duration::from_millis(100),
            max: Duration::from_secs(60),
            passing: Passing::Fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::{EventId, Limits};

    fn source(seed: u64) -> EventSource {
        let backoff = Backoff {
            passing: Passing::Reestablish,
            ..Backoff::default()
        };
        EventSource::new(Decoder::new(), backoff, seed)
    }

    fn response(status: u16) -> Response<'static> {
        Response {
            status,
            content_type: Some("text/event-stream"),
            retry_after: None,
        }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Connects, which has to be due, and reads this.
    #[track_caller]
    fn open(source: &mut EventSource, now: Duration, body: &[u8]) {
        assert!(matches!(source.poll_action(now), Action::Connect { .. }));
        assert_eq!(source.handle_response(&response(200), now), Verdict::Open);
        assert_eq!(source.poll_action(now), Action::Read);
        let mut items = source.decode(body);
        while items.next_event().unwrap().is_some() {}
    }

    #[track_caller]
    fn wait_from(source: &mut EventSource, now: Duration) -> Duration {
        match source.poll_action(now) {
            Action::Wait { until } => until - now,
            other => panic!("{other:?} instead of a wait"),
        }
    }

    #[test]
    fn it_connects_at_once_and_with_no_id() {
        let mut source = source(1);
        let connect = Action::Connect {
            last_event_id: None,
        };
        assert_eq!(source.poll_action(millis(0)), connect);
        assert_eq!(source.poll_action(millis(0)), Action::AwaitResponse);
    }

    #[test]
    fn it_comes_back_with_the_id_of_the_last_whole_event() {
        let mut source = source(1);
        open(
            &mut source,
            millis(0),
            b"retry: 200\nid: 1\ndata: a\n\nid: 2\ndata: b\n",
        );
        source.handle_lost(millis(10));
        let wait = wait_from(&mut source, millis(10));
        assert!((200..=300).contains(&wait.as_millis()), "{wait:?}");
        let connect = Action::Connect {
            last_event_id: Some("1"),
        };
        assert_eq!(source.poll_action(millis(10) + wait), connect);
    }

    #[test]
    fn a_seeded_id_is_sent_at_once() {
        let decoder = Decoder::new().with_last_event_id(EventId::from_static("7"));
        let mut source = EventSource::new(decoder, Backoff::default(), 1);
        let connect = Action::Connect {
            last_event_id: Some("7"),
        };
        assert_eq!(source.poll_action(millis(0)), connect);
    }

    #[test]
    fn waits_grow_while_nothing_answers_and_shrink_when_something_does() {
        let mut source = source(3);
        open(&mut source, millis(0), b"retry: 1000\n");
        let mut now = millis(0);
        let mut highest = millis(0);
        for failures in 0..30 {
            source.handle_lost(now);
            let wait = wait_from(&mut source, now);
            let most = (1500u64 << failures.min(10)).min(60_000);
            assert!(wait >= millis(1000) && wait <= millis(most), "{wait:?}");
            highest = highest.max(wait);
            now += wait;
            assert!(matches!(source.poll_action(now), Action::Connect { .. }));
        }
        assert!(highest > millis(20_000), "never more than {highest:?}");
        source.handle_response(&response(200), now);
        source.handle_lost(now);
        assert!(wait_from(&mut source, now) <= millis(1500));
    }

    #[test]
    fn waits_differ_from_client_to_client() {
        let wait = |seed| {
            let mut source = source(seed);
            open(&mut source, millis(0), b"");
            source.handle_lost(millis(0));
            wait_from(&mut source, millis(0))
        };
        let mut waits: Vec<_> = (0..100).map(wait).collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 80, "only {} different waits", waits.len());
        assert_eq!(wait(5), wait(5));
    }

    #[test]
    fn a_passing_refusal_is_waited_out_and_retry_after_counts() {
        let mut source = source(1);
        source.poll_action(millis(0));
        let busy = Response {
            retry_after: Some(Duration::from_secs(90)),
            ..response(503)
        };
        assert_eq!(
            source.handle_response(&busy, millis(0)),
            Verdict::Reestablish
        );
        assert!(wait_from(&mut source, millis(0)) >= Duration::from_secs(90));
    }

    #[test]
    fn any_other_answer_is_the_end() {
        for status in [204, 301, 401, 404] {
            let mut source = source(1);
            source.poll_action(millis(0));
            assert_eq!(
                source.handle_response(&response(status), millis(0)),
                Verdict::Fail
            );
            source.handle_lost(millis(0));
            assert_eq!(source.poll_action(millis(99_999)), Action::Stop);
        }
    }

    #[test]
    fn a_server_cannot_make_it_spin_or_stay_away_for_ever() {
        let mut source = source(1);
        open(&mut source, millis(0), b"retry: 0\n");
        source.handle_lost(millis(0));
        let wait = wait_from(&mut source, millis(0));
        assert!(wait >= millis(100));
        open(&mut source, wait, b"retry: 18446744073709551615\n");
        source.handle_lost(wait);
        let most = Limits::default().max_retry / 2 * 3;
        assert!(wait_from(&mut source, wait) <= most);
    }

    #[test]
    fn the_longest_times_overflow_nothing() {
        let limits = Limits {
            max_retry: Duration::MAX,
            ..Limits::default()
        };
        let backoff = Backoff {
            passing: Passing::Reestablish,
            max: Duration::MAX,
            ..Backoff::default()
        };
        let mut source = EventSource::new(Decoder::with_limits(limits), backoff, 1);
        source.poll_action(Duration::MAX);
        let busy = Response {
            retry_after: Some(Duration::MAX),
            ..response(503)
        };
        source.handle_response(&busy, Duration::MAX);
        let connect = source.poll_action(Duration::MAX);
        assert!(matches!(connect, Action::Connect { .. }));
    }
}

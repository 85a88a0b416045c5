//! What a subscription hands out.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Event;
use crate::forms::{Forms, Holder};
use crate::pattern::Pattern;
use crate::position::Position;
use crate::presence::PresenceChange;
use crate::timestamp::Timestamp;

/// One thing for a reader, in the order in which it is to be told
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// Events, in offset order
    Batch(Arc<Batch>),
    /// A range in which the reader may have missed events; told before the events that follow it
    Gap(Gap),
    /// A topic has ended, or a pattern is read no longer
    End(End),
    /// The grant runs out at that time unless it is renewed
    Expiring {
        /// When
        at: Timestamp,
    },
    /// Somebody came or went
    Presence(PresenceChange),
    /// More came and went than is kept for a slow reader: ask [`Hub::presence`](crate::Hub::presence) who is there
    PresenceMissed,
    /// The subscription is over; every later poll says so again
    Closed(CloseReason),
}

/// Events that are delivered together, shared by every subscriber that stands at the same place
///
/// Two subscribers were given the same batch if [`Arc::ptr_eq`] says so; work keyed on that, such as the joined encoding
/// that [`form`](Batch::form) keeps, is done once for all of them.
pub struct Batch {
    events: Events,
    bytes: usize,
    forms: Forms,
}

/// One event needs no list
enum Events {
    One(Arc<Event>),
    Many(Box<[Arc<Event>]>),
}

impl Batch {
    pub(crate) fn of_many(events: Box<[Arc<Event>]>) -> Batch {
        Batch::new(Events::Many(events))
    }

    /// A batch of one event, in the memory of an old one that nobody holds any more.
    #[inline]
    pub(crate) fn of_one(event: Arc<Event>, old: Option<Arc<Batch>>) -> Arc<Batch> {
        if let Some(mut old) = old
            && let Some(batch) = Arc::get_mut(&mut old)
        {
            batch.forms.release(batch.events.first().form_cache());
            batch.bytes = event.body_len();
            match &mut batch.events {
                Events::One(old) => *old = event,
                many => *many = Events::One(event),
            }
            return old;
        }
        Arc::new(Batch::new(Events::One(event)))
    }

    /// Takes the events out of a list, whose memory stays with its owner.
    pub(crate) fn take_from(events: &mut Vec<Arc<Event>>) -> Arc<Batch> {
        Arc::new(match events.len() {
            1 => Batch::new(Events::One(events.remove(0))),
            _ => Batch::of_many(events.drain(..).collect()),
        })
    }

    fn new(events: Events) -> Batch {
        let bytes = events.as_slice().iter().map(|event| event.body_len());
        Batch {
            bytes: bytes.sum(),
            events,
            forms: Forms::default(),
        }
    }

    /// The events, at least one, in offset order.
    #[must_use]
    pub fn events(&self) -> &[Arc<Event>] {
        self.events.as_slice()
    }

    /// The position of the first event.
    #[must_use]
    pub fn from(&self) -> Position {
        self.events.first().position()
    }

    /// The position of the last event: where the reader stands after it.
    #[must_use]
    pub fn to(&self) -> Position {
        let last = self.events().last();
        last.expect("a batch is not empty").position()
    }

    /// Bytes of data and labels of all events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The whole batch in the form `index`, made by `encode` once and kept; see [`Event::form`].
    pub fn form(self: &Arc<Batch>, index: u8, encode: impl FnOnce() -> Bytes) -> Bytes {
        let holder = || Holder::Batch(Arc::downgrade(self));
        let cache = self.events.first().form_cache();
        self.forms.get_or_encode(index, cache, holder, encode)
    }

    pub(crate) fn forms(&self) -> &Forms {
        &self.forms
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.forms.release(self.events.first().form_cache());
    }
}

impl Events {
    fn as_slice(&self) -> &[Arc<Event>] {
        match self {
            Events::One(event) => std::slice::from_ref(event),
            Events::Many(events) => events,
        }
    }

    fn first(&self) -> &Arc<Event> {
        self.as_slice().first().expect("a batch is not empty")
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.events()).finish()
    }
}

/// A range of positions in which a reader may have missed events of a pattern
///
/// For every reason but two the range is `from.offset ..= to.offset` in the log's epoch; both ends belong to it, and no
/// event that the reader is given for this pattern lies in it. For [`Epoch`](GapReason::Epoch) and
/// [`Rewound`](GapReason::Rewound) `from` is the position the reader came with, which the log does not have, and `to` is the
/// position reading goes on after: what was published behind `from` where the reader came from is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose events are missing
    pub pattern: Pattern,
    /// Where it begins
    pub from: Position,
    /// Where it ends
    pub to: Position,
    /// How many events of the pattern it took, where the log knows exactly
    pub missed: Option<u64>,
    /// Why
    pub reason: GapReason,
}

/// Why a range is missing
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// Retention took it
    Retention,
    /// The subscription lagged and skips to the newest
    Lag,
    /// Newer events of the same topics and keys replace it
    Conflated,
    /// The position belongs to another life of the log
    Epoch,
    /// The log was rewound behind the position
    Rewound,
    /// The store could not read it
    Corrupt,
}

impl GapReason {
    /// The word for it in every protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GapReason::Retention => "retention",
            GapReason::Lag => "lag",
            GapReason::Conflated => "conflated",
            GapReason::Epoch => "epoch",
            GapReason::Rewound => "rewound",
            GapReason::Corrupt => "corrupt",
        }
    }
}

/// A topic has ended, or a pattern is read no longer
///
/// Told after the events before it. A subscription to that very pattern has left it; one to a wildcard goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The topic, as a pattern, or the pattern that was revoked
    pub pattern: Pattern,
    /// Why
    pub reason: EndReason,
    /// Where in the log
    pub at: Position,
}

/// Why a topic or a pattern came to its end
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// Its publisher ended it
    Ended,
    /// It was erased
    Deleted,
    /// The grant no longer covers it
    Revoked,
}

impl EndReason {
    /// The word for it in every protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Ended => "ended",
            EndReason::Deleted => "deleted",
            EndReason::Revoked => "revoked",
        }
    }
}

/// Why a subscription is over
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Its grant ran out
    Expired,
    /// Its grant was revoked
    Revoked,
    /// It lagged, and its policy is to be disconnected
    Lagged,
}

impl CloseReason {
    /// The word for it in every protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CloseReason::Expired => "expired",
            CloseReason::Revoked => "revoked",
            CloseReason::Lagged => "lagged",
        }
    }
}

/// How much one poll may hand out; one event is handed out however large it is
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most events
    pub events: usize,
    /// Most bytes of data and labels
    pub bytes: usize,
}

impl Default for Budget {
    /// 256 events or 64 KiB: what one write to a socket takes well.
    fn default() -> Budget {
        Budget {
            events: 256,
            bytes: 64 << 10,
        }
    }
}

/// How many of the events that come next a budget takes: the first one, however large it is.
pub(crate) fn within<'a>(budget: Budget, events: impl Iterator<Item = &'a Arc<Event>>) -> usize {
    let mut bytes = 0;
    let mut count = 0;
    for event in events.take(budget.events.max(1)) {
        bytes += event.body_len();
        if bytes > budget.bytes && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

//! What a client may subscribe to and publish to, and until when.

use crate::pattern::{Pattern, PatternSet};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// What a client may do, as whoever verified its token says
///
/// pushcore knows no tokens: it decides by this and by `now`, at the start of a subscription and at every delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Who it is; a renewal must be for the same, or the first to say
    pub subject: Option<String>,
    /// Which token it came from, for revocation
    pub token_id: Option<String>,
    /// What may be read
    pub subscribe: PatternSet,
    /// What may be published to
    pub publish: PatternSet,
    /// Whether it is an administrator's
    pub admin: bool,
    /// When it runs out; from that moment on it allows nothing
    pub expires: Option<Timestamp>,
}

impl Grant {
    /// A grant for everything, for ever.
    #[must_use]
    pub fn all() -> Grant {
        Grant {
            subscribe: PatternSet::all(),
            publish: PatternSet::all(),
            admin: true,
            ..Grant::default()
        }
    }

    /// Has it run out?
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// May all of `pattern` be read?
    #[must_use]
    pub fn may_subscribe(&self, pattern: &Pattern) -> bool {
        self.subscribe.covers(pattern)
    }

    /// May `topic` be published to?
    #[must_use]
    pub fn may_publish(&self, topic: &Topic) -> bool {
        self.publish.matches(topic)
    }
}

/// What is taken back, from running subscriptions and from those to come
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revocation {
    /// Every grant from this token
    Token(String),
    /// Every grant of this subject
    Subject(String),
    /// Every subscription's pattern that overlaps this one
    Pattern(Pattern),
}

//! What a reader asks for.

use std::sync::Arc;

use crate::config::LagPolicy;
use crate::grant::Grant;
use crate::pattern::Pattern;
use crate::position::Position;
use crate::timestamp::Timestamp;

/// What a reader asks for
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    /// What it reads; may be empty, to be filled by [`Subscription::add`](crate::Subscription::add)
    pub patterns: Vec<Pattern>,
    /// Where it begins
    pub start: Start,
    /// What happens when it lags
    pub lag: LagPolicy,
    /// By whose leave; `None` for a reader inside the program, who may read everything
    pub grant: Option<Arc<Grant>>,
    /// Whether it is told who comes to its topics and leaves them
    pub presence: bool,
}

/// Where reading begins
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the head: the next event published is the first
    #[default]
    Now,
    /// After a position; what is lost since is announced
    After(Position),
    /// At the earliest event retained; what retention took before it is not announced
    Earliest,
    /// At the newest `n` events, or as many as are retained; what lies before them is not announced
    Last(u64),
    /// At the first event published at that time or later; if retention took some of those, that is announced
    Since(Timestamp),
}

/// Why a subscription, or a pattern of one, was refused
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The grant does not cover all of the pattern.
    #[error("the grant does not cover all of `{pattern}`")]
    Forbidden {
        /// The first that is not covered
        pattern: Pattern,
    },
    /// The grant has run out.
    #[error("the grant has run out")]
    Expired,
    /// The grant's token or subject was revoked.
    #[error("the grant was revoked")]
    Revoked,
    /// A renewed grant is for another subject.
    #[error("the renewed grant is for another subject")]
    OtherSubject,
    /// Too many patterns in one subscription.
    #[error("a subscription has at most {max} patterns")]
    TooManyPatterns {
        /// [`HubConfig::max_patterns`](crate::HubConfig)
        max: usize,
    },
    /// Too many subscriptions.
    #[error("there are {max} subscriptions already")]
    TooManySubscriptions {
        /// [`HubConfig::max_subscriptions`](crate::HubConfig)
        max: usize,
    },
    /// Too many different wildcard patterns are subscribed to.
    #[error("{max} different wildcard patterns are subscribed to already")]
    TooManyWildcards {
        /// [`HubConfig::max_wildcards`](crate::HubConfig)
        max: usize,
    },
    /// The subscription is over.
    #[error("the subscription is over")]
    Closed,
}

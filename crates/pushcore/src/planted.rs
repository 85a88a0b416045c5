//! Bugs on purpose, in test builds only: what finds them may be trusted.

#[cfg(test)]
use std::cell::Cell;

/// A bug that can be planted
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) enum Bug {
    /// Replay begins one event too late
    ReplayEdge,
    /// A reader that was given a batch is armed but does not wait for its feeds
    LostWakeup,
    /// A gap ends one offset before it should
    GapOneShort,
    /// A grant that shrinks does not reach the patterns it no longer covers
    GrantOnlyAtSubscribe,
    /// A grant that runs out goes unnoticed by a running subscription
    GrantNeverExpires,
    /// Retention takes an event and forgets to say so
    SilentEviction,
    /// A resume begins with the event it was to begin after
    DuplicateAfterResume,
    /// A shared batch is given to a reader that stands further back than where it begins
    SharedTooFar,
    /// What a forgotten topic had lost is forgotten with it
    ForgottenInSilence,
    /// A wildcard's index is not extended for a reader from further back
    ShortIndex,
    /// A retried publish is a second event
    RetryPublishesTwice,
    /// The tag of a position is not looked at
    TagIgnored,
    /// A page of the store that is cut by the budget is left one offset too far
    PageSkipsOne,
    /// A page that was asked for before a pattern was added is taken for all patterns
    StalePage,
    /// A log that begins again does not say so
    RestartInSilence,
    /// A store that was rewound is not noticed
    RewoundUnnoticed,
    /// Who hears of joins and leaves is not woken for them
    PresenceUnheard,
    /// A member whose lease ran out goes without a word
    LeaseEndsInSilence,
    /// What the store has lost is not announced
    StoreLosesInSilence,
    /// A reader that finds nothing lets go of the lock before it is put among those that wait
    ArmedTooLate,
    /// What a store told early is handed on after what it tells later
    FollowerOvertaken,
}

#[cfg(test)]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug on this thread, or none.
#[cfg(test)]
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Is this bug planted?
#[cfg(test)]
pub(crate) fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// No bug is planted outside tests.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn has(_: Bug) -> bool {
    false
}

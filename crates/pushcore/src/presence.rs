//! Who is there.

use std::sync::Arc;

use crate::topic::Topic;

/// Somebody came to a topic or left it
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// Where
    pub topic: Topic,
    /// Who
    pub member: Arc<str>,
    /// What was told about them when they came
    pub metadata: Option<Arc<str>>,
    /// Which of the two
    pub kind: PresenceKind,
}

/// Came or left
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceKind {
    /// Came
    Join,
    /// Left, or its lease ran out
    Leave,
}

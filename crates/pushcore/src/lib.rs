//! Topics, one log, many cursors.

mod config;
mod core;
mod cursor;
mod delivery;
mod event;
mod forms;
mod grant;
mod hub;
mod idempotency;
mod label;
mod log;
mod order;
mod pattern;
mod planted;
mod position;
mod presence;
mod publish;
mod random;
mod readers;
mod revoked;
#[cfg(test)]
mod simulation;
mod snapshot;
mod stats;
mod subscribe;
mod subscription;
mod timestamp;
mod topic;
mod trie;

pub use config::{HubConfig, LagAction, LagPolicy, MaxLag, Retention, RetentionRule};
pub use delivery::{Batch, Budget, CloseReason, Delivery, End, EndReason, Gap, GapReason};
pub use event::{Data, DataRef, Event, NewEvent};
pub use grant::{Grant, Revocation};
pub use hub::Hub;
pub use label::{ContentType, EventType, IdempotencyKey, Key, LabelError};
pub use pattern::{Pattern, PatternError, PatternSet};
pub use position::{Epoch, Position, PositionError, Tag};
pub use presence::{Member, PresenceChange, PresenceError, PresenceKind};
pub use publish::{Durability, Publish, PublishError, Receipt, Receipts};
pub use snapshot::{RestoreError, Snapshot};
pub use stats::{Backlog, HubStats, Page, TopicStatus};
pub use subscribe::{Start, SubscribeError, SubscribeOptions};
pub use subscription::Subscription;
pub use timestamp::Timestamp;
pub use topic::{Topic, TopicError};

//! Topics, one log, many cursors.

mod config;
mod delivery;
mod event;
mod forms;
mod grant;
mod hub;
mod label;
mod pattern;
mod position;
mod presence;
mod publish;
mod stats;
mod subscribe;
mod timestamp;
mod topic;

pub use config::{HubConfig, LagAction, LagPolicy, MaxLag, Retention, RetentionRule};
pub use delivery::{Batch, Budget, CloseReason, Delivery, End, EndReason, Gap, GapReason};
pub use event::{Data, DataRef, Event, NewEvent};
pub use grant::{Grant, Revocation};
pub use hub::{Hub, Subscription};
pub use label::{ContentType, EventType, IdempotencyKey, Key, LabelError};
pub use pattern::{Pattern, PatternError, PatternSet};
pub use position::{Epoch, Position, PositionError, Tag};
pub use presence::{PresenceChange, PresenceKind};
pub use publish::{Durability, Publish, PublishError, Receipt, Receipts};
pub use stats::{Backlog, HubStats, Page, TopicStatus};
pub use subscribe::{Start, SubscribeError, SubscribeOptions};
pub use timestamp::Timestamp;
pub use topic::{Topic, TopicError};

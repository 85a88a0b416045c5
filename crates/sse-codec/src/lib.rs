//! `text/event-stream` decoded and encoded exactly as the standard says, without sockets or a runtime.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod decode;
mod encode;
mod event;
mod field;
mod items;
mod limits;
mod line;
mod lines;
mod response;
mod source;
mod text;
mod writer;

pub use decode::{Decoder, End};
pub use encode::{Block, HEARTBEAT, MAX_RETRY_MILLIS, encode_comment, encode_retry};
pub use event::{Event, Item, OwnedEvent};
pub use field::{EventId, EventType, FieldError};
pub use items::Items;
pub use limits::{Limits, OnOversized, Oversized};
pub use response::{CONTENT_TYPE, Passing, Response, Verdict, is_event_stream};
pub use source::{Action, Backoff, EventSource};
pub use writer::DataWriter;

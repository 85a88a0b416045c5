//! `text/event-stream` decoded and encoded exactly as the standard says, without sockets or a runtime.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod encode;
mod field;
mod lines;
mod writer;

pub use encode::{Block, HEARTBEAT, MAX_RETRY_MILLIS, encode_comment, encode_retry};
pub use field::{EventId, EventType, FieldError};
pub use writer::DataWriter;

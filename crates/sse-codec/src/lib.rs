//! `text/event-stream` decoded and encoded exactly as the standard says, without sockets or a runtime.
//!
//! ```text
//!   a server                                                a client
//!
//!   EventId, EventType ──┐                             ┌──> Event, Comment, Retry
//!   (checked once)       v                             │
//!                      Block ──> bytes ~~ network ~~> Decoder ──> last_event_id
//!                        ^                             ^
//!   any data, comment ───┘                             │
//!   DataWriter                              EventSource: connect, wait, come back, stop
//! ```
//!
//! The contract in one sentence: whatever a [`Block`] holds comes back from a [`Decoder`] with every line end as LF and
//! nothing else besides, and whatever bytes a decoder is given, cut anywhere, it makes of them what [HTML 9.2.6] does,
//! in linear time and within its [`Limits`].
//!
//! ```
//! use sse_codec::{Block, Decoder, EventId};
//!
//! let mut stream = Vec::new();
//! Block::new().id(EventId::new("7")?).data("Hello,\r\nworld").encode_into(&mut stream);
//!
//! let mut decoder = Decoder::new();
//! let mut items = decoder.decode(&stream);
//! let event = items.next_event()?.expect("one event");
//! assert_eq!((event.event_type, event.last_event_id), ("message", "7"));
//! assert_eq!(event.data, "Hello,\nworld");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is not here: HTTP. [`Response`] and [`EventSource`] say what to do about it, the driver does it; the example
//! `event_source` is one over a plain TCP socket.
//!
//! The name sse-codec belongs to another crate in the public registry; this one would be published as
//! `event-stream-codec`.
//!
//! [HTML 9.2.6]: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "http-body")]
mod body;
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

#[cfg(feature = "http-body")]
pub use body::{BodyError, BodyEvents};
pub use decode::{Decoder, End};
pub use encode::{Block, HEARTBEAT, MAX_RETRY_MILLIS, encode_comment, encode_retry};
pub use event::{Event, Item, OwnedEvent};
pub use field::{EventId, EventType, FieldError};
pub use items::Items;
pub use limits::{Limits, OnOversized, Oversized};
pub use response::{CONTENT_TYPE, Passing, Response, Verdict, is_event_stream};
pub use source::{Action, Backoff, EventSource};
pub use writer::DataWriter;

/// The examples of the README run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

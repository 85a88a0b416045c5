//! Events on their way in: what a client reads.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use core::time::Duration;

use crate::limits::Oversized;

/// An event, borrowed from the bytes it came in where they allow
///
/// `D` is the form of the data: text, with U+FFFD for what is not UTF-8 (the default), or `&[u8]` as it came, from
/// [`Items::next_raw_event`](crate::Items::next_raw_event).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event<'a, D = Cow<'a, str>> {
    /// The event's type, `message` if the stream named none
    pub event_type: &'a str,
    /// The event's data, its lines joined by LF
    pub data: D,
    /// The last event ID as of this event: its own, or that of the latest block that had one, or empty
    pub last_event_id: &'a str,
}

/// An event that owns its parts
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OwnedEvent {
    /// The event's type, `message` if the stream named none
    pub event_type: String,
    /// The event's data, its lines joined by LF
    pub data: String,
    /// The last event ID as of this event
    pub last_event_id: String,
}

/// What a decoder finds in a stream
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A block with data
    Event(Event<'a>),
    /// The text of a comment, without the colon and one space after it; only if asked for with
    /// [`with_comments`](crate::Decoder::with_comments)
    Comment(Cow<'a, str>),
    /// A new reconnection time, in force from now on; only if asked for with
    /// [`with_retries`](crate::Decoder::with_retries)
    Retry(Duration),
    /// A block that exceeds the limits is being skipped; only with [`OnOversized::Skip`](crate::OnOversized::Skip)
    Skipped(Oversized),
}

impl Event<'_> {
    /// The event with copies of its parts.
    #[must_use]
    pub fn into_owned(self) -> OwnedEvent {
        OwnedEvent {
            event_type: self.event_type.to_owned(),
            data: self.data.into_owned(),
            last_event_id: self.last_event_id.to_owned(),
        }
    }
}

impl From<Event<'_>> for OwnedEvent {
    fn from(event: Event<'_>) -> Self {
        event.into_owned()
    }
}

#[cfg(feature = "bytes")]
impl Event<'_, &[u8]> {
    /// The data as a part of `chunk` if it lies there, without a copy; else a copy
    ///
    /// `chunk` is what was being decoded. The result keeps the whole of it in memory for as long as it lives.
    #[must_use]
    pub fn data_shared(&self, chunk: &bytes::Bytes) -> bytes::Bytes {
        let lies_within = chunk.as_ptr_range().start <= self.data.as_ptr_range().start
            && self.data.as_ptr_range().end <= chunk.as_ptr_range().end;
        if lies_within {
            chunk.slice_ref(self.data)
        } else {
            bytes::Bytes::copy_from_slice(self.data)
        }
    }
}

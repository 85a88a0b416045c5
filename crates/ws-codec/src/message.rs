//! Whole messages from the parts of them.

use alloc::borrow::Cow;
#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::event::{Content, Part};
use crate::failure::{Failure, Violation};
#[cfg(feature = "deflate")]
use crate::handshake::Deflate;
#[cfg(feature = "deflate")]
use crate::inflater::Inflater;
#[cfg(feature = "deflate")]
use crate::limits::Limits;
use crate::opcode::Kind;
#[cfg(feature = "deflate")]
use crate::role::Role;

/// A whole message: borrowed from the read it came in, or put together from several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'b> {
    /// UTF-8, checked
    Text(Cow<'b, str>),
    /// Bytes, any
    Binary(Cow<'b, [u8]>),
}

impl Message<'_> {
    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Message::Text(_) => Kind::Text,
            Message::Binary(_) => Kind::Binary,
        }
    }

    /// The bytes of either kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The message as bytes to be shared: copied if it was borrowed, taken over if not.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Message::Text(Cow::Borrowed(text)) => Bytes::copy_from_slice(text.as_bytes()),
            Message::Text(Cow::Owned(text)) => text.into(),
            Message::Binary(Cow::Borrowed(bytes)) => Bytes::copy_from_slice(bytes),
            Message::Binary(Cow::Owned(bytes)) => bytes.into(),
        }
    }

    /// The same message, free of the buffer it came in.
    #[must_use]
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Message::Text(text) => Message::Text(Cow::Owned(text.into_owned())),
            Message::Binary(bytes) => Message::Binary(Cow::Owned(bytes.into_owned())),
        }
    }
}

/// Puts messages together from their parts, and inflates those that are compressed.
///
/// Holds nothing between messages but, with context takeover, the inflater's window. Memory grows with what has come or was inflated, never with what
/// was announced: room for the rest of a frame is made at once only when that is at most four times what is here; else the room is doubled.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Partial,
    #[cfg(feature = "deflate")]
    inflater: Option<Box<Inflater>>,
}

/// What is here of a message under way
#[derive(Debug, Default)]
enum Partial {
    #[default]
    None,
    Text(String),
    Binary(Vec<u8>),
}

impl Assembler {
    /// An assembler at the beginning of a connection.
    #[must_use]
    pub const fn new() -> Assembler {
        Assembler {
            partial: Partial::None,
            #[cfg(feature = "deflate")]
            inflater: None,
        }
    }

    /// The same, for what was agreed on about compression; `role` is this side's.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, role: Role, agreed: &Deflate, limits: &Limits) -> Assembler {
        self.inflater = Some(Box::new(Inflater::new(role, agreed, limits)));
        self
    }

    /// Takes the next part and returns the message if it was the last.
    ///
    /// # Errors
    /// When a compressed message does not inflate, inflates to more than the limits allow, or is a text that is not UTF-8.
    pub fn push<'b>(&mut self, part: Part<'b>) -> Result<Option<Message<'b>>, Failure> {
        match part.content {
            Content::Text(piece) => {
                let text = self.partial.text();
                let now = piece.text.len() + piece.joined.map_or(0, char::len_utf8);
                text.reserve_exact(room(text.len(), text.capacity(), now, part.announced));
                text.extend(piece.joined);
                text.push_str(piece.text);
            }
            Content::Binary(bytes) if part.first && part.last => {
                return Ok(Some(Message::Binary(Cow::Borrowed(bytes))));
            }
            Content::Binary(bytes) => {
                let partial = self.partial.binary();
                partial.reserve_exact(room(
                    partial.len(),
                    partial.capacity(),
                    bytes.len(),
                    part.announced,
                ));
                partial.extend_from_slice(bytes);
            }
            Content::Compressed(kind, bytes) => self.inflate(kind, bytes, part.last)?,
        }
        if !part.last {
            return Ok(None);
        }
        Ok(match core::mem::take(&mut self.partial) {
            Partial::None => None,
            Partial::Text(text) => Some(Message::Text(Cow::Owned(text))),
            Partial::Binary(bytes) => Some(Message::Binary(Cow::Owned(bytes))),
        })
    }

    #[cfg(feature = "deflate")]
    fn inflate(&mut self, kind: Kind, bytes: &[u8], last: bool) -> Result<(), Failure> {
        let inflater = self.inflater.as_mut().ok_or(Violation::ReservedBit)?;
        match kind {
            Kind::Text => inflater.push_text(bytes, last, self.partial.text()),
            Kind::Binary => inflater.push_binary(bytes, last, self.partial.binary()),
        }
    }

    #[cfg(not(feature = "deflate"))]
    fn inflate(&mut self, _: Kind, _: &[u8], _: bool) -> Result<(), Failure> {
        Err(Violation::ReservedBit.into())
    }
}

/// How much room to make behind the `len` bytes of a message, when `now` more come and the peer announced `later` more.
///
/// Each step makes it at least one and a half times as large, so that what is copied from smaller places to larger ones stays below three times the
/// message, and at most four times what has come.
fn room(len: usize, capacity: usize, now: usize, later: u64) -> usize {
    let here = len + now;
    if here <= capacity {
        return now;
    }
    let whole = usize::try_from(later).map_or(usize::MAX, |later| here.saturating_add(later));
    let target = whole.min(here.saturating_mul(4));
    if target >= len + len / 2 {
        target - len
    } else {
        now.max(len)
    }
}

impl Partial {
    fn text(&mut self) -> &mut String {
        if !matches!(self, Partial::Text(_)) {
            *self = Partial::Text(String::new());
        }
        match self {
            Partial::Text(text) => text,
            _ => unreachable!("made a text just above"),
        }
    }

    fn binary(&mut self) -> &mut Vec<u8> {
        if !matches!(self, Partial::Binary(_)) {
            *self = Partial::Binary(Vec::new());
        }
        match self {
            Partial::Binary(bytes) => bytes,
            _ => unreachable!("made binary just above"),
        }
    }
}

//! What the decoder found.

use crate::close::CloseFrame;
use crate::control::ControlPayload;
use crate::opcode::Kind;
use crate::utf8::TextPiece;

/// What the [`Decoder`](crate::Decoder) found in the input, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// A text message, all of it
    Text(&'b str),
    /// A binary message, all of it
    Binary(&'b [u8]),
    /// A part of a message: it was fragmented, compressed, cut between two reads, or is a text over 64 KiB
    Part(Part<'b>),
    /// A ping, to be answered by a pong with the same payload
    Ping(ControlPayload),
    /// A pong, asked for or not
    Pong(ControlPayload),
    /// The peer's last frame, with its code and reason if it gave any; the rest of what it sends is ignored
    Close(Option<CloseFrame>),
}

/// A part of a message. Parts come in order; control frames may come between them, other messages may not.
///
/// How a message falls into parts depends on how the stream was cut into reads and says nothing about its frames.
/// [`Assembler`](crate::Assembler) puts them together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'b> {
    /// The message begins with this part
    pub first: bool,
    /// The message ends with this part, which may be empty
    pub last: bool,
    /// Bytes of payload that the frame under way announced and that are still to come. A claim of the peer's: room made for it should stay in
    /// proportion to what has come
    pub announced: u64,
    /// The bytes
    pub content: Content<'b>,
}

/// The bytes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'b> {
    /// Text, checked up to here
    Text(TextPiece<'b>),
    /// Binary data
    Binary(&'b [u8]),
    /// Data of this kind as permessage-deflate compressed it: still to be inflated, and text still to be checked
    Compressed(Kind, &'b [u8]),
}

impl Content<'_> {
    /// Whether nothing came, or nothing but the beginning of a character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Content::Text(piece) => piece.joined.is_none() && piece.text.is_empty(),
            Content::Binary(bytes) | Content::Compressed(_, bytes) => bytes.is_empty(),
        }
    }
}

impl<'b> Event<'b> {
    /// A part that is both first and last and nothing but borrowed bytes is a whole message.
    pub(crate) fn whole_or_part(part: Part<'b>) -> Event<'b> {
        match part {
            Part {
                first: true,
                last: true,
                content: Content::Text(TextPiece { joined: None, text }),
                ..
            } => Event::Text(text),
            Part {
                first: true,
                last: true,
                content: Content::Binary(bytes),
                ..
            } => Event::Binary(bytes),
            part => Event::Part(part),
        }
    }
}

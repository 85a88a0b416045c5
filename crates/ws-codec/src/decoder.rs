//! Bytes in, events out: the reading half of RFC 6455.

mod stepwise;

use alloc::boxed::Box;
use core::mem;

use crate::control::ControlPayload;
use crate::event::Event;
use crate::failure::{Failed, Violation};
use crate::header::{Length, MASKED};
use crate::limits::Limits;
use crate::mask::Mask;
use crate::opcode::{Kind, OpCode};
use crate::role::Role;
use crate::unmasked::Unmasked;
use crate::utf8::{self, Utf8Stream};

/// Reads frames from bytes as they come, in place, and checks everything there is to check.
///
/// The caller owns the buffer. [`decode`](Decoder::decode) takes bytes off its front, unmasks them where they are and
/// hands out events that borrow from it. The decoder itself holds a frame header that is half here, three bytes of a character
/// and, while a control frame is cut between two reads, its payload: 125 bytes on the heap, nothing else.
///
/// One buffer serves any number of connections, and 16 KiB is a good size for it: what was read is then still in the processor's first-level
/// cache when it is unmasked, checked and looked at. A message of 1 MiB costs a third more in reads of 64 KiB.
///
/// ```
/// use ws_codec::{Decoder, Event, Limits, Role};
///
/// let mut decoder = Decoder::new(Role::Server, Limits::default());
/// let mut read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x80\x37\xfa\x21\x3d";
/// let mut input = &mut read[..];
/// assert_eq!(decoder.decode(&mut input)?, Some(Event::Text("Hello")));
/// assert!(matches!(decoder.decode(&mut input)?, Some(Event::Ping(payload)) if payload.is_empty()));
/// assert_eq!(decoder.decode(&mut input)?, None);
/// assert!(input.is_empty());
/// # Ok::<(), ws_codec::Failed>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: Limits,
    role: Role,
    compression: Compression,
    stage: Stage,
    head: Head,
    /// Payload bytes of this frame still to come: while its header is half here, the length as far as it is
    remaining: Length,
    /// The mask as it goes over the next of them
    mask: Mask,
    message: Option<Message>,
    utf8: Utf8Stream,
    fragments: u32,
    message_len: u64,
    /// A control frame's payload while it is cut between reads
    control: Option<Box<ControlPayload>>,
}

/// Whether permessage-deflate was agreed on, which gives RSV1 its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RSV1 is a violation
    None,
    /// RSV1 on the first frame of a message says that the message is compressed
    Deflate,
}

/// Where in the stream the next byte stands
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Data,
    Control,
    /// A close frame has come, or the peer has failed: the rest is not for us
    Over,
}

/// A frame header as far as it is here
#[derive(Clone, Copy, Debug)]
struct Head {
    seen: u8,
    first: u8,
    second: u8,
}

/// A frame for the short way: where its payload stands
struct Whole {
    kind: Kind,
    head: usize,
    mask: Mask,
    len: usize,
}

/// A message under way
#[derive(Clone, Copy, Debug)]
struct Message {
    kind: Kind,
    compressed: bool,
    told: bool,
}

impl Decoder {
    /// Text over this size is handed out in parts of half of it even when all of it is here, so that each is unmasked and checked
    /// while it is in the processor's cache.
    pub const MAX_WHOLE_TEXT: usize = 64 * 1024;

    /// A decoder at the beginning of a connection, after the opening handshake, without compression.
    #[must_use]
    pub const fn new(role: Role, limits: Limits) -> Decoder {
        Decoder {
            limits,
            role,
            compression: Compression::None,
            stage: Stage::Head,
            head: Head::EMPTY,
            remaining: Length(0),
            mask: Mask([0; 4]),
            message: None,
            utf8: Utf8Stream::new(),
            fragments: 0,
            message_len: 0,
            control: None,
        }
    }

    /// The same, with permessage-deflate agreed on or not.
    #[must_use]
    pub const fn with_compression(mut self, compression: Compression) -> Decoder {
        self.compression = compression;
        self
    }

    /// Takes bytes off the front of `input` up to the end of the next event, and returns it.
    ///
    /// `None` means that all of `input` was taken and more is needed. So a read is handled by calling this until it returns `None`.
    /// Nothing is ever lost by stopping earlier: what is left in `input` belongs in front of the next read.
    ///
    /// After a close frame, and after an error, everything is taken and nothing comes of it (RFC 6455 section 1.4: "discards any
    /// further data").
    ///
    /// # Errors
    /// What the peer did wrong, as soon as the byte that proves it is here. The connection is over.
    #[inline]
    pub fn decode<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, Failed> {
        if self.stage == Stage::Head
            && self.head.seen == 0
            && self.message.is_none()
            && let Some(event) = self.decode_whole(input)?
        {
            return Ok(Some(event));
        }
        self.decode_stepwise(input)
    }

    /// Which end this reads for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether a message has begun and not ended, or a frame is half here.
    #[must_use]
    pub fn is_inside_message(&self) -> bool {
        self.message.is_some() || self.stage == Stage::Control || self.head.seen != 0
    }

    /// Whether a close frame has come or the peer has failed, so that nothing more will come of what it sends.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// The short way for what is nearly everything: a data message in one frame, all of it here and nothing wrong with its header.
    ///
    /// Whatever is not exactly that is left as it was for the long way, which alone knows what is wrong and where.
    #[inline]
    fn decode_whole<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, Failed> {
        let Some(Whole {
            kind,
            head,
            mask,
            len,
        }) = self.find_whole(input)
        else {
            return Ok(None);
        };
        let (frame, rest) = mem::take(input).split_at_mut(head + len);
        let payload = &mut frame[head..];
        if kind == Kind::Binary {
            mask.apply(payload);
            *input = rest;
            return Ok(Some(Event::Binary(payload)));
        }
        let payload = Unmasked::new(mask, payload);
        match payload.text() {
            Some(text) => {
                *input = rest;
                Ok(Some(Event::Text(text)))
            }
            None => {
                self.stage = Stage::Over;
                Err(Failed {
                    failure: Violation::InvalidUtf8.into(),
                    at: head + utf8::first_wrong_byte(payload.bytes()),
                })
            }
        }
    }

    /// A frame for the short way at the front of the input, if there is one.
    #[inline]
    fn find_whole(&self, input: &[u8]) -> Option<Whole> {
        let &[first, second, ..] = input else {
            return None;
        };
        let kind = match first {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return None,
        };
        let masked = self.role.reads_masked();
        if (second & MASKED != 0) != masked {
            return None;
        }
        let (len, mut head) = match second & !MASKED {
            126 => match u16::from_be_bytes(*input[2..].first_chunk()?) {
                len @ 126.. => (usize::from(len), 4),
                _ => return None,
            },
            127 => match u64::from_be_bytes(*input[2..].first_chunk()?) {
                len @ 65536.. => (usize::try_from(len).ok()?, 10),
                _ => return None,
            },
            len => (usize::from(len), 2),
        };
        let mut mask = Mask([0; 4]);
        if masked {
            mask = Mask(*input[head..].first_chunk()?);
            head += 4;
        }
        let takes = len <= self.limits.max_frame && len <= self.limits.max_message;
        let pleasant = kind == Kind::Binary || len <= Decoder::MAX_WHOLE_TEXT;
        (takes && pleasant && len <= input.len() - head).then_some(Whole {
            kind,
            head,
            mask,
            len,
        })
    }
}

impl Head {
    const EMPTY: Head = Head {
        seen: 0,
        first: 0,
        second: 0,
    };

    fn opcode(&self) -> OpCode {
        OpCode::from_bits(self.first).expect("checked when the byte came")
    }
}

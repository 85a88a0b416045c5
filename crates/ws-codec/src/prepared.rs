//! Messages that are encoded once and sent to many.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

#[cfg(feature = "deflate")]
use crate::deflater::SharedDeflater;
#[cfg(feature = "deflate")]
use crate::handshake::Deflate;
use crate::header::FrameHeader;
use crate::opcode::{Kind, OpCode};
use crate::utf8::to_text;

/// A frame as a server sends it, ready to be sent again and again: cloning it copies no bytes.
///
/// Up to [`SharedFrame::MAX_COPIED`] bytes of payload stand behind their header in one piece, so that one `write` sends them; a longer
/// payload stays where the caller had it, beside its header, for a `writev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFrame {
    front: Bytes,
    rest: Bytes,
}

impl SharedFrame {
    /// The longest payload that is copied behind its header. Above it a second slice in a `writev` costs less than the copy.
    pub const MAX_COPIED: usize = 4096;

    /// A whole data message in one unmasked frame. `rsv1` says that the payload is a compressed message.
    pub(crate) fn new(opcode: OpCode, rsv1: bool, payload: Bytes) -> SharedFrame {
        let mut head = [0; FrameHeader::MAX_LEN];
        let used = FrameHeader {
            rsv1,
            ..FrameHeader::whole(opcode, payload.len())
        }
        .encode(&mut head);
        if payload.len() > SharedFrame::MAX_COPIED {
            return SharedFrame {
                front: Bytes::copy_from_slice(&head[..used]),
                rest: payload,
            };
        }
        let mut frame = Vec::with_capacity(used + payload.len());
        frame.extend_from_slice(&head[..used]);
        frame.extend_from_slice(&payload);
        SharedFrame {
            front: frame.into(),
            rest: Bytes::new(),
        }
    }

    /// Where the payload begins.
    #[cfg(feature = "deflate")]
    fn head_len(&self) -> usize {
        match self.front[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    /// The frame's bytes: the second slice is empty unless the payload is long.
    #[must_use]
    pub fn slices(&self) -> [&[u8]; 2] {
        [&self.front, &self.rest]
    }

    /// The same, to be kept while they are sent.
    #[must_use]
    pub fn parts(&self) -> [Bytes; 2] {
        [self.front.clone(), self.rest.clone()]
    }

    /// How many bytes the frame has, its header included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.front.len() + self.rest.len()
    }

    /// Appends the frame to a buffer.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.front);
        out.extend_from_slice(&self.rest);
    }
}

/// A message encoded once, as a server sends it, to be shared by every connection it goes to.
///
/// ```
/// let message = ws_codec::PreparedMessage::text("Hello");
/// let frame = message.plain().parts(); // counted references, no copy
/// assert_eq!(&frame[0][..], b"\x81\x05Hello");
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    kind: Kind,
    plain: SharedFrame,
    /// The compressed frame, and the bits of the window it needs
    #[cfg(feature = "deflate")]
    deflated: Option<(SharedFrame, u8)>,
}

impl PreparedMessage {
    /// A text message. A `String` over 4 KiB is taken over as it is, not copied.
    #[must_use]
    pub fn text(text: impl Into<String>) -> PreparedMessage {
        PreparedMessage::of(Kind::Text, text.into().into())
    }

    /// A binary message. `Bytes` over 4 KiB are shared as they are, not copied.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> PreparedMessage {
        PreparedMessage::of(Kind::Binary, bytes.into())
    }

    /// A text message of bytes that are shared with others, if they are UTF-8; they come back if they are not.
    ///
    /// # Errors
    /// The bytes, when they are not UTF-8: RFC 6455 has no text message for them.
    pub fn text_from_utf8(bytes: Bytes) -> Result<PreparedMessage, Bytes> {
        match to_text(&bytes) {
            Some(_) => Ok(PreparedMessage::of(Kind::Text, bytes)),
            None => Err(bytes),
        }
    }

    fn of(kind: Kind, payload: Bytes) -> PreparedMessage {
        PreparedMessage {
            kind,
            plain: SharedFrame::new(kind.opcode(), false, payload),
            #[cfg(feature = "deflate")]
            deflated: None,
        }
    }

    /// Compresses the message as well, once for everyone; without effect if that makes it no shorter.
    ///
    /// The compressed form refers to nothing before it, so it may go to any connection that agreed on permessage-deflate and whose messages
    /// are all compressed this way, with or without context takeover.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflated(mut self, deflater: &mut SharedDeflater) -> PreparedMessage {
        let [front, rest] = self.plain.slices();
        let payload = if rest.is_empty() {
            &front[self.plain.head_len()..]
        } else {
            rest
        };
        let compressed = deflater.compress(payload);
        self.deflated = (compressed.len() < payload.len()).then(|| {
            (
                SharedFrame::new(self.kind.opcode(), true, compressed.into()),
                deflater.window_bits(),
            )
        });
        self
    }

    /// The frame for a connection: compressed if it was, and what the connection agreed on allows it.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn frame_for(&self, agreed: Option<&Deflate>) -> &SharedFrame {
        match (&self.deflated, agreed) {
            (Some((frame, bits)), Some(agreed)) if *bits <= agreed.server_max_window_bits => frame,
            _ => &self.plain,
        }
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The frame as it is sent without compression.
    #[must_use]
    pub fn plain(&self) -> &SharedFrame {
        &self.plain
    }
}

//! Why a connection has to end, whose fault it is, and the close code to say so with.

use thiserror::Error;

use crate::close::{CloseCode, CloseFrame};

/// Why this side fails the connection: the peer broke the protocol, or went over one of our limits.
///
/// Both carry the [close frame](Failure::close_frame) to send before closing (RFC 6455 section 7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The peer broke RFC 6455 or RFC 7692
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The peer did what the protocol allows and we do not
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Failure {
    /// The close code that tells the peer.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Failure::Violation(violation) => violation.close_code(),
            Failure::Refused(refused) => refused.close_code(),
        }
    }

    /// The close frame to send: the code, and the message of the error as its reason.
    #[must_use]
    pub fn close_frame(&self) -> CloseFrame {
        // Every message here is far below 123 bytes, so it is never cut; a test holds them to it.
        let mut reason = Reason {
            text: [0; 123],
            len: 0,
        };
        core::fmt::write(&mut reason, format_args!("{self}")).ok();
        CloseFrame::new(self.close_code(), reason.as_str())
    }
}

/// How the peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// "a server MUST close the connection upon receiving a frame that is not masked" (RFC 6455 section 5.1)
    #[error("a client's frame is not masked")]
    Unmasked,
    /// "A client MUST close a connection if it detects a masked frame" (RFC 6455 section 5.1)
    #[error("a server's frame is masked")]
    Masked,
    /// RSV1, RSV2 or RSV3 set where no agreed extension gives it a meaning (RFC 6455 section 5.2, RFC 7692 section 6)
    #[error("a reserved bit is set")]
    ReservedBit,
    /// One of the opcodes 0x3 to 0x7 and 0xB to 0xF (RFC 6455 section 5.2)
    #[error("the opcode {0:#x} is reserved")]
    ReservedOpCode(u8),
    /// A control frame without FIN (RFC 6455 section 5.5)
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame over 125 bytes (RFC 6455 section 5.5)
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// "the minimal number of bytes MUST be used to encode the length" (RFC 6455 section 5.2)
    #[error("a length is not encoded in the fewest bytes")]
    LengthNotMinimal,
    /// A 64-bit length whose "most significant bit MUST be 0" (RFC 6455 section 5.2) is not
    #[error("a length has its highest bit set")]
    LengthOverflow,
    /// A continuation frame when no message has begun (RFC 6455 section 5.4)
    #[error("a continuation without a message to continue")]
    LoneContinuation,
    /// A text or binary frame before the message under way has ended (RFC 6455 section 5.4)
    #[error("a message begins inside another")]
    InterruptedMessage,
    /// Text that is not UTF-8 (RFC 6455 section 8.1)
    #[error("a text message is not UTF-8")]
    InvalidUtf8,
    /// A close frame of one byte, half a code (RFC 6455 section 5.5.1)
    #[error("a close frame has one byte")]
    ShortClose,
    /// A close code that may not be sent (RFC 6455 section 7.4); the second byte is absent if the first proved it
    #[error("a close code may not be sent")]
    InvalidCloseCode,
    /// A close reason that is not UTF-8 (RFC 6455 section 5.5.1)
    #[error("a close reason is not UTF-8")]
    InvalidCloseReason,
    /// Compressed data that is not DEFLATE, or refers to what the agreed window no longer holds (RFC 7692 section 7.2.2)
    #[error("compressed data is invalid")]
    InvalidCompression,
}

impl Violation {
    /// 1007 for data that is not what it says it is, 1002 for everything else.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Violation::InvalidUtf8
            | Violation::InvalidCloseReason
            | Violation::InvalidCompression => CloseCode::INVALID_DATA,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

/// Which of our limits the peer went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// More than [`Limits::max_frame`](crate::Limits::max_frame) announced
    #[error("a frame is larger than this side takes")]
    FrameTooBig,
    /// More than [`Limits::max_message`](crate::Limits::max_message), announced or inflated
    #[error("a message is larger than this side takes")]
    MessageTooBig,
    /// More than [`Limits::max_inflate_ratio`](crate::Limits::max_inflate_ratio)
    #[error("a message inflates more than this side takes")]
    InflatesTooMuch,
    /// More than [`Limits::max_fragments`](crate::Limits::max_fragments)
    #[error("a message has more fragments than this side takes")]
    TooManyFragments,
    /// A message that was begun and not ended in time
    #[error("a message took too long to arrive")]
    TooSlow,
}

impl Refused {
    /// 1009 for what is too big, 1008 for the rest.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            Refused::FrameTooBig | Refused::MessageTooBig | Refused::InflatesTooMuch => {
                CloseCode::MESSAGE_TOO_BIG
            }
            Refused::TooManyFragments | Refused::TooSlow => CloseCode::POLICY_VIOLATION,
        }
    }
}

/// A [`Failure`] and the byte that proved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{failure}, at byte {at} of the input")]
pub struct Failed {
    /// What is wrong
    pub failure: Failure,
    /// How many bytes of the input given to that call stand before the byte that proved it.
    ///
    /// It is the earliest such byte, and so the same one however the stream is cut into reads. An unfinished character
    /// at the end of a text is proved by the last byte of the message.
    pub at: usize,
}

/// Room for an error message, written without the heap.
struct Reason {
    text: [u8; 123],
    len: usize,
}

impl Reason {
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }
}

impl core::fmt::Write for Reason {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        let room = self
            .text
            .get_mut(self.len..self.len + s.len())
            .ok_or(core::fmt::Error)?;
        room.copy_from_slice(s.as_bytes());
        self.len += s.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_code_and_its_message() {
        let failure = Failure::from(Violation::ReservedOpCode(0xB));
        assert_eq!(
            failure.close_frame(),
            CloseFrame::new(CloseCode::PROTOCOL_ERROR, "the opcode 0xb is reserved")
        );
        let failure = Failure::from(Refused::TooManyFragments);
        assert_eq!(
            failure.close_frame().reason(),
            "a message has more fragments than this side takes"
        );
        assert_eq!(failure.close_code().as_u16(), 1008);
    }
}

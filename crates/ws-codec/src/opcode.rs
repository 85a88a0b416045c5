//! What a frame is for.

/// What a frame is for (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// The message goes on: `0x0`
    Continuation = 0x0,
    /// A text message begins: `0x1`
    Text = 0x1,
    /// A binary message begins: `0x2`
    Binary = 0x2,
    /// The last frame this side sends: `0x8`
    Close = 0x8,
    /// To be answered by a pong: `0x9`
    Ping = 0x9,
    /// The answer to a ping, or a sign of life: `0xA`
    Pong = 0xA,
}

impl OpCode {
    /// The opcode in the low four bits of a frame's first byte; `None` for the ten reserved values.
    #[must_use]
    pub const fn from_bits(first_byte: u8) -> Option<OpCode> {
        Some(match first_byte & 0x0F {
            0x0 => OpCode::Continuation,
            0x1 => OpCode::Text,
            0x2 => OpCode::Binary,
            0x8 => OpCode::Close,
            0x9 => OpCode::Ping,
            0xA => OpCode::Pong,
            _ => return None,
        })
    }

    /// Whether this is a close, ping or pong: whole in one frame, at most 125 bytes, allowed between the frames of a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8, checked
    Text,
    /// Bytes, any
    Binary,
}

impl Kind {
    /// The opcode that begins a message of this kind.
    #[must_use]
    pub const fn opcode(self) -> OpCode {
        match self {
            Kind::Text => OpCode::Text,
            Kind::Binary => OpCode::Binary,
        }
    }
}

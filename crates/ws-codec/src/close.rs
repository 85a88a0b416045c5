//! Close codes and the payload of a close frame.

use core::fmt;

use crate::control::ControlPayload;

/// A close code that may stand in a close frame (RFC 6455 section 7.4 and the IANA registry it founded).
///
/// 1000 to 1003, 1007 to 1014 and 3000 to 4999. What may not be sent cannot be made: 1004, 1005, 1006 and 1015 are not
/// codes here, their meanings ("no code came", "the connection was lost") are values of other types.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: a server goes down or a browser leaves the page
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the peer broke RFC 6455 or an agreed extension
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: this kind of data (text or binary) is not taken here
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// 1007: the data is not what its type says, such as text that is not UTF-8
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// 1008: refused by a rule of this side
    pub const POLICY_VIOLATION: CloseCode = CloseCode(1008);
    /// 1009: too big to be processed
    pub const MESSAGE_TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: a client misses an extension it needs
    pub const MANDATORY_EXTENSION: CloseCode = CloseCode(1010);
    /// 1011: something unforeseen happened to this side
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// 1012: the service restarts; come back after a random pause
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// 1013: overloaded; come back later
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// 1014: a gateway had an invalid answer from the server behind it
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);

    /// The code with this number, or `None` for a number that may not be sent.
    #[must_use]
    pub const fn new(code: u16) -> Option<CloseCode> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(CloseCode(code)),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether some valid code begins with this byte: what can be known of a code of which only the first byte is here.
    pub(crate) const fn may_begin_with(high: u8) -> bool {
        matches!(high, 0x03 | 0x0B..=0x13)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        code.0
    }
}

/// A close code and why, as a close frame carries them: at most 123 bytes of UTF-8 after the code. No heap.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseFrame {
    code: CloseCode,
    payload: ControlPayload,
}

impl CloseFrame {
    /// A code and a reason. A reason over 123 bytes is cut at the last character that fits.
    #[must_use]
    pub fn new(code: CloseCode, reason: &str) -> CloseFrame {
        let mut payload = ControlPayload::EMPTY;
        payload.push_what_fits(&code.as_u16().to_be_bytes());
        let cut = reason.floor_char_boundary(ControlPayload::MAX - 2);
        payload.push_what_fits(&reason.as_bytes()[..cut]);
        CloseFrame { code, payload }
    }

    /// The frame's payload, whose code and UTF-8 the caller has checked.
    pub(crate) fn from_checked(code: CloseCode, payload: ControlPayload) -> CloseFrame {
        CloseFrame { code, payload }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        self.code
    }

    /// The reason; empty when the peer gave none. It is for logs and people, never to be acted on.
    #[must_use]
    pub fn reason(&self) -> &str {
        core::str::from_utf8(&self.payload[2..]).expect("checked before the frame was made")
    }

    /// What follows the frame header: two bytes of code, then the reason.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl From<CloseCode> for CloseFrame {
    fn from(code: CloseCode) -> CloseFrame {
        CloseFrame::new(code, "")
    }
}

impl fmt::Debug for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseFrame({}, {:?})", self.code, self.reason())
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => write!(f, "{}", self.code),
            reason => write!(f, "{} {reason}", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_never_rules_out_a_valid_code() {
        for high in 0..=255u8 {
            let some =
                (0..=255u8).any(|low| CloseCode::new(u16::from_be_bytes([high, low])).is_some());
            assert_eq!(CloseCode::may_begin_with(high), some, "{high:#04x}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = CloseFrame::new(CloseCode::NORMAL, &"€".repeat(50));
        assert_eq!(frame.reason(), "€".repeat(41));
        assert_eq!(frame.payload().len(), 125);
    }
}

//! The header of a frame, by itself.

use crate::failure::{Failure, Violation};
use crate::mask::Mask;
use crate::opcode::OpCode;

/// The header of a frame (RFC 6455 section 5.2).
///
/// Useful alone to those who forward frames without reading them. It knows no connection: whether a mask or a continuation
/// is in place at this moment is for the [`Decoder`](crate::Decoder) to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The last frame of its message
    pub fin: bool,
    /// The bit that permessage-deflate sets on the first frame of a compressed message (RFC 7692 section 6)
    pub rsv1: bool,
    /// What the frame is for
    pub opcode: OpCode,
    /// The masking key; a client's frames have one, a server's have none
    pub mask: Option<Mask>,
    /// How many bytes of payload follow
    pub len: u64,
}

impl FrameHeader {
    /// The longest a header can be: 2 bytes, 8 of length, 4 of mask.
    pub const MAX_LEN: usize = 14;

    /// The header of an unmasked frame that is a whole message, or a control frame.
    #[must_use]
    pub const fn whole(opcode: OpCode, len: usize) -> FrameHeader {
        FrameHeader {
            fin: true,
            rsv1: false,
            opcode,
            mask: None,
            len: len as u64,
        }
    }

    /// Reads the header at the beginning of `bytes`: it and how many bytes it takes, or `None` if it is not all there yet.
    ///
    /// # Errors
    /// What no header may contain, wherever it stands: RSV2 or RSV3, a reserved opcode, a fragmented or long control
    /// frame, a length that is not minimal or over 2^63-1. Reported even when the rest of the header is not there yet.
    pub fn parse(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, Failure> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let opcode = check_first_byte(first)?;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        check_second_byte(opcode, second)?;
        let width = length_width(second);
        let mut length = Length::new(second);
        for (i, &byte) in rest.iter().take(width).enumerate() {
            length.push(byte, width, width - 1 - i)?;
        }
        let masked = second & MASKED != 0;
        let head = 2 + width + if masked { 4 } else { 0 };
        if bytes.len() < head {
            return Ok(None);
        }
        let mask = masked.then(|| Mask([0, 1, 2, 3].map(|i| rest[width + i])));
        let header = FrameHeader {
            fin: first & FIN != 0,
            rsv1: first & RSV1 != 0,
            opcode,
            mask,
            len: length.0,
        };
        Ok(Some((header, head)))
    }

    /// Writes the header to the beginning of `out` and returns how many bytes it takes, 2 to 14.
    ///
    /// # Panics
    /// If a control frame is over 125 bytes or fragmented, or a length is over 2^63-1: no such frame exists.
    #[inline]
    pub fn encode(&self, out: &mut [u8; FrameHeader::MAX_LEN]) -> usize {
        assert!(
            !self.opcode.is_control() || self.fin && self.len <= 125,
            "a control frame is one frame of at most 125 bytes"
        );
        out[0] = (if self.fin { FIN } else { 0 })
            | (if self.rsv1 { RSV1 } else { 0 })
            | self.opcode as u8;
        let end = if self.len < 126 {
            out[1] = self.len as u8;
            2
        } else if self.len <= 0xFFFF {
            out[1] = 126;
            out[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
            4
        } else {
            assert!(self.len >> 63 == 0, "a frame is shorter than 2^63 bytes");
            out[1] = 127;
            out[2..10].copy_from_slice(&self.len.to_be_bytes());
            10
        };
        let Some(mask) = self.mask else { return end };
        out[1] |= MASKED;
        out[end..end + 4].copy_from_slice(&mask.0);
        end + 4
    }
}

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
pub(crate) const MASKED: u8 = 0x80;

/// What the first byte of a header shows to be wrong, whatever surrounds it.
pub(crate) fn check_first_byte(first: u8) -> Result<OpCode, Violation> {
    // "RSV1, RSV2, RSV3: MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
    if first & RSV2_RSV3 != 0 {
        return Err(Violation::ReservedBit);
    }
    let opcode = OpCode::from_bits(first).ok_or(Violation::ReservedOpCode(first & 0x0F))?;
    if opcode.is_control() {
        // "All control frames [...] MUST NOT be fragmented."
        if first & FIN == 0 {
            return Err(Violation::FragmentedControl);
        }
        if first & RSV1 != 0 {
            return Err(Violation::ReservedBit);
        }
    }
    Ok(opcode)
}

/// What the second byte shows to be wrong about a control frame.
pub(crate) fn check_second_byte(opcode: OpCode, second: u8) -> Result<(), Violation> {
    match (opcode, second & !MASKED) {
        // "All control frames MUST have a payload length of 125 bytes or less"
        (OpCode::Close | OpCode::Ping | OpCode::Pong, 126..) => Err(Violation::LongControl),
        // "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer"
        (OpCode::Close, 1) => Err(Violation::ShortClose),
        _ => Ok(()),
    }
}

/// How many bytes of length follow the second byte.
pub(crate) const fn length_width(second: u8) -> usize {
    match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// A payload length, as far as its bytes are here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length(pub(crate) u64);

impl Length {
    /// The length of which only the second byte of the header is here.
    pub(crate) const fn new(second: u8) -> Length {
        match second & !MASKED {
            126 | 127 => Length(0),
            len => Length(len as u64),
        }
    }

    /// Takes one more of the `width` bytes, `missing` of them to come after it, and checks what that proves.
    pub(crate) fn push(&mut self, byte: u8, width: usize, missing: usize) -> Result<(), Violation> {
        self.0 = self.0 << 8 | u64::from(byte);
        // "the most significant bit MUST be 0"
        if missing == 7 && byte & 0x80 != 0 {
            return Err(Violation::LengthOverflow);
        }
        // "the minimal number of bytes MUST be used to encode the length"
        let minimum = if width == 2 { 126 } else { 65536 };
        let highest = self.at_least(missing) | ((1 << (8 * missing)) - 1);
        if highest < minimum {
            return Err(Violation::LengthNotMinimal);
        }
        Ok(())
    }

    /// The least the length can be when `missing` bytes of it are still to come.
    pub(crate) const fn at_least(self, missing: usize) -> u64 {
        // With eight bytes missing nothing is known, and the shift would overflow.
        if missing >= 8 {
            0
        } else {
            self.0 << (8 * missing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expect: Result<Option<(u64, usize)>, Violation>) {
        let got =
            FrameHeader::parse(bytes).map(|found| found.map(|(header, used)| (header.len, used)));
        assert_eq!(got, expect.map_err(Failure::from));
    }

    #[test]
    fn headers_come_back_as_they_were_written() {
        for len in [0, 1, 125, 126, 127, 65535, 65536, 1 << 40, (1 << 63) - 1] {
            for mask in [None, Some(Mask([1, 2, 3, 4]))] {
                for (fin, rsv1) in [(true, false), (false, true), (true, true), (false, false)] {
                    let header = FrameHeader {
                        fin,
                        rsv1,
                        opcode: OpCode::Binary,
                        mask,
                        len,
                    };
                    let mut bytes = [0; 14];
                    let used = header.encode(&mut bytes);
                    assert_eq!(FrameHeader::parse(&bytes[..used]), Ok(Some((header, used))));
                    for short in 0..used {
                        assert_eq!(FrameHeader::parse(&bytes[..short]), Ok(None));
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_are_minimal() {
        check(&[0x82, 126, 0, 125], Err(Violation::LengthNotMinimal));
        check(&[0x82, 126, 0], Ok(None));
        check(&[0x82, 126, 0, 126], Ok(Some((126, 4))));
        check(&[0x82, 127, 0, 0, 0, 0, 0], Ok(None));
        check(
            &[0x82, 127, 0, 0, 0, 0, 0, 0],
            Err(Violation::LengthNotMinimal),
        );
        check(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], Ok(Some((65536, 10))));
        check(&[0x82, 127, 0x80], Err(Violation::LengthOverflow));
    }

    #[test]
    fn control_frames_are_short_and_whole() {
        check(&[0x89, 125], Ok(Some((125, 2))));
        check(&[0x89, 126], Err(Violation::LongControl));
        check(&[0x09], Err(Violation::FragmentedControl));
        check(&[0xC9], Err(Violation::ReservedBit));
        check(&[0x88, 1], Err(Violation::ShortClose));
    }

    #[test]
    #[should_panic(expected = "a control frame is one frame")]
    fn a_long_ping_cannot_be_written() {
        FrameHeader::whole(OpCode::Ping, 126).encode(&mut [0; 14]);
    }
}

//! A place in the log, and its text.

use std::fmt;
use std::str::FromStr;

/// Names one life of a log's offsets
///
/// It changes whenever an offset could otherwise be used twice: a memory log starts, an unclean recovery lost its tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A short random mark given to each event
///
/// It betrays a store that was rewound and used an offset again under the same epoch. [`Tag::NONE`] is given to no
/// event and means "not known"; it is not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

impl Tag {
    /// The tag of a position that names no event of its own
    pub const NONE: Tag = Tag(0);
}

/// A place in the log: everything up to and including `offset` lies before it
///
/// Its text, `{epoch:016x}-{offset}-{tag:08x}`, consists of `[a-f0-9-]` only and has at most 46 bytes, so it goes
/// unchanged through an SSE `id:`, a header, a URL and JSON. There is one text for each position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The life of the log it belongs to
    pub epoch: Epoch,
    /// The number of an event in the log's total order; events count from 1, and 0 is before the first
    pub offset: u64,
    /// The mark of the event at `offset`, where it is known
    pub tag: Tag,
}

impl Position {
    /// Longest text, in bytes
    pub const MAX_TEXT: usize = 16 + 1 + 20 + 1 + 8;
}

const _: () = assert!(Position::MAX_TEXT <= 64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand, because every event is written with its position several times.
        let mut text = Text::new();
        text.push_hex(self.epoch.0, 16);
        text.push(b'-');
        text.push_decimal(self.offset);
        text.push(b'-');
        text.push_hex(self.tag.0.into(), 8);
        f.write_str(text.as_str())
    }
}

/// A position's text while it is written
struct Text {
    bytes: [u8; Position::MAX_TEXT],
    len: usize,
}

impl Text {
    fn new() -> Text {
        Text {
            bytes: [0; Position::MAX_TEXT],
            len: 0,
        }
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push_hex(&mut self, number: u64, digits: u32) {
        for digit in (0..digits).rev() {
            self.push(b"0123456789abcdef"[(number >> (4 * digit)) as usize % 16]);
        }
    }

    fn push_decimal(&mut self, mut number: u64) {
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        for digit in self.bytes[self.len..][..digits].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.len += digits;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("digits and `-` are ASCII")
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Position, PositionError> {
        let mut parts = text.split('-');
        let (Some(epoch), Some(offset), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PositionError);
        };
        Ok(Position {
            epoch: Epoch(hex(epoch, 16)?),
            offset: decimal(offset)?,
            tag: Tag(u32::try_from(hex(tag, 8)?).map_err(|_| PositionError)?),
        })
    }
}

/// A text that is not a position
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a position is 16 hex digits, `-`, a decimal number, `-`, 8 hex digits, as an event's id gave it"
)]
pub struct PositionError;

/// Exactly `digits` lower-case hexadecimal digits: one text for each number.
fn hex(text: &str, digits: usize) -> Result<u64, PositionError> {
    let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.bytes().all(lower) {
        return Err(PositionError);
    }
    u64::from_str_radix(text, 16).map_err(|_| PositionError)
}

/// A decimal number without sign or leading zeros.
fn decimal(text: &str) -> Result<u64, PositionError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(PositionError);
    }
    text.parse().map_err(|_| PositionError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_position_is_46_bytes_and_reads_back() {
        let position = Position {
            epoch: Epoch(u64::MAX),
            offset: u64::MAX,
            tag: Tag(u32::MAX),
        };
        let text = position.to_string();
        assert_eq!(text, "ffffffffffffffff-18446744073709551615-ffffffff");
        assert_eq!(text.len(), Position::MAX_TEXT);
        assert_eq!(text.parse(), Ok(position));
    }

    #[test]
    fn the_text_is_what_the_standard_formats_write() {
        let numbers = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, u64::MAX >> bit]);
        let powers = (0..20).flat_map(|power| [10_u64.pow(power) - 1, 10_u64.pow(power)]);
        for number in numbers.chain(powers) {
            let (epoch, offset, tag) = (number.rotate_left(7), number, number as u32);
            let position = Position {
                epoch: Epoch(epoch),
                offset,
                tag: Tag(tag),
            };
            let expect = format!("{epoch:016x}-{offset}-{tag:08x}");
            assert_eq!(position.to_string(), expect);
            assert_eq!(expect.parse(), Ok(position));
        }
    }

    #[test]
    fn a_position_has_one_text() {
        let text = "00000000000000ff-7-0000000a";
        assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        for other in [
            "",
            "ff-7-0000000a",
            "00000000000000FF-7-0000000a",
            "00000000000000ff-07-0000000a",
            "00000000000000ff-+7-0000000a",
            "00000000000000ff--0000000a",
            "00000000000000ff-7-a",
            "00000000000000ff-7-0000000a-",
            "00000000000000ff-7-0000000a ",
            "00000000000000ff-18446744073709551616-0000000a",
        ] {
            assert_eq!(other.parse::<Position>(), Err(PositionError), "{other:?}");
        }
    }
}

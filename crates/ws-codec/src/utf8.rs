//! UTF-8 that arrives in pieces.

mod text;

use crate::unmasked::Unmasked;

pub(crate) use text::to_text;

/// Checks a text that arrives in pieces and hands out each piece as `&str`.
///
/// A character cut between two pieces is held back (3 bytes at most) and handed out with the piece that completes
/// it. A wrong byte is reported when it arrives, not at the end of the text.
///
/// ```
/// use ws_codec::{Ends, Utf8Stream};
///
/// let mut utf8 = Utf8Stream::new();
/// let first = utf8.push(b"10 \xE2\x82", Ends::No)?;
/// assert_eq!((first.joined, first.text), (None, "10 "));
/// let second = utf8.push(b"\xAC each", Ends::Yes)?;
/// assert_eq!((second.joined, second.text), (Some('€'), " each"));
/// // 0xE0 0x80 can begin no character: the second byte is wrong.
/// assert_eq!(utf8.push(b"x\xE0\x80", Ends::No), Err(2));
/// # Ok::<(), usize>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    carry: [u8; 3],
    len: u8,
}

/// Whether a piece is the last of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The text ends with this piece, so an unfinished character is an error
    Yes,
    /// More may come
    No,
}

/// A checked piece of a text: first the character that began before it, then the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPiece<'b> {
    /// A character that began in an earlier piece and ends in this one; it comes before `text`
    pub joined: Option<char>,
    /// The whole characters of this piece
    pub text: &'b str,
}

impl Utf8Stream {
    /// The beginning of a text.
    #[must_use]
    pub const fn new() -> Utf8Stream {
        Utf8Stream {
            carry: [0; 3],
            len: 0,
        }
    }

    /// Whether a character has begun and not ended.
    #[must_use]
    pub const fn is_inside_character(&self) -> bool {
        self.len != 0
    }

    /// Takes the next piece of the text. After its last piece, or an error, the next push begins another text.
    ///
    /// # Errors
    /// The number of bytes of this piece before the first one that cannot be part of any UTF-8 text going on from here. For
    /// an unfinished character at the end of the text that is the last byte of the piece.
    pub fn push<'b>(&mut self, bytes: &'b [u8], ends: Ends) -> Result<TextPiece<'b>, usize> {
        if self.len == 0
            && ends == Ends::Yes
            && let Some(text) = to_text(bytes)
        {
            return Ok(TextPiece { joined: None, text });
        }
        let carried = core::mem::take(self);
        let (joined, used) = self.finish_character(&carried, bytes)?;
        let body = &bytes[used..];
        let (body, tail) = body.split_at(body.len() - unfinished_tail(body));
        let Some(text) = to_text(body) else {
            *self = Utf8Stream::new();
            return Err(used + first_wrong_byte(&bytes[used..]));
        };
        for (i, &byte) in tail.iter().enumerate() {
            if !fits(&tail[..i], byte) {
                return Err(used + body.len() + i);
            }
            self.carry[i] = byte;
        }
        self.len += tail.len() as u8;
        if ends == Ends::Yes && self.len != 0 {
            *self = Utf8Stream::new();
            return Err(bytes.len().saturating_sub(1));
        }
        Ok(TextPiece { joined, text })
    }

    /// The same, for bytes that may be known to be ASCII: then there is nothing to check.
    pub(crate) fn push_unmasked<'b>(
        &mut self,
        piece: Unmasked<'b>,
        ends: Ends,
    ) -> Result<TextPiece<'b>, usize> {
        match piece.ascii() {
            Some(text) if self.len == 0 => Ok(TextPiece { joined: None, text }),
            _ => self.push(piece.bytes(), ends),
        }
    }

    /// Completes the character under way, and says how many bytes that took. What is still unfinished is kept.
    fn finish_character(
        &mut self,
        carried: &Utf8Stream,
        bytes: &[u8],
    ) -> Result<(Option<char>, usize), usize> {
        let mut len = usize::from(carried.len);
        if len == 0 {
            return Ok((None, 0));
        }
        let [a, b, c] = carried.carry;
        let mut character = [a, b, c, 0];
        let width = width(a);
        for (i, &byte) in bytes.iter().enumerate() {
            if !fits(&character[..len], byte) {
                return Err(i);
            }
            character[len] = byte;
            len += 1;
            if len == width {
                let whole = core::str::from_utf8(&character[..width])
                    .expect("each byte fits after the one before");
                return Ok((whole.chars().next(), i + 1));
            }
        }
        self.carry.copy_from_slice(&character[..3]);
        self.len = len as u8;
        Ok((None, bytes.len()))
    }
}

/// How many bytes the character that begins with this byte has.
fn width(lead: u8) -> usize {
    match lead {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    }
}

/// Whether `byte` may follow the bytes of a character begun so far (RFC 3629 section 4).
fn fits(begun: &[u8], byte: u8) -> bool {
    match *begun {
        [] => matches!(byte, 0x00..=0x7F | 0xC2..=0xF4),
        // No overlong forms, no surrogates, nothing above U+10FFFF: all shown by the second byte.
        [0xE0] => matches!(byte, 0xA0..=0xBF),
        [0xED] => matches!(byte, 0x80..=0x9F),
        [0xF0] => matches!(byte, 0x90..=0xBF),
        [0xF4] => matches!(byte, 0x80..=0x8F),
        _ => matches!(byte, 0x80..=0xBF),
    }
}

/// How many bytes at the end belong to a character that goes on after them.
fn unfinished_tail(bytes: &[u8]) -> usize {
    for (back, &byte) in bytes.iter().rev().take(3).enumerate() {
        if byte & 0xC0 != 0x80 {
            return if width(byte) > back + 1 { back + 1 } else { 0 };
        }
    }
    0
}

/// Where text that is known not to be UTF-8 goes wrong. Slow, and needed once in a connection's life.
pub(crate) fn first_wrong_byte(bytes: &[u8]) -> usize {
    let mut start = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        if !fits(&bytes[start..i], byte) {
            return i;
        }
        if i + 1 - start == width(bytes[start]) {
            start = i + 1;
        }
    }
    bytes.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// Feeds the text cut at every pair of places: each time it must give the same, which is what std says.
    #[track_caller]
    fn check(text: &[u8], wrong_at: Option<usize>) {
        assert_eq!(core::str::from_utf8(text).is_err(), wrong_at.is_some());
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut utf8 = Utf8Stream::new();
                let mut got = String::new();
                let mut wrong = None;
                let mut before = 0;
                for (piece, ends) in [
                    (&text[..first], Ends::No),
                    (&text[first..second], Ends::No),
                    (&text[second..], Ends::Yes),
                ] {
                    match utf8.push(piece, ends) {
                        Ok(piece) => {
                            got.extend(piece.joined);
                            got.push_str(piece.text);
                        }
                        Err(at) => {
                            wrong = Some(before + at);
                            break;
                        }
                    }
                    before += piece.len();
                }
                match wrong_at {
                    None => assert_eq!(got.as_bytes(), text),
                    // An empty last piece has no byte to blame: its own beginning stands for the end of the text.
                    Some(at) if at + 1 == text.len() && second == text.len() => {
                        assert!(wrong == Some(at) || wrong == Some(text.len()));
                    }
                    Some(at) => assert_eq!(wrong, Some(at), "cut at {first} and {second}"),
                }
            }
        }
    }

    #[test]
    fn where_pieces_split_does_not_matter() {
        check("".as_bytes(), None);
        check("plain".as_bytes(), None);
        check("κόσμε ß € 𝄞 \u{10FFFF}".as_bytes(), None);
    }

    #[test]
    fn the_first_wrong_byte_is_named() {
        check(b"abc\x80", Some(3));
        check(b"abc\xFFdef", Some(3));
        check(b"\xC0\xAF", Some(0));
        check(b"ab\xE0\x9F\xBF", Some(3));
        check(b"\xED\xA0\x80x", Some(1));
        check(b"\xF0\x8F\xBF\xBF", Some(1));
        check(b"\xF4\x90\x80\x80", Some(1));
        check(b"\xF5\x80", Some(0));
        check(b"\xE2\x82a", Some(2));
        check(b"\xF0\x9D\x84\xC3", Some(3));
        check("€€".repeat(30).as_bytes(), None);
        let mut long = "€€".repeat(30).into_bytes();
        long[100] = b'x';
        check(&long, Some(100));
    }

    #[test]
    fn an_unfinished_end_is_blamed_on_the_last_byte() {
        check(b"abc\xE2\x82", Some(4));
        check(b"\xC3", Some(0));
    }

    #[test]
    fn every_two_and_three_bytes_agree_with_std() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                for rest in [&[][..], &[0x80], &[0xBF, 0x80], b"a"] {
                    let text: Vec<u8> = [&[a, b], rest].concat();
                    let mut utf8 = Utf8Stream::new();
                    let ours = utf8
                        .push(&text[..1], Ends::No)
                        .and_then(|_| utf8.push(&text[1..2], Ends::No))
                        .and_then(|_| utf8.push(&text[2..], Ends::Yes));
                    assert_eq!(
                        ours.is_ok(),
                        core::str::from_utf8(&text).is_ok(),
                        "{text:x?}"
                    );
                }
            }
        }
    }
}

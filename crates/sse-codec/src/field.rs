//! The two fields whose values are one line: `id` and `event`, checked once, so that encoding cannot fail.

use core::fmt;

/// A value for the `id` field: any text without NUL, LF or CR
///
/// These are the values that the standard's parser takes over as they are (HTML 9.2.6: an `id` holding U+0000 is
/// ignored, and a line end would begin another field). The empty id is a value: it resets the reader's last event
/// ID, so that no `Last-Event-ID` is sent.
///
/// ```
/// use sse_codec::EventId;
///
/// const FIRST: EventId<'static> = EventId::from_static("1");
/// assert_eq!(EventId::new("1"), Ok(FIRST));
/// assert_eq!(EventId::new("1\ndata: injected").unwrap_err().offset, 1);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId<'a>(&'a str);

/// A value for the `event` field: any text without LF or CR
///
/// The empty type means `message`, as does leaving the field out (HTML 9.2.6, dispatch step 6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType<'a>(&'a str);

/// Text that a field cannot carry, and the first byte in the way
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {field} field cannot carry the byte 0x{byte:02x} at offset {offset}")]
pub struct FieldError {
    /// `id` or `event`
    pub field: &'static str,
    /// What stands in the way: NUL, LF or CR
    pub byte: u8,
    /// Where it stands, in bytes from the start of the text
    pub offset: usize,
}

impl<'a> EventId<'a> {
    /// Checks `text` once; O(its length).
    ///
    /// # Errors
    /// If it holds a NUL, LF or CR.
    pub const fn new(text: &'a str) -> Result<Self, FieldError> {
        match first_forbidden(text.as_bytes(), NUL_IS_FORBIDDEN) {
            None => Ok(Self(text)),
            Some(offset) => Err(FieldError {
                field: "id",
                byte: text.as_bytes()[offset],
                offset,
            }),
        }
    }

    /// For constants: what cannot be carried does not compile.
    ///
    /// # Panics
    /// If the text holds a NUL, LF or CR; in a `const`, at compile time.
    #[must_use]
    pub const fn from_static(text: &'static str) -> EventId<'static> {
        match EventId::new(text) {
            Ok(id) => id,
            Err(_) => panic!("an event id holds no NUL, LF or CR"),
        }
    }

    /// The text, as it was given.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether every client can give this id back in a `Last-Event-ID` header, across origins and unchanged
    ///
    /// At most 128 bytes of printable ASCII, no space at either end (HTTP trims it), none of
    /// `"():<>?@[\]{}` (with them a request from another origin is preflighted, Fetch 2.2.2 "CORS-unsafe
    /// request-header byte"). An id for which this is false is still carried; it may come back altered or not at all.
    #[must_use]
    pub fn is_cors_safe(self) -> bool {
        let bytes = self.0.as_bytes();
        bytes.len() <= 128
            && !bytes.starts_with(b" ")
            && !bytes.ends_with(b" ")
            && bytes
                .iter()
                .all(|b| (0x20..0x7f).contains(b) && !b"\"():<>?@[\\]{}".contains(b))
    }
}

impl<'a> EventType<'a> {
    /// Checks `text` once; O(its length).
    ///
    /// # Errors
    /// If it holds an LF or CR.
    pub const fn new(text: &'a str) -> Result<Self, FieldError> {
        match first_forbidden(text.as_bytes(), NUL_IS_ALLOWED) {
            None => Ok(Self(text)),
            Some(offset) => Err(FieldError {
                field: "event",
                byte: text.as_bytes()[offset],
                offset,
            }),
        }
    }

    /// For constants: what cannot be carried does not compile.
    ///
    /// # Panics
    /// If the text holds an LF or CR; in a `const`, at compile time.
    #[must_use]
    pub const fn from_static(text: &'static str) -> EventType<'static> {
        match EventType::new(text) {
            Ok(event_type) => event_type,
            Err(_) => panic!("an event type holds no LF or CR"),
        }
    }

    /// The text, as it was given.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl<'a> TryFrom<&'a str> for EventId<'a> {
    type Error = FieldError;

    fn try_from(text: &'a str) -> Result<Self, FieldError> {
        Self::new(text)
    }
}

impl<'a> TryFrom<&'a str> for EventType<'a> {
    type Error = FieldError;

    fn try_from(text: &'a str) -> Result<Self, FieldError> {
        Self::new(text)
    }
}

impl fmt::Display for EventId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for EventType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for EventId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Debug for EventType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

const NUL_IS_FORBIDDEN: u8 = 0;
/// A line end once more: nothing beyond the line ends is forbidden.
const NUL_IS_ALLOWED: u8 = b'\n';

const fn first_forbidden(bytes: &[u8], also: u8) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\n' || bytes[at] == b'\r' || bytes[at] == also {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_no_line_end_and_no_nul() {
        for (text, offset) in [("\n", 0), ("a\r", 1), ("\u{e9}\0b", 2), ("a\r\nb", 1)] {
            assert_eq!(EventId::new(text).unwrap_err().offset, offset, "{text:?}");
        }
        for text in ["", " ", "a b ", "\u{2026}", "\u{2028}\u{85}\x0b", "a:b"] {
            assert_eq!(EventId::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_type_holds_no_line_end_but_may_hold_a_nul() {
        assert_eq!(EventType::new("a\0").unwrap().as_str(), "a\0");
        let error = EventType::new("ab\rc").unwrap_err();
        assert_eq!((error.field, error.byte, error.offset), ("event", b'\r', 2));
    }

    #[test]
    fn only_plain_short_ids_cross_origins() {
        for id in ["", "1", "0.17-aZ_~", "a b"] {
            assert!(EventId::new(id).unwrap().is_cors_safe(), "{id:?}");
        }
        let long = "x".repeat(129);
        for id in [" a", "a ", "a:b", "<", "\"", "\u{e9}", "\t", "\x7f", &long] {
            assert!(!EventId::new(id).unwrap().is_cors_safe(), "{id:?}");
        }
    }
}

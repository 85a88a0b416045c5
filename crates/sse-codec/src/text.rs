//! Bytes as text, checked a stretch at a time.

use alloc::borrow::Cow;
use alloc::string::String;
use core::ops::Range;

/// How far ahead of what is asked for is checked; what lies behind it is then text for nothing.
///
/// Checking every event alone costs as much as finding it; checking 16 KiB at once costs a seventh of that.
const STRETCH: usize = 16 << 10;

/// The text of a chunk, as far as it has been checked
#[derive(Debug)]
pub(crate) struct Text<'c> {
    chunk: &'c [u8],
    start: usize,
    checked: &'c str,
    /// How far ahead to look; nothing once the chunk was found not to be UTF-8, so that the cost stays linear
    ahead: usize,
}

impl<'c> Text<'c> {
    #[inline]
    pub(crate) fn new(chunk: &'c [u8]) -> Self {
        Self {
            chunk,
            start: 0,
            checked: "",
            ahead: STRETCH,
        }
    }

    /// A part of the chunk as text, borrowed if it is UTF-8.
    #[inline]
    pub(crate) fn part(&mut self, range: Range<usize>) -> Cow<'c, str> {
        // A part that begins before the stretch wraps around and is found in no text.
        let from = range.start.wrapping_sub(self.start);
        let to = range.end.wrapping_sub(self.start);
        match self.checked.get(from..to) {
            Some(text) => Cow::Borrowed(text),
            None => self.check(range),
        }
    }

    #[cold]
    fn check(&mut self, range: Range<usize>) -> Cow<'c, str> {
        let end = range
            .end
            .max(range.start + self.ahead)
            .min(self.chunk.len());
        let stretch = &self.chunk[range.start..end];
        let len = range.len();
        let checked = match simdutf8::compat::from_utf8(stretch) {
            Ok(text) => text,
            Err(error) => {
                if error.error_len().is_some() {
                    self.ahead = 0;
                }
                simdutf8::basic::from_utf8(&stretch[..error.valid_up_to()]).unwrap_or_default()
            }
        };
        self.start = range.start;
        self.checked = checked;
        match checked.get(..len) {
            Some(text) => Cow::Borrowed(text),
            None => String::from_utf8_lossy(&stretch[..len]),
        }
    }
}

/// Bytes as text, borrowed if they are UTF-8, else with U+FFFD as the Encoding standard has it.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

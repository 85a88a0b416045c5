//! Text cut at its line ends.

use memchr::{memchr, memchr2};

/// The lines of `text`, cut where the standard cuts: CRLF, LF or CR; never empty, as "" is one empty line
///
/// What `str::lines` does not do: a CR alone ends a line, and text that ends with a line end has an empty last line.
pub(crate) struct Lines<'a> {
    rest: Option<&'a [u8]>,
    /// Most text holds no CR at all; then one byte is looked for instead of two.
    cr: bool,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            rest: Some(text),
            cr: memchr(b'\r', text).is_some(),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let end = if self.cr {
            memchr2(b'\n', b'\r', text)
        } else {
            memchr(b'\n', text)
        };
        let Some(end) = end else {
            self.rest = None;
            return Some(text);
        };
        let after = if text[end..].starts_with(b"\r\n") {
            end + 2
        } else {
            end + 1
        };
        self.rest = Some(&text[after..]);
        Some(&text[..end])
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let lines: Vec<&[u8]> = Lines::new(text.as_bytes()).collect();
        let expect: Vec<&[u8]> = expect.iter().map(|line| line.as_bytes()).collect();
        assert_eq!(lines, expect, "{text:?}");
    }

    #[test]
    fn cr_lf_and_both_end_a_line_and_nothing_else_does() {
        check("", &[""]);
        check("a", &["a"]);
        check("a\nb", &["a", "b"]);
        check("a\rb", &["a", "b"]);
        check("a\r\nb", &["a", "b"]);
        check("a\n\rb", &["a", "", "b"]);
        check("\r\r\n\n", &["", "", "", ""]);
        check(
            "a\u{2028}b\u{85}c\x0bd\x0c",
            &["a\u{2028}b\u{85}c\x0bd\x0c"],
        );
    }
}

//! A streamed body, cut into lines as they arrive.

use bytes::{Bytes, BytesMut};

/// Collects pieces and hands out whole lines
///
/// A line ends at LF; a CR before it is dropped with it. Holds at most one unfinished line, at most `max_line`
/// bytes.
#[derive(Debug)]
pub(crate) struct Lines {
    unfinished: BytesMut,
    max_line: usize,
}

impl Lines {
    pub(crate) fn new(max_line: usize) -> Self {
        Self {
            unfinished: BytesMut::new(),
            max_line,
        }
    }

    /// Takes a piece; puts the lines it completes behind those in `lines`
    ///
    /// # Errors
    /// At the first line that is too long, whether it has ended or not; those before it are in `lines`.
    pub(crate) fn handle_piece(
        &mut self,
        piece: &Bytes,
        lines: &mut Vec<Bytes>,
    ) -> Result<(), TooLong> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', piece) {
            let rest = piece.slice(start..end);
            start = end + 1;
            let line = if self.unfinished.is_empty() {
                rest
            } else {
                self.unfinished.extend_from_slice(&rest);
                self.unfinished.split().freeze()
            };
            self.check(line.len())?;
            lines.push(without_cr(line));
        }
        let rest = &piece[start..];
        self.check(self.unfinished.len() + rest.len())?;
        self.unfinished.extend_from_slice(rest);
        Ok(())
    }

    /// The last line, if it was not ended
    pub(crate) fn finish(&mut self) -> Option<Bytes> {
        let rest = self.unfinished.split().freeze();
        (!rest.is_empty()).then(|| without_cr(rest))
    }

    fn check(&self, length: usize) -> Result<(), TooLong> {
        match length > self.max_line {
            true => Err(TooLong),
            false => Ok(()),
        }
    }
}

/// A line is longer than any may be
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

fn without_cr(line: Bytes) -> Bytes {
    match line.strip_suffix(b"\r") {
        Some(stripped) => line.slice(..stripped.len()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expect: &[&str]) {
        for cut in 0..=body.len() {
            let (a, b) = body.as_bytes().split_at(cut);
            let mut lines = Lines::new(100);
            let mut got = Vec::new();
            for piece in [a, b] {
                lines
                    .handle_piece(&Bytes::copy_from_slice(piece), &mut got)
                    .expect("short lines");
            }
            got.extend(lines.finish());
            assert_eq!(got, expect, "cut at {cut}");
        }
    }

    #[test]
    fn lines_are_the_same_wherever_the_body_is_cut() {
        check("", &[]);
        check("one", &["one"]);
        check("one\ntwo\r\n\nfour", &["one", "two", "", "four"]);
        check("ä\nß\n", &["ä", "ß"]);
    }

    #[test]
    fn a_line_over_the_limit_is_refused_before_it_ends() {
        let (mut lines, mut got) = (Lines::new(4), Vec::new());
        let mut take = |piece| lines.handle_piece(&Bytes::from_static(piece), &mut got);
        assert_eq!(take(b"four\n"), Ok(()));
        assert_eq!(take(b"fi"), Ok(()));
        assert_eq!(take(b"ve!"), Err(TooLong));
    }

    #[test]
    fn lines_before_one_that_is_too_long_are_handed_out() {
        for piece in [&b"one\ntwo\nthree\nfour\n"[..], b"one\ntwo\nthree"] {
            let (mut lines, mut got) = (Lines::new(4), Vec::new());
            assert_eq!(
                lines.handle_piece(&Bytes::from_static(piece), &mut got),
                Err(TooLong)
            );
            assert_eq!(got, ["one", "two"]);
        }
    }
}

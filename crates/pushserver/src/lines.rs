//! A streamed body, cut into lines as they arrive.

use bytes::{Bytes, BytesMut};

use crate::web::problem::Problem;

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

    /// Takes a piece; answers the lines it completes, in order
    pub(crate) fn handle_piece(&mut self, piece: &Bytes) -> Result<Vec<Bytes>, Problem> {
        let mut lines = Vec::new();
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
        Ok(lines)
    }

    /// The last line, if it was not ended
    pub(crate) fn finish(&mut self) -> Vec<Bytes> {
        if self.unfinished.is_empty() {
            return Vec::new();
        }
        vec![without_cr(self.unfinished.split().freeze())]
    }

    fn check(&self, length: usize) -> Result<(), Problem> {
        if length > self.max_line {
            Err(Problem::body_too_large(self.max_line))
        } else {
            Ok(())
        }
    }
}

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
            let mut got = lines
                .handle_piece(&Bytes::copy_from_slice(a))
                .expect("short lines");
            got.extend(
                lines
                    .handle_piece(&Bytes::copy_from_slice(b))
                    .expect("short lines"),
            );
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
        let mut lines = Lines::new(4);
        assert!(lines.handle_piece(&Bytes::from_static(b"four\n")).is_ok());
        assert!(lines.handle_piece(&Bytes::from_static(b"fi")).is_ok());
        assert!(lines.handle_piece(&Bytes::from_static(b"ve!")).is_err());
    }
}

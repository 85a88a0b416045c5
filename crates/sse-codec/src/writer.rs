//! Data that is written piece by piece.

use alloc::vec::Vec;
use core::fmt;

use memchr::memchr2;

use crate::encode::DATA;

/// Takes an event's data in pieces, cut anywhere, and writes its `data:` lines
///
/// Made by [`Block::data_writer`](crate::Block::data_writer). For a serialiser that writes into a
/// [`fmt::Write`] or, with the feature `std`, an [`io::Write`](std::io::Write). A CR at the end of one piece and an
/// LF at the beginning of the next are one line end, as they would be in one piece.
///
/// The event is complete after [`finish`](Self::finish). Dropped before that, say because the serialiser failed, it
/// takes back everything that it wrote: the buffer is as it was.
///
/// ```
/// use core::fmt::Write;
/// use sse_codec::Block;
///
/// let mut out = Vec::new();
/// let mut writer = Block::new().data_writer(&mut out);
/// write!(writer, "one\r").unwrap();
/// write!(writer, "\ntwo").unwrap();
/// writer.finish();
/// assert_eq!(out, b"data: one\ndata: two\n\n");
/// ```
#[derive(Debug)]
pub struct DataWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    after_cr: bool,
    finished: bool,
}

impl<'o> DataWriter<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>, start: usize) -> Self {
        out.extend_from_slice(DATA);
        Self {
            out,
            start,
            after_cr: false,
            finished: false,
        }
    }

    /// Appends a piece of the data.
    ///
    /// Bytes that are not UTF-8 cannot break the stream, but its reader will see U+FFFD in their place.
    pub fn push(&mut self, mut piece: &[u8]) {
        if self.after_cr && !piece.is_empty() {
            self.after_cr = false;
            piece = piece.strip_prefix(b"\n").unwrap_or(piece);
        }
        while let Some(end) = memchr2(b'\n', b'\r', piece) {
            self.out.extend_from_slice(&piece[..end]);
            self.out.push(b'\n');
            self.out.extend_from_slice(DATA);
            let cr = piece[end] == b'\r';
            piece = &piece[end + 1..];
            self.after_cr = cr && piece.is_empty();
            if cr {
                piece = piece.strip_prefix(b"\n").unwrap_or(piece);
            }
        }
        self.out.extend_from_slice(piece);
    }

    /// Ends the event; what is in the buffer is a whole block.
    pub fn finish(mut self) {
        self.out.extend_from_slice(b"\n\n");
        self.finished = true;
    }
}

impl Drop for DataWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.out.truncate(self.start);
        }
    }
}

impl fmt::Write for DataWriter<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.push(piece.as_bytes());
        Ok(())
    }
}

#[cfg(feature = "std")]
impl std::io::Write for DataWriter<'_> {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        self.push(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, EventId};

    /// However the data is cut in two, the writer does what the encoder does with it in one piece.
    #[track_caller]
    fn check(data: &str) {
        let block = Block::new().id(EventId::from_static("1"));
        let mut expect = Vec::new();
        block.data(data).encode_into(&mut expect);
        for cut in 0..=data.len() {
            let mut out = Vec::new();
            let mut writer = block.data_writer(&mut out);
            writer.push(&data.as_bytes()[..cut]);
            writer.push(b"");
            writer.push(&data.as_bytes()[cut..]);
            writer.finish();
            assert_eq!(out, expect, "{data:?} cut at {cut}");
        }
    }

    #[test]
    fn where_writes_split_does_not_matter() {
        for data in [
            "",
            "a",
            "\r\n",
            "\r",
            "\n",
            "a\r\nb",
            "a\r\r\nb\n\n",
            "\r\n\r\n",
            "\n\r\n",
            "é\ré",
        ] {
            check(data);
        }
    }

    #[test]
    fn dropped_before_the_end_it_takes_everything_back() {
        let mut out = b"earlier".to_vec();
        let mut writer = Block::new()
            .id(EventId::from_static("1"))
            .data_writer(&mut out);
        writer.push(b"half a \n JSON");
        drop(writer);
        assert_eq!(out, b"earlier");
    }
}

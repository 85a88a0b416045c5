//! The items in one chunk: the loop over its lines.

use alloc::borrow::Cow;
use core::ops::{ControlFlow, Range};

use memchr::{memchr, memchr2};

use crate::decode::{CONTINUE, Decoder, Flow, HandedOut, Line, Step};
use crate::event::{Event, Item};
use crate::limits::Oversized;
use crate::line::{Field, classify};
use crate::text::Text;

/// What a chunk holds, item by item, each borrowed until the next is asked for
///
/// Ask until there is none: then the chunk has been taken in, and what was not complete is kept by the decoder.
/// Dropped before that, the decoder stands after the item handed out last, and [`rest`](Self::rest) is what it has
/// not seen: decode it later, or call [`finish`](Decoder::finish) if the stream is of no more interest.
#[derive(Debug)]
pub struct Items<'d, 'c> {
    decoder: &'d mut Decoder,
    chunk: &'c [u8],
    /// The first byte that has not been taken in
    at: usize,
    /// The first CR from there, or the chunk's length; looked up once, so that lines are searched for LF only
    cr: Option<usize>,
    /// Where the block's data lies in the chunk while it is one whole line; then the decoder's buffer is empty
    lone: Option<Range<usize>>,
    /// Where a comment lies that is to be handed out
    comment: Option<Range<usize>>,
    text: Text<'c>,
}

impl<'d, 'c> Items<'d, 'c> {
    #[inline]
    pub(crate) fn new(decoder: &'d mut Decoder, chunk: &'c [u8], at: usize) -> Self {
        Self {
            decoder,
            chunk,
            at,
            cr: None,
            lone: None,
            comment: None,
            text: Text::new(chunk),
        }
    }

    /// The next item, or `None` when the chunk has been taken in.
    ///
    /// # Errors
    /// If the stream exceeds a limit and the decoder is to stop there.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, Oversized> {
        let ControlFlow::Break(step) = self.advance() else {
            return Ok(None);
        };
        let decoder = &*self.decoder;
        let item = match (step, decoder.oversized, decoder.reconnection_time()) {
            (Step::Failed, Some(limit), _) => return Err(limit),
            (Step::Skipped, Some(limit), _) => Item::Skipped(limit),
            (Step::Retry, _, Some(retry)) => Item::Retry(retry),
            (Step::Comment, ..) => Item::Comment(self.comment()),
            _ => Item::Event(self.event()),
        };
        Ok(Some(item))
    }

    /// The next event, or `None` when the chunk has been taken in; other items are passed over.
    ///
    /// # Errors
    /// If the stream exceeds a limit and the decoder is to stop there.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, Oversized> {
        Ok(if self.advance_to_event()? {
            Some(self.event())
        } else {
            None
        })
    }

    /// The next event with its data as it came, not checked to be UTF-8, or `None` when the chunk has been taken in
    ///
    /// For whoever hands the bytes on, or to a parser that checks them itself.
    ///
    /// # Errors
    /// If the stream exceeds a limit and the decoder is to stop there.
    #[inline]
    pub fn next_raw_event(&mut self) -> Result<Option<Event<'_, &[u8]>>, Oversized> {
        if !self.advance_to_event()? {
            return Ok(None);
        }
        Ok(Some(Event {
            event_type: event_type(self.decoder),
            data: match &self.lone {
                Some(range) => &self.chunk[range.clone()],
                None => &self.decoder.data,
            },
            last_event_id: &self.decoder.last_event_id,
        }))
    }

    /// What has not been taken in yet.
    #[must_use]
    pub fn rest(&self) -> &'c [u8] {
        &self.chunk[self.at..]
    }

    #[inline]
    fn event(&mut self) -> Event<'_> {
        Event {
            event_type: event_type(self.decoder),
            data: match &self.lone {
                Some(range) => self.text.part(range.clone()),
                None => crate::text::decode(&self.decoder.data),
            },
            last_event_id: &self.decoder.last_event_id,
        }
    }

    fn comment(&self) -> Cow<'_, str> {
        crate::text::decode(match &self.comment {
            Some(range) => &self.chunk[range.clone()],
            None => &self.decoder.held,
        })
    }

    #[inline]
    fn advance_to_event(&mut self) -> Result<bool, Oversized> {
        loop {
            match self.advance() {
                ControlFlow::Continue(()) => return Ok(false),
                ControlFlow::Break(Step::Event) => return Ok(true),
                ControlFlow::Break(Step::Failed) => {
                    return self.decoder.oversized.map_or(Ok(false), Err);
                }
                ControlFlow::Break(_) => {}
            }
        }
    }

    /// Goes to the next item, or through the chunk.
    #[inline]
    fn advance(&mut self) -> Flow {
        if self.decoder.handed_out != HandedOut::Nothing {
            self.decoder.forget_handed_out();
            self.lone = None;
        }
        if self.decoder.failed {
            return ControlFlow::Break(Step::Failed);
        }
        let flow = self.lines();
        if flow != ControlFlow::Break(Step::Event) {
            self.keep_lone();
        }
        flow
    }

    #[inline]
    fn lines(&mut self) -> Flow {
        if self.decoder.line != Line::Start {
            self.rest_of_line()?;
        }
        while let Some(first) = self.chunk.get(self.at) {
            if *first == b'\n' {
                self.at += 1;
                self.blank_line()?;
            } else {
                self.line(*first)?;
            }
        }
        CONTINUE
    }

    /// Goes on with a line that an earlier chunk began.
    fn rest_of_line(&mut self) -> Flow {
        let rest = self.rest();
        match memchr2(b'\n', b'\r', rest) {
            None => {
                self.at = self.chunk.len();
                self.decoder.push_part(rest)
            }
            Some(len) => {
                let pushed = self.decoder.push_part(&rest[..len]);
                self.pass_line_end(self.at + len);
                let ended = self.decoder.end_line();
                // A line that is oversized leads to nothing else.
                pushed?;
                ended
            }
        }
    }

    /// Takes in a line that begins in this chunk.
    #[inline]
    fn line(&mut self, first: u8) -> Flow {
        let start = self.at;
        // Data tends to be long, and everything else short.
        let end = if first == b'd' {
            self.find_line_end(|bytes| memchr(b'\n', bytes))
        } else {
            self.find_line_end(find_near_lf)
        };
        let Some(end) = end else {
            return self.keep_part(start);
        };
        self.pass_line_end(end);
        let line = &self.chunk[start..end];
        if line.len() > self.decoder.limits.max_line {
            return self.long_line(start..end);
        }
        if line.is_empty() {
            return self.blank_line();
        }
        let (field, value) = classify(line);
        let value = start + value..end;
        match field {
            Field::Data => self.data_line(value),
            Field::Comment | Field::Unknown => self.comment_line(field, value),
            field => self.decoder.field(field, &self.chunk[value]),
        }
    }

    /// The chunk ends within a line.
    #[cold]
    fn keep_part(&mut self, start: usize) -> Flow {
        self.at = self.chunk.len();
        self.keep_lone();
        self.decoder.push_part(&self.chunk[start..])
    }

    #[cold]
    fn long_line(&mut self, range: Range<usize>) -> Flow {
        self.keep_lone();
        let pushed = self.decoder.push_part(&self.chunk[range]);
        let ended = self.decoder.end_line();
        pushed?;
        ended
    }

    #[inline]
    fn data_line(&mut self, value: Range<usize>) -> Flow {
        if self.decoder.has_data {
            self.keep_lone();
            // The byte before a value belongs to the name, the colon or the space: there is always one.
            self.decoder
                .push_next_line(&self.chunk[value.start - 1..value.end])?;
            return self.more_data_lines();
        }
        if self.decoder.skipping {
            return CONTINUE;
        }
        if value.len() > self.decoder.limits.max_event {
            return self.decoder.exceed_event();
        }
        self.decoder.has_data = true;
        self.lone = Some(value);
        CONTINUE
    }

    /// Where two lines of data follow each other, more do: the same as [`line`](Self::line), with all that can differ
    /// left to it.
    fn more_data_lines(&mut self) -> Flow {
        let text = &self.chunk[..self.cr.unwrap_or(0)];
        let Some(max) = self.decoder.limits.max_line.checked_sub(NAME.len()) else {
            return CONTINUE;
        };
        while let Some(line) = text.get(self.at..)
            && let Some(value) = line.strip_prefix(NAME)
            && let Some(len) = memchr(b'\n', value)
            && len <= max
        {
            let end = NAME.len() + len;
            self.at += end + 1;
            self.decoder.push_next_line(&line[NAME.len() - 1..end])?;
        }
        CONTINUE
    }

    #[inline]
    fn comment_line(&mut self, field: Field, text: Range<usize>) -> Flow {
        if field == Field::Comment && self.decoder.comments {
            self.comment = Some(text);
            return ControlFlow::Break(Step::Comment);
        }
        CONTINUE
    }

    #[inline]
    fn blank_line(&mut self) -> Flow {
        self.decoder.dispatch()?;
        self.lone = None;
        CONTINUE
    }

    /// The block goes on in the decoder's buffer: with a second line of data, or in the next chunk.
    #[inline]
    fn keep_lone(&mut self) {
        if let Some(range) = self.lone.take()
            && !self.decoder.skipping
        {
            let kept = self.decoder.push_data(&self.chunk[range]);
            debug_assert_eq!(kept, CONTINUE, "its length was checked when it was found");
        }
    }

    #[inline]
    fn find_line_end(&mut self, find_lf: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        let start = self.at;
        let cr = match self.cr {
            Some(cr) => cr,
            None => self.find_cr(),
        };
        match find_lf(&self.chunk[start..cr]) {
            Some(len) => Some(start + len),
            None => (cr < self.chunk.len()).then_some(cr),
        }
    }

    fn find_cr(&mut self) -> usize {
        let found = memchr(b'\r', self.rest());
        *self
            .cr
            .insert(found.map_or(self.chunk.len(), |len| self.at + len))
    }

    /// Goes behind the line end at `end`: LF, CR or CRLF.
    #[inline]
    fn pass_line_end(&mut self, end: usize) {
        self.at = end + 1;
        if self.chunk[end] == b'\r' {
            self.cr = None;
            match self.chunk.get(end + 1) {
                Some(b'\n') => self.at += 1,
                Some(_) => {}
                None => self.decoder.after_cr = true,
            }
        }
    }
}

#[inline]
fn event_type(decoder: &Decoder) -> &str {
    if decoder.event_type.is_empty() {
        "message"
    } else {
        &decoder.event_type
    }
}

const NAME: &[u8] = b"data: ";

/// `memchr` with a short way for short lines: sixteen bytes in one word.
#[inline]
fn find_near_lf(bytes: &[u8]) -> Option<usize> {
    const ONES: u128 = u128::MAX / 0xff;
    let Some((head, rest)) = bytes.split_first_chunk::<16>() else {
        return memchr(b'\n', bytes);
    };
    let word = u128::from_le_bytes(*head) ^ (ONES * b'\n' as u128);
    // The lowest bit that is left marks the first byte that is now zero; above it there may be false marks.
    let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
    if zeros != 0 {
        return Some(zeros.trailing_zeros() as usize / 8);
    }
    memchr(b'\n', rest).map(|at| at + 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_finds_what_memchr_finds() {
        for len in 0..40 {
            for first in 0..=len {
                for second in first..=len {
                    let mut bytes = [b'\x0b'; 41];
                    bytes[first] = b'\n';
                    bytes[second] = b'\n';
                    let bytes = &bytes[..len];
                    assert_eq!(find_near_lf(bytes), memchr(b'\n', bytes), "{bytes:?}");
                }
            }
        }
    }
}

//! The items in one chunk: the loop over its lines.

use alloc::borrow::Cow;
use core::ops::Range;

use memchr::{memchr, memchr2};

use crate::decode::{Decoder, HandedOut, Line, Step, Stepped};
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
        let item = match self.advance()? {
            None => return Ok(None),
            Some(Step::Event) => Item::Event(self.event()),
            Some(Step::Comment) => Item::Comment(self.comment()),
            Some(Step::Retry(retry)) => Item::Retry(retry),
            Some(Step::Skipped(limit)) => Item::Skipped(limit),
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
            match self.advance()? {
                None => return Ok(false),
                Some(Step::Event) => return Ok(true),
                Some(_) => {}
            }
        }
    }

    #[inline]
    fn advance(&mut self) -> Stepped {
        if self.decoder.handed_out != HandedOut::Nothing {
            self.decoder.forget_handed_out();
            self.lone = None;
        }
        self.comment = None;
        if let Some(limit) = self.decoder.failed {
            return Err(limit);
        }
        if self.decoder.line != Line::Start {
            let step = self.rest_of_line()?;
            if step.is_some() {
                return Ok(step);
            }
        }
        while self.at < self.chunk.len() {
            let step = self.line()?;
            if step.is_some() {
                if step != Some(Step::Event) {
                    self.keep_lone();
                }
                return Ok(step);
            }
        }
        self.keep_lone();
        Ok(None)
    }

    /// Goes on with a line that an earlier chunk began.
    fn rest_of_line(&mut self) -> Stepped {
        let rest = self.rest();
        match memchr2(b'\n', b'\r', rest) {
            None => {
                self.at = self.chunk.len();
                self.decoder.push_part(rest)
            }
            Some(len) => {
                let step = self.decoder.push_part(&rest[..len])?;
                let end = self.at + len;
                self.pass_line_end(end);
                let ended = self.decoder.end_line()?;
                Ok(step.or(ended))
            }
        }
    }

    /// Takes in a line that begins in this chunk.
    #[inline]
    fn line(&mut self) -> Stepped {
        let start = self.at;
        let Some(end) = self.find_line_end() else {
            self.at = self.chunk.len();
            self.keep_lone();
            return self.decoder.push_part(&self.chunk[start..]);
        };
        self.pass_line_end(end);
        let line = &self.chunk[start..end];
        if line.is_empty() {
            return Ok(self.blank_line());
        }
        if line.len() > self.decoder.limits.max_line {
            self.keep_lone();
            let step = self.decoder.push_part(line)?;
            let ended = self.decoder.end_line()?;
            return Ok(step.or(ended));
        }
        let (field, value) = classify(line);
        let value = start + value..end;
        match field {
            Field::Data => self.data_line(value),
            Field::Comment if self.decoder.comments => {
                self.comment = Some(value);
                Ok(Some(Step::Comment))
            }
            field => self.decoder.field(field, &self.chunk[value]),
        }
    }

    #[inline]
    fn data_line(&mut self, value: Range<usize>) -> Stepped {
        if self.decoder.has_data || self.decoder.skipping {
            self.keep_lone();
            return self.decoder.push_data_line(&self.chunk[value]);
        }
        if value.len() > self.decoder.limits.max_event {
            return self.decoder.exceed_event();
        }
        self.decoder.has_data = true;
        self.lone = Some(value);
        Ok(None)
    }

    #[inline]
    fn blank_line(&mut self) -> Option<Step> {
        let step = self.decoder.dispatch();
        if step.is_none() {
            self.lone = None;
        }
        step
    }

    /// The block goes on in the decoder's buffer: with a second line of data, or in the next chunk.
    #[inline]
    fn keep_lone(&mut self) {
        if let Some(range) = self.lone.take()
            && !self.decoder.skipping
        {
            let kept = self.decoder.push_data(&self.chunk[range]);
            debug_assert_eq!(kept, Ok(None), "its length was checked when it was found");
        }
    }

    #[inline]
    fn find_line_end(&mut self) -> Option<usize> {
        let start = self.at;
        let cr = match self.cr {
            Some(cr) => cr,
            None => {
                let found = memchr(b'\r', &self.chunk[start..]);
                let cr = found.map_or(self.chunk.len(), |len| start + len);
                *self.cr.insert(cr)
            }
        };
        match find_lf(&self.chunk[start..cr]) {
            Some(len) => Some(start + len),
            None => (cr < self.chunk.len()).then_some(cr),
        }
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

/// `memchr` with a short way for blank lines.
#[inline]
fn find_lf(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&b'\n') {
        return Some(0);
    }
    memchr(b'\n', bytes)
}

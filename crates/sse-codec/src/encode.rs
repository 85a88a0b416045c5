//! Blocks on their way out: what a server writes.

use alloc::vec::Vec;
use core::time::Duration;

use crate::field::{EventId, EventType};
use crate::lines::Lines;
use crate::writer::DataWriter;

/// A sign of life that no reader sees: a comment line, `:` and LF, without a blank line
///
/// The blank line that many servers add would end a block: it commits an id, makes some clients deliver an empty
/// event, and resets the last event ID of a client that has just reconnected. Write it between blocks only.
pub const HEARTBEAT: &[u8] = b":\n";

/// Longest reconnection time that is written, in milliseconds: 2^31 - 1, about 25 days
///
/// More overflows the timer of JavaScript clients, which then reconnect at once and for ever.
pub const MAX_RETRY_MILLIS: u64 = 0x7fff_ffff;

/// One block of an event stream to be written: an event, or an id, a reconnection time or a comment alone
///
/// Every value of this type can be encoded: ids and types were checked when they were made, and data and comments
/// may hold anything, as each of their lines becomes a line of its own. A decoder gives the data back with every
/// line end (CRLF, CR, LF) as LF; `Some("")` is an event with empty data, `None` is none.
///
/// The lines are written in this order, with LF at the end of each and one space after the colon:
///
/// ```text
/// : comment     one line for each line of the comment
/// id: 17
/// event: price
/// retry: 2000
/// data: one     one line for each line of the data
/// data: two
///               a blank line, unless there is only a comment or a retry
/// ```
///
/// A blank line would commit an id and end a block where there is none; a `retry` takes effect without. A block
/// with nothing in it is no bytes.
///
/// ```
/// use sse_codec::{Block, EventId};
///
/// let mut out = Vec::new();
/// let id = EventId::new("17").unwrap();
/// Block::new().id(id).data("one\rtwo").encode_into(&mut out);
/// assert_eq!(out, b"id: 17\ndata: one\ndata: two\n\n");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Block<'a> {
    /// The reader's last event ID from this block on
    pub id: Option<EventId<'a>>,
    /// The event's type; `message` without
    pub event: Option<EventType<'a>>,
    /// How long a reader is to wait before it reconnects, in whole milliseconds, at most [`MAX_RETRY_MILLIS`]
    pub retry: Option<Duration>,
    /// The event's data; without, no event is delivered
    pub data: Option<&'a str>,
    /// For whoever looks at the stream; no client shows it
    pub comment: Option<&'a str>,
}

impl<'a> Block<'a> {
    /// A block with nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            id: None,
            event: None,
            retry: None,
            data: None,
            comment: None,
        }
    }

    /// With this id.
    #[must_use]
    pub const fn id(mut self, id: EventId<'a>) -> Self {
        self.id = Some(id);
        self
    }

    /// With this event type.
    #[must_use]
    pub const fn event(mut self, event: EventType<'a>) -> Self {
        self.event = Some(event);
        self
    }

    /// With this reconnection time.
    #[must_use]
    pub const fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// With this data.
    #[must_use]
    pub const fn data(mut self, data: &'a str) -> Self {
        self.data = Some(data);
        self
    }

    /// With this comment.
    #[must_use]
    pub const fn comment(mut self, comment: &'a str) -> Self {
        self.comment = Some(comment);
        self
    }

    /// How many bytes [`encode_into`](Self::encode_into) will append, exactly; reads the data once.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let head = self.head_len();
        let data = self.data.map_or(0, |data| lines_len(DATA.len(), data));
        head + data + usize::from(self.ends_with_blank_line())
    }

    /// Appends the block to `out`; allocates only if `out` has to grow.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let data_len = self.data.map_or(0, |data| data.len() + DATA.len() + 1);
        // Exact for data of one line, the usual case; more lines grow the buffer as any `Vec` grows.
        out.reserve(self.head_len() + data_len + 1);
        self.encode_head(out);
        if let Some(data) = self.data {
            encode_lines(DATA, data, out);
        }
        if self.ends_with_blank_line() {
            out.push(b'\n');
        }
    }

    /// The block as bytes of their own, allocated once and to measure: encode an event once, clone it to everyone.
    #[cfg(feature = "bytes")]
    #[must_use]
    pub fn to_bytes(&self) -> bytes::Bytes {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut out);
        out.into()
    }

    /// Begins the block in `out` and takes its data piece by piece, as a serialiser produces it.
    ///
    /// Data that the block already has comes first, on lines of its own.
    pub fn data_writer<'o>(&self, out: &'o mut Vec<u8>) -> DataWriter<'o> {
        let start = out.len();
        self.encode_head(out);
        if let Some(data) = self.data {
            encode_lines(DATA, data, out);
        }
        DataWriter::new(out, start)
    }

    fn ends_with_blank_line(&self) -> bool {
        self.id.is_some() || self.event.is_some() || self.data.is_some()
    }

    fn head_len(&self) -> usize {
        let id = self.id.map_or(0, |id| ID.len() + id.as_str().len() + 1);
        let event = self
            .event
            .map_or(0, |event| EVENT.len() + event.as_str().len() + 1);
        let retry = self.retry.map_or(0, |retry| {
            RETRY.len() + Decimal::new(retry_millis(retry)).as_bytes().len() + 1
        });
        let comment = self
            .comment
            .map_or(0, |comment| lines_len(COMMENT.len(), comment));
        id + event + retry + comment
    }

    fn encode_head(&self, out: &mut Vec<u8>) {
        if let Some(comment) = self.comment {
            encode_comment(comment, out);
        }
        if let Some(id) = self.id {
            encode_line(ID, id.as_str().as_bytes(), out);
        }
        if let Some(event) = self.event {
            encode_line(EVENT, event.as_str().as_bytes(), out);
        }
        if let Some(retry) = self.retry {
            encode_retry(retry, out);
        }
    }
}

/// Appends a `retry` line, without a blank line: it takes effect when the reader reads it.
///
/// Whole milliseconds, rounded down; more than [`MAX_RETRY_MILLIS`] is written as that.
pub fn encode_retry(retry: Duration, out: &mut Vec<u8>) {
    encode_line(RETRY, Decimal::new(retry_millis(retry)).as_bytes(), out);
}

/// Appends a comment, one line for each line of `text`, without a blank line.
pub fn encode_comment(text: &str, out: &mut Vec<u8>) {
    encode_lines(COMMENT, text, out);
}

pub(crate) const DATA: &[u8] = b"data: ";
const ID: &[u8] = b"id: ";
const EVENT: &[u8] = b"event: ";
const RETRY: &[u8] = b"retry: ";
const COMMENT: &[u8] = b": ";

fn retry_millis(retry: Duration) -> u64 {
    u64::try_from(retry.as_millis()).map_or(MAX_RETRY_MILLIS, |millis| millis.min(MAX_RETRY_MILLIS))
}

#[inline]
fn encode_line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[inline]
fn encode_lines(name: &[u8], text: &str, out: &mut Vec<u8>) {
    for line in Lines::new(text.as_bytes()) {
        encode_line(name, line, out);
    }
}

fn lines_len(name_len: usize, text: &str) -> usize {
    Lines::new(text.as_bytes())
        .map(|line| name_len + line.len() + 1)
        .sum()
}

/// A number's decimal digits, without the allocation of `to_string`.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn new(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len() - 1;
        while number >= 10 {
            digits[start] += u8::try_from(number % 10).expect("a digit is below ten");
            number /= 10;
            start -= 1;
        }
        digits[start] += u8::try_from(number).expect("a digit is below ten");
        Self { digits, start }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[track_caller]
    fn check(block: Block<'_>, expect: &str) {
        let mut out = b"before".to_vec();
        block.encode_into(&mut out);
        assert_eq!(String::from_utf8_lossy(&out[6..]), expect);
        assert_eq!(block.encoded_len(), expect.len(), "encoded_len");
        #[cfg(feature = "bytes")]
        assert_eq!(block.to_bytes(), expect);
    }

    fn block() -> Block<'static> {
        Block::new()
    }

    #[test]
    fn fields_come_in_one_order_each_with_one_space() {
        let block = block()
            .comment("c")
            .data("d")
            .retry(Duration::from_millis(1500))
            .event(EventType::from_static("e"))
            .id(EventId::from_static("i"));
        check(block, ": c\nid: i\nevent: e\nretry: 1500\ndata: d\n\n");
    }

    #[test]
    fn every_line_end_in_data_begins_a_data_line() {
        check(
            block().data("a\nb\rc\r\nd"),
            "data: a\ndata: b\ndata: c\ndata: d\n\n",
        );
        check(block().data("\r\n\n"), "data: \ndata: \ndata: \n\n");
        check(block().data("a\r"), "data: a\ndata: \n\n");
    }

    #[test]
    fn empty_data_is_an_event_and_no_data_is_none() {
        check(block().data(""), "data: \n\n");
        check(block(), "");
        check(block().id(EventId::from_static("7")), "id: 7\n\n");
        check(block().id(EventId::from_static("")), "id: \n\n");
    }

    #[test]
    fn a_leading_space_survives() {
        check(block().data(" a"), "data:  a\n\n");
    }

    #[test]
    fn comment_and_retry_alone_end_no_block() {
        check(block().comment("a\rdata: b"), ": a\n: data: b\n");
        check(block().retry(Duration::ZERO), "retry: 0\n");
        check(
            block().retry(Duration::from_micros(10_999)).comment(""),
            ": \nretry: 10\n",
        );
    }

    #[test]
    fn a_retry_never_overflows_a_timer() {
        check(block().retry(Duration::MAX), "retry: 2147483647\n");
    }
}

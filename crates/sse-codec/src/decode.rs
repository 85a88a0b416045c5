//! The decoder: what it remembers between chunks.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::time::Duration;

use memchr::memchr;

use crate::field::EventId;
use crate::items::Items;
use crate::limits::{Limits, OnOversized, Oversized};
use crate::line::{Digits, Field, begins_field};

mod partial;

pub(crate) use partial::Line;

/// Decodes an event stream as HTML 9.2.5 and 9.2.6 say, from chunks that may be cut anywhere
///
/// ```text
///   chunk ──> decode ──> Items ──> Event, Comment, Retry, Skipped
///   chunk ──> decode ──> Items ──> …
///   end   ──> finish ──> End::Clean or End::Discarded        (and ready for the next stream)
/// ```
///
/// Every sequence of bytes is a valid stream: the only error is a limit that it exceeds. The time is linear in the
/// bytes, however they are cut. An event is handed out with the byte that completes it.
///
/// ```
/// use sse_codec::Decoder;
///
/// let mut decoder = Decoder::new();
/// let mut seen = Vec::new();
/// for chunk in [&b"data: Hello"[..], b", world\n", b"\ndata: un", b"finished"] {
///     let mut items = decoder.decode(chunk);
///     while let Some(event) = items.next_event()? {
///         seen.push(event.data.into_owned());
///     }
/// }
/// assert_eq!(seen, ["Hello, world"]);
/// assert_eq!(decoder.finish(), sse_codec::End::Discarded);
/// # Ok::<(), sse_codec::Oversized>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    pub(crate) limits: Limits,
    on_oversized: OnOversized,
    pub(crate) comments: bool,
    retries: bool,

    /// How much of a byte order mark the stream has begun with; [`BOM`]'s length once that is settled
    bom: u8,
    /// The previous chunk ended with a CR: an LF that comes first belongs to it
    pub(crate) after_cr: bool,
    /// The line that the previous chunk began and did not end
    pub(crate) line: Line,
    line_len: usize,
    /// What has to be kept of that line; after a comment was handed out, the comment
    pub(crate) held: Vec<u8>,

    /// The lines of data joined by LF; after an event was handed out, its data
    pub(crate) data: Vec<u8>,
    /// There is a line of data, if only an empty one: the standard's "data buffer" is not the empty string
    pub(crate) has_data: bool,
    pub(crate) event_type: String,
    id: String,
    id_changed: bool,
    /// The block exceeds a limit and will not be an event
    pub(crate) skipping: bool,
    /// What was handed out last and is still there, to be cleared at the next call
    pub(crate) handed_out: HandedOut,

    pub(crate) last_event_id: String,
    reconnection_time: Option<Duration>,
    /// The limit that was exceeded last
    pub(crate) oversized: Option<Oversized>,
    pub(crate) failed: bool,
}

/// How a stream ended
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Between two blocks: nothing is lost
    Clean,
    /// Within a block or a line: what had come of it is discarded, its id too, as the standard demands
    Discarded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandedOut {
    Nothing,
    /// In `data` (unless it was borrowed from the chunk) and `event_type`
    Event,
    /// In `held`
    Comment,
}

/// What a line leads to; the rest of it is kept in the decoder
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Event,
    /// In `held`, or in the chunk
    Comment,
    /// `reconnection_time`
    Retry,
    /// `oversized`
    Skipped,
    /// `oversized`
    Failed,
}

/// On with the next line, or out with something for the user; one byte, as it is passed up for every line.
pub(crate) type Flow = ControlFlow<Step>;

impl Decoder {
    /// A decoder at the beginning of a stream, with the default [`Limits`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A decoder with these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            limits,
            on_oversized: OnOversized::Stop,
            comments: false,
            retries: false,
            bom: 0,
            after_cr: false,
            line: Line::Start,
            line_len: 0,
            held: Vec::new(),
            data: Vec::new(),
            has_data: false,
            event_type: String::new(),
            id: String::new(),
            id_changed: false,
            skipping: false,
            handed_out: HandedOut::Nothing,
            last_event_id: String::new(),
            reconnection_time: None,
            oversized: None,
            failed: false,
        }
    }

    /// Chooses what happens to a block that exceeds the limits.
    #[must_use]
    pub fn on_oversized(mut self, choice: OnOversized) -> Self {
        self.on_oversized = choice;
        self
    }

    /// Hands out comments too, each as an item.
    #[must_use]
    pub fn with_comments(mut self) -> Self {
        self.comments = true;
        self
    }

    /// Hands out new reconnection times too, each as an item.
    #[must_use]
    pub fn with_retries(mut self) -> Self {
        self.retries = true;
        self
    }

    /// Begins with this last event ID, as a client does that remembers where it was.
    #[must_use]
    pub fn with_last_event_id(mut self, id: EventId<'_>) -> Self {
        self.last_event_id.clear();
        self.last_event_id.push_str(id.as_str());
        self.id.clone_from(&self.last_event_id);
        self
    }

    /// Takes the next bytes of the stream; nothing is decoded until the items are asked for.
    #[inline]
    pub fn decode<'d, 'c>(&'d mut self, chunk: &'c [u8]) -> Items<'d, 'c> {
        let mut skip = 0;
        if self.bom < BOM_LEN {
            skip = self.skip_bom(chunk);
        }
        if self.after_cr && !chunk.is_empty() {
            self.after_cr = false;
            skip = usize::from(chunk[0] == b'\n');
        }
        Items::new(self, chunk, skip)
    }

    /// The stream has ended, or was given up: forgets what is not complete and is ready for another stream
    ///
    /// The last event ID and the reconnection time stay, and the next stream begins with that ID, as in browsers.
    /// (Read literally, the standard would have the first blank line of a new stream reset it if no `id` came before.)
    pub fn finish(&mut self) -> End {
        self.forget_handed_out();
        let line_lost = match self.line {
            Line::Start | Line::Ignored | Line::Held(Field::Comment) => false,
            Line::Head => begins_field(&self.held),
            Line::Data | Line::Retry(_) | Line::Held(_) => true,
        };
        let block_lost =
            self.has_data || self.id_changed || self.skipping || !self.event_type.is_empty();
        self.bom = 0;
        self.after_cr = false;
        self.start_line();
        self.clear_block();
        self.id.clone_from(&self.last_event_id);
        self.id_changed = false;
        self.skipping = false;
        self.failed = false;
        if line_lost || block_lost {
            End::Discarded
        } else {
            End::Clean
        }
    }

    /// The last event ID as of the latest blank line: what a client sends as `Last-Event-ID`, unless it is empty
    ///
    /// Never holds a NUL, LF or CR.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// How long the server wants its clients to wait before they reconnect, if it said.
    #[must_use]
    pub fn reconnection_time(&self) -> Option<Duration> {
        self.reconnection_time
    }

    /// How many bytes are kept of what is not complete.
    #[must_use]
    pub fn buffered(&self) -> usize {
        match self.handed_out {
            HandedOut::Nothing => self.data.len() + self.held.len(),
            HandedOut::Event => 0,
            HandedOut::Comment => self.data.len(),
        }
    }

    /// "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any."
    fn skip_bom(&mut self, chunk: &[u8]) -> usize {
        let mut at = 0;
        while self.bom < BOM_LEN && at < chunk.len() {
            if chunk[at] != BOM[usize::from(self.bom)] {
                if self.bom > 0 {
                    // These bytes were the beginning of a line, and of no field's name.
                    self.line = Line::Ignored;
                    self.line_len = usize::from(self.bom);
                }
                self.bom = BOM_LEN;
                return at;
            }
            self.bom += 1;
            at += 1;
        }
        at
    }

    /// Takes a field whose line is complete.
    pub(crate) fn field(&mut self, field: Field, value: &[u8]) -> Flow {
        match field {
            Field::Data => self.push_data_line(value),
            Field::Id | Field::Event if value.len() > self.limits.max_id => {
                let max = self.limits.max_id;
                self.exceed(Oversized::Id { max })
            }
            Field::Id => {
                // "If the field value does not contain U+0000 NULL, then set the last event ID buffer to the field
                // value. Otherwise, ignore the field."
                if memchr(0, value).is_none() {
                    set_text(&mut self.id, value);
                    self.id_changed = true;
                }
                CONTINUE
            }
            Field::Event => {
                set_text(&mut self.event_type, value);
                CONTINUE
            }
            Field::Retry => {
                let mut digits = Digits::default();
                digits.push(value);
                self.set_retry(digits)
            }
            Field::Comment | Field::Unknown => CONTINUE,
        }
    }

    fn set_retry(&mut self, digits: Digits) -> Flow {
        let Some(retry) = digits.finish() else {
            return CONTINUE;
        };
        self.reconnection_time = Some(retry.min(self.limits.max_retry));
        if self.retries {
            ControlFlow::Break(Step::Retry)
        } else {
            CONTINUE
        }
    }

    fn push_data_line(&mut self, value: &[u8]) -> Flow {
        if self.skipping {
            return CONTINUE;
        }
        if self.has_data {
            self.push_data(b"\n")?;
        }
        self.has_data = true;
        self.push_data(value)
    }

    /// Takes another line of data, as its value and one byte before it, whatever that is.
    ///
    /// "Append the field value to the data buffer, then append a single U+000A LINE FEED (LF) character": we put the
    /// LF before the next line, in the place of that byte, and have none to remove at the end. One copy, not two.
    #[inline]
    pub(crate) fn push_next_line(&mut self, line: &[u8]) -> Flow {
        let end = self.data.len();
        self.push_data(line)?;
        self.data[end] = b'\n';
        CONTINUE
    }

    #[inline]
    pub(crate) fn push_data(&mut self, part: &[u8]) -> Flow {
        if self.limits.max_event - self.data.len() < part.len() {
            return self.exceed_event();
        }
        grow(&mut self.data, part.len(), self.limits.max_event);
        self.data.extend_from_slice(part);
        CONTINUE
    }

    #[cold]
    pub(crate) fn exceed_event(&mut self) -> Flow {
        if self.line == Line::Data {
            self.line = Line::Ignored;
        }
        self.exceed(Oversized::Event {
            max: self.limits.max_event,
        })
    }

    #[cold]
    fn exceed(&mut self, limit: Oversized) -> Flow {
        if self.skipping {
            return CONTINUE;
        }
        self.oversized = Some(limit);
        match self.on_oversized {
            OnOversized::Stop => {
                self.failed = true;
                ControlFlow::Break(Step::Failed)
            }
            OnOversized::Skip => {
                self.skipping = true;
                self.has_data = false;
                self.data.clear();
                ControlFlow::Break(Step::Skipped)
            }
        }
    }

    /// A blank line: "Dispatch the event".
    #[inline]
    pub(crate) fn dispatch(&mut self) -> Flow {
        // "Set the last event ID string of the event source to the value of the last event ID buffer."
        if self.id_changed {
            self.last_event_id.clone_from(&self.id);
            self.id_changed = false;
        }
        // "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string
        // and return."
        if !self.has_data {
            self.event_type.clear();
            self.skipping = false;
            return CONTINUE;
        }
        self.handed_out = HandedOut::Event;
        ControlFlow::Break(Step::Event)
    }

    /// Clears what [`Items`] lent to its user, at the next call.
    #[inline]
    pub(crate) fn forget_handed_out(&mut self) {
        match core::mem::replace(&mut self.handed_out, HandedOut::Nothing) {
            HandedOut::Nothing => {}
            HandedOut::Event => self.clear_block(),
            HandedOut::Comment => clear(&mut self.held),
        }
    }

    fn clear_block(&mut self) {
        self.has_data = false;
        clear(&mut self.data);
        self.event_type.clear();
    }

    fn start_line(&mut self) {
        self.line = Line::Start;
        self.line_len = 0;
        clear(&mut self.held);
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) const CONTINUE: Flow = ControlFlow::Continue(());

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
const BOM_LEN: u8 = 3;

/// Most that a buffer keeps for later when it is emptied.
const RETAINED: usize = 128 << 10;

#[inline]
fn clear(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > RETAINED {
        buffer.shrink_to(RETAINED);
    }
}

/// Doubles like `Vec`, but never beyond `max`.
#[inline]
fn grow(buffer: &mut Vec<u8>, more: usize, max: usize) {
    if buffer.capacity() - buffer.len() < more {
        let needed = buffer.len() + more;
        let target = needed.max((buffer.capacity() * 2).max(256).min(max));
        buffer.reserve_exact(target - buffer.len());
    }
}

fn set_text(text: &mut String, value: &[u8]) {
    text.clear();
    match core::str::from_utf8(value) {
        Ok(value) => text.push_str(value),
        Err(_) => text.push_str(&String::from_utf8_lossy(value)),
    }
}

//! A line that comes in parts: begun by one chunk, ended by a later one.

use core::ops::ControlFlow;

use crate::limits::Oversized;
use crate::line::{Digits, Field, HEAD, classify};

use super::{CONTINUE, Decoder, Flow, HandedOut, Step, clear, grow};

/// A line that is not complete
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Not begun
    Start,
    /// Too short to tell its field; all of it is in `held`
    Head,
    /// What came of its value is at the end of `data`
    Data,
    /// What came of its value is in `held`
    Held(Field),
    Retry(Digits),
    /// Nothing of it is needed
    Ignored,
}

impl Decoder {
    /// Takes a part of a line that does not fit the chunk.
    pub(crate) fn push_part(&mut self, part: &[u8]) -> Flow {
        let room = self.limits.max_line.saturating_sub(self.line_len);
        if part.len() <= room {
            self.line_len += part.len();
            return self.push_within_limit(part);
        }
        self.line_len = self.limits.max_line;
        // What came first decides: the event may be too large before the line is too long.
        self.push_within_limit(&part[..room])?;
        self.line = Line::Ignored;
        clear(&mut self.held);
        self.exceed(Oversized::Line {
            max: self.limits.max_line,
        })
    }

    fn push_within_limit(&mut self, part: &[u8]) -> Flow {
        match &mut self.line {
            Line::Start | Line::Head => {
                self.line = Line::Head;
                let (head, rest) = part.split_at(part.len().min(HEAD - self.held.len()));
                self.held.extend_from_slice(head);
                if self.held.len() < HEAD {
                    return CONTINUE;
                }
                self.open_line()?;
                if rest.is_empty() {
                    CONTINUE
                } else {
                    self.push_within_limit(rest)
                }
            }
            Line::Data => self.push_data(part),
            Line::Held(field) => {
                let max = match field {
                    Field::Comment => self.limits.max_line,
                    _ => self.limits.max_id,
                };
                if self.held.len() + part.len() > max {
                    self.line = Line::Ignored;
                    clear(&mut self.held);
                    return self.exceed(Oversized::Id { max });
                }
                grow(&mut self.held, part.len(), max);
                self.held.extend_from_slice(part);
                CONTINUE
            }
            Line::Retry(digits) => {
                digits.push(part);
                CONTINUE
            }
            Line::Ignored => CONTINUE,
        }
    }

    /// Enough of the line is held to tell its field.
    fn open_line(&mut self) -> Flow {
        let mut head = [0; HEAD];
        head.copy_from_slice(&self.held);
        self.held.clear();
        let (field, start) = classify(&head);
        self.line = match field {
            Field::Data if self.skipping => Line::Ignored,
            Field::Data => Line::Data,
            Field::Id | Field::Event => Line::Held(field),
            Field::Retry => Line::Retry(Digits::default()),
            Field::Comment if self.comments => Line::Held(field),
            Field::Comment | Field::Unknown => Line::Ignored,
        };
        if self.line == Line::Data && self.has_data {
            self.push_data(b"\n")?;
        }
        self.push_within_limit(&head[start..])
    }

    /// The line that earlier chunks began is complete.
    pub(crate) fn end_line(&mut self) -> Flow {
        let line = self.line;
        self.line = Line::Start;
        self.line_len = 0;
        match line {
            Line::Start | Line::Ignored => CONTINUE,
            Line::Data => {
                self.has_data = true;
                CONTINUE
            }
            Line::Retry(digits) => self.set_retry(digits),
            Line::Head => {
                let (field, start) = classify(&self.held);
                self.end_held(field, start)
            }
            Line::Held(field) => self.end_held(field, 0),
        }
    }

    fn end_held(&mut self, field: Field, start: usize) -> Flow {
        if field == Field::Comment && self.comments {
            self.held.drain(..start);
            self.handed_out = HandedOut::Comment;
            return ControlFlow::Break(Step::Comment);
        }
        let mut held = core::mem::take(&mut self.held);
        let step = self.field(field, &held[start..]);
        held.clear();
        self.held = held;
        step
    }
}

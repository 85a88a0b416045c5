//! The long way through a frame: byte by byte through its header, piece by piece through its payload.
//!
//! It takes any frame, cut anywhere, and knows every error and the byte that proves it. What it does for a frame that the short way takes is the same.

use alloc::boxed::Box;
use core::mem;

use super::{Compression, Decoder, Head, Message, Stage};
use crate::close::{CloseCode, CloseFrame};
use crate::control::ControlPayload;
use crate::event::{Content, Event, Part};
use crate::failure::{Failed, Failure, Refused, Violation};
use crate::header::{self, FIN, Length, MASKED, RSV1};
use crate::mask::Mask;
use crate::opcode::{Kind, OpCode};
use crate::role::Role;
use crate::unmasked::Unmasked;
use crate::utf8::{Ends, Utf8Stream};

impl Decoder {
    /// The long way: any frame, cut anywhere, and every error with its byte.
    pub(super) fn decode_stepwise<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Event<'b>>, Failed> {
        let given = input.len();
        loop {
            let before = given - input.len();
            let step = match self.stage {
                Stage::Head => self.step_head(input).map(|()| None),
                Stage::Data => self.step_data(input),
                Stage::Control => self.step_control(input),
                Stage::Over => {
                    *input = &mut [];
                    return Ok(None);
                }
            };
            match step {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) if input.is_empty() && !self.is_at_end_of_payload() => return Ok(None),
                Ok(None) => {}
                Err((failure, at)) => {
                    *input = &mut [];
                    self.stage = Stage::Over;
                    self.control = None;
                    return Err(Failed {
                        failure,
                        at: before + at,
                    });
                }
            }
        }
    }

    /// Whether an event can come without another byte: a frame whose payload is empty has just begun.
    fn is_at_end_of_payload(&self) -> bool {
        matches!(self.stage, Stage::Data | Stage::Control) && self.remaining.0 == 0
    }

    /// Takes header bytes, one at a time so that each is judged as it comes.
    fn step_head(&mut self, input: &mut &mut [u8]) -> Result<(), (Failure, usize)> {
        for at in 0..input.len() {
            if self
                .take_head_byte(input[at])
                .map_err(|failure| (failure, at))?
            {
                *input = &mut mem::take(input)[at + 1..];
                return Ok(());
            }
        }
        *input = &mut [];
        Ok(())
    }

    /// Judges the next byte of a header; true if it was the last.
    fn take_head_byte(&mut self, byte: u8) -> Result<bool, Failure> {
        let seen = usize::from(self.head.seen);
        let width = header::length_width(self.head.second);
        match seen {
            0 => {
                self.check_opcode(header::check_first_byte(byte)?, byte)?;
                self.head = Head {
                    first: byte,
                    ..Head::EMPTY
                };
            }
            1 => {
                let opcode = self.head.opcode();
                match (self.role, byte & MASKED != 0) {
                    (Role::Server, false) => return Err(Violation::Unmasked.into()),
                    (Role::Client, true) => return Err(Violation::Masked.into()),
                    _ => {}
                }
                header::check_second_byte(opcode, byte)?;
                self.head.second = byte;
                self.remaining = Length::new(byte);
                self.check_size(header::length_width(byte))?;
            }
            _ if seen < 2 + width => {
                let missing = width - (seen - 1);
                self.remaining.push(byte, width, missing)?;
                self.check_size(missing)?;
            }
            _ => self.mask.0[(seen - 2 - width) & 3] = byte,
        }
        self.head.seen += 1;
        let masked = self.head.second & MASKED != 0;
        let whole = 2 + header::length_width(self.head.second) + if masked { 4 } else { 0 };
        if seen == 0 || seen + 1 < whole {
            return Ok(false);
        }
        if !masked {
            self.mask = Mask([0; 4]);
        }
        self.begin_payload()?;
        Ok(true)
    }

    /// What the opcode says about the message under way.
    fn check_opcode(&self, opcode: OpCode, first: u8) -> Result<(), Failure> {
        let rsv1 = first & RSV1 != 0;
        match opcode {
            OpCode::Close | OpCode::Ping | OpCode::Pong => {}
            OpCode::Continuation => {
                // "An endpoint MUST NOT set the 'Per-Message Compressed' bit of control frames and non-first fragments"
                if rsv1 {
                    return Err(Violation::ReservedBit.into());
                }
                if self.message.is_none() {
                    return Err(Violation::LoneContinuation.into());
                }
                if self.fragments >= self.limits.max_fragments {
                    return Err(Refused::TooManyFragments.into());
                }
            }
            OpCode::Text | OpCode::Binary => {
                if rsv1 && self.compression == Compression::None {
                    return Err(Violation::ReservedBit.into());
                }
                // "The fragments of one message MUST NOT be interleaved between the fragments of another message"
                if self.message.is_some() {
                    return Err(Violation::InterruptedMessage.into());
                }
            }
        }
        Ok(())
    }

    /// Holds a length of which `missing` bytes are still to come against the limits.
    fn check_size(&self, missing: usize) -> Result<(), Failure> {
        if self.head.opcode().is_control() {
            return Ok(());
        }
        let len = self.remaining.at_least(missing);
        let compressed = self
            .message
            .map_or(self.head.first & RSV1 != 0, |message| message.compressed);
        if len > self.limits.max_frame as u64 {
            return Err(Refused::FrameTooBig.into());
        }
        if self.message_len.saturating_add(len) > self.limits.max_sent(compressed) {
            return Err(Refused::MessageTooBig.into());
        }
        Ok(())
    }

    /// The header is whole and nothing is wrong with it.
    fn begin_payload(&mut self) -> Result<(), Failure> {
        let first = self.head.first;
        self.head = Head {
            first,
            ..Head::EMPTY
        };
        let opcode = self.head.opcode();
        if opcode.is_control() {
            self.stage = Stage::Control;
            return Ok(());
        }
        let kind = match opcode {
            OpCode::Text => Some(Kind::Text),
            OpCode::Binary => Some(Kind::Binary),
            _ => None,
        };
        if let Some(kind) = kind {
            self.message = Some(Message {
                kind,
                compressed: first & RSV1 != 0,
                told: false,
            });
            self.utf8 = Utf8Stream::new();
            self.fragments = 0;
            self.message_len = 0;
        }
        // An empty last frame leaves an unfinished character unfinished, and this is the last byte that could tell.
        if self.remaining.0 == 0 && first & FIN != 0 && self.utf8.is_inside_character() {
            return Err(Violation::InvalidUtf8.into());
        }
        self.fragments += 1;
        self.message_len += self.remaining.0;
        self.stage = Stage::Data;
        Ok(())
    }

    /// Takes what is here of a data frame's payload, as far as it is pleasant to take at once.
    fn step_data<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Event<'b>>, (Failure, usize)> {
        let mut message = self
            .message
            .expect("a data frame's payload belongs to a message");
        let checked = message.kind == Kind::Text && !message.compressed;
        let most = if checked {
            Decoder::MAX_WHOLE_TEXT / 2
        } else {
            usize::MAX
        };
        let here = usize::try_from(self.remaining.0)
            .unwrap_or(usize::MAX)
            .min(input.len())
            .min(most);
        let (bytes, rest) = mem::take(input).split_at_mut(here);
        *input = rest;
        let mask = self.mask;
        self.mask = mask.after(here);
        self.remaining.0 -= here as u64;

        let frame_ends = self.remaining.0 == 0;
        let last = frame_ends && self.head.first & FIN != 0;
        let content = if checked {
            let ends = if last { Ends::Yes } else { Ends::No };
            Content::Text(
                self.utf8
                    .push_unmasked(Unmasked::new(mask, bytes), ends)
                    .map_err(|at| (Violation::InvalidUtf8.into(), at))?,
            )
        } else {
            mask.apply(bytes);
            if message.compressed {
                Content::Compressed(message.kind, bytes)
            } else {
                Content::Binary(bytes)
            }
        };
        let first = !message.told;
        if frame_ends {
            self.stage = Stage::Head;
        }
        if !last && content.is_empty() {
            return Ok(None);
        }
        message.told = true;
        self.message = if last { None } else { Some(message) };
        if last {
            self.message_len = 0;
        }
        Ok(Some(Event::whole_or_part(Part {
            first,
            last,
            announced: self.remaining.0,
            content,
        })))
    }

    /// Takes what is here of a control frame's payload.
    fn step_control<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Event<'b>>, (Failure, usize)> {
        let here = usize::try_from(self.remaining.0)
            .unwrap_or(usize::MAX)
            .min(input.len());
        let (bytes, rest) = mem::take(input).split_at_mut(here);
        *input = rest;
        self.mask.apply(bytes);
        self.mask = self.mask.after(here);
        self.remaining.0 -= here as u64;

        let mut payload = self
            .control
            .take()
            .map_or(ControlPayload::EMPTY, |held| *held);
        let held = payload.len();
        payload.push_what_fits(bytes);
        let opcode = self.head.opcode();
        let ends = if self.remaining.0 == 0 {
            Ends::Yes
        } else {
            Ends::No
        };
        let close = if opcode == OpCode::Close {
            // What stood before these bytes was found right when it came, so `at` is never before them.
            check_close(&payload, ends)
                .map_err(|(violation, at)| (violation.into(), at.saturating_sub(held)))?
        } else {
            None
        };
        if ends == Ends::No {
            self.control = Some(Box::new(payload));
            return Ok(None);
        }
        self.stage = Stage::Head;
        Ok(Some(match opcode {
            OpCode::Ping => Event::Ping(payload),
            OpCode::Pong => Event::Pong(payload),
            _ => {
                self.stage = Stage::Over;
                self.message = None;
                Event::Close(close)
            }
        }))
    }
}

/// Judges the payload of a close frame, or as much of it as is here.
fn check_close(
    payload: &ControlPayload,
    ends: Ends,
) -> Result<Option<CloseFrame>, (Violation, usize)> {
    let Some((&high, after)) = payload.split_first() else {
        return Ok(None);
    };
    if !CloseCode::may_begin_with(high) {
        return Err((Violation::InvalidCloseCode, 0));
    }
    let Some((&low, reason)) = after.split_first() else {
        return Ok(None);
    };
    let code =
        CloseCode::new(u16::from_be_bytes([high, low])).ok_or((Violation::InvalidCloseCode, 1))?;
    if let Err(at) = Utf8Stream::new().push(reason, ends) {
        return Err((Violation::InvalidCloseReason, 2 + at));
    }
    Ok(Some(CloseFrame::from_checked(code, *payload)))
}

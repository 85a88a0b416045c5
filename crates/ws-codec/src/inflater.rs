//! permessage-deflate, the reading half.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use crate::failure::{Failure, Refused, Violation};
use crate::handshake::Deflate;
use crate::limits::Limits;
use crate::role::Role;
use crate::utf8::{Ends, Utf8Stream};

/// Inflates the messages of one direction of a connection (RFC 7692 section 7.2.2).
///
/// What comes out is held against the limits piece by piece, so a message that inflates to a gigabyte costs no more than the limit. Without
/// context takeover nothing is kept between messages.
pub(crate) struct Inflater {
    /// About 40 KiB of state; between messages only with context takeover
    stream: Option<Box<Inflate>>,
    utf8: Utf8Stream,
    takeover: bool,
    window_bits: u8,
    /// The peer ended its DEFLATE stream; what follows begins another
    stream_ended: bool,
    max_ratio: u32,
    max_message: usize,
    /// Of the message under way, as sent and as inflated
    taken: u64,
    inflated: u64,
}

impl Inflater {
    pub(crate) fn new(role: Role, agreed: &Deflate, limits: &Limits) -> Inflater {
        let half = agreed.written_by(role.peer());
        Inflater {
            stream: None,
            utf8: Utf8Stream::new(),
            takeover: half.takeover,
            // A peer that says 8 and compresses with zlib uses 9: zlib has no 8.
            window_bits: half.window_bits.max(9),
            stream_ended: false,
            max_ratio: limits.max_inflate_ratio,
            max_message: limits.max_message,
            taken: 0,
            inflated: 0,
        }
    }

    /// Inflates a part of a binary message into `out`.
    pub(crate) fn push_binary(
        &mut self,
        bytes: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.push(bytes, last, &mut |_, piece| {
            out.extend_from_slice(piece);
            Ok(())
        })
    }

    /// Inflates a part of a text message into `out`.
    pub(crate) fn push_text(
        &mut self,
        bytes: &[u8],
        last: bool,
        out: &mut String,
    ) -> Result<(), Failure> {
        self.push(bytes, last, &mut |utf8, piece| {
            let piece = utf8
                .push(piece, Ends::No)
                .map_err(|_| Violation::InvalidUtf8)?;
            out.extend(piece.joined);
            out.push_str(piece.text);
            Ok(())
        })?;
        if last && core::mem::take(&mut self.utf8).is_inside_character() {
            return Err(Violation::InvalidUtf8.into());
        }
        Ok(())
    }

    fn push(&mut self, mut bytes: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<(), Failure> {
        // The ratio is looked at after every STEP bytes of the message, wherever the reads were cut.
        while !bytes.is_empty() {
            let to_step = STEP - (self.taken % STEP as u64) as usize;
            let (step, rest) = bytes.split_at(to_step.min(bytes.len()));
            bytes = rest;
            self.run(step, sink)?;
            self.taken += step.len() as u64;
            if self.taken.is_multiple_of(STEP as u64) {
                self.check_ratio()?;
            }
        }
        if last { self.end_message(sink) } else { Ok(()) }
    }

    /// "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the message."
    fn end_message(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        // A peer that ended its stream with the message left nothing to append to. Nor did one that sent nothing at all, as zlib
        // makes of an empty message after another.
        if !self.stream_ended && self.taken != 0 {
            // A stream that ends inside what is appended was cut short before its end.
            if self.run(&[0x00, 0x00, 0xFF, 0xFF], sink)? != 0 {
                return Err(Violation::InvalidCompression.into());
            }
            self.check_ended()?;
        }
        self.check_ratio()?;
        self.taken = 0;
        self.inflated = 0;
        if !self.takeover {
            self.stream = None;
            self.stream_ended = false;
        }
        Ok(())
    }

    /// After its last four octets a message stands between two blocks, where one more empty block inflates to nothing.
    ///
    /// In the middle of a block it would be read as data: the message was cut short. Where the stream is not needed any more, that block is a
    /// last one, and the stream has to end with it.
    fn check_ended(&mut self) -> Result<(), Failure> {
        let before = self.inflated;
        let is_last = u8::from(!self.takeover);
        let ends = self.run(&[is_last, 0x00, 0x00, 0xFF, 0xFF], &mut |_, _| Ok(()))?;
        if self.inflated != before
            || ends != u32::from(is_last)
            || self.stream_ended == self.takeover
        {
            return Err(Violation::InvalidCompression.into());
        }
        Ok(())
    }

    /// Inflates all of `bytes`, gives what comes out to `sink` in order, and says how many DEFLATE streams ended in them.
    fn run(&mut self, mut bytes: &[u8], sink: &mut Sink<'_>) -> Result<u32, Failure> {
        let window_bits = self.window_bits;
        let stream = self
            .stream
            .get_or_insert_with(|| Box::new(Inflate::new(false, window_bits)));
        let mut room = [0; 4096];
        let mut ends = 0;
        loop {
            if self.stream_ended {
                if bytes.is_empty() {
                    return Ok(ends);
                }
                stream.reset(false);
                self.stream_ended = false;
            }
            let (before_in, before_out) = (stream.total_in(), stream.total_out());
            let status = stream.decompress(bytes, &mut room, InflateFlush::SyncFlush);
            let used = (stream.total_in() - before_in) as usize;
            let made = (stream.total_out() - before_out) as usize;
            bytes = &bytes[used..];

            // What came before an error comes first, so that the first thing wrong is the one reported.
            let allowed = (self.max_message as u64 - self.inflated).min(made as u64) as usize;
            sink(&mut self.utf8, &room[..allowed])?;
            self.inflated += made as u64;
            if allowed < made {
                return Err(Refused::MessageTooBig.into());
            }
            match status.map_err(|_| Violation::InvalidCompression)? {
                Status::StreamEnd => {
                    self.stream_ended = true;
                    ends += 1;
                }
                Status::Ok | Status::BufError if bytes.is_empty() && made < room.len() => {
                    return Ok(ends);
                }
                // Every turn takes or gives something, or it is the last.
                Status::Ok | Status::BufError if used == 0 && made == 0 => {
                    return Err(Violation::InvalidCompression.into());
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }

    fn check_ratio(&self) -> Result<(), Failure> {
        let allowed = self
            .taken
            .saturating_mul(u64::from(self.max_ratio))
            .max(FREE);
        if self.inflated > allowed {
            Err(Refused::InflatesTooMuch.into())
        } else {
            Ok(())
        }
    }
}

/// What a message may inflate to whatever its ratio
const FREE: u64 = 64 * 1024;

/// After how many bytes of a message the ratio is looked at: 256 of them inflate to 258 KiB at most
const STEP: usize = 256;

/// Takes inflated bytes, and the state of the text they may belong to
type Sink<'s> = dyn FnMut(&mut Utf8Stream, &[u8]) -> Result<(), Failure> + 's;

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("takeover", &self.takeover)
            .field("window_bits", &self.window_bits)
            .field("taken", &self.taken)
            .field("inflated", &self.inflated)
            .finish_non_exhaustive()
    }
}

//! The verifying mode: every byte of a subscriber parsed, every event's number and data checked.

use anyhow::{Result, ensure};

use crate::profile::Transport;
use crate::wire::{self, Body, FrameReader, MARKER, Message, StreamReader};

/// What one subscriber has seen, and what was wrong with it.
pub(crate) struct Judge {
    reader: Reading,
    size: usize,
    next: Option<u64>,
    /// Events that never came, seen by the next number being too high
    pub(crate) lost: u64,
    /// Lost events that an announcement covered
    pub(crate) announced: u64,
    /// Events whose number had been seen or passed
    pub(crate) repeated: u64,
    /// The id of the newest event
    pub(crate) last_id: String,
    /// Ids by event number, for those who want to resume; kept only if asked for
    pub(crate) ids: Option<Vec<(u64, String)>>,
    /// The code of a close frame
    pub(crate) closed: Option<u16>,
    gap: bool,
}

enum Reading {
    Frames(FrameReader),
    Stream(StreamReader),
    Lines,
}

impl Judge {
    /// A judge of a connection whose handshake is over.
    pub(crate) fn new(transport: Transport, body: Body, size: usize) -> Judge {
        let reader = match transport {
            Transport::Ws => Reading::Frames(FrameReader::default()),
            Transport::Sse => Reading::Stream(StreamReader::new(body)),
            Transport::Line => Reading::Lines,
        };
        Judge {
            reader,
            size,
            next: None,
            lost: 0,
            announced: 0,
            repeated: 0,
            last_id: String::new(),
            ids: None,
            closed: None,
            gap: false,
        }
    }

    /// Takes input apart and returns how many events were in it.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<u64> {
        let mut reader = std::mem::replace(&mut self.reader, Reading::Lines);
        let mut count = 0;
        let mut each = |message: Message<'_>| {
            count += u64::from(self.see(&message)?);
            Ok(())
        };
        match &mut reader {
            Reading::Frames(frames) => frames.feed(input, &mut each)?,
            Reading::Stream(stream) => stream.feed(input, &mut each)?,
            Reading::Lines => count = memchr::memchr_iter(MARKER, input).count() as u64,
        }
        self.reader = reader;
        Ok(count)
    }

    /// How many events are missing after the newest seen, if the last one published has this number.
    pub(crate) fn missing_until(&self, last: u64) -> u64 {
        (last + 1).saturating_sub(self.next.unwrap_or(0))
    }

    /// Notes one message; true if it is an event.
    fn see(&mut self, message: &Message<'_>) -> Result<bool> {
        let (id, kind, data) = match *message {
            Message::Event { id, kind, data } => (id, kind, data),
            Message::Close(code) => {
                self.closed = Some(code);
                return Ok(false);
            }
        };
        if memchr::memchr(MARKER, data).is_none() {
            self.gap |= kind == "push.gap";
            return Ok(false);
        }
        ensure!(self.closed.is_none(), "an event after the close frame");
        let seq = wire::read_data(data, self.size)?;
        let due = self.next.unwrap_or(seq);
        if seq < due {
            self.repeated += 1;
        } else {
            self.lost += seq - due;
            if self.gap {
                self.announced += seq - due;
            }
        }
        self.gap = false;
        self.next = Some(due.max(seq + 1));
        if let Some(ids) = &mut self.ids {
            ids.push((seq, id.to_owned()));
        } else if !id.is_empty() {
            id.clone_into(&mut self.last_id);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(numbers: &[u64], lost: u64, repeated: u64) {
        let mut judge = Judge::new(Transport::Sse, Body::Close, 32);
        for &n in numbers {
            let mut input = b"id: p1\ndata: ".to_vec();
            wire::push_data(&mut input, n, 32);
            input.extend_from_slice(b"\n\n");
            assert_eq!(judge.feed(&input).unwrap(), 1);
        }
        assert_eq!((judge.lost, judge.repeated), (lost, repeated));
    }

    #[test]
    fn an_event_left_out_is_lost() {
        check(&[7, 8, 11], 2, 0);
    }

    #[test]
    fn an_event_seen_twice_or_late_is_repeated() {
        check(&[1, 2, 2, 3, 1], 0, 2);
    }

    #[test]
    fn a_gap_announces_what_it_stands_before() {
        let mut judge = Judge::new(Transport::Sse, Body::Close, 32);
        let mut input = b"data: ".to_vec();
        wire::push_data(&mut input, 1, 32);
        input.extend_from_slice(b"\n\nevent: push.gap\ndata: {}\n\ndata: ");
        wire::push_data(&mut input, 5, 32);
        input.extend_from_slice(b"\n\n");
        judge.feed(&input).unwrap();
        assert_eq!((judge.lost, judge.announced), (3, 3));
    }
}

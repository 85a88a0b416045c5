//! Is a cursor too far behind, and what is skipped then?

use super::read::first;
use super::{Cursor, end_of};
use crate::config::MaxLag;
use crate::delivery::{Delivery, Gap, GapReason};
use crate::event::{Event, Record};
use crate::log::past::Head;
use crate::log::{Feed, Log};
use crate::reading::Reading;
use crate::timestamp::Timestamp;

impl Cursor {
    /// Skips to the newest event and announces what lies before it.
    pub(super) fn skip_to_newest(&mut self, log: &Log) {
        let newest = |reading: &Reading| log.newest_first(reading.feed).next().map(|e| e.offset());
        let Some(newest) = self.readings.iter().filter_map(newest).max() else {
            return;
        };
        if newest <= self.read + 1 {
            return;
        }
        let mut ends = Vec::new();
        self.walk(log, |entry| {
            if entry.offset() < newest && entry.record() != Record::Event {
                ends.push(Delivery::End(end_of(entry)));
            }
            entry.offset() < newest
        });
        let mut told = Vec::new();
        for reading in self.readings.iter_mut() {
            let base = self.read.max(reading.after);
            let head = reading.head(self.read, log);
            let lost = log.lost(reading.feed).through;
            let lost_before = lost.min(newest - 1) > base;
            if base < newest - 1 && (head.offset < newest || lost_before) {
                let skipped = match reading.feed {
                    Feed::Topic(id) if !lost_before => {
                        let state = &log.topics[id as usize];
                        let next_seq = reading.next_seq.max(state.first_seq);
                        let skipped = state.seq_after(newest - 1) - next_seq;
                        let ended = state.ended.is_some() && state.newest() < newest;
                        Some(skipped - u64::from(ended))
                    }
                    _ => None,
                };
                told.push(Delivery::Gap(Gap {
                    pattern: reading.pattern.clone(),
                    from: log.place(base + 1),
                    to: log.place(newest - 1),
                    missed: skipped,
                    reason: GapReason::Lag,
                }));
            }
            reading.seek(newest - 1, log);
        }
        told.extend(ends);
        self.rare().pending.extend(told);
        self.read = newest - 1;
    }

    /// Is it too far behind?
    pub(super) fn lags(&self, log: &Log, now: Timestamp) -> bool {
        let max = self
            .rare
            .as_ref()
            .map_or(MaxLag::default(), |r| r.lag.max_lag);
        let (mut events, mut bytes, mut lags) = (0, 0, false);
        self.walk(log, |event| {
            if event.record() != Record::Event {
                return true;
            }
            events += 1;
            bytes += event.body_len() as u64;
            lags = max.events.is_some_and(|max| events > max)
                || max.bytes.is_some_and(|max| bytes > max)
                || max.age.is_some_and(|max| now.since(event.time()) > max);
            // The first one is the oldest: without the other bounds there is nothing to find behind it.
            !lags && (max.events.is_some() || max.bytes.is_some())
        });
        lags
    }

    /// Looks at the entries ahead, ends included, in order, as long as `look` says so.
    pub(crate) fn walk(&self, log: &Log, mut look: impl FnMut(&Event) -> bool) {
        let mut heads: Vec<Head> = self
            .readings
            .iter()
            .map(|r| r.head(self.read, log))
            .collect();
        loop {
            let next = first(&heads);
            if next == u64::MAX {
                return;
            }
            let event = self.event_of(&heads, next, log);
            if !look(event) {
                return;
            }
            for (reading, head) in self.readings.iter().zip(&mut heads) {
                if head.offset == next {
                    *head = log.head_at(reading.feed, head.at + 1);
                }
            }
        }
    }
}

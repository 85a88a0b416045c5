//! The events of many topics in the order of their offsets: who is oldest, and whose an offset is.

use std::collections::VecDeque;

/// A queue of (offset, topic), 8 bytes an entry
///
/// Topics lose events at their own pace, so entries in the middle may speak of events that are gone. They are not
/// looked for: an entry is passed over when it reaches the front, and the owner asks for a compaction once most are dead.
#[derive(Debug, Default)]
pub(crate) struct Order {
    segments: VecDeque<Segment>,
    /// Entries of the first segment that were taken
    taken: usize,
    len: usize,
    /// How many entries are dead, by the owner's count
    pub(crate) dead: usize,
    /// The last segment used up, kept for its memory
    spare: Vec<Entry>,
}

#[derive(Debug)]
struct Segment {
    base: u64,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    delta: u32,
    topic: u32,
}

/// 16 KiB a segment
const SEGMENT: usize = 2048;

impl Order {
    /// How many entries there are, dead ones included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts an offset behind all others.
    #[inline]
    pub(crate) fn push(&mut self, offset: u64, topic: u32) {
        self.len += 1;
        if let Some(segment) = self.segments.back_mut()
            && segment.entries.len() < SEGMENT
            && let Ok(delta) = u32::try_from(offset - segment.base)
        {
            segment.entries.push(Entry { delta, topic });
            return;
        }
        self.push_segment(offset, topic);
    }

    #[inline(never)]
    fn push_segment(&mut self, offset: u64, topic: u32) {
        let mut entries = std::mem::take(&mut self.spare);
        entries.push(Entry { delta: 0, topic });
        self.segments.push_back(Segment {
            base: offset,
            entries,
        });
    }

    /// The entry with the lowest offset.
    pub(crate) fn front(&self) -> Option<(u64, u32)> {
        let segment = self.segments.front()?;
        Some(segment.entry(self.taken))
    }

    /// Takes the entry with the lowest offset.
    pub(crate) fn pop(&mut self) -> Option<(u64, u32)> {
        let front = self.front()?;
        self.pop_if(front.0);
        Some(front)
    }

    /// Takes the entry with the lowest offset if it is this one; says whether it is.
    #[inline]
    pub(crate) fn pop_if(&mut self, offset: u64) -> bool {
        let Some(segment) = self.segments.front() else {
            return false;
        };
        if segment.entry(self.taken).0 != offset {
            return false;
        }
        self.taken += 1;
        self.len -= 1;
        if self.taken == segment.entries.len() {
            self.drop_segment();
        }
        true
    }

    #[inline(never)]
    fn drop_segment(&mut self) {
        let used = self.segments.pop_front().expect("it had the front");
        self.spare = used.entries;
        self.spare.clear();
        self.taken = 0;
    }

    /// Whose `offset` is, if it has an entry: a binary search.
    pub(crate) fn topic_of(&self, offset: u64) -> Option<u32> {
        let after = self.segments.partition_point(|s| s.base <= offset);
        let index = after.checked_sub(1)?;
        let segment = &self.segments[index];
        let taken = if index == 0 { self.taken } else { 0 };
        let delta = u32::try_from(offset - segment.base).ok()?;
        let entries = &segment.entries[taken..];
        let found = entries
            .binary_search_by_key(&delta, |entry| entry.delta)
            .ok()?;
        Some(entries[found].topic)
    }

    /// Throws out the entries that `is_live` does not know.
    pub(crate) fn compact(&mut self, mut is_live: impl FnMut(u64, u32) -> bool) {
        let old = std::mem::take(self);
        for (index, segment) in old.segments.iter().enumerate() {
            let taken = if index == 0 { old.taken } else { 0 };
            for at in taken..segment.entries.len() {
                let (offset, topic) = segment.entry(at);
                if is_live(offset, topic) {
                    self.push(offset, topic);
                }
            }
        }
    }
}

impl Segment {
    fn entry(&self, index: usize) -> (u64, u32) {
        let entry = self.entries[index];
        (self.base + u64::from(entry.delta), entry.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order_and_are_found_between() {
        let mut order = Order::default();
        let offsets: Vec<u64> = (0..5000).map(|n| 10 + n * 3).collect();
        offsets.iter().for_each(|&o| order.push(o, o as u32));
        assert_eq!(order.topic_of(13), Some(13));
        assert_eq!(order.topic_of(14), None);
        assert_eq!(order.topic_of(9), None);
        for &offset in &offsets[..4000] {
            assert_eq!(order.pop(), Some((offset, offset as u32)));
            assert_eq!(order.topic_of(offset), None);
        }
        assert_eq!(order.len(), 1000);
        order.compact(|offset, _| offset % 2 == 0);
        assert!(std::iter::from_fn(|| order.pop()).all(|(o, _)| o % 2 == 0));
    }

    #[test]
    fn offsets_may_be_far_apart() {
        let mut order = Order::default();
        order.push(1, 1);
        order.push(1 << 40, 2);
        order.push(u64::MAX, 3);
        assert_eq!(order.topic_of(1 << 40), Some(2));
        assert_eq!(order.topic_of(u64::MAX), Some(3));
        assert_eq!(order.topic_of((1 << 40) + 1), None);
        assert_eq!(order.pop(), Some((1, 1)));
        assert_eq!(order.pop(), Some((1 << 40, 2)));
    }
}

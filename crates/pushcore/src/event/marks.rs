//! What an entry of the log is, and which of its forms were asked for, in one byte.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What an entry of the log is
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// An event, for readers
    Event,
    /// The end of a topic, which readers are told as [`End`](crate::End)
    Ended,
    /// The end of a topic whose events were erased
    Deleted,
}

/// A byte of the event that two things share: each event of the log would be eight bytes larger for another
///
/// The two lowest bits are the record, the others the forms that were asked for.
pub(super) struct Marks(AtomicU8);

const RECORD: u8 = 0b11;

impl Marks {
    pub(super) fn new(record: Record) -> Marks {
        Marks(AtomicU8::new(match record {
            Record::Event => 0,
            Record::Ended => 1,
            Record::Deleted => 2,
        }))
    }

    pub(super) fn record(&self) -> Record {
        match self.0.load(Relaxed) & RECORD {
            0 => Record::Event,
            1 => Record::Ended,
            _ => Record::Deleted,
        }
    }

    /// Whether the form `index` was not asked for before; indices that differ by a multiple of six are told as one.
    pub(super) fn is_first_asking(&self, index: u8) -> bool {
        let bit = 0b100 << (index % 6);
        self.0.load(Relaxed) & bit == 0 && self.0.fetch_or(bit, Relaxed) & bit == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn askings_leave_the_record_alone_and_each_form_is_asked_first_once() {
        for record in [Record::Event, Record::Ended, Record::Deleted] {
            let marks = Marks::new(record);
            for index in 0..6 {
                assert!(marks.is_first_asking(index));
                assert!(!marks.is_first_asking(index));
                assert_eq!(marks.record(), record);
            }
            assert!(!marks.is_first_asking(6));
        }
    }
}

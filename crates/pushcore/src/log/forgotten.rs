//! What the log remembers of topics it has forgotten.

use crate::log::topic::Lost;
use crate::random::Digest;
use crate::topic::Topic;

/// What forgotten topics had lost, by a hash of their names
///
/// A topic that is forgotten leaves behind one offset, below which its events may have been. One number for all
/// forgotten topics would tell every returning reader of a quiet topic of a gap as soon as any other topic was forgotten;
/// with a table, only one reader in [`BUCKETS`]. What it says of a name may be needless, it is never too little.
pub(crate) struct Forgotten {
    buckets: Box<[Lost]>,
    all: Lost,
}

/// 16 KiB in all
pub(crate) const BUCKETS: usize = 1024;

impl Default for Forgotten {
    fn default() -> Forgotten {
        Forgotten {
            buckets: vec![Lost::default(); BUCKETS].into_boxed_slice(),
            all: Lost::default(),
        }
    }
}

impl Forgotten {
    /// What may have been lost of a topic called so before the log knew it.
    pub(crate) fn of(&self, topic: &Topic) -> Lost {
        self.buckets[bucket(topic)]
    }

    /// What may have been lost of any topic.
    pub(crate) fn of_all(&self) -> Lost {
        self.all
    }

    /// Takes in what a topic had lost.
    pub(crate) fn add(&mut self, topic: &Topic, lost: Lost) {
        self.restore(bucket(topic), lost);
    }

    /// Takes in what topics that are not known by name had lost.
    pub(crate) fn add_everywhere(&mut self, lost: Lost) {
        (0..BUCKETS).for_each(|bucket| self.restore(bucket, lost));
    }

    /// Every bucket, for a snapshot.
    pub(crate) fn buckets(&self) -> &[Lost] {
        &self.buckets
    }

    /// Puts back one of [`Forgotten::buckets`].
    pub(crate) fn restore(&mut self, bucket: usize, lost: Lost) {
        self.buckets[bucket].merge(lost);
        self.all.merge(lost);
    }
}

fn bucket(topic: &Topic) -> usize {
    let mut digest = Digest::new();
    digest.update(topic.as_str().as_bytes());
    (digest.finish() % BUCKETS as u64) as usize
}

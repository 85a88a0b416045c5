//! Choices that can be made again.

use std::time::{SystemTime, UNIX_EPOCH};

/// A sequence of choices (SplitMix64, which is enough where nobody guesses).
#[derive(Clone, Debug)]
pub(crate) struct Seed(u64);

impl Seed {
    /// The one in `PUSHSERVER_SEED`, else another every time.
    pub(crate) fn from_environment() -> Self {
        let given = std::env::var("PUSHSERVER_SEED").ok();
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .subsec_nanos()
        };
        Self(given.map_or_else(|| u64::from(now()), |text| text.parse().unwrap()))
    }

    /// What to put into `PUSHSERVER_SEED`, before the first choice.
    pub(crate) fn shown(&self) -> u64 {
        self.0
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Another sequence, for another thread.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }
}

//! Randomness from a seed, for epochs and tags.

/// SplitMix64: a small generator whose whole state is its seed
///
/// Not for secrets: an epoch and a tag tell logs apart, they keep nobody out.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// The tag of the event at `offset` in the life with this key; never zero.
    pub(crate) fn tag(key: u64, offset: u64) -> u32 {
        let bits = mix(key ^ mix(offset));
        u32::try_from(bits >> 32).expect("32 bits are left").max(1)
    }
}

/// A hash that is the same in every process, for comparing contents and checking files; not against an adversary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn new() -> Digest {
        Digest(0x5bd1_e995_9d1b_a3c7)
    }

    /// Takes a part in; parts keep their borders (`ab`, `c` is not `a`, `bc`).
    pub(crate) fn update(&mut self, part: &[u8]) {
        let mut words = part.chunks_exact(8);
        for word in &mut words {
            self.word(u64::from_le_bytes(word.try_into().expect("chunks of 8")));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.word(u64::from_le_bytes(last));
        self.word(part.len() as u64);
    }

    pub(crate) fn finish(self) -> u64 {
        mix(self.0)
    }

    fn word(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

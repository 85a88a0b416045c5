//! Randomness from a seed, for epochs and tags.

use std::hash::{BuildHasher, Hasher, RandomState};

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

/// Makes hashers for tables whose keys are names that strangers choose
///
/// The key is the process's own and is shown to nobody, so nobody can choose names that meet. For one name, it costs a few
/// multiplications, where the standard library's costs as much as an allocation.
#[derive(Clone, Debug)]
pub(crate) struct NameKey(u64);

impl Default for NameKey {
    fn default() -> NameKey {
        NameKey(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for NameKey {
    type Hasher = NameHasher;

    fn build_hasher(&self) -> NameHasher {
        NameHasher(self.0)
    }
}

/// Hashes one name
pub(crate) struct NameHasher(u64);

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, name: &[u8]) {
        let mut rest = name;
        while let Some((word, more)) = rest.split_first_chunk() {
            self.0 = mix(self.0 ^ u64::from_le_bytes(*word));
            rest = more;
        }
        // The length of the rest and the rest, at most seven bytes; of a name of eight bytes or more they are read at once.
        let len = rest.len() as u64;
        let last = match name.last_chunk() {
            Some(word) if len > 0 => u64::from_le_bytes(*word) >> (64 - 8 * len),
            Some(_) => 0,
            None => rest
                .iter()
                .rev()
                .fold(0, |last, byte| last << 8 | u64::from(*byte)),
        };
        self.0 = mix(self.0 ^ (last << 8 | len));
    }

    /// The mark behind a name tells nothing where there is only one.
    #[inline]
    fn write_u8(&mut self, _: u8) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_that_differ_in_any_byte_or_length_have_their_own_hashes() {
        let key = NameKey::default();
        let name = |len: usize, at: usize| {
            let mut name = vec![b'x'; len];
            name.get_mut(at).into_iter().for_each(|byte| *byte = b'y');
            String::from_utf8(name).expect("letters")
        };
        let names: HashSet<String> = (0..40)
            .flat_map(|len| (0..=len).map(move |at| name(len, at)))
            .collect();
        let hashes: HashSet<u64> = names.iter().map(|name| key.hash_one(name)).collect();
        assert_eq!(hashes.len(), names.len());
        let low: HashSet<u64> = hashes.iter().map(|hash| hash % 1024).collect();
        assert!(low.len() > 500, "their low bits differ too: {}", low.len());
    }

    #[test]
    fn two_tables_hash_one_name_differently() {
        let (one, other) = (NameKey::default(), NameKey::default());
        assert_ne!(one.hash_one("a"), other.hash_one("a"));
    }
}

//! The mask that clients put over what they send.

/// A masking key (RFC 6455 section 5.3): four bytes that are XORed over a frame's payload again and again.
///
/// The mask hides nothing from anyone; it keeps a script from choosing the bytes that an HTTP proxy in between sees.
/// So a client draws each key from a source the script cannot predict: see [`MaskKeys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Mask(pub [u8; 4]);

impl Mask {
    /// Masks or unmasks `data` in place, its first byte with the key's first byte.
    ///
    /// ```
    /// let mut data = *b"Hello";
    /// let mask = ws_codec::Mask([0x37, 0xfa, 0x21, 0x3d]);
    /// mask.apply(&mut data);
    /// assert_eq!(data, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    /// mask.apply(&mut data);
    /// assert_eq!(&data, b"Hello");
    /// ```
    #[inline]
    pub fn apply(self, data: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        // Eight bytes at a time in a form the compiler turns into the widest vectors the target has.
        let (blocks, tail) = data.as_chunks_mut::<8>();
        for block in blocks {
            *block = (u64::from_ne_bytes(*block) ^ wide).to_ne_bytes();
        }
        let (half, tail) = tail.as_chunks_mut::<4>();
        for half in half {
            *half = (u32::from_ne_bytes(*half) ^ wide as u32).to_ne_bytes();
        }
        for (byte, key) in tail.iter_mut().zip(self.0) {
            *byte ^= key;
        }
    }

    /// The key for what follows the first `len` bytes of a payload.
    ///
    /// `m.apply(whole)` is `m.apply(head); m.after(head.len()).apply(tail)` wherever `whole` is cut.
    #[must_use]
    #[inline]
    pub const fn after(self, len: usize) -> Mask {
        Mask(
            u32::from_le_bytes(self.0)
                .rotate_right(8 * (len as u32 & 3))
                .to_le_bytes(),
        )
    }
}

/// The masking keys of a client, drawn from a secret seed.
///
/// RFC 6455 section 10.3 wants keys that what the application sends cannot predict. These are the SHA-1 of the seed and a
/// counter, five keys a hash: unpredictable to anyone who does not hold the seed, and the same again in a test that gives
/// the same seed. Take the seed from the operating system's source of randomness.
#[derive(Clone)]
pub struct MaskKeys {
    seed: [u8; 32],
    drawn: u64,
    block: [u8; 20],
}

impl MaskKeys {
    /// The keys of this seed, from the first.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> MaskKeys {
        MaskKeys {
            seed,
            drawn: 0,
            block: [0; 20],
        }
    }

    /// The next key.
    pub fn draw(&mut self) -> Mask {
        let place = (self.drawn % 5) as usize;
        if place == 0 {
            let mut hash = sha1_smol::Sha1::new();
            hash.update(&self.seed);
            hash.update(&self.drawn.to_le_bytes());
            self.block = hash.digest().bytes();
        }
        self.drawn += 1;
        let (keys, _) = self.block.as_chunks::<4>();
        Mask(keys[place])
    }
}

impl core::fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The seed is a secret: it predicts every key.
        f.debug_struct("MaskKeys")
            .field("drawn", &self.drawn)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn every_length_and_phase_agrees_with_one_byte_at_a_time() {
        let mask = Mask([0x37, 0x01, 0xFF, 0x80]);
        for phase in 0..4 {
            for len in 0..70 {
                let mut fast: Vec<u8> = (0..len as u8).collect();
                mask.after(phase).apply(&mut fast);
                let naive: Vec<u8> = (0..len)
                    .map(|i| i as u8 ^ mask.0[(i + phase) % 4])
                    .collect();
                assert_eq!(fast, naive, "phase {phase}, {len} bytes");
            }
        }
    }

    #[test]
    fn keys_differ_and_repeat_with_their_seed() {
        let mut one = MaskKeys::new([7; 32]);
        let mut same = MaskKeys::new([7; 32]);
        let mut other = MaskKeys::new([8; 32]);
        let keys: Vec<Mask> = (0..100).map(|_| one.draw()).collect();
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(same.draw(), *key);
            assert_ne!(other.draw(), *key);
            assert!(!keys[..i].contains(key));
        }
    }
}

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
        self.apply_and::<false>(data);
    }

    /// The same, and whether everything is ASCII afterwards. Looking costs a fifth of the time of a loop that has the bytes in its hands;
    /// going over them again costs twice the loop.
    #[inline]
    pub(crate) fn apply_and_look(self, data: &mut [u8]) -> bool {
        self.apply_and::<true>(data) & HIGH_BITS == 0
    }

    /// Returns every bit that is set in any byte afterwards, if it is to look.
    #[inline]
    fn apply_and<const LOOK: bool>(self, data: &mut [u8]) -> u64 {
        // A server's frames have no mask, and bytes that stay as they are need not be written.
        if self.0 == [0; 4] {
            return if LOOK && !data.is_ascii() {
                HIGH_BITS
            } else {
                0
            };
        }
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        if data.len() >= wide::WORTH_IT {
            return wide::apply::<LOOK>(self, data);
        }
        self.apply_by_words::<LOOK>(data)
    }

    /// Eight bytes at a time, in a form the compiler turns into the widest vectors it may use.
    #[inline(always)]
    fn apply_by_words<const LOOK: bool>(self, data: &mut [u8]) -> u64 {
        let [a, b, c, d] = self.0;
        let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let mut seen = 0;
        let (blocks, tail) = data.as_chunks_mut::<8>();
        for block in blocks {
            let bytes = u64::from_ne_bytes(*block) ^ twice;
            if LOOK {
                seen |= bytes;
            }
            *block = bytes.to_ne_bytes();
        }
        let (halves, tail) = tail.as_chunks_mut::<4>();
        for half in halves {
            let bytes = u32::from_ne_bytes(*half) ^ twice as u32;
            if LOOK {
                seen |= u64::from(bytes);
            }
            *half = bytes.to_ne_bytes();
        }
        for (byte, key) in tail.iter_mut().zip(self.0) {
            *byte ^= key;
            if LOOK {
                seen |= u64::from(*byte);
            }
        }
        seen
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

/// The bits that no byte of ASCII has
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The same loop, compiled for wider vectors than every x86-64 processor has.
///
/// Measured on a Sapphire Rapids Xeon: while the bytes are in the first-level cache, 4 KiB take 31 ns instead of 67 and 16 KiB 97 ns instead
/// of 210. From 64 KiB on the second-level cache is the limit and nothing is gained: one more reason to read in pieces of 16 KiB. The unsafe
/// code here is the call of a safe function on a processor that was asked whether it can run it.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod wide {
    extern crate std;

    use super::Mask;

    /// Below this the call, and the way to the first cache line, cost more than the wider vectors save
    pub(super) const WORTH_IT: usize = 1024;

    /// Applies the mask with the widest vectors the processor has.
    pub(super) fn apply<const LOOK: bool>(mask: Mask, data: &mut [u8]) -> u64 {
        // A payload begins anywhere, and a vector that lies across two cache lines takes twice the time.
        let to_line = data.as_ptr().align_offset(64).min(data.len());
        let (head, data) = data.split_at_mut(to_line);
        let seen = mask.apply_by_words::<LOOK>(head);
        let mask = mask.after(to_line);
        // Text that is not ASCII mostly shows it early, and then there is nothing left to look for.
        if LOOK && seen & super::HIGH_BITS == 0 {
            apply_aligned::<true>(mask, data)
        } else {
            seen | apply_aligned::<false>(mask, data)
        }
    }

    #[inline]
    #[allow(
        unsafe_code,
        reason = "a function for a processor feature can only be called so; see the module"
    )]
    fn apply_aligned<const LOOK: bool>(mask: Mask, data: &mut [u8]) -> u64 {
        if std::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the feature the function is compiled for.
            unsafe { apply_avx512::<LOOK>(mask, data) }
        } else if std::is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            unsafe { apply_avx2::<LOOK>(mask, data) }
        } else {
            mask.apply_by_words::<LOOK>(data)
        }
    }

    #[target_feature(enable = "avx512f")]
    fn apply_avx512<const LOOK: bool>(mask: Mask, data: &mut [u8]) -> u64 {
        mask.apply_by_words::<LOOK>(data)
    }

    #[target_feature(enable = "avx2")]
    fn apply_avx2<const LOOK: bool>(mask: Mask, data: &mut [u8]) -> u64 {
        mask.apply_by_words::<LOOK>(data)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use alloc::vec::Vec;

        /// Everything that can be compiled in, whichever would be chosen. A processor without a feature leaves its function untested, and never calls it.
        #[allow(
            unsafe_code,
            reason = "to call each of them, whichever would be chosen"
        )]
        fn each_width(mask: Mask, data: &[u8], mut check: impl FnMut(&[u8], bool)) {
            let mut run = |apply: &dyn Fn(&mut [u8]) -> u64| {
                let mut data = data.to_vec();
                let seen = apply(&mut data);
                check(&data, seen & super::super::HIGH_BITS == 0);
            };
            run(&|data| mask.apply_by_words::<true>(data));
            run(&|data| apply::<true>(mask, data));
            if std::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has the feature.
                run(&|data| unsafe { apply_avx2::<true>(mask, data) });
            }
            if std::is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has the feature.
                run(&|data| unsafe { apply_avx512::<true>(mask, data) });
            }
        }

        #[test]
        fn every_width_agrees_with_one_byte_at_a_time() {
            let mask = Mask([0x37, 0x01, 0xFF, 0x80]);
            for len in (0..300).chain([4096, 65_535]) {
                let start: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
                let naive: Vec<u8> = (0..len).map(|i| start[i] ^ mask.0[i % 4]).collect();
                each_width(mask, &start, |unmasked, ascii| {
                    assert_eq!((unmasked, ascii), (&naive[..], naive.is_ascii()));
                });
            }
        }

        /// What `Unmasked` relies on: nothing that is not ASCII hides at any place, of any length, at any width.
        #[test]
        fn every_width_sees_a_byte_beyond_ascii_wherever_it_stands() {
            let mask = Mask([0x37, 0xE1, 0xFF, 0x80]);
            for len in (0..200).chain([1024, 1111]) {
                let mut text = alloc::vec![b'~'; len];
                mask.apply_by_words::<false>(&mut text);
                each_width(mask, &text, |_, ascii| assert!(ascii, "{len} bytes"));
                for at in 0..len {
                    text[at] ^= 0x80;
                    each_width(mask, &text, |_, ascii| assert!(!ascii, "{at} of {len}"));
                    text[at] ^= 0x80;
                }
            }
        }
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

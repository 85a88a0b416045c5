//! A payload without its mask, and what was seen while it was taken off.

use crate::mask::Mask;
use crate::utf8::to_text;

/// A payload after its mask was taken off, in place, and whether all of it is ASCII.
///
/// ASCII is UTF-8, so a text that is nothing else needs no second look. Measured on a Sapphire Rapids Xeon: looking adds 25 ns to the 98 that unmasking
/// 16 KiB takes, where simdutf8 takes 150 more; a message of 16 bytes is decoded in 8 ns instead of 16, and one of 1 MiB in reads of 16 KiB in 42 µs
/// instead of 53, of which 37 are the reads. That is the reason for the unsafe call. The wall around it is this module: only [`new`](Unmasked::new)
/// makes one, it looks at the very bytes it keeps, and nobody can write to them while they are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unmasked<'b> {
    bytes: &'b [u8],
    is_ascii: bool,
}

impl<'b> Unmasked<'b> {
    /// Takes the mask off.
    #[inline]
    pub(crate) fn new(mask: Mask, bytes: &'b mut [u8]) -> Unmasked<'b> {
        let is_ascii = mask.apply_and_look(bytes);
        Unmasked { bytes, is_ascii }
    }

    pub(crate) fn bytes(self) -> &'b [u8] {
        self.bytes
    }

    /// The payload as text, if it is nothing but ASCII.
    #[inline]
    #[allow(
        unsafe_code,
        reason = "the bytes were looked at while they were unmasked; see the type"
    )]
    pub(crate) fn ascii(self) -> Option<&'b str> {
        debug_assert_eq!(self.is_ascii, self.bytes.is_ascii());
        // SAFETY: no byte has its high bit set, and what is ASCII is UTF-8.
        self.is_ascii
            .then(|| unsafe { core::str::from_utf8_unchecked(self.bytes) })
    }

    /// The payload as text, if it is UTF-8.
    #[inline]
    pub(crate) fn text(self) -> Option<&'b str> {
        self.ascii().or_else(|| to_text(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn text_is_what_std_says_is_text() {
        let samples: [&[u8]; 6] = [
            b"",
            b"plain",
            "κόσμε".as_bytes(),
            b"\x80",
            b"\xED\xA0\x80",
            b"\x7F",
        ];
        for mask in [Mask([0x37, 0xFA, 0x21, 0x3D]), Mask([0; 4])] {
            for sample in samples {
                for before in [0, 1, 7, 64, 1023, 5000] {
                    let text: Vec<u8> = [&alloc::vec![b'a'; before][..], sample, b"end"].concat();
                    let mut masked = text.clone();
                    mask.apply(&mut masked);
                    let unmasked = Unmasked::new(mask, &mut masked);
                    assert_eq!(unmasked.text(), core::str::from_utf8(&text).ok());
                    assert_eq!(unmasked.ascii().is_some(), text.is_ascii());
                    assert_eq!(unmasked.bytes(), text);
                }
            }
        }
    }
}

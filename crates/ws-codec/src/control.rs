//! The payload of a control frame.

use core::fmt;
use core::ops::Deref;

/// The payload of a ping, pong or close frame: 0 to 125 bytes, inline.
///
/// RFC 6455 section 5.5: "All control frames MUST have a payload length of 125 bytes or less". Holding the bytes
/// itself, an event never borrows from two reads at once and a ping never reaches the heap.
#[derive(Clone, Copy)]
pub struct ControlPayload {
    len: u8,
    bytes: [u8; ControlPayload::MAX],
}

const _: () = assert!(
    ControlPayload::MAX < 126,
    "a control frame's length fits the 7-bit form"
);

impl ControlPayload {
    /// The most a control frame may carry.
    pub const MAX: usize = 125;

    /// No bytes.
    pub const EMPTY: ControlPayload = ControlPayload {
        len: 0,
        bytes: [0; ControlPayload::MAX],
    };

    /// These bytes, or `None` if they are more than 125.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<ControlPayload> {
        if bytes.len() > ControlPayload::MAX {
            return None;
        }
        let mut payload = ControlPayload::EMPTY;
        payload.push_what_fits(bytes);
        Some(payload)
    }

    /// Appends as many of `bytes` as there is room for.
    pub(crate) fn push_what_fits(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        let n = bytes.len().min(ControlPayload::MAX - start);
        self.bytes[start..start + n].copy_from_slice(&bytes[..n]);
        self.len += n as u8;
    }
}

impl Deref for ControlPayload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl AsRef<[u8]> for ControlPayload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for ControlPayload {
    fn default() -> ControlPayload {
        ControlPayload::EMPTY
    }
}

impl PartialEq for ControlPayload {
    fn eq(&self, other: &ControlPayload) -> bool {
        **self == **other
    }
}

impl Eq for ControlPayload {}

impl core::hash::Hash for ControlPayload {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for ControlPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

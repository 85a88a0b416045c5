//! What a peer may make us hold.

/// What a peer may make this side hold and do. On by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest payload of one data frame, in bytes as sent. Default 1 MiB.
    ///
    /// Checked against the header, at the first of its bytes that proves the length; nothing is ever allocated for an
    /// announced length, so this bounds how long one frame can keep the connection from a ping, not memory.
    pub max_frame: usize,

    /// Longest message, in bytes as delivered: after inflating. Default 1 MiB.
    ///
    /// Worst-case memory of a connection is twice this, because a growing vector doubles; and never more than five times what the peer has
    /// sent (or, compressed, inflated) so far: four, and one while it moves. A compressed message may take an eighth and 64 bytes more than this on the wire,
    /// which every encoder of incompressible data stays within.
    pub max_message: usize,

    /// Most frames of one message. Default 1024.
    ///
    /// A fragment costs its sender 6 bytes even when empty, so without this bound a message that never ends costs
    /// CPU for ever and memory never. 1024 fragments of 1 KiB fill the default message.
    pub max_fragments: u32,

    /// How many times its size as sent a message may inflate to, once past 64 KiB. Default 200.
    ///
    /// DEFLATE reaches 1032 to 1, so 1 KiB from an attacker is 1 MiB of work; honest JSON stays below 50 to 1.
    /// The first 64 KiB are free, so that short repetitive messages pass.
    pub max_inflate_ratio: u32,
}

impl Limits {
    /// The defaults, as each field describes them.
    pub const DEFAULT: Limits = Limits {
        max_frame: 1 << 20,
        max_message: 1 << 20,
        max_fragments: 1024,
        max_inflate_ratio: 200,
    };

    /// The most a message may take on the wire.
    pub(crate) const fn max_sent(&self, compressed: bool) -> u64 {
        let max = self.max_message as u64;
        if compressed {
            max.saturating_add(max / 8 + 64)
        } else {
            max
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}

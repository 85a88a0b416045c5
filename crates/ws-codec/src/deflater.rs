//! permessage-deflate, the writing half.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use zlib_rs::{Deflate as Stream, DeflateConfig, DeflateFlush, Strategy};

use crate::handshake::{Deflate, Half};
use crate::role::Role;

/// Compresses the messages of one direction of one connection (RFC 7692 section 7.2.1).
///
/// About 256 KiB of state for a window of 15 bits. A window of 8 bits, which zlib does not have, is honoured by compressing without
/// any reference back.
pub struct Deflater {
    stream: Stream,
    takeover: bool,
}

impl Deflater {
    /// A compressor for what was agreed on; `role` is this side's. Levels are zlib's, 1 (fast) to 9 (small).
    #[must_use]
    pub fn new(role: Role, agreed: &Deflate, level: u8) -> Deflater {
        Deflater::of(agreed.written_by(role), level)
    }

    fn of(half: Half, level: u8) -> Deflater {
        let mut config = DeflateConfig::new(i32::from(level.clamp(1, 9)));
        config.window_bits = -i32::from(half.window_bits.clamp(9, 15));
        if half.window_bits < 9 {
            config.strategy = Strategy::HuffmanOnly;
        }
        Deflater {
            stream: Stream::new_with_config(config),
            takeover: half.takeover,
        }
    }

    /// The payload of the compressed message: what was agreed on taken into account, without its last four octets.
    #[must_use]
    pub fn compress(&mut self, payload: &[u8]) -> Vec<u8> {
        // "If the compressor has nothing to compress": one octet, the head of an empty block (RFC 7692 section 7.2.3.6).
        if payload.is_empty() {
            return vec![0];
        }
        let mut out = vec![0; payload.len() / 2 + 64];
        let (mut taken, mut made) = (0, 0);
        loop {
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            self.stream
                .compress(&payload[taken..], &mut out[made..], DeflateFlush::SyncFlush)
                .expect("a stream that is never ended takes more input");
            let (used, more) = (
                self.stream.total_in() - before_in,
                self.stream.total_out() - before_out,
            );
            taken += used as usize;
            made += more as usize;
            if made < out.len() || (used == 0 && more == 0) {
                break;
            }
            out.resize(out.len() * 2, 0);
        }
        debug_assert_eq!(taken, payload.len());
        if !self.takeover {
            self.stream.reset();
        }
        // "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end."
        debug_assert!(out[..made].ends_with(&[0x00, 0x00, 0xFF, 0xFF]));
        out.truncate(made - 4);
        out
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("takeover", &self.takeover)
            .finish_non_exhaustive()
    }
}

/// Compresses messages for many connections at once: each by itself, so that nobody needs to have seen another.
///
/// ```
/// use ws_codec::{PreparedMessage, SharedDeflater};
///
/// let mut deflater = SharedDeflater::new(15, 6);
/// let message = PreparedMessage::text("Hello, ".repeat(100)).deflated(&mut deflater);
/// # use ws_codec::handshake::{DeflateConfig, Opening, Via};
/// # let fields: [(&str, &[u8]); 2] = [("sec-websocket-version", b"13"), ("sec-websocket-extensions", b"permessage-deflate")];
/// # let opening = Opening::of_request(Via::Http2 { protocol: "websocket" }, "CONNECT", fields).unwrap();
/// # let agreed = opening.agree_deflate(&DeflateConfig::default());
/// assert_eq!(message.frame_for(None).len(), 704);
/// assert!(message.frame_for(agreed.as_ref()).len() < 30);
/// ```
#[derive(Debug)]
pub struct SharedDeflater {
    inner: Deflater,
    window_bits: u8,
}

impl SharedDeflater {
    /// A compressor with a window of 8 to 15 bits and zlib's level, 1 (fast) to 9 (small).
    ///
    /// Its messages may go to every connection whose `server_max_window_bits` is at least `window_bits`.
    #[must_use]
    pub fn new(window_bits: u8, level: u8) -> SharedDeflater {
        let window_bits = window_bits.clamp(8, 15);
        SharedDeflater {
            inner: Deflater::of(
                Half {
                    takeover: false,
                    window_bits,
                },
                level,
            ),
            window_bits,
        }
    }

    /// The payload of the compressed message, without its last four octets.
    #[must_use]
    pub fn compress(&mut self, payload: &[u8]) -> Vec<u8> {
        self.inner.compress(payload)
    }

    /// The window its messages need.
    #[must_use]
    pub fn window_bits(&self) -> u8 {
        self.window_bits
    }
}

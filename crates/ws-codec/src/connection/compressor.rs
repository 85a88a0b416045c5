//! What a connection needs to compress what it sends.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::deflater::Deflater;
use crate::handshake::Deflate;
use crate::role::Role;

/// What compresses the messages of [`Connection::send`](super::Connection::send)
#[derive(Debug)]
pub(super) struct Compressor {
    pub(super) agreed: Deflate,
    /// Made at the first message
    pub(super) deflater: Option<Box<Deflater>>,
}

impl Compressor {
    pub(super) fn compress(&mut self, role: Role, payload: &[u8]) -> Vec<u8> {
        let mut deflater = self
            .deflater
            .take()
            .unwrap_or_else(|| Box::new(Deflater::new(role, &self.agreed, LEVEL)));
        let compressed = deflater.compress(payload);
        if self.agreed.written_by(role).takeover {
            self.deflater = Some(deflater);
        }
        compressed
    }
}

/// zlib's own default
const LEVEL: u8 = 6;

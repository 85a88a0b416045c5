//! The proof that a server understood the handshake.

/// What a server answers to a `Sec-WebSocket-Key`: base64 of the SHA-1 of the key and a constant (RFC 6455 section 4.2.2).
///
/// ```
/// assert_eq!(&ws_codec::handshake::accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut out = [0; 28];
    encode_base64(&hash.digest().bytes(), &mut out);
    out
}

/// Base64 of `bytes`, padded, into `out`, which has exactly the length for it.
pub(super) fn encode_base64(bytes: &[u8], out: &mut [u8]) {
    for (three, four) in bytes.chunks(3).zip(out.chunks_mut(4)) {
        let mut group = [0; 4];
        group[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(group);
        for (i, place) in four.iter_mut().enumerate() {
            let six = bits >> (18 - 6 * i) & 0x3F;
            *place = if i <= three.len() {
                ALPHABET[six as usize]
            } else {
                b'='
            };
        }
    }
}

/// Whether this is the base64 form of 16 bytes: 22 characters of the alphabet and `==`.
pub(super) fn is_key(value: &[u8]) -> bool {
    value.len() == 24
        && value.ends_with(b"==")
        && value[..22].iter().all(|byte| ALPHABET.contains(byte))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expect: &str) {
        let mut out = [0; 28];
        let out = &mut out[..expect.len()];
        encode_base64(bytes, out);
        assert_eq!(core::str::from_utf8(out), Ok(expect));
    }

    #[test]
    fn base64_as_rfc_4648_has_it() {
        check(b"", "");
        check(b"f", "Zg==");
        check(b"fo", "Zm8=");
        check(b"foo", "Zm9v");
        check(b"foob", "Zm9vYg==");
        check(b"\xFF\xFE\xFD", "//79");
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(!is_key(b"dGhlIHNhbXBsZSBub25jZQ="));
        assert!(!is_key(b"dGhlIHNhbXBsZSBub25jZQAA"));
        assert!(!is_key(b"dGhl*HNhbXBsZSBub25jZQ=="));
        assert!(!is_key(b""));
    }
}

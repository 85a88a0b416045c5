//! Tokens, good and bad.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

/// The secret that the server's tokens are signed with.
pub(crate) const SECRET: &str = "attack-secret-0123456789-0123456789-abcdef";

/// A token by which `subject` may read and publish `offender/**`.
pub(crate) fn offender(subject: &str) -> String {
    signed(
        &json!({"alg": "HS256", "typ": "JWT"}),
        &claims(subject),
        SECRET.as_bytes(),
    )
}

/// What an honest backend would put into a token for `subject`.
pub(crate) fn claims(subject: &str) -> Value {
    json!({
        "sub": subject,
        // 2100, so that no run outlives it.
        "exp": 4_102_444_800_u64,
        "push": {"subscribe": ["offender/**"], "publish": ["offender/**"]},
    })
}

/// A token with this head and these claims, and the HMAC-SHA256 of both under `key`.
pub(crate) fn signed(head: &Value, claims: &Value, key: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        encode(head.to_string()),
        encode(claims.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(tag))
}

/// base64url without padding, as tokens are written.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A public key of 2048 bits in PEM, of which nobody has the private half.
///
/// Whether its modulus has two prime factors is not something that a verifier can see.
pub(crate) fn rsa_public_key() -> String {
    let modulus = ring::digest::digest(&ring::digest::SHA256, b"modulus");
    let mut modulus = modulus.as_ref().repeat(8);
    modulus[0] |= 0x80;
    modulus[255] |= 1;
    let der = rsa_key_info(&modulus);
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    )
}

/// `SubjectPublicKeyInfo` (RFC 5280 section 4.1) of an RSA key with the exponent 65537.
fn rsa_key_info(modulus: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let positive = [&[0], modulus].concat();
    let numbers = [tagged(0x02, &positive), tagged(0x02, &[1, 0, 1])].concat();
    let key = [&[0][..], &tagged(0x30, &numbers)].concat();
    tagged(0x30, &[&RSA_ENCRYPTION[..], &tagged(0x03, &key)].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut der = vec![tag];
    match len {
        0..128 => der.push(len as u8),
        128..256 => der.extend([0x81, len as u8]),
        _ => der.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    der.extend_from_slice(content);
    der
}

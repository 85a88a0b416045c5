//! Public keys in PEM files: the few fields of DER that lead to the key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Family;

/// A public key as the signature functions take it
///
/// For RSA the DER of `RSAPublicKey` (PKCS#1), for EC the uncompressed point, for Ed25519 its 32 bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub(super) family: Family,
    pub(super) bytes: Vec<u8>,
}

/// Why a PEM file has no key for us
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Somebody's private key lies where a public one would do
    #[error(
        "holds a private key, which the server must not have: `openssl pkey -in FILE -pubout` writes the public one"
    )]
    Private,
    /// Neither `PUBLIC KEY` nor `RSA PUBLIC KEY`
    #[error("holds no `-----BEGIN PUBLIC KEY-----`")]
    Missing,
    /// The lines between do not hold what they announce
    #[error(
        "holds a public key that is damaged or of a kind that is not supported (RSA, P-256, P-384 and Ed25519 are)"
    )]
    Unreadable,
}

/// The one public key of a PEM file (RFC 7468)
pub(super) fn public_key(pem: &str) -> Result<PublicKey, PemError> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(PemError::Private);
    }
    if let Some(der) = block(pem, "PUBLIC KEY") {
        return der
            .and_then(|der| subject_public_key(&der))
            .ok_or(PemError::Unreadable);
    }
    match block(pem, "RSA PUBLIC KEY") {
        Some(Some(bytes)) => Ok(PublicKey {
            family: Family::Rsa,
            bytes,
        }),
        Some(None) => Err(PemError::Unreadable),
        None => Err(PemError::Missing),
    }
}

/// The contents of the block with this label: absent, damaged, or bytes
fn block(pem: &str, label: &str) -> Option<Option<Vec<u8>>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let body = rest.split_once(&format!("-----END {label}-----"));
    let body: Option<String> = body.map(|(body, _)| body.split_ascii_whitespace().collect());
    Some(body.and_then(|body| STANDARD.decode(body).ok()))
}

/// RFC 5280 section 4.1: `SEQUENCE { SEQUENCE { algorithm, parameters }, subjectPublicKey BIT STRING }`
fn subject_public_key(der: &[u8]) -> Option<PublicKey> {
    let (outer, rest) = element(der, SEQUENCE)?;
    let (algorithm, key) = element(outer, SEQUENCE)?;
    let (oid, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    let (bits, trailing) = element(key, BIT_STRING)?;
    // The first byte of a BIT STRING counts the unused bits of its last one.
    let bytes = bits.strip_prefix(&[0])?.to_vec();
    if !rest.is_empty() || !trailing.is_empty() {
        return None;
    }
    let curve = || element(parameters, OBJECT_IDENTIFIER).map(|(curve, _)| curve);
    let family = match oid {
        RSA_ENCRYPTION => Family::Rsa,
        EC_PUBLIC_KEY if curve()? == P256 && bytes.len() == 65 => Family::Ec,
        EC_PUBLIC_KEY if curve()? == P384 && bytes.len() == 97 => Family::Ec,
        ED25519 if bytes.len() == 32 => Family::Ed,
        _ => return None,
    };
    Some(PublicKey { family, bytes })
}

/// The contents of an element with this tag, and what follows it (X.690 section 8.1)
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (
            usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])),
            &rest[2..],
        ),
        _ => return None,
    };
    (first == tag)
        .then(|| rest.split_at_checked(length))
        .flatten()
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BIT_STRING: u8 = 0x03;

/// 1.2.840.113549.1.1.1 (RFC 8017)
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1 (RFC 5480), and the curves 1.2.840.10045.3.1.7 and 1.3.132.0.34
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.101.112 (RFC 8410)
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

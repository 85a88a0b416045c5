//! One key, one algorithm.

use ring::{hmac, signature};

use super::der::PublicKey;
use super::{Algorithm, Family};

/// A key that verifies signatures by exactly one algorithm
///
/// What algorithm a token claims never chooses how its signature is checked; it only has to be this one.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    algorithm: Algorithm,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Secret(hmac::Key),
    /// As `RSAPublicKey` in DER, as a point, or as 32 bytes
    Public(Vec<u8>),
    /// As JWK writes it
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

/// A key of the wrong kind or size for its algorithm
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A public key for an HS algorithm, an RSA key for an EC algorithm, another curve
    #[error("the key is not of the kind that {0:?} takes")]
    Kind(Algorithm),
    /// Smaller than the algorithm allows
    #[error("the key is too small for {0:?}: secrets need 32, 48 or 64 bytes, RSA keys 2048 bits")]
    Small(Algorithm),
}

impl VerifyingKey {
    pub(super) fn secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, Unfit> {
        let hash = match algorithm {
            Algorithm::Hs256 => hmac::HMAC_SHA256,
            Algorithm::Hs384 => hmac::HMAC_SHA384,
            Algorithm::Hs512 => hmac::HMAC_SHA512,
            _ => return Err(Unfit::Kind(algorithm)),
        };
        if secret.len() < algorithm.min_secret_bytes() {
            return Err(Unfit::Small(algorithm));
        }
        let material = Material::Secret(hmac::Key::new(hash, secret));
        Ok(Self {
            algorithm,
            material,
        })
    }

    pub(super) fn public(algorithm: Algorithm, key: PublicKey) -> Result<Self, Unfit> {
        let PublicKey { family, bytes } = key;
        let fits = match algorithm {
            Algorithm::Es256 => bytes.len() == 65,
            Algorithm::Es384 => bytes.len() == 97,
            Algorithm::EdDsa => bytes.len() == 32,
            _ => true,
        };
        if family == Family::Hmac || family != algorithm.family() || !fits {
            return Err(Unfit::Kind(algorithm));
        }
        if family == Family::Rsa && bytes.len() < MIN_RSA_BYTES {
            return Err(Unfit::Small(algorithm));
        }
        let material = Material::Public(bytes);
        Ok(Self {
            algorithm,
            material,
        })
    }

    /// `n` and `e` as big-endian numbers without leading zeros (RFC 7518 section 6.3.1)
    pub(super) fn rsa(algorithm: Algorithm, n: Vec<u8>, e: Vec<u8>) -> Result<Self, Unfit> {
        if algorithm.family() != Family::Rsa {
            return Err(Unfit::Kind(algorithm));
        }
        if n.len() < MIN_RSA_BYTES {
            return Err(Unfit::Small(algorithm));
        }
        let material = Material::Rsa { n, e };
        Ok(Self {
            algorithm,
            material,
        })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's for `message`; HMACs are compared in constant time
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Public(bytes) => match (self.rsa_parameters(), self.curve()) {
                (Some(parameters), _) => signature::UnparsedPublicKey::new(parameters, bytes)
                    .verify(message, signature)
                    .is_ok(),
                (None, Some(curve)) => signature::UnparsedPublicKey::new(curve, bytes)
                    .verify(message, signature)
                    .is_ok(),
                (None, None) => false,
            },
            Material::Rsa { n, e } => self.rsa_parameters().is_some_and(|parameters| {
                signature::RsaPublicKeyComponents { n, e }
                    .verify(parameters, message, signature)
                    .is_ok()
            }),
        }
    }

    fn rsa_parameters(&self) -> Option<&'static signature::RsaParameters> {
        match self.algorithm {
            Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            _ => None,
        }
    }

    fn curve(&self) -> Option<&'static dyn signature::VerificationAlgorithm> {
        match self.algorithm {
            Algorithm::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDsa => Some(&signature::ED25519),
            _ => None,
        }
    }
}

/// RFC 7518 section 3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
const MIN_RSA_BYTES: usize = 2048 / 8;

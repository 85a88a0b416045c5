//! The keys that tokens may be signed with, from the configuration and the files it names.
//!
//! A key is bound to its issuer, its `kid` and its algorithm. Nothing here is looked up because of what a token says: the
//! token only selects among keys that the operator listed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pushcore::{Pattern, PatternSet};
use serde::Deserialize;

use super::der::{PemError, PublicKey, public_key};
use super::verify::{Unfit, VerifyingKey};
use super::{Algorithm, Family, patterns};
use crate::config::{Auth, TokenKey};

/// A key and what it is good for
#[derive(Debug)]
pub(super) struct TrustedKey {
    pub(super) key: VerifyingKey,
    pub(super) kid: Option<String>,
    pub(super) issuer: Issuer,
    pub(super) audience: Vec<String>,
    pub(super) ceiling: Ceiling,
    pub(super) subject_prefix: Option<String>,
}

/// What `iss` must be
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Issuer {
    /// The operator's own secret: whatever its backends write there
    Own,
    /// Absent
    Absent,
    /// Exactly this
    Named(String),
}

/// The most that tokens of a key may be granted
#[derive(Clone, Debug)]
pub(super) struct Ceiling {
    pub(super) subscribe: PatternSet,
    pub(super) publish: PatternSet,
    pub(super) admin: bool,
}

/// All trusted keys, and what the files they came from looked like
#[derive(Debug)]
pub(super) struct KeyRing {
    keys: Vec<TrustedKey>,
    files: Vec<(PathBuf, Stamp)>,
}

/// Why the keys cannot be read
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file is missing, unreadable or larger than any key file
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file
        path: PathBuf,
        /// What the operating system says
        reason: io::Error,
    },
    /// A PEM file without a usable key
    #[error("{} {reason}", path.display())]
    Pem {
        /// Which file
        path: PathBuf,
        /// What is wrong with it
        reason: PemError,
    },
    /// A key that does not fit its algorithm
    #[error("auth.keys[{index}]: {reason}")]
    Unfit {
        /// Which entry
        index: usize,
        /// Why
        reason: Unfit,
    },
    /// A JWKS file that is not one
    #[error("{} is not a JSON Web Key Set: {reason}", path.display())]
    Jwks {
        /// Which file
        path: PathBuf,
        /// What the parser says
        reason: serde_json::Error,
    },
    /// A JWKS file in which no key can verify a signature
    #[error("{} has no key that verifies signatures by an algorithm that is supported", path.display())]
    Empty {
        /// Which file
        path: PathBuf,
    },
    /// A list of patterns with one that is none
    #[error("{0}")]
    Pattern(String),
}

impl KeyRing {
    /// Reads all keys; blocks on small files
    pub(super) fn read(auth: &Auth) -> Result<Self, KeyError> {
        let mut ring = Self {
            keys: Vec::new(),
            files: Vec::new(),
        };
        if let Some(secret) = &auth.secret {
            let key = VerifyingKey::secret(Algorithm::Hs256, secret.expose().as_bytes());
            ring.keys.push(TrustedKey {
                key: key.map_err(|reason| KeyError::Unfit { index: 0, reason })?,
                kid: None,
                issuer: Issuer::Own,
                audience: auth.audience.clone(),
                ceiling: Ceiling {
                    subscribe: PatternSet::all(),
                    publish: PatternSet::all(),
                    admin: true,
                },
                subject_prefix: None,
            });
        }
        for (index, entry) in auth.keys.iter().enumerate() {
            ring.read_entry(index, entry, auth)?;
        }
        Ok(ring)
    }

    fn read_entry(&mut self, index: usize, entry: &TokenKey, auth: &Auth) -> Result<(), KeyError> {
        let name = |list: &str| format!("auth.keys[{index}].{list}");
        let ceiling = Ceiling {
            subscribe: patterns(&name("subscribe"), &entry.subscribe).map_err(KeyError::Pattern)?,
            publish: patterns(&name("publish"), &entry.publish).map_err(KeyError::Pattern)?,
            admin: entry.admin,
        };
        let audience = if entry.audience.is_empty() {
            &auth.audience
        } else {
            &entry.audience
        };
        for (key, kid) in self.verifying_keys(index, entry)? {
            self.keys.push(TrustedKey {
                key,
                kid,
                issuer: entry.issuer.clone().map_or(Issuer::Absent, Issuer::Named),
                audience: audience.clone(),
                ceiling: ceiling.clone(),
                subject_prefix: entry.subject_prefix.clone(),
            });
        }
        Ok(())
    }

    fn verifying_keys(
        &mut self,
        index: usize,
        entry: &TokenKey,
    ) -> Result<Vec<(VerifyingKey, Option<String>)>, KeyError> {
        let unfit = |reason| KeyError::Unfit { index, reason };
        let algorithm = entry.algorithm.unwrap_or(Algorithm::Rs256);
        if let Some(path) = &entry.jwks {
            let text = self.read_file(path)?;
            return jwks(path, &text, algorithm);
        }
        let key = if let Some(path) = &entry.public_key {
            let pem = self.read_file(path)?;
            let public = public_key(&pem).map_err(|reason| KeyError::Pem {
                path: path.clone(),
                reason,
            })?;
            VerifyingKey::public(algorithm, public)
        } else if let Some(path) = &entry.secret_file {
            let secret = self.read_file(path)?;
            VerifyingKey::secret(algorithm, secret.trim_end_matches(['\r', '\n']).as_bytes())
        } else {
            let secret = entry.secret.as_ref().map_or("", |secret| secret.expose());
            VerifyingKey::secret(algorithm, secret.as_bytes())
        };
        Ok(vec![(key.map_err(unfit)?, entry.kid.clone())])
    }

    fn read_file(&mut self, path: &Path) -> Result<String, KeyError> {
        let failed = |reason| KeyError::File {
            path: path.to_owned(),
            reason,
        };
        // Looked at before it is read: a change in between is then seen as a change.
        let stamp = Stamp::of(path).map_err(failed)?;
        if stamp.len > MAX_FILE {
            return Err(failed(io::Error::other(
                "larger than 1 MiB, so it is no key file",
            )));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        self.files.push((path.to_owned(), stamp));
        Ok(text)
    }

    /// Whether a file looks different than when it was read, or is gone
    pub(super) fn is_stale(&self) -> bool {
        self.files
            .iter()
            .any(|(path, stamp)| Stamp::of(path).ok().as_ref() != Some(stamp))
    }

    /// The keys that a token with this head may be signed with, at most [`MAX_CANDIDATES`]
    ///
    /// A token without `kid` may be signed with any key of its algorithm; one with a `kid` only with a key of that name or
    /// with one that has none.
    pub(super) fn candidates<'a>(
        &'a self,
        algorithm: Algorithm,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a TrustedKey> {
        let named = move |key: &&TrustedKey| match (kid, &key.kid) {
            (Some(kid), Some(own)) => kid == own,
            _ => true,
        };
        let of_algorithm = self
            .keys
            .iter()
            .filter(move |key| key.key.algorithm() == algorithm);
        of_algorithm.filter(named).take(MAX_CANDIDATES)
    }
}

/// Keys tried for one token; what a bad token costs is at most so many verifications
const MAX_CANDIDATES: usize = 4;

const MAX_FILE: u64 = 1 << 20;

/// What is compared to see whether a file has changed
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    file: u64,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            file: identity(&metadata),
        })
    }
}

/// A file that was replaced within one tick of the clock is still another file
#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> u64 {
    0
}

/// A JSON Web Key Set (RFC 7517 section 5)
#[derive(Deserialize)]
struct KeySet {
    /// Unread until each is looked at, so that one that is not understood spoils none of the others
    keys: Vec<serde_json::Value>,
}

/// A public JSON Web Key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2)
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that can verify; others (for encryption, symmetric, of unknown kinds) are passed over
fn jwks(
    path: &Path,
    text: &str,
    rsa: Algorithm,
) -> Result<Vec<(VerifyingKey, Option<String>)>, KeyError> {
    let set: KeySet = serde_json::from_str(text).map_err(|reason| KeyError::Jwks {
        path: path.to_owned(),
        reason,
    })?;
    let jwks = set
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value(key).ok());
    let keys: Vec<_> = jwks
        .filter_map(|jwk: Jwk| Some((jwk.verifying_key(rsa)?, jwk.kid)))
        .collect();
    if keys.is_empty() {
        return Err(KeyError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(keys)
}

impl Jwk {
    fn verifying_key(&self, rsa: Algorithm) -> Option<VerifyingKey> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let natural = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => rsa,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("EC", Some("P-384")) => Algorithm::Es384,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            _ => return None,
        };
        let algorithm = match &self.alg {
            Some(alg) => Algorithm::named(alg)?,
            None => natural,
        };
        let number = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        match natural.family() {
            Family::Hmac => None,
            Family::Rsa => VerifyingKey::rsa(algorithm, number(&self.n)?, number(&self.e)?).ok(),
            Family::Ec => {
                let point = [&[UNCOMPRESSED][..], &number(&self.x)?, &number(&self.y)?].concat();
                VerifyingKey::public(
                    algorithm,
                    PublicKey {
                        family: Family::Ec,
                        bytes: point,
                    },
                )
                .ok()
            }
            Family::Ed => {
                let bytes = number(&self.x)?;
                VerifyingKey::public(
                    algorithm,
                    PublicKey {
                        family: Family::Ed,
                        bytes,
                    },
                )
                .ok()
            }
        }
    }
}

/// How a point with both coordinates begins (SEC 1 section 2.3.3)
const UNCOMPRESSED: u8 = 4;

impl Ceiling {
    /// Those of the claimed patterns that the key may grant
    pub(super) fn within(
        ceiling: &PatternSet,
        claimed: Vec<Pattern>,
    ) -> impl Iterator<Item = Pattern> {
        claimed
            .into_iter()
            .filter(|pattern| ceiling.covers(pattern))
    }
}

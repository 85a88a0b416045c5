//! Keys that backends send as they are.

use std::sync::Arc;

use pushcore::Grant;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};

use super::patterns;
use crate::config::ApiKey;

/// The configured API keys, kept as digests
///
/// A presented key is hashed, and the digest compared by way of a MAC under a key of this process: the time that takes
/// tells nothing about the keys.
#[derive(Debug)]
pub(super) struct ApiKeys {
    process: hmac::Key,
    keys: Vec<(hmac::Tag, Arc<Grant>)>,
}

impl ApiKeys {
    pub(super) fn new(entries: &[ApiKey]) -> Result<Self, String> {
        let process = hmac::Key::new(hmac::HMAC_SHA256, &random());
        let keys = entries.iter().enumerate().map(|(index, entry)| {
            let digest = match (&entry.key, &entry.hash) {
                (Some(key), _) => digest_of(key.expose()),
                (None, Some(hash)) => hexadecimal(hash.expose()).unwrap_or_default(),
                (None, None) => Vec::new(),
            };
            let list = |name: &str| format!("auth.api_keys[{index}].{name}");
            let grant = Grant {
                subject: Some(format!("{SUBJECT_PREFIX}{}", entry.name)),
                token_id: None,
                subscribe: patterns(&list("subscribe"), &entry.subscribe)?,
                publish: patterns(&list("publish"), &entry.publish)?,
                admin: entry.admin,
                expires: None,
            };
            Ok((hmac::sign(&process, &digest), Arc::new(grant)))
        });
        let keys = keys.collect::<Result<_, String>>()?;
        Ok(Self { process, keys })
    }

    /// The grant of a key; every configured key is compared, whichever fits
    pub(super) fn grant(&self, key: &str) -> Option<Arc<Grant>> {
        let digest = digest_of(key);
        let fits = |tag: &hmac::Tag| hmac::verify(&self.process, &digest, tag.as_ref()).is_ok();
        self.keys.iter().fold(None, |found, (tag, grant)| {
            if fits(tag) {
                Some(Arc::clone(grant))
            } else {
                found
            }
        })
    }
}

/// What the subjects of API keys begin with, and no token's may
pub(super) const SUBJECT_PREFIX: &str = "key:";

/// Thirty-two bytes that nobody can guess
pub(super) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system has random numbers");
    bytes
}

fn digest_of(key: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, key.as_bytes())
        .as_ref()
        .to_vec()
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let nibbles = text
        .chars()
        .map(|digit| digit.to_digit(16))
        .collect::<Option<Vec<_>>>()?;
    let byte = |pair: &[u32]| (pair[0] << 4 | pair[1]) as u8;
    (nibbles.len() == 64).then(|| nibbles.chunks_exact(2).map(byte).collect())
}

//! Tokens that were good a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pushcore::{Grant, Timestamp};
use ring::digest;

/// Grants by the digest of the token they came from
///
/// A client that comes back with the token it had costs no signature, which matters when all of them come back at once; and it is
/// let in while somebody else at its address is guessing. Held are digests and never tokens, at most [`MAX_TOKENS`] of them,
/// and a reload of the keys forgets them all.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<HashMap<[u8; 32], Arc<Grant>>>);

/// About 300 bytes each, so 2.5 MB
pub(crate) const MAX_TOKENS: usize = 8192;

impl Recent {
    /// The grant of this token, unless it has run out or was never seen
    pub(super) fn recall(&self, token: &str, now: Timestamp) -> Option<Arc<Grant>> {
        let key = digest(token);
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get(&key)?;
        if grant.is_expired(now) {
            grants.remove(&key);
            return None;
        }
        Some(Arc::clone(grant))
    }

    pub(super) fn remember(&self, token: &str, grant: &Arc<Grant>, now: Timestamp) {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if grants.len() >= MAX_TOKENS {
            grants.retain(|_, grant| !grant.is_expired(now));
        }
        if grants.len() >= MAX_TOKENS {
            let any = grants.keys().next().copied();
            any.and_then(|key| grants.remove(&key));
        }
        grants.insert(digest(token), Arc::clone(grant));
    }
}

fn digest(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(expires: u64) -> Arc<Grant> {
        Arc::new(Grant {
            expires: Some(Timestamp(expires)),
            ..Grant::default()
        })
    }

    #[test]
    fn a_grant_is_recalled_until_it_has_run_out() {
        let recent = Recent::default();
        recent.remember("a", &grant(10), Timestamp(0));
        assert!(recent.recall("a", Timestamp(9)).is_some());
        assert!(recent.recall("b", Timestamp(9)).is_none());
        assert!(recent.recall("a", Timestamp(10)).is_none());
        assert!(recent.0.lock().unwrap().is_empty());
    }

    #[test]
    fn memory_is_bounded_and_what_has_run_out_goes_first() {
        let recent = Recent::default();
        for number in 0..MAX_TOKENS + 5 {
            recent.remember(&number.to_string(), &grant(10), Timestamp(0));
        }
        assert_eq!(recent.0.lock().unwrap().len(), MAX_TOKENS);
        recent.remember("new", &grant(20), Timestamp(10));
        assert_eq!(recent.0.lock().unwrap().len(), 1);
    }
}

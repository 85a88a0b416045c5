//! Tickets: grants that fit into a URL, for clients that cannot send header fields.
//!
//! A browser's `EventSource` reconnects to the same URL for as long as its page lives, and URLs end up in logs. So a ticket
//! allows reading alone, and only what it was made for; it runs out, never later than the grant it was made from; and
//! revoking that grant's token or subject reaches it. It is signed rather than stored, so it is good on every node and after
//! a restart.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pushcore::{Grant, Pattern, Timestamp};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::Secret;

/// A ticket and until when it is good
#[derive(Clone, Debug)]
pub struct Ticket {
    /// What goes into `?ticket=`: letters, digits, `-`, `_` and `.`
    pub text: Secret,
    /// When it runs out
    pub expires: Timestamp,
}

/// Why no ticket is made
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The grant does not cover a pattern: 403
    #[error("the grant does not cover {0}")]
    NotCovered(Pattern),
    /// No pattern was named: 400
    #[error("a ticket needs at least one pattern")]
    Empty,
    /// The patterns do not fit into a URL: 400
    #[error(
        "the ticket would be longer than {MAX_TICKET} characters: name fewer or wider patterns"
    )]
    Long,
    /// The grant has run out: 401
    #[error("the grant has run out")]
    Expired,
}

/// Longest ticket made: with the rest of a request it fits the smallest buffers for heads among common proxies, 8 KiB
const MAX_TICKET: usize = 4096;

/// The key that tickets are signed with
#[derive(Debug)]
pub(super) struct TicketKey(hmac::Key);

/// What is signed; short names, for it goes into a URL
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// Subject
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<String>,
    /// Token that the grant came from
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<String>,
    /// Patterns
    m: Vec<String>,
    /// Expiry in milliseconds
    e: u64,
}

impl TicketKey {
    /// Derives the key, so that nothing signed with `secret` elsewhere is a ticket, nor the other way about
    pub(super) fn derive(secret: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&secret, b"pushserver tickets, version 1");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    pub(super) fn issue(
        &self,
        grant: &Grant,
        patterns: &[Pattern],
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Ticket, TicketError> {
        if grant.is_expired(now) {
            return Err(TicketError::Expired);
        }
        if patterns.is_empty() {
            return Err(TicketError::Empty);
        }
        if let Some(beyond) = patterns
            .iter()
            .find(|pattern| !grant.may_subscribe(pattern))
        {
            return Err(TicketError::NotCovered(beyond.clone()));
        }
        let expires = now.saturating_add(lifetime);
        let expires = grant.expires.map_or(expires, |end| end.min(expires));
        let contents = Contents {
            s: grant.subject.clone(),
            t: grant.token_id.clone(),
            m: patterns
                .iter()
                .map(|pattern| pattern.as_str().to_owned())
                .collect(),
            e: expires.0,
        };
        let json = serde_json::to_vec(&contents).expect("strings and numbers always serialise");
        let payload = URL_SAFE_NO_PAD.encode(json);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, payload.as_bytes()));
        let text = format!("{payload}.{signature}");
        if text.len() > MAX_TICKET {
            return Err(TicketError::Long);
        }
        Ok(Ticket {
            text: Secret::new(text),
            expires,
        })
    }

    /// The grant of a ticket, unless it is forged or has run out
    pub(super) fn verify(&self, ticket: &str, now: Timestamp) -> Option<Grant> {
        if ticket.len() > MAX_TICKET {
            return None;
        }
        let (payload, signature) = ticket.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.0, payload.as_bytes(), &signature).ok()?;
        let contents: Contents =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let patterns = contents.m.iter().map(|text| Pattern::parse(text));
        let grant = Grant {
            subject: contents.s,
            token_id: contents.t,
            subscribe: patterns.collect::<Result<_, _>>().ok()?,
            expires: Some(Timestamp(contents.e)),
            ..Grant::default()
        };
        (!grant.is_expired(now)).then_some(grant)
    }
}

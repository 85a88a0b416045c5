//! Authority as its clients meet it: configured by settings, asked with credentials.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pushcore::{Grant, Pattern, Timestamp};

use super::*;
use crate::config::Config;

mod arbitrary;
mod authority;
mod files;
mod tickets;
mod tokens;

/// Some day in 2027
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OWN: &str = "auth.secret=0123456789abcdef0123456789abcdef";

fn config(settings: &[&str]) -> Config {
    let flags = settings.iter().map(|setting| {
        let (name, value) = setting.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    Config::load(None, std::iter::empty(), flags).unwrap()
}

fn authority(settings: &[&str]) -> Authority {
    Authority::from_config(&config(settings)).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/auth/tests/fixtures");
    PathBuf::from(folder).join(name)
}

/// A token signed by HS256, with exactly this head and these claims
fn signed(head: &str, claims: &str, secret: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(head),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let signature = ring::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

const HEAD: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A good token with these claims besides an expiry in an hour
fn token(claims: &str) -> String {
    let comma = if claims.is_empty() { "" } else { "," };
    signed(
        HEAD,
        &format!("{{\"exp\":1800003600{comma}{claims}}}"),
        SECRET.as_bytes(),
    )
}

fn bearer(authority: &Authority, token: &str) -> Result<Arc<Grant>, Refusal> {
    authority.authorize(&Credentials::bearer(token, PEER), NOW)
}

/// What a grant allows, on one line: `alice t-1 reads news/** writes chat/* admin`
fn told(grant: &Grant) -> String {
    let list = |set: &PatternSet| {
        set.iter()
            .map(Pattern::as_str)
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut words = Vec::new();
    words.extend(grant.subject.clone());
    words.extend(grant.token_id.clone());
    for (word, set) in [("reads", &grant.subscribe), ("writes", &grant.publish)] {
        if !set.is_empty() {
            words.push(format!("{word} {}", list(set)));
        }
    }
    if grant.admin {
        words.push("admin".to_owned());
    }
    words.join(" ")
}

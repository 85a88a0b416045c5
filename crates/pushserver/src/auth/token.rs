//! JSON Web Tokens: from a string that anybody may have written to a grant.
//!
//! The order is the defence. Size first, then the head, then the signature by a key that the operator listed, and only
//! then is anything of the payload read. Every failure is the same to the outside; what it was is for the log alone.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pushcore::{Grant, Pattern, PatternSet, Timestamp};
use serde::Deserialize;

use super::api_key::SUBJECT_PREFIX;
use super::keys::{Ceiling, Issuer, KeyRing, TrustedKey};
use super::{Algorithm, Secret};

/// What is demanded of every token
#[derive(Clone, Debug)]
pub(super) struct Demands {
    pub(super) max_bytes: usize,
    pub(super) max_patterns: usize,
    pub(super) leeway: Duration,
    pub(super) allow_eternal: bool,
}

/// Why a token is not accepted; for logs, never for the one who sent it
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("larger than auth.max_token_bytes")]
    Large,
    #[error("not three parts of base64url")]
    Shape,
    #[error("its head cannot be read or names an algorithm that is not supported")]
    Head,
    #[error("its head has `crit`: something must be understood that is not")]
    Critical,
    #[error("its head says that it is another kind of token")]
    Type,
    #[error("no key is configured for its algorithm and kid")]
    NoKey,
    #[error("no configured key made its signature")]
    Signature,
    #[error("signed by a key of another issuer")]
    Issuer,
    #[error("its claims cannot be read")]
    Claims,
    #[error(
        "its `exp`, `nbf` or `iat` is not a time from 1970 to 9999 in seconds; milliseconds are a thousand times too many"
    )]
    Date,
    #[error("it has no `exp`, or one in the past")]
    Expired,
    #[error("its `nbf` or `iat` is in the future")]
    Early,
    #[error("meant for another audience")]
    Audience,
    #[error("its subject begins as those of API keys do")]
    Subject,
    #[error("it has a pattern that is none, or too many of them")]
    Pattern,
}

/// The head of a token (RFC 7515 section 4.1)
///
/// `jwk`, `jku`, `x5u` and `x5c`, by which a token would bring its own key, are not even read.
#[derive(Deserialize)]
struct Head {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// What a token says, once its signature is known to be good (RFC 7519 section 4.1)
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    iss: Option<String>,
    aud: Option<Audience>,
    jti: Option<String>,
    #[serde(default)]
    push: PushClaim,
}

#[derive(Default, Deserialize)]
struct PushClaim {
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    admin: bool,
}

/// RFC 7519 section 4.1.3: one string, or an array of them
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Seconds since 1970, which may have a fraction (RFC 7519 section 2)
#[derive(Clone, Copy, Deserialize)]
struct NumericDate(f64);

/// 9999-12-31T23:59:59Z, the last second that a date has (RFC 3339 section 5.6)
///
/// What lies beyond is no time but another way to write "for ever", or a time in milliseconds: those of today are in the
/// year 50000 and later.
const LAST_SECOND: f64 = 253_402_300_799.0;

impl NumericDate {
    fn is_date(self) -> bool {
        (0.0..=LAST_SECOND).contains(&self.0)
    }

    fn timestamp(self) -> Timestamp {
        Timestamp((self.0 * 1000.0) as u64)
    }
}

/// Checks a token and says what it grants
pub(super) fn verify(
    token: &str,
    keys: &KeyRing,
    demands: &Demands,
    now: Timestamp,
) -> Result<Grant, TokenError> {
    if token.len() > demands.max_bytes {
        return Err(TokenError::Large);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Shape)?;
    let (head, payload) = message.split_once('.').ok_or(TokenError::Shape)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Shape);
    let (head, payload, signature) = (decode(head)?, decode(payload)?, decode(signature)?);

    let head = Head::read(&head)?;
    let algorithm = Algorithm::named(&head.alg).ok_or(TokenError::Head)?;
    let mut found = TokenError::NoKey;
    for key in keys.candidates(algorithm, head.kid.as_deref()) {
        if !key.key.verifies(message.as_bytes(), &signature) {
            found = TokenError::Signature;
            continue;
        }
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Claims)?;
        match claims.judge(key, demands, now) {
            // The same key may serve several issuers, each with an entry of its own.
            Err(TokenError::Issuer) => found = TokenError::Issuer,
            judged => return judged.and_then(|()| claims.grant(key, demands)),
        }
    }
    Err(found)
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, TokenError> {
        let head: Self = serde_json::from_slice(bytes).map_err(|_| TokenError::Head)?;
        // RFC 7515 section 4.1.11: "If any of the listed extension Header Parameters are not understood and supported by
        // the recipient, then the JWS is invalid." None are.
        if head.crit.is_some() {
            return Err(TokenError::Critical);
        }
        // RFC 8725 section 3.11: explicit types keep other kinds of tokens (logout, proof of possession) out.
        let typ = head.typ.as_deref().map(str::to_ascii_lowercase);
        let typ = typ
            .as_deref()
            .map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        match typ {
            None | Some("jwt" | "at+jwt") => Ok(head),
            Some(_) => Err(TokenError::Type),
        }
    }
}

impl Claims {
    fn judge(&self, key: &TrustedKey, demands: &Demands, now: Timestamp) -> Result<(), TokenError> {
        let issuer = match &key.issuer {
            Issuer::Own => true,
            Issuer::Absent => self.iss.is_none(),
            Issuer::Named(name) => self.iss.as_ref() == Some(name),
        };
        if !issuer {
            return Err(TokenError::Issuer);
        }
        let mut dates = [self.exp, self.nbf, self.iat].into_iter().flatten();
        if !dates.all(NumericDate::is_date) {
            return Err(TokenError::Date);
        }
        let alive = match self.exp {
            Some(exp) => exp.timestamp().saturating_add(demands.leeway) > now,
            None => demands.allow_eternal,
        };
        if !alive {
            return Err(TokenError::Expired);
        }
        let soon = now.saturating_add(demands.leeway);
        let early = |date: Option<NumericDate>| date.is_some_and(|date| date.timestamp() > soon);
        if early(self.nbf) || early(self.iat) {
            return Err(TokenError::Early);
        }
        // "If the principal processing the claim does not identify itself with a value in the "aud" claim when this
        // claim is present, then the JWT MUST be rejected." (RFC 7519 section 4.1.3)
        let is_ours = |name: &String| key.audience.contains(name);
        let audience = match &self.aud {
            None => key.audience.is_empty(),
            Some(Audience::One(name)) => is_ours(name),
            Some(Audience::Several(names)) => names.iter().any(is_ours),
        };
        if audience {
            Ok(())
        } else {
            Err(TokenError::Audience)
        }
    }

    fn grant(self, key: &TrustedKey, demands: &Demands) -> Result<Grant, TokenError> {
        let PushClaim {
            subscribe,
            publish,
            admin,
        } = self.push;
        if subscribe.len() + publish.len() > demands.max_patterns {
            return Err(TokenError::Pattern);
        }
        let within = |ceiling: &PatternSet, claimed: Vec<String>| {
            let claimed = claimed
                .iter()
                .map(|text| Pattern::parse(text))
                .collect::<Result<Vec<_>, _>>();
            let claimed = claimed.map_err(|_| TokenError::Pattern)?;
            Ok(Ceiling::within(ceiling, claimed).collect())
        };
        let prefix = key.subject_prefix.as_deref().unwrap_or_default();
        let subject = self.sub.map(|sub| format!("{prefix}{sub}"));
        if subject
            .as_deref()
            .is_some_and(|subject| subject.starts_with(SUBJECT_PREFIX))
        {
            return Err(TokenError::Subject);
        }
        // Accepted for as long as the leeway, so good for as long: else it would end the moment it began.
        let expires = self
            .exp
            .map(|exp| exp.timestamp().saturating_add(demands.leeway));
        Ok(Grant {
            subject,
            token_id: self.jti,
            subscribe: within(&key.ceiling.subscribe, subscribe)?,
            publish: within(&key.ceiling.publish, publish)?,
            admin: admin && key.ceiling.admin,
            expires,
        })
    }
}

/// Makes a token that is signed with `secret` by HS256
pub fn mint(claims: &serde_json::Value, secret: &Secret) -> Secret {
    let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let message = format!(
        "{}.{}",
        encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        encode(&claims.to_string())
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.expose().as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, message.as_bytes()));
    Secret::new(format!("{message}.{signature}"))
}

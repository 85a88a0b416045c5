//! Who may read and publish: tokens, tickets, keys, and the checks that keep other people's web pages out.
//!
//! ```text
//!   request --> OriginPolicy --> Credentials --> Authority --> Grant (or Refusal)
//!               whose page?      what is shown   is it good?   what pushcore decides by
//! ```
//!
//! Whatever is presented and not good is refused alike, with [`Refusal::Invalid`]: the answer tells nobody whether a token was
//! forged, expired or meant for somebody else. What is presented is never shown: not in answers, not in logs, not in metrics. An
//! embedding program that decides for itself implements [`Authorizer`].

mod address;
mod algorithm;
mod api_key;
mod authority;
mod authorizer;
mod credentials;
mod der;
mod failures;
mod keys;
pub mod origin;
mod recent;
mod secret;
mod ticket;
mod token;
mod verify;

pub use address::{client_address, counted_as, is_direct_local};
pub use algorithm::Algorithm;
pub(crate) use algorithm::Family;
pub use authority::{AuthError, Authority};
pub use authorizer::Authorizer;
pub use credentials::{Credentials, Refusal};
pub use der::PemError;
pub(crate) use failures::MAX_ADDRESSES as MAX_FAILING_ADDRESSES;
pub use keys::KeyError;
pub(crate) use recent::MAX_TOKENS as MAX_RECENT_TOKENS;
pub use secret::Secret;
pub use ticket::{Ticket, TicketError};
pub use token::mint;
pub use verify::Unfit;

use pushcore::{Pattern, PatternSet};

/// The patterns of a setting; `name` is the setting, for the message
fn patterns(name: &str, texts: &[String]) -> Result<PatternSet, String> {
    let pattern = |text: &String| {
        Pattern::parse(text).map_err(|error| format!("{name}: {text:?} is no pattern: {error}"))
    };
    texts.iter().map(pattern).collect()
}

#[cfg(test)]
mod tests;

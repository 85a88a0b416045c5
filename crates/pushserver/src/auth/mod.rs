//! Who may read and publish: tokens, tickets, keys, and the checks that keep other people's web pages out.

mod algorithm;
mod secret;

pub use algorithm::Algorithm;
pub(crate) use algorithm::Family;
pub use secret::Secret;

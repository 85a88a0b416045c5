//! Deciding elsewhere: for programs that embed the server and know better who may do what.

use std::sync::Arc;

use async_trait::async_trait;
use pushcore::{Grant, Timestamp};

use super::{Authority, Credentials, Refusal};

/// Says what a client may do
///
/// [`Authority`] is the one that the configuration describes; an embedding program may bring another, which asks a database or
/// a backend. It is asked once per connection or request and again at a renewal, never per event: in between the
/// [`Grant`] decides, so give it an expiry no further away than a change of mind may take.
///
/// An authorizer that cannot decide must say [`Refusal::Unavailable`], never grant: it fails closed. It must bound its own
/// memory and time, and must not show credentials in logs. `examples/backend_authorizer.rs` is one that asks over HTTP.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// The grant for these credentials, now
    async fn authorize(
        &self,
        credentials: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Arc<Grant>, Refusal>;
}

#[async_trait]
impl Authorizer for Authority {
    async fn authorize(
        &self,
        credentials: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Arc<Grant>, Refusal> {
        Authority::authorize(self, credentials, now)
    }
}

//! `refresh` over `push.v1`: a token on its way to becoming the connection's grant.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pushcore::{Grant, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::command::Failure;
use crate::access;
use crate::app::App;
use crate::auth::{Credentials, Secret};
use crate::follow::Reading;

/// `{"refresh":{"token":"…"}}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    #[serde(deserialize_with = "secret")]
    token: Secret,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// What the URL names and showing nothing does not allow: it waits for a token in the first message
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(crate) reading: Reading,
    pub(crate) until: Timestamp,
}

/// A token of which it is not known yet whether it is good
pub(super) struct Renewal {
    pub(super) reference: Option<Value>,
    decided: Pin<Box<dyn Future<Output = Result<Arc<Grant>, Failure>> + Send>>,
}

impl Renewal {
    /// Asks whoever decides; failed attempts count under `address`
    pub(super) fn start(
        app: &Arc<App>,
        refresh: Refresh,
        address: IpAddr,
        reference: Option<Value>,
    ) -> Self {
        let app = Arc::clone(app);
        let decided = Box::pin(async move {
            let credentials = Credentials::bearer(refresh.token.expose(), address);
            Ok(access::decide(&app, &credentials).await?)
        });
        Self { reference, decided }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Grant>, Failure>> {
        self.decided.as_mut().poll(cx)
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").finish_non_exhaustive()
    }
}

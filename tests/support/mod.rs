//! What tests need to run the server and to be its clients.

use std::time::Duration;

pub(crate) mod browser;
pub(crate) mod buffering;
pub(crate) mod devtools;
pub(crate) mod driver;
pub(crate) mod event_stream;
pub(crate) mod foreign;
pub(crate) mod http;
pub(crate) mod server;
pub(crate) mod skip;
pub(crate) mod web_socket;

/// How long a test waits for what must come
///
/// Long enough for a machine that compiles and runs other tests beside it; a test that passes never waits it out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

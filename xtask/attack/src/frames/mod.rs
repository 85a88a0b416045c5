//! Frames as RFC 9113 and RFC 6455 draw them, and as they must not be sent.
//!
//! Written here by hand: a library would not let us misbehave.

pub(crate) mod http2;
pub(crate) mod web_socket;

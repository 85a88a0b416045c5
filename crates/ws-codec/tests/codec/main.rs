//! ws-codec as its users see it: bytes in, events out, and the other way round.
#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

mod capture;
mod connection;
mod deflate;
mod handshake;
mod hostile;
mod memory;
mod naive;
mod negotiation;
mod peers;
mod properties;
mod readme;
mod transcript;

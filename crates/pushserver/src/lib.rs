//! The push server: HTTP, WebSocket and event streams over one log of topics.

mod access;
mod admin;
mod admission;
mod answer;
mod app;
pub mod auth;
mod batch;
pub mod cli;
mod clock;
mod close_codes;
pub mod config;
mod connections;
mod encode;
mod follow;
mod health;
mod leaving;
mod lines;
pub mod logging;
mod metrics;
mod page;
mod pages;
mod peer;
mod publish;
mod rates;
mod refresh;
mod revocations;
#[cfg(test)]
mod scenarios;
mod server;
mod service;
mod shard;
mod snapshot;
mod stream_body;
mod stream_start;
mod tickets;
mod tls;
mod topic_admin;
mod transport;
mod upgraded;
mod web;
mod websocket;

pub use app::StartError;
pub use server::Server;
pub use service::{PeerAddr, PushService};
pub use tls::TlsError;
pub use web::body::Body;

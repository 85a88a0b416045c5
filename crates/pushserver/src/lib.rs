//! The push server: HTTP, WebSocket and event streams over one log of topics.

mod access;
mod admission;
mod answer;
mod app;
pub mod auth;
mod batch;
pub mod cli;
mod clock;
mod close_codes;
pub mod config;
mod encode;
mod follow;
mod health;
mod leaving;
mod lines;
mod metrics;
mod page;
mod pages;
mod peer;
mod publish;
mod server;
mod service;
mod shard;
mod stream_body;
mod stream_start;
mod topic_admin;
mod transport;
mod upgraded;
mod web;
mod websocket;

pub use server::Server;
pub use service::{PeerAddr, PushService};
pub use web::body::Body;

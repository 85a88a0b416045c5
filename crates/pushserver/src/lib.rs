//! The push server: HTTP, WebSocket and event streams over one log of topics.

pub mod auth;
pub mod cli;
pub mod config;

//! The server as its clients see it: the real binary, spoken to over real sockets.
//!
//! Each module is one behaviour, each test a statement about it. Every test starts a server of its own on a port
//! the system chooses, so that all of them run at once; none sleeps, each waits for what it expects with a
//! deadline. A test that needs a program which is not here says so and is counted as skipped.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there and then"
)]

mod access;
mod bad_input;
mod doors;
mod drain;
mod encrypted;
mod ending;
mod event_stream;
mod http2;
mod leaving;
mod operating;
mod pages;
mod polling;
mod protocol;
mod proxies;
mod publishing;
mod push_js;
mod quickstart;
mod randomised;
mod replay;
mod standard;
mod stopped_reader;
mod support;
mod web_socket;
mod withstanding;

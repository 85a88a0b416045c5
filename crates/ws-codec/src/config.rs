//! What a connection is told once.

use core::time::Duration;

use crate::limits::Limits;

/// What a [`Connection`](crate::Connection) goes by. Shared by all of a server's connections in an `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What a peer may make this side hold
    pub limits: Limits,

    /// The shortest message that [`Connection::send`](crate::Connection::send) compresses where compression was agreed on. Default 64 bytes.
    ///
    /// Below it a message rarely becomes shorter by more than the few bytes that compression adds.
    pub compress_from: usize,

    /// How long a peer may be silent before it is sent a ping. Default 20 s; `None` for never.
    ///
    /// Proxies drop connections that are silent for 30 to 60 s, so this keeps them open as well.
    pub ping_after: Option<Duration>,

    /// How long a peer may stay silent after that ping before it is given up. Default 10 s.
    pub max_silence: Duration,

    /// How long a message may take from its first byte to its last. Default 60 s; `None` for as long as it likes.
    ///
    /// Without it a peer that sends a byte now and then holds a half-received message for ever.
    pub max_message_time: Option<Duration>,

    /// How long the closing handshake may take, and then the peer's end of the TCP connection. Default 5 s.
    pub max_close_time: Duration,
}

impl Config {
    /// The defaults, as each field describes them.
    pub const DEFAULT: Config = Config {
        limits: Limits::DEFAULT,
        compress_from: 64,
        ping_after: Some(Duration::from_secs(20)),
        max_silence: Duration::from_secs(10),
        max_message_time: Some(Duration::from_secs(60)),
        max_close_time: Duration::from_secs(5),
    };
}

impl Default for Config {
    fn default() -> Config {
        Config::DEFAULT
    }
}

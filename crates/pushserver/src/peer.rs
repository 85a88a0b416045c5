//! Who is at the other end of a request.

use std::net::SocketAddr;

/// The network side of a client
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Where the connection comes from
    pub(crate) addr: SocketAddr,
}

//! Which end of the connection we are.

/// Which end of the connection this side is.
///
/// The two ends differ in one thing on the wire, the mask (RFC 6455 section 5.1): what a client sends is masked,
/// what a server sends is not. They also differ in who closes the TCP connection first (section 7.1.1): the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We accepted the connection: we read masked frames and write unmasked ones
    Server,
    /// We opened the connection: we read unmasked frames and write masked ones
    Client,
}

impl Role {
    /// Whether the frames this side reads carry a mask.
    #[must_use]
    pub const fn reads_masked(self) -> bool {
        matches!(self, Role::Server)
    }

    /// Whether the frames this side writes carry a mask.
    #[must_use]
    pub const fn writes_masked(self) -> bool {
        matches!(self, Role::Client)
    }

    /// The other end.
    #[must_use]
    pub const fn peer(self) -> Role {
        match self {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }
}

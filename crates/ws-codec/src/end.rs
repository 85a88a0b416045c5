//! How a connection ended.

use thiserror::Error;

use crate::close::CloseFrame;
use crate::failure::Failure;

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer closed it, with this code and reason, or with none (which APIs call 1005)
    ByPeer(Option<CloseFrame>),
    /// We closed it, and the peer answered with this
    ByUs(Option<CloseFrame>),
    /// The peer broke the protocol or went over a limit, and we told it so
    Failed(Failure),
    /// It stopped without a closing handshake (which APIs call 1006)
    Lost(Lost),
}

/// How a connection was lost without a closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Lost {
    /// The stream ended or broke
    #[error("the stream ended without a close frame")]
    EndOfStream,
    /// The peer sent nothing, not even when it was pinged
    #[error("the peer is silent")]
    Silent,
    /// The peer did not answer our close frame in time
    #[error("the peer did not answer the close frame")]
    CloseUnanswered,
}

//! Why a WebSocket is closed, in numbers.
//!
//! 4000 to 4499: come back. 4500 to 4999: do not, something must change first. docs/PROTOCOL.md lists them.

use http::StatusCode;
use ws_codec::{CloseCode, CloseFrame};

use crate::web::problem::Problem;

/// A close code of our own and the reason that goes with it
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Events were lost, and the plain mode has no other way to say so
    Gap,
    /// The reader lagged, and its policy is to be disconnected
    Lagged,
    /// The grant ran out; come back with a new one
    Expired,
    /// The server is over one of its limits
    Overloaded,
    /// The message is not a command, or its command is not valid
    BadMessage,
    /// There is no valid token
    Unauthorized,
    /// The grant does not allow this
    Forbidden,
    /// The topic has ended
    Ended,
    /// The topic was erased
    Deleted,
    /// The grant was revoked
    Revoked,
    /// The request names something that is not valid
    BadRequest,
}

impl Closing {
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Gap => 4001,
            Self::Lagged => 4002,
            Self::Expired => 4003,
            Self::Overloaded => 4004,
            Self::BadRequest => 4500,
            Self::Unauthorized => 4501,
            Self::Forbidden => 4503,
            Self::BadMessage => 4504,
            Self::Ended => 4505,
            Self::Deleted => 4506,
            Self::Revoked => 4507,
        }
    }

    /// The word for it in metrics
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Lagged => "lagged",
            Self::Expired => "expired",
            Self::Overloaded => "overloaded",
            Self::BadRequest => "bad-request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::BadMessage => "bad-message",
            Self::Ended => "ended",
            Self::Deleted => "deleted",
            Self::Revoked => "revoked",
        }
    }

    /// The code that says what a problem says over HTTP
    pub(crate) fn of(problem: &Problem) -> Self {
        match problem.status() {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Self::Overloaded,
            _ => Self::BadRequest,
        }
    }

    /// The close frame, with a reason for whoever debugs the client
    pub(crate) fn frame(self, reason: &str) -> CloseFrame {
        let code = CloseCode::new(self.code())
            .expect("4000 to 4999 are for applications (RFC 6455 section 7.4.2)");
        CloseFrame::new(code, reason)
    }
}

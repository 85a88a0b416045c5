//! The opening handshake, both roles, over HTTP/1.1 (RFC 6455 section 4) and HTTP/2 (RFC 8441).
//!
//! Pure functions on header fields: parsing and writing HTTP is somebody else's. Fields are pairs of a name in any case
//! and a value as bytes, in the order they came.
//!
//! ```text
//!     client                                       server
//!     Offer::new, Offer::fields   -- request -->   Opening::of_request   (or a Rejection: answer with its status)
//!                                                  Opening::select_protocol, Opening::agree_deflate
//!     Offer::check_response       <- response --   Opening::accept -> status and fields
//! ```

mod accept;
mod extension;
mod field;
mod offer;
mod params;
mod request;

pub use accept::accept_key;
pub use offer::{Agreed, Offer, ResponseError};
#[cfg(feature = "deflate")]
pub(crate) use params::Half;
pub use params::{Deflate, DeflateConfig};
pub use request::{Opening, Rejection, Response, Via};

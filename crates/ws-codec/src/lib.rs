//! WebSocket as a codec: RFC 6455 and RFC 7692 without a socket, a runtime or a clock.
//!
//! ```text
//!              bytes that were read                            bytes to be written
//!                      |                                               ^
//!   Connection   handle_input -- pings, closing, timeouts, limits -- poll_transmit
//!                      |                                               |
//!   Assembler    whole messages <- parts, inflated               PreparedMessage, encode_into, Deflater
//!                      |                                               |
//!   Decoder      events <- bytes, in place                       FrameHeader::encode
//! ```
//!
//! **The contract.** The caller owns every buffer and tells the time; this crate takes bytes off the front of a `&mut [u8]`, hands out
//! what they say, borrowed where that is possible, and appends what is to be said to a `Vec<u8>`. Where reads are cut
//! changes nothing that comes out. What breaks the RFC is reported at the first byte that proves it, with the close code to send; what
//! goes over a limit, at the first byte over it. Memory grows with what was received, never with what was announced.
//!
//! A server's side of a connection, from after its handshake to its end:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use ws_codec::{Config, Connection, Incoming, Message};
//!
//! // One configuration for all connections; at most 256 bytes for each.
//! let config = Arc::new(Config::default());
//! let now = Duration::ZERO; // the time since any moment of your choice
//! let mut connection = Connection::server(Arc::clone(&config), now);
//!
//! // One buffer serves all connections, because nothing stays in it.
//! let mut read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\x37\xfa\x21\x3d";
//! let mut input = &mut read[..];
//! let mut out = Vec::new();
//! while let Some(incoming) = connection.handle_input(&mut input, now)? {
//!     if let Incoming::Message(message) = incoming {
//!         assert_eq!(message, Message::Text("Hello".into()));
//!         connection.send(&message, &mut out);
//!     }
//!     // Pongs and close frames, in their place between messages.
//!     connection.poll_transmit(&mut out);
//! }
//! assert_eq!(out, b"\x81\x05Hello\x88\x00");
//! assert!(connection.is_finished());
//! # Ok::<(), ws_codec::Failure>(())
//! ```
//!
//! The opening handshake is in [`handshake`]. A client on a raw socket, whole, is in the README.
//!
//! # What is not here
//! Sockets, TLS, HTTP parsing, reconnecting, and any extension other than permessage-deflate. Time and randomness are arguments.
#![no_std]

extern crate alloc;

mod close;
mod config;
mod connection;
mod control;
mod decoder;
#[cfg(feature = "deflate")]
mod deflater;
mod encode;
mod end;
mod event;
mod failure;
pub mod handshake;
mod header;
#[cfg(feature = "deflate")]
mod inflater;
mod limits;
mod mask;
mod message;
mod nanos;
mod opcode;
mod prepared;
mod role;
mod unmasked;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use config::Config;
pub use connection::{Connection, Incoming};
pub use control::ControlPayload;
pub use decoder::{Compression, Decoder};
#[cfg(feature = "deflate")]
pub use deflater::{Deflater, SharedDeflater};
pub use encode::{encode_close_into, encode_frame_into, encode_into, encode_masked_into};
pub use end::{Ended, Lost};
pub use event::{Content, Event, Part};
pub use failure::{Failed, Failure, Refused, Violation};
pub use header::FrameHeader;
pub use limits::Limits;
pub use mask::{Mask, MaskKeys};
pub use message::{Assembler, Message};
pub use opcode::{Kind, OpCode};
pub use prepared::{PreparedMessage, SharedFrame};
pub use role::Role;
pub use utf8::{Ends, TextPiece, Utf8Stream};

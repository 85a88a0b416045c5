//! RFC 6455 and RFC 7692 without a socket: frames, messages, a connection state machine and the opening handshake.
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
mod opcode;
mod prepared;
mod role;
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

//! Frames out: headers beside payloads, and whole frames into a buffer.

use alloc::vec::Vec;

use crate::close::CloseFrame;
use crate::control::ControlPayload;
use crate::header::FrameHeader;
use crate::mask::Mask;
use crate::opcode::OpCode;

/// Appends a frame that is a whole message, or a control frame: unmasked, as a server sends it.
///
/// Copies the payload; for large ones write [`FrameHeader::encode`] and the payload side by side, or share a
/// [`PreparedMessage`](crate::PreparedMessage).
///
/// # Panics
/// If a control frame's payload is over 125 bytes.
///
/// ```
/// let mut out = Vec::new();
/// ws_codec::encode_into(&mut out, ws_codec::OpCode::Text, b"Hello");
/// assert_eq!(out, b"\x81\x05Hello");
/// ```
#[inline]
pub fn encode_into(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    encode_frame_into(out, FrameHeader::whole(opcode, payload.len()), payload);
}

/// The same as a client sends it: masked with this key.
///
/// # Panics
/// If a control frame's payload is over 125 bytes.
pub fn encode_masked_into(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8], mask: Mask) {
    let header = FrameHeader {
        mask: Some(mask),
        ..FrameHeader::whole(opcode, payload.len())
    };
    encode_frame_into(out, header, payload);
}

/// Appends a frame with any header. The header's length is set to the payload's, and its mask goes over the payload.
///
/// # Panics
/// If a control frame is fragmented or its payload is over 125 bytes.
#[inline]
pub fn encode_frame_into(out: &mut Vec<u8>, header: FrameHeader, payload: &[u8]) {
    let mut head = [0; FrameHeader::MAX_LEN];
    let used = FrameHeader {
        len: payload.len() as u64,
        ..header
    }
    .encode(&mut head);
    out.reserve(used + payload.len());
    out.extend_from_slice(&head[..used]);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = header.mask {
        mask.apply(&mut out[start..]);
    }
}

/// Appends a ping or pong, masked if there is a key.
pub(crate) fn control_into(
    out: &mut Vec<u8>,
    opcode: OpCode,
    payload: &ControlPayload,
    mask: Option<Mask>,
) {
    encode_frame_into(
        out,
        FrameHeader {
            mask,
            ..FrameHeader::whole(opcode, payload.len())
        },
        payload,
    );
}

/// Appends a close frame, masked if there is a key. Without a frame it is empty: no code, no reason.
///
/// ```
/// use ws_codec::{CloseCode, CloseFrame, encode_close_into};
///
/// let mut out = Vec::new();
/// encode_close_into(&mut out, Some(&CloseFrame::new(CloseCode::GOING_AWAY, "bye")), None);
/// assert_eq!(out, b"\x88\x05\x03\xE9bye");
/// ```
pub fn encode_close_into(out: &mut Vec<u8>, frame: Option<&CloseFrame>, mask: Option<Mask>) {
    let payload = frame.map_or(&[][..], CloseFrame::payload);
    encode_frame_into(
        out,
        FrameHeader {
            mask,
            ..FrameHeader::whole(OpCode::Close, payload.len())
        },
        payload,
    );
}

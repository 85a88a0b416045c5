//! Writing what a server sends: unmasked binary frames, one flush each, to a sink that takes everything.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio::runtime::Runtime;
use ws_codec::{FrameHeader, OpCode, encode_into};

use crate::contestants::Memory;
use crate::parse::{Content, SIZES};
use crate::table::{self, Contestant};

/// ws-codec and the others, writing `frames` frames of one payload; the floor is last.
pub fn contestants<'w>(runtime: &'w Runtime, size: usize, frames: usize) -> Vec<Contestant<'w>> {
    let payload: &'static [u8] = Box::leak(Content::Binary.payload(size).into_boxed_slice());
    let shared = Bytes::from_static(payload);
    let mut contestants = Vec::new();
    let mut add = |name: &str, work: Box<dyn FnMut() + 'w>| {
        contestants.push(Contestant {
            name: name.to_owned(),
            work,
        });
    };
    add(
        "ws-codec, header beside",
        Box::new(move || {
            let mut head = [0; FrameHeader::MAX_LEN];
            for _ in 0..frames {
                let used = FrameHeader::whole(OpCode::Binary, black_box(size)).encode(&mut head);
                black_box(&head[..used]);
            }
        }),
    );
    if size <= ws_codec::SharedFrame::MAX_COPIED {
        let mut out = Vec::with_capacity(size + 64);
        add(
            "ws-codec, into a buffer",
            Box::new(move || {
                for _ in 0..frames {
                    out.clear();
                    encode_into(&mut out, OpCode::Binary, black_box(payload));
                    black_box(&out);
                }
            }),
        );
    }
    let own = shared.clone();
    add(
        "sockudo-ws",
        Box::new(move || {
            let mut protocol =
                sockudo_ws::protocol::Protocol::new(sockudo_ws::Role::Server, 64 << 20, 64 << 20);
            let mut buffer = BytesMut::with_capacity(size + 64);
            for _ in 0..frames {
                buffer.clear();
                let message = sockudo_ws::Message::Binary(own.clone());
                protocol
                    .encode_message(&message, &mut buffer)
                    .expect("it fits");
                black_box(&buffer);
            }
        }),
    );
    let own = shared.clone();
    add(
        "tungstenite",
        Box::new(move || {
            let mut socket = tungstenite::WebSocket::from_raw_socket(
                Memory::sink(),
                tungstenite::protocol::Role::Server,
                None,
            );
            for _ in 0..frames {
                socket
                    .send(tungstenite::Message::Binary(own.clone()))
                    .expect("a sink takes it");
            }
        }),
    );
    add(
        "fastwebsockets",
        Box::new(move || {
            let mut socket = fastwebsockets::WebSocket::after_handshake(
                Memory::sink(),
                fastwebsockets::Role::Server,
            );
            runtime.block_on(tokio::task::unconstrained(async {
                for _ in 0..frames {
                    let frame = fastwebsockets::Frame::binary(payload.into());
                    socket.write_frame(frame).await.expect("a sink takes it");
                }
            }));
        }),
    );
    add(
        "tokio-websockets",
        Box::new(move || {
            let mut socket = tokio_websockets::ServerBuilder::new().serve(Memory::sink());
            runtime.block_on(tokio::task::unconstrained(async {
                for _ in 0..frames {
                    let message = tokio_websockets::Message::binary(shared.clone());
                    socket.send(message).await.expect("a sink takes it");
                }
            }));
        }),
    );
    add(
        "floor: memcpy of 16 bytes",
        Box::new(move || {
            let mut room = [0_u8; 16];
            for _ in 0..frames {
                copy(&mut room, black_box(&payload[..16]));
                black_box(&room);
            }
        }),
    );
    contestants
}

pub fn print(rounds: usize) {
    println!(
        "\nENCODE: unmasked binary frames, shared payload, one flush a frame, a sink that copies nothing"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    // The cost of a header does not depend on the payload, and a few frames would measure the clock.
    for (size, _) in SIZES {
        let frames = if size < 64 << 10 { 8192 } else { 256 };
        let results = table::compete(rounds, frames, contestants(&runtime, size, frames));
        table::print(&format!("{size} B"), size, &results);
        let floor = results.last().expect("the floor is last");
        println!(
            "  => a header costs {:.2} times a memcpy of 16 bytes",
            1.0 / floor.ratio
        );
    }
}

/// A real call, as a memcpy of a length that is not known is.
#[inline(never)]
fn copy(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}

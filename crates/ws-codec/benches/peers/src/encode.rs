//! Writing what a server sends: unmasked binary frames, one flush each, to a sink that takes everything.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use ws_codec::{FrameHeader, OpCode, encode_into};

use crate::contestants::Memory;
use crate::parse::{Content, SIZES};
use crate::table::{self, Contestant};

pub fn print(rounds: usize) {
    println!(
        "\nENCODE: unmasked binary frames, shared payload, one flush a frame, a sink that copies nothing"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let runtime = &runtime;
    for (size, frames) in SIZES {
        let payload: &'static [u8] = Box::leak(Content::Binary.payload(size).into_boxed_slice());
        let shared = Bytes::from_static(payload);
        let mut out = Vec::with_capacity(size + 64);
        let mut contestants: Vec<Contestant<'_>> = vec![Contestant {
            name: "ws-codec, header beside",
            work: Box::new(move || {
                for _ in 0..frames {
                    let mut head = [0; FrameHeader::MAX_LEN];
                    let used = FrameHeader::whole(OpCode::Binary, black_box(payload).len())
                        .encode(&mut head);
                    black_box(&head[..used]);
                }
            }),
        }];
        if size <= ws_codec::SharedFrame::MAX_COPIED {
            contestants.push(Contestant {
                name: "ws-codec, into a buffer",
                work: Box::new(|| {
                    for _ in 0..frames {
                        out.clear();
                        encode_into(&mut out, OpCode::Binary, black_box(payload));
                        black_box(&out);
                    }
                }),
            });
        }
        contestants.push(Contestant {
            name: "sockudo-ws",
            work: Box::new(|| {
                let mut protocol = sockudo_ws::protocol::Protocol::new(
                    sockudo_ws::Role::Server,
                    64 << 20,
                    64 << 20,
                );
                let mut buffer = BytesMut::with_capacity(size + 64);
                for _ in 0..frames {
                    buffer.clear();
                    let message = sockudo_ws::Message::Binary(shared.clone());
                    protocol
                        .encode_message(&message, &mut buffer)
                        .expect("it fits");
                    black_box(&buffer);
                }
            }),
        });
        contestants.push(Contestant {
            name: "tungstenite",
            work: Box::new(|| {
                let mut socket = tungstenite::WebSocket::from_raw_socket(
                    Memory(&[]),
                    tungstenite::protocol::Role::Server,
                    None,
                );
                for _ in 0..frames {
                    socket
                        .send(tungstenite::Message::Binary(shared.clone()))
                        .expect("a sink takes it");
                }
            }),
        });
        contestants.push(Contestant {
            name: "fastwebsockets",
            work: Box::new(move || {
                let mut socket = fastwebsockets::WebSocket::after_handshake(
                    Memory(&[]),
                    fastwebsockets::Role::Server,
                );
                runtime.block_on(tokio::task::unconstrained(async {
                    for _ in 0..frames {
                        let frame = fastwebsockets::Frame::binary(payload.into());
                        socket.write_frame(frame).await.expect("a sink takes it");
                    }
                }));
            }),
        });
        contestants.push(Contestant {
            name: "tokio-websockets",
            work: Box::new(|| {
                let mut socket = tokio_websockets::ServerBuilder::new().serve(Memory(&[]));
                runtime.block_on(tokio::task::unconstrained(async {
                    for _ in 0..frames {
                        let message = tokio_websockets::Message::binary(shared.clone());
                        socket.send(message).await.expect("a sink takes it");
                    }
                }));
            }),
        });
        contestants.push(Contestant {
            name: "floor: memcpy of 16 bytes",
            work: Box::new(move || {
                let mut room = [0_u8; 16];
                for _ in 0..frames {
                    copy(&mut room, black_box(&payload[..16]));
                    black_box(&room);
                }
            }),
        });
        let results = table::compete(rounds, frames, contestants);
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

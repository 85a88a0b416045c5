//! ws-codec beside fastwebsockets 0.10 and tungstenite 0.30.
//!
//! On well-formed traffic all three say the same, in both directions. Where the peers are wrong, each deviation is a test that fails when the peer
//! changes, so that the list stays true:
//!
//! | input | RFC 6455 | fastwebsockets | tungstenite |
//! | --- | --- | --- | --- |
//! | a client's frame without mask | 1002 | delivers it | error, sends nothing |
//! | a length not in the fewest bytes | 1002 | delivers it | delivers it |
//! | a pong or close over 125 bytes | 1002 | delivers it | error |
//! | a text begun inside a fragmented text | 1002 | delivers the second as if whole | error |
//! | a binary begun inside a fragmented text | 1002 | delivers the rest as binary | error |
//! | a fragmented text that ends inside a character | 1007 | delivers it without the bytes | error |
//! | close code 1014 | valid (IANA) | delivers it, as any code unless it answers by itself | delivers 1002 |
//!
//! Not compared: which error it is (neither names the close codes), when it is reported (both wait for the whole frame), and compression
//! (neither has it).

use std::io::{self, Read, Write};

use proptest::prelude::*;
use tungstenite::protocol::Role as TungsteniteRole;
use ws_codec::{FrameHeader, Mask, OpCode, Role, encode_frame_into};

use crate::transcript::{CLIENT, SERVER, close, hex, masked, plain};

/// What fastwebsockets makes of the stream, in the notation of the transcript; any error is `!`.
fn fastwebsockets(role: Role, bytes: &[u8]) -> String {
    let role = match role {
        Role::Server => fastwebsockets::Role::Server,
        Role::Client => fastwebsockets::Role::Client,
    };
    let stream = tokio::io::join(bytes, tokio::io::sink());
    let mut socket = fastwebsockets::WebSocket::after_handshake(stream, role);
    socket.set_auto_pong(false);
    socket.set_auto_close(false);
    let mut socket = fastwebsockets::FragmentCollector::new(socket);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut line = Vec::new();
    runtime.block_on(async {
        loop {
            let frame = match socket.read_frame().await {
                Ok(frame) => frame,
                Err(fastwebsockets::WebSocketError::UnexpectedEOF) => return,
                Err(_) => return line.push("!".to_owned()),
            };
            line.push(match frame.opcode {
                fastwebsockets::OpCode::Text => {
                    format!("text({})", String::from_utf8_lossy(&frame.payload))
                }
                fastwebsockets::OpCode::Binary => format!("binary({})", hex(&frame.payload)),
                fastwebsockets::OpCode::Ping => format!("ping({})", hex(&frame.payload)),
                fastwebsockets::OpCode::Pong => format!("pong({})", hex(&frame.payload)),
                fastwebsockets::OpCode::Continuation => "continuation".to_owned(),
                fastwebsockets::OpCode::Close => {
                    let code = frame
                        .payload
                        .first_chunk()
                        .map(|code| u16::from_be_bytes(*code));
                    return line.push(format!(
                        "close({})",
                        code.map_or(String::new(), |code| code.to_string())
                    ));
                }
            });
        }
    });
    line.join(" ")
}

/// What tungstenite makes of it.
fn tungstenite(role: Role, bytes: &[u8]) -> String {
    struct OneWay<'b>(&'b [u8]);
    impl Read for OneWay<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0.read(out)
        }
    }
    impl Write for OneWay<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let role = match role {
        Role::Server => TungsteniteRole::Server,
        Role::Client => TungsteniteRole::Client,
    };
    let mut socket = tungstenite::WebSocket::from_raw_socket(OneWay(bytes), role, None);
    let mut line = Vec::new();
    loop {
        use tungstenite::{Error, Message, error::ProtocolError};
        line.push(match socket.read() {
            Ok(Message::Text(text)) => format!("text({text})"),
            Ok(Message::Binary(bytes)) => format!("binary({})", hex(&bytes)),
            Ok(Message::Ping(bytes)) => format!("ping({})", hex(&bytes)),
            Ok(Message::Pong(bytes)) => format!("pong({})", hex(&bytes)),
            Ok(Message::Close(frame)) => {
                let code = frame.map_or(String::new(), |frame| u16::from(frame.code).to_string());
                line.push(format!("close({code})"));
                return line.join(" ");
            }
            Ok(Message::Frame(_)) => "frame".to_owned(),
            Err(
                Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
                | Error::ConnectionClosed,
            ) => {
                return line.join(" ");
            }
            Err(_) => {
                line.push("!".to_owned());
                return line.join(" ");
            }
        });
    }
}

/// Well-formed traffic: messages in fragments that end between characters, with control frames in between.
fn traffic(mask: Option<[u8; 4]>) -> impl Strategy<Value = Vec<u8>> {
    let text = prop::collection::vec("[a-zé€𝄞]{0,30}", 1..5).prop_map(|pieces| {
        (
            OpCode::Text,
            pieces
                .into_iter()
                .map(String::into_bytes)
                .collect::<Vec<_>>(),
        )
    });
    let binary = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)
        .prop_map(|pieces| (OpCode::Binary, pieces));
    let control = prop::option::of((
        prop::sample::select(vec![OpCode::Ping, OpCode::Pong]),
        "[a-z]{0,20}",
    ));
    prop::collection::vec((prop_oneof![text, binary], control), 0..6).prop_map(move |messages| {
        let mut out = Vec::new();
        let mask = mask.map(Mask);
        for ((opcode, pieces), control) in messages {
            let last = pieces.len() - 1;
            for (i, piece) in pieces.iter().enumerate() {
                let opcode = if i == 0 { opcode } else { OpCode::Continuation };
                let header = FrameHeader {
                    fin: i == last,
                    mask,
                    ..FrameHeader::whole(opcode, piece.len())
                };
                encode_frame_into(&mut out, header, piece);
                if let Some((opcode, payload)) = control.as_ref().filter(|_| i == 0) {
                    let header = FrameHeader {
                        mask,
                        ..FrameHeader::whole(*opcode, payload.len())
                    };
                    encode_frame_into(&mut out, header, payload.as_bytes());
                }
            }
        }
        let goodbye = 1000u16.to_be_bytes();
        let header = FrameHeader {
            mask,
            ..FrameHeader::whole(OpCode::Close, 2)
        };
        encode_frame_into(&mut out, header, &goodbye);
        out
    })
}

proptest! {
    #[test]
    fn all_agree_on_what_clients_send(bytes in traffic(Some([9, 8, 7, 6]))) {
        let ours = SERVER.transcript([&bytes[..]]);
        prop_assert_eq!(&fastwebsockets(Role::Server, &bytes), &ours);
        prop_assert_eq!(&tungstenite(Role::Server, &bytes), &ours);
    }

    #[test]
    fn all_agree_on_what_servers_send(bytes in traffic(None)) {
        let ours = CLIENT.transcript([&bytes[..]]);
        prop_assert_eq!(&fastwebsockets(Role::Client, &bytes), &ours);
        prop_assert_eq!(&tungstenite(Role::Client, &bytes), &ours);
    }

    /// tungstenite is strict wherever the list above does not say otherwise.
    #[test]
    fn tungstenite_agrees_on_what_is_wrong(
        first in prop::sample::select(vec![0x01, 0x02, 0x00, 0x80, 0x81, 0x82, 0x83, 0x89, 0x8A, 0x09, 0xC1, 0x91]),
        payload in prop_oneof!["[a-z€]{0,130}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..10)],
        again in any::<bool>(),
    ) {
        let frame = masked(first, &payload);
        let bytes = if again { frame.repeat(2) } else { frame };
        let ours = SERVER.transcript([&bytes[..]]);
        let ours = ours.split_once('!').map_or(ours.clone(), |(before, _)| format!("{before}!"));
        prop_assert_eq!(tungstenite(Role::Server, &bytes), ours);
    }
}

#[track_caller]
fn deviation(bytes: &[u8], ours: &str, fast: &str, tung: &str) {
    assert_eq!(SERVER.transcript([bytes]), ours, "ws-codec");
    assert_eq!(fastwebsockets(Role::Server, bytes), fast, "fastwebsockets");
    assert_eq!(tungstenite(Role::Server, bytes), tung, "tungstenite");
}

#[test]
fn the_list_of_deviations_is_true() {
    deviation(&plain(0x81, b"Hello"), "!1002@1", "text(Hello)", "!");
    let not_minimal = b"\x82\xFE\x00\x01\0\0\0\0x";
    deviation(not_minimal, "!1002@3", "binary(78)", "binary(78)");
    let long_pong = masked(0x8A, &[b'x'; 126]);
    deviation(
        &long_pong,
        "!1002@1",
        &format!("pong({})", "78".repeat(126)),
        "!",
    );
    deviation(&close(1000, &[b'x'; 124]), "!1002@1", "close(1000)", "!");
    let second_start = [masked(0x01, b"a"), masked(0x01, b"b"), masked(0x80, b"c")].concat();
    deviation(&second_start, "!1002@7", "text(bc)", "!");
    let other_start = [masked(0x01, b"a"), masked(0x02, b"b"), masked(0x80, b"c")].concat();
    deviation(&other_start, "!1002@7", "binary(6263)", "!");
    let cut_character = [masked(0x01, b"a"), masked(0x80, b"\xE2\x82")].concat();
    deviation(&cut_character, "!1007@14", "text(a)", "!");
    deviation(
        &close(1014, b""),
        "close(1014)",
        "close(1014)",
        "close(1002)",
    );
}

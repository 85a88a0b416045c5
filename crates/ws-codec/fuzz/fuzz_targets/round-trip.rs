//! What one end sends the other receives: messages, pings, compression and cuts as the fuzzer likes.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ws_codec::handshake::DeflateConfig;
use ws_codec::{
    CloseCode, Config, Connection, ControlPayload, Ended, Incoming, Message, OpCode,
    PreparedMessage, encode_into,
};

fuzz_target!(|input: &[u8]| {
    let &[how, cut, ref script @ ..] = input else {
        return;
    };
    let config = Arc::new(Config {
        compress_from: usize::from(how >> 5),
        ..Config::default()
    });
    let now = Duration::ZERO;
    let mut client = Connection::client(Arc::clone(&config), [how; 32], now);
    let mut server = Connection::server(config, now);
    if how & 1 != 0 {
        let agreed = DeflateConfig {
            server_no_context_takeover: how & 2 != 0,
            client_no_context_takeover: how & 4 != 0,
            server_max_window_bits: 8 + (how >> 3 & 3),
            client_max_window_bits: 15 - (how >> 3 & 3),
        };
        client = client.with_deflate(agreed.into());
        server = server.with_deflate(agreed.into());
    }
    for from_client in [true, false] {
        let (from, to) = if from_client {
            (&mut client, &mut server)
        } else {
            (&mut server, &mut client)
        };
        let mut sent = Vec::new();
        let mut bytes = Vec::new();
        let mut rest = script;
        while let [what, len, after @ ..] = rest {
            let repeat = 1 + usize::from(what >> 4) * 5;
            let (data, after) = after.split_at(usize::from(*len).min(after.len()));
            rest = after;
            let data = data.repeat(repeat);
            let message = match what & 3 {
                0 => {
                    let payload = ControlPayload::new(&data[..data.len().min(125)]).unwrap();
                    from.ping(payload);
                    from.poll_transmit(&mut bytes);
                    sent.push(Incoming::Ping(payload));
                    continue;
                }
                1 => Message::Text(String::from_utf8_lossy(&data).into_owned().into()),
                _ => Message::Binary(data.into()),
            };
            match (from_client, what & 4) {
                (false, 4) => encode_into(&mut bytes, message.kind().opcode(), message.as_bytes()),
                (false, _) if what & 8 != 0 && message.kind().opcode() == OpCode::Binary => {
                    let prepared = PreparedMessage::binary(message.as_bytes().to_vec());
                    prepared.plain().write_to(&mut bytes);
                }
                _ => assert!(from.send(&message, &mut bytes)),
            }
            sent.push(Incoming::Message(message));
        }
        let mut received = Vec::new();
        let size = usize::from(cut).max(1);
        for read in bytes.chunks_mut(if cut > 200 { usize::MAX } else { size }) {
            let mut input = read;
            while let Some(incoming) = to
                .handle_input(&mut input, now)
                .expect("what we send is right")
            {
                received.push(match incoming {
                    Incoming::Message(message) => Incoming::Message(message.into_owned()),
                    Incoming::Ping(payload) => Incoming::Ping(payload),
                    Incoming::Pong(_) => continue,
                    Incoming::Close(frame) => Incoming::Close(frame),
                });
            }
        }
        assert_eq!(received, sent);
    }
    server.close(CloseCode::NORMAL, now);
    settle(&mut server, &mut client, now);
    settle(&mut client, &mut server, now);
    assert!(matches!(server.ended(), Some(Ended::ByUs(Some(_)))));
    assert!(matches!(client.ended(), Some(Ended::ByPeer(Some(_)))));
    assert!(server.is_finished() && client.is_write_done());
});

/// Carries the control frames of one end to the other.
fn settle(from: &mut Connection, to: &mut Connection, now: Duration) {
    let mut bytes = Vec::new();
    from.poll_transmit(&mut bytes);
    let mut input = &mut bytes[..];
    while to
        .handle_input(&mut input, now)
        .expect("what we send is right")
        .is_some()
    {}
}

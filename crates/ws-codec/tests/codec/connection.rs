//! A connection on virtual time: two ends, one clock, an in-memory network.

use std::sync::Arc;
use std::time::Duration;

use ws_codec::handshake::DeflateConfig;
use ws_codec::{
    CloseCode, CloseFrame, Config, Connection, ControlPayload, Ended, Failure, Incoming, Lost,
    Message, PreparedMessage, Refused, Violation,
};

use crate::transcript::{close, masked};

/// A client and a server, and what is under way between them.
struct Pair {
    now: Duration,
    client: Connection,
    server: Connection,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Pair {
    fn new(config: Config) -> Pair {
        let config = Arc::new(config);
        let now = Duration::from_secs(100);
        Pair {
            now,
            client: Connection::client(Arc::clone(&config), [1; 32], now),
            server: Connection::server(config, now),
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }

    /// Carries bytes both ways until nothing moves, and says what came in where.
    fn settle(&mut self) -> String {
        let mut line = String::new();
        loop {
            self.client.poll_transmit(&mut self.to_server);
            self.server.poll_transmit(&mut self.to_client);
            if self.to_server.is_empty() && self.to_client.is_empty() {
                return line.trim_end().to_owned();
            }
            line += &read(
                &mut self.server,
                "server",
                &std::mem::take(&mut self.to_server),
                self.now,
            );
            line += &read(
                &mut self.client,
                "client",
                &std::mem::take(&mut self.to_client),
                self.now,
            );
        }
    }

    /// Lets time pass to the next moment something is due, and does it at both ends.
    fn pass_to_next(&mut self) {
        let due = [&self.client, &self.server]
            .iter()
            .filter_map(|end| end.poll_timeout())
            .min();
        self.now = due.expect("something is due");
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
    }
}

/// What an end makes of these bytes.
fn read(end: &mut Connection, name: &str, bytes: &[u8], now: Duration) -> String {
    let mut bytes = bytes.to_vec();
    let mut input = &mut bytes[..];
    let mut line = String::new();
    loop {
        let what = match end.handle_input(&mut input, now) {
            Ok(None) => return line,
            Ok(Some(Incoming::Message(Message::Text(text)))) => text.into_owned(),
            Ok(Some(Incoming::Message(Message::Binary(bytes)))) => format!("{} bytes", bytes.len()),
            Ok(Some(Incoming::Ping(_))) => "ping".to_owned(),
            Ok(Some(Incoming::Pong(_))) => "pong".to_owned(),
            Ok(Some(Incoming::Close(frame))) => {
                format!(
                    "close({})",
                    frame.map_or(String::new(), |frame| frame.to_string())
                )
            }
            Err(failure) => return format!("{line}{name}:!{} ", failure.close_code()),
        };
        line += &format!("{name}:{what} ");
    }
}

fn text(text: &str) -> Message<'_> {
    Message::Text(text.into())
}

#[test]
fn messages_go_both_ways() {
    let mut pair = Pair::new(Config::default());
    pair.client.send(&text("hello"), &mut pair.to_server);
    pair.server.send(
        &Message::Binary(vec![0; 70_000].into()),
        &mut pair.to_client,
    );
    assert_eq!(pair.settle(), "server:hello client:70000 bytes");
}

#[test]
fn compressed_messages_go_both_ways_with_and_without_context() {
    for takeover in [true, false] {
        for bits in [8, 9, 15] {
            let agreed = DeflateConfig {
                server_no_context_takeover: !takeover,
                client_no_context_takeover: !takeover,
                server_max_window_bits: bits,
                client_max_window_bits: bits,
            };
            let mut pair = Pair::new(Config {
                compress_from: 0,
                ..Config::default()
            });
            pair.client = pair.client.with_deflate(agreed.into());
            pair.server = pair.server.with_deflate(agreed.into());
            let long = ",a compressible line".repeat(500);
            for sent in ["", "hello", "hello", &long, &long] {
                pair.client.send(&text(sent), &mut pair.to_server);
                assert!(pair.to_server.len() < sent.len() / 2 + 32);
                pair.server.send(&text(sent), &mut pair.to_client);
                assert_eq!(pair.settle(), format!("server:{sent} client:{sent}"));
            }
        }
    }
}

#[test]
fn shared_compressed_frames_reach_every_client_that_agreed() {
    let mut deflater = ws_codec::SharedDeflater::new(12, 6);
    let prepared = PreparedMessage::text(",over and over".repeat(100)).deflated(&mut deflater);
    for (bits, takeover, compressed) in [(15, true, true), (12, false, true), (11, false, false)] {
        let agreed = DeflateConfig {
            server_no_context_takeover: !takeover,
            server_max_window_bits: bits,
            ..DeflateConfig::default()
        };
        let mut pair = Pair::new(Config::default());
        pair.client = pair.client.with_deflate(agreed.into());
        pair.server = pair.server.with_deflate(agreed.into());
        for _ in 0..3 {
            let frame = prepared.frame_for(pair.server.deflate());
            assert_eq!(frame.len() < 100, compressed);
            frame.write_to(&mut pair.to_client);
            assert_eq!(
                pair.settle(),
                format!("client:{}", ",over and over".repeat(100))
            );
        }
    }
}

#[test]
fn a_silent_peer_is_pinged_and_its_pong_keeps_it() {
    let mut pair = Pair::new(Config::default());
    let start = pair.now;
    pair.pass_to_next();
    assert_eq!(pair.now - start, Duration::from_secs(20));
    assert_eq!(
        pair.settle(),
        "server:ping client:ping server:pong client:pong"
    );
    pair.pass_to_next();
    assert_eq!(pair.now - start, Duration::from_secs(40));
    assert!(pair.server.ended().is_none());
}

#[test]
fn a_peer_that_stays_silent_is_lost() {
    let mut pair = Pair::new(Config::default());
    let start = pair.now;
    pair.pass_to_next();
    pair.pass_to_next();
    assert_eq!(pair.now - start, Duration::from_secs(30));
    assert_eq!(pair.server.ended(), Some(&Ended::Lost(Lost::Silent)));
    assert!(pair.server.is_finished() && !pair.server.may_send() && !pair.server.has_transmit());
    assert_eq!(pair.server.poll_timeout(), None);
}

#[test]
fn only_the_latest_ping_is_answered() {
    let mut server = Connection::server(Arc::default(), Duration::ZERO);
    let flood: Vec<u8> = (0..10_000u32)
        .flat_map(|i| masked(0x89, &i.to_be_bytes()))
        .collect();
    read(&mut server, "server", &flood, Duration::ZERO);
    let mut out = Vec::new();
    assert!(server.poll_transmit(&mut out));
    assert_eq!(out, [&[0x8A, 4][..], &9999u32.to_be_bytes()].concat());
    out.clear();
    assert!(!server.poll_transmit(&mut out) && out.is_empty());
}

#[test]
fn unsolicited_pongs_are_let_pass() {
    let mut server = Connection::server(Arc::default(), Duration::ZERO);
    assert_eq!(
        read(
            &mut server,
            "s",
            &masked(0x8A, b"x").repeat(3),
            Duration::ZERO
        ),
        "s:pong s:pong s:pong "
    );
    assert!(!server.has_transmit() && server.may_send());
}

#[test]
fn the_closing_handshake_has_one_close_frame_from_each() {
    let mut pair = Pair::new(Config::default());
    pair.client
        .close(CloseFrame::new(CloseCode::GOING_AWAY, "bye"), pair.now);
    assert!(!pair.client.may_send() && !pair.client.is_write_done());
    assert_eq!(pair.settle(), "server:close(1001 bye) client:close(1001)");
    assert_eq!(
        pair.server.ended(),
        Some(&Ended::ByPeer(Some(CloseFrame::new(
            CloseCode::GOING_AWAY,
            "bye"
        ))))
    );
    assert_eq!(
        pair.client.ended(),
        Some(&Ended::ByUs(Some(CloseCode::GOING_AWAY.into())))
    );
    // The server closes its socket first; the client waits for that.
    assert!(pair.server.is_finished());
    assert!(pair.client.is_write_done() && !pair.client.is_finished());
    pair.client.handle_eof();
    assert!(pair.client.is_finished());
    assert!(matches!(pair.client.ended(), Some(Ended::ByUs(_))));
}

#[test]
fn both_may_close_at_once() {
    let mut pair = Pair::new(Config::default());
    pair.client.close(CloseCode::NORMAL, pair.now);
    pair.server.close(CloseCode::SERVICE_RESTART, pair.now);
    assert_eq!(pair.settle(), "server:close(1000) client:close(1012)");
    assert!(matches!(pair.client.ended(), Some(Ended::ByUs(_))));
    assert!(matches!(pair.server.ended(), Some(Ended::ByUs(_))));
}

#[test]
fn an_empty_close_is_answered_by_an_empty_one() {
    let mut server = Connection::server(Arc::default(), Duration::ZERO);
    assert_eq!(
        read(&mut server, "server", &masked(0x88, b""), Duration::ZERO),
        "server:close() "
    );
    let mut out = Vec::new();
    server.poll_transmit(&mut out);
    assert_eq!(out, [0x88, 0]);
    assert_eq!(server.ended(), Some(&Ended::ByPeer(None)));
}

#[test]
fn a_second_close_and_late_data_change_nothing() {
    let mut server = Connection::server(Arc::default(), Duration::ZERO);
    let bytes = [close(1000, b""), masked(0x81, b"late"), close(4000, b"")].concat();
    assert_eq!(
        read(&mut server, "server", &bytes, Duration::ZERO),
        "server:close(1000) "
    );
    let mut out = Vec::new();
    server.poll_transmit(&mut out);
    assert_eq!(out, [0x88, 2, 0x03, 0xE8]);
    assert!(server.is_finished());
}

#[test]
fn a_failure_is_told_once_and_then_the_peer_has_until_the_time_is_up() {
    let config = Config {
        max_close_time: Duration::from_secs(3),
        ..Config::default()
    };
    let mut server = Connection::server(Arc::new(config), Duration::ZERO);
    let now = Duration::from_secs(10);
    assert_eq!(
        read(&mut server, "server", b"\x81\x05Hello", now),
        "server:!1002 "
    );
    assert_eq!(
        server.ended(),
        Some(&Ended::Failed(Failure::Violation(Violation::Unmasked)))
    );
    assert!(!server.may_send() && !server.is_write_done());
    let mut out = Vec::new();
    server.poll_transmit(&mut out);
    assert_eq!(&out[..4], [0x88, 32, 0x03, 0xEA]);
    assert!(server.is_write_done() && !server.is_finished());
    // What still comes is not looked at: closing now would reset the connection and destroy the close frame.
    assert_eq!(read(&mut server, "server", b"\xFF\xFF", now), "");
    assert_eq!(server.poll_timeout(), Some(Duration::from_secs(13)));
    server.handle_timeout(Duration::from_secs(13));
    assert!(server.is_finished());
    assert!(matches!(server.ended(), Some(Ended::Failed(_))));
}

#[test]
fn a_close_that_is_not_answered_ends_in_time() {
    let mut pair = Pair::new(Config::default());
    let start = pair.now;
    pair.server.close(CloseCode::NORMAL, pair.now);
    pair.server.poll_transmit(&mut pair.to_client);
    pair.to_client.clear();
    pair.pass_to_next();
    assert_eq!(pair.now - start, Duration::from_secs(5));
    assert_eq!(
        pair.server.ended(),
        Some(&Ended::Lost(Lost::CloseUnanswered))
    );
    assert!(pair.server.is_finished());
}

#[test]
fn an_end_without_a_close_frame_is_a_loss() {
    let mut server = Connection::server(Arc::default(), Duration::ZERO);
    server.handle_eof();
    assert_eq!(server.ended(), Some(&Ended::Lost(Lost::EndOfStream)));
    assert!(server.is_finished());
}

#[test]
fn a_message_that_trickles_is_refused() {
    let config = Config {
        max_message_time: Some(Duration::from_secs(8)),
        ..Config::default()
    };
    let mut server = Connection::server(Arc::new(config), Duration::ZERO);
    let frame = masked(0x81, b"Hello, slow world");
    // A byte a second keeps the connection from being silent, not from being slow.
    for (second, byte) in frame.iter().take(8).enumerate() {
        let now = Duration::from_secs(second as u64);
        server.handle_timeout(now);
        assert_eq!(read(&mut server, "server", &[*byte], now), "");
        assert_eq!(server.poll_timeout(), Some(Duration::from_secs(8)));
    }
    server.handle_timeout(Duration::from_secs(8));
    assert_eq!(
        server.ended(),
        Some(&Ended::Failed(Failure::Refused(Refused::TooSlow)))
    );
    let mut out = Vec::new();
    server.poll_transmit(&mut out);
    assert_eq!(&out[2..4], 1008u16.to_be_bytes());
}

#[test]
fn a_whole_message_ends_the_time_of_the_one_before() {
    let config = Config {
        max_message_time: Some(Duration::from_secs(8)),
        ping_after: None,
        ..Config::default()
    };
    let mut server = Connection::server(Arc::new(config), Duration::ZERO);
    let frame = masked(0x81, b"Hello");
    read(&mut server, "server", &frame[..4], Duration::ZERO);
    assert_eq!(server.poll_timeout(), Some(Duration::from_secs(8)));
    let rest = [&frame[4..], &frame[..4]].concat();
    assert_eq!(
        read(&mut server, "server", &rest, Duration::from_secs(7)),
        "server:Hello "
    );
    assert_eq!(server.poll_timeout(), Some(Duration::from_secs(15)));
    assert_eq!(
        read(&mut server, "server", &frame[4..], Duration::from_secs(9)),
        "server:Hello "
    );
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn nothing_is_sent_once_closing_has_begun() {
    let mut pair = Pair::new(Config::default());
    pair.server.close(CloseCode::NORMAL, pair.now);
    assert!(!pair.server.send(&text("late"), &mut pair.to_client) && pair.to_client.is_empty());
    pair.server.ping(ControlPayload::EMPTY);
    pair.server.poll_transmit(&mut pair.to_client);
    assert_eq!(pair.to_client, [0x88, 2, 0x03, 0xE8]);
    // A ping that comes while the close frame is under way goes unanswered: our last frame was the close.
    pair.client.ping(ControlPayload::EMPTY);
    assert_eq!(
        pair.settle(),
        "server:ping client:close(1000) server:close(1000)"
    );
}

#[test]
fn a_clients_frames_have_different_masks() {
    let mut pair = Pair::new(Config::default());
    pair.client.send(&text("same"), &mut pair.to_server);
    let first = pair.to_server.split_off(0);
    pair.client.send(&text("same"), &mut pair.to_server);
    assert_ne!(first[2..6], pair.to_server[2..6]);
}

#[test]
fn nothing_comes_in_after_a_message_that_does_not_inflate() {
    let agreed = DeflateConfig::default().into();
    let mut server = Connection::server(Arc::default(), Duration::ZERO).with_deflate(agreed);
    let bytes = [masked(0xC1, b"\x07\x00"), masked(0x81, b"late")].concat();
    assert_eq!(
        read(&mut server, "server", &bytes, Duration::ZERO),
        "server:!1007 "
    );
    assert_eq!(
        read(
            &mut server,
            "server",
            &masked(0x81, b"later"),
            Duration::ZERO
        ),
        ""
    );
    let mut out = Vec::new();
    server.poll_transmit(&mut out);
    assert_eq!(&out[2..4], 1007u16.to_be_bytes());
    assert!(!server.poll_transmit(&mut out));
}

#[test]
fn nothing_comes_in_after_a_message_that_took_too_long() {
    let mut server = Connection::server(Arc::default(), Duration::ZERO);
    let frame = masked(0x81, b"Hello");
    read(&mut server, "server", &frame[..4], Duration::ZERO);
    // Something is heard all the while, so it is the message that is late and not the peer.
    let late = Duration::from_secs(60);
    read(
        &mut server,
        "server",
        &frame[4..5],
        late - Duration::from_secs(1),
    );
    server.handle_timeout(late);
    assert_eq!(read(&mut server, "server", &frame[5..], late), "");
    assert_eq!(
        server.ended(),
        Some(&Ended::Failed(Failure::Refused(Refused::TooSlow)))
    );
}

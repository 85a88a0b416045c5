//! Ending on purpose and by accident, and coming back.

use crate::support::event_stream::EventStream;
use crate::support::foreign::{Foreign, Site};
use crate::support::server::Server;
use crate::support::web_socket::WebSocket;

#[test]
fn asked_to_end_it_ends_well() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start();
        let mut stream = EventStream::follow(&server, "/topics/a");
        server.signal(signal);
        while stream.next_block().is_some() {}
        assert!(server.wait().success(), "{signal}");
    }
}

#[test]
fn each_stream_is_told_when_to_come_back() {
    let mut server = Server::start();
    let mut streams: Vec<_> = (0..10)
        .map(|_| EventStream::follow(&server, "/topics/a"))
        .collect();
    server.publish("a", "x");
    for stream in &mut streams {
        stream.next_data(1);
        stream.retry = None;
    }
    server.signal("TERM");
    let mut delays = Vec::new();
    for stream in &mut streams {
        while let Some(block) = stream.next_block() {
            assert!(block.is_control("reconnect"), "{block:?}");
        }
        delays.push(stream.retry.expect("a time to come back"));
    }
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 5, "each its own: {delays:?}");
    assert!(server.wait().success());
}

#[test]
fn a_web_socket_is_told_to_come_back() {
    let mut server = Server::start();
    let mut push = WebSocket::push(&server, "/topics/a");
    let mut plain = WebSocket::plain(&server, "/topics/a");
    server.signal("TERM");
    for socket in [&mut push, &mut plain] {
        let (code, _) = socket.closed();
        assert!(matches!(code, 1001 | 1012), "{code}");
        socket.close(code);
    }
    assert!(server.wait().success());
}

#[test]
fn a_reader_that_reads_nothing_does_not_keep_it_from_ending() {
    let mut server = Server::start();
    let stream = EventStream::follow(&server, "/topics/a");
    for _ in 0..20 {
        server.publish("a", &"x".repeat(500_000));
    }
    server.signal("TERM");
    assert!(server.wait().success());
    drop(stream);
}

#[test]
fn a_snapshot_keeps_every_position_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("log");
    let mut server = Server::with(&[&format!("log.snapshot={}", snapshot.display())]);
    let mut stream = EventStream::follow(&server, "/topics/a");
    server.publish("a", "1");
    let seen = stream.next_event().id.unwrap();
    server.publish("a", "2");
    server.restart();
    let mut stream = EventStream::resume(&server, "/topics/a", &seen);
    server.publish("a", "3");
    let next: Vec<_> = (0..2).map(|_| stream.next_block().unwrap()).collect();
    assert_eq!(next[0].data.as_deref(), Some("2"), "no gap: {next:?}");
    assert_eq!(next[1].data.as_deref(), Some("3"), "no gap: {next:?}");
}

/// Clients that reconnect by themselves, with the server killed under them: they are told, and go on.
#[track_caller]
fn goes_on_after_a_crash(client: Foreign) {
    let mut site = Site::start();
    let Some(mut follower) = site.follow(client, "news", None) else {
        return;
    };
    site.server.publish("news", "before");
    assert_eq!(follower.next_message().1, "before");
    site.server.crash_and_restart();
    follower.next_named("open");
    let id = site.server.publish("news", "after");
    follower.next_named("gap");
    assert_eq!(follower.next_message(), (id, "after".to_owned()));
}

#[test]
fn eventsource_of_npm_is_told_of_the_gap_after_a_crash() {
    goes_on_after_a_crash(Foreign::EventSource);
}

#[test]
fn event_source_of_chromium_is_told_of_the_gap_after_a_crash() {
    goes_on_after_a_crash(Foreign::ChromiumEventSource);
}

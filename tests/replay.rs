//! Where reading starts, and what is said about what can no longer be read.

use serde_json::Value;

use crate::support::event_stream::{Block, EventStream};
use crate::support::http::Request;
use crate::support::server::Server;
use crate::support::web_socket::WebSocket;

/// Publishes `1` to `n` to the topic `a`; the positions they were answered.
fn publish(server: &Server, n: usize) -> Vec<String> {
    (1..=n)
        .map(|n| server.publish("a", &n.to_string()))
        .collect()
}

/// The data of what is replayed from this starting point, up to an event published after it.
#[track_caller]
fn check_start(server: &Server, target: &str, expect: &str) {
    let mut stream = EventStream::follow(server, target);
    server.publish("a", "end");
    let mut got = Vec::new();
    loop {
        let data = stream.next_data(1).remove(0);
        if data == "end" {
            break;
        }
        got.push(data);
    }
    assert_eq!(got.join(" "), expect, "{target}");
}

#[test]
fn reading_starts_where_it_is_asked_to() {
    // A server for each, because what marks the end of one replay would be in the next.
    for (query, expect) in [
        ("", ""),
        ("?after=earliest", "1 2 3 4 5"),
        ("?last=2", "4 5"),
        ("?last=99", "1 2 3 4 5"),
        ("?since=5m", "1 2 3 4 5"),
        ("?since=2001-01-01T00:00:00Z", "1 2 3 4 5"),
        ("?after=POSITION", "4 5"),
        ("?last_event_id=POSITION", "4 5"),
    ] {
        let server = Server::start();
        let ids = publish(&server, 5);
        let target = format!("/topics/a{}", query.replace("POSITION", &ids[2]));
        check_start(&server, &target, expect);
    }
}

#[test]
fn the_header_of_a_browser_wins_over_the_url() {
    let server = Server::start();
    let ids = publish(&server, 4);
    let target = format!("/topics/a?after={}", ids[0]);
    let mut stream = EventStream::resume(&server, &target, &ids[2]);
    assert_eq!(stream.next_data(1), ["4"]);
}

#[test]
fn the_state_carries_the_starting_cursor_not_the_head() {
    let server = Server::start();
    let ids = publish(&server, 3);
    // A cut right after the state must not skip what was to follow it.
    let request = Request::get("/topics/a").header("Last-Event-ID", &ids[0]);
    let mut stream = EventStream::open(server.address(), &request);
    let state = stream.next_block().unwrap();
    assert!(state.is_control("state"));
    let mut again = EventStream::resume(&server, "/topics/a", state.id.as_deref().unwrap());
    assert_eq!(again.next_data(2), ["2", "3"]);
}

#[test]
fn one_position_serves_every_topic() {
    let server = Server::start();
    server.publish("a", "a1");
    let at = server.publish("b", "b1");
    server.publish("a", "a2");
    server.publish("c", "c1");
    server.publish("b", "b2");
    let mut stream = EventStream::resume(&server, "/topics?match=a&match=b", &at);
    let got: Vec<Value> = (0..2)
        .map(|_| stream.next_event().json()["data"].clone())
        .collect();
    assert_eq!(got, ["a2", "b2"]);
    let mut other = EventStream::resume(&server, "/topics/c", &at);
    assert_eq!(other.next_data(1), ["c1"]);
}

/// The gap that must come before the next event.
#[track_caller]
fn gap_then_event(stream: &mut EventStream) -> (Value, Block) {
    let gap = stream.next_block().unwrap();
    assert!(gap.is_control("gap"), "{gap:?}");
    assert_eq!(gap.id, None, "only events move the cursor");
    let event = stream.next_block().unwrap();
    assert!(!event.is_control("gap"), "one gap, not {event:?} too");
    (gap.json(), event)
}

/// Whether two positions name one place in one life of the log.
fn same_offset(a: &Value, b: &str) -> bool {
    let place = |text: &str| text.rsplit_once('-').map(|(place, _)| place.to_owned());
    place(a.as_str().unwrap()) == place(b)
}

#[test]
fn what_retention_dropped_is_announced_before_the_next_event() {
    let server = Server::with(&["log.max_events=3"]);
    let ids = publish(&server, 10);
    let mut stream = EventStream::resume(&server, "/topics/a", &ids[1]);
    let (gap, event) = gap_then_event(&mut stream);
    assert_eq!(gap["match"], "a", "{gap}");
    assert_eq!(gap["reason"], "retention", "{gap}");
    // Both ends belong to it; what was at the first is forgotten, its tag included.
    assert!(same_offset(&gap["from"], &ids[2]), "{gap}");
    assert!(same_offset(&gap["to"], &ids[6]), "{gap}");
    assert!(gap["missed"].as_u64().is_none_or(|n| n == 5), "{gap}");
    assert_eq!(event.id.as_ref(), Some(&ids[7]));
    assert_eq!(stream.next_data(2), ["9", "10"]);
}

#[test]
fn a_page_and_a_web_socket_announce_the_same_gap() {
    let server = Server::with(&["log.max_events=3"]);
    let ids = publish(&server, 10);
    let mut stream = EventStream::resume(&server, "/topics/a", &ids[1]);
    let (told, _) = gap_then_event(&mut stream);

    let target = format!("/topics/a?after={}", ids[1]);
    let page = server.ask(&Request::page(&target)).json();
    assert_eq!(page["gaps"], Value::from(vec![told.clone()]), "{page}");
    assert_eq!(page["events"].as_array().unwrap().len(), 3);

    let mut socket = WebSocket::push(&server, &target);
    loop {
        let mut push = socket.next_json();
        if push.get("event").is_some() {
            panic!("an event came before the gap: {push}");
        }
        if push.get("gap").is_some() {
            assert_eq!(push["gap"].take(), told);
            break;
        }
    }
    assert_eq!(socket.next_data(3), ["8", "9", "10"]);
}

#[test]
fn earliest_is_what_is_left_and_no_gap() {
    let server = Server::with(&["log.max_events=3"]);
    publish(&server, 10);
    let mut stream = EventStream::follow(&server, "/topics/a?after=earliest");
    let first = stream.next_block().unwrap();
    assert_eq!(first.data.as_deref(), Some("8"));
}

/// Reads on with a position from before the server was ended in this way.
#[track_caller]
fn a_position_of_an_earlier_life_is_a_gap(end: fn(&mut Server)) {
    let mut server = Server::start();
    let ids = publish(&server, 3);
    end(&mut server);
    let mut stream = EventStream::resume(&server, "/topics/a", &ids[1]);
    server.publish("a", "after");
    let (gap, event) = gap_then_event(&mut stream);
    assert_eq!(gap["reason"], "epoch", "{gap}");
    assert_eq!(event.data.as_deref(), Some("after"));
}

#[test]
fn a_position_from_before_a_crash_is_a_gap() {
    a_position_of_an_earlier_life_is_a_gap(Server::crash_and_restart);
}

#[test]
fn a_position_from_before_a_restart_without_a_snapshot_is_a_gap() {
    a_position_of_an_earlier_life_is_a_gap(Server::restart);
}

#[test]
fn a_position_beyond_the_head_is_a_gap_and_never_a_wait() {
    let server = Server::start();
    let ids = publish(&server, 3);
    // The same epoch with a higher offset cannot be had from outside; a changed tag can.
    let mut forged = ids[2].clone();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    let mut stream = EventStream::resume(&server, "/topics/a", &forged);
    let gap = stream.next_block().unwrap();
    assert!(gap.is_control("gap"), "{gap:?}");
    assert_eq!(gap.json()["reason"], "rewound", "{gap:?}");
    server.publish("a", "4");
    while stream.next_data(1) != ["4"] {}
}

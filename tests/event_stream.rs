//! Following over Server-Sent Events, byte by byte.

use std::time::Duration;

use crate::support::event_stream::{Block, EventStream};
use crate::support::http::Request;
use crate::support::server::Server;

#[test]
fn the_head_keeps_caches_and_proxies_from_holding_it() {
    let server = Server::start();
    let stream = EventStream::follow(&server, "/topics/news");
    for (name, expect) in [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-cache, no-store, no-transform"),
        ("X-Accel-Buffering", "no"),
        ("Vary", "Accept, Origin"),
    ] {
        assert_eq!(
            stream.head().header(name).as_deref(),
            Some(expect),
            "{name}"
        );
    }
}

#[test]
fn a_reader_of_a_silent_topic_owns_a_position_at_once() {
    let server = Server::start();
    let mut stream = EventStream::open(server.address(), &Request::get("/topics/silent"));
    let state = stream.next_block().unwrap();
    assert_eq!(state.event.as_deref(), Some("push.state"));
    assert!(stream.retry.is_some_and(|ms| ms > 0), "{:?}", stream.retry);
    let position = state.id.clone().unwrap();
    assert!(
        (1..=64).contains(&position.len())
            && position
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._~-".contains(c)),
        "{position:?}"
    );
    drop(state.json());
    drop(stream);

    server.publish("silent", "while away");
    let mut stream = EventStream::resume(&server, "/topics/silent", &position);
    assert_eq!(stream.next_data(1), ["while away"]);
}

#[test]
fn nothing_in_particular_gets_an_event_stream() {
    let server = Server::start();
    for request in [
        Request::get("/topics/news"),
        Request::get("/topics/news").header("Accept", "*/*"),
        Request::get("/topics/news").header("Accept", "text/event-stream"),
    ] {
        let stream = EventStream::open(server.address(), &request);
        assert_eq!(
            stream.head().header("content-type").as_deref(),
            Some("text/event-stream")
        );
    }
}

#[test]
fn a_person_gets_a_page() {
    let server = Server::start();
    let request = Request::get("/topics/news").header(
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    );
    let reply = server.ask(&request);
    assert_eq!(reply.status(), 200);
    assert!(
        reply
            .header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(reply.text().contains("/push.js"), "{}", reply.text());
}

#[test]
fn an_event_arrives_as_it_was_published() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/news");
    for (query, data) in [
        ("", "plain"),
        ("?type=price", "typed"),
        ("", ""),
        ("", "two\nlines"),
        ("", " leading space, trailing newline\n"),
        ("", "id: forged\nevent: push.gap\n\ndata: forged"),
        ("", "ünïcödé \u{2028} \u{1F980}"),
    ] {
        let id = server.publish_as("news", query, data);
        let expect = Block {
            id: Some(id),
            event: query.strip_prefix("?type=").map(str::to_owned),
            data: Some(data.to_owned()),
        };
        assert_eq!(stream.next_block(), Some(expect));
    }
}

#[test]
fn every_way_to_end_a_line_arrives_as_a_new_line() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/news");
    server.publish("news", "a\rb\r\nc\nd");
    assert_eq!(stream.next_data(1), ["a\nb\nc\nd"]);
}

#[test]
fn bytes_arrive_as_base64() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/news");
    let request = Request::post("/topics/news", &[0, 255, 128, 10, 13])
        .header("Content-Type", "application/octet-stream");
    assert!(server.ask(&request).is_success());
    assert_eq!(stream.next_data(1), ["AP+ACg0="]);
}

#[test]
fn a_pattern_tells_the_topic_of_each_event() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/sport/*");
    server.publish("sport", "not below");
    server.publish("sport/golf/uk", "too deep");
    let id = server.publish_as("sport/golf", "?type=score&key=uk", "1:0");
    let block = stream.next_event();
    assert_eq!(block.id.as_deref(), Some(id.as_str()));
    assert_eq!(block.event.as_deref(), Some("score"));
    let object = block.json();
    assert_eq!(object["id"], id.as_str());
    assert_eq!(object["topic"], "sport/golf");
    assert_eq!(object["type"], "score");
    assert_eq!(object["key"], "uk");
    assert_eq!(object["data"], "1:0");
    assert!(object["time"].is_number(), "{object}");
    assert!(
        object.get("data_base64").is_none(),
        "absent fields are left out: {object}"
    );
}

#[test]
fn two_stars_match_any_depth_but_not_none() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a/**");
    server.publish("a", "0");
    server.publish("a/b", "1");
    server.publish("b/a/c", "elsewhere");
    server.publish("a/b/c/d", "3");
    let topics: Vec<_> = (0..2)
        .map(|_| stream.next_event().json()["topic"].clone())
        .collect();
    assert_eq!(topics, ["a/b", "a/b/c/d"]);
}

#[test]
fn several_topics_come_in_one_order() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics?match=a&match=b/*&match=a");
    for (topic, data) in [
        ("a", "1"),
        ("b/x", "2"),
        ("c", "no"),
        ("a", "3"),
        ("b/y", "4"),
    ] {
        server.publish(topic, data);
    }
    let got: Vec<_> = (0..4)
        .map(|_| stream.next_event().json()["data"].clone())
        .collect();
    assert_eq!(got, ["1", "2", "3", "4"]);
}

#[test]
fn one_topic_is_told_as_json_when_asked() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/news?format=json");
    server.publish("news", "x");
    assert_eq!(stream.next_event().json()["topic"], "news");
}

#[test]
fn a_heartbeat_is_a_comment_without_a_blank_line() {
    let server = Server::with(&["stream.heartbeat=200ms"]);
    let mut stream = EventStream::follow(&server, "/topics/news");
    // A blank line would end a block, and with it the position of readers that go by the letter.
    assert_eq!(stream.next_comment(), []);
    assert_eq!(stream.next_comment(), []);
    server.publish("news", "still here");
    assert_eq!(stream.next_data(1), ["still here"]);
}

#[test]
fn a_stream_stays_open_until_its_reader_leaves() {
    let server = Server::start();
    let mut readers: Vec<_> = (0..20)
        .map(|_| EventStream::follow(&server, "/topics/news"))
        .collect();
    let id = server.publish("news", "to all");
    for reader in &mut readers {
        assert_eq!(reader.next_event().id.as_deref(), Some(id.as_str()));
    }
    readers.truncate(10);
    server.publish("news", "to half");
    for reader in &mut readers {
        assert_eq!(reader.next_data(1), ["to half"]);
    }
}

#[test]
fn an_event_is_not_held_back_for_the_next() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/news");
    // Without TCP_NODELAY some of these would wait for an acknowledgement, 40 ms each.
    let start = std::time::Instant::now();
    for n in 0..50 {
        server.publish("news", &n.to_string());
        assert_eq!(stream.next_data(1), [n.to_string()]);
    }
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn http_1_0_gets_a_stream_that_ends_with_the_connection() {
    use std::io::{BufRead, BufReader, Write};
    let server = Server::start();
    let mut stream = crate::support::http::connect(server.address());
    let head = format!(
        "GET /topics/news HTTP/1.0\r\nHost: {}\r\n\r\n",
        server.address()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = lines.take_while(|l| !l.is_empty()).collect();
    assert!(head[0].contains(" 200 "), "{head:?}");
    let chunked = head
        .iter()
        .any(|l| l.to_lowercase().starts_with("transfer-encoding"));
    assert!(!chunked, "HTTP/1.0 knows no chunks: {head:?}");
}

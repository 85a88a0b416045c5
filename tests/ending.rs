//! Topics that end: an answer that is complete, a job that is done.

use serde_json::json;

use crate::support::event_stream::EventStream;
use crate::support::http::Request;
use crate::support::server::Server;
use crate::support::web_socket::WebSocket;

/// The end that must be next, and after it the end of the stream.
#[track_caller]
fn ends(stream: &mut EventStream, reason: &str) {
    let end = stream.next_block().unwrap();
    assert!(end.is_control("end"), "{end:?}");
    assert_eq!(end.json()["reason"], reason, "{end:?}");
    assert_eq!(stream.next_block(), None);
}

#[test]
fn readers_get_the_last_event_and_then_the_end() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/job");
    server.publish("job", "half");
    server.publish_as("job", "?end=true", "done");
    assert_eq!(stream.next_data(2), ["half", "done"]);
    ends(&mut stream, "ended");
}

#[test]
fn a_topic_may_end_without_a_last_event() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/job");
    server.publish("job", "only");
    let reply = server.ask(&Request::post("/topics/job?end=true", b""));
    assert!(reply.is_success(), "{reply:?}");
    assert_eq!(stream.next_data(1), ["only"]);
    ends(&mut stream, "ended");
}

#[test]
fn newcomers_get_the_retained_tail_and_the_end() {
    let server = Server::start();
    server.publish("job", "half");
    server.publish_as("job", "?end=true", "done");
    let mut stream = EventStream::follow(&server, "/topics/job?after=earliest");
    assert_eq!(stream.next_data(2), ["half", "done"]);
    ends(&mut stream, "ended");
}

#[test]
fn an_event_source_that_has_read_to_the_end_stops_coming_back() {
    let server = Server::start();
    server.publish("job", "half");
    let last = server.publish_as("job", "?end=true", "done");
    let mut stream = EventStream::follow(&server, "/topics/job?after=earliest");
    stream.next_data(2);
    ends(&mut stream, "ended");
    let comes_back = |position: &str| {
        let request = Request::get("/topics/job")
            .header("Accept", "text/event-stream")
            .header("Last-Event-ID", position);
        request.open(server.address()).status()
    };
    assert_eq!(comes_back(stream.last_id.as_deref().unwrap()), 204);
    // One that was cut before the end has yet to be told of it.
    assert_eq!(comes_back(&last), 200);
    let mut stream = EventStream::resume(&server, "/topics/job", &last);
    ends(&mut stream, "ended");
}

#[test]
fn an_ended_topic_takes_nothing_more() {
    let server = Server::start();
    server.publish_as("job", "?end=true", "done");
    let reply = server.ask(&Request::post("/topics/job", b"late"));
    assert_eq!(reply.status(), 409, "{reply:?}");
    assert_eq!(reply.json()["status"], 409);
}

#[test]
fn a_web_socket_is_told_the_end() {
    let server = Server::start();
    let mut push = WebSocket::push(&server, "/topics/job");
    let mut plain = WebSocket::plain(&server, "/topics/job");
    server.publish_as("job", "?end=true", "done");
    assert_eq!(push.next_data(1), ["done"]);
    loop {
        let message = push.next_json();
        if let Some(end) = message.get("end") {
            assert_eq!(end["reason"], "ended", "{end}");
            break;
        }
    }
    assert_eq!(plain.next_text(), "done");
    let (code, _) = plain.closed();
    assert!((4500..5000).contains(&code), "do not come back: {code}");
}

#[test]
fn one_ended_topic_does_not_end_a_stream_of_several() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics?match=job&match=other");
    server.publish_as("job", "?end=true", "done");
    server.publish("other", "goes on");
    assert_eq!(stream.next_event().json()["data"], "done");
    assert_eq!(stream.next_event().json()["data"], "goes on");
}

#[test]
fn deleting_a_topic_ends_it_and_erases_it() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/secret?after=earliest");
    server.publish("secret", "x");
    assert_eq!(stream.next_data(1), ["x"]);
    let reply = server.ask(&Request::new("DELETE", "/topics/secret"));
    assert!(reply.is_success(), "{reply:?}");
    ends(&mut stream, "deleted");
    let page = server
        .ask(&Request::page("/topics/secret?after=earliest"))
        .text();
    assert!(!page.contains("\"x\""), "{page}");
}

#[test]
fn a_head_tells_the_last_position_and_counts() {
    let server = Server::start();
    server.publish("a", "1");
    let last = server.publish("a", "2");
    server.publish("b", "3");
    let reply = server.ask(&Request::new("HEAD", "/topics/a"));
    assert_eq!(reply.status(), 200, "{reply:?}");
    assert!(reply.body.is_empty());
    let told = format!("{:?}", reply.head);
    assert!(told.contains(&last), "{told}");
}

#[test]
fn an_end_that_was_read_does_not_take_a_reader_back() {
    let server = Server::start();
    server.publish_as("a", "?end=true", "done");
    let seen = ["1", "2", "3"].map(|data| server.publish("b", data));
    let seen = &seen[2];
    let mut stream = EventStream::resume(&server, "/topics?match=a&match=b", seen);
    let end = stream.next_block().unwrap();
    assert!(end.is_control("end"), "{end:?}");
    assert_eq!(stream.last_id.as_ref(), Some(seen));
    let mut push = WebSocket::push(&server, &format!("/topics?match=a&match=b&after={seen}"));
    push.next_json();
    assert_eq!(push.next_json()["end"]["at"], seen.as_str());
    server.publish("b", "4");
    let mut stream = EventStream::resume(
        &server,
        "/topics?match=a&match=b",
        stream.last_id.as_deref().unwrap(),
    );
    assert_eq!(stream.next_event().json()["data"], "4");
}

#[test]
fn a_stream_of_ended_topics_tells_every_end_before_its_own() {
    let server = Server::start();
    for topic in ["a", "b"] {
        server.publish_as(topic, "?end=true", "done");
    }
    let target = "/topics?match=a&match=b&since=2100-01-01T00:00:00Z";
    // A time to come is now, and in this millisecond something was published.
    while server.ask(&Request::page(target)).json()["events"] != json!([]) {}
    let mut stream = EventStream::follow(&server, target);
    let blocks = std::iter::from_fn(|| stream.next_block());
    let ends = blocks.filter(|block| block.is_control("end"));
    let told: Vec<_> = ends.map(|end| end.json()["match"].clone()).collect();
    assert_eq!(told, ["a", "b"]);
}

#[test]
fn a_reader_too_far_behind_is_not_told_that_it_has_read_everything() {
    let server = Server::with(&["lag.max_events=2"]);
    let first = server.publish("a", "0");
    for n in 1..9 {
        server.publish("a", &n.to_string());
    }
    server.publish_as("a", "?end=true", "9");
    let request = Request::get("/topics/a?lag=disconnect")
        .header("Accept", "text/event-stream")
        .header("Last-Event-ID", &first);
    assert_eq!(request.open(server.address()).status(), 200);
}

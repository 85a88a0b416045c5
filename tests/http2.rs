//! HTTP/2 as other people speak it: event streams, and WebSockets by extended CONNECT (RFC 8441).
//!
//! That they miss nothing while they are away stands with the other clients, in `quickstart`.

use serde_json::json;

use crate::support::foreign::{Foreign, Site, node_http2};
use crate::support::http::Request;
use crate::support::server::Server;
use crate::support::web_socket::WebSocket;

/// Streams of the client that stops
const STREAMS: usize = 100;

const EVENT_BYTES: usize = 8 << 10;

const EVENTS: usize = 200;

/// What may wait for one stream (`http2.send_buffer_bytes`)
const SEND_BUFFER: usize = 64 << 10;

/// A batch that is taken from the log while there is still room in the send buffer
const BATCH: usize = 64 << 10;

/// What the sockets of both sides take: the kernel's largest buffers for sending and receiving (`tcp_wmem`, `tcp_rmem`)
const SOCKETS: usize = 12 << 20;

/// Follows by `client`, and is sent away when the server leaves.
///
/// Python's `h2` takes the first GOAWAY for the end of the connection (RFC 9113 section 6.8 announces a graceful one so), reads nothing
/// behind it, and comes back by its position; so it is not asked what it was told.
#[track_caller]
fn is_sent_away(client: Foreign, how: &str) {
    let mut site = Site::start();
    let Some(mut follower) = site.follow(client, "news", None) else {
        return;
    };
    let id = site.server.publish("news", "one");
    assert_eq!(follower.next_message(), (id, "one".to_owned()));
    site.server.signal("TERM");
    let mut told = Vec::new();
    loop {
        let object = follower.next();
        let event = object["event"].as_str().unwrap().to_owned();
        if event == "close" {
            assert_eq!(object["code"], 1012, "{object}");
        }
        let is_last = event == "closed";
        told.push(event);
        if is_last {
            break;
        }
    }
    for expected in ["goaway", "reconnect", how, "end of stream"] {
        assert!(
            told.iter().any(|event| event == expected),
            "no {expected} in {told:?}"
        );
    }
    assert!(site.server.wait().success());
}

#[test]
fn an_event_stream_of_node_is_sent_away_with_goaway() {
    is_sent_away(Foreign::NodeHttp2, "reconnect");
}

#[test]
fn a_web_socket_of_node_is_sent_away_with_goaway() {
    is_sent_away(Foreign::NodeHttp2Socket, "close");
}

/// A connection that says it takes 2 GiB on each of its streams, and reads nothing: the server hands over no more than it
/// has room for.
#[test]
fn streams_that_nobody_reads_take_no_more_than_their_bound() {
    let server = Server::with(&[
        &format!("http2.send_buffer_bytes={SEND_BUFFER}"),
        "stream.heartbeat=300ms",
    ]);
    let Some(mut crowd) = node_http2(&server, "crowd", "load", None) else {
        return;
    };
    assert_eq!(crowd.next()["event"], "open");
    // One that reads says when all of it has been through the server.
    let mut reader = WebSocket::push(&server, "/topics/load");
    let data = "x".repeat(EVENT_BYTES);
    for _ in 0..EVENTS {
        server.publish("load", &data);
    }
    reader.next_data(EVENTS);
    let page = server
        .ask(&Request::get("/admin/connections?limit=1000"))
        .json();
    let streams = page["connections"].as_array().unwrap().iter();
    let unread: Vec<_> = streams
        .filter(|stream| stream["transport"] == "sse")
        .map(|stream| stream["backlog"].as_u64().unwrap() as usize)
        .collect();
    assert_eq!(unread.len(), STREAMS);
    let taken: usize = unread
        .iter()
        .map(|unread| (EVENTS - unread) * EVENT_BYTES)
        .sum();
    let bound = SOCKETS + STREAMS * (SEND_BUFFER + BATCH);
    let all = STREAMS * EVENTS * EVENT_BYTES;
    println!(
        "{taken} bytes of {all} were taken for {STREAMS} streams that nobody reads; the bound is {bound}"
    );
    assert!(2 * bound < all, "the bound says nothing");
    assert!(taken <= bound, "{taken} of {all}, more than {bound}");
    // And it disturbs nobody.
    let answer = reader.command("publish", &json!({"topic": "load", "data": "1"}));
    assert!(answer.get("result").is_some(), "{answer}");
}

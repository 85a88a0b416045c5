//! Publishing over HTTP: one event, a line at a time, a batch, and safe to repeat.

use std::io::Write;

use serde_json::{Value, json};

use crate::support::event_stream::EventStream;
use crate::support::http::{Reply, Request, connect};
use crate::support::server::Server;

#[test]
fn put_publishes_as_post_does() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/news");
    let reply = server.ask(&Request::new("PUT", "/topics/news").body(b"put"));
    assert!(reply.is_success(), "{reply:?}");
    let event = stream.next_event();
    assert_eq!(reply.json()["id"].as_str(), event.id.as_deref());
    assert_eq!(event.data.as_deref(), Some("put"));
}

#[test]
fn what_curl_calls_a_form_is_text() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/news?format=json");
    let request = Request::post("/topics/news", b"a=1&b=2")
        .header("Content-Type", "application/x-www-form-urlencoded");
    assert!(server.ask(&request).is_success());
    let object = stream.next_event().json();
    assert_eq!(object["data"], "a=1&b=2");
    assert!(object.get("content_type").is_none(), "{object}");
}

#[test]
fn a_content_type_is_kept_and_decides_between_text_and_bytes() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/news?format=json");
    for (content_type, body, field, expect) in [
        ("application/json", &b"{\"a\":1}"[..], "data", "{\"a\":1}"),
        ("image/png", &b"\x89PNG"[..], "data_base64", "iVBORw=="),
    ] {
        let request = Request::post("/topics/news", body).header("Content-Type", content_type);
        assert!(server.ask(&request).is_success());
        let object = stream.next_event().json();
        assert_eq!(object[field], expect, "{object}");
        assert_eq!(object["content_type"], content_type, "{object}");
    }
}

fn keyed(server: &Server, topic: &str, key: &str, body: &str) -> Reply {
    let path = format!("/topics/{topic}");
    server.ask(&Request::post(&path, body.as_bytes()).header("Idempotency-Key", key))
}

#[test]
fn a_repeated_idempotency_key_is_one_event() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a");
    let first = keyed(&server, "a", "k1", "once").json();
    let again = keyed(&server, "a", "k1", "once").json();
    assert_eq!(again["id"], first["id"]);
    assert_eq!(again["duplicate"], true);
    assert!(first.get("duplicate").is_none(), "{first}");
    keyed(&server, "a", "k2", "twice");
    assert_eq!(stream.next_data(2), ["once", "twice"]);
}

#[test]
fn an_idempotency_key_belongs_to_its_topic_and_its_body() {
    let server = Server::start();
    let first = keyed(&server, "a", "k", "x").json();
    let elsewhere = keyed(&server, "b", "k", "x").json();
    assert_ne!(first["id"], elsewhere["id"]);
    let other = keyed(&server, "a", "k", "y");
    assert_eq!(other.status(), 422, "{other:?}");
    assert_eq!(
        other.header("content-type").as_deref(),
        Some("application/problem+json")
    );
}

#[test]
fn lines_are_events_as_they_arrive() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/log");
    let mut upload = connect(server.address());
    let head = format!(
        "PUT /topics/log?each=line HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        server.address()
    );
    upload.write_all(head.as_bytes()).unwrap();
    let mut send = |piece: &str| {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        upload.write_all(chunk.as_bytes()).unwrap();
    };
    // Each is read before the next is sent: nothing waits for the end of the body.
    send("one\n");
    assert_eq!(stream.next_data(1), ["one"]);
    send("two\nth");
    assert_eq!(stream.next_data(1), ["two"]);
    send("ree\r\n");
    assert_eq!(stream.next_data(1), ["three"]);
    send("unended");
    upload.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(stream.next_data(1), ["unended"]);
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut upload, &mut answer).unwrap();
    let body = answer.rsplit("\r\n\r\n").next().unwrap();
    let body = body.lines().find(|l| l.starts_with('{')).unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["published"], 4, "{body}");
}

#[test]
fn a_batch_is_answered_in_order() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/**");
    let array = json!([
        {"topic": "a", "data": "1", "type": "t", "key": "k"},
        {"topic": "b/c", "data_base64": "AAE="},
    ]);
    let lines = "{\"topic\":\"a\",\"data\":\"3\"}\n{\"topic\":\"d\",\"data\":\"4\"}\n";
    let mut ids = Vec::new();
    for body in [array.to_string(), lines.to_owned()] {
        let reply = server.ask(&Request::post("/publish", body.as_bytes()));
        assert_eq!(reply.status(), 200, "{reply:?}");
        let answer = reply.json();
        let results = answer["results"].as_array().unwrap();
        ids.extend(results.iter().map(|r| r["id"].clone()));
    }
    let got: Vec<Value> = (0..4).map(|_| stream.next_event().json()).collect();
    let seen: Vec<_> = got.iter().map(|o| o["id"].clone()).collect();
    assert_eq!(seen, ids);
    assert_eq!(got[0]["type"], "t");
    assert_eq!(got[0]["key"], "k");
    assert_eq!(got[1]["topic"], "b/c");
    assert_eq!(got[1]["data_base64"], "AAE=");
    assert_eq!(got[3]["data"], "4");
}

#[test]
fn a_batch_with_a_fault_is_refused_whole_with_its_place() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/**");
    let body = "{\"topic\":\"a\",\"data\":\"1\"}\n{\"topic\":\"a//b\",\"data\":\"2\"}\n";
    let reply = server.ask(&Request::post("/publish", body.as_bytes()));
    assert_eq!(reply.status(), 400, "{reply:?}");
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains('2'), "the place is told: {detail}");
    server.publish("c", "next");
    assert_eq!(stream.next_event().json()["data"], "next");
}

#[test]
fn requests_may_follow_each_other_on_one_connection() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a");
    let mut connection = connect(server.address());
    let one = |data: &str| {
        format!(
            "POST /topics/a HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{data}",
            server.address(),
            data.len()
        )
    };
    // All three are sent before the first is answered.
    let all = [one("1"), one("22"), one("333")].concat();
    connection.write_all(all.as_bytes()).unwrap();
    assert_eq!(stream.next_data(3), ["1", "22", "333"]);
}

#[test]
fn a_bad_line_far_into_a_log_is_refused_with_how_many_were_published() {
    let server = Server::start();
    let mut body = b"line\n".repeat(40_000);
    body.extend_from_slice(b"\xff\nmore\n");
    let reply = server.ask(&Request::post("/topics/log?each=line", &body));
    assert_eq!(reply.status(), 400, "{reply:?}");
    let problem = reply.json();
    assert_eq!(problem["published"], 40_000, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("line 40001: "), "{detail}");
    let head = server.ask(&Request::new("HEAD", "/topics/log"));
    assert_eq!(
        head.header("push-last-id").as_deref(),
        problem["id"].as_str()
    );
}

#[test]
fn a_log_of_blank_lines_may_be_of_any_length() {
    let server = Server::start();
    let reply = server.ask(&Request::post("/topics/log?each=line", &[b'\n'; 200_000]));
    assert_eq!(reply.status(), 200, "{reply:?}");
    assert_eq!(reply.json()["published"], 200_000);
}

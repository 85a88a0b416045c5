//! Following and publishing over WebSocket, plain and as `push.v1`.

use serde_json::{Value, json};

use crate::support::event_stream::EventStream;
use crate::support::http::Request;
use crate::support::server::Server;
use crate::support::web_socket::{Message, WebSocket, handshake};

#[test]
fn plain_mode_is_an_event_a_message() {
    let server = Server::start();
    let mut socket = WebSocket::plain(&server, "/topics/a");
    server.publish("a", "text");
    let bytes =
        Request::post("/topics/a", &[1, 0, 255]).header("Content-Type", "application/octet-stream");
    server.ask(&bytes);
    assert_eq!(socket.next(), Message::Text("text".to_owned()));
    assert_eq!(socket.next(), Message::Binary(vec![1, 0, 255]));
}

#[test]
fn what_a_plain_client_sends_is_published() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a?format=json");
    let mut socket = WebSocket::plain(&server, "/topics/a");
    socket.send_text("hello");
    socket.send_binary(&[0, 1]);
    assert_eq!(stream.next_event().json()["data"], "hello");
    assert_eq!(stream.next_event().json()["data_base64"], "AAE=");
    assert_eq!(socket.next(), Message::Text("hello".to_owned()));
}

#[test]
fn a_plain_reader_starts_where_it_asks() {
    let server = Server::start();
    server.publish("a", "1");
    server.publish("a", "2");
    let mut socket = WebSocket::plain(&server, "/topics/a?last=1");
    assert_eq!(socket.next_text(), "2");
}

#[test]
fn where_a_gap_would_stand_plain_mode_closes() {
    let server = Server::with(&["log.max_events=2"]);
    let ids: Vec<_> = (0..6)
        .map(|n| server.publish("a", &n.to_string()))
        .collect();
    let mut socket = WebSocket::plain(&server, &format!("/topics/a?after={}", ids[0]));
    let (code, _) = socket.closed();
    assert!((4000..4500).contains(&code), "come back: {code}");
}

#[test]
fn a_topics_url_subscribes_at_once() {
    let server = Server::start();
    let mut socket = WebSocket::push(&server, "/topics/a");
    let state = socket.next_json();
    assert!(state.get("state").is_some(), "{state}");
    let id = server.publish_as("a", "?type=t&key=k", "x");
    let event = socket.next_event();
    assert_eq!(event["id"], id.as_str());
    assert_eq!(event["topic"], "a");
    assert_eq!(event["type"], "t");
    assert_eq!(event["key"], "k");
    assert_eq!(event["data"], "x");
}

#[track_caller]
fn result(answer: &Value) -> &Value {
    answer
        .get("result")
        .unwrap_or_else(|| panic!("refused: {answer}"))
}

#[track_caller]
fn error_code(answer: &Value) -> &str {
    answer["error"]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("not refused: {answer}"))
}

#[test]
fn subscribe_is_answered_with_the_position_it_joined_at() {
    let server = Server::start();
    server.publish("a", "before");
    let mut socket = WebSocket::push(&server, "/topics");
    let answer = socket.command("subscribe", &json!({"match": ["a", "b/*"]}));
    let at = result(&answer)["at"].as_str().unwrap().to_owned();
    server.publish("b/c", "1");
    server.publish("a", "2");
    assert_eq!(socket.next_data(2), ["1", "2"]);
    let mut stream = EventStream::resume(&server, "/topics/a", &at);
    assert_eq!(stream.next_data(1), ["2"]);
}

#[test]
fn subscribe_after_a_position_replays_from_there() {
    let server = Server::start();
    let ids: Vec<_> = (0..4)
        .map(|n| server.publish("a", &n.to_string()))
        .collect();
    let mut socket = WebSocket::push(&server, "/topics");
    let answer = socket.command("subscribe", &json!({"match": ["a"], "after": ids[1]}));
    result(&answer);
    assert_eq!(socket.next_data(2), ["2", "3"]);
}

#[test]
fn patterns_subscribed_together_start_together() {
    let server = Server::start();
    let start = server.publish("quiet", "before");
    server.publish("busy", "1");
    server.publish("busier/x", "2");
    let mut socket = WebSocket::push(&server, "/topics");
    let patterns = json!({"match": ["quiet", "busy", "busier/*"], "after": start});
    let answer = socket.command("subscribe", &patterns);
    assert_eq!(result(&answer)["at"], start.as_str());
    server.publish("quiet", "3");
    assert_eq!(socket.next_data(3), ["1", "2", "3"]);
}

#[test]
fn what_is_unsubscribed_is_sent_no_more() {
    let server = Server::start();
    let mut socket = WebSocket::push(&server, "/topics");
    result(&socket.command("subscribe", &json!({"match": ["a", "b"]})));
    result(&socket.command("unsubscribe", &json!({"match": ["a"]})));
    server.publish("a", "no");
    server.publish("b", "yes");
    assert_eq!(socket.next_data(1), ["yes"]);
}

#[test]
fn a_pattern_added_later_joins_at_the_cursor() {
    let server = Server::start();
    let mut socket = WebSocket::push(&server, "/topics");
    result(&socket.command("subscribe", &json!({"match": ["a"]})));
    server.publish("b", "before");
    server.publish("a", "1");
    assert_eq!(socket.next_data(1), ["1"]);
    result(&socket.command("subscribe", &json!({"match": ["b"]})));
    server.publish("b", "2");
    server.publish("a", "3");
    assert_eq!(socket.next_data(2), ["2", "3"]);
}

#[test]
fn publish_is_answered_with_the_position() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a?format=json");
    let mut socket = WebSocket::push(&server, "/topics");
    let event = json!({"topic": "a", "data": "x", "type": "t", "key": "k"});
    let answer = socket.command("publish", &event);
    let seen = stream.next_event().json();
    assert_eq!(result(&answer)["id"], seen["id"]);
    assert_eq!(seen["type"], "t");
    assert_eq!(seen["key"], "k");
}

#[test]
fn a_long_history_is_one_answer_in_its_place() {
    let server = Server::start();
    for n in 0..20 {
        server.publish("a", &format!("\"{n}\"\u{1}{}", "\n".repeat(30_000)));
    }
    let mut socket = WebSocket::push(&server, "/topics");
    socket.next_json();
    let commands = [
        json!({"ref": 1, "ping": {}}),
        json!({"ref": 2, "history": {"match": ["a"]}}),
        json!({"ref": {"any": "thing"}, "history": {"match": ["a"], "last": 5}}),
        json!({"ref": 4, "ping": {}}),
    ];
    for command in &commands {
        socket.send_text(&command.to_string());
    }
    let answers = commands.clone().map(|_| socket.next_json());
    for (command, answer) in commands.iter().zip(&answers) {
        assert_eq!(answer["ref"], command["ref"]);
    }
    let page = server
        .ask(&Request::page("/topics/a?after=earliest"))
        .json();
    assert_eq!(answers[1]["result"], page);
    assert_eq!(answers[1]["result"]["events"].as_array().unwrap().len(), 20);
    assert_eq!(
        answers[2]["result"]["events"].as_array().unwrap()[..],
        page["events"].as_array().unwrap()[15..]
    );
}

#[test]
fn history_is_a_page() {
    let server = Server::start();
    for n in 0..3 {
        server.publish("a", &n.to_string());
    }
    let mut socket = WebSocket::push(&server, "/topics");
    let answer = socket.command("history", &json!({"match": ["a"], "after": "earliest"}));
    let page = result(&answer);
    let data: Vec<_> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["data"].clone())
        .collect();
    assert_eq!(data, ["0", "1", "2"]);
    assert_eq!(page["up_to_date"], true);
    assert!(page["next"].is_string());
}

#[test]
fn a_ping_command_is_answered() {
    let server = Server::start();
    let mut socket = WebSocket::push(&server, "/topics");
    result(&socket.command("ping", &json!({})));
}

#[test]
fn a_bad_command_is_answered_with_an_error_and_the_connection_goes_on() {
    let server = Server::start();
    let mut socket = WebSocket::push(&server, "/topics");
    for (name, arguments) in [
        ("subscribe", json!({"match": ["a//b"]})),
        ("subscribe", json!({"match": []})),
        ("subscribe", json!({"match": ["a"], "after": "nonsense"})),
        ("subscribe", json!({"match": ["a"], "afte": "x"})),
        ("publish", json!({"topic": "a/*", "data": "x"})),
        (
            "publish",
            json!({"topic": "a", "data": "x", "type": "push.gap"}),
        ),
        ("fly", json!({})),
    ] {
        let answer = socket.command(name, &arguments);
        assert!(!error_code(&answer).is_empty());
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
    }
    result(&socket.command("subscribe", &json!({"match": ["a"]})));
    server.publish("a", "still here");
    assert_eq!(socket.next_data(1), ["still here"]);
}

#[test]
fn what_is_not_a_command_is_told_so_and_the_connection_goes_on() {
    let server = Server::start();
    let mut socket = WebSocket::push(&server, "/topics/a");
    for text in ["nonsense", "[]", "{}", "{\"ref\":1}"] {
        socket.send_text(text);
        let answer = loop {
            let message = socket.next_json();
            if message.get("state").is_none() {
                break message;
            }
        };
        assert!(!error_code(&answer).is_empty(), "{text}");
    }
    server.publish("a", "still here");
    assert_eq!(socket.next_data(1), ["still here"]);
}

#[test]
fn a_broken_protocol_closes_with_its_code() {
    let server = Server::start();
    for (bytes, expect) in [
        // An unmasked frame, a reserved opcode, a text that is not UTF-8, a message over the limit.
        (&[0x81, 0x01, b'x'][..], 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xFF], 1007),
        (&[0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
    ] {
        let mut socket = WebSocket::push(&server, "/topics/a");
        socket.send_raw(bytes);
        assert_eq!(socket.closed().0, expect, "{bytes:02x?}");
    }
}

#[test]
fn a_close_is_answered_with_its_code() {
    let server = Server::start();
    let mut socket = WebSocket::push(&server, "/topics/a");
    socket.close(1000);
    assert_eq!(socket.closed().0, 1000);
}

#[test]
fn a_message_sent_with_the_handshake_is_read() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a");
    // Masked with zeros, which a client may draw: the text stands in the frame as it is.
    let frame = b"\x81\x82\0\0\0\0hi";
    let request = handshake("/topics/a")
        .header("Content-Length", "0")
        .body(frame);
    drop(request.open(server.address()));
    assert_eq!(stream.next_data(1), ["hi"]);
}

#[test]
fn what_was_published_before_a_message_without_meaning_stands_and_is_answered() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a");
    let mut socket = WebSocket::push(&server, "/topics");
    socket.next_json();
    let publish = br#"{"ref":1,"publish":{"topic":"a","data":"stands"}}"#;
    // One write, so that one read brings both; masked with zeros, which a client may draw.
    let mut frames = vec![0x81, 0x80 | publish.len() as u8, 0, 0, 0, 0];
    frames.extend_from_slice(publish);
    frames.extend_from_slice(&[0x82, 0x80, 0, 0, 0, 0]);
    socket.send_raw(&frames);
    assert_eq!(socket.next_json()["ref"], 1);
    assert_eq!(socket.closed().0, 4504);
    assert_eq!(stream.next_data(1), ["stands"]);
}

#[test]
fn a_pattern_has_no_plain_mode() {
    let server = Server::start();
    for target in ["/topics/a/*", "/topics?match=a&match=b", "/topics"] {
        let answer = handshake(target).open(server.address());
        if answer.status() == 101 {
            let (code, _) = WebSocket::upgraded(answer).closed();
            assert!((4500..5000).contains(&code), "{target}: {code}");
        } else {
            assert_eq!(answer.status(), 400, "{target}");
        }
    }
}

#[test]
fn a_connection_that_names_nothing_may_say_how_it_lags() {
    let server = Server::with(&["lag.max_events=2"]);
    for number in 0..10 {
        server.publish("a", &number.to_string());
    }
    let first = |lag: &str| {
        let mut socket = WebSocket::push(&server, &format!("/topics?lag={lag}"));
        let subscribe = json!({"match": ["a"], "after": "earliest"});
        assert!(
            socket
                .command("subscribe", &subscribe)
                .get("result")
                .is_some()
        );
        socket.next_json();
        socket.next_json()
    };
    assert_eq!(first("replay")["event"]["data"], "0");
    assert_eq!(first("newest")["gap"]["reason"], "lag");
}

#[test]
fn a_start_without_anything_to_read_is_refused() {
    let server = Server::start();
    for query in ["after=earliest", "last=1", "since=1m", "lag=nonsense"] {
        let mut socket = WebSocket::push(&server, &format!("/topics?{query}"));
        let (code, reason) = socket.closed();
        assert_eq!(code, 4500, "{query}");
        assert!(!reason.is_empty(), "{query}");
    }
    let mut socket = WebSocket::push(&server, "/topics");
    let answer = socket.command("subscribe", &json!({"match": ["a"], "lag": "newest"}));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("lag"), "{message}");
}

//! What a client may not make the server do, each found by `cargo xtask attack`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::PATIENCE;
use crate::support::http::{Request, connect};
use crate::support::server::Server;
use crate::support::web_socket::{Message, WebSocket};

#[test]
fn a_body_that_never_ends_is_given_up_however_it_trickles() {
    let server = Server::with(&["http.body_timeout=300ms"]);
    let started = Request::post("/topics/a", b"x").header("Content-Length", "1000");
    let reply = started.open(server.address()).into_reply();
    assert_eq!(reply.status(), 408, "{reply:?}");
    assert!(reply.text().contains("http.body_timeout"), "{reply:?}");
}

#[test]
fn a_log_that_goes_on_for_longer_than_a_body_may_is_published() {
    let server = Server::with(&["http.body_timeout=100ms", "stream.heartbeat=200ms"]);
    let mut publisher = connect(server.address());
    let head =
        "POST /topics/a?each=line HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\na\n";
    publisher.write_all(head.as_bytes()).unwrap();
    // Heartbeats count the time: three of them are more than a body may take.
    let mut reader = Request::get("/topics/b").open(server.address());
    let mut said = String::new();
    while said.matches("\n:\n").count() < 3 {
        said.push_str(
            &String::from_utf8(reader.more())
                .unwrap()
                .replace(":\n", "\n:\n"),
        );
    }
    publisher.write_all(b"b\n").unwrap();
    let mut answer = [0; 12];
    publisher.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn a_page_that_nobody_reads_is_not_kept() {
    let server = Server::with(&[
        "stream.write_deadline=300ms",
        "stream.max_page_bytes=64MiB",
        "log.max_bytes=64MiB",
    ]);
    let megabyte = "x".repeat(1_000_000);
    for _ in 0..16 {
        server.publish("a", &megabyte);
    }
    let mut stream = connect(server.address());
    let request = "GET /topics/a?after=earliest HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let closed = r#"pushserver_closes_total{reason="write-deadline"} 1"#;
    wait_for(|| {
        server
            .ask(&Request::get("/metrics"))
            .text()
            .contains(closed)
    });
}

#[test]
fn one_large_page_more_than_there_may_be_is_a_short_one() {
    let server = Server::with(&["stream.max_large_pages=2", "stream.write_deadline=60s"]);
    for n in 0..4 {
        server.publish("a", &format!("{n}{}", "x".repeat(40_000)));
    }
    let read = |after: &str| {
        let target = format!("/topics/a?after={after}");
        let page = server.ask(&Request::page(&target)).json();
        let data = page["events"].as_array().unwrap().iter();
        let data = data.map(|event| event["data"].as_str().unwrap()[..1].to_owned());
        (data.collect::<String>(), page)
    };
    let whole = || read("earliest").0 == "0123";
    assert!(whole());
    // SETTINGS_INITIAL_WINDOW_SIZE 0: what it asks for waits.
    let mut client = Http2::connect(server.address(), &[0, 4, 0, 0, 0, 0]);
    let ask = |client: &mut Http2, stream| {
        client.get(stream, "/topics/a?after=earliest", "application/json");
        client.read_until(|frames| {
            frames
                .iter()
                .any(|frame| (frame.0, frame.1) == (HEADERS, stream))
        });
    };
    ask(&mut client, 1);
    assert!(whole(), "there is one place left");
    ask(&mut client, 3);
    let (data, page) = read("earliest");
    assert_eq!(data, "0");
    assert_eq!(page["up_to_date"], false);
    let (data, page) = read(page["next"].as_str().unwrap());
    assert_eq!((data.as_str(), &page["up_to_date"]), ("1", &json!(false)));
    // A short one is no large one, so it is never refused, unless nothing shorter could be.
    server.publish("b", &"x".repeat(100_000));
    let refused = server.ask(&Request::page("/topics/b?after=earliest"));
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert!(refused.text().contains("stream.max_large_pages"));
    // RST_STREAM with CANCEL
    client.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    wait_for(whole);
}

#[test]
fn a_flood_of_http2_control_frames_is_told_to_calm_down() {
    let server = Server::with(&["http2.max_control_frames_per_second=10"]);
    let mut client = Http2::connect(server.address(), &[]);
    client.send(&frame(PING, 0, 0, b"floods!!").repeat(100));
    let told = client.read_until(|frames| frames.iter().any(|frame| frame.0 == GOAWAY));
    let goaway = told.iter().find(|frame| frame.0 == GOAWAY).unwrap();
    // ENHANCE_YOUR_CALM
    assert_eq!(goaway.2[4..8], [0, 0, 0, 11], "{told:?}");
}

#[test]
fn an_http2_connection_of_which_nothing_is_read_is_closed() {
    let server = Server::with(&["stream.write_deadline=300ms"]);
    // SETTINGS_INITIAL_WINDOW_SIZE 0
    let mut client = Http2::connect(server.address(), &[0, 4, 0, 0, 0, 0]);
    client.get(1, "/topics/a", "text/event-stream");
    client.read_until(|_| false);
    let closed = r#"pushserver_closes_total{reason="write-deadline"} 1"#;
    assert!(
        server
            .ask(&Request::get("/metrics"))
            .text()
            .contains(closed)
    );
}

/// Streams that the server has reset for its own reasons.
fn reset(frames: &[Frame]) -> Vec<u32> {
    let resets = frames.iter().filter(|frame| frame.0 == RST_STREAM);
    resets.map(|frame| frame.1).collect()
}

#[test]
fn one_idle_stream_excuses_no_other_of_its_connection() {
    let server = Server::with(&["stream.max_large_pages=2", "stream.write_deadline=2s"]);
    for n in 0..4 {
        server.publish("a", &format!("{n}{}", "x".repeat(40_000)));
    }
    let whole = || {
        let page = server.ask(&Request::page("/topics/a?after=earliest"));
        page.json()["events"].as_array().unwrap().len() == 4
    };
    assert!(whole());
    // SETTINGS_INITIAL_WINDOW_SIZE 20,001: the start of a page, with a piece of it on its way, or a stream's first events.
    let mut client = Http2::connect(server.address(), &[0, 4, 0, 0, 0x4e, 0x21]);
    client.get(1, "/topics/idle", "text/event-stream");
    let has_begun = |frames: &[Frame]| frames.iter().any(|f| (f.0, f.1) == (DATA, 1));
    client.read_until(has_begun);
    client.get(3, "/topics/a?after=earliest", "application/json");
    client.get(5, "/topics/a?after=earliest", "application/json");
    client.read_until(|frames| frames.iter().any(|f| (f.0, f.1) == (HEADERS, 5)));
    assert!(!whole(), "both places are taken");
    let told = client.read_until(|frames| reset(frames).len() == 2);
    let (mut streams, code) = (reset(&told), |frame: &&Frame| frame.0 == RST_STREAM);
    streams.sort_unstable();
    assert_eq!(streams, [3, 5], "{told:?}");
    // CANCEL
    assert!(told.iter().filter(code).all(|f| f.2 == [0, 0, 0, 8]));
    wait_for(whole);
    let closed = r#"pushserver_closes_total{reason="write-deadline"} 2"#;
    let metrics = server.ask(&Request::get("/metrics"));
    assert!(metrics.text().contains(closed), "{}", metrics.text());
    // The other goes on.
    server.publish("idle", "not for nothing");
    let has_come = |frame: &Frame| {
        frame.1 == 1 && String::from_utf8_lossy(&frame.2).contains("not for nothing")
    };
    let told = client.read_until(|frames| frames.iter().any(has_come));
    assert!(told.iter().any(has_come), "{told:?}");
    assert!(told.iter().all(|frame| frame.0 != GOAWAY), "{told:?}");
}

#[test]
fn a_web_socket_over_http2_that_takes_nothing_is_reset() {
    let server = Server::with(&["stream.write_deadline=300ms"]);
    // SETTINGS_INITIAL_WINDOW_SIZE 1,000
    let mut client = Http2::connect(server.address(), &[0, 4, 0, 0, 0x03, 0xe8]);
    client.get(1, "/topics/idle", "text/event-stream");
    let socket = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/topics/a"),
        ("sec-websocket-version", "13"),
    ];
    // END_HEADERS
    client.request(3, 4, &socket);
    client.read_until(|frames| frames.iter().any(|f| (f.0, f.1) == (HEADERS, 3)));
    // More than one batch, so that some of it has to wait above HTTP/2.
    for _ in 0..60 {
        server.publish("a", &"x".repeat(20_000));
    }
    let told = client.read_until(|frames| !reset(frames).is_empty());
    assert_eq!(reset(&told), [3], "{told:?}");
    assert!(told.iter().all(|frame| frame.0 != GOAWAY), "{told:?}");
}

#[test]
fn an_http2_connection_without_requests_is_ended_and_one_with_a_silent_stream_is_not() {
    let server = Server::with(&[
        "http.idle_timeout=200ms",
        "stream.write_deadline=200ms",
        "stream.heartbeat=300ms",
    ]);
    let mut client = Http2::connect(server.address(), &[]);
    client.get(1, "/topics/a", "text/event-stream");
    let heartbeats = |frames: &[Frame]| {
        frames
            .iter()
            .filter(|f| f.0 == DATA && f.2 == b":\n")
            .count()
    };
    let told = client.read_until(|frames| heartbeats(frames) >= 4);
    assert!(heartbeats(&told) >= 4, "{told:?}");
    assert!(told.iter().all(|frame| frame.0 != GOAWAY), "{told:?}");
    // CANCEL: now there is none.
    client.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    let told = client.read_until(|frames| frames.iter().any(|frame| frame.0 == GOAWAY));
    assert!(told.iter().any(|frame| frame.0 == GOAWAY), "{told:?}");
}

#[test]
fn a_web_socket_that_pings_without_end_is_closed() {
    let server = Server::with(&["websocket.max_pings_per_second=10"]);
    let mut socket = WebSocket::plain(&server, "/topics/a");
    for _ in 0..30 {
        socket.send_raw(&[0x89, 0x80, 1, 2, 3, 4]);
    }
    loop {
        match socket.next() {
            Message::Pong(_) => {}
            Message::Close(code, reason) => {
                assert_eq!(code, 1008);
                return assert!(reason.contains("max_pings_per_second"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_no_command_counts_as_one() {
    let server = Server::with(&[
        "auth.anonymous_subscribe=**",
        "rates.connection_commands_per_second=2",
    ]);
    let mut socket = WebSocket::push(&server, "/topics/a");
    socket.next_json();
    for _ in 0..5 {
        socket.send_text("what?");
    }
    let codes: Vec<_> = (0..5)
        .map(|_| socket.next_json()["error"]["code"].clone())
        .collect();
    assert_eq!(codes[4], json!("too-many-commands"), "{codes:?}");
    assert!(
        codes[..4]
            .iter()
            .all(|code| *code == codes[0] && *code != codes[4]),
        "{codes:?}"
    );
}

/// Waits until it is so.
#[track_caller]
fn wait_for(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come about");
        std::thread::yield_now();
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// Type, stream and payload.
type Frame = (u8, u32, Vec<u8>);

/// A client that sends frames as it likes (RFC 9113 section 4.1).
struct Http2 {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Http2 {
    fn connect(address: SocketAddr, settings: &[u8]) -> Self {
        let stream = connect(address);
        let mut client = Self {
            stream,
            received: Vec::new(),
        };
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.send(&frame(4, 0, 0, settings));
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// A request whose fields are literals that nobody has to remember (RFC 7541 section 6.2.2).
    fn request(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.extend([&[0, name.len() as u8], name.as_bytes()].concat());
            block.extend([&[value.len() as u8], value.as_bytes()].concat());
        }
        self.send(&frame(HEADERS, flags, stream, &block));
    }

    fn get(&mut self, stream: u32, path: &str, accept: &str) {
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", path),
            ("accept", accept),
        ];
        // END_STREAM and END_HEADERS
        self.request(stream, 5, &fields);
    }

    /// Reads until there is enough or the connection ends; every PING is answered.
    fn read_until(&mut self, is_enough: impl Fn(&[Frame]) -> bool) -> Vec<Frame> {
        let deadline = Instant::now() + PATIENCE;
        self.stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut answered = 0;
        loop {
            let frames = self.frames();
            if is_enough(&frames) {
                return frames;
            }
            let pings: Vec<_> = frames.iter().filter(|frame| frame.0 == PING).collect();
            let due: Vec<u8> = pings[answered..]
                .iter()
                .flat_map(|ping| frame(PING, 1, 0, &ping.2))
                .collect();
            answered = pings.len();
            // It may be closed already, which reading will tell.
            let _ = self.stream.write_all(&due);
            assert!(Instant::now() < deadline, "{frames:?}");
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return frames,
                Ok(n) => self.received.extend_from_slice(&buffer[..n]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return frames,
            }
        }
    }

    fn frames(&self) -> Vec<Frame> {
        let (mut at, mut frames) = (0, Vec::new());
        while let Some(head) = self.received.get(at..at + 9) {
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some(payload) = self.received.get(at + 9..at + 9 + len) else {
                break;
            };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            frames.push((head[3], stream, payload.to_vec()));
            at += 9 + len;
        }
        frames
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let head = [len[1], len[2], len[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

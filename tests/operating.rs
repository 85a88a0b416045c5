//! What operators do and look at: metrics, lists, restarts, signals, limits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::event_stream::EventStream;
use crate::support::http::{Reply, Request};
use crate::support::server::{self, SECRET, Server, address_in};
use crate::support::web_socket::{WebSocket, handshake};

/// The value of a metric, given with its labels.
#[track_caller]
fn metric(server: &Server, name: &str) -> f64 {
    let reply = server.ask(&Request::get("/metrics"));
    assert!(reply.is_success(), "{reply:?}");
    let text = reply.text();
    let of_name = text.lines().find_map(|line| line.strip_prefix(name));
    let value = of_name.and_then(|rest| rest.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

/// A page of a list for administrators.
#[track_caller]
fn admin(server: &Server, path: &str) -> Value {
    let reply = server.ask(&Request::get(&format!("/admin/{path}")));
    assert!(reply.is_success(), "{reply:?}");
    reply.json()
}

/// A token made as the guide says.
fn token(subject: &str) -> String {
    token_by(SECRET, subject)
}

fn token_by(secret: &str, subject: &str) -> String {
    let grants = ["--subject", subject, "--subscribe", "**", "--publish", "**"];
    format!("Bearer {}", server::token(secret, &grants))
}

/// Waits until the server has written this to its log, so many times.
#[track_caller]
fn wait_for_times(server: &Server, words: &str, times: usize) {
    let start = Instant::now();
    while server.said().matches(words).count() < times {
        let said = server.said();
        assert!(start.elapsed() < PATIENCE, "no {words:?} in\n{said}");
        std::thread::yield_now();
    }
}

#[track_caller]
fn wait_for(server: &Server, words: &str) {
    wait_for_times(server, words, 1);
}

#[test]
fn metrics_tell_what_happened() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a");
    server.publish("a", "1");
    let seen = stream.next_event().id.unwrap();
    assert_eq!(
        metric(&server, r#"pushserver_streams{transport="sse"}"#),
        1.0
    );
    for (name, value) in [
        ("pushserver_published_events_total", 1.0),
        (r#"pushserver_delivered_events_total{transport="sse"}"#, 1.0),
        (
            r#"pushserver_delivery_lag_seconds_count{transport="sse"}"#,
            1.0,
        ),
        ("pushserver_topics", 1.0),
        ("pushserver_log_events", 1.0),
        ("pushserver_slowest_backlog_events", 0.0),
        ("pushserver_leaving", 0.0),
    ] {
        assert_eq!(metric(&server, name), value, "{name}");
    }
    server.publish("a", "2");
    let mut resumed = EventStream::resume(&server, "/topics/a", &seen);
    resumed.next_event();
    let continued = r#"pushserver_resumes_total{outcome="continued"}"#;
    assert_eq!(metric(&server, continued), 1.0);
    // What was published before a stream began is history, however old, and no lag.
    let lags = r#"pushserver_delivery_lag_seconds_count{transport="sse"}"#;
    stream.next_event();
    assert_eq!(metric(&server, lags), 2.0);
    let stranger = "0000000000000001-7-00000001";
    let mut other = EventStream::resume(&server, "/topics/a", stranger);
    assert!(other.next_block().unwrap().is_control("gap"));
    assert_eq!(
        metric(&server, r#"pushserver_gaps_total{reason="epoch"}"#),
        1.0
    );
    assert_eq!(
        metric(&server, r#"pushserver_resumes_total{outcome="epoch"}"#),
        1.0
    );
    server.ask(&Request::get("/nowhere"));
    let refused = r#"pushserver_refusals_total{reason="no-such-path"}"#;
    assert_eq!(metric(&server, refused), 1.0);
}

#[test]
fn what_comes_through_a_proxy_sees_no_figures_unless_it_may() {
    let forwarded = |path| Request::get(path).header("X-Forwarded-For", "203.0.113.5");
    let server = Server::start();
    for path in [
        "/metrics",
        "/admin/stats",
        "/admin/topics",
        "/admin/connections",
    ] {
        let status = server.ask(&forwarded(path)).status();
        assert!(matches!(status, 401 | 403), "{path}: {status}");
    }
    let server = Server::with(&["metrics.access=everyone"]);
    assert_eq!(server.ask(&forwarded("/metrics")).status(), 200);
    let server = Server::with(&["metrics.access=admin", SECRET]);
    assert_eq!(server.ask(&Request::get("/metrics")).status(), 401);
}

#[test]
fn connections_are_listed_by_the_name_their_clients_know() {
    let server = Server::start();
    let mut stream =
        EventStream::open(server.address(), &Request::get("/topics?match=a&match=b/*"));
    let state = stream.next_block().unwrap().json();
    let page = admin(&server, "connections");
    let one = &page["connections"][0];
    assert_eq!(one["id"], state["connection"]);
    assert_eq!(one["position"], state["at"]);
    assert_eq!(one["transport"], "sse");
    assert_eq!(one["backlog"], 0);
    let mut patterns: Vec<_> = one["patterns"].as_array().unwrap().clone();
    patterns.sort_by_key(ToString::to_string);
    assert_eq!(patterns, ["a", "b/*"]);
    let mut socket = WebSocket::push(&server, "/topics/a");
    let state = socket.next_json()["state"].take();
    let page = admin(&server, "connections?limit=1");
    let next = page["next"].as_str().unwrap();
    let rest = admin(&server, &format!("connections?limit=2&after={next}"));
    let ids = [&page["connections"][0]["id"], &rest["connections"][0]["id"]];
    assert!(ids.contains(&&state["connection"]), "{page} {rest}");
    assert_eq!(rest["next"], Value::Null);
    assert_eq!(admin(&server, "stats")["streams"]["websocket"], 1);
}

#[test]
fn topics_are_listed_page_by_page() {
    let server = Server::start();
    for topic in ["c", "a", "b"] {
        server.publish(topic, "x");
    }
    let page = admin(&server, "topics?limit=2");
    assert_eq!(page["topics"][0]["topic"], "a");
    assert_eq!(page["topics"][1]["events"], 1);
    assert_eq!(page["next"], "b");
    let page = admin(&server, "topics?limit=2&after=b");
    assert_eq!(page["topics"][0]["topic"], "c");
    assert_eq!(page["next"], Value::Null);
}

#[test]
fn a_damaged_snapshot_is_named_and_kept_and_clients_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let mut server = Server::with(&[&format!("log.snapshot={}", file.display())]);
    let seen = server.publish("a", "1");
    server.signal("TERM");
    assert!(server.wait().success());
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let server = Server::with(&[&format!("log.snapshot={}", file.display())]);
    let mut stream = EventStream::resume(&server, "/topics/a", &seen);
    let gap = stream.next_block().unwrap();
    assert!(
        gap.is_control("gap") && gap.json()["reason"] == "epoch",
        "{gap:?}"
    );
    wait_for(&server, "the snapshot is damaged");
    assert!(folder.path().join("log.damaged").exists());
}

#[test]
fn a_snapshot_is_read_once_and_a_crash_after_it_changes_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let mut server = Server::with(&[&format!("log.snapshot={}", file.display())]);
    server.publish("a", "1");
    server.restart();
    let seen = server.publish("a", "2");
    server.crash_and_restart();
    server.publish("a", "another 1");
    server.publish("a", "another 2");
    let mut stream = EventStream::resume(&server, "/topics/a", &seen);
    let gap = stream.next_block().unwrap();
    assert!(
        gap.is_control("gap") && gap.json()["reason"] == "epoch",
        "{gap:?}"
    );
}

#[test]
fn reading_the_configuration_again_drops_nobody() {
    let server = Server::start();
    let mut stream = EventStream::follow(&server, "/topics/a");
    let mut socket = WebSocket::push(&server, "/topics/a");
    server.signal("HUP");
    wait_for(&server, "was read again");
    server.publish("a", "1");
    assert_eq!(stream.next_data(1), ["1"]);
    assert_eq!(socket.next_data(1), ["1"]);
}

/// A server's configuration in a file, for SIGHUP.
struct Configuration {
    folder: tempfile::TempDir,
    server: Server,
    reloads: usize,
}

impl Configuration {
    fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("push.toml");
        std::fs::write(&file, text).unwrap();
        let server = Server::configured(&file);
        Self {
            folder,
            server,
            reloads: 0,
        }
    }

    #[track_caller]
    fn becomes(&mut self, text: &str) {
        std::fs::write(self.folder.path().join("push.toml"), text).unwrap();
        self.server.signal("HUP");
        self.reloads += 1;
        wait_for_times(&self.server, "was read again", self.reloads);
    }
}

#[test]
fn keys_and_permissions_that_change_drop_nobody_and_hold_for_whoever_comes_next() {
    let secrets =
        ["one", "two"].map(|name| format!("a-secret-called-{name}-of-more-than-32-bytes"));
    let tokens = secrets
        .each_ref()
        .map(|secret| token_by(&format!("auth.secret={secret}"), "ann"));
    let with = |secret: &str, everybody: &str| {
        format!("[auth]\nsecret = \"{secret}\"\nanonymous_subscribe = [\"{everybody}\"]\n")
    };
    let mut configuration = Configuration::start(&with(&secrets[0], "**"));
    let address = configuration.server.address();
    let follow = |token: &str| {
        let request = Request::get("/topics/a?errors=http");
        request
            .header("Authorization", token)
            .open(address)
            .status()
    };
    let request = Request::get("/topics/a").header("Authorization", &tokens[0]);
    let mut known = EventStream::open(address, &request);
    let mut stranger = EventStream::follow(&configuration.server, "/topics/a");
    let mut socket = WebSocket::push(&configuration.server, "/topics/a");
    assert_eq!(follow(&tokens[1]), 401);

    configuration.becomes(&with(&secrets[1], "public/**"));
    assert_eq!(follow(&tokens[0]), 401, "its key is gone");
    assert_eq!(follow(&tokens[1]), 200);
    let nobody = |topic| Request::page(topic).send(address).status();
    assert_eq!(nobody("/topics/a"), 401, "everybody may read less now");
    assert_eq!(nobody("/topics/public/a"), 200);
    let publish = Request::post("/topics/a", b"still here").header("Authorization", &tokens[1]);
    assert_eq!(publish.send(address).status(), 200);
    assert_eq!(known.next_data(1), ["still here"]);
    assert_eq!(stranger.next_data(1), ["still here"]);
    assert_eq!(socket.next_data(1), ["still here"]);

    let bad = configuration.folder.path().join("push.toml");
    std::fs::write(bad, "[auth]\nsecrte = 1\n").unwrap();
    configuration.server.signal("HUP");
    wait_for(&configuration.server, "everything stays as it was");
    assert_eq!(follow(&tokens[1]), 200);
}

#[test]
fn once_there_is_a_key_publishing_has_its_limits() {
    let limit = "[rates]\nsubject_publishes_per_second = 1\n";
    let keys = "[auth]\nsecret = \"a-secret-of-more-than-32-bytes-for-tests\"\nanonymous_publish = [\"**\"]\n";
    let mut configuration = Configuration::start(limit);
    let address = configuration.server.address();
    let publish = || Request::post("/topics/a", b"x").send(address).status();
    assert!((0..20).all(|_| publish() == 200), "nobody is held back");
    configuration.becomes(&format!("{limit}{keys}"));
    let statuses: Vec<_> = (0..20).map(|_| publish()).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    configuration.becomes(limit);
    assert!(
        (0..20).all(|_| publish() == 200),
        "nobody is held back again"
    );
}

#[test]
fn how_far_leaving_has_come_is_seen_where_the_watchers_are() {
    let mut server = Server::with(&[
        "metrics.listen=127.0.0.1:0",
        "drain.mode=rolling",
        "drain.window=4s",
    ]);
    wait_for(&server, "listening for those who watch");
    let said = server.said();
    let line = said.lines().find(|line| line.contains("those who watch"));
    let watch = address_in(line.unwrap()).unwrap();
    let ask = |path: &'static str| Request::get(path).send(watch);
    assert_eq!(ask("/topics/a").status(), 404, "it is for nothing else");
    assert_eq!(
        (ask("/health").status(), ask("/ready").status()),
        (200, 200)
    );
    let streams: Vec<_> = (0..20)
        .map(|_| EventStream::follow(&server, "/topics/a"))
        .collect();
    let reader = std::thread::spawn(move || {
        for mut stream in streams {
            while stream.next_block().is_some() {}
        }
    });
    server.signal("TERM");
    // Seen on the way: some are gone, some are still there.
    let start = Instant::now();
    loop {
        let text = ask("/metrics").text();
        let value = |name: &str| -> f64 {
            let rest = text.lines().find_map(|line| line.strip_prefix(name));
            rest.unwrap().trim().parse().unwrap()
        };
        let (open, away) = (
            value(r#"pushserver_streams{transport="sse"}"#),
            value("pushserver_streams_sent_away_total"),
        );
        if value("pushserver_leaving") == 1.0 && open > 0.0 && away > 0.0 {
            assert_eq!(ask("/ready").status(), 503);
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{text}");
    }
    reader.join().unwrap();
    assert!(server.wait().success());
}

#[test]
fn a_connection_that_commands_too_much_is_held_back_and_lives_on() {
    let server = Server::with(&[SECRET, "rates.connection_commands_per_second=2"]);
    let token = token("ann");
    let request = handshake("/topics/a")
        .header("Sec-WebSocket-Protocol", "push.v1")
        .header("Authorization", &token);
    let mut socket = WebSocket::upgraded(request.open(server.address()));
    let answers: Vec<_> = (0..20)
        .map(|_| socket.command("ping", &json!({})))
        .collect();
    assert!(
        answers[..4]
            .iter()
            .all(|answer| answer.get("result").is_some())
    );
    let refused = answers
        .iter()
        .filter(|answer| answer.get("error").is_some());
    let codes: Vec<_> = refused.map(|answer| &answer["error"]["code"]).collect();
    assert!(!codes.is_empty(), "{answers:?}");
    assert!(
        codes.iter().all(|code| *code == "too-many-commands"),
        "{codes:?}"
    );
    // What others say still reaches it.
    let publish = Request::post("/topics/a", b"1").header("Authorization", &token);
    assert_eq!(server.ask(&publish).status(), 200);
    assert_eq!(socket.next_data(1), ["1"]);
}

#[test]
fn in_rolling_mode_each_stream_lives_until_its_slot() {
    let mut server = Server::with(&["drain.mode=rolling", "drain.window=3s"]);
    let mut sockets: Vec<_> = (0..10)
        .map(|_| WebSocket::push(&server, "/topics/a"))
        .collect();
    let streams: Vec<_> = (0..10)
        .map(|_| EventStream::follow(&server, "/topics/a"))
        .collect();
    server.signal("TERM");
    let ends: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            std::thread::spawn(move || {
                let block = stream.next_block().unwrap();
                assert!(block.is_control("reconnect"), "{block:?}");
                assert!(stream.next_block().is_none());
                (Instant::now(), stream.retry.unwrap())
            })
        })
        .collect();
    let ends: Vec<_> = ends.into_iter().map(|end| end.join().unwrap()).collect();
    let (first, last) = (
        ends.iter().map(|end| end.0).min().unwrap(),
        ends.iter().map(|end| end.0).max().unwrap(),
    );
    assert!(
        last - first > Duration::from_millis(300),
        "they end one by one"
    );
    assert!(
        ends.iter().all(|end| end.1 <= 3000),
        "and come back soon: {ends:?}"
    );
    for socket in &mut sockets {
        assert_eq!(socket.closed().0, 1012);
        socket.close(1012);
    }
    assert!(server.wait().success());
}

#[test]
fn a_subject_with_too_many_streams_is_told_in_the_way_of_each() {
    let server = Server::with(&[SECRET, "connections.max_per_subject=1"]);
    let token = token("ann");
    let with = |request: Request<'static>| -> Reply {
        request
            .header("Authorization", &token)
            .send(server.address())
    };
    let first = Request::get("/topics/a").header("Authorization", &token);
    let held = EventStream::open(server.address(), &first);
    let again = with(Request::get("/topics/a"));
    assert_eq!(again.status(), 200);
    assert!(again.text().starts_with("retry: "), "{again:?}");
    assert_eq!(with(Request::get("/topics/a?errors=http")).status(), 429);
    let request = handshake("/topics/a").header("Authorization", &token);
    let mut socket = WebSocket::upgraded(request.open(server.address()));
    assert_eq!(socket.closed().0, 4004);
    drop(held);
}

#[test]
fn a_subject_that_publishes_too_much_is_held_back() {
    let server = Server::with(&[SECRET, "rates.subject_publishes_per_second=1"]);
    let token = token("ann");
    let publish = |body: &[u8]| {
        let request = Request::post("/topics/a", body).header("Authorization", &token);
        request.send(server.address())
    };
    let statuses: Vec<_> = (0..20).map(|_| publish(b"x").status()).collect();
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(publish(b"x").header("retry-after").is_some());
}

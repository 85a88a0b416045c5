//! What a browser's `EventSource` asks of a server, as web-platform-tests has it (eventsource/), with Chromium as the client;
//! and sse-codec's own client over a plain socket.

use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::support::PATIENCE;
use crate::support::driver::Driver;
use crate::support::foreign::Site;
use crate::support::http::Request;
use crate::support::server::{self, SECRET, Server};

/// Opens the page in Chromium, which does what `with` names on an address of the site's server.
fn open(site: &Site, with: &str, path: &str) -> Option<Driver> {
    let url = site.server.url(path);
    site.page.open(&[("with", with), ("url", &url)])
}

/// Follows with an `EventSource` that is expected to be told something else than a first event.
#[track_caller]
fn closes(site: &Site, path: &str) {
    let Some(mut page) = open(site, "event-source", path) else {
        return;
    };
    assert_eq!(page.next()["event"], "closed", "{path}");
}

/// Waits until so many event streams are open.
#[track_caller]
fn await_streams(server: &Server, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = server.ask(&Request::get("/admin/connections"));
        let list = answer.json()["connections"].as_array().unwrap().len();
        if list == count {
            return;
        }
        assert!(Instant::now() < deadline, "{list} streams, not {count}");
        thread::yield_now();
    }
}

// request-status-error, and what each of our refusals is to a page
#[test]
fn a_request_that_is_wrong_or_not_allowed_closes_the_source_for_good() {
    let site = Site::start();
    closes(&site, "/topics/a%00b");
    closes(&site, "/topics/news?after=nonsense");
    closes(&site, "/nowhere");
    let private = Site::with(&["auth.anonymous_subscribe=public/**"]);
    closes(&private, "/topics/private");
}

// eventsource-close: 204 says that there is nothing to come back for
#[test]
fn a_topic_that_has_ended_is_followed_to_its_end_and_not_again() {
    let site = Site::start();
    let Some(mut page) = open(&site, "event-source", "/topics/a") else {
        return;
    };
    assert_eq!(page.next()["event"], "open");
    site.server.publish_as("a", "?end=true", "last");
    assert_eq!(page.next()["data"], "last");
    assert_eq!(page.next()["event"], "end");
    assert_eq!(page.next()["event"], "reconnecting");
    assert_eq!(page.next()["event"], "closed");
    await_streams(&site.server, 0);
}

// A limit that is reached passes, so it must not be an error that a source never recovers from.
#[test]
fn a_source_that_finds_no_room_comes_back_until_there_is_some() {
    let site = Site::with(&[SECRET, "connections.max_per_subject=1"]);
    let token = server::token(SECRET, &["--subject", "ann", "--subscribe", "**"]);
    let bearer = format!("Bearer {token}");
    let request = Request::post("/tickets", br#"{"match":["a"]}"#).header("Authorization", &bearer);
    let answer = site.server.ask(&request).json();
    let path = format!("/topics/a?ticket={}", answer["ticket"].as_str().unwrap());
    let Some(mut first) = open(&site, "event-source", &path) else {
        return;
    };
    assert_eq!(first.next()["event"], "open");
    let mut second = open(&site, "event-source", &path).unwrap();
    assert_eq!(second.next()["event"], "reconnecting");
    drop(first);
    while second.next()["event"] != "open" {}
}

// eventsource-cross-origin, request-credentials
#[test]
fn a_page_of_an_allowed_site_may_follow_with_its_cookies_and_one_of_another_may_not() {
    let site = Site::with(&[SECRET, "auth.cookie=push", "auth.anonymous_subscribe=**"]);
    let Some(mut page) = open(&site, "event-source-with-credentials", "/topics/a") else {
        return;
    };
    assert_eq!(page.next()["event"], "open");
    let stranger = Site::with(&["allowed_origins=https://elsewhere.example"]);
    closes(&stranger, "/topics/a");
}

// eventsource-request-cancellation
#[test]
fn a_frame_that_stops_loading_gives_its_connection_back() {
    let site = Site::start();
    let Some(mut page) = open(&site, "stopped-frame", "/topics/a") else {
        return;
    };
    assert_eq!(page.next()["event"], "open");
    assert_eq!(page.next()["event"], "stopped");
    await_streams(&site.server, 0);
}

// eventsource-bfcache; Chromium keeps the connection of a page that it may return to
#[test]
fn a_page_that_is_left_and_returned_to_follows_on_by_one_connection() {
    let site = Site::start();
    let Some(mut page) = open(&site, "left-page", "/topics/a") else {
        return;
    };
    assert_eq!(page.next()["event"], "open");
    site.server.publish("a", "go away");
    while page.next()["event"] != "left" {}
    site.server.publish("a-back", "come back");
    let returned = page.next();
    assert!(
        returned["event"] == "restored" || returned["event"] == "open",
        "{returned}"
    );
    site.server.publish("a", "back");
    while page.next()["data"] != "back" {}
    await_streams(&site.server, 1);
}

// Last-Event-ID over a restart, by the state machine that others build their clients from
#[test]
fn the_client_of_sse_codec_misses_nothing_while_the_server_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("log");
    let mut server = Server::with(&[
        &format!("log.snapshot={}", snapshot.display()),
        "drain.window=300ms",
        "stream.retry=100ms",
    ]);
    let url = server.url("/topics/a");
    let mut client = Driver::process(Command::new(example("event_source")).arg(url));
    assert_eq!(client.next()["type"], "push.state");
    let (mut numbers, mut returns) = (0..40, 0);
    for _ in 0..2 {
        for number in numbers.by_ref().take(10) {
            server.publish("a", &number.to_string());
        }
        returns += read_through(&mut client, numbers.start - 10..numbers.start);
        server.restart();
        for number in numbers.by_ref().take(10) {
            server.publish("a", &number.to_string());
        }
        returns += read_through(&mut client, numbers.start - 10..numbers.start);
    }
    assert_eq!(returns, 2, "it was told to come back each time");
}

/// Reads these numbers and nothing else from a topic; says how often it was told to come back on the way.
#[track_caller]
fn read_through(client: &mut Driver, mut numbers: Range<u32>) -> usize {
    let mut returns = 0;
    while !numbers.is_empty() {
        let event = client.next();
        match event["type"].as_str().unwrap() {
            "message" => {
                assert_eq!(event["data"], numbers.next().unwrap().to_string());
            }
            "push.reconnect" => returns += 1,
            other => assert_eq!(other, "push.state", "{event}"),
        }
    }
    returns
}

/// An example of sse-codec, built if it is not yet.
fn example(name: &str) -> PathBuf {
    let built_as = PathBuf::from(env!("CARGO_BIN_EXE_pushserver"));
    let folder = built_as.parent().unwrap();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args([
        "build",
        "--quiet",
        "--package",
        "sse-codec",
        "--example",
        name,
    ]);
    build.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "{name} builds");
    folder.join("examples").join(name)
}

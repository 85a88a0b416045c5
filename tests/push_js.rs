//! The browser client, in a browser, on a page of another site.

use serde_json::Value;

use crate::support::browser::Page;
use crate::support::buffering::BufferingProxy;
use crate::support::driver::Driver;
use crate::support::event_stream::EventStream;
use crate::support::http::Request;
use crate::support::server::{SECRET, Server, token};

/// A server, and a page of another site that follows it with push.js.
struct Site {
    page: Page,
    server: Server,
}

impl Site {
    fn start() -> Self {
        let page = Page::serve();
        let allowed = format!("allowed_origins={}", page.origin());
        let server = Server::with(&[&allowed, "stream.retry=200ms"]);
        Self { page, server }
    }

    /// Opens the page; `None` when there is no browser.
    fn follow(&self, asked: &[(&str, &str)]) -> Option<Driver> {
        let url = self.server.url("");
        let asked = [&[("with", "push-js"), ("url", &url)], asked].concat();
        let mut driver = self.page.open(&asked)?;
        next_named(&mut driver, "open");
        Some(driver)
    }
}

/// The next thing of this name, others passed over.
#[track_caller]
fn next_named(driver: &mut Driver, event: &str) -> Value {
    loop {
        let object = driver.next();
        if object["event"] == event {
            return object;
        }
    }
}

#[track_caller]
fn expect_message(driver: &mut Driver, topic: &str, kind: Option<&str>, data: &str) {
    let message = next_named(driver, "message");
    assert_eq!(message["topic"], topic, "{message}");
    assert_eq!(message["type"].as_str(), kind, "{message}");
    assert_eq!(message["data"], data, "{message}");
}

/// Every type, every topic, bytes; publishing; a crash with its gap; the end: by one door.
#[track_caller]
fn misses_nothing(transport: &str) {
    let mut site = Site::start();
    let asked = [
        ("transport", transport),
        ("topic", "news"),
        ("topic", "rooms/*"),
    ];
    let Some(mut page) = site.follow(&asked) else {
        return;
    };
    site.server.publish("news", "plain");
    site.server
        .publish_as("rooms/a", "?type=never-heard-of", "of a type");
    site.server
        .publish_as("rooms/b", "?type=please-answer", "two\nlines");
    expect_message(&mut page, "news", None, "plain");
    expect_message(&mut page, "rooms/a", Some("never-heard-of"), "of a type");
    expect_message(&mut page, "rooms/b", Some("please-answer"), "two\nlines");

    let answers = Request::page("/topics/answers?after=earliest&wait=10s");
    let answer = &site.server.ask(&answers).json()["events"][0];
    assert_eq!(answer["data"], "an answer");
    assert_eq!(answer["type"], "answer");

    let bytes =
        Request::post("/topics/news", &[0, 255]).header("Content-Type", "application/octet-stream");
    assert!(site.server.ask(&bytes).is_success());
    let message = next_named(&mut page, "message");
    assert_eq!(message["bytes"], serde_json::json!([0, 255]));

    site.server.crash_and_restart();
    site.server.publish("news", "after the crash");
    let gap = next_named(&mut page, "gap");
    assert_eq!(gap["reason"], "epoch");
    expect_message(&mut page, "news", None, "after the crash");

    site.server.publish_as("news", "?end=true", "the last");
    expect_message(&mut page, "news", None, "the last");
    assert_eq!(next_named(&mut page, "end")["match"], "news");
}

#[test]
fn misses_nothing_over_a_web_socket() {
    misses_nothing("websocket");
}

#[test]
fn misses_nothing_over_an_event_stream() {
    misses_nothing("stream");
}

#[test]
fn misses_nothing_by_polling() {
    misses_nothing("poll");
}

#[test]
fn takes_the_next_door_when_one_does_not_open() {
    let site = Site::start();
    let asked = [
        ("with", "push-js"),
        ("url", &site.server.url("")),
        ("topic", "news"),
        ("without-web-socket", "true"),
    ];
    let Some(mut page) = site.page.open(&asked) else {
        return;
    };
    assert_eq!(next_named(&mut page, "open")["transport"], "stream");
    site.server.publish("news", "here too");
    expect_message(&mut page, "news", None, "here too");
}

#[test]
fn polls_behind_a_proxy_that_buffers_and_comes_back_once_it_no_longer_does() {
    let site = Site::start();
    let proxy = BufferingProxy::before(site.server.address());
    let url = proxy.url();
    let asked = [
        ("with", "push-js"),
        ("url", &url),
        ("topic", "news"),
        ("openTimeout", "3000"),
        ("retryBetterAfter", "3000"),
    ];
    let Some(mut page) = site.page.open(&asked) else {
        return;
    };
    assert_eq!(next_named(&mut page, "open")["transport"], "poll");
    site.server.publish("news", "0");
    expect_message(&mut page, "news", None, "0");
    proxy.step_aside();
    // Each event ends a poll, after which it looks whether it is time for the better doors.
    for number in 1.. {
        site.server.publish("news", &number.to_string());
        loop {
            let told = page.next();
            if told["event"] == "open" && told["transport"] == "websocket" {
                site.server.publish("news", "the last");
                let rest = next_named(&mut page, "message");
                // What was on its way when it changed doors comes by the new one, and once.
                if rest["data"] != "the last" {
                    assert_eq!(rest["data"], number.to_string());
                    expect_message(&mut page, "news", None, "the last");
                }
                return;
            }
            if told["event"] == "message" {
                assert_eq!(told["data"], number.to_string());
                break;
            }
            assert_ne!(told["event"], "gap", "{told}");
        }
    }
}

#[test]
fn says_why_it_stops() {
    let site = Site::start();
    let url = site.server.url("");
    for transport in ["websocket", "stream", "poll"] {
        let asked = [
            ("with", "push-js"),
            ("url", &url),
            ("topic", "a//b"),
            ("transport", transport),
        ];
        let Some(mut page) = site.page.open(&asked) else {
            return;
        };
        let stopped = next_named(&mut page, "stopped");
        let reason = stopped["reason"].as_str().unwrap();
        assert!(reason.contains("a//b"), "{transport}: {reason}");
    }
}

#[test]
fn the_browser_client_is_a_script() {
    let reply = Server::start().ask(&Request::get("/push.js"));
    assert_eq!(
        reply.header("content-type").as_deref(),
        Some("text/javascript; charset=utf-8")
    );
    assert!(reply.text().contains("class Push "));
}

/// A token of `ann` that may do everything for so long.
fn lasting(lifetime: &str) -> String {
    let grants = ["--subject", "ann", "--subscribe", "**", "--publish", "**"];
    token(SECRET, &[&grants[..], &["--lifetime", lifetime]].concat())
}

/// The first token runs out within seconds; the follower shows the next in time, and stays where it is.
#[track_caller]
fn renews_its_token(transport: &str) {
    let page = Page::serve();
    let allowed = format!("allowed_origins={}", page.origin());
    let server = Server::with(&[&allowed, SECRET, "auth.leeway=0s", "stream.retry=200ms"]);
    // Long enough for a browser to start beside whatever else the machine does.
    let (short, long) = (lasting("20s"), lasting("1h"));
    let url = server.url("");
    let asked = [
        ("with", "push-js"),
        ("url", &url),
        ("transport", transport),
        ("topic", "news"),
        ("token", &short),
        ("token", &long),
    ];
    let Some(mut driver) = page.open(&asked) else {
        return;
    };
    // The token is shown before anything is subscribed to, so that its end may be told before.
    let mut awaited = vec!["open", "expiring"];
    while !awaited.is_empty() {
        let told = driver.next();
        awaited.retain(|name| told["event"] != *name);
    }
    // Somebody who does not renew says when the time is over.
    let bearer = format!("Bearer {short}");
    let request = Request::get("/topics/news").header("Authorization", &bearer);
    let mut stale = EventStream::open(server.address(), &request);
    while stale.next_block().is_some() {}
    let bearer = format!("Bearer {long}");
    let publish = Request::post("/topics/news", b"still here").header("Authorization", &bearer);
    assert!(publish.send(server.address()).is_success());
    loop {
        let told = driver.next();
        // It was not cut off: it neither waited nor opened anew.
        assert!(
            told["event"] != "waiting" && told["event"] != "open",
            "{told}"
        );
        if told["event"] == "message" {
            assert_eq!(told["data"], "still here");
            return;
        }
    }
}

#[test]
fn renews_its_token_over_a_web_socket() {
    renews_its_token("websocket");
}

#[test]
fn renews_its_token_over_an_event_stream() {
    renews_its_token("stream");
}

#[test]
fn reads_with_a_ticket_through_every_door() {
    let page = Page::serve();
    let allowed = format!("allowed_origins={}", page.origin());
    let server = Server::with(&[&allowed, SECRET]);
    let bearer = format!("Bearer {}", lasting("1h"));
    let wish = br#"{"match":["news"],"lifetime":"10m"}"#;
    let issued = Request::post("/tickets", wish).header("Authorization", &bearer);
    let issued = issued.send(server.address()).json();
    let url = server.url("");
    for transport in ["websocket", "stream", "poll"] {
        let asked = [
            ("with", "push-js"),
            ("url", &url),
            ("transport", transport),
            ("topic", "news"),
            ("ticket", issued["ticket"].as_str().unwrap()),
        ];
        let Some(mut driver) = page.open(&asked) else {
            return;
        };
        next_named(&mut driver, "open");
        let publish = Request::post("/topics/news", transport.as_bytes());
        let publish = publish
            .header("Authorization", &bearer)
            .send(server.address());
        assert!(publish.is_success(), "{publish:?}");
        expect_message(&mut driver, "news", None, transport);
    }
}

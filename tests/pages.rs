//! What people see in a browser, and the browser client.

use serde_json::Value;

use crate::support::browser::Page;
use crate::support::driver::Driver;
use crate::support::http::Request;
use crate::support::server::Server;

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
fn push_js_misses_nothing(transport: &str) {
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
fn push_js_misses_nothing_over_a_web_socket() {
    push_js_misses_nothing("websocket");
}

#[test]
fn push_js_misses_nothing_over_an_event_stream() {
    push_js_misses_nothing("stream");
}

#[test]
fn push_js_misses_nothing_by_polling() {
    push_js_misses_nothing("poll");
}

#[test]
fn push_js_takes_the_next_door_when_one_does_not_open() {
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
fn push_js_says_why_it_stops() {
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
fn a_page_speaks_to_its_own_server_alone() {
    let server = Server::start();
    for path in ["/", "/console", "/topics/news", "/topics?match=a/*"] {
        let reply = server.ask(&Request::get(path).header("Accept", "text/html"));
        assert_eq!(
            reply.header("content-type").as_deref(),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("connect-src 'self'"), "{path}: {policy}");
        let page = reply.text();
        for foreign in ["src=\"http", "href=\"http", "src=\"//", "@import", "url("] {
            assert!(!page.contains(foreign), "{path} has {foreign}");
        }
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

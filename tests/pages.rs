//! What people see in a browser, and the browser client.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::browser::Page;
use crate::support::buffering::BufferingProxy;
use crate::support::devtools::DevTools;
use crate::support::driver::Driver;
use crate::support::event_stream::EventStream;
use crate::support::http::Request;
use crate::support::server::{Server, token};

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
fn push_js_polls_behind_a_proxy_that_buffers_and_comes_back_once_it_no_longer_does() {
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
fn a_console_that_is_not_wanted_is_not_served_and_not_named() {
    let page = |server: &Server, path| server.ask(&Request::get(path));
    let server = Server::start();
    assert_eq!(page(&server, "/console").status(), 200);
    assert!(page(&server, "/").text().contains("href=\"console\""));
    let server = Server::with(&["console.enabled=false"]);
    assert_eq!(page(&server, "/console").status(), 404);
    assert!(!page(&server, "/").text().contains("href=\"console\""));
}

#[test]
fn the_console_asks_for_metrics_that_there_are() {
    let server = Server::start();
    let metrics = server.ask(&Request::get("/metrics")).text();
    let console = server.ask(&Request::get("/console")).text();
    let quoted = console.split('\'');
    let names: Vec<_> = quoted
        .filter(|text| text.starts_with("pushserver_"))
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let samples = metrics.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        assert!(samples.count() > 0, "no {name} in\n{metrics}");
    }
}

#[test]
fn commands_of_the_first_page_can_be_pasted_as_they_are() {
    let server = Server::with(&[SECRET]);
    let Some(mut page) = DevTools::open(&server.url("/")) else {
        return;
    };
    page.wait("document.getElementById('follow')?.textContent.startsWith('curl')");
    page.evaluate(
        "(() => { const form = document.querySelector('form'); form.topic.value = 'what?/a b#1'; \
         form.dispatchEvent(new Event('input')); })()",
    );
    let url = server.url("/topics/what%3F/a%20b%231");
    let bearer = "-H \"Authorization: Bearer $TOKEN\"";
    let text = |id: &str| format!("document.getElementById('{id}').textContent");
    assert_eq!(
        page.evaluate(&text("follow")),
        format!("curl -N {bearer} \"{url}\"")
    );
    assert_eq!(
        page.evaluate(&text("publish")),
        format!("curl -d hello {bearer} \"{url}\"")
    );
}

#[test]
fn the_page_of_a_topic_says_how_to_publish_to_that_topic() {
    let server = Server::start();
    let url = server.url("/topics/what%3F/a%20b%231");
    let Some(mut page) = DevTools::open(&url) else {
        return;
    };
    page.wait("document.querySelector('#empty code')?.textContent.startsWith('curl')");
    let told = page.evaluate("document.querySelector('#empty code').textContent");
    assert_eq!(told, format!("curl -d hello \"{url}\""));
}

#[test]
fn the_page_of_a_topic_that_is_not_for_everybody_asks_for_a_ticket() {
    let server = Server::with(&[SECRET]);
    let Some(mut page) = DevTools::open(&server.url("/topics/news")) else {
        return;
    };
    page.wait("document.getElementById('events').innerText.includes('open it with ?ticket=')");
}

#[test]
fn a_console_that_pauses_says_so() {
    let server = Server::start();
    let Some(mut page) = DevTools::open(&server.url("/console")) else {
        return;
    };
    page.wait("document.getElementById('state').textContent.startsWith('live')");
    page.evaluate("document.querySelector('#tail button').click()");
    let state = page.evaluate("document.getElementById('state').textContent");
    assert_eq!(state, "paused");
    page.evaluate("document.querySelector('#tail button').click()");
    page.wait("document.getElementById('state').textContent.startsWith('live')");
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

const SECRET: &str = "auth.secret=a-secret-of-more-than-32-bytes-for-tests";

/// A token of `ann` that may do everything for so long.
fn lasting(lifetime: &str) -> String {
    let grants = ["--subject", "ann", "--subscribe", "**", "--publish", "**"];
    token(SECRET, &[&grants[..], &["--lifetime", lifetime]].concat())
}

/// The first token runs out within seconds; the follower shows the next in time, and stays where it is.
#[track_caller]
fn push_js_renews_its_token(transport: &str) {
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
fn push_js_renews_its_token_over_a_web_socket() {
    push_js_renews_its_token("websocket");
}

#[test]
fn push_js_renews_its_token_over_an_event_stream() {
    push_js_renews_its_token("stream");
}

#[test]
fn push_js_reads_with_a_ticket_through_every_door() {
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

/// The placeholders of boxes that are narrower than what they say.
const CUT_PLACEHOLDERS: &str =
    "[...document.querySelectorAll('input[placeholder]')].filter(input => {
    const style = getComputedStyle(input), pen = document.createElement('canvas').getContext('2d');
    pen.font = style.font;
    const room = input.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return input.offsetParent && pen.measureText(input.placeholder).width > room;
}).map(input => input.placeholder)";

/// The page in the sizes and colours it may be looked at in: nothing sticks out, and nothing has failed.
///
/// With `PUSHSERVER_PICTURES` a folder, pictures of it are left there.
#[track_caller]
fn fits_everywhere(page: &mut DevTools, name: &str) {
    let mut grounds = BTreeMap::new();
    for (width, scheme) in [
        (1280, "light"),
        (1280, "dark"),
        (390, "light"),
        (390, "dark"),
    ] {
        page.shows(width, scheme);
        let wide = page.evaluate("document.documentElement.scrollWidth");
        assert!(
            wide.as_u64().unwrap() <= u64::from(width),
            "{name}: {wide} of {width}"
        );
        let cut = page.evaluate(CUT_PLACEHOLDERS);
        assert_eq!(cut, serde_json::json!([]), "{name} at {width}");
        grounds.insert(
            scheme,
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
        );
        if let Ok(folder) = std::env::var("PUSHSERVER_PICTURES") {
            let file = format!("{folder}/{name}-{width}-{scheme}.png.base64");
            std::fs::write(file, page.picture()).unwrap();
        }
    }
    assert_ne!(grounds["light"], grounds["dark"], "{name}");
    assert!(page.exceptions.is_empty(), "{:?}", page.exceptions);
}

#[test]
fn the_page_of_a_topic_shows_what_comes_and_publishes() {
    let server = Server::start();
    server.publish("news/today", "before it was opened");
    let Some(mut page) = DevTools::open(&server.url("/topics/news/today")) else {
        return;
    };
    page.wait("document.getElementById('state').textContent.includes('following')");
    server.publish("news/today", "a first event");
    page.wait("document.getElementById('events').innerText.includes('a first event')");
    let mut stream = EventStream::follow(&server, "/topics/news/today");
    page.evaluate(
        "(() => { const form = document.querySelector('form'); form.elements.data.value = 'from the page'; form.requestSubmit(); })()",
    );
    assert_eq!(stream.next_data(1), ["from the page"]);
    page.wait("document.getElementById('events').innerText.includes('from the page')");
    server.publish(
        "news/today",
        &"a very long word ".replace(' ', "").repeat(60),
    );
    server.publish_as(
        "news/today",
        "?type=price",
        "<script>document.title = 'broken'</script>",
    );
    page.wait("document.getElementById('events').innerText.includes('<script>')");
    assert_ne!(page.evaluate("document.title"), "broken");
    fits_everywhere(&mut page, "topic");
}

#[test]
fn the_console_shows_topics_and_connections_and_publishes() {
    let server = Server::start();
    for topic in ["orders/eu", "orders/us", "chat/lobby"] {
        server.publish(topic, &format!("something about {topic}"));
    }
    let mut stream = EventStream::follow(&server, "/topics/orders/*");
    let Some(mut page) = DevTools::open(&server.url("/console")) else {
        return;
    };
    page.wait("document.getElementById('topics').innerText.includes('orders/eu')");
    page.wait("document.getElementById('connections').innerText.includes('orders/*')");
    server.publish("chat/lobby", "hello console");
    page.wait("document.getElementById('tail').innerText.includes('hello console')");
    page.evaluate(
        "(() => { const form = document.querySelector('#publish form'); form.elements.topic.value = 'orders/eu'; \
         form.elements.data.value = 'from the console'; form.requestSubmit(); })()",
    );
    assert!(stream.next_data(1)[0].contains("from the console"));
    fits_everywhere(&mut page, "console");
}

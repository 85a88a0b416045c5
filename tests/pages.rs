//! What people see in a browser.

use std::collections::BTreeMap;

use crate::support::devtools::DevTools;
use crate::support::event_stream::EventStream;
use crate::support::http::Request;
use crate::support::server::{SECRET, Server};

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

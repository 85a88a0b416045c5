//! Who may use a server that is open to everyone on this machine: not the websites its user visits.

use crate::support::http::{Reply, Request};
use crate::support::server::Server;
use crate::support::web_socket::handshake;

/// The same request through every door, with one header of its own.
#[track_caller]
fn through_every_door(server: &Server, name: &str, value: &str) -> Vec<(&'static str, u16)> {
    let doors: [(&str, Request<'_>); 5] = [
        (
            "stream",
            Request::get("/topics/a").header("Accept", "text/event-stream"),
        ),
        ("page", Request::page("/topics/a")),
        ("web socket", handshake("/topics/a")),
        ("publish", Request::post("/topics/a", b"x")),
        (
            "batch",
            Request::post("/publish", b"{\"topic\":\"a\",\"data\":\"x\"}"),
        ),
    ];
    doors
        .into_iter()
        .map(|(door, request)| {
            (
                door,
                request.header(name, value).open(server.address()).status(),
            )
        })
        .collect()
}

#[track_caller]
fn check(server: &Server, name: &str, value: &str, let_in: bool) {
    for (door, status) in through_every_door(server, name, value) {
        // A request for another host was sent to the wrong server (421); another site's page may not (403).
        let refused = matches!(status, 403 | 421);
        assert_eq!(
            refused, !let_in,
            "{door} with {name}: {value} is answered {status}"
        );
        assert!(refused || status < 300, "{door}: {status}");
    }
}

#[test]
fn a_name_that_a_website_pointed_here_is_refused() {
    let server = Server::start();
    let port = server.address().port();
    check(&server, "Host", "evil.example", false);
    check(&server, "Host", &format!("evil.example:{port}"), false);
    check(
        &server,
        "Host",
        &format!("localhost.evil.example:{port}"),
        false,
    );
    check(
        &server,
        "Host",
        &format!("127.0.0.1.evil.example:{port}"),
        false,
    );
    check(&server, "Host", &format!("localhost:{port}"), true);
    check(&server, "Host", &format!("127.0.0.1:{port}"), true);
    check(&server, "Host", &format!("[::1]:{port}"), true);
}

#[test]
fn a_host_that_is_allowed_is_let_in() {
    let server = Server::with(&["allowed_hosts=push.example.com", "insecure=true"]);
    check(&server, "Host", "push.example.com", true);
    check(&server, "Host", "PUSH.example.com:8000", true);
    check(&server, "Host", "push.example.com.evil.example", false);
    check(&server, "Host", "other.example.com", false);
}

#[test]
fn a_page_of_another_site_is_refused() {
    let server = Server::start();
    let port = server.address().port();
    for origin in [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        format!("http://127.0.0.1.evil.example:{port}"),
        format!("http://127.0.0.1:{}", port ^ 1),
    ] {
        check(&server, "Origin", &origin, false);
    }
    check(&server, "Origin", &format!("http://127.0.0.1:{port}"), true);
}

#[test]
fn a_page_that_is_allowed_is_let_in_and_its_browser_told_so() {
    let server = Server::with(&["allowed_origins=https://app.example.com"]);
    let origin = "https://app.example.com";
    check(&server, "Origin", origin, true);
    check(
        &server,
        "Origin",
        "https://app.example.com.evil.example",
        false,
    );
    check(&server, "Origin", "http://app.example.com", false);
    let request = Request::page("/topics/a").header("Origin", origin);
    let allowed = |reply: &Reply| reply.header("access-control-allow-origin");
    assert_eq!(allowed(&server.ask(&request)).as_deref(), Some(origin));
    // A refusal that its page cannot read would be a riddle.
    let bad = Request::page("/topics/a?aftr=x").header("Origin", origin);
    assert_eq!(allowed(&server.ask(&bad)).as_deref(), Some(origin));
    let foreign = Request::page("/topics/a").header("Origin", "https://evil.example");
    assert_eq!(allowed(&server.ask(&foreign)), None);
}

#[test]
fn a_preflight_is_answered() {
    let server = Server::with(&["allowed_origins=https://app.example.com"]);
    let request = Request::new("OPTIONS", "/topics/a")
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "PUT")
        .header(
            "Access-Control-Request-Headers",
            "last-event-id, authorization, content-type, idempotency-key",
        );
    let reply = server.ask(&request);
    assert!(reply.is_success(), "{reply:?}");
    assert_eq!(
        reply.header("access-control-allow-origin").as_deref(),
        Some("https://app.example.com")
    );
    let headers = reply
        .header("access-control-allow-headers")
        .unwrap()
        .to_lowercase();
    for name in [
        "last-event-id",
        "authorization",
        "content-type",
        "idempotency-key",
    ] {
        assert!(headers.contains(name), "{headers}");
    }
    let methods = reply.header("access-control-allow-methods").unwrap();
    for name in ["GET", "POST", "PUT", "DELETE"] {
        assert!(methods.contains(name), "{methods}");
    }
    let foreign = Request::new("OPTIONS", "/topics/a")
        .header("Origin", "https://evil.example")
        .header("Access-Control-Request-Method", "PUT");
    let reply = server.ask(&foreign);
    assert_eq!(
        reply.header("access-control-allow-origin"),
        None,
        "{reply:?}"
    );
}

#[test]
fn local_programs_need_nothing() {
    let server = Server::start();
    assert!(server.ask(&Request::post("/topics/a", b"x")).is_success());
    assert_eq!(server.ask(&Request::get("/health")).status(), 200);
    assert_eq!(server.ask(&Request::get("/ready")).status(), 200);
}

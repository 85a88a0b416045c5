//! Every request that is wrong is told what was wrong and what would be right.

use crate::support::http::{Reply, Request};
use crate::support::server::Server;
use crate::support::web_socket::handshake;

/// Sends `METHOD TARGET` and reads the status and the problem's name: `400 bad-topic`.
#[track_caller]
fn check(server: &Server, request: &Request<'_>, expect: &str, detail: &str) {
    let reply = server.ask(request);
    let problem = problem(&reply);
    let got = format!("{} {}", reply.status(), problem.kind);
    assert_eq!(got, expect, "{request:?}: {}", problem.detail);
    assert!(
        problem.detail.contains(detail),
        "{request:?}: {:?} does not say {detail:?}",
        problem.detail
    );
}

struct Problem {
    kind: String,
    detail: String,
}

#[track_caller]
fn problem(reply: &Reply) -> Problem {
    assert_eq!(
        reply.header("content-type").as_deref(),
        Some("application/problem+json"),
        "{reply:?}"
    );
    let document = reply.json();
    assert_eq!(document["status"], reply.status(), "{document}");
    assert!(
        !document["title"].as_str().unwrap().is_empty(),
        "{document}"
    );
    let kind = document["type"].as_str().unwrap();
    Problem {
        kind: kind.rsplit(':').next().unwrap().to_owned(),
        detail: document["detail"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn a_bad_request_is_told_what_was_wrong() {
    let server = Server::start();
    let long = format!("/topics/{}", "x".repeat(256));
    for (line, expect, detail) in [
        ("GET /topics/a//b", "400 bad-topic", "empty"),
        ("GET /topics/", "400 bad-topic", ""),
        ("GET /topics/a/", "400 bad-topic", "empty"),
        ("GET /topics/./a", "400 bad-topic", ""),
        ("GET /topics/a/../b", "400 bad-topic", ""),
        ("GET /topics/a%2Fb", "400 bad-topic", "slash"),
        ("GET /topics/a%5cb", "400 bad-topic", ""),
        ("GET /topics/a%00b", "400 bad-topic", ""),
        ("GET /topics/a%0Ab", "400 bad-topic", ""),
        ("GET /topics/a/..;/b", "400 bad-topic", ";"),
        ("GET /topics/a/%2e;x=y/b", "400 bad-topic", ";"),
        ("GET /topics/%ff", "400 bad-topic", "UTF-8"),
        ("GET /topics/%zz", "400 bad-topic", "%"),
        (&format!("GET {long}"), "400 bad-topic", "255"),
        ("GET /topics/**/a", "400 bad-topic", ""),
        ("GET /topics/a*", "400 bad-topic", "*"),
        ("POST /topics/*", "400 bad-topic", "*"),
        ("POST /topics/a/**", "400 bad-topic", "*"),
        ("GET /topics", "400 bad-parameter", "match"),
        ("GET /topics/a?aftr=x", "400 bad-parameter", "after"),
        ("GET /topics/a?last=0", "400 bad-parameter", "last"),
        ("GET /topics/a?last=many", "400 bad-parameter", "last"),
        ("GET /topics/a?last=1&last=2", "400 bad-parameter", "last"),
        (
            "GET /topics/a?since=yesterday",
            "400 bad-parameter",
            "since",
        ),
        ("GET /topics/a?lag=fast", "400 bad-parameter", "replay"),
        ("GET /topics/a?format=xml", "400 bad-parameter", "format"),
        (
            "GET /topics/a?after=earliest&last=1",
            "400 bad-parameter",
            "after",
        ),
        (
            "GET /topics/a?after=nonsense",
            "400 bad-position",
            "nonsense",
        ),
        ("GET /topics/a?after=", "400 bad-position", ""),
        ("GET /topics/a?last_event_id=7", "400 bad-position", "7"),
        ("POST /topics/a?typ=x", "400 bad-parameter", "type"),
        ("POST /topics/a?each=word", "400 bad-parameter", "line"),
        ("POST /topics/a?end=perhaps", "400 bad-parameter", "end"),
        ("POST /topics/a?type=push.gap", "400 bad-event", "push."),
        ("POST /topics/a?type=open", "400 bad-event", "open"),
        ("POST /topics/a?type=error", "400 bad-event", "error"),
        ("POST /topics/a?type=a%0Ab", "400 bad-event", ""),
        ("POST /publish", "400 bad-event", ""),
        ("PATCH /topics/a", "405 method-not-allowed", "PATCH"),
        ("DELETE /topics", "405 method-not-allowed", "DELETE"),
        ("GET /publish", "405 method-not-allowed", "POST"),
        ("GET /topic/a", "404 no-such-path", "/topic/a"),
        ("GET /health/x", "404 no-such-path", ""),
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::new(method, target);
        if method == "POST" {
            request = request.body(b"");
        }
        check(&server, &request, expect, detail);
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let server = Server::start();
    let reply = server.ask(&Request::new("PATCH", "/topics/a"));
    let allow = reply.header("allow").unwrap();
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        assert!(allow.contains(method), "{allow}");
    }
}

#[test]
fn a_bad_position_in_the_header_is_refused() {
    let server = Server::start();
    let request = Request::get("/topics/a").header("Last-Event-ID", "what?");
    check(&server, &request, "400 bad-position", "what?");
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let server = Server::with(&["http.max_body_bytes=1000"]);
    let fits = vec![b'x'; 1000];
    assert!(server.ask(&Request::post("/topics/a", &fits)).is_success());
    let large = vec![b'x'; 1001];
    check(
        &server,
        &Request::post("/topics/a", &large),
        "413 body-too-large",
        "1000",
    );
}

#[test]
fn a_body_is_refused_by_its_announced_length_alone() {
    let server = Server::start();
    let request = Request::new("POST", "/topics/a").header("Content-Length", "9999999999999");
    check(&server, &request, "413 body-too-large", "");
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let server = Server::start();
    let request = Request::post("/topics/a", b"\xff\xfe");
    check(&server, &request, "400 bad-event", "octet-stream");
}

#[test]
fn a_bad_web_socket_handshake_is_refused_in_http() {
    let server = Server::start();
    let request = |drop: &str, add: &[(&'static str, &'static str)]| {
        let mut request = Request::get("/topics/a");
        for (name, value) in [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            if name != drop {
                request = request.header(name, value);
            }
        }
        for (name, value) in add {
            request = request.header(name, value);
        }
        request
    };
    check(
        &server,
        &request("Sec-WebSocket-Key", &[]),
        "400 bad-handshake",
        "",
    );
    check(
        &server,
        &request("Sec-WebSocket-Key", &[("Sec-WebSocket-Key", "short")]),
        "400 bad-handshake",
        "",
    );
    let old = request("Sec-WebSocket-Version", &[("Sec-WebSocket-Version", "8")]);
    let reply = server.ask(&old);
    assert_eq!(reply.status(), 426, "{reply:?}");
    assert_eq!(reply.header("sec-websocket-version").as_deref(), Some("13"));
    problem(&reply);
}

#[test]
fn a_head_over_the_limit_is_refused() {
    let server = Server::start();
    let long = "x".repeat(20_000);
    let reply = server.ask(&Request::get("/health").header("X-Long", &long));
    assert_eq!(reply.status(), 431, "{reply:?}");
}

#[test]
fn what_is_wrong_does_not_depend_on_how_one_reads() {
    let server = Server::start();
    for target in ["/topics/a?after=nonsense", "/topics/a?aftr=x"] {
        let stream = server.ask(&Request::get(target).header("Accept", "text/event-stream"));
        let page = server.ask(&Request::page(target));
        assert_eq!(stream.status(), 400);
        assert_eq!(page.json(), stream.json());
        let socket = handshake(target)
            .header("Sec-WebSocket-Protocol", "push.v1")
            .open(server.address());
        // A browser cannot read a failed handshake, so it may be a close code that says it.
        assert!(matches!(socket.status(), 101 | 400), "{}", socket.status());
    }
}

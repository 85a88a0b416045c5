//! Tickets over HTTP.

use super::*;

#[track_caller]
fn check(token: &str, body: &Value, status: u16, kind: &str) {
    let site = Site::new(&[]);
    let token = match token {
        "" => String::new(),
        pattern => site.token("ann", pattern),
    };
    let reply = site.post("/tickets", &token, body);
    assert_eq!(reply.status, status, "{:?}", reply.body);
    let asks = reply.headers.contains_key("www-authenticate");
    assert_eq!(asks, status == 401);
    let kind = format!("urn:pushserver:problem:{kind}");
    assert_eq!(reply.body["type"], kind.as_str());
}

#[test]
fn a_ticket_opens_a_stream_of_what_it_names_and_nothing_else() {
    let site = Site::new(&[]);
    let ann = site.token("ann", "a/**");
    let reply = site.post(
        "/tickets",
        &ann,
        // Shorter than the notice before it ends, so that the stream is told at once.
        &json!({ "match": ["a/b"], "lifetime": "50s" }),
    );
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    let expires = reply.body["expires"].as_u64().unwrap();
    // A ticket's time is the world's, which may be a millisecond ahead of the server's own.
    let wall = site.app.clock.wall();
    assert!(expires <= wall.saturating_add(Duration::from_secs(50)).0);
    let ticket = reply.body["ticket"].as_str().unwrap();
    let mut stream = site.follow(&format!("/topics/a/b?ticket={ticket}"), "");
    site.publish("a/b", "1");
    assert_eq!(stream.read(), "push.state push.expiring 1");
    assert_eq!(
        site.get(&format!("/topics/a/c?ticket={ticket}"), "").status,
        403
    );
    let publish = site.post(&format!("/topics/a/b?ticket={ticket}"), "", &json!(1));
    assert_ne!(publish.status, 200);
    assert_eq!(stream.read_at(Timestamp(expires)), "push.end(expired) over");
}

#[test]
fn a_ticket_lasts_as_configured_and_never_longer_than_its_token() {
    let site = Site::new(&["auth.ticket_lifetime=5m", "auth.leeway=1s"]);
    let expires = |token: &str, body: &Value| {
        let reply = site.post("/tickets", token, body);
        let expires = reply.body["expires"].as_u64().unwrap();
        (expires - site.now().0 + 5000) / 10_000 * 10
    };
    let ann = site.token("ann", "a");
    assert_eq!(expires(&ann, &json!({ "match": ["a"] })), 300);
    assert_eq!(
        expires(&ann, &json!({ "match": ["a"], "lifetime": "10m" })),
        600
    );
    assert_eq!(
        expires(&ann, &json!({ "match": ["a"], "lifetime": "10h" })),
        3600
    );
}

#[test]
fn what_cannot_be_a_ticket_is_refused_with_the_reason() {
    check("a", &json!({ "match": ["b"] }), 403, "forbidden");
    check("a", &json!({ "match": [] }), 400, "bad-body");
    check("a", &json!({ "topics": ["a"] }), 400, "bad-body");
    check("a", &json!({ "match": ["a*"] }), 400, "bad-topic");
    check(
        "a",
        &json!({ "match": ["a"], "lifetime": "soon" }),
        400,
        "bad-parameter",
    );
    check("", &json!({ "match": ["a"] }), 401, "unauthorized");
}

//! Authority that is taken back, by its end or by an administrator.

use super::*;

/// Opens streams of every kind for ann and bob, revokes, and tells what reaches them
#[track_caller]
fn check(revocation: &Value, ann_sees: &str, ann_hears: &Value, ann_plain: &Value) {
    let site = Site::new(&[]);
    let (ann, bob) = (site.token("ann", "a/*"), site.token("bob", "a/*"));
    let mut stream = site.follow("/topics/a/b", &ann);
    let mut push = site.socket("/topics/a/b", "push.v1", &ann);
    let mut plain = site.socket("/topics/a/b", "", &ann);
    let mut other = site.follow("/topics/a/c", &bob);
    stream.read();
    push.hear();
    plain.hear();
    other.read();
    let reply = site.post("/admin/revocations", &site.admin(), revocation);
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert!(stream.was_woken() && push.stream.was_woken() && plain.stream.was_woken());
    site.publish("a/b", "1");
    assert_eq!(stream.read(), ann_sees);
    assert_eq!(Value::from(push.hear()), *ann_hears);
    assert_eq!(Value::from(plain.hear()), *ann_plain);
    assert!(!other.was_woken());
    assert_ne!(site.get("/topics/a/b?after=earliest", &ann).status, 200);
    assert_eq!(site.get("/topics/a/c?after=earliest", &bob).status, 200);
}

#[test]
fn a_revoked_subject_or_token_loses_its_open_streams_and_replay() {
    for revocation in [
        json!({ "subject": "ann" }),
        json!({ "token_id": "token-of-ann" }),
    ] {
        check(
            &revocation,
            "push.end(revoked) over",
            &json!([{ "close": 4507 }]),
            &json!([{ "close": 4507 }]),
        );
    }
}

#[test]
fn a_revoked_topic_ends_in_every_open_stream() {
    let site = Site::new(&[]);
    let ann = site.token("ann", "a/*");
    let mut stream = site.follow("/topics?match=a/b&match=a/c", &ann);
    let mut push = site.socket("/topics?match=a/b&match=a/c", "push.v1", &ann);
    stream.read();
    push.hear();
    let order = json!({ "match": "a/b", "until": "1h" });
    assert_eq!(
        site.post("/admin/revocations", &site.admin(), &order)
            .status,
        200
    );
    site.publish("a/b", "1");
    assert_eq!(stream.read(), "push.end(revoked)");
    let heard = push.hear();
    assert_eq!(heard[0]["end"]["match"], "a/b");
    assert_eq!(heard.len(), 1);
    assert_eq!(site.get("/topics/a/b", &ann).status, 403);
    assert_eq!(site.get("/topics/a/c", &ann).status, 200);
}

#[test]
fn a_revoked_token_neither_publishes_nor_makes_tickets() {
    let site = Site::new(&[]);
    let ann = site.token("ann", "a");
    assert_eq!(site.post("/topics/a", &ann, &json!("1")).status, 200);
    let ticket = site.post("/tickets", &ann, &json!({ "match": ["a"] })).body["ticket"].clone();
    site.post(
        "/admin/revocations",
        &site.admin(),
        &json!({ "subject": "ann" }),
    );
    assert_eq!(site.post("/topics/a", &ann, &json!("2")).status, 401);
    assert_eq!(
        site.post("/tickets", &ann, &json!({ "match": ["a"] }))
            .status,
        401
    );
    let path = format!("/topics/a?ticket={}", ticket.as_str().unwrap());
    assert_eq!(site.get(&path, "").status, 401);
}

#[test]
fn only_administrators_revoke_and_only_what_is_said_clearly() {
    let site = Site::new(&[]);
    let admin = site.admin();
    let revoke = |token: &str, body: &Value| site.post("/admin/revocations", token, body).status;
    assert_eq!(revoke("", &json!({ "subject": "ann" })), 401);
    assert_eq!(
        revoke(&site.token("bob", "**"), &json!({ "subject": "ann" })),
        403
    );
    assert_eq!(revoke(&admin, &json!({})), 400);
    assert_eq!(
        revoke(&admin, &json!({ "subject": "ann", "token_id": "t" })),
        400
    );
    assert_eq!(
        revoke(&admin, &json!({ "subject": "ann", "until": 1 })),
        400
    );
    assert_eq!(
        revoke(&admin, &json!({ "subject": "ann", "until": "later" })),
        400
    );
    assert_eq!(revoke(&admin, &json!({ "match": "a//b" })), 400);
    assert_eq!(site.get("/admin/revocations", &admin).status, 405);
}

#[test]
fn a_revocation_ends_when_it_says() {
    let site = Site::new(&[]);
    let ann = site.token("ann", "a");
    let until = site.now().0 + 20;
    let order = json!({ "subject": "ann", "until": until });
    let reply = site.post("/admin/revocations", &site.admin(), &order);
    assert_eq!(reply.body["until"], until);
    while site.now().0 <= until {
        std::thread::yield_now();
    }
    assert_eq!(site.get("/topics/a", &ann).status, 200);
}

#[test]
fn every_transport_is_warned_before_its_grant_runs_out_and_ends_when_it_does() {
    let site = Site::new(&["auth.leeway=1s"]);
    let ann = site.token("ann", "a");
    let mut stream = site.follow("/topics/a", &ann);
    let mut push = site.socket("/topics/a", "push.v1", &ann);
    let mut plain = site.socket("/topics/a", "", &ann);
    assert_eq!(stream.read(), "push.state");
    push.hear();
    plain.hear();
    let soon = site.after(Duration::from_secs(3599));
    assert_eq!(stream.read_at(soon), "push.expiring");
    assert!(push.hear_at(soon)[0]["expiring"]["at"].is_u64());
    assert_eq!(plain.hear_at(soon), Vec::<Value>::new());
    let over = site.after(Duration::from_secs(3603));
    assert_eq!(stream.read_at(over), "push.end(expired) over");
    assert_eq!(push.hear_at(over), [json!({ "close": 4003 })]);
    assert_eq!(plain.hear_at(over), [json!({ "close": 4003 })]);
}

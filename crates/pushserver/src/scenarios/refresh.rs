//! Grants that are renewed while the connection goes on.

use super::*;

fn refresh(token: &str) -> Value {
    json!({ "ref": 1, "refresh": { "token": token } })
}

#[test]
fn a_renewed_socket_lives_on_and_is_told_until_when() {
    let site = Site::new(&["auth.leeway=1s"]);
    let exp = site.now().0 / 1000 + 120;
    let short = json!({ "sub": "ann", "exp": exp, "push": { "subscribe": ["a"] } });
    let mut push = site.socket("/topics/a", "push.v1", &site.token_of(&short));
    assert!(
        push.hear()[0]["state"]["connection"]
            .as_str()
            .unwrap()
            .len()
            == 22
    );
    let long = json!({ "sub": "ann", "exp": exp + 600, "push": { "subscribe": ["a"] } });
    let answer = push.ask(&refresh(&site.token_of(&long)));
    assert_eq!(
        answer,
        json!({ "ref": 1, "result": { "expires": (exp + 601) * 1000 } })
    );
    site.publish("a", "1");
    let heard = push.hear_at(Timestamp((exp + 1) * 1000));
    assert_eq!(heard[0]["event"]["data"], "1");
    assert_eq!(heard.len(), 1, "{heard:?}");
}

#[test]
fn a_smaller_grant_ends_what_it_no_longer_covers_at_once() {
    let site = Site::new(&[]);
    let mut push = site.socket(
        "/topics?match=a&match=b",
        "push.v1",
        &site.token("ann", "*"),
    );
    push.hear();
    push.say(&refresh(&site.token("ann", "a")));
    push.say(&json!({ "ref": 2, "publish": { "topic": "b", "data": "1" } }));
    site.publish("a", "2");
    site.publish("b", "3");
    let heard = push.hear();
    assert!(heard[0]["result"]["expires"].is_u64());
    assert_eq!(heard[1]["error"]["code"], "forbidden");
    assert_eq!(heard[2]["end"]["match"], "b");
    assert_eq!(heard[2]["end"]["reason"], "revoked");
    assert_eq!(heard[3]["event"]["data"], "2");
    assert_eq!(heard.len(), 4, "{heard:?}");
}

#[test]
fn another_subject_or_a_bad_token_changes_nothing() {
    let site = Site::new(&[]);
    let mut push = site.socket("/topics/a", "push.v1", &site.token("ann", "a"));
    push.hear();
    let code =
        |push: &mut Client<'_>, token: &str| push.ask(&refresh(token))["error"]["code"].clone();
    assert_eq!(code(&mut push, &site.token("bob", "a")), "other-subject");
    assert_eq!(code(&mut push, "no.such.token"), "unauthorized");
    site.publish("a", "1");
    assert_eq!(push.hear()[0]["event"]["data"], "1");
}

#[test]
fn a_token_is_not_quoted_when_its_message_is_wrong() {
    let site = Site::new(&[]);
    let mut push = site.socket("/topics/a", "push.v1", &site.token("ann", "a"));
    push.hear();
    for command in [
        json!({ "refresh": "hush.hush" }),
        json!({ "refresh": { "token": ["hush"] } }),
    ] {
        let answer = push.ask(&command);
        assert_eq!(answer["error"]["code"], "bad-message");
        assert!(!answer.to_string().contains("hush"), "{answer}");
    }
}

#[test]
fn a_nameless_connection_becomes_somebody_once() {
    let site = Site::new(&[
        "auth.anonymous_subscribe=a",
        "connections.max_per_subject=1",
    ]);
    let mut push = site.socket("/topics/a", "push.v1", "");
    push.hear();
    assert!(push.ask(&refresh(&site.token("ann", "a")))["result"].is_object());
    assert_eq!(
        push.ask(&refresh(&site.token("bob", "a")))["error"]["code"],
        "other-subject"
    );
    let mut second = site.socket("/topics/a", "push.v1", "");
    second.hear();
    let answer = second.ask(&refresh(&site.token("ann", "a")));
    assert_eq!(answer["error"]["code"], "too-many-connections");
}

#[test]
fn a_socket_may_show_its_token_in_the_first_message() {
    let site = Site::new(&[]);
    site.publish("a", "1");
    let mut push = site.socket("/topics/a?after=earliest", "push.v1", "");
    assert_eq!(push.hear(), Vec::<Value>::new());
    let early = json!({ "ref": 7, "history": { "match": ["a"] } });
    assert_eq!(push.ask(&early)["error"]["code"], "unauthorized");
    push.say(&refresh(&site.token("ann", "a")));
    let heard = push.hear();
    assert!(heard[0]["state"]["at"].is_string());
    assert!(heard[1]["result"]["expires"].is_u64());
    assert_eq!(heard[2]["event"]["data"], "1");
    assert_eq!(heard.len(), 3, "{heard:?}");
}

#[test]
fn a_token_that_does_not_come_or_does_not_do_ends_the_wait() {
    let site = Site::new(&["websocket.token_timeout=5s"]);
    let mut silent = site.socket("/topics/a", "push.v1", "");
    assert_eq!(silent.hear(), Vec::<Value>::new());
    assert!(silent.stream.door.deadline() <= site.after(Duration::from_secs(5)));
    let late = site.after(Duration::from_secs(6));
    assert_eq!(silent.hear_at(late), [json!({ "close": 4501 })]);
    for (token, code) in [(site.token("ann", "b"), 4503), ("a.b.c".to_owned(), 4501)] {
        let mut push = site.socket("/topics/a", "push.v1", "");
        push.say(&refresh(&token));
        let heard = push.hear();
        assert!(heard[0]["error"].is_object());
        assert_eq!(heard[1], json!({ "close": code }));
    }
    let mut plain = site.socket("/topics/a", "", "");
    assert_eq!(plain.hear(), [json!({ "close": 4501 })]);
    let mut shown = site.socket("/topics/a", "push.v1", &site.token("ann", "b"));
    assert_eq!(shown.hear(), [json!({ "close": 4503 })]);
}

#[test]
fn a_stream_is_renewed_by_its_name_and_keeps_its_place() {
    let site = Site::new(&["auth.leeway=1s"]);
    let exp = site.now().0 / 1000 + 120;
    let claims = |exp: u64, topics: Value| {
        site.token_of(&json!({ "sub": "ann", "exp": exp, "push": { "subscribe": topics } }))
    };
    let short = claims(exp, json!(["a", "b"]));
    let mut stream = site.follow("/topics?match=a&match=b&format=json", &short);
    let path = format!(
        "/connections/{}/refresh",
        stream.state()["connection"].as_str().unwrap()
    );
    stream.read();
    assert_eq!(
        site.post(&path, &site.token("bob", "a"), &json!({})).status,
        403
    );
    assert_eq!(site.post(&path, "", &json!({})).status, 401);
    let reply = site.post(&path, &claims(exp + 600, json!(["a"])), &json!({}));
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert_eq!(reply.body["expires"], (exp + 601) * 1000);
    assert!(stream.was_woken());
    site.publish("b", "1");
    assert_eq!(stream.read(), "push.end(revoked)");
    assert_eq!(stream.read_at(Timestamp((exp + 1) * 1000)), "");
    drop(stream);
    assert_eq!(
        site.post(&path, &claims(exp + 700, json!(["a"])), &json!({}))
            .status,
        404
    );
}

#[test]
fn only_a_stream_is_renewed_from_outside() {
    let site = Site::new(&[]);
    let ann = site.token("ann", "a");
    let mut push = site.socket("/topics/a", "push.v1", &ann);
    let state = push.hear().remove(0);
    let path = format!(
        "/connections/{}/refresh",
        state["state"]["connection"].as_str().unwrap()
    );
    assert_eq!(site.post(&path, &ann, &json!({})).status, 409);
    assert_eq!(
        site.post("/connections/nobody/refresh", &ann, &json!({}))
            .status,
        404
    );
    assert_eq!(site.get(&path, &ann).status, 405);
}

#[test]
fn patterns_that_are_subscribed_to_together_begin_at_one_place() {
    let site = Site::new(&[]);
    let mut push = site.socket("/topics", "push.v1", &site.token("ann", "*"));
    let at = push.hear()[0]["state"]["at"].clone();
    site.publish("b", "1");
    push.say(&json!({ "ref": 1, "subscribe": { "match": ["a", "b"], "after": at } }));
    let heard = push.hear();
    assert_eq!(heard[0]["result"]["at"], at);
    assert_eq!(heard[1]["event"]["data"], "1");
}

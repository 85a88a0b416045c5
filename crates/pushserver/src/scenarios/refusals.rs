//! What is refused says what was wrong and what would be right.

use super::*;

/// What a request is told that is refused
#[track_caller]
fn told(site: &Site, line: &str, fields: &[(&str, &str)], body: &str) -> (u16, String) {
    let (method, path) = line.split_once(' ').unwrap();
    let Answer::Response(response) = site.ask(method, path, fields, body) else {
        panic!("{line} is answered by a stream");
    };
    let status = response.status().as_u16();
    let Ok(body) = site.runtime.block_on(response.into_body().collect());
    let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
    (
        status,
        body["detail"].as_str().unwrap_or_default().to_owned(),
    )
}

/// As an administrator, on whose behalf nothing is refused for want of authority
#[track_caller]
fn check(line: &str, fields: &[(&str, &str)], body: &str, status: u16, says: &str) {
    let site = Site::new(&[]);
    let grant = json!({ "subscribe": ["**"], "publish": ["**"], "admin": true });
    let token = site.token_of(&json!({ "sub": "root", "push": grant }));
    let bearer = format!("Bearer {token}");
    let page = [
        ("accept", "application/json"),
        ("authorization", bearer.as_str()),
    ];
    let told = told(&site, line, &[&page, fields].concat(), body);
    assert_eq!(told.0, status, "{line}: {}", told.1);
    assert!(told.1.contains(says), "{line}: {}", told.1);
}

#[test]
fn a_starting_point_that_is_none_is_told_the_others() {
    for word in ["earliest", "now"] {
        let fields = [("last-event-id", word)];
        let says = "leave the header out and ask `?after=earliest`";
        check("GET /topics/a", &fields, "", 400, says);
    }
    let says = "`earliest` or `now`";
    check("GET /topics/a?after=yesterday", &[], "", 400, says);
    let says = "a whole number of at least 1";
    check("GET /topics/a?last=-1", &[], "", 400, says);
}

#[test]
fn what_is_not_under_admin_is_told_what_is() {
    let says = "`stats`, `topics` and `connections` are";
    check("GET /admin/nothing", &[], "", 404, says);
}

#[test]
fn a_revocation_of_nothing_or_of_two_things_is_told_so() {
    let line = "POST /admin/revocations";
    check(line, &[], "{}", 400, "none of `token_id`");
    let two = r#"{"subject":"ann","match":"a"}"#;
    check(line, &[], two, 400, "more than one of `token_id`");
}

#[test]
fn a_parameter_that_is_not_known_is_refused_by_every_method() {
    let says = "takes no parameters";
    check("DELETE /topics/a?force=1", &[], "", 400, says);
    check("HEAD /topics/a?x=1", &[], "", 400, "`x` is not a parameter");
    check("HEAD /topics/a?ticket=x", &[], "", 200, "");
}

#[test]
fn nobody_is_told_what_to_show() {
    let site = Site::new(&[]);
    let told = |line| told(&site, line, &[("accept", "application/json")], "x");
    let (status, detail) = told("GET /topics/a");
    assert_eq!(status, 401);
    assert_eq!(
        detail,
        "the grant does not cover reading `a`; send a token (`Authorization: Bearer`), a ticket (`?ticket=`) or an API key \
         (`X-API-Key`)"
    );
    // A ticket reads and does nothing else.
    for line in ["POST /topics/a", "GET /admin/stats"] {
        let (status, detail) = told(line);
        assert_eq!(status, 401, "{line}");
        assert!(
            detail
                .ends_with("; send a token (`Authorization: Bearer`) or an API key (`X-API-Key`)"),
            "{line}: {detail}"
        );
    }
}

#[test]
fn nobody_is_told_what_to_show_over_a_web_socket_too() {
    let site = Site::new(&[]);
    let mut plain = site.socket("/topics/a", "", "");
    let bytes = plain.stream.bytes(site.now());
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("; send a token"), "{text}");
}

#[test]
fn an_address_that_failed_too_often_is_told_how_long_to_wait() {
    let site = Site::new(&["auth.max_failures=1"]);
    let wrong = || site.get("/topics/a", "wrong");
    assert_eq!(wrong().status, 401);
    let held = wrong();
    assert_eq!(held.status, 429);
    let detail = held.body["detail"].as_str().unwrap();
    let wait = held.headers["retry-after"].to_str().unwrap();
    assert!(detail.ends_with(&format!("; wait {wait} s")), "{detail}");
}

#[test]
fn a_command_that_takes_nothing_says_so() {
    let site = Site::new(&["auth.anonymous_subscribe=**"]);
    let mut push = site.socket("/topics/a", "push.v1", "");
    push.hear();
    let answer = push.ask(&json!({ "ref": 1, "ping": null }));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("expected `{}`"), "{message}");
}

#[test]
fn a_member_without_a_name_is_told_to_choose_one() {
    let site = Site::new(&["auth.anonymous_subscribe=**"]);
    let mut push = site.socket("/topics/a", "push.v1", "");
    push.hear();
    let answer = push.ask(&json!({ "ref": 1, "join": { "topic": "a", "member": "" } }));
    assert_eq!(answer["error"]["code"], "bad-member", "{answer}");
}

#[test]
fn base64_that_is_none_is_told_which_there_is() {
    let site = Site::new(&["auth.anonymous_subscribe=**", "auth.anonymous_publish=**"]);
    let mut push = site.socket("/topics/a", "push.v1", "");
    push.hear();
    let event = json!({ "topic": "a", "data_base64": "A" });
    let answer = push.ask(&json!({ "ref": 1, "publish": event }));
    let message = answer["error"]["message"].as_str().unwrap();
    let says = "standard base64 with padding is right";
    assert!(message.contains(says), "{message}");
}

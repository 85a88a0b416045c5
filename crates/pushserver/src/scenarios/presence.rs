//! Who is there, over `push.v1` and over HTTP.

use super::*;

fn join(topic: &str) -> Value {
    json!({ "ref": 1, "join": { "topic": topic, "data": { "name": topic } } })
}

/// Opens a connection without topics and lets it join one
fn joined<'s>(site: &'s Site, subject: &str, topic: &str) -> Client<'s> {
    let mut client = site.socket("/topics", "push.v1", &site.token(subject, "*"));
    client.hear();
    let answer = client.ask(&join(topic));
    assert_eq!(answer["result"], json!({ "member": subject }));
    client
}

/// Who is told to be there: `topic:member`
fn told(site: &Site, path: &str) -> String {
    let reply = site.get(path, &site.token("eve", "*"));
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    let members = reply.body["members"].as_array().unwrap().iter();
    let words = members.map(|one| {
        let (topic, member) = (one["topic"].as_str(), one["member"].as_str());
        format!("{}:{}", topic.unwrap(), member.unwrap())
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn who_joins_is_told_to_everyone_until_their_connection_ends() {
    let site = Site::new(&[]);
    let bob = joined(&site, "bob", "b");
    let mut ann = joined(&site, "ann", "a");
    ann.ask(&join("b"));
    assert_eq!(told(&site, "/presence?match=*"), "a:ann b:ann b:bob");
    assert_eq!(
        told(&site, "/presence?match=b&match=*"),
        "a:ann b:ann b:bob"
    );
    let answer = ann.ask(&json!({ "ref": 2, "presence": { "match": ["a"] } }));
    let member = json!({ "topic": "a", "member": "ann", "data": { "name": "a" } });
    assert_eq!(
        answer,
        json!({ "ref": 2, "result": { "members": [member] } })
    );
    drop(bob);
    assert_eq!(told(&site, "/presence?match=*"), "a:ann b:ann");
    let left = ann.ask(&json!({ "ref": 3, "leave": { "topic": "b" } }));
    assert_eq!(left, json!({ "ref": 3, "result": { "left": true } }));
    assert_eq!(told(&site, "/presence?match=*"), "a:ann");
}

#[test]
fn a_subject_with_two_connections_is_present_until_the_last_one_ends() {
    let site = Site::new(&[]);
    let first = joined(&site, "ann", "a");
    let second = joined(&site, "ann", "a");
    assert_eq!(told(&site, "/presence?match=a"), "a:ann");
    drop(first);
    assert_eq!(told(&site, "/presence?match=a"), "a:ann");
    drop(second);
    assert_eq!(told(&site, "/presence?match=a"), "");
}

#[test]
fn those_who_asked_hear_who_comes_and_goes_and_others_do_not() {
    let site = Site::new(&[]);
    let mut asked = site.socket("/topics", "push.v1", &site.token("eve", "*"));
    let mut quiet = site.socket("/topics/a", "push.v1", &site.token("eve", "*"));
    asked.hear();
    quiet.hear();
    asked.ask(&json!({ "ref": 1, "subscribe": { "match": ["a"], "presence": true } }));
    let ann = joined(&site, "ann", "a");
    assert!(asked.stream.was_woken());
    let bob = joined(&site, "bob", "b");
    let join = json!({ "join": { "topic": "a", "member": "ann", "data": { "name": "a" } } });
    assert_eq!(asked.hear(), [join]);
    drop((ann, bob));
    let leave = json!({ "leave": { "topic": "a", "member": "ann", "data": { "name": "a" } } });
    assert_eq!(asked.hear(), [leave]);
    assert_eq!(quiet.hear(), Vec::<Value>::new());
}

#[test]
fn a_presence_is_renewed_while_its_connection_lives_and_runs_out_when_nobody_does() {
    let site = Site::new(&[]);
    let mut ann = joined(&site, "ann", "a");
    let pattern = pushcore::Pattern::parse("a").unwrap();
    let there = |seconds| {
        let at = site.after(Duration::from_secs(seconds));
        site.app.hub.handle_tick(at);
        site.app.hub.presence(&pattern, 9, at).len()
    };
    assert!(ann.stream.door.deadline() <= site.after(Duration::from_secs(20)));
    for seconds in (20..=100).step_by(20) {
        ann.hear_at(site.after(Duration::from_secs(seconds + 1)));
        assert_eq!(there(seconds + 1), 1, "after {seconds} s");
    }
    assert_eq!(there(155), 1);
    assert_eq!(there(170), 0);
}

#[test]
fn presence_is_checked_as_reading_is() {
    let site = Site::new(&[]);
    let _ann = joined(&site, "ann", "a");
    let bob = site.token("bob", "b");
    assert_eq!(site.get("/presence?match=a", &bob).status, 403);
    assert_eq!(site.get("/presence?match=*", &bob).status, 403);
    assert_eq!(site.get("/presence?match=a", "").status, 401);
    assert_eq!(site.get("/presence", &bob).status, 400);
    let mut push = site.socket("/topics", "push.v1", &bob);
    push.hear();
    let code = |push: &mut Client<'_>, command: Value| push.ask(&command)["error"]["code"].clone();
    assert_eq!(code(&mut push, join("a")), "forbidden");
    let ask = json!({ "ref": 1, "presence": { "match": ["a"] } });
    assert_eq!(code(&mut push, ask), "forbidden");
    let other = json!({ "ref": 1, "join": { "topic": "b", "member": "ann" } });
    assert_eq!(code(&mut push, other), "forbidden");
    assert_eq!(code(&mut push, join("b/*")), "bad-topic");
}

#[test]
fn who_may_no_longer_read_a_topic_is_no_longer_there() {
    let site = Site::new(&[]);
    let mut ann = joined(&site, "ann", "a");
    ann.ask(&join("b"));
    let smaller = site.token("ann", "b");
    ann.ask(&json!({ "ref": 2, "refresh": { "token": smaller } }));
    assert_eq!(told(&site, "/presence?match=*"), "b:ann");
    let order = json!({ "subject": "ann" });
    assert_eq!(
        site.post("/admin/revocations", &site.admin(), &order)
            .status,
        200
    );
    assert_eq!(ann.hear(), [json!({ "close": 4507 })]);
    assert_eq!(told(&site, "/presence?match=*"), "");
}

#[test]
fn nobody_in_particular_chooses_a_name_that_no_subject_has() {
    let site = Site::new(&["auth.anonymous_subscribe=a"]);
    let mut push = site.socket("/topics/a", "push.v1", "");
    push.hear();
    assert_eq!(push.ask(&join("a"))["error"]["code"], "bad-member");
    let named = json!({ "ref": 1, "join": { "topic": "a", "member": "ann" } });
    assert_eq!(push.ask(&named)["result"]["member"], "~ann");
    assert_eq!(told(&site, "/presence?match=a"), "a:~ann");
}

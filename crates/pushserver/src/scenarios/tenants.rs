//! Two tenants on one server: neither learns what the other has.

use super::*;

/// What a stranger may try on a topic, by name
const DOORS: &[(&str, &str, &str)] = &[
    ("page", "GET", "/topics/{}"),
    ("replay", "GET", "/topics/{}?after=earliest"),
    ("long poll", "GET", "/topics/{}?wait=1ms"),
    ("several", "GET", "/topics?match=blue/own&match={}"),
    ("counts", "HEAD", "/topics/{}"),
    ("presence", "GET", "/presence?match={}"),
    ("erase", "DELETE", "/topics/{}"),
    ("publish", "POST", "/topics/{}"),
    ("end", "POST", "/topics/{}?end=true"),
];

/// A server where the tenant `red` has a topic with events, one that has ended, and somebody present
fn site() -> Site {
    let site = Site::new(&[]);
    site.publish("red/full", "1");
    let red = site.token("red", "red/**");
    assert_eq!(
        site.send("POST", "/topics/red/over?end=true", &red, "1")
            .status,
        200
    );
    site
}

#[test]
fn no_answer_tells_whether_another_tenants_topic_exists() {
    let site = site();
    let red = site.token("red", "red/**");
    let mut there = site.socket("/topics/red/full", "push.v1", &red);
    there.say(&json!({ "ref": 1, "join": { "topic": "red/full" } }));
    let blue = site.token("blue", "blue/*");
    for token in [blue.as_str(), ""] {
        for (door, method, path) in DOORS {
            let told = |topic: &str| {
                let reply = site.send(method, &path.replace("{}", topic), token, "x");
                let body = reply.body.to_string().replace(topic, "TOPIC");
                (
                    reply.status,
                    reply.headers.contains_key("www-authenticate"),
                    body,
                )
            };
            let nothing = told("red/nothing");
            let expect = if token.is_empty() {
                (401, true)
            } else {
                (403, false)
            };
            assert_eq!((nothing.0, nothing.1), expect, "{door} {nothing:?}");
            for topic in ["red/full", "red/over"] {
                assert_eq!(told(topic), nothing, "{door} of {topic}");
            }
            let wide = path.replace("{}", "**");
            if *method == "GET" {
                assert_eq!(
                    site.get(&wide, token).status,
                    expect.0,
                    "{door} of everything"
                );
            }
        }
    }
}

#[test]
fn event_streams_are_refused_alike_whatever_is_there() {
    let site = site();
    let bearer = format!("Bearer {}", site.token("blue", "blue/*"));
    for topic in ["red/full", "red/over", "red/nothing", "**", "*/full"] {
        for (fields, status) in [
            (vec![("authorization", bearer.as_str())], 403),
            (vec![], 401),
        ] {
            let path = format!("/topics/{topic}?after=earliest");
            let mut fields = fields;
            fields.push(("accept", "text/event-stream"));
            let Answer::Response(response) = site.ask("GET", &path, &fields, "") else {
                panic!("{topic} is streamed");
            };
            assert_eq!(response.status(), status, "{topic}");
        }
    }
}

#[test]
fn a_socket_is_refused_alike_whatever_is_there() {
    let site = site();
    let mut blue = site.socket("/topics/blue/own", "push.v1", &site.token("blue", "blue/*"));
    blue.hear();
    let commands = |topic: &str| {
        let all = [topic, "blue/own"];
        [
            json!({ "ref": 1, "subscribe": { "match": all } }),
            json!({ "ref": 1, "history": { "match": [topic] } }),
            json!({ "ref": 1, "presence": { "match": [topic] } }),
            json!({ "ref": 1, "publish": { "topic": topic, "data": "x" } }),
        ]
    };
    let mut told = |topic: &str| -> Vec<String> {
        let answers = commands(topic).map(|command| blue.ask(&command).to_string());
        answers
            .map(|answer| answer.replace(topic, "TOPIC"))
            .to_vec()
    };
    let nothing = told("red/nothing");
    assert!(
        nothing
            .iter()
            .all(|answer| answer.contains("\"forbidden\"")),
        "{nothing:?}"
    );
    assert_eq!(told("red/full"), nothing);
    assert_eq!(told("red/over"), nothing);
    let join = json!({ "ref": 1, "join": { "topic": "red/full" } });
    assert_eq!(blue.ask(&join)["error"]["code"], "forbidden");
    site.publish("red/full", "2");
    assert_eq!(blue.hear(), Vec::<Value>::new());
    for topic in ["red/full", "red/over", "red/nothing"] {
        let path = format!("/topics/{topic}");
        for protocol in ["", "push.v1"] {
            let mut refused = site.socket(&path, protocol, &site.token("blue", "blue/*"));
            assert_eq!(
                refused.hear(),
                [json!({ "close": 4503 })],
                "{topic} {protocol}"
            );
        }
    }
}

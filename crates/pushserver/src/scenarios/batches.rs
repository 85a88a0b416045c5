//! Batches and their bound, the ends of topics, and what of all that is counted as published.

use super::*;

fn lines(count: usize) -> String {
    "{\"topic\":\"a\",\"data\":\"\"}\n".repeat(count)
}

fn published(site: &Site) -> u64 {
    let metrics = site.get("/metrics", &site.admin()).text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("pushserver_published_events_total "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_batch_over_the_bound_is_refused_as_a_whole() {
    let site = Site::new(&["http.max_batch_events=3"]);
    let admin = site.token("ann", "a");
    let full = site.send("POST", "/publish", &admin, &lines(3));
    assert_eq!(full.status, 200, "{:?}", full.body);
    assert_eq!(full.body["results"].as_array().unwrap().len(), 3);
    let over = site.send("POST", "/publish", &admin, &lines(4));
    assert_eq!(over.status, 413, "{:?}", over.body);
    assert_eq!(over.body["type"], "urn:pushserver:problem:too-large");
    let detail = over.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("at most 3") && detail.contains("http.max_batch_events"),
        "{detail}"
    );
    assert_eq!(published(&site), 3);
}

#[test]
fn commands_that_came_together_may_exceed_the_bound_and_one_alone_may_not() {
    let site = Site::new(&["http.max_batch_events=3"]);
    let mut push = site.socket("/topics", "push.v1", &site.token("ann", "a"));
    push.hear();
    let event = json!({ "topic": "a", "data": "x" });
    let command =
        |number: u64, events: usize| json!({ "ref": number, "publish": vec![&event; events] });
    push.say_together(&[command(1, 2), command(2, 2), command(3, 3), command(4, 4)]);
    let heard = push.hear();
    for (answer, count) in heard.iter().zip([2, 2, 3]) {
        let results = answer["result"]["results"].as_array().unwrap();
        assert_eq!(results.len(), count, "{answer}");
        assert!(
            results.iter().all(|result| result["id"].is_string()),
            "{answer}"
        );
    }
    assert_eq!(heard[3]["error"]["code"], "too-large", "{heard:?}");
    assert_eq!(published(&site), 7);
}

#[test]
fn messages_of_a_plain_socket_that_came_together_may_exceed_the_bound() {
    let site = Site::new(&["http.max_batch_events=3"]);
    let mut plain = site.socket("/topics/a", "", &site.token("ann", "a"));
    plain.hear();
    let messages: Vec<_> = (0..7).map(|number| json!([number])).collect();
    plain.say_together(&messages);
    assert_eq!(plain.hear(), messages);
    assert_eq!(published(&site), 7);
}

#[test]
fn only_what_was_published_counts_as_published() {
    let site = Site::new(&[]);
    let ann = site.token("ann", "*");
    let once = json!({ "topic": "a", "data": "1", "idempotency_key": "k" });
    let other = json!({ "topic": "a", "data": "2", "idempotency_key": "k" });
    let end = json!({ "topic": "b", "end": true });
    let late = json!({ "topic": "b", "data": "3" });
    let reply = site.post("/publish", &ann, &json!([once, once, other, end, late]));
    let results = reply.body["results"].as_array().unwrap();
    assert_eq!(results[1]["duplicate"], true);
    assert_eq!(results[2]["error"]["code"], "idempotency-conflict");
    assert_eq!(results[4]["error"]["code"], "topic-ended");
    assert_eq!(published(&site), 1);
    let mut plain = site.socket("/topics/b", "", &ann);
    plain.say_text("4");
    assert_eq!(published(&site), 1);
}

/// Ends a topic twice by the same request; gives the answers, and what a reader sees
#[track_caller]
fn end_twice(path: &str, key: &str) -> ([Reply; 2], Value) {
    let site = Site::new(&[]);
    let bearer = format!("Bearer {}", site.token("ann", "a"));
    let mut fields = vec![("authorization", bearer.as_str())];
    if !key.is_empty() {
        fields.push(("idempotency-key", key));
    }
    let ask = || site.reply(site.ask("POST", path, &fields, ""));
    let replies = [ask(), ask()];
    let page = site.get("/topics/a?after=earliest", &site.token("ann", "a"));
    assert_eq!(page.body["ends"][0]["reason"], "ended", "{:?}", page.body);
    (replies, page.body["events"].clone())
}

#[test]
fn an_end_with_a_key_can_be_repeated() {
    let ([first, again], events) = end_twice("/topics/a?end=true", "k");
    assert_eq!((first.status, again.status), (200, 200), "{:?}", again.body);
    assert_eq!(first.body.get("duplicate"), None);
    assert_eq!(again.body["duplicate"], true);
    assert_eq!(again.body["id"], first.body["id"]);
    assert_eq!(events[0]["data"], "", "{events}");
}

#[test]
fn an_end_with_a_type_or_key_is_an_event_of_that_type_or_key() {
    for (parameter, value) in [("type", "done"), ("key", "k")] {
        let ([first, again], events) =
            end_twice(&format!("/topics/a?end=true&{parameter}={value}"), "");
        assert_eq!((first.status, again.status), (200, 409));
        assert_eq!(events[0][parameter], value, "{events}");
        assert_eq!(events[0]["data"], "", "{events}");
    }
}

#[test]
fn a_bare_end_is_no_event() {
    let ([first, again], events) = end_twice("/topics/a?end=true", "");
    assert_eq!((first.status, again.status), (200, 409));
    assert_eq!(events, json!([]));
}

#[test]
fn json_reaches_its_readers_as_it_was_written_by_every_door() {
    let written = r#"{"n":12345678901234567890123, "d":0.10000000000000000555,"x":1,"x":2}"#;
    let event = format!(r#"{{"topic":"a","data":{written}}}"#);
    let site = Site::new(&[]);
    let ann = site.token("ann", "a");
    for batch in [event.clone(), format!("[{event}]")] {
        assert_eq!(site.send("POST", "/publish", &ann, &batch).status, 200);
    }
    let mut push = site.socket("/topics", "push.v1", &ann);
    push.say_text(&format!(r#"{{"publish":{event},"ref":1}}"#));
    push.say_text(&format!(r#"{{"ref":2,"publish":[{event}]}}"#));
    let page = site.get("/topics/a?after=earliest", &ann);
    let events = page.body["events"].as_array().unwrap();
    let data: Vec<_> = events.iter().map(|event| &event["data"]).collect();
    assert_eq!(data, [written; 4]);
}

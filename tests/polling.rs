//! Pages and long polls: the fallback that works everywhere.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::http::Request;
use crate::support::server::{Server, token};

#[track_caller]
fn page(server: &Server, target: &str) -> Value {
    let reply = server.ask(&Request::page(target));
    assert_eq!(reply.status(), 200, "{reply:?}");
    assert_eq!(
        reply.header("content-type").as_deref(),
        Some("application/json")
    );
    assert_eq!(reply.header("vary").as_deref(), Some("Accept, Origin"));
    reply.json()
}

#[track_caller]
fn data(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|e| e["data"].as_str().unwrap()).collect()
}

#[test]
fn a_page_holds_events_and_where_to_go_on() {
    let server = Server::start();
    let ids: Vec<String> = (1..=3)
        .map(|n| server.publish("a", &n.to_string()))
        .collect();
    let page = page(&server, "/topics/a?after=earliest");
    assert_eq!(data(&page), ["1", "2", "3"]);
    assert_eq!(page["events"][2]["id"], ids[2].as_str());
    assert_eq!(page["events"][0]["topic"], "a");
    assert!(page["events"][0]["time"].is_number());
    assert_eq!(page["next"], ids[2].as_str());
    assert_eq!(page["up_to_date"], true);
}

#[test]
fn a_poller_loses_and_repeats_nothing() {
    let server = Server::start();
    let first = page(&server, "/topics/a");
    assert_eq!(data(&first), [""; 0]);
    assert_eq!(first["up_to_date"], true);
    let mut next = first["next"].as_str().unwrap().to_owned();
    for n in 0..5 {
        server.publish("a", &format!("{n}"));
        server.publish("b", "not asked for");
        server.publish("a", &format!("{n}+"));
        let page = page(&server, &format!("/topics/a?after={next}"));
        assert_eq!(data(&page), [format!("{n}"), format!("{n}+")]);
        next = page["next"].as_str().unwrap().to_owned();
    }
    let rest = page(&server, &format!("/topics/a?after={next}"));
    assert_eq!(data(&rest), [""; 0]);
}

#[test]
fn pages_of_a_limit_join_without_a_seam() {
    let server = Server::start();
    let all: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    for n in &all {
        server.publish("a", n);
    }
    let mut got = Vec::new();
    let mut after = "earliest".to_owned();
    loop {
        let page = page(&server, &format!("/topics/a?limit=3&after={after}"));
        assert!(data(&page).len() <= 3, "{page}");
        got.extend(data(&page).into_iter().map(str::to_owned));
        after = page["next"].as_str().unwrap().to_owned();
        if page["up_to_date"] == true {
            break;
        }
    }
    assert_eq!(got, all);
}

#[test]
fn a_long_poll_is_answered_by_the_next_event() {
    let server = Server::start();
    let next = page(&server, "/topics/a")["next"]
        .as_str()
        .unwrap()
        .to_owned();
    let target = format!("/topics/a?wait=15s&after={next}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| page(&server, &target));
        server.publish("a", "awaited");
        let page = waiting.join().unwrap();
        assert_eq!(data(&page), ["awaited"]);
    });
}

#[test]
fn a_long_poll_from_now_is_answered_by_the_next_event() {
    let server = Server::with(&["rates.subject_publishes_per_second=none"]);
    let request = Request::page("/topics/a?wait=15s");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.ask(&request).json());
        // From now on means from when the server read the request, which only its answer shows.
        while !waiting.is_finished() {
            server.publish("a", "x");
        }
        assert_eq!(data(&waiting.join().unwrap())[0], "x");
    });
}

#[test]
fn a_long_poll_without_an_event_ends_with_its_wait() {
    let server = Server::start();
    let start = Instant::now();
    let page = page(&server, "/topics/a?wait=300ms");
    assert_eq!(data(&page), [""; 0]);
    assert_eq!(page["up_to_date"], true);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(250), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_long_poll_with_something_to_tell_does_not_wait() {
    let server = Server::start();
    server.publish("a", "there");
    let start = Instant::now();
    let page = page(&server, "/topics/a?wait=20s&after=earliest");
    assert_eq!(data(&page), ["there"]);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_poller_is_not_disconnected_however_far_behind_it_is() {
    let server = Server::with(&["lag.max_events=2"]);
    for n in 0..9 {
        server.publish("a", &n.to_string());
    }
    let page = page(&server, "/topics/a?after=earliest&lag=disconnect");
    assert_eq!(data(&page).len(), 9, "{page}");
}

#[test]
fn a_long_poll_waits_though_one_of_its_topics_has_ended() {
    let server = Server::start();
    server.publish_as("a", "?end=true", "done");
    let next = server.publish("b", "before");
    let target = format!("/topics?match=a&match=b&wait=15s&after={next}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| page(&server, &target));
        server.publish("b", "awaited");
        let page = waiting.join().unwrap();
        assert_eq!(data(&page), ["awaited"]);
    });
    let start = Instant::now();
    let page = page(&server, &format!("/topics/a?wait=15s&after={next}"));
    assert_eq!(page["ends"][0]["match"], "a", "nothing can come: {page}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_long_poll_waits_though_its_grant_runs_out_soon() {
    let secret = "auth.secret=0123456789abcdef0123456789abcdef";
    let server = Server::with(&[secret]);
    let soon = token(secret, &["--subscribe", "a", "--lifetime", "20s"]);
    let start = Instant::now();
    let request = Request::page("/topics/a?wait=300ms");
    let bearer = format!("Bearer {soon}");
    let reply = server.ask(&request.header("Authorization", &bearer));
    assert_eq!(reply.status(), 200, "{reply:?}");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(250), "{took:?}");
}

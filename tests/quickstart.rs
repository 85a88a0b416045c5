//! What the project is for: follow by any door, publish with curl, leave, come back, and have missed nothing.

use std::process::Command;

use crate::support::foreign::{Foreign, Site};
use crate::support::http::Request;
use crate::support::server::Server;
use crate::support::skip;

/// Publishes as README says to; the answer is the position.
#[track_caller]
fn curl_d(server: &Server, topic: &str, data: &str) -> String {
    let curl = skip::program("curl").unwrap();
    let output = Command::new(curl)
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--noproxy",
            "*",
        ])
        .args(["-d", data, &server.url(&format!("/topics/{topic}"))])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

/// Follow, publish three, stop, publish three more, come back: those three come and then what is live.
#[track_caller]
fn misses_nothing_while_away(client: Foreign) {
    if skip::program("curl").is_none() {
        return;
    }
    let site = Site::start();
    let server = &site.server;
    curl_d(server, "news", "before anybody came");
    let Some(mut follower) = site.follow(client, "news", None) else {
        return;
    };
    let mut seen = String::new();
    for data in ["one", "two", "three"] {
        let id = curl_d(server, "news", data);
        seen = expect_next(&mut follower, &id, data);
    }
    drop(follower);

    let missed: Vec<(String, &str)> = ["four", "five", "six"]
        .map(|data| (curl_d(server, "news", data), data))
        .into();
    let mut follower = site.follow(client, "news", Some(&seen)).unwrap();
    for (id, data) in &missed {
        expect_next(&mut follower, id, data);
    }
    let id = curl_d(server, "news", "seven");
    expect_next(&mut follower, &id, "seven");
}

#[track_caller]
fn expect_next(follower: &mut crate::support::foreign::Follower, id: &str, data: &str) -> String {
    let got = follower.next_message();
    assert_eq!(got, (id.to_owned(), data.to_owned()));
    got.0
}

#[test]
fn curl_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::Curl);
}

#[test]
fn fastwebsockets_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::Fastwebsockets);
}

#[test]
fn eventsource_of_npm_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::EventSource);
}

#[test]
fn ws_of_npm_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::Ws);
}

#[test]
fn websockets_of_python_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::Websockets);
}

#[test]
fn httpx_sse_of_python_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::HttpxSse);
}

#[test]
fn http2_of_node_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::NodeHttp2);
}

#[test]
fn web_socket_over_http2_of_node_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::NodeHttp2Socket);
}

#[test]
fn h2_of_python_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::PythonH2);
}

#[test]
fn web_socket_over_h2_of_python_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::PythonH2Socket);
}

#[test]
fn event_source_of_chromium_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::ChromiumEventSource);
}

#[test]
fn web_socket_of_chromium_misses_nothing_while_it_is_away() {
    misses_nothing_while_away(Foreign::ChromiumWebSocket);
}

#[test]
fn a_reader_may_leave_by_one_door_and_come_back_by_another() {
    let site = Site::start();
    let server = &site.server;
    let doors = [
        Foreign::HttpxSse,
        Foreign::Websockets,
        Foreign::Curl,
        Foreign::Fastwebsockets,
        Foreign::NodeHttp2,
        Foreign::EventSource,
        Foreign::PythonH2Socket,
        Foreign::Ws,
    ];
    let mut seen: Option<String> = None;
    for (turn, door) in doors.into_iter().enumerate() {
        let away = seen
            .is_some()
            .then(|| server.publish("news", &format!("away {turn}")));
        let Some(mut follower) = site.follow(door, "news", seen.as_deref()) else {
            return;
        };
        if let Some(id) = away {
            expect_next(&mut follower, &id, &format!("away {turn}"));
        }
        let live = format!("live {turn}");
        let id = server.publish("news", &live);
        seen = Some(expect_next(&mut follower, &id, &live));
        drop(follower);

        // And a page between any two of them, from the same position.
        let polled = server.publish("news", &format!("polled {turn}"));
        let target = format!("/topics/news?after={}", seen.as_deref().unwrap());
        let page = server.ask(&Request::page(&target)).json();
        assert_eq!(page["events"][0]["id"], polled.as_str());
        assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
        assert_eq!(page["up_to_date"], true, "{page}");
        seen = Some(page["next"].as_str().unwrap().to_owned());
    }
}

#[test]
fn three_kinds_of_client_follow_one_topic_at_once() {
    let site = Site::start();
    let kinds = [Foreign::ChromiumEventSource, Foreign::Curl, Foreign::Ws];
    let followers: Vec<_> = kinds
        .into_iter()
        .map_while(|kind| site.follow(kind, "news", None))
        .collect();
    if followers.len() < kinds.len() {
        return;
    }
    let mut followers = followers;
    for data in ["a", "b"] {
        let id = site.server.publish("news", data);
        for follower in &mut followers {
            expect_next(follower, &id, data);
        }
    }
}

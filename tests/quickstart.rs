//! What the project is for: follow by any door, publish with curl, leave, come back, and have missed nothing.

use std::process::Command;
use std::time::Instant;

use crate::support::PATIENCE;
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

/// What the server said to try under this title.
#[track_caller]
fn told(server: &Server, title: &str) -> String {
    let start = Instant::now();
    loop {
        let said = server.said();
        let mut lines = said.lines();
        if let Some(told) = lines.find_map(|line| line.trim().strip_prefix(title)) {
            return told.trim().to_owned();
        }
        assert!(start.elapsed() < PATIENCE, "no {title:?} in\n{said}");
        std::thread::yield_now();
    }
}

/// Runs it in a shell that finds the programs, after what must come before; what it writes.
#[track_caller]
fn as_told(server: &Server, title: &str, before: &str) -> String {
    let told = told(server, title);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_pushserver"));
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("{before}\n{told}")])
        .env(
            "PATH",
            format!("{}:{path}", program.parent().unwrap().display()),
        )
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_a_server_with_a_key_says_to_try_is_answered() {
    if skip::program("curl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it's mine.toml");
    let key = "[auth]\nsecret = \"a-secret-of-more-than-32-bytes-for-tests\"\n";
    std::fs::write(&file, key).unwrap();
    let server = Server::configured(&file);
    let token = told(&server, "a token to try");
    let published = as_told(&server, "publish to it", &token);
    assert!(published.contains("\"id\""), "{published}");
    let ticket = as_told(&server, "a ticket", &token);
    assert!(ticket.contains("\"ticket\""), "{ticket}");
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

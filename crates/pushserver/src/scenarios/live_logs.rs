//! Live logs whose sender loses its grant, or sends what cannot be published, while the body goes on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;

use http_body::{Body, Frame};

use super::*;

/// What happens, and the piece that comes then
type Step = (Box<dyn Fn()>, &'static [u8]);

/// A body that does something before each of its pieces
struct Script {
    pieces: VecDeque<Step>,
    at_the_end: Box<dyn Fn()>,
}

impl Script {
    fn new(pieces: impl IntoIterator<Item = Step>) -> Self {
        Self {
            pieces: pieces.into_iter().collect(),
            at_the_end: nothing(),
        }
    }

    /// Does something before its end
    fn then(mut self, act: impl Fn() + 'static) -> Self {
        self.at_the_end = Box::new(act);
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.pieces.pop_front();
        if next.is_none() {
            (self.at_the_end)();
        }
        Poll::Ready(next.map(|(act, piece)| {
            act();
            Ok(Frame::data(Bytes::from_static(piece)))
        }))
    }
}

fn nothing() -> Box<dyn Fn()> {
    Box::new(|| {})
}

fn events_of(site: &Site, topic: &str) -> u64 {
    let topic = pushcore::Topic::parse(topic).unwrap();
    let status = site.app.hub.topic_status(&topic);
    status.map_or(0, |status| status.events)
}

/// Sends two lines, lets `lose` happen to ann's grant, and sends a third
#[track_caller]
fn check(site: &Site, token: &str, lose: impl Fn() + 'static) {
    let body = Script::new([
        (nothing(), &b"one\ntwo\nthr"[..]),
        (Box::new(lose), &b"ee\n"[..]),
        (nothing(), &b"four\n"[..]),
    ]);
    let reply = site.upload("/topics/a?each=line&end=true", token, body);
    assert_eq!(reply.status, 401, "{:?}", reply.body);
    let fresh = site.post("/topics/a", token, &json!("x"));
    for member in ["type", "title", "status", "detail"] {
        assert_eq!(reply.body[member], fresh.body[member]);
    }
    assert_eq!(reply.headers["www-authenticate"], "Bearer");
    assert_eq!(reply.body["published"], 2);
    assert_eq!(reply.body["id"], site.app.hub.head().to_string());
    assert_eq!(events_of(site, "a"), 2);
}

#[test]
fn a_revoked_grant_publishes_no_further_line() {
    let site = Site::new(&[]);
    let app = Arc::clone(&site.app);
    check(&site, &site.token("ann", "a"), move || {
        let revocation = pushcore::Revocation::Subject("ann".to_owned());
        let now = app.clock.now();
        app.hub.revoke(
            &revocation,
            now.saturating_add(Duration::from_secs(60)),
            now,
        );
    });
}

#[test]
fn an_expired_grant_publishes_no_further_line() {
    let site = Site::new(&["auth.leeway=0s"]);
    let soon = site.now().0 / 1000 + 60;
    let token = site.token_of(&json!({ "exp": soon, "push": { "publish": ["a"] } }));
    let app = Arc::clone(&site.app);
    let body = Script::new([
        (nothing(), &b"one\ntwo\nthr"[..]),
        (
            Box::new(move || app.clock.leap(Duration::from_secs(61))),
            &b"ee\n"[..],
        ),
    ]);
    let reply = site.upload("/topics/a?each=line", &token, body);
    assert_eq!(reply.status, 401, "{:?}", reply.body);
    assert_eq!(reply.headers["www-authenticate"], "Bearer");
    assert_eq!(reply.body["published"], 2);
    assert_eq!(events_of(&site, "a"), 2);
}

#[test]
fn a_body_whose_lines_are_all_published_is_answered_so_whatever_becomes_of_its_grant() {
    let site = Site::new(&[]);
    let app = Arc::clone(&site.app);
    let revoke = move || {
        let revocation = pushcore::Revocation::Subject("ann".to_owned());
        app.hub
            .revoke(&revocation, Timestamp(u64::MAX), app.clock.now());
    };
    let body = Script::new([(nothing(), &b"one\n"[..])]).then(revoke);
    let reply = site.upload("/topics/a?each=line", &site.token("ann", "a"), body);
    assert_eq!((reply.status, &reply.body["published"]), (200, &1.into()));
}

/// Sends lines in one piece, and in pieces of one line
#[track_caller]
fn check_fault(settings: &[&str], lines: &'static [u8], status: u16, published: u64, line: &str) {
    let whole = [lines].into_iter();
    let single = lines.split_inclusive(|byte| *byte == b'\n');
    let pieces: [Vec<&'static [u8]>; 2] = [whole.collect(), single.collect()];
    for pieces in pieces {
        let site = Site::new(settings);
        let pieces = pieces.into_iter().map(|piece| (nothing(), piece));
        let token = site.token("ann", "a");
        let reply = site.upload("/topics/a?each=line", &token, Script::new(pieces));
        assert_eq!(reply.status, status, "{:?}", reply.body);
        assert_eq!(reply.body["published"], published, "{:?}", reply.body);
        assert_eq!(events_of(&site, "a"), published);
        match published {
            0 => assert!(reply.body.get("id").is_none(), "{:?}", reply.body),
            _ => assert_eq!(reply.body["id"], site.app.hub.head().to_string()),
        }
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(line), "{detail}");
    }
}

#[test]
fn a_line_that_cannot_be_published_is_named_and_those_before_it_are_in_the_log() {
    check_fault(&[], b"one\ntwo\n\xff\nfour\n", 400, 2, "line 3: ");
    check_fault(&[], b"\xff\ntwo\n", 400, 0, "line 1: ");
    let short = &["http.max_body_bytes=4", "stream.max_page_bytes=64KiB"];
    check_fault(short, b"one\ntwo\nthree\nfour\n", 413, 2, "line 3: ");
    check_fault(short, b"one\ntwo\nthree", 413, 2, "line 3: ");
    let small = &["http.max_batch_events=2"];
    check_fault(small, b"1\n2\n3\n4\n5\n\xff\n7\n", 400, 5, "line 6: ");
}

#[test]
fn too_many_lines_are_refused_with_what_was_published() {
    let site = Site::new(&["rates.subject_publishes_per_second=1"]);
    let pieces = [&b"1\n2\n"[..], b"3\n", b"4\n"].map(|piece| (nothing(), piece));
    let token = site.token("ann", "a");
    let reply = site.upload("/topics/a?each=line", &token, Script::new(pieces));
    assert_eq!(reply.status, 429, "{:?}", reply.body);
    assert!(reply.headers.contains_key("retry-after"));
    assert_eq!(reply.body["published"], 2);
    assert_eq!(reply.body["id"], site.app.hub.head().to_string());
}

#[test]
fn a_topic_that_ends_meanwhile_is_told_with_its_line() {
    let site = Site::new(&[]);
    let app = Arc::clone(&site.app);
    let end = move || {
        let topic = pushcore::Topic::parse("a").unwrap();
        app.hub.end_topic(&topic, app.clock.now()).unwrap();
    };
    let body = Script::new([(nothing(), &b"1\n2\n"[..]), (Box::new(end), &b"3\n4\n"[..])]);
    let reply = site.upload("/topics/a?each=line", &site.token("ann", "a"), body);
    assert_eq!(reply.status, 409, "{:?}", reply.body);
    assert_eq!(reply.body["published"], 2);
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("line 3: the topic has ended"),
        "{detail}"
    );
}

#[test]
fn a_piece_may_hold_any_number_of_lines() {
    static BLANK: [u8; 25_000] = [b'\n'; 25_000];
    let site = Site::new(&["rates.subject_publishes_per_second=100000"]);
    let body = Script::new([(nothing(), &BLANK[..])]);
    let reply = site.upload("/topics/a?each=line", &site.token("ann", "a"), body);
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert_eq!(reply.body["published"], 25_000);
    assert_eq!(reply.body["id"], site.app.hub.head().to_string());
}

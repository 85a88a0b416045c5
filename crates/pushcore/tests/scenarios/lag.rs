//! Readers that fall behind.

use pushcore::*;

use crate::story::{NOW, hub, patterns, read, retain, topic};

fn lagging(action: LagAction, max: u64) -> LagPolicy {
    LagPolicy {
        action,
        max_lag: MaxLag {
            events: Some(max),
            ..MaxLag::default()
        },
    }
}

#[track_caller]
fn check_lag(action: LagAction, max: u64, published: &[(&str, &str)], expect: &str) {
    let hub = hub(retain(100));
    let options = SubscribeOptions {
        patterns: patterns("a b"),
        lag: lagging(action, max),
        ..SubscribeOptions::default()
    };
    let mut reader = hub.subscribe(options, NOW).unwrap();
    for (name, key) in published {
        let offset = hub.head().offset + 1;
        let mut event = NewEvent::new(topic(name), format!("{name}{offset}").as_str());
        event.key = (!key.is_empty()).then(|| Key::parse(key).unwrap());
        drop(hub.publish(vec![event], None, NOW));
    }
    assert_eq!(read(&mut reader), expect);
}

#[test]
fn who_lags_skips_to_the_newest_if_that_is_its_policy() {
    let all = [("a", ""), ("b", ""), ("a", ""), ("a", "")];
    check_lag(LagAction::Newest, 3, &all, "lag(a:1-3)=2 lag(b:1-3)=1 a4");
    check_lag(LagAction::Newest, 4, &all, "a1 b2 a3 a4");
    check_lag(LagAction::Replay, 3, &all, "a1 b2 a3 a4");
    check_lag(LagAction::Disconnect, 3, &all, "closed(lagged)");
    check_lag(LagAction::Disconnect, 4, &all, "a1 b2 a3 a4");
}

#[test]
fn only_events_that_newer_ones_replace_are_conflated() {
    let all = [
        ("a", "k"),
        ("a", ""),
        ("a", "l"),
        ("b", "k"),
        ("a", "k"),
        ("a", "k"),
    ];
    check_lag(LagAction::Conflate, 6, &all, "a1 a2 a3 b4 a5 a6");
    check_lag(
        LagAction::Conflate,
        5,
        &all,
        "conflated(a:1-1)=1 a2 a3 b4 conflated(a:5-5)=1 a6",
    );
}

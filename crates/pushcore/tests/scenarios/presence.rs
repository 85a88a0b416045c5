//! Who comes and goes.

use std::time::Duration;

use pushcore::*;

use crate::story::{NOW, hub, pattern, patterns, retain, topic};

#[test]
fn readers_that_ask_hear_who_comes_and_goes() {
    let mut config = retain(9);
    config.max_presence_changes = 3;
    config.max_members = 2;
    let hub = hub(config);
    let options = SubscribeOptions {
        patterns: patterns("a b/*"),
        presence: true,
        ..SubscribeOptions::default()
    };
    let mut reader = hub.subscribe(options, NOW).unwrap();
    let mut heard = || {
        let mut told = Vec::new();
        while let Some(delivery) = reader.try_next(NOW, Budget::default()) {
            told.push(match delivery {
                Delivery::Presence(change) => {
                    format!("{:?}({}@{})", change.kind, change.member, change.topic)
                }
                other => format!("{other:?}"),
            });
        }
        told.join(" ")
    };
    let lease = Duration::from_millis(100);
    let join = |name: &str, member: &str| hub.join(&topic(name), member, Some("{}"), lease, NOW);
    assert_eq!(join("a", "ann"), Ok(true));
    assert_eq!(join("a", "ann"), Ok(false));
    assert_eq!(join("b/c", "bob"), Ok(true));
    assert_eq!(
        join("c", "cid"),
        Err(PresenceError::TooManyMembers { max: 2 })
    );
    assert_eq!(heard(), "Join(ann@a) Join(bob@b/c)");
    assert!(hub.leave(&topic("b/c"), "bob"));
    assert!(!hub.leave(&topic("b/c"), "bob"));
    assert_eq!(join("c", "cid"), Ok(true));
    assert_eq!(heard(), "Leave(bob@b/c)");
    assert_eq!(hub.poll_timeout(), Some(Timestamp(NOW.0 + 100)));
    assert_eq!(hub.presence(&pattern("*"), 9, NOW).len(), 2);
    assert_eq!(hub.presence(&pattern("a"), 9, Timestamp(NOW.0 + 100)), []);
    hub.handle_tick(Timestamp(NOW.0 + 100));
    assert_eq!(hub.stats().members, 0);
    assert_eq!(heard(), "Leave(ann@a)");
    for _ in 0..2 {
        join("a", "ann").unwrap();
        hub.leave(&topic("a"), "ann");
    }
    assert_eq!(heard(), "PresenceMissed");
}

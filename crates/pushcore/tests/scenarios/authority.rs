//! Grants that do not cover, run out, shrink and are revoked.

use std::sync::Arc;

use pushcore::*;

use crate::story::{NOW, hub, pattern, patterns, publish, read, retain};

#[test]
fn a_grant_is_asked_at_every_delivery() {
    let hub = hub(retain(9));
    let grant = Grant {
        subscribe: patterns("a b/*").into_iter().collect(),
        expires: Some(Timestamp(NOW.0 + 100)),
        ..Grant::default()
    };
    let ask = |text: &str| SubscribeOptions {
        patterns: patterns(text),
        grant: Some(Arc::new(grant.clone())),
        ..SubscribeOptions::default()
    };
    for text in ["c", "*", "b/**", "a c"] {
        let refused = hub.subscribe(ask(text), NOW);
        assert!(
            matches!(refused, Err(SubscribeError::Forbidden { .. })),
            "{text}"
        );
    }
    let mut reader = hub.subscribe(ask("a b/c"), NOW).unwrap();
    publish(&hub, "a b/c", NOW);
    assert_eq!(read(&mut reader), "expiring a1 b/c2");
    let smaller = Grant {
        subscribe: patterns("a").into_iter().collect(),
        ..grant.clone()
    };
    publish(&hub, "a b/c", NOW);
    reader.regrant(Arc::new(smaller), NOW).unwrap();
    assert_eq!(read(&mut reader), "expiring revoked(b/c) a3");
    publish(&hub, "a", NOW);
    let late = reader.try_next(Timestamp(NOW.0 + 100), Budget::default());
    assert!(
        matches!(late, Some(Delivery::Closed(CloseReason::Expired))),
        "{late:?}"
    );
}

#[test]
fn a_revocation_reaches_running_subscriptions_and_those_to_come() {
    let hub = hub(retain(9));
    let grant = Arc::new(Grant {
        token_id: Some("t1".into()),
        subject: Some("ann".into()),
        ..Grant::all()
    });
    let options = |text: &str| SubscribeOptions {
        patterns: patterns(text),
        grant: Some(grant.clone()),
        ..SubscribeOptions::default()
    };
    let until = Timestamp(NOW.0 + 1000);
    let mut reader = hub.subscribe(options("a b"), NOW).unwrap();
    publish(&hub, "a b", NOW);
    hub.revoke(&Revocation::Pattern(pattern("b")), until, NOW);
    assert_eq!(read(&mut reader), "revoked(b) a1");
    assert!(hub.subscribe(options("*"), NOW).is_err());
    hub.revoke(&Revocation::Token("t1".into()), until, NOW);
    assert_eq!(read(&mut reader), "closed(revoked)");
    assert_eq!(
        hub.subscribe(options("a"), NOW).unwrap_err(),
        SubscribeError::Revoked
    );
    let own = SubscribeOptions {
        grant: None,
        ..options("a")
    };
    assert!(
        hub.subscribe(own, NOW).is_ok(),
        "the program's own readers are not concerned"
    );
    assert!(hub.subscribe(options("a"), until).is_ok());
}

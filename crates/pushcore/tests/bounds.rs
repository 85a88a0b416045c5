//! Every bound: what is taken at it, and what happens one past it.

// Everything here is a test, also what is not marked as one.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pushcore::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

fn hub(change: impl FnOnce(&mut HubConfig)) -> Hub {
    let mut config = HubConfig::default();
    change(&mut config);
    Hub::new(config, 1, NOW)
}

fn publish(hub: &Hub, event: NewEvent, now: Timestamp) -> Result<Receipt, PublishError> {
    hub.publish(vec![event], None, now)
        .try_ready()
        .ok()
        .unwrap()
        .remove(0)
}

fn keyed(name: &str, key: &str) -> NewEvent {
    let mut event = NewEvent::new(topic(name), "x");
    event.idempotency = Some(IdempotencyKey::parse(key).unwrap());
    event
}

fn reading(patterns: &[&str]) -> SubscribeOptions {
    SubscribeOptions {
        patterns: patterns
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect(),
        ..SubscribeOptions::default()
    }
}

fn retaining(retention: Retention) -> Hub {
    hub(|config| {
        config.retention = vec![RetentionRule {
            pattern: Pattern::parse("**").unwrap(),
            retention,
        }];
    })
}

#[test]
fn an_event_may_be_as_large_as_the_largest() {
    let hub = hub(|config| config.max_event_bytes = 10);
    let sized = |size: usize| publish(&hub, NewEvent::new(topic("a"), "x".repeat(size)), NOW);
    assert!(sized(10).is_ok());
    assert_eq!(
        sized(11),
        Err(PublishError::TooLarge { bytes: 11, max: 10 })
    );
    let mut labelled = NewEvent::new(topic("a"), "x".repeat(9));
    labelled.key = Some(Key::parse("kk").unwrap());
    assert_eq!(
        publish(&hub, labelled, NOW),
        Err(PublishError::TooLarge { bytes: 11, max: 10 })
    );
}

#[test]
fn a_batch_may_have_as_many_events_as_it_may() {
    let hub = hub(|config| config.max_batch_events = 3);
    let batch = |count: usize| {
        let batch = vec![NewEvent::new(topic("a"), "x"); count];
        hub.publish(batch, None, NOW).try_ready().ok().unwrap()
    };
    assert!(batch(3).iter().all(Result::is_ok));
    assert_eq!(
        batch(4),
        vec![Err(PublishError::BatchTooLong { max: 3 }); 4]
    );
    assert_eq!(hub.head().offset, 3);
}

#[test]
fn subscriptions_patterns_and_wildcards_are_counted() {
    let hub = hub(|config| {
        config.max_subscriptions = 2;
        config.max_patterns = 2;
        config.max_wildcards = 1;
    });
    let refused = |patterns: &[&str]| hub.subscribe(reading(patterns), NOW).unwrap_err();
    assert_eq!(
        refused(&["a", "b", "c"]),
        SubscribeError::TooManyPatterns { max: 2 }
    );
    assert_eq!(
        refused(&["*", "**"]),
        SubscribeError::TooManyWildcards { max: 1 }
    );
    let mut first = hub.subscribe(reading(&["*"]), NOW).unwrap();
    let _second = hub.subscribe(reading(&["*", "a"]), NOW).unwrap();
    assert_eq!(
        refused(&["a"]),
        SubscribeError::TooManySubscriptions { max: 2 }
    );
    let add =
        |first: &mut Subscription, text: &str| first.add(Pattern::parse(text).unwrap(), None, NOW);
    assert_eq!(
        add(&mut first, "**"),
        Err(SubscribeError::TooManyWildcards { max: 1 })
    );
    assert!(add(&mut first, "b").is_ok());
    assert_eq!(
        add(&mut first, "c"),
        Err(SubscribeError::TooManyPatterns { max: 2 })
    );
    drop(first);
    assert!(hub.subscribe(reading(&["a"]), NOW).is_ok());
}

#[test]
fn retention_keeps_what_it_says_and_no_more() {
    let count = retaining(Retention {
        max_events: Some(3),
        max_bytes: None,
        max_age: None,
    });
    let bytes = retaining(Retention {
        max_events: None,
        max_bytes: Some(3),
        max_age: None,
    });
    for hub in [&count, &bytes] {
        for published in 1..=5 {
            publish(hub, NewEvent::new(topic("a"), "x"), NOW).unwrap();
            assert_eq!(
                hub.topic_status(&topic("a")).unwrap().events,
                published.min(3)
            );
        }
    }
    publish(&bytes, NewEvent::new(topic("a"), "long"), NOW).unwrap();
    assert_eq!(
        bytes.topic_status(&topic("a")).unwrap().events,
        1,
        "the newest stays however large"
    );
}

#[test]
fn age_ends_at_its_moment() {
    let hub = retaining(Retention {
        max_events: None,
        max_bytes: None,
        max_age: Some(Duration::from_millis(10)),
    });
    publish(&hub, NewEvent::new(topic("a"), "x"), NOW).unwrap();
    assert_eq!(hub.poll_timeout(), Some(Timestamp(NOW.0 + 10)));
    hub.handle_tick(Timestamp(NOW.0 + 9));
    assert_eq!(hub.stats().events, 1);
    hub.handle_tick(Timestamp(NOW.0 + 10));
    assert_eq!((hub.stats().events, hub.stats().topics), (0, 0));
    assert_eq!(hub.poll_timeout(), None);
}

#[test]
fn the_most_specific_rule_governs_a_topic() {
    let rule = |text: &str, max| RetentionRule {
        pattern: Pattern::parse(text).unwrap(),
        retention: Retention {
            max_events: Some(max),
            max_bytes: None,
            max_age: None,
        },
    };
    let hub = hub(|config| config.retention = vec![rule("**", 5), rule("a/*", 3), rule("a/b", 1)]);
    for (name, kept) in [("a/b", 1), ("a/c", 3), ("z", 5), ("a/b/c", 5)] {
        (0..9).for_each(|_| drop(publish(&hub, NewEvent::new(topic(name), "x"), NOW)));
        assert_eq!(
            hub.topic_status(&topic(name)).unwrap().events,
            kept,
            "{name}"
        );
    }
}

#[test]
fn idempotency_keys_are_bounded_in_number_bytes_and_time() {
    let number = hub(|config| config.max_idempotency_keys = 2);
    let bytes = hub(|config| config.max_idempotency_bytes = 2 * (128 + "a\nk".len()));
    for hub in [&number, &bytes] {
        for key in ["1", "2", "3"] {
            assert!(!publish(hub, keyed("a", key), NOW).unwrap().duplicate);
        }
        assert_eq!(hub.stats().idempotency_keys, 2);
        assert!(publish(hub, keyed("a", "2"), NOW).unwrap().duplicate);
        assert!(
            !publish(hub, keyed("a", "1"), NOW).unwrap().duplicate,
            "the oldest was forgotten"
        );
    }
    let time = hub(|config| config.idempotency_ttl = Duration::from_millis(10));
    publish(&time, keyed("a", "1"), NOW).unwrap();
    assert!(
        publish(&time, keyed("a", "1"), Timestamp(NOW.0 + 9))
            .unwrap()
            .duplicate
    );
    assert!(
        !publish(&time, keyed("a", "1"), Timestamp(NOW.0 + 10))
            .unwrap()
            .duplicate
    );
}

#[test]
fn ends_are_bounded_in_number() {
    let hub = hub(|config| config.max_ended = 2);
    for name in ["a", "b", "c"] {
        hub.end_topic(&topic(name), NOW).unwrap();
    }
    hub.handle_tick(NOW);
    assert_eq!(hub.topic_status(&topic("a")), None);
    assert!(hub.topic_status(&topic("b")).unwrap().ended);
}

#[test]
fn revocations_are_bounded_in_number() {
    let hub = hub(|config| config.max_revocations = 1);
    let options = |token: &str| SubscribeOptions {
        grant: Some(Arc::new(Grant {
            token_id: Some(token.into()),
            ..Grant::all()
        })),
        ..reading(&["a"])
    };
    let revoke =
        |token: &str, until| hub.revoke(&Revocation::Token(token.into()), Timestamp(until), NOW);
    revoke("1", NOW.0 + 10);
    assert!(hub.subscribe(options("1"), NOW).is_err());
    revoke("2", NOW.0 + 20);
    assert!(hub.subscribe(options("2"), NOW).is_err());
    assert!(
        hub.subscribe(options("1"), NOW).is_ok(),
        "only one is remembered"
    );
}

#[test]
fn presence_is_bounded_in_names_and_metadata() {
    let hub = hub(|config| config.max_metadata_bytes = 2);
    let join = |member: &str, metadata: &str| {
        hub.join(
            &topic("a"),
            member,
            Some(metadata),
            Duration::from_secs(1),
            NOW,
        )
    };
    assert_eq!(join(&"m".repeat(255), "{}"), Ok(true));
    assert_eq!(join(&"m".repeat(256), "{}"), Err(PresenceError::Name));
    assert_eq!(join("", "{}"), Err(PresenceError::Name));
    assert_eq!(
        join("ann", "{ }"),
        Err(PresenceError::MetadataTooLong { max: 2 })
    );
}

#[test]
fn encodings_stay_within_their_part_and_go_with_their_events() {
    let hub = hub(|config| config.max_form_bytes = 10_000);
    let mut reader = hub.subscribe(reading(&["a"]), NOW).unwrap();
    for _ in 0..100 {
        publish(&hub, NewEvent::new(topic("a"), "x"), NOW).unwrap();
        let Some(Delivery::Batch(batch)) = reader.try_next(NOW, Budget::default()) else {
            panic!("it was published");
        };
        for index in 0..3 {
            for _ in 0..2 {
                batch.events()[0].form(index, || Bytes::from(vec![0; 500]));
            }
            batch.form(index, || Bytes::from(vec![0; 500]));
        }
        assert!(hub.stats().form_bytes <= 10_000);
    }
    assert!(hub.stats().form_bytes > 5_000);
    let large = || Bytes::from(vec![0; 20_000]);
    let Some(event) = hub
        .history(
            SubscribeOptions {
                start: Start::Last(1),
                ..reading(&["a"])
            },
            Budget::default(),
            NOW,
        )
        .unwrap()
        .events
        .pop()
    else {
        panic!("it is retained");
    };
    for _ in 0..3 {
        let made = event.form(9, large).len();
        assert_eq!(made, 20_000, "what cannot be kept is made all the same");
    }
    drop(event);
    hub.delete_topic(&topic("a"), NOW);
    drop(reader);
    assert_eq!(hub.stats().form_bytes, 0);
}

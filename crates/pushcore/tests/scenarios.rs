//! Small stories, each a promise of the crate, told in a line of text.
//!
//! A story is a list of steps; what a reader is given is written as a list too: `a1` is the first event published to `a`
//! (events are called by their topic and the number of the step that published them), `gap(a:1-2)` a gap in pattern `a`
//! over offsets 1 to 2, with `=2` behind it where the number missed is known.

// Everything here is a test, also what is not marked as one.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use pushcore::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn patterns(text: &str) -> Vec<Pattern> {
    text.split(' ').map(pattern).collect()
}

fn retain(max_events: u64) -> HubConfig {
    let mut config = HubConfig::default();
    config.retention = vec![rule("**", Some(max_events), None)];
    config
}

fn rule(text: &str, max_events: Option<u64>, max_age: Option<u64>) -> RetentionRule {
    RetentionRule {
        pattern: pattern(text),
        retention: Retention {
            max_events,
            max_bytes: None,
            max_age: max_age.map(Duration::from_millis),
        },
    }
}

fn hub(config: HubConfig) -> Hub {
    Hub::new(config, 1, NOW)
}

/// Publishes `a b a`: one event to each topic, its data the topic and the offset it is expected to get.
fn publish(hub: &Hub, topics: &str, now: Timestamp) -> Vec<Position> {
    let one = |name: &str| {
        let offset = hub.head().offset + 1;
        let event = NewEvent::new(topic(name), format!("{name}{offset}").as_str());
        let receipts = hub
            .publish(vec![event], None, now)
            .try_ready()
            .ok()
            .unwrap();
        receipts[0].clone().unwrap().position
    };
    topics
        .split(' ')
        .filter(|name| !name.is_empty())
        .map(one)
        .collect()
}

fn subscribe(hub: &Hub, text: &str, start: Start) -> Subscription {
    let options = SubscribeOptions {
        patterns: patterns(text),
        start,
        ..SubscribeOptions::default()
    };
    hub.subscribe(options, NOW).unwrap()
}

/// Everything a reader is given until there is nothing more.
fn read(subscription: &mut Subscription) -> String {
    let mut told = Vec::new();
    while let Some(delivery) = subscription.try_next(NOW, Budget::default()) {
        match delivery {
            Delivery::Batch(batch) => told.extend(batch.events().iter().map(|event| {
                let text = String::from_utf8(event.data().as_bytes().to_vec()).unwrap();
                assert_eq!(text, format!("{}{}", event.topic(), event.offset()));
                text
            })),
            Delivery::Gap(gap) => {
                let missed = gap.missed.map_or(String::new(), |n| format!("={n}"));
                let (from, to) = (gap.from.offset, gap.to.offset);
                let reason = match gap.reason {
                    GapReason::Retention => "gap",
                    other => other.as_str(),
                };
                told.push(format!("{reason}({}:{from}-{to}){missed}", gap.pattern));
            }
            Delivery::End(end) => told.push(format!("{}({})", end.reason.as_str(), end.pattern)),
            Delivery::Expiring { .. } => told.push("expiring".into()),
            Delivery::Closed(reason) => {
                told.push(format!("closed({})", reason.as_str()));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    told.join(" ")
}

#[track_caller]
fn check(config: HubConfig, published: &str, reads: &str, start: Start, expect: &str) {
    let hub = hub(config);
    publish(&hub, published, NOW);
    assert_eq!(read(&mut subscribe(&hub, reads, start)), expect);
}

fn after(hub: &Hub, offset: u64) -> Start {
    Start::After(Position {
        offset,
        tag: Tag::NONE,
        ..hub.head()
    })
}

#[test]
fn a_reader_from_the_start_is_given_everything_in_order() {
    check(retain(9), "a b a c/d", "a", Start::Earliest, "a1 a3");
    check(retain(9), "a b a c/d", "a b", Start::Earliest, "a1 b2 a3");
    check(
        retain(9),
        "a b a c/d",
        "**",
        Start::Earliest,
        "a1 b2 a3 c/d4",
    );
    check(
        retain(9),
        "a b a c/d",
        "** a c/*",
        Start::Earliest,
        "a1 b2 a3 c/d4",
    );
    check(retain(9), "a b a c/d", "*", Start::Now, "");
}

#[test]
fn the_last_n_are_counted_over_all_patterns() {
    check(retain(9), "a b a b b", "a b", Start::Last(3), "a3 b4 b5");
    check(retain(9), "a b a b b", "* a", Start::Last(2), "b4 b5");
    check(retain(2), "a a a b", "a b", Start::Last(9), "a2 a3 b4");
    check(retain(9), "a", "a", Start::Last(0), "");
}

#[test]
fn what_retention_took_is_announced_before_the_next_event() {
    let hub = hub(retain(2));
    let mut reader = subscribe(&hub, "a", Start::Now);
    publish(&hub, "a a a a", NOW);
    assert_eq!(read(&mut reader), "gap(a:1-2)=2 a3 a4");
    publish(&hub, "b b b b", NOW);
    assert_eq!(read(&mut reader), "");
    publish(&hub, "a a a", NOW);
    assert_eq!(read(&mut reader), "gap(a:9-9)=1 a10 a11");
}

#[test]
fn gaps_lie_between_the_events_that_are_given() {
    let mut config = retain(9);
    config.retention.push(rule("t/x", Some(1), None));
    let hub = hub(config);
    let mut reader = subscribe(&hub, "t/*", Start::Now);
    publish(&hub, "t/x t/y t/x t/y t/x t/y t/x", NOW);
    assert_eq!(
        read(&mut reader),
        "gap(t/*:1-1) t/y2 gap(t/*:3-3) t/y4 gap(t/*:5-5) t/y6 t/x7"
    );
}

#[test]
fn a_gap_does_not_move_the_cursor() {
    let hub = hub(retain(1));
    let first = publish(&hub, "a", NOW)[0];
    publish(&hub, "a a", NOW);
    let mut reader = subscribe(&hub, "a", Start::After(first));
    let gap = reader.try_next(NOW, Budget::default());
    assert!(matches!(gap, Some(Delivery::Gap(_))), "{gap:?}");
    assert_eq!(reader.position(), first);
    assert_eq!(read(&mut reader), "a3");
    assert_eq!(reader.position(), hub.head());
}

#[test]
fn a_resume_with_the_last_position_repeats_nothing_and_skips_nothing() {
    let hub = hub(retain(100));
    let positions = publish(&hub, "a b a b a", NOW);
    for (seen, position) in positions.iter().enumerate() {
        let all = ["a1", "b2", "a3", "b4", "a5"];
        let mut reader = subscribe(&hub, "a b", Start::After(*position));
        assert_eq!(read(&mut reader), all[seen + 1..].join(" "));
    }
}

#[test]
fn a_topic_that_was_forgotten_is_a_gap_for_who_comes_from_before() {
    let mut config = retain(9);
    config.retention.push(rule("x", None, Some(10)));
    let hub = hub(config);
    publish(&hub, "x x", NOW);
    hub.handle_tick(Timestamp(NOW.0 + 20));
    assert_eq!(hub.topic_status(&topic("x")), None);
    assert_eq!(
        read(&mut subscribe(&hub, "x", after(&hub, 0))),
        "gap(x:1-2)"
    );
    assert_eq!(
        read(&mut subscribe(&hub, "x", after(&hub, 1))),
        "gap(x:2-2)"
    );
    assert_eq!(read(&mut subscribe(&hub, "x", after(&hub, 2))), "");
    assert_eq!(
        read(&mut subscribe(&hub, "*", after(&hub, 1))),
        "gap(*:2-2)"
    );
}

#[test]
fn a_quiet_reader_hears_nothing_of_what_others_lose() {
    let mut config = retain(9);
    config.retention.push(rule("x", None, Some(10)));
    let hub = hub(config);
    let mut reader = subscribe(&hub, "quiet", Start::Now);
    publish(&hub, "x x x", NOW);
    hub.handle_tick(Timestamp(NOW.0 + 20));
    publish(&hub, "quiet", Timestamp(NOW.0 + 20));
    assert_eq!(read(&mut reader), "quiet4");
}

#[test]
fn a_position_of_another_life_is_an_epoch_gap_and_then_everything() {
    let hub = hub(retain(2));
    publish(&hub, "a a a", NOW);
    let foreign = Position {
        epoch: Epoch(7),
        offset: 5,
        tag: Tag(9),
    };
    let mut reader = subscribe(&hub, "a", Start::After(foreign));
    assert_eq!(reader.position(), foreign, "until it is given an event");
    assert_eq!(read(&mut reader), "epoch(a:5-0) gap(a:1-1)=1 a2 a3");
}

#[test]
fn a_position_the_log_never_gave_is_rewound() {
    let hub = hub(retain(9));
    let seen = publish(&hub, "a a a", NOW)[1];
    let beyond = Position { offset: 9, ..seen };
    assert_eq!(
        read(&mut subscribe(&hub, "a", Start::After(beyond))),
        "rewound(a:9-0) a1 a2 a3"
    );
    let other = Position {
        tag: Tag(seen.tag.0 ^ 1),
        ..seen
    };
    assert_eq!(
        read(&mut subscribe(&hub, "a", Start::After(other))),
        "rewound(a:2-0) a1 a2 a3"
    );
    assert_eq!(read(&mut subscribe(&hub, "a", Start::After(seen))), "a3");
}

#[test]
fn a_pattern_added_later_joins_at_the_cursor() {
    let hub = hub(retain(9));
    let mut reader = subscribe(&hub, "a", Start::Now);
    publish(&hub, "b a b", NOW);
    let at = reader.add(pattern("b"), None, NOW).unwrap();
    assert_eq!(at.offset, 0, "nothing was read yet");
    assert_eq!(read(&mut reader), "b1 a2 b3");
    publish(&hub, "c c", NOW);
    let at = reader.add(pattern("c"), None, NOW).unwrap();
    assert_eq!(at.offset, 5, "it was up to date");
    publish(&hub, "c", NOW);
    assert_eq!(read(&mut reader), "c6");
    assert!(reader.remove(&pattern("c")));
    assert!(!reader.remove(&pattern("c")));
    publish(&hub, "c a", NOW);
    assert_eq!(read(&mut reader), "a8");
}

#[test]
fn an_empty_subscription_begins_where_its_first_pattern_does() {
    let hub = hub(retain(9));
    publish(&hub, "a b a", NOW);
    let mut reader = hub.subscribe(SubscribeOptions::default(), NOW).unwrap();
    assert_eq!(
        reader
            .add(pattern("a"), Some(Start::Earliest), NOW)
            .unwrap()
            .offset,
        0
    );
    assert_eq!(read(&mut reader), "a1 a3");
}

#[test]
fn an_ended_topic_is_read_to_its_end_by_everyone() {
    let hub = hub(retain(9));
    let mut live = subscribe(&hub, "a", Start::Now);
    let mut wide = subscribe(&hub, "*", Start::Now);
    publish(&hub, "a a", NOW);
    hub.end_topic(&topic("a"), NOW).unwrap();
    assert_eq!(read(&mut live), "a1 a2 ended(a)");
    assert!(live.patterns().is_empty());
    assert_eq!(read(&mut wide), "a1 a2 ended(a)");
    assert_eq!(
        read(&mut subscribe(&hub, "a", Start::Earliest)),
        "a1 a2 ended(a)"
    );
    assert_eq!(read(&mut subscribe(&hub, "a", Start::Now)), "ended(a)");
    assert_eq!(
        read(&mut subscribe(&hub, "a", after(&hub, 1))),
        "a2 ended(a)"
    );
    assert_eq!(hub.end_topic(&topic("a"), NOW), Err(PublishError::Ended));
    let again = hub.publish(vec![NewEvent::new(topic("a"), "x")], None, NOW);
    assert_eq!(again.try_ready().ok().unwrap(), [Err(PublishError::Ended)]);
}

#[test]
fn an_end_outlives_its_events_by_its_time_and_then_the_topic_may_begin_anew() {
    let mut config = retain(9);
    config.end_ttl = Duration::from_millis(50);
    config.retention = vec![rule("**", None, Some(10))];
    let hub = hub(config);
    publish(&hub, "a", NOW);
    hub.end_topic(&topic("a"), NOW).unwrap();
    hub.handle_tick(Timestamp(NOW.0 + 20));
    assert_eq!(read(&mut subscribe(&hub, "a", after(&hub, 1))), "ended(a)");
    assert!(hub.topic_status(&topic("a")).unwrap().ended);
    hub.handle_tick(Timestamp(NOW.0 + 50));
    assert_eq!(hub.topic_status(&topic("a")), None);
    publish(&hub, "a", Timestamp(NOW.0 + 51));
    assert_eq!(read(&mut subscribe(&hub, "a", Start::Earliest)), "a3");
}

#[test]
fn erased_events_are_a_gap_and_the_end_says_deleted() {
    let hub = hub(retain(9));
    publish(&hub, "a a a", NOW);
    let mut reader = subscribe(&hub, "a", after(&hub, 1));
    assert_eq!(hub.delete_topic(&topic("a"), NOW), Some(3));
    assert_eq!(hub.delete_topic(&topic("nobody"), NOW), None);
    assert_eq!(read(&mut reader), "gap(a:2-3)=2 deleted(a)");
}

#[test]
fn an_ended_topic_may_be_erased_when_who_read_it_by_a_wildcard_has_gone() {
    let hub = hub(HubConfig::default());
    let reader = subscribe(&hub, "*", Start::Now);
    hub.end_topic(&topic("a"), NOW).unwrap();
    drop(reader);
    assert_eq!(hub.delete_topic(&topic("a"), NOW), Some(0));
}

#[test]
fn what_readers_shared_goes_with_retention_however_many_of_them_are_left() {
    for left in [2, 1] {
        let hub = hub(retain(2));
        let mut readers: Vec<Subscription> = (0..2)
            .map(|_| subscribe(&hub, "a", Start::Earliest))
            .collect();
        publish(&hub, "a", NOW);
        let given =
            readers
                .iter_mut()
                .map(|reader| match reader.try_next(NOW, Budget::default()) {
                    Some(Delivery::Batch(batch)) => Arc::downgrade(&batch.events()[0]),
                    other => panic!("{other:?}"),
                });
        let event = given.collect::<Vec<_>>().remove(0);
        assert!(event.upgrade().is_some());
        readers.truncate(left);
        publish(&hub, "a a", NOW);
        assert!(event.upgrade().is_none(), "with {left} readers left");
    }
}

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

#[test]
fn a_retried_publish_is_one_event() {
    let hub = hub(retain(9));
    let mut event = NewEvent::new(topic("a"), "a1");
    event.idempotency = Some(IdempotencyKey::parse("key").unwrap());
    let publish = |event: &NewEvent, subject| {
        let receipts = hub.publish(vec![event.clone()], subject, NOW);
        receipts.try_ready().ok().unwrap().remove(0)
    };
    let first = publish(&event, None).unwrap();
    assert!(!first.duplicate);
    let second = publish(&event, None).unwrap();
    assert!(second.duplicate);
    assert_eq!(first.position, second.position);
    assert!(
        !publish(&event, Some("ann")).unwrap().duplicate,
        "another subject's"
    );
    event.data = Data::from("other");
    assert_eq!(
        publish(&event, None),
        Err(PublishError::IdempotencyConflict)
    );
    event.topic = topic("b");
    assert!(!publish(&event, None).unwrap().duplicate, "another topic's");
}

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

#[test]
fn subscribers_at_the_same_place_share_one_batch() {
    let hub = hub(retain(100));
    for text in ["a", "*"] {
        let mut readers: Vec<_> = (0..3).map(|_| subscribe(&hub, text, Start::Now)).collect();
        publish(&hub, "a a a", NOW);
        let batches: Vec<_> = readers
            .iter_mut()
            .map(|reader| match reader.try_next(NOW, Budget::default()) {
                Some(Delivery::Batch(batch)) => batch,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(batches.iter().all(|batch| Arc::ptr_eq(batch, &batches[0])));
        assert_eq!(batches[0].events().len(), 3);
        publish(&hub, "a", NOW);
        assert!(
            readers
                .iter_mut()
                .all(|reader| read(reader).starts_with('a'))
        );
    }
}

#[test]
fn a_page_of_history_goes_on_where_it_stopped() {
    let hub = hub(retain(4));
    publish(&hub, "a a a a a", NOW);
    let budget = Budget {
        events: 3,
        ..Budget::default()
    };
    let page = |start| {
        let options = SubscribeOptions {
            patterns: patterns("a"),
            start,
            ..SubscribeOptions::default()
        };
        hub.history(options, budget, NOW).unwrap()
    };
    let first = page(after(&hub, 0));
    assert_eq!(
        first.events.iter().map(|e| e.offset()).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    assert_eq!(first.gaps.len(), 1);
    assert!(!first.up_to_date);
    let second = page(Start::After(first.next));
    assert_eq!(
        second.events.iter().map(|e| e.offset()).collect::<Vec<_>>(),
        [5]
    );
    assert!(second.gaps.is_empty() && second.up_to_date);
}

#[test]
fn the_ceiling_takes_the_oldest_of_all_topics() {
    let mut config = HubConfig::default();
    config.max_bytes = 40_000;
    let hub = hub(config);
    let mut reader = subscribe(&hub, "**", Start::Now);
    for step in 0..2000 {
        publish(&hub, ["a", "b/c", "d"][step % 3], NOW);
        assert!(hub.stats().log_bytes + hub.stats().form_bytes <= 40_000);
    }
    let told = read(&mut reader);
    assert!(told.starts_with("gap(**:1-"), "{told}");
    assert!(told.ends_with("b/c2000"), "{told}");
    assert!(hub.stats().events > 100);
}

fn restored(hub: &Hub, seed: u64) -> Hub {
    let mut file = Vec::new();
    hub.snapshot().write_to(&mut file).unwrap();
    Hub::restore(&mut file.as_slice(), retain(9), seed, NOW).unwrap()
}

#[test]
fn a_restored_log_goes_on_where_it_stopped() {
    let first = hub(retain(3));
    let mut keyed = NewEvent::new(topic("a"), "a1");
    keyed.idempotency = Some(IdempotencyKey::parse("key").unwrap());
    keyed.key = Some(Key::parse("k").unwrap());
    let one = first
        .publish(vec![keyed.clone()], None, NOW)
        .try_ready()
        .ok()
        .unwrap();
    let seen = publish(&first, "b a a a c", NOW)[1];
    first.end_topic(&topic("c"), NOW).unwrap();
    let second = restored(&first, 2);
    assert_eq!(second.head(), first.head());
    assert_eq!(
        read(&mut subscribe(&second, "a", Start::After(seen))),
        "a4 a5"
    );
    assert_eq!(
        read(&mut subscribe(&second, "**", after(&second, 0))),
        "gap(**:1-1) b2 a3 a4 a5 c6 ended(c)"
    );
    let again = second
        .publish(vec![keyed], None, NOW)
        .try_ready()
        .ok()
        .unwrap();
    assert_eq!(
        again[0].as_ref().unwrap().position,
        one[0].as_ref().unwrap().position
    );
    assert!(again[0].as_ref().unwrap().duplicate);
    publish(&second, "a", NOW);
    assert_eq!(
        read(&mut subscribe(&second, "a", Start::After(first.head()))),
        "a8"
    );
}

#[test]
fn a_reader_from_a_life_that_was_lost_is_told_and_reads_on_from_what_was_common() {
    let first = hub(retain(9));
    publish(&first, "a a", NOW);
    let second = restored(&first, 2);
    let lost = publish(&second, "a a a", NOW);
    let third = restored(&first, 3);
    publish(&third, "a a", NOW);
    assert_eq!(
        read(&mut subscribe(&third, "a", Start::After(lost[0]))),
        "rewound(a:3-2) a3 a4"
    );
    assert_eq!(
        read(&mut subscribe(&third, "a", Start::After(lost[2]))),
        "rewound(a:5-2) a3 a4"
    );
    assert_eq!(
        read(&mut subscribe(&third, "a", Start::After(first.head()))),
        "a3 a4"
    );
}

#[test]
fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
    let hub = hub(retain(9));
    publish(&hub, "a b a c/d", NOW);
    hub.end_topic(&topic("b"), NOW).unwrap();
    let mut file = Vec::new();
    hub.snapshot().write_to(&mut file).unwrap();
    let restore = |mut file: &[u8]| Hub::restore(&mut file, retain(9), 2, NOW).map(|_| ());
    assert!(restore(&file).is_ok());
    for at in 0..file.len() {
        assert!(restore(&file[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            assert!(restore(&damaged).is_err(), "bit {bit} of byte {at}");
        }
    }
}

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

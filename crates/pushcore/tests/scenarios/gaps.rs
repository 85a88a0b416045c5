//! What was lost before it was read: where it is told, and what it takes with it.

use std::sync::Arc;

use pushcore::*;

use crate::story::{NOW, after, hub, publish, read, retain, rule, subscribe, topic};

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

//! Topics that end or are erased.

use std::time::Duration;

use pushcore::*;

use crate::story::{NOW, after, hub, publish, read, retain, rule, subscribe, topic};

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

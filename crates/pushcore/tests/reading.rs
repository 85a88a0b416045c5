//! Patterns that are added while a subscription runs, and pages of history.

use std::time::Duration;

use pushcore::{
    Budget, Delivery, Hub, HubConfig, LagAction, LagPolicy, MaxLag, NewEvent, Pattern, Position,
    Retention, RetentionRule, Start, SubscribeOptions, Timestamp, Topic,
};

const NOW: Timestamp = Timestamp(1000);

fn publish(hub: &Hub, topic: &str, data: &str) -> Position {
    let topic = Topic::parse(topic).expect("a topic");
    let event = NewEvent::new(topic, data.to_owned());
    let receipts = hub.publish(vec![event], None, NOW).try_ready();
    let Ok(receipts) = receipts else {
        panic!("the memory log answers at once")
    };
    receipts[0].as_ref().expect("published").position
}

#[test]
fn patterns_that_come_together_are_all_read_from_the_position_they_come_with() {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    let seen = publish(&hub, "busy", "seen");
    publish(&hub, "busy", "missed while away");
    let mut subscription = hub.subscribe(SubscribeOptions::default(), NOW).unwrap();
    let patterns = ["quiet", "busy"].map(|text| Pattern::parse(text).unwrap());
    let at = subscription
        .add_all(patterns.to_vec(), Some(Start::After(seen)), NOW)
        .unwrap();
    assert_eq!(at.offset, seen.offset);
    let Some(Delivery::Batch(batch)) = subscription.try_next(NOW, Budget::default()) else {
        panic!("an event is there");
    };
    assert_eq!(batch.events().len(), 1);
    assert_eq!(batch.events()[0].offset(), seen.offset + 1);
}

#[test]
fn a_page_that_reaches_the_head_goes_on_behind_its_gaps() {
    let mut config = HubConfig::default();
    config.retention = vec![RetentionRule {
        pattern: Pattern::parse("busy").unwrap(),
        retention: Retention {
            max_age: Some(Duration::from_secs(1)),
            ..Retention::default()
        },
    }];
    let hub = Hub::new(config, 1, NOW);
    let seen = publish(&hub, "busy", "seen");
    publish(&hub, "busy", "lost");
    let later = Timestamp(NOW.0 + 10_000);
    hub.handle_tick(later);
    let options = |after| SubscribeOptions {
        patterns: vec![Pattern::parse("busy").unwrap()],
        start: Start::After(after),
        ..SubscribeOptions::default()
    };
    let page = hub
        .history(options(seen), Budget::default(), later)
        .unwrap();
    assert_eq!((page.gaps.len(), page.events.len()), (1, 0));
    let page = hub
        .history(options(page.next), Budget::default(), later)
        .unwrap();
    assert_eq!((page.gaps.len(), page.events.len()), (0, 0), "told once");
}

#[test]
fn a_page_goes_on_where_a_lagging_reader_would_be_disconnected() {
    let hub = Hub::new(HubConfig::default(), 1, NOW);
    for _ in 0..3 {
        publish(&hub, "busy", "x");
    }
    let lag = LagPolicy {
        action: LagAction::Disconnect,
        max_lag: MaxLag {
            events: Some(1),
            ..MaxLag::default()
        },
    };
    let options = SubscribeOptions {
        patterns: vec![Pattern::parse("busy").unwrap()],
        start: Start::Earliest,
        lag,
        ..SubscribeOptions::default()
    };
    let page = hub.history(options, Budget::default(), NOW).unwrap();
    assert!(page.up_to_date && page.events.len() == 3);
}

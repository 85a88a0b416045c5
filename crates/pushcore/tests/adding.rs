//! Patterns that are added to a subscription while it runs.

use pushcore::{
    Budget, Delivery, Hub, HubConfig, NewEvent, Pattern, Position, Start, SubscribeOptions,
    Timestamp, Topic,
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

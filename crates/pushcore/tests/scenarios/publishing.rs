//! What is published twice.

use pushcore::*;

use crate::story::{NOW, hub, retain, topic};

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

//! What both sides do: publish, receive, count.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use pushcore::*;

pub(crate) const NOW: Timestamp = Timestamp(1);
pub(crate) const PAYLOAD: [u8; 128] = [b'x'; 128];

pub(crate) fn topic(number: usize) -> Topic {
    Topic::parse(&format!("topic/{number}")).expect("it is one")
}

pub(crate) fn event(topic: &Topic) -> NewEvent {
    NewEvent::new(topic.clone(), PAYLOAD.to_vec())
}

pub(crate) fn publish(hub: &Hub, topic: &Topic) {
    drop(black_box(hub.publish_one(event(topic), None, NOW)));
}

pub(crate) fn reader(mut subscription: Subscription) -> impl FnMut(&mut Context<'_>) {
    move |cx| {
        while let Poll::Ready(delivery) = subscription.poll(cx, NOW, Budget::default()) {
            match &delivery {
                Delivery::Batch(batch) => count(batch.events().len()),
                other => panic!("{other:?}"),
            }
            if subscription.is_caught_up() {
                break;
            }
        }
    }
}

static DELIVERED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn count(events: usize) {
    let before = DELIVERED.load(Ordering::Relaxed);
    DELIVERED.store(before + events as u64, Ordering::Relaxed);
}

pub(crate) fn subscribe(hub: &Hub, topic: &Topic, start: Start) -> Subscription {
    let options = SubscribeOptions {
        patterns: vec![Pattern::exact(topic.clone())],
        start,
        ..SubscribeOptions::default()
    };
    hub.subscribe(options, NOW).expect("there is room")
}

type Receiver = Pin<Box<dyn Future<Output = ()>>>;

pub(crate) fn receiver(
    mut receiver: tokio::sync::broadcast::Receiver<Arc<Vec<u8>>>,
) -> impl FnMut(&mut Context<'_>) {
    let mut task: Receiver = Box::pin(async move {
        while let Ok(message) = receiver.recv().await {
            black_box(&message);
            count(1);
        }
    });
    move |cx| {
        let _ = task.as_mut().poll(cx);
    }
}

/// Does `work`, and sees that it delivered what it should.
pub(crate) fn delivering(expect: u64, work: impl FnOnce()) {
    DELIVERED.store(0, Ordering::Relaxed);
    work();
    let delivered = DELIVERED.load(Ordering::Relaxed);
    assert_eq!(delivered, expect, "something was lost or given twice");
}

//! Bytes: what a subscription and a retained event cost.

use std::task::{Context, Waker};

use pushcore::*;

use crate::allocations::live;
use crate::replay::long;
use crate::work::{NOW, PAYLOAD, publish, subscribe, topic};

/// What a subscription and an event cost, by what the allocator was asked for.
pub(crate) fn memory() {
    let hub = Hub::new(long(1_000_000), 1, NOW);
    let name = topic(0);
    let mut own = subscribe(&hub, &name, Start::Now);
    let waker = Waker::noop();
    let mut readers = Vec::with_capacity(100_000);
    let before = live();
    for _ in 0..100_000 {
        let mut reader = subscribe(&hub, &name, Start::Now);
        assert!(
            reader
                .poll(&mut Context::from_waker(waker), NOW, Budget::default())
                .is_pending()
        );
        readers.push(reader);
    }
    let each = (live() - before) as f64 / 100_000.0 + size_of::<Subscription>() as f64;
    println!(
        "a subscription that waits: {each:.0} bytes, its handle of {} included",
        size_of::<Subscription>()
    );
    assert!(each <= 512.0);
    drop(readers);
    let before = live();
    let events = 1_000_000;
    (0..events).for_each(|_| publish(&hub, &name));
    let each = (live() - before) as f64 / f64::from(events) - PAYLOAD.len() as f64;
    println!("a retained event: {each:.0} bytes beyond its data");
    assert!(each <= 128.0);
    assert!(own.try_next(NOW, Budget::default()).is_some());
}

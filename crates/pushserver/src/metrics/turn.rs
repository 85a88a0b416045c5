//! Deliveries of one turn of a shard, added up before they are counted.
//!
//! A thousand subscribers are sent the same event in one turn, with the same lag or nearly so. Counting each is two locked
//! instructions, which in a turn of a thousand are a hundredth of its whole cost.

use std::cell::Cell;
use std::marker::PhantomData;

use super::{Metrics, Transport};

thread_local! {
    static OPEN: Sum = const { Sum::new() };
}

/// Deliveries that have the transport and the lag in common
struct Sum {
    /// Whose they are, by its address; 0 while no turn is under way
    of: Cell<usize>,
    transport: Cell<Transport>,
    /// Events in all, history included
    events: Cell<u64>,
    /// Those of them whose lag says something
    lagging: Cell<u64>,
    millis: Cell<u64>,
}

impl Sum {
    const fn new() -> Self {
        Self {
            of: Cell::new(0),
            transport: Cell::new(Transport::EventStream),
            events: Cell::new(0),
            lagging: Cell::new(0),
            millis: Cell::new(0),
        }
    }

    fn count_into(&self, metrics: &Metrics) {
        let (events, lagging) = (self.events.take(), self.lagging.take());
        metrics.count_delivered(self.transport.get(), events, lagging, self.millis.get());
    }
}

/// As long as it lives, deliveries on this thread are added up; then they are counted
pub(crate) struct Turn<'m> {
    metrics: &'m Metrics,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        OPEN.with(|sum| {
            sum.count_into(self.metrics);
            sum.of.set(0);
        });
    }
}

impl Metrics {
    /// A turn begins on this thread
    pub(crate) fn turn(&self) -> Turn<'_> {
        OPEN.with(|sum| sum.of.set(std::ptr::from_ref(self).addr()));
        Turn {
            metrics: self,
            _of_this_thread: PhantomData,
        }
    }

    /// Adds a delivery to those of the turn; false if none is under way
    pub(super) fn add_to_turn(&self, transport: Transport, events: u64, lag: Option<u64>) -> bool {
        OPEN.with(|sum| {
            if sum.of.get() != std::ptr::from_ref(self).addr() {
                return false;
            }
            let is_other_lag =
                lag.is_some_and(|lag| sum.lagging.get() > 0 && sum.millis.get() != lag);
            if sum.transport.get() != transport || is_other_lag {
                sum.count_into(self);
                sum.transport.set(transport);
            }
            sum.events.set(sum.events.get() + events);
            if let Some(lag) = lag {
                sum.lagging.set(sum.lagging.get() + events);
                sum.millis.set(lag);
            }
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::lag::Total;
    use super::*;

    fn counted(metrics: &Metrics) -> Vec<u64> {
        Transport::ALL
            .into_iter()
            .map(|transport| metrics.delivered_by(transport))
            .collect()
    }

    #[test]
    fn what_was_added_up_is_counted_when_the_turn_is_over() {
        let (metrics, other) = (Metrics::default(), Metrics::default());
        assert!(!metrics.add_to_turn(Transport::Push, 1, None));
        let turn = metrics.turn();
        for (transport, events, lag) in [
            (Transport::Push, 2, Some(0)),
            (Transport::Push, 3, None),
            (Transport::Push, 4, Some(7)),
            (Transport::Plain, 5, Some(7)),
            (Transport::Plain, 6, Some(7)),
            (Transport::EventStream, 7, None),
        ] {
            assert!(metrics.add_to_turn(transport, events, lag));
        }
        assert!(!other.add_to_turn(Transport::Push, 1, None), "not its turn");
        drop(turn);
        assert_eq!(counted(&metrics), [7, 9, 11, 0]);
        let lags = |transport: Transport| {
            let mut total = Total::default();
            let cells = metrics.cells.iter();
            cells.for_each(|cell| cell.lag[transport as usize].add_to(&mut total));
            total
        };
        assert_eq!(lags(Transport::Push).sum_millis, 4 * 7);
        assert_eq!(lags(Transport::Plain).sum_millis, 11 * 7);
        assert_eq!(lags(Transport::Push).counts.iter().sum::<u64>(), 2 + 4);
        assert_eq!(lags(Transport::EventStream).counts.iter().sum::<u64>(), 0);
        assert!(!metrics.add_to_turn(Transport::Push, 1, None));
    }
}

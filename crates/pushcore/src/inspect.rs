//! Subscriptions as somebody else sees them: an operator, a metric.

use crate::cursor::Cursor;
use crate::event::Record;
use crate::hub::Hub;
use crate::log::Log;
use crate::pattern::Pattern;
use crate::position::Position;
use crate::stats::Backlog;
use crate::subscription::Subscription;

/// Names a subscription for as long as it lives; another may have the name afterwards
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionId(pub(crate) u32);

/// What a subscription is doing
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionStatus {
    /// Its patterns, in no particular order
    pub patterns: Vec<Pattern>,
    /// Its cursor
    pub position: Position,
    /// How far it is behind, counted up to [`MAX_COUNTED`] events
    pub backlog: Backlog,
}

/// Most events of a backlog that are counted: what it costs to look is bounded however slow a reader is
pub const MAX_COUNTED: u64 = 10_000;

impl Subscription {
    /// What [`Hub::subscription_status`] asks for.
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        SubscriptionId(self.number())
    }
}

impl Hub {
    /// What a subscription is doing; `None` if it is over. Costs a walk over its backlog.
    #[must_use]
    pub fn subscription_status(&self, id: SubscriptionId) -> Option<SubscriptionStatus> {
        let core = self.lock();
        let cursor = core.cursors.get(id.0 as usize)?;
        Some(SubscriptionStatus {
            patterns: cursor.patterns(),
            position: cursor.position,
            backlog: cursor.backlog_up_to(&core.log, MAX_COUNTED),
        })
    }

    /// The backlog of the subscription that has fallen behind furthest, counted up to [`MAX_COUNTED`] events.
    ///
    /// Costs a glance at each subscription and a walk over one backlog.
    #[must_use]
    pub fn slowest(&self) -> Backlog {
        let core = self.lock();
        // One that waits to be woken has read everything.
        let behind = core
            .cursors
            .iter()
            .filter(|(id, _)| !core.is_armed(*id as u32));
        let slowest = behind.min_by_key(|(_, cursor)| cursor.read);
        slowest.map_or_else(Backlog::default, |(_, cursor)| {
            cursor.backlog_up_to(&core.log, MAX_COUNTED)
        })
    }
}

impl Cursor {
    /// How far it is behind; an event counts once, whatever number of its patterns match.
    pub(crate) fn backlog(&self, log: &Log) -> Backlog {
        self.backlog_up_to(log, u64::MAX)
    }

    /// The same, counted up to so many events.
    pub(crate) fn backlog_up_to(&self, log: &Log, max_events: u64) -> Backlog {
        let mut backlog = Backlog::default();
        self.walk(log, |event| {
            if event.record() != Record::Event {
                return true;
            }
            backlog.events += 1;
            backlog.bytes += event.body_len() as u64;
            backlog.oldest = backlog.oldest.or(Some(event.time()));
            backlog.events < max_events
        });
        backlog
    }

    pub(crate) fn patterns(&self) -> Vec<Pattern> {
        let readings = self.readings.iter();
        readings.map(|reading| reading.pattern.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HubConfig, NewEvent, Start, SubscribeOptions, Timestamp, Topic};

    const NOW: Timestamp = Timestamp(1000);

    fn topic() -> Topic {
        Topic::parse("a").unwrap()
    }

    fn publish(hub: &Hub, count: usize) {
        let batch = (0..count).map(|_| NewEvent::new(topic(), "x")).collect();
        let Ok(results) = hub.publish(batch, None, NOW).try_ready() else {
            panic!("a log in memory answers at once");
        };
        assert!(results.iter().all(Result::is_ok));
    }

    fn follow(hub: &Hub) -> Subscription {
        let options = SubscribeOptions {
            patterns: vec![Pattern::exact(topic())],
            start: Start::Now,
            ..SubscribeOptions::default()
        };
        hub.subscribe(options, NOW).unwrap()
    }

    #[test]
    fn the_slowest_is_the_one_with_most_to_read() {
        let hub = Hub::new(HubConfig::default(), 1, NOW);
        let slow = follow(&hub);
        publish(&hub, 3);
        let mut fast = follow(&hub);
        assert!(fast.try_next(NOW, Default::default()).is_none());
        publish(&hub, 2);
        assert_eq!(hub.slowest().events, 5);
        let status = hub.subscription_status(slow.id()).unwrap();
        assert_eq!(status.backlog.events, 5);
        assert_eq!(status.position, slow.position());
        assert_eq!(status.patterns, [Pattern::exact(topic())]);
        drop(slow);
        assert_eq!(hub.slowest().events, 2);
        while fast.try_next(NOW, Default::default()).is_some() {}
        assert_eq!(hub.slowest().events, 0);
    }

    #[test]
    fn a_subscription_that_is_over_has_no_status() {
        let hub = Hub::new(HubConfig::default(), 1, NOW);
        let gone = follow(&hub).id();
        assert_eq!(hub.subscription_status(gone), None);
    }

    #[test]
    fn no_more_of_a_backlog_is_counted_than_the_bound() {
        let config = HubConfig {
            retention: vec![crate::RetentionRule {
                pattern: Pattern::parse("**").unwrap(),
                retention: crate::Retention {
                    max_events: None,
                    max_bytes: None,
                    max_age: None,
                },
            }],
            ..HubConfig::default()
        };
        let hub = Hub::new(config, 1, NOW);
        let _slow = follow(&hub);
        for _ in 0..11 {
            publish(&hub, 1000);
        }
        assert_eq!(hub.slowest().events, MAX_COUNTED);
    }
}

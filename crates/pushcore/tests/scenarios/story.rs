//! The language that stories are told in.

use std::time::Duration;

use pushcore::*;

pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

pub(crate) fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

pub(crate) fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

pub(crate) fn patterns(text: &str) -> Vec<Pattern> {
    text.split(' ').map(pattern).collect()
}

pub(crate) fn retain(max_events: u64) -> HubConfig {
    let mut config = HubConfig::default();
    config.retention = vec![rule("**", Some(max_events), None)];
    config
}

pub(crate) fn rule(text: &str, max_events: Option<u64>, max_age: Option<u64>) -> RetentionRule {
    RetentionRule {
        pattern: pattern(text),
        retention: Retention {
            max_events,
            max_bytes: None,
            max_age: max_age.map(Duration::from_millis),
        },
    }
}

pub(crate) fn hub(config: HubConfig) -> Hub {
    Hub::new(config, 1, NOW)
}

/// Publishes `a b a`: one event to each topic, its data the topic and the offset it is expected to get.
pub(crate) fn publish(hub: &Hub, topics: &str, now: Timestamp) -> Vec<Position> {
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

pub(crate) fn subscribe(hub: &Hub, text: &str, start: Start) -> Subscription {
    let options = SubscribeOptions {
        patterns: patterns(text),
        start,
        ..SubscribeOptions::default()
    };
    hub.subscribe(options, NOW).unwrap()
}

/// Everything a reader is given until there is nothing more.
pub(crate) fn read(subscription: &mut Subscription) -> String {
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
pub(crate) fn check(config: HubConfig, published: &str, reads: &str, start: Start, expect: &str) {
    let hub = hub(config);
    publish(&hub, published, NOW);
    assert_eq!(read(&mut subscribe(&hub, reads, start)), expect);
}

pub(crate) fn after(hub: &Hub, offset: u64) -> Start {
    Start::After(Position {
        offset,
        tag: Tag::NONE,
        ..hub.head()
    })
}

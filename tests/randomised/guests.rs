//! Clients nobody here wrote, among the many: each follows one topic from the first event to the last.

use serde_json::Value;

use super::LAST;
use super::record::{Record, Seen, offset};
use crate::support::foreign::{Follower, Foreign, Site};

/// A foreign client and the topic it follows.
pub(crate) struct Guest {
    follower: Follower,
    topic: String,
}

/// Those that are installed.
pub(crate) fn arrive(site: &Site, topics: &[String]) -> Vec<Guest> {
    let kinds = [
        Foreign::Curl,
        Foreign::Fastwebsockets,
        Foreign::EventSource,
        Foreign::Ws,
        Foreign::Websockets,
        Foreign::HttpxSse,
        Foreign::ChromiumEventSource,
        Foreign::ChromiumWebSocket,
    ];
    let here = kinds.into_iter().filter(|kind| kind.is_here());
    here.zip(topics)
        .map(|(kind, topic)| Guest {
            follower: site.follow(kind, topic, None).unwrap(),
            topic: topic.clone(),
        })
        .collect()
}

impl Guest {
    /// Follows until the topic has said its last, and tells what it got.
    pub(crate) fn follow(mut self) -> Record {
        let mut record = Record {
            patterns: vec![self.topic],
            ..Record::default()
        };
        loop {
            let told = self.follower.next();
            let seen = seen(&told);
            let last = matches!(&seen, Seen::Event { data, .. } if data == LAST);
            record.seen.push(seen);
            if last {
                return record;
            }
        }
    }
}

fn seen(told: &Value) -> Seen {
    let text = |name: &str| told[name].as_str().map(str::to_owned);
    match told["event"].as_str().unwrap() {
        "message" => Seen::Event {
            id: text("id").unwrap(),
            topic: text("topic"),
            data: text("data").unwrap(),
        },
        "gap" => Seen::gap(told),
        "open" => Seen::At(offset(&text("id").unwrap())),
        // An `EventSource` that was disconnected for reading too slowly comes back by itself.
        "reconnecting" => Seen::Cut("itself"),
        other => panic!("{other:?}: {told}"),
    }
}

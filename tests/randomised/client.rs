//! A client that is cut again and again and comes back by any door.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::checker::matches;
use super::record::{Record, Seen, offset};
use super::{LAST, Progress, Seed};
use crate::support::event_stream::{Block, EventStream};
use crate::support::http::Request;
use crate::support::server::Server;
use crate::support::web_socket::WebSocket;

/// Who follows, and what it remembers between connections.
pub(crate) struct Client<'a> {
    server: &'a Server,
    progress: &'a Progress,
    seed: Seed,
    /// The one topic it follows, where it is one
    topic: Option<String>,
    /// How many topics have yet to say their last
    unfinished: usize,
    /// Where to go on
    position: Option<String>,
    record: Record,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        server: &'a Server,
        topics: &[String],
        patterns: Vec<String>,
        seed: Seed,
        progress: &'a Progress,
    ) -> Self {
        let followed = |topic: &&String| patterns.iter().any(|p| matches(p, topic));
        let exact = patterns.len() == 1 && !patterns[0].contains('*');
        Self {
            server,
            progress,
            seed,
            topic: exact.then(|| patterns[0].clone()),
            unfinished: topics.iter().filter(followed).count(),
            position: None,
            record: Record {
                patterns,
                ..Record::default()
            },
        }
    }

    /// Follows until every topic has said its last, and tells what it got.
    pub(crate) fn follow(mut self, connected: &AtomicUsize) -> Record {
        self.join();
        connected.fetch_add(1, Ordering::Relaxed);
        while self.unfinished > 0 {
            let patience = 1 + self.seed.below(2000);
            let (name, follow): (_, fn(&mut Self, usize)) = match self.seed.below(3) {
                0 => ("event stream", Self::by_event_stream),
                1 => ("web socket", Self::by_web_socket),
                _ => ("poll", Self::by_polling),
            };
            self.record.seen.push(Seen::Cut(name));
            follow(&mut self, patience);
            self.stay_away();
        }
        self.record
    }

    /// The first position, before anything is published.
    fn join(&mut self) {
        let page = self.server.ask(&Request::page(&self.target(""))).json();
        let next = page["next"].as_str().unwrap().to_owned();
        self.record.start = offset(&next);
        self.position = Some(next);
    }

    /// Lets the others go on without it: mostly for a moment, at times until retention takes what it has not read.
    fn stay_away(&mut self) {
        let events = match self.seed.below(4) {
            0 => self.seed.below(20_000),
            1 => self.seed.below(2_000),
            _ => 0,
        };
        self.progress.wait_for(events);
    }

    fn target(&self, query: &str) -> String {
        let and = |sign: &str| {
            if query.is_empty() {
                String::new()
            } else {
                format!("{sign}{query}")
            }
        };
        match &self.topic {
            Some(topic) => format!("/topics/{topic}{}", and("?")),
            None => {
                let matches: Vec<String> = self
                    .record
                    .patterns
                    .iter()
                    .map(|p| format!("match={p}"))
                    .collect();
                format!("/topics?{}{}", matches.join("&"), and("&"))
            }
        }
    }

    fn by_event_stream(&mut self, patience: usize) {
        let target = self.target("");
        let position = self.position.clone().unwrap();
        let request = Request::get(&target).header("Last-Event-ID", &position);
        let mut stream = EventStream::open(self.server.address(), &request);
        for _ in 0..patience {
            let block = stream.next_block().expect("a stream that goes on");
            self.handle_block(block);
            if self.unfinished == 0 {
                return;
            }
        }
    }

    fn handle_block(&mut self, block: Block) {
        if block.is_control("state") {
            self.record
                .seen
                .push(Seen::At(offset(block.id.as_deref().unwrap())));
        } else if block.is_control("gap") {
            self.handle_gap(&block.json());
        } else if self.topic.is_some() {
            self.handle_event(block.id.unwrap(), None, block.data.unwrap());
        } else {
            self.handle_object(&block.json());
        }
    }

    fn by_web_socket(&mut self, patience: usize) {
        let mut socket = WebSocket::push(self.server, "/topics");
        let subscribe = json!({"match": self.record.patterns, "after": self.position});
        let answer = socket.command("subscribe", &subscribe);
        let at = answer["result"]["at"].as_str();
        let at = at.unwrap_or_else(|| panic!("not subscribed: {answer}"));
        self.record.seen.push(Seen::At(offset(at)));
        for _ in 0..patience {
            let message = socket.next_json();
            if let Some(event) = message.get("event") {
                self.handle_object(event);
            } else if let Some(gap) = message.get("gap") {
                self.handle_gap(gap);
            }
            if self.unfinished == 0 {
                return;
            }
        }
    }

    fn by_polling(&mut self, patience: usize) {
        for _ in 0..1 + patience / 200 {
            let position = self.position.clone().unwrap();
            let query = format!("after={position}&wait=1s&limit={}", 1 + patience % 1000);
            let target = self.target(&query);
            let answer = Request::page(&target).open(self.server.address());
            if self.seed.below(10) == 0 {
                // Cut in the middle: what has come of the page is worth nothing.
                continue;
            }
            let reply = answer.into_reply();
            assert_eq!(reply.status(), 200, "{reply:?}");
            self.handle_page(&reply.json());
            if self.unfinished == 0 {
                return;
            }
        }
    }

    fn handle_page(&mut self, page: &Value) {
        let list = |name: &str| page[name].as_array().cloned().unwrap_or_default();
        for gap in list("gaps") {
            self.handle_gap(&gap);
        }
        for event in list("events") {
            self.handle_object(&event);
        }
        let next = page["next"].as_str().unwrap();
        self.record.seen.push(Seen::At(offset(next)));
        self.position = Some(next.to_owned());
    }

    fn handle_object(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        self.handle_event(text("id"), Some(text("topic")), text("data"));
    }

    fn handle_event(&mut self, id: String, topic: Option<String>, data: String) {
        if data == LAST {
            self.unfinished = self
                .unfinished
                .checked_sub(1)
                .expect("one last event a topic");
        }
        self.position = Some(id.clone());
        self.record.seen.push(Seen::Event { id, topic, data });
    }

    fn handle_gap(&mut self, gap: &Value) {
        self.record.seen.push(Seen::gap(gap));
    }
}

//! A reader of event streams that shows what browsers hide: comments, ids, `retry`, and the order of it all.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;

use super::PATIENCE;
use super::http::{Answer, Head, Request};
use super::server::Server;

/// A followed topic or pattern.
pub(crate) struct EventStream {
    answer: Answer,
    /// Bytes of lines that have not ended
    pending: Vec<u8>,
    /// The fields of the block that has not ended
    block: Block,
    pub(crate) comments: usize,
    pub(crate) retry: Option<u64>,
    /// The position to come back with: the id of the last whole block
    pub(crate) last_id: Option<String>,
}

/// What stands between two blank lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<String>,
}

impl Block {
    /// The data of a control event, which is JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let data = self.data.as_deref().unwrap();
        serde_json::from_str(data).unwrap_or_else(|e| panic!("{data:?} is not JSON: {e}"))
    }

    /// Whether it is the server's own event of this name, such as `gap`.
    pub(crate) fn is_control(&self, name: &str) -> bool {
        self.event.as_deref().and_then(|e| e.strip_prefix("push.")) == Some(name)
    }
}

impl EventStream {
    /// Follows from now on; returns once the state event is here, so that what is published next is delivered.
    #[track_caller]
    pub(crate) fn follow(server: &Server, target: &str) -> Self {
        let mut stream = Self::open(server.address(), &Request::get(target));
        let state = stream.next_block().unwrap();
        assert!(state.is_control("state"), "the first block is {state:?}");
        stream
    }

    /// Follows from after a position.
    #[track_caller]
    pub(crate) fn resume(server: &Server, target: &str, position: &str) -> Self {
        let request = Request::get(target).header("Last-Event-ID", position);
        let mut stream = Self::open(server.address(), &request);
        let state = stream.next_block().unwrap();
        assert!(state.is_control("state"), "the first block is {state:?}");
        stream
    }

    /// Sends a request that must be answered with an event stream, and reads nothing of it yet.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, request: &Request<'_>) -> Self {
        let answer = request.open(address);
        if answer.status() != 200 {
            panic!("no stream: {:?}", answer.into_reply());
        }
        Self {
            answer,
            pending: Vec::new(),
            block: Block::default(),
            comments: 0,
            retry: None,
            last_id: None,
        }
    }

    pub(crate) fn head(&self) -> &Head {
        &self.answer.head
    }

    /// The next whole block that has data, or `None` at the end of the stream.
    #[track_caller]
    pub(crate) fn next_block(&mut self) -> Option<Block> {
        let start = Instant::now();
        loop {
            // Heartbeats keep the socket's own timeout from ever passing.
            assert!(start.elapsed() < PATIENCE, "only heartbeats come");
            while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).take(end).collect();
                let line = String::from_utf8(line).unwrap();
                if let Some(block) = self.line(&line) {
                    return Some(block);
                }
            }
            if self.more() == 0 {
                return None;
            }
        }
    }

    /// The next event that was published, control events passed over.
    #[track_caller]
    pub(crate) fn next_event(&mut self) -> Block {
        loop {
            let block = self
                .next_block()
                .expect("an event, not the end of the stream");
            if !block.event.as_deref().unwrap_or("").starts_with("push.") {
                return block;
            }
        }
    }

    /// The data of the next `n` published events.
    #[track_caller]
    pub(crate) fn next_data(&mut self, n: usize) -> Vec<String> {
        (0..n).map(|_| self.next_event().data.unwrap()).collect()
    }

    /// Reads until a comment has come, and says what came with it.
    #[track_caller]
    pub(crate) fn next_comment(&mut self) -> Vec<Block> {
        let before = self.comments;
        let mut blocks = Vec::new();
        while self.comments == before {
            assert_ne!(self.more(), 0, "the stream ended");
            while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).take(end).collect();
                blocks.extend(self.line(&String::from_utf8(line).unwrap()));
            }
        }
        blocks
    }

    #[track_caller]
    fn more(&mut self) -> usize {
        let more = self.answer.more();
        self.pending.extend_from_slice(&more);
        more.len()
    }

    fn line(&mut self, line: &str) -> Option<Block> {
        assert!(!line.ends_with('\r'), "lines end in LF alone: {line:?}");
        if line.is_empty() {
            let block = std::mem::take(&mut self.block);
            if block.id.is_some() {
                self.last_id.clone_from(&block.id);
            }
            return block.data.is_some().then_some(block);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" => self.comments += 1,
            "id" => self.block.id = Some(value.to_owned()),
            "event" => self.block.event = Some(value.to_owned()),
            "retry" => self.retry = Some(value.parse().unwrap()),
            "data" => match &mut self.block.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.block.data = Some(value.to_owned()),
            },
            other => panic!("{other:?} is not a field of an event stream"),
        }
        None
    }
}

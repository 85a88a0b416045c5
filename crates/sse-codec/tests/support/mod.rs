//! What the tests share: a naive twin of the decoder, and one way to run the real one.

#![allow(dead_code, reason = "each test uses its part")]

use sse_codec::{Decoder, End, EventId, Item, Limits, OnOversized, Oversized};

/// What a stream comes to: the same for the decoder, its twin and the corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Type, data, last event ID
    pub(crate) events: Vec<(String, String, String)>,
    pub(crate) last_event_id: String,
    pub(crate) retry: Option<u64>,
    pub(crate) discarded: bool,
}

/// Everything a decoder can report, to compare runs that differ in their cuts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Event(String, String, String),
    Comment(String),
    Retry(std::time::Duration),
    Skipped(Oversized),
    Failed(Oversized),
    End(End),
}

/// Runs the decoder over a stream that is cut at these places.
pub(crate) fn decode(seed: &str, stream: &[u8], cuts: &[usize]) -> Outcome {
    let limits = Limits {
        max_retry: std::time::Duration::MAX,
        ..Limits::default()
    };
    let seed = EventId::new(seed).expect("the tests seed valid ids");
    let mut decoder = Decoder::with_limits(limits).with_last_event_id(seed);
    let mut outcome = Outcome::default();
    for piece in pieces(stream, cuts) {
        let mut items = decoder.decode(piece);
        while let Some(event) = items.next_event().expect("the limits are far away") {
            let event = event.into_owned();
            let seen = (event.event_type, event.data, event.last_event_id);
            outcome.events.push(seen);
        }
    }
    outcome.discarded = decoder.finish() == End::Discarded;
    outcome.last_event_id = decoder.last_event_id().to_owned();
    outcome.retry = decoder
        .reconnection_time()
        .map(|retry| retry.as_millis() as u64);
    outcome
}

/// Runs the decoder with everything asked for.
pub(crate) fn see(limits: Limits, choice: OnOversized, stream: &[u8], cuts: &[usize]) -> Vec<Seen> {
    let mut decoder = Decoder::with_limits(limits)
        .on_oversized(choice)
        .with_comments()
        .with_retries();
    let mut seen = Vec::new();
    for piece in pieces(stream, cuts) {
        let mut items = decoder.decode(piece);
        loop {
            seen.push(match items.next_item() {
                Ok(None) => break,
                Ok(Some(Item::Event(event))) => {
                    let event = event.into_owned();
                    Seen::Event(event.event_type, event.data, event.last_event_id)
                }
                Ok(Some(Item::Comment(text))) => Seen::Comment(text.into_owned()),
                Ok(Some(Item::Retry(retry))) => Seen::Retry(retry),
                Ok(Some(Item::Skipped(limit))) => Seen::Skipped(limit),
                Err(limit) => {
                    seen.push(Seen::Failed(limit));
                    return seen;
                }
            });
        }
        assert!(items.rest().is_empty(), "a chunk was not taken in");
        let most = limits.max_event + limits.max_line.max(limits.max_id) + 7;
        assert!(
            decoder.buffered() <= most,
            "more is kept than the limits allow"
        );
    }
    seen.push(Seen::End(decoder.finish()));
    seen
}

/// The stream in pieces; cuts are taken modulo what is left to cut.
pub(crate) fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in places {
        pieces.push(&stream[start..place]);
        start = place;
    }
    pieces.push(&stream[start..]);
    pieces
}

/// The standard's algorithm word by word, on the whole stream at once, with no thought of speed.
pub(crate) fn naive(seed: &str, stream: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut naive = Naive {
        id: seed.to_owned(),
        ..Naive::default()
    };
    naive.outcome.last_event_id = seed.to_owned();
    let mut line = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\r' {
            characters.next_if_eq(&'\n');
        }
        if character == '\r' || character == '\n' {
            naive.line(&std::mem::take(&mut line));
        } else {
            line.push(character);
        }
    }
    let name_cut = ["data", "id", "event", "retry"].iter().any(|name| {
        let name_begun = line.split(':').next().unwrap_or_default();
        name.starts_with(line.as_str()) || name_begun == *name
    });
    let Naive {
        mut outcome,
        data,
        event_type,
        id_set,
        ..
    } = naive;
    outcome.discarded =
        !data.is_empty() || !event_type.is_empty() || id_set || (!line.is_empty() && name_cut);
    outcome
}

#[derive(Default)]
struct Naive {
    data: String,
    event_type: String,
    id: String,
    id_set: bool,
    outcome: Outcome,
}

impl Naive {
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.dispatch();
        } else if line.starts_with(':') {
        } else if let Some((field, value)) = line.split_once(':') {
            self.field(field, value.strip_prefix(' ').unwrap_or(value));
        } else {
            self.field(line, "");
        }
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.event_type),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => {
                value.clone_into(&mut self.id);
                self.id_set = true;
            }
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                self.outcome.retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.outcome.last_event_id.clone_from(&self.id);
        self.id_set = false;
        let event_type = std::mem::take(&mut self.event_type);
        let mut data = std::mem::take(&mut self.data);
        if data.pop().is_none() {
            return;
        }
        let event_type = match event_type.as_str() {
            "" => "message".to_owned(),
            _ => event_type,
        };
        self.outcome
            .events
            .push((event_type, data, self.id.clone()));
    }
}

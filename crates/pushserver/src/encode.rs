//! An event in each of its forms. A form is kept from the second asking on while it is hot, and holds nothing about the reader.

use std::cell::RefCell;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use pushcore::{Batch, DataRef, Event, Gap};
use serde::Serialize;
use sse_codec::{Block, EventId, EventType};
use ws_codec::{FrameHeader, OpCode, SharedDeflater};

use crate::app::App;

/// The index of a form in the caches of events and batches
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    /// An event stream of one topic: the data as published
    SseRaw = 0,
    /// An event stream of several topics: the data is the event object
    SseJson = 1,
    /// A WebSocket message that is the data as published
    WsPlain = 2,
    /// A WebSocket message `{"event":{…}}`
    WsPush = 3,
    /// `SseRaw` as one chunk of a chunked response (RFC 9112 section 7.1)
    SseRawChunked = 4,
    /// `SseJson` as one chunk
    SseJsonChunked = 5,
    /// `WsPlain` for connections that agreed on permessage-deflate (RFC 7692)
    WsPlainDeflated = 6,
    /// `WsPush` for them
    WsPushDeflated = 7,
}

impl Form {
    pub(crate) fn is_chunked(self) -> bool {
        self != self.unchunked()
    }

    /// What the chunked forms hold inside
    fn unchunked(self) -> Self {
        match self {
            Self::SseRawChunked => Self::SseRaw,
            Self::SseJsonChunked => Self::SseJson,
            other => other,
        }
    }
}

/// The bytes of a whole batch in one form, shared by everyone who is sent the same batch
pub(crate) fn batch(app: &App, batch: &Arc<Batch>, form: Form) -> Bytes {
    if let [alone] = batch.events() {
        return event_again(app, alone, form);
    }
    batch.form(form as u8, || {
        let inner = form.unchunked();
        let events = batch.events();
        let pieces: Vec<Bytes> = events.iter().map(|one| event(app, one, inner)).collect();
        let length = pieces.iter().map(Bytes::len).sum();
        if inner == form {
            let mut joined = Vec::with_capacity(length);
            pieces
                .iter()
                .for_each(|piece| joined.extend_from_slice(piece));
            return joined.into();
        }
        let mut chunk = chunk_start(length);
        pieces
            .iter()
            .for_each(|piece| chunk.extend_from_slice(piece));
        chunk.extend_from_slice(b"\r\n");
        chunk.into()
    })
}

thread_local! {
    /// What this thread was asked for last: one event, at most as large as events may be
    static LAST: RefCell<Option<(Arc<Event>, Form, Bytes)>> = const { RefCell::new(None) };
}

/// One event in one form, which is mostly the same as for the reader before: then no lock is taken
fn event_again(app: &App, one: &Arc<Event>, form: Form) -> Bytes {
    LAST.with_borrow_mut(|last| match last {
        Some((last, in_form, bytes)) if Arc::ptr_eq(last, one) && *in_form == form => bytes.clone(),
        _ => {
            let bytes = event(app, one, form);
            *last = Some((Arc::clone(one), form, bytes.clone()));
            bytes
        }
    })
}

/// One event in one form
fn event(app: &App, event: &Arc<Event>, form: Form) -> Bytes {
    event.form(form as u8, || match form {
        Form::SseRaw | Form::SseRawChunked => sse(event, None, form),
        Form::SseJson | Form::SseJsonChunked => sse(event, Some(&object_text(event)), form),
        Form::WsPlain => {
            let (opcode, payload) = message(event);
            frame(opcode, payload)
        }
        Form::WsPush => frame(OpCode::Text, push_text(event).as_bytes()),
        Form::WsPlainDeflated => {
            let (opcode, payload) = message(event);
            deflated(app, opcode, payload)
        }
        Form::WsPushDeflated => deflated(app, OpCode::Text, push_text(event).as_bytes()),
    })
}

/// The event as JSON carries it everywhere: in event streams of several topics, in pages, over WebSocket
#[derive(Serialize)]
pub(crate) struct EventObject<'a> {
    id: String,
    topic: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    time: u64,
}

impl<'a> EventObject<'a> {
    pub(crate) fn new(event: &'a Event) -> Self {
        let (data, data_base64) = match event.data() {
            DataRef::Text(text) => (Some(text), None),
            DataRef::Bytes(bytes) => (None, Some(BASE64.encode(bytes))),
        };
        Self {
            id: event.position().to_string(),
            topic: event.topic().as_str(),
            event_type: event.event_type(),
            data,
            data_base64,
            content_type: event.content_type(),
            key: event.key(),
            time: event.time().0,
        }
    }
}

/// A gap as JSON carries it everywhere
///
/// `from` and `to` are positions, both in the range; for `epoch` and `rewound`, `from` is the position the reader
/// came with and reading goes on after `to`.
#[derive(Serialize)]
pub(crate) struct GapObject<'a> {
    #[serde(rename = "match")]
    pattern: &'a str,
    from: String,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
    reason: &'static str,
}

impl<'a> GapObject<'a> {
    pub(crate) fn new(gap: &'a Gap) -> Self {
        Self {
            pattern: gap.pattern.as_str(),
            from: gap.from.to_string(),
            to: gap.to.to_string(),
            missed: gap.missed,
            reason: gap.reason.as_str(),
        }
    }
}

/// JSON of a value whose parts cannot fail to be written
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists of them always serialise")
}

/// The same, appended to what is there
pub(crate) fn json_into(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("strings, numbers and lists of them always serialise, and a vector takes all");
}

/// The event object's text
pub(crate) fn object_text(event: &Event) -> String {
    json(&EventObject::new(event))
}

fn push_text(event: &Event) -> String {
    format!("{{\"event\":{}}}", object_text(event))
}

fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(FrameHeader::MAX_LEN + payload.len());
    ws_codec::encode_into(&mut frame, opcode, payload);
    frame.into()
}

/// The opcode and payload of an event as a message of its own
fn message(event: &Event) -> (OpCode, &[u8]) {
    match event.data() {
        DataRef::Text(text) => (OpCode::Text, text.as_bytes()),
        DataRef::Bytes(bytes) => (OpCode::Binary, bytes),
    }
}

thread_local! {
    /// One compressor a thread: it keeps nothing from one message to the next, so that what it makes can be shared
    static DEFLATER: RefCell<SharedDeflater> = RefCell::new(SharedDeflater::new(WINDOW_BITS, DEFLATE_LEVEL));
}

/// The whole window of RFC 7692; a client that demands a smaller one is sent plain frames
pub(crate) const WINDOW_BITS: u8 = 15;

/// Fast: an event is compressed while its subscribers wait
const DEFLATE_LEVEL: u8 = 1;

/// The message compressed, if it is long enough and becomes shorter by it
fn deflated(app: &App, opcode: OpCode, payload: &[u8]) -> Bytes {
    if payload.len() < app.config.websocket.deflate_min_bytes {
        return frame(opcode, payload);
    }
    let compressed = DEFLATER.with_borrow_mut(|deflater| deflater.compress(payload));
    if compressed.len() >= payload.len() {
        return frame(opcode, payload);
    }
    let header = FrameHeader {
        rsv1: true,
        ..FrameHeader::whole(opcode, compressed.len())
    };
    let mut frame = Vec::with_capacity(FrameHeader::MAX_LEN + compressed.len());
    ws_codec::encode_frame_into(&mut frame, header, &compressed);
    frame.into()
}

fn sse(event: &Event, object: Option<&str>, form: Form) -> Bytes {
    let id = event.position().to_string();
    let id = EventId::new(&id).expect("a position's text is letters, digits and `-`");
    let mut block = Block::new().id(id);
    if let Some(name) = event.event_type() {
        block =
            block.event(EventType::new(name).expect("pushcore's event types have no line ends"));
    }
    match (object, event.data()) {
        (Some(object), _) => framed_block(form, &block.data(object)),
        (None, DataRef::Bytes(bytes)) => framed_block(form, &block.data(&BASE64.encode(bytes))),
        (None, DataRef::Text(text)) => framed_block(form, &block.data(text)),
    }
}

fn framed_block(form: Form, block: &Block<'_>) -> Bytes {
    if !form.is_chunked() {
        return block.to_bytes();
    }
    let mut chunk = chunk_start(block.encoded_len());
    block.encode_into(&mut chunk);
    chunk.extend_from_slice(b"\r\n");
    chunk.into()
}

/// An event that the server itself sends on an event stream: named `push.…`, without an id unless it carries one
pub(crate) fn sse_control(name: &'static str, id: Option<&str>, data: &impl Serialize) -> Vec<u8> {
    let data = json(data);
    let mut block = Block::new().event(EventType::from_static(name)).data(&data);
    if let Some(id) = id {
        block = block.id(EventId::new(id).expect("a position's text is letters, digits and `-`"));
    }
    let mut out = Vec::with_capacity(block.encoded_len());
    block.encode_into(&mut out);
    out
}

/// Bytes of an event stream in the framing of `form`
pub(crate) fn framed(form: Form, bytes: &[u8]) -> Bytes {
    if !form.is_chunked() {
        return Bytes::copy_from_slice(bytes);
    }
    let mut chunk = chunk_start(bytes.len());
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk.into()
}

/// The end of a chunked response
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A chunk's size line, in a buffer that has room for the chunk
fn chunk_start(length: usize) -> Vec<u8> {
    let digits = length.checked_ilog(16).unwrap_or(0) + 1;
    let mut chunk = Vec::with_capacity(digits as usize + 2 + length + 2);
    chunk.extend(
        (0..digits)
            .rev()
            .map(|digit| HEX[(length >> (4 * digit)) % 16]),
    );
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[cfg(test)]
mod tests {
    use pushcore::{Budget, Delivery, NewEvent, Pattern, Start, SubscribeOptions, Topic};

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_chunk_begins_with_its_size_in_hexadecimal() {
        for length in [0, 1, 9, 10, 15, 16, 255, 256, 4_095, 4_096, 0xabcde] {
            assert_eq!(chunk_start(length), format!("{length:x}\r\n").into_bytes());
        }
    }

    #[test]
    fn what_is_compressed_is_compressed_once_for_all_who_read_it() {
        let app = App::new(Config::default(), None).unwrap();
        let topic = Topic::parse("a").unwrap();
        let mut readers = [(); 2].map(|()| {
            let options = SubscribeOptions {
                patterns: vec![Pattern::exact(topic.clone())],
                start: Start::Now,
                ..SubscribeOptions::default()
            };
            app.hub.subscribe(options, app.clock.now()).unwrap()
        });
        let data = "many times the same ".repeat(100);
        let event = NewEvent::new(topic, data.as_str());
        let published = app.hub.publish(vec![event], None, app.clock.now());
        assert!(published.try_ready().is_ok());
        let batches = readers.each_mut().map(|reader| {
            match reader.try_next(app.clock.now(), Budget::default()) {
                Some(Delivery::Batch(batch)) => batch,
                other => panic!("{other:?} instead of the event"),
            }
        });
        for form in [Form::WsPlainDeflated, Form::WsPushDeflated] {
            let [one, other] = batches.each_ref().map(|of_one| batch(&app, of_one, form));
            assert!(one.len() < data.len() / 4, "{} bytes", one.len());
            assert_eq!(one.as_ptr(), other.as_ptr(), "the same bytes");
        }
    }
}

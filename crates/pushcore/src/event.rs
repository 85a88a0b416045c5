//! What is published, as the log keeps it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::forms::{FormCache, Forms, Holder};
use crate::label::{ContentType, EventType, IdempotencyKey, Key};
use crate::position::{Epoch, Position, Tag};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// An event in the log; readers share it
pub struct Event {
    header: Arc<Header>,
    /// The data, and behind it the type, key and content type: one allocation for all of them
    body: Body,
    offset: u64,
    previous: u64,
    time: Timestamp,
    forms: Forms,
    tag: Tag,
    /// Lengths of the labels behind the data, 0 for none
    event_type: u8,
    key: u8,
    content_type: u8,
    record: Record,
}

/// What events of one topic have in common
pub(crate) struct Header {
    pub(crate) topic: Topic,
    pub(crate) epoch: Epoch,
    pub(crate) forms: Arc<FormCache>,
}

/// What an entry of the log is
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// An event, for readers
    Event,
    /// The end of a topic, which readers are told as [`End`](crate::End)
    Ended,
    /// The end of a topic whose events were erased
    Deleted,
}

impl Event {
    /// Where it is in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            epoch: self.header.epoch,
            offset: self.offset,
            tag: self.tag,
        }
    }

    /// Its number in the log's total order.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The offset of the event before it in its topic; 0 if it is the first the log remembers.
    #[must_use]
    pub fn previous(&self) -> u64 {
        self.previous
    }

    /// The topic it was published to.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.header.topic
    }

    /// Its data as published.
    #[must_use]
    pub fn data(&self) -> DataRef<'_> {
        let end = self.body.len() - self.labels_len();
        match &self.body {
            Body::Text(text) => DataRef::Text(&text[..end]),
            Body::Bytes(bytes) => DataRef::Bytes(&bytes[..end]),
        }
    }

    /// Its type, if it has one.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.label(self.body.len() - self.labels_len(), self.event_type)
    }

    /// Its key, if it has one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        let end = self.body.len() - usize::from(self.content_type);
        self.label(end - usize::from(self.key), self.key)
    }

    /// The media type of its data, if its publisher gave one.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        let start = self.body.len() - usize::from(self.content_type);
        self.label(start, self.content_type)
    }

    /// When it was published; never before the event that precedes it in the log.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The event in the form `index`, encoded by `encode` at most once while it is cached.
    ///
    /// The caller chooses what an index means; a hub serves one meaning. Forms live in a cache that counts in the log's
    /// ceiling ([`HubConfig::max_form_bytes`](crate::HubConfig)): the oldest are let go first, and `encode` is
    /// asked again for those. It runs without a lock and may ask for another form of the same event. Two threads that ask
    /// at the same time may both encode; one result is kept.
    pub fn form(self: &Arc<Event>, index: u8, encode: impl FnOnce() -> Bytes) -> Bytes {
        let holder = || Holder::Event(Arc::downgrade(self));
        self.forms
            .get_or_encode(index, &self.header.forms, holder, encode)
    }

    pub(crate) fn forms(&self) -> &Forms {
        &self.forms
    }

    /// The cache that bounds the forms of its hub.
    pub(crate) fn form_cache(&self) -> &FormCache {
        &self.header.forms
    }

    /// Its content in parts, for a snapshot.
    pub(crate) fn content_parts(&self) -> Parts<'_> {
        Parts {
            is_text: matches!(self.body, Body::Text(_)),
            labels: [self.event_type, self.key, self.content_type],
            body: self.body.as_bytes(),
        }
    }

    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    pub(crate) fn record(&self) -> Record {
        self.record
    }

    /// Bytes of the data and the labels.
    pub(crate) fn body_len(&self) -> usize {
        self.body.len()
    }

    fn labels_len(&self) -> usize {
        usize::from(self.event_type) + usize::from(self.key) + usize::from(self.content_type)
    }

    fn label(&self, start: usize, len: u8) -> Option<&str> {
        let range = start..start + usize::from(len);
        match (&self.body, len) {
            (_, 0) => None,
            (Body::Text(text), _) => Some(&text[range]),
            (Body::Bytes(bytes), _) => Some(
                std::str::from_utf8(&bytes[range]).expect("a label was text when it was put here"),
            ),
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.forms.release(&self.header.forms);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.header.topic, self.offset)
    }
}

/// An event's content as it lies in memory
pub(crate) struct Parts<'a> {
    pub(crate) is_text: bool,
    /// Lengths of the type, the key and the content type
    pub(crate) labels: [u8; 3],
    /// The data and behind it the labels
    pub(crate) body: &'a [u8],
}

/// Where and when an event enters the log
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) tag: Tag,
    pub(crate) previous: u64,
    pub(crate) time: Timestamp,
}

/// What an event says: its data and labels, joined
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    body: Body,
    event_type: u8,
    key: u8,
    content_type: u8,
}

impl Content {
    /// Joins them; without labels the data stays where it is.
    pub(crate) fn new(
        data: Data,
        event_type: Option<&EventType>,
        key: Option<&Key>,
        content_type: Option<&ContentType>,
    ) -> Content {
        let labels = [
            event_type.map_or("", EventType::as_str),
            key.map_or("", Key::as_str),
            content_type.map_or("", ContentType::as_str),
        ];
        let length =
            |label: &str| u8::try_from(label.len()).expect("labels have at most 255 bytes");
        Content {
            body: data.0.join(&labels),
            event_type: length(labels[0]),
            key: length(labels[1]),
            content_type: length(labels[2]),
        }
    }

    /// Puts parts together again; `None` if they do not fit each other.
    pub(crate) fn from_parts(is_text: bool, labels: [u8; 3], body: &[u8]) -> Option<Content> {
        let labels_len: usize = labels.iter().map(|&len| usize::from(len)).sum();
        let (data, texts) = body.split_at(body.len().checked_sub(labels_len)?);
        let mut rest = std::str::from_utf8(texts).ok()?;
        for len in labels {
            rest = rest.split_at_checked(usize::from(len))?.1;
        }
        let body = match is_text {
            // The data by itself must be text, so that a label never begins inside a character.
            true => Body::Text(
                format!(
                    "{}{}",
                    std::str::from_utf8(data).ok()?,
                    std::str::from_utf8(texts).ok()?
                )
                .into(),
            ),
            false => Body::Bytes(body.into()),
        };
        let [event_type, key, content_type] = labels;
        Some(Content {
            body,
            event_type,
            key,
            content_type,
        })
    }

    pub(crate) fn empty() -> Content {
        Content::new(Data(Body::Text(Box::default())), None, None, None)
    }

    pub(crate) fn into_event(self, header: Arc<Header>, place: &Place, record: Record) -> Event {
        Event {
            header,
            body: self.body,
            offset: place.offset,
            previous: place.previous,
            time: place.time,
            forms: Forms::default(),
            tag: place.tag,
            event_type: self.event_type,
            key: self.key,
            content_type: self.content_type,
            record,
        }
    }
}

/// An event's data: text or bytes
///
/// Owns exactly its own bytes: a slice of a larger buffer is copied, so that a small event never keeps a large buffer
/// alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data(Body);

#[derive(Clone, PartialEq, Eq)]
enum Body {
    Text(Box<str>),
    Bytes(Box<[u8]>),
}

impl Data {
    /// Text, checked.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(data: impl Into<Bytes>) -> Result<Data, std::str::Utf8Error> {
        let text = String::from_utf8(Vec::from(data.into())).map_err(|e| e.utf8_error())?;
        Ok(Data(Body::Text(text.into_boxed_str())))
    }

    /// Bytes, as they are.
    #[must_use]
    pub fn bytes(data: impl Into<Bytes>) -> Data {
        Data(Body::Bytes(Vec::from(data.into()).into_boxed_slice()))
    }

    /// A look at it.
    #[must_use]
    pub fn as_ref(&self) -> DataRef<'_> {
        match &self.0 {
            Body::Text(text) => DataRef::Text(text),
            Body::Bytes(bytes) => DataRef::Bytes(bytes),
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Data {
        Data(Body::Text(Box::from(text)))
    }
}

impl From<String> for Data {
    fn from(text: String) -> Data {
        Data(Body::Text(text.into_boxed_str()))
    }
}

/// A look at an event's data
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataRef<'a> {
    /// Published as text
    Text(&'a str),
    /// Published as bytes
    Bytes(&'a [u8]),
}

impl<'a> DataRef<'a> {
    /// The bytes, of whatever kind.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            DataRef::Text(text) => text.as_bytes(),
            DataRef::Bytes(bytes) => bytes,
        }
    }
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Body::Text(text) => text.len(),
            Body::Bytes(bytes) => bytes.len(),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Body::Text(text) => text.as_bytes(),
            Body::Bytes(bytes) => bytes,
        }
    }

    fn join(self, labels: &[&str]) -> Body {
        let more: usize = labels.iter().map(|label| label.len()).sum();
        if more == 0 {
            return self;
        }
        match self {
            Body::Text(text) => {
                let mut text = String::from(text);
                text.reserve_exact(more);
                labels.iter().for_each(|label| text.push_str(label));
                Body::Text(text.into_boxed_str())
            }
            Body::Bytes(bytes) => {
                let mut bytes = Vec::from(bytes);
                bytes.reserve_exact(more);
                labels
                    .iter()
                    .for_each(|label| bytes.extend_from_slice(label.as_bytes()));
                Body::Bytes(bytes.into_boxed_slice())
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Text(text) => fmt::Debug::fmt(text, f),
            Body::Bytes(bytes) => fmt::Debug::fmt(&Bytes::copy_from_slice(bytes), f),
        }
    }
}

/// An event to be published
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Where to
    pub topic: Topic,
    /// What it says
    pub data: Data,
    /// What kind it is
    pub event_type: Option<EventType>,
    /// What it is about, for conflation
    pub key: Option<Key>,
    /// The media type of its data
    pub content_type: Option<ContentType>,
    /// Makes a retry of this publish the same publish
    pub idempotency: Option<IdempotencyKey>,
    /// Whether the topic ends with it
    pub end: bool,
}

impl NewEvent {
    /// An event with nothing but data.
    #[must_use]
    pub fn new(topic: Topic, data: impl Into<Data>) -> NewEvent {
        NewEvent {
            topic,
            data: data.into(),
            event_type: None,
            key: None,
            content_type: None,
            idempotency: None,
            end: false,
        }
    }

    /// Bytes of its data and labels, which is what limits and retention count.
    #[must_use]
    pub fn size(&self) -> usize {
        let labels = [
            self.event_type.as_ref().map(EventType::as_str),
            self.key.as_ref().map(Key::as_str),
            self.content_type.as_ref().map(ContentType::as_str),
        ];
        self.data.len() + labels.into_iter().flatten().map(str::len).sum::<usize>()
    }
}

impl From<NewEvent> for Content {
    fn from(new: NewEvent) -> Content {
        let (kind, key, mime) = (
            new.event_type.as_ref(),
            new.key.as_ref(),
            new.content_type.as_ref(),
        );
        Content::new(new.data, kind, key, mime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: Data, event_type: Option<&str>, key: Option<&str>, mime: Option<&str>) -> Event {
        let content = Content::new(
            data,
            event_type.map(|t| EventType::parse(t).unwrap()).as_ref(),
            key.map(|t| Key::parse(t).unwrap()).as_ref(),
            mime.map(|t| ContentType::parse(t).unwrap()).as_ref(),
        );
        let header = Arc::new(Header {
            topic: Topic::parse("a").unwrap(),
            epoch: Epoch(1),
            forms: FormCache::new(1000),
        });
        let place = Place {
            offset: 1,
            tag: Tag(1),
            previous: 0,
            time: Timestamp(0),
        };
        content.into_event(header, &place, Record::Event)
    }

    #[test]
    fn data_and_labels_come_back_as_they_went_in() {
        let labels = [None, Some("x"), Some("é")];
        for event_type in labels {
            for key in labels {
                for mime in labels {
                    for data in [
                        Data::from("dätä"),
                        Data::bytes(vec![0, 255]),
                        Data::from(""),
                    ] {
                        let event = event(data.clone(), event_type, key, mime);
                        assert_eq!(event.data(), data.as_ref());
                        assert_eq!(event.event_type(), event_type);
                        assert_eq!(event.key(), key);
                        assert_eq!(event.content_type(), mime);
                    }
                }
            }
        }
    }

    #[test]
    fn a_form_is_made_once() {
        let event = Arc::new(event(Data::from("x"), None, None, None));
        assert_eq!(event.form(0, || Bytes::from_static(b"0")), "0");
        assert_eq!(event.form(1, || event.form(0, || unreachable!())), "0");
        assert_eq!(event.form(1, || unreachable!()), "0");
    }

    #[test]
    fn an_event_costs_less_than_100_bytes() {
        assert!(size_of::<Event>() + 16 <= 104, "{}", size_of::<Event>());
    }

    #[test]
    fn text_is_checked() {
        assert!(Data::text(vec![0xff]).is_err());
        assert_eq!(Data::text(vec![b'a']).unwrap(), Data::from("a"));
    }
}

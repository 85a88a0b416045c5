//! What is published, as the log keeps it.

mod content;
mod data;
mod marks;
mod new;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::forms::{FormCache, Forms, Holder};
use crate::position::{Epoch, Position, Tag};
use crate::timestamp::Timestamp;
use crate::topic::Topic;
pub(crate) use content::{Content, Parts};
use data::Body;
pub use data::{Data, DataRef};
use marks::Marks;
pub(crate) use marks::Record;
pub use new::NewEvent;

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
    marks: Marks,
}

/// What events of one topic have in common
pub(crate) struct Header {
    pub(crate) topic: Topic,
    pub(crate) epoch: Epoch,
    pub(crate) forms: Arc<FormCache>,
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

    /// The event in the form `index`, made by `encode` at the first asking and at the second, which keeps it: an event that
    /// is asked for once, as where each topic has its own reader, takes no memory for a form.
    ///
    /// The caller chooses what an index means; a hub serves one meaning. Forms are kept in a cache that counts in the log's
    /// ceiling ([`HubConfig::max_form_bytes`](crate::HubConfig)): the oldest are let go first, and `encode` is
    /// asked again for those. It runs without a lock and may ask for another form of the same event. Two threads that ask
    /// at the same time may both encode; one result is kept.
    pub fn form(self: &Arc<Event>, index: u8, encode: impl FnOnce() -> Bytes) -> Bytes {
        if self.marks.is_first_asking(index) {
            return encode();
        }
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
        self.marks.record()
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

/// Where and when an event enters the log
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) tag: Tag,
    pub(crate) previous: u64,
    pub(crate) time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::{ContentType, EventType, Key};

    fn content(
        data: Data,
        event_type: Option<&str>,
        key: Option<&str>,
        mime: Option<&str>,
    ) -> Content {
        Content::new(
            data,
            event_type.map(|t| EventType::parse(t).unwrap()).as_ref(),
            key.map(|t| Key::parse(t).unwrap()).as_ref(),
            mime.map(|t| ContentType::parse(t).unwrap()).as_ref(),
        )
    }

    fn header() -> Arc<Header> {
        Arc::new(Header {
            topic: Topic::parse("a").unwrap(),
            epoch: Epoch(1),
            forms: FormCache::new(1000),
        })
    }

    fn place(offset: u64) -> Place {
        Place {
            offset,
            tag: Tag(offset as u32),
            previous: offset - 1,
            time: Timestamp(offset),
        }
    }

    fn event(data: Data, event_type: Option<&str>, key: Option<&str>, mime: Option<&str>) -> Event {
        content(data, event_type, key, mime).into_event(header(), &place(1), Record::Event)
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
    fn what_lies_where_an_old_event_lay_has_nothing_of_it() {
        let header = header();
        let labels = [Some("t"), Some("k"), Some("m")];
        let old = content(Data::from("old"), labels[0], labels[1], labels[2]);
        let old = old.into_entry(&header, &place(1), Record::Event, None);
        let memory = Arc::as_ptr(&old);
        let new = content(Data::bytes(vec![1]), None, None, None);
        let new = new.into_entry(&header, &place(7), Record::Event, Some(old));
        assert_eq!(Arc::as_ptr(&new), memory);
        assert_eq!(new.data(), DataRef::Bytes(&[1]));
        assert_eq!(
            (new.event_type(), new.key(), new.content_type()),
            (None, None, None)
        );
        assert_eq!(
            (new.offset(), new.previous(), new.tag(), new.time()),
            (7, 6, Tag(7), Timestamp(7))
        );
    }

    #[test]
    fn an_event_that_somebody_holds_stays_what_it_is() {
        let header = header();
        let entry = |data: &str, offset, old| {
            let content = content(Data::from(data), None, None, None);
            content.into_entry(&header, &place(offset), Record::Event, old)
        };
        let held = entry("held", 1, None);
        let next = entry("next", 2, Some(held.clone()));
        assert_eq!((held.data(), held.offset()), (DataRef::Text("held"), 1));
        assert_eq!(next.form(0, || Bytes::from_static(b"next")), "next");
        let memory = Arc::as_ptr(&next);
        let next = entry("next", 2, Some(next));
        assert_eq!(Arc::as_ptr(&next), memory);
        // A form that is kept is remembered by the cache, which would find another event's in its place.
        for _ in 0..2 {
            assert_eq!(next.form(0, || Bytes::from_static(b"next")), "next");
        }
        let memory = Arc::as_ptr(&next);
        let last = entry("last", 3, Some(next));
        assert_ne!(Arc::as_ptr(&last), memory);
        assert_eq!(last.form(0, || Bytes::from_static(b"last")), "last");
    }

    #[test]
    fn a_form_is_kept_from_the_second_asking_on() {
        let event = Arc::new(event(Data::from("x"), None, None, None));
        let cached = || event.form_cache().bytes();
        assert_eq!(event.form(0, || Bytes::from_static(b"0")), "0");
        assert_eq!(cached(), 0);
        assert_eq!(event.form(0, || Bytes::from_static(b"0")), "0");
        let one = cached();
        assert_ne!(one, 0);
        for _ in 0..2 {
            assert_eq!(event.form(1, || event.form(0, || unreachable!())), "0");
        }
        assert_eq!(event.form(1, || unreachable!()), "0");
        assert_eq!(cached(), 2 * one);
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

//! What an event says, joined to lie in memory.

use std::sync::Arc;

use super::data::{Body, Data};
use super::marks::{Marks, Record};
use super::{Event, Header, NewEvent, Place};
use crate::forms::Forms;
use crate::label::{ContentType, EventType, Key};

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
    #[inline]
    pub(crate) fn new(
        data: Data,
        event_type: Option<&EventType>,
        key: Option<&Key>,
        content_type: Option<&ContentType>,
    ) -> Content {
        if event_type.is_none() && key.is_none() && content_type.is_none() {
            return Content {
                body: data.0,
                event_type: 0,
                key: 0,
                content_type: 0,
            };
        }
        Content::join(data, event_type, key, content_type)
    }

    #[inline(never)]
    fn join(
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

    /// Bytes of the data and the labels.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// An event of the log, in the memory of `old`, which was of the same topic, if nobody holds that any more.
    #[inline]
    pub(crate) fn into_entry(
        self,
        header: &Arc<Header>,
        place: &Place,
        record: Record,
        old: Option<Arc<Event>>,
    ) -> Arc<Event> {
        if let Some(mut old) = old
            && let Some(event) = Arc::get_mut(&mut old)
        {
            debug_assert!(Arc::ptr_eq(&event.header, header));
            event.forms.release(&event.header.forms);
            event.body = self.body;
            event.offset = place.offset;
            event.previous = place.previous;
            event.time = place.time;
            event.tag = place.tag;
            event.event_type = self.event_type;
            event.key = self.key;
            event.content_type = self.content_type;
            event.marks = Marks::new(record);
            return old;
        }
        Arc::new(self.into_event(header.clone(), place, record))
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
            marks: Marks::new(record),
        }
    }
}

impl From<NewEvent> for Content {
    #[inline]
    fn from(new: NewEvent) -> Content {
        let NewEvent {
            data,
            event_type,
            key,
            content_type,
            ..
        } = new;
        Content::new(
            data,
            event_type.as_ref(),
            key.as_ref(),
            content_type.as_ref(),
        )
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

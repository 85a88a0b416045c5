//! What is to be published.

use super::data::Data;
use crate::label::{ContentType, EventType, IdempotencyKey, Key};
use crate::topic::Topic;

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
    #[inline]
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
        let event_type = self.event_type.as_ref().map_or("", EventType::as_str);
        let key = self.key.as_ref().map_or("", Key::as_str);
        let content_type = self.content_type.as_ref().map_or("", ContentType::as_str);
        self.data.len() + event_type.len() + key.len() + content_type.len()
    }
}

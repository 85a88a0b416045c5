//! A page as JSON, made a slice at a time.

use pushcore::{Event, Page};
use serde::Serialize;

use crate::encode::{self, EventObject, GapObject};

/// What is written of a page in one go, as long as no single event is longer
///
/// A core writes some 500 MB of JSON in a second, so a slice is about 130 µs during which nobody else has a turn; the whole of
/// the largest page, `stream.max_page_bytes`, would be 2 ms. Text that is all control characters becomes six times as long.
pub(crate) const SLICE_BYTES: usize = 64 * 1024;

/// The JSON text of a page, of which a part is written already
///
/// It holds the page's events and no text: what is not written yet costs nothing beyond the log as long as the log has it too.
#[derive(Debug)]
pub(crate) struct PageText {
    page: Page,
    /// How many of the events are written
    written: usize,
}

/// Whether a slice was the last one
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    More,
    Last,
}

/// What follows the events
#[derive(Serialize)]
struct Rest<'a> {
    gaps: Vec<GapObject<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ends: Vec<EndObject<'a>>,
    next: String,
    up_to_date: bool,
}

#[derive(Serialize)]
struct EndObject<'a> {
    #[serde(rename = "match")]
    pattern: &'a str,
    reason: &'static str,
}

impl PageText {
    pub(crate) fn new(page: Page) -> Self {
        Self { page, written: 0 }
    }

    /// Appends the next slice: events of [`SLICE_BYTES`], but at least one, and what follows the last of them
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) -> Slice {
        if self.written == 0 {
            out.extend_from_slice(b"{\"events\":[");
        }
        let mut room = SLICE_BYTES;
        for event in self.page.events.iter().skip(self.written) {
            let fits = room.checked_sub(data_len(event));
            if fits.is_none() && room < SLICE_BYTES {
                return Slice::More;
            }
            room = fits.unwrap_or(0);
            if self.written > 0 {
                out.push(b',');
            }
            encode::json_into(&EventObject::new(event), out);
            self.written += 1;
        }
        out.extend_from_slice(b"],");
        let rest = encode::json(&Rest::new(&self.page));
        out.extend_from_slice(&rest.as_bytes()[1..]);
        Slice::Last
    }

    /// Bytes that the text has at least, and not many more unless it is full of what JSON must escape
    pub(crate) fn len_hint(&self) -> usize {
        data_bytes(&self.page) + EVENT_BYTES * self.page.events.len() + REST_BYTES
    }
}

/// What an event's JSON has besides its data, about: names, position, topic, time
const EVENT_BYTES: usize = 160;

/// What a page's JSON has besides its events, if it has no gaps
const REST_BYTES: usize = 96;

/// Bytes of data in a page
pub(crate) fn data_bytes(page: &Page) -> usize {
    page.events.iter().map(|event| data_len(event)).sum()
}

/// How many of a page's events fit in one slice; at least one
pub(crate) fn first_slice(page: &Page) -> usize {
    let mut room = SLICE_BYTES;
    let fits = page.events.iter().take_while(|event| {
        let left = room.checked_sub(data_len(event));
        room = left.unwrap_or(0);
        left.is_some()
    });
    fits.count().max(1)
}

fn data_len(event: &Event) -> usize {
    event.data().as_bytes().len()
}

impl<'a> Rest<'a> {
    fn new(page: &'a Page) -> Self {
        let ends = page.ends.iter().map(|end| EndObject {
            pattern: end.pattern.as_str(),
            reason: end.reason.as_str(),
        });
        Self {
            gaps: page.gaps.iter().map(GapObject::new).collect(),
            ends: ends.collect(),
            next: page.next.to_string(),
            up_to_date: page.up_to_date,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixture::published;
    use super::*;
    use crate::app::App;
    use crate::config::Config;

    /// A page of events whose data have these lengths
    fn page(lengths: &[usize]) -> Page {
        let app = App::new(Config::default(), None).unwrap();
        let data = lengths.iter().enumerate();
        published(&app, data.map(|(index, len)| data_of(index, *len)))
    }

    /// Something that JSON must escape, at the beginning of each
    fn data_of(index: usize, len: usize) -> String {
        let mut data = format!("\"{index}\n");
        data.push_str(&"x".repeat(len.saturating_sub(data.len())));
        data
    }

    /// The page as one JSON value, without slices
    fn naive(page: &Page) -> Value {
        json!({
            "events": page.events.iter().map(|event| EventObject::new(event)).collect::<Vec<_>>(),
            "gaps": [], "next": page.next.to_string(), "up_to_date": page.up_to_date,
        })
    }

    #[track_caller]
    fn check(lengths: &[usize], slices: usize) {
        let page = page(lengths);
        let mut text = PageText::new(page.clone());
        let (mut joined, mut lens) = (Vec::new(), Vec::new());
        loop {
            let before = joined.len();
            let slice = text.write(&mut joined);
            lens.push(joined.len() - before);
            if slice == Slice::Last {
                break;
            }
        }
        let joined = String::from_utf8(joined).unwrap();
        assert_eq!(joined, naive(&page).to_string());
        assert_eq!(lens.len(), slices, "{lens:?}");
        let longest = lengths.iter().copied().max().unwrap_or(0).max(SLICE_BYTES);
        let others = (lengths.len() + 1) * EVENT_BYTES;
        assert!(
            lens.iter().all(|len| *len <= longest + others),
            "{lens:?} are longer than a slice"
        );
    }

    #[test]
    fn slices_joined_are_the_page_and_none_is_longer_than_it_may_be() {
        check(&[], 1);
        check(&[5], 1);
        check(&[100; 50], 1);
        check(&[SLICE_BYTES], 1);
        check(&[SLICE_BYTES / 2, SLICE_BYTES / 2], 1);
        check(&[SLICE_BYTES / 2, SLICE_BYTES / 2 + 1], 2);
        check(&[1, SLICE_BYTES, 1], 3);
        check(&[3 * SLICE_BYTES, 4], 2);
        check(&[30_000; 20], 10);
    }
}

//! The two best decoders of others, held against ours: where they differ, the standard has been asked.

mod corpus;
mod support;

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use corpus::read_corpus;
use futures_util::Stream;
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Outcome, decode};

/// sse-parse 0.1.0: no difference.
#[test]
fn sse_parse_agrees_on_the_corpus() {
    for case in read_corpus() {
        let mut outcome = sse_parse(&case.seed, &case.stream);
        // It does not tell.
        outcome.discarded = case.expect.discarded;
        assert_eq!(outcome, case.expect, "{}", case.name);
    }
}

/// Where sse-stream 0.3.0 differs: "Streams must be decoded using the UTF-8 decode algorithm" (HTML 9.2.6), which has no
/// errors, only U+FFFD; it ends the stream with an error.
#[test]
fn sse_stream_disagrees_on_what_is_not_utf8_and_nothing_else() {
    for case in read_corpus() {
        let is_text = std::str::from_utf8(&case.stream).is_ok();
        let agrees =
            sse_stream(&case.seed, &case.stream).is_some_and(|events| events == case.expect.events);
        if is_text {
            assert!(agrees, "{}", case.name);
        } else {
            let excused = case
                .expect
                .events
                .iter()
                .all(|event| !format!("{event:?}").contains('\u{fffd}'));
            assert!(
                !agrees || excused,
                "it agrees on {:?}: strike that out",
                case.name
            );
        }
    }
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "data",
        "data:",
        "data: ",
        "id: ",
        "id",
        "event: ",
        "event",
        "retry: ",
        "retry",
        ":",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\r",
        "\u{feff}",
        "\u{2026}",
        "\0",
        "x",
        "12",
        "data: a\n\n",
        "id: 7\ndata: b\n\n",
    ]);
    vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sse_parse_agrees_on_any_stream(stream in stream(), noise in vec(any::<u8>(), 0..8), seed in "[a-z]{0,2}") {
        let stream = [stream, noise].concat();
        let mut outcome = sse_parse(&seed, &stream);
        let ours = decode(&seed, &stream, &[]);
        outcome.discarded = ours.discarded;
        prop_assert_eq!(outcome, ours);
    }

    #[test]
    fn sse_stream_agrees_on_any_text(stream in stream(), seed in "[a-z]{0,2}") {
        prop_assert_eq!(sse_stream(&seed, &stream), Some(decode(&seed, &stream, &[]).events));
    }
}

fn sse_parse(seed: &str, stream: &[u8]) -> Outcome {
    let mut parser = sse_parse::SseParser::with_last_event_id(seed);
    let mut outcome = Outcome::default();
    parser.feed(stream);
    parser.finish();
    while let Some(event) = parser.next_event() {
        outcome.events.push((event.event, event.data, event.id));
    }
    outcome.last_event_id = parser.last_event_id().to_owned();
    outcome.retry = parser.retry().map(|retry| retry.as_millis() as u64);
    outcome
}

/// It hands out blocks as they are; what the standard makes of them is added here. `None` if it refuses the stream.
fn sse_stream(seed: &str, stream: &[u8]) -> Option<Vec<(String, String, String)>> {
    let chunk = Ok::<_, Infallible>(Bytes::copy_from_slice(stream));
    let mut blocks = pin!(sse_stream::SseByteStream::new(futures_util::stream::iter(
        [chunk]
    )));
    let mut context = Context::from_waker(Waker::noop());
    let mut last_event_id = seed.to_owned();
    let mut events = Vec::new();
    while let Poll::Ready(Some(block)) = blocks.as_mut().poll_next(&mut context) {
        let block = block.ok()?;
        if let Some(id) = block.id {
            last_event_id = id;
        }
        if let Some(data) = block.data {
            let event_type = block.event.filter(|event| !event.is_empty());
            let event_type = event_type.unwrap_or_else(|| "message".to_owned());
            events.push((event_type, data, last_event_id.clone()));
        }
    }
    Some(events)
}

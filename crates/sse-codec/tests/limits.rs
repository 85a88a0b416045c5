//! What happens at the limits.

mod support;

use std::time::Duration;

use sse_codec::{Decoder, End, Limits, OnOversized, Oversized};
use support::{Seen, see};

const TIGHT: Limits = Limits {
    max_line: 20,
    max_event: 10,
    max_id: 4,
    max_retry: Duration::from_secs(1),
};

#[track_caller]
fn check(stream: &str, expect: &[Seen]) {
    let stream = stream.as_bytes();
    let everywhere: Vec<usize> = (0..=stream.len()).collect();
    for cuts in [&[][..], &everywhere] {
        let seen = see(TIGHT, OnOversized::Skip, stream, cuts);
        assert_eq!(seen, expect);
    }
}

fn event(data: &str, id: &str) -> Seen {
    Seen::Event("message".to_owned(), data.to_owned(), id.to_owned())
}

const CLEAN: Seen = Seen::End(End::Clean);
const LINE: Seen = Seen::Skipped(Oversized::Line { max: 20 });
const EVENT: Seen = Seen::Skipped(Oversized::Event { max: 10 });
const ID: Seen = Seen::Skipped(Oversized::Id { max: 4 });

#[test]
fn what_just_fits_is_no_more_than_the_limit() {
    check("data: 0123456789\n\n", &[event("0123456789", ""), CLEAN]);
    check(
        "data: 01234\ndata: 6789\n\n",
        &[event("01234\n6789", ""), CLEAN],
    );
    check("id: 1234\ndata: a\n\n", &[event("a", "1234"), CLEAN]);
    check(
        "unknown-field-in-20b\ndata: a\n\n",
        &[event("a", ""), CLEAN],
    );
}

#[test]
fn an_oversized_event_is_skipped_and_the_next_is_not() {
    check(
        "data: 0123456789a\n\ndata: b\n\n",
        &[EVENT, event("b", ""), CLEAN],
    );
    check(
        "data: 01234\ndata: 67890\n\ndata: b\n\n",
        &[EVENT, event("b", ""), CLEAN],
    );
    check(
        &("data\n".repeat(12) + "\ndata: b\n\n"),
        &[EVENT, event("b", ""), CLEAN],
    );
    check(
        "data: a\nunknown-field-of-21-b\ndata: a\n\ndata: b\n\n",
        &[LINE, event("b", ""), CLEAN],
    );
    check(
        "data: a\nevent: 12345\n\ndata: b\n\n",
        &[ID, event("b", ""), CLEAN],
    );
}

#[test]
fn one_block_is_reported_once() {
    check(
        "id: 12345\nid: 12345\ndata: 0123456789a\ndata: 0123456789a\nunknown-field-of-21-b\n\ndata: b\n\n",
        &[ID, event("b", ""), CLEAN],
    );
}

#[test]
fn the_id_and_the_retry_of_a_skipped_block_count() {
    check(
        "id: 1\ndata: 0123456789a\nid: 2\nretry: 5\n\ndata: b\n\n",
        &[
            EVENT,
            Seen::Retry(Duration::from_millis(5)),
            event("b", "2"),
            CLEAN,
        ],
    );
    check(
        "id: 1\n\nid: 12345\ndata: a\n\ndata: b\n\n",
        &[ID, event("b", "1"), CLEAN],
    );
}

#[test]
fn a_longer_retry_is_taken_as_the_limit() {
    check(
        "retry: 9999999999999\n",
        &[Seen::Retry(Duration::from_secs(1)), CLEAN],
    );
}

#[test]
fn the_end_of_a_stream_within_a_skipped_block_is_not_clean() {
    check("data: 0123456789a", &[EVENT, Seen::End(End::Discarded)]);
}

#[test]
fn stopped_it_stays_so_until_the_stream_is_finished() {
    let mut decoder = Decoder::with_limits(TIGHT);
    let limit = Oversized::Event { max: 10 };
    let mut items = decoder.decode(b"id: 1\ndata: a\n\ndata: 0123456789a\n\ndata: b\n\n");
    assert_eq!(items.next_event().unwrap().unwrap().data, "a");
    assert_eq!(items.next_event(), Err(limit));
    assert_eq!(items.next_item(), Err(limit));
    assert_eq!(decoder.decode(b"\n\n").next_raw_event(), Err(limit));
    decoder.finish();
    let mut items = decoder.decode(b"data: b\n\n");
    let event = items.next_event().unwrap().unwrap();
    assert_eq!((&*event.data, event.last_event_id), ("b", "1"));
}

#[test]
fn dropped_items_leave_the_rest_to_be_decoded() {
    let mut decoder = Decoder::new().with_retries();
    let stream = b"data: a\n\ndata: b\nretry: 5\ndata: c\n\n";
    let mut items = decoder.decode(stream);
    items.next_item().unwrap();
    let rest = items.rest();
    assert_eq!(rest, &stream[9..]);
    let mut items = decoder.decode(rest);
    items.next_item().unwrap();
    let rest = items.rest();
    assert_eq!(rest, b"data: c\n\n");
    let mut items = decoder.decode(rest);
    assert_eq!(items.next_event().unwrap().unwrap().data, "b\nc");
}

/// Every short stream of short lines under every short limit, whole and byte by byte.
#[test]
fn short_lines_under_short_limits() {
    let lines = ["data\n", "data: \n", "data: x\n", "id: 1\n", ": c\n", "\n"];
    for number in 0..lines.len().pow(4) {
        let digit = |place: u32| lines[number / lines.len().pow(place) % lines.len()];
        let stream = [digit(0), digit(1), digit(2), digit(3)].concat();
        let everywhere: Vec<usize> = (0..=stream.len()).collect();
        for limit in 0..9 {
            let limits = Limits {
                max_line: limit,
                max_event: 8 - limit,
                ..TIGHT
            };
            let whole = see(limits, OnOversized::Skip, stream.as_bytes(), &[]);
            let pieces = see(limits, OnOversized::Skip, stream.as_bytes(), &everywhere);
            assert_eq!(whole, pieces, "{stream:?} {limits:?}");
        }
    }
}

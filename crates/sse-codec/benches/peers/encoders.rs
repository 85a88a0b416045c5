//! Who encodes: an event with an id, a type and data, again and again.

use std::hint::black_box;

use sse_codec::{Block, EventId, EventType};
use sse_stream::Sse;

use crate::table::Row;

/// Ours first: the ratios are to the first row.
pub(crate) fn rows(data: &str, times: usize) -> [Row<'_>; 4] {
    let event = Sse {
        id: Some("12345678".to_owned()),
        event: Some("completion".to_owned()),
        data: Some(data.to_owned()),
        retry: None,
    };
    [
        Row::new("sse-codec, reused buffer", move || into_buffer(data, times)),
        Row::new("sse-codec, fresh Bytes", move || to_bytes(data, times)),
        // It takes the event by value; that it has to be made for each is not held against it.
        Row::prepared(
            "sse-stream",
            move || vec![event.clone(); times],
            |events| {
                for event in events {
                    black_box(event.encode().expect("it encodes"));
                }
            },
        ),
        Row::new("floor: memcpy", move || memcpy(data, times)),
    ]
}

pub(crate) fn payloads() -> [(&'static str, String); 3] {
    let token = "{\"object\":\"completion.chunk\",\"choices\":[{\"delta\":{\"content\":\" token\"},\"finish_reason\":null,\"x\":0}]}_";
    let line = "x".repeat(99) + "\n";
    [
        ("97 B", token[..97].to_owned()),
        ("64 KiB of 100 B lines", line.repeat(655)),
        ("64 KiB in one line", "x".repeat(64 << 10)),
    ]
}

fn into_buffer(data: &str, times: usize) {
    let mut out = Vec::new();
    for _ in 0..times {
        out.clear();
        Block::new()
            .id(EventId::new(black_box("12345678")).expect("digits"))
            .event(EventType::new(black_box("completion")).expect("letters"))
            .data(data)
            .encode_into(&mut out);
        black_box(&out);
    }
}

fn to_bytes(data: &str, times: usize) {
    for _ in 0..times {
        let bytes = Block::new()
            .id(EventId::new(black_box("12345678")).expect("digits"))
            .event(EventType::new(black_box("completion")).expect("letters"))
            .data(data)
            .to_bytes();
        black_box(&bytes);
    }
}

fn memcpy(data: &str, times: usize) {
    let mut out = Vec::new();
    for _ in 0..times {
        out.clear();
        out.extend_from_slice(black_box(data).as_bytes());
        black_box(&out);
    }
}

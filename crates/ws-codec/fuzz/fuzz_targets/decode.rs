//! The decoder against a naive one: any bytes, either role, small limits.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/codec/naive.rs"]
mod naive;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/codec/transcript.rs"]
mod transcript;

use transcript::{CLIENT, Reader, SERVER};

fuzz_target!(|input: &[u8]| {
    let Some((&how, bytes)) = input.split_first() else {
        return;
    };
    let reader = if how & 1 == 0 { SERVER } else { CLIENT };
    let reader = match how >> 1 & 3 {
        0 => reader,
        1 => reader.max_message(300),
        2 => reader.max_message(20).max_fragments(3),
        _ => reader.max_fragments(2),
    };
    let ours = Reader {
        offsets: false,
        ..reader
    }
    .transcript([bytes]);
    assert_eq!(ours, naive::transcript(reader.role, &reader.limits, bytes));
});

//! Where reads split does not matter: the fuzzer chooses the stream and where it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/codec/transcript.rs"]
mod transcript;

use transcript::{CLIENT, Reader, SERVER};

fuzz_target!(|input: &[u8]| {
    let &[how, a, b, ref bytes @ ..] = input else {
        return;
    };
    let reader = if how & 1 == 0 { SERVER } else { CLIENT };
    let reader = Reader {
        deflate: (how & 2 != 0).then_some((15 - (how >> 5), how & 4 != 0)),
        ..reader.max_message(if how & 8 == 0 { 1 << 20 } else { 100 })
    };
    let whole = reader.transcript([bytes]);
    // Reads of two sizes in turn, then byte by byte.
    let mut rest = bytes;
    let mut reads = Vec::new();
    for size in [a, b].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (read, after) = rest.split_at(usize::from(size).max(1).min(rest.len()));
        reads.push(read);
        rest = after;
    }
    assert_eq!(reader.transcript(reads), whole);
    assert_eq!(reader.transcript(bytes.chunks(1)), whole);
});

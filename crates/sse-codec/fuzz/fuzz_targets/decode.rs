//! Any bytes, cut anywhere, under any limits: the decoder agrees with itself and with its naive twin.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sse_codec::{Limits, OnOversized};

#[path = "../../tests/support/mod.rs"]
mod support;

// The first byte chooses, three are limits, the next are cuts, the rest is the stream.
fuzz_target!(|input: &[u8]| {
    let [choice, line, event, id, cut_count, rest @ ..] = input else {
        return;
    };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(cut_count % 8)));
    let cuts: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut)).collect();
    let limits = match choice & 1 {
        0 => Limits::default(),
        _ => Limits {
            max_line: usize::from(*line % 32),
            max_event: usize::from(*event % 32),
            max_id: usize::from(*id % 8),
            max_retry: Duration::from_secs(1),
        },
    };
    let on_oversized = match choice & 2 {
        0 => OnOversized::Stop,
        _ => OnOversized::Skip,
    };
    let whole = support::see(limits, on_oversized, stream, &[]);
    let cut = support::see(limits, on_oversized, stream, &cuts);
    assert_eq!(cut, whole);
    let everywhere: Vec<usize> = (0..=stream.len()).collect();
    let byte_by_byte = support::see(limits, on_oversized, stream, &everywhere);
    assert_eq!(byte_by_byte, whole);
    assert_eq!(
        support::decode("", stream, &cuts),
        support::naive("", stream)
    );
});

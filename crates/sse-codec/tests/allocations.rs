//! How much is allocated, counted by the allocator: nothing for an event, and never more than the limits allow.

#![allow(unsafe_code, reason = "a counting allocator is one by necessity")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sse_codec::{Block, Decoder, EventId, EventType, Limits, OnOversized};

#[test]
fn an_event_that_lies_in_one_chunk_allocates_nothing() {
    let chunk = b"data: {\"content\":\" token\"}\n\n".repeat(500);
    check_steady(&chunk, chunk.len());
}

#[test]
fn a_block_with_everything_allocates_nothing() {
    let block =
        ": c\nid: 17\nevent: delta\nretry: 5\ndata: one\ndata: two \u{2026}\n\n".repeat(200);
    check_steady(block.as_bytes(), block.len());
}

#[test]
fn events_cut_into_small_chunks_allocate_nothing() {
    let stream = b"id: 17\nevent: delta\ndata: one\ndata: two\n\n:\n".repeat(200);
    check_steady(&stream, 7);
}

#[test]
fn encoding_into_a_reused_buffer_allocates_nothing() {
    let mut out = Vec::with_capacity(1024);
    let allocated = measure(|| {
        for number in 0..100 {
            out.clear();
            Block::new()
                .id(EventId::new("17").expect("digits"))
                .event(EventType::from_static("delta"))
                .retry(std::time::Duration::from_millis(number))
                .data("one\rtwo")
                .comment("three")
                .encode_into(&mut out);
        }
    });
    assert_eq!(allocated.count, 0);
}

#[test]
fn fresh_bytes_are_one_allocation() {
    let block = Block::new().data("one\ntwo\nthree");
    let allocated = measure(|| drop(block.to_bytes()));
    assert_eq!(allocated.count, 1);
    assert_eq!(allocated.peak, block.encoded_len());
}

#[test]
fn no_stream_makes_it_allocate_beyond_its_limits() {
    let limits = Limits {
        max_line: 10_000,
        max_event: 20_000,
        max_id: 1000,
        ..Limits::default()
    };
    let long = "x".repeat(100_000);
    let lines = "data: 0123456789\n".repeat(10_000);
    let streams = [
        format!("data: {long}\n\n"),
        lines.clone(),
        format!("id: {long}\nevent: {long}\nretry: {long}\n: {long}\n{long}\n"),
        format!("id: {}\nevent: {}\n{lines}\n", &long[..1000], &long[..1000]),
        long.clone(),
        "\u{feff}".to_owned() + &long,
        "id: \u{2026}\u{2026}\ndata\n".repeat(10_000),
    ];
    for stream in &streams {
        for cut in [1, 7, 1000, 1_000_000] {
            let most = limits.max_event + limits.max_line + 10 * limits.max_id;
            let allocated = measure(|| {
                let mut decoder = Decoder::with_limits(limits)
                    .on_oversized(OnOversized::Skip)
                    .with_comments();
                decode(&mut decoder, stream.as_bytes(), cut);
            });
            assert!(
                allocated.peak <= most,
                "{} bytes for {:?}… in pieces of {cut}",
                allocated.peak,
                &stream[..12]
            );
        }
    }
}

#[test]
fn a_large_event_is_not_paid_for_afterwards() {
    let mut decoder = Decoder::new();
    let large = format!("data: {}\ndata\n\n", "x".repeat(4 << 20));
    let before = allocated_now();
    let allocated = measure(|| assert_eq!(decode(&mut decoder, large.as_bytes(), 1 << 14), 1));
    assert!(allocated.peak > 4 << 20, "it was not all there");
    let kept = allocated_now() - before;
    // What is retained of the data, and the beginning of one line.
    assert!(kept <= (128 << 10) + 8, "{kept} bytes are kept");
}

#[test]
fn an_idle_decoder_is_small() {
    let size = size_of::<Decoder>();
    assert!(size <= 320, "{size} bytes");
    let allocated = measure(|| drop(Decoder::new()));
    assert_eq!(allocated.count, 0);
}

/// Once the buffers have grown, decoding the same again allocates nothing.
#[track_caller]
fn check_steady(stream: &[u8], cut: usize) {
    let mut decoder = Decoder::new();
    assert!(decode(&mut decoder, stream, cut) > 0);
    let allocated = measure(|| {
        decode(&mut decoder, stream, cut);
    });
    assert_eq!(allocated.count, 0);
}

fn decode(decoder: &mut Decoder, stream: &[u8], cut: usize) -> usize {
    let mut events = 0;
    for chunk in stream.chunks(cut) {
        let mut items = decoder.decode(chunk);
        while let Some(item) = items.next_item().expect("it skips") {
            std::hint::black_box(item);
            events += 1;
        }
    }
    events
}

struct Allocated {
    count: usize,
    /// Most bytes at one time, beyond what there were before
    peak: usize,
}

fn measure(work: impl FnOnce()) -> Allocated {
    let before = COUNTS.get();
    COUNTS.set(Counts {
        peak: before.now,
        ..before
    });
    work();
    let after = COUNTS.get();
    Allocated {
        count: after.count - before.count,
        peak: after.peak - before.now,
    }
}

fn allocated_now() -> usize {
    COUNTS.get().now
}

#[derive(Clone, Copy)]
struct Counts {
    count: usize,
    now: usize,
    peak: usize,
}

std::thread_local! {
    /// Every test has a thread of its own.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { count: 0, now: 0, peak: 0 }) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn note(freed: usize, allocated: usize) {
        let mut counts = COUNTS.get();
        counts.count += usize::from(allocated > 0);
        counts.now = (counts.now + allocated).saturating_sub(freed);
        counts.peak = counts.peak.max(counts.now);
        COUNTS.set(counts);
    }
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(0, layout.size());
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::note(layout.size(), 0);
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::note(layout.size(), new_size);
        // SAFETY: as our caller promised.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

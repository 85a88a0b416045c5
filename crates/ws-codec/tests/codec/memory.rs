//! What a connection costs: counted, not claimed.
#![allow(
    unsafe_code,
    reason = "a global allocator cannot be written without it"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ws_codec::handshake::DeflateConfig;
use ws_codec::{
    Connection, Decoder, Event, Incoming, Limits, OpCode, PreparedMessage, Role, SharedFrame,
};

use crate::transcript::{announced, masked};

/// Counts what each thread allocates, so that tests beside each other do not see each other.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // The thread's counters may be gone while it ends.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
        ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + usize::from(bytes > 0)));
    });
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` allocated: how many times, how many bytes at most at once, and how many it still holds. Its result is kept until then.
fn measure<T>(work: impl FnOnce() -> T) -> (usize, isize, isize, T) {
    let (allocations, held) = (ALLOCATIONS.get(), HELD.get());
    PEAK.set(held);
    let result = work();
    (
        ALLOCATIONS.get() - allocations,
        PEAK.get() - held,
        HELD.get() - held,
        result,
    )
}

#[test]
fn an_idle_connection_is_256_bytes() {
    let config = Arc::default();
    assert!(size_of::<Connection>() <= 256);
    let (_, _, held, connection) = measure(|| {
        let mut connection = Connection::server(config, Duration::ZERO);
        // After some use.
        let mut bytes = [
            masked(0x89, b"ping"),
            masked(0x01, &[b'a'; 5000]),
            masked(0x80, b"b"),
        ]
        .concat();
        let mut input = &mut bytes[..];
        while connection
            .handle_input(&mut input, Duration::ZERO)
            .unwrap()
            .is_some()
        {}
        connection.poll_transmit(&mut Vec::new());
        connection
    });
    assert_eq!(held, 0, "an idle connection holds nothing on the heap");
    drop(connection);
}

#[test]
fn an_idle_connection_with_compression_is_256_bytes() {
    let config = Arc::default();
    let (_, _, held, connection) = measure(|| {
        let agreed = DeflateConfig::default().into();
        let mut connection = Connection::server(config, Duration::ZERO).with_deflate(agreed);
        let mut bytes = masked(0xC1, b"\xF2\x48\xCD\xC9\xC9\x07\x00");
        let mut input = &mut bytes[..];
        assert!(
            connection
                .handle_input(&mut input, Duration::ZERO)
                .unwrap()
                .is_some()
        );
        connection.send(
            &ws_codec::Message::Text("x".repeat(1000).into()),
            &mut Vec::new(),
        );
        connection
    });
    assert!(
        size_of_val(&connection) as isize + held <= 256,
        "{} bytes and {held} on the heap",
        size_of_val(&connection)
    );
}

#[test]
fn what_is_announced_is_not_allocated() {
    let config: Arc<ws_codec::Config> = Arc::new(ws_codec::Config {
        limits: Limits {
            max_frame: 1 << 30,
            max_message: 1 << 30,
            ..Limits::DEFAULT
        },
        ..ws_codec::Config::DEFAULT
    });
    let mut connections: Vec<Connection> = (0..1000)
        .map(|_| Connection::server(Arc::clone(&config), Duration::ZERO))
        .collect();
    let mut bytes = [&announced(0x82, 15 << 20)[..], b"abc"].concat();
    let (_, peak, held, ()) = measure(|| {
        for connection in &mut connections {
            let mut input = &mut bytes[..];
            assert!(
                connection
                    .handle_input(&mut input, Duration::ZERO)
                    .unwrap()
                    .is_none()
            );
            // The mask was taken off in place: put it back for the next.
            bytes = [&announced(0x82, 15 << 20)[..], b"abc"].concat();
        }
    });
    assert!(
        held <= 1000 * 16 && peak <= 1000 * 16 + 100,
        "{held} bytes held, {peak} at most"
    );
}

#[test]
fn memory_follows_what_was_received() {
    let mut connection = Connection::server(Arc::default(), Duration::ZERO);
    let frame = masked(0x82, &[7; 1_000_000]);
    let mut received = 0;
    for chunk in frame.chunks(1000) {
        let mut chunk = chunk.to_vec();
        received += chunk.len() as isize;
        let (_, peak, _, ended) = measure(|| {
            let mut input = &mut chunk[..];
            connection
                .handle_input(&mut input, Duration::ZERO)
                .unwrap()
                .is_some()
        });
        // Four times what has come, while what came before is carried over.
        assert!(peak <= 5 * received + 64, "{peak} bytes after {received}");
        assert_eq!(ended, received == frame.len() as isize);
    }
}

#[test]
fn a_message_that_keeps_its_promise_is_carried_over_few_times() {
    let (_, _, _, allocations) = measure(|| {
        let mut connection = Connection::server(Arc::default(), Duration::ZERO);
        let mut frame = masked(0x82, &[7; 1 << 20]);
        let mut allocations = 0;
        for read in frame.chunks_mut(16 * 1024) {
            let mut input = read;
            let (times, ..) = measure(|| {
                connection
                    .handle_input(&mut input, Duration::ZERO)
                    .unwrap()
                    .is_some()
            });
            allocations += times;
        }
        allocations
    });
    // Room for 16 KiB, 64 KiB, 256 KiB and the whole.
    assert_eq!(allocations, 4);
}

#[test]
fn many_small_fragments_grow_by_steps_in_proportion() {
    let mut connection = Connection::server(Arc::default(), Duration::ZERO);
    let mut frames = masked(0x02, &[7; 1000]);
    for _ in 0..998 {
        frames.extend(masked(0x00, &[7; 1000]));
    }
    frames.extend(masked(0x80, &[7; 1000]));
    let (allocations, ..) = measure(|| {
        for read in frames.chunks_mut(500) {
            let mut input = read;
            connection.handle_input(&mut input, Duration::ZERO).unwrap();
        }
    });
    assert!(allocations < 20, "{allocations} times");
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let mut deflater = ws_codec::SharedDeflater::new(15, 9);
    let bomb = deflater.compress(&vec![0; 50_000_000]);
    let mut frame = masked(0xC2, &bomb);
    let limits = Limits {
        max_inflate_ratio: u32::MAX,
        ..Limits::DEFAULT
    };
    let config = Arc::new(ws_codec::Config {
        limits,
        ..ws_codec::Config::DEFAULT
    });
    let mut connection =
        Connection::server(config, Duration::ZERO).with_deflate(DeflateConfig::default().into());
    let (_, peak, held, refused) = measure(|| {
        let mut input = &mut frame[..];
        connection.handle_input(&mut input, Duration::ZERO).is_err()
    });
    assert!(refused);
    assert!(peak < 3 << 20, "{peak} bytes at most");
    assert!(held < 1000, "{held} bytes held after the failure");
}

#[test]
fn a_borrowed_frame_allocates_nothing() {
    let mut stream = [
        masked(0x82, &[1; 125]),
        masked(0x81, b"hello"),
        masked(0x89, b"p"),
        masked(0x8A, b""),
    ]
    .concat();
    stream.extend(masked(0x01, "κόσμε".as_bytes()));
    stream.extend(masked(0x80, &[b'a'; 300]));
    let mut stream = stream.repeat(1000);
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    let (allocations, _, _, events) = measure(|| {
        let mut events = 0;
        let mut input = &mut stream[..];
        while let Some(event) = decoder.decode(&mut input).unwrap() {
            black_box(&event);
            events += 1;
        }
        events
    });
    assert_eq!((allocations, events), (0, 6000));
}

#[test]
fn a_whole_message_reaches_the_connections_user_without_allocating() {
    let mut stream = [masked(0x82, &[1; 125]), masked(0x81, b"hello")]
        .concat()
        .repeat(1000);
    let mut connection = Connection::server(Arc::default(), Duration::ZERO);
    let (allocations, _, _, messages) = measure(|| {
        let mut messages = 0;
        let mut input = &mut stream[..];
        while let Some(incoming) = connection.handle_input(&mut input, Duration::ZERO).unwrap() {
            messages += usize::from(matches!(incoming, Incoming::Message(_)));
        }
        messages
    });
    assert_eq!((allocations, messages), (0, 2000));
}

#[test]
fn a_long_payload_is_shared_and_never_copied() {
    let payload = bytes::Bytes::from(vec![7; 100_000]);
    let (_, peak, _, message) = measure(|| PreparedMessage::binary(payload.clone()));
    assert!(peak < 200, "{peak} bytes for a frame of 100,000");
    let [head, rest] = message.plain().slices();
    assert_eq!(
        (head, rest.as_ptr()),
        (
            &[0x82, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xA0][..],
            payload.as_ptr()
        )
    );
    // The first sharing of bytes allocates their count, none after it does.
    let _ = message.plain().parts();
    let (allocations, ..) = measure(|| message.plain().parts());
    assert_eq!(allocations, 0);
    assert_eq!(message.plain().len(), 100_010);
    // At the limit it is one piece, and above it two.
    let at = PreparedMessage::binary(vec![0; SharedFrame::MAX_COPIED]);
    assert!(at.plain().slices()[1].is_empty());
    let above = PreparedMessage::binary(vec![0; SharedFrame::MAX_COPIED + 1]);
    assert_eq!(above.plain().slices()[1].len(), SharedFrame::MAX_COPIED + 1);
}

#[test]
fn encoding_into_a_buffer_with_room_allocates_nothing() {
    let mut out = Vec::with_capacity(100_000);
    let (allocations, ..) = measure(|| {
        for _ in 0..100 {
            ws_codec::encode_into(&mut out, OpCode::Text, b"hello");
        }
    });
    assert_eq!(allocations, 0);
    let mut decoder = Decoder::new(Role::Client, Limits::default());
    let mut input = &mut out[..];
    while let Some(event) = decoder.decode(&mut input).unwrap() {
        assert_eq!(event, Event::Text("hello"));
    }
}

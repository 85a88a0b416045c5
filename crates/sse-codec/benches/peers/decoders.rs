//! Who decodes: each takes a stream in chunks and tells how many events it found.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_util::Stream;
use sse_codec::Decoder;

pub(crate) type Decode = fn(&[Bytes]) -> usize;

/// Ours first: the ratios are to the first row.
pub(crate) const ALL: [(&str, Decode); 7] = [
    ("sse-codec", borrowed),
    ("sse-codec bytes", raw),
    ("sse-codec owned", owned),
    ("sse-stream", sse_stream),
    ("sse-parse", sse_parse),
    ("sseer", sseer),
    ("eventsource-stream", eventsource_stream),
];

/// Without those that take quadratic time.
pub(crate) const LINEAR: [(&str, Decode); 4] = [
    ("sse-codec", borrowed),
    ("sse-stream", sse_stream),
    ("sse-parse", sse_parse),
    ("sseer", sseer),
];

/// What no decoder can do without: reading, looking for line ends, checking text.
pub(crate) const FLOORS: [(&str, Decode); 4] = [
    ("floor: memcpy", memcpy),
    ("floor: memchr LF", memchr_lf),
    ("floor: memchr2", memchr_both),
    ("floor: simdutf8", utf8),
];

fn borrowed(chunks: &[Bytes]) -> usize {
    let mut decoder = Decoder::new();
    let mut events = 0;
    for chunk in chunks {
        let mut items = decoder.decode(chunk);
        while let Some(event) = items.next_event().expect("within the limits") {
            black_box(&event);
            events += 1;
        }
    }
    events
}

fn raw(chunks: &[Bytes]) -> usize {
    let mut decoder = Decoder::new();
    let mut events = 0;
    for chunk in chunks {
        let mut items = decoder.decode(chunk);
        while let Some(event) = items.next_raw_event().expect("within the limits") {
            black_box(&event);
            events += 1;
        }
    }
    events
}

fn owned(chunks: &[Bytes]) -> usize {
    let mut decoder = Decoder::new();
    let mut events = 0;
    for chunk in chunks {
        let mut items = decoder.decode(chunk);
        while let Some(event) = items.next_event().expect("within the limits") {
            black_box(event.data.into_owned());
            events += 1;
        }
    }
    events
}

fn sse_stream(chunks: &[Bytes]) -> usize {
    let stream = futures_util::stream::iter(chunks.iter().cloned().map(Ok::<_, Infallible>));
    count(sse_stream::SseByteStream::new(stream), |block| {
        black_box(block).expect("it decodes").data.is_some()
    })
}

fn sse_parse(chunks: &[Bytes]) -> usize {
    let mut parser = sse_parse::SseParser::new();
    let mut events = 0;
    for chunk in chunks {
        parser.feed(chunk);
        while let Some(event) = parser.next_event() {
            black_box(&event);
            events += 1;
        }
    }
    events
}

fn sseer(chunks: &[Bytes]) -> usize {
    let stream = futures_util::stream::iter(chunks.iter().cloned().map(Ok::<_, Infallible>));
    count(sseer::event_stream::EventStream::new(stream), |event| {
        black_box(event).is_ok()
    })
}

fn eventsource_stream(chunks: &[Bytes]) -> usize {
    let stream = futures_util::stream::iter(chunks.iter().cloned().map(Ok::<_, Infallible>));
    count(stream.eventsource(), |event| black_box(event).is_ok())
}

fn count<S: Stream>(stream: S, is_event: impl Fn(S::Item) -> bool) -> usize {
    let mut stream = pin!(stream);
    let mut context = Context::from_waker(Waker::noop());
    let mut events = 0;
    while let Poll::Ready(Some(item)) = stream.as_mut().poll_next(&mut context) {
        events += usize::from(is_event(item));
    }
    events
}

fn memcpy(chunks: &[Bytes]) -> usize {
    let mut copy = Vec::with_capacity(64 << 10);
    for chunk in chunks {
        copy.clear();
        copy.extend_from_slice(chunk);
        black_box(&copy);
    }
    copy.len()
}

fn memchr_lf(chunks: &[Bytes]) -> usize {
    let ends = |chunk: &Bytes| memchr::memchr_iter(b'\n', chunk).map(black_box).count();
    chunks.iter().map(ends).sum()
}

fn memchr_both(chunks: &[Bytes]) -> usize {
    let ends = |chunk: &Bytes| {
        memchr::memchr2_iter(b'\n', b'\r', chunk)
            .map(black_box)
            .count()
    };
    chunks.iter().map(ends).sum()
}

fn utf8(chunks: &[Bytes]) -> usize {
    chunks
        .iter()
        .filter(|chunk| simdutf8::basic::from_utf8(chunk).is_ok())
        .count()
}

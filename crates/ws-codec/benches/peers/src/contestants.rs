//! Each library reading the same stream from memory.
//!
//! A read copies from the stream as the kernel copies out of a socket, and gives at most `room` bytes. ws-codec works in whatever buffer was
//! read into; the others read into buffers of their own and are asked for everything up to `room` that they have place for.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;
use ws_codec::{Config, Connection, Decoder, Event, Incoming, Limits, Role};

/// How much a read gives at most: a TLS record or a small first-level cache, and what large servers use on plain sockets.
pub const ROOMS: [usize; 2] = [16 * 1024, 64 * 1024];

/// What was read, so that nobody can skip the work.
#[derive(Default)]
struct Seen {
    frames: usize,
    bytes: usize,
}

impl Seen {
    fn add(&mut self, payload: &[u8]) {
        self.frames += 1;
        self.bytes += payload.len();
        black_box(payload);
    }
}

/// ws-codec's decoder: borrowed events out of one buffer.
pub fn ours(stream: &[u8], scratch: &mut [u8], frames: usize) {
    let mut decoder = Decoder::new(Role::Server, Limits::default());
    let mut seen = Seen::default();
    for read in stream.chunks(scratch.len()) {
        let scratch = &mut scratch[..read.len()];
        scratch.copy_from_slice(read);
        let mut input = scratch;
        while let Some(event) = decoder.decode(&mut input).expect("well-formed") {
            match event {
                Event::Text(text) => seen.add(text.as_bytes()),
                Event::Binary(bytes) => seen.add(bytes),
                Event::Part(part) => {
                    black_box(&part);
                    seen.frames += usize::from(part.last);
                }
                _ => {}
            }
        }
    }
    assert_eq!(seen.frames, frames);
}

/// ws-codec's connection, each message made into shared bytes of its own: what the other libraries hand out.
pub fn ours_owned(stream: &[u8], scratch: &mut [u8], frames: usize) {
    let mut connection = Connection::server(Arc::new(Config::default()), Duration::ZERO);
    let mut seen = Seen::default();
    for read in stream.chunks(scratch.len()) {
        let scratch = &mut scratch[..read.len()];
        scratch.copy_from_slice(read);
        let mut input = scratch;
        while let Some(incoming) = connection
            .handle_input(&mut input, Duration::ZERO)
            .expect("well-formed")
        {
            if let Incoming::Message(message) = incoming {
                let bytes: Bytes = message.into_bytes();
                seen.add(&bytes);
            }
        }
    }
    assert_eq!(seen.frames, frames);
}

/// A reader that always has something, and a writer that takes everything.
pub struct Memory<'s> {
    stream: &'s [u8],
    room: usize,
}

impl Memory<'_> {
    /// Nothing to read.
    pub fn sink() -> Memory<'static> {
        Memory {
            stream: &[],
            room: 0,
        }
    }
}

impl Read for Memory<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = out.len().min(self.room);
        self.stream.read(&mut out[..room])
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(black_box(slices).iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = out.remaining().min(self.room);
        let (now, later) = self.stream.split_at(self.stream.len().min(room));
        out.put_slice(now);
        self.stream = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(bytes).len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(slices).iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub fn tungstenite(stream: &[u8], room: usize, frames: usize) {
    let mut socket = tungstenite::WebSocket::from_raw_socket(
        Memory { stream, room },
        tungstenite::protocol::Role::Server,
        None,
    );
    let mut seen = Seen::default();
    while seen.frames < frames {
        match socket.read().expect("well-formed") {
            tungstenite::Message::Text(text) => seen.add(text.as_bytes()),
            tungstenite::Message::Binary(bytes) => seen.add(&bytes),
            _ => {}
        }
    }
}

pub fn fastwebsockets(runtime: &Runtime, stream: &[u8], room: usize, frames: usize) {
    let mut socket = fastwebsockets::WebSocket::after_handshake(
        Memory { stream, room },
        fastwebsockets::Role::Server,
    );
    runtime.block_on(tokio::task::unconstrained(async {
        let mut seen = Seen::default();
        while seen.frames < frames {
            let frame = socket.read_frame().await.expect("well-formed");
            seen.add(&frame.payload);
        }
    }));
}

pub fn tokio_websockets(runtime: &Runtime, stream: &'static [u8], room: usize, frames: usize) {
    let mut socket = tokio_websockets::ServerBuilder::new().serve(Memory { stream, room });
    runtime.block_on(tokio::task::unconstrained(async {
        let mut seen = Seen::default();
        while seen.frames < frames {
            let message = socket
                .next()
                .await
                .expect("more to come")
                .expect("well-formed");
            seen.add(message.as_payload());
        }
    }));
}

pub fn sockudo(stream: &[u8], room: usize, frames: usize) {
    let mut protocol =
        sockudo_ws::protocol::Protocol::new(sockudo_ws::Role::Server, 64 << 20, 64 << 20);
    let mut buffer = BytesMut::with_capacity(2 * room);
    let mut messages = Vec::new();
    let mut seen = Seen::default();
    for read in stream.chunks(room) {
        buffer.extend_from_slice(read);
        protocol
            .process_into(&mut buffer, &mut messages)
            .expect("well-formed");
        for message in messages.drain(..) {
            seen.add(message.as_bytes());
        }
    }
    assert_eq!(seen.frames, frames);
}

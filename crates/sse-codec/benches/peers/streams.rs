//! What is decoded.

use bytes::Bytes;

pub(crate) struct Stream {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// How many events are in it
    pub(crate) events: usize,
}

pub(crate) fn all() -> [Stream; 4] {
    [
        tokens(2 << 20),
        multi_line(2 << 20),
        long_lines(2 << 20),
        heartbeats(2 << 20),
    ]
}

/// About 127 bytes an event, as language models stream them.
pub(crate) fn tokens(len: usize) -> Stream {
    repeat("tokens (127 B)", len, |number, bytes| {
        let event = format!(
            "data: {{\"id\":\"cmpl-{number:08}\",\"object\":\"completion.chunk\",\"index\":0,\"choices\":[{{\"delta\":\
             {{\"content\":\" token\"}},\"end\":null}}]}}\n\n"
        );
        bytes.extend_from_slice(event.as_bytes());
    })
}

/// 64 KiB an event, in lines of 100 bytes.
pub(crate) fn multi_line(len: usize) -> Stream {
    repeat("64 KiB of 100 B lines", len, |_, bytes| {
        for _ in 0..655 {
            bytes.extend_from_slice(b"data: ");
            bytes.resize(bytes.len() + 93, b'x');
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
    })
}

/// 64 KiB an event, in one line.
pub(crate) fn long_lines(len: usize) -> Stream {
    repeat("64 KiB lines", len, |_, bytes| {
        bytes.extend_from_slice(b"data: ");
        bytes.resize(bytes.len() + (64 << 10), b'x');
        bytes.extend_from_slice(b"\n\n");
    })
}

/// Sixteen signs of life for each small event.
pub(crate) fn heartbeats(len: usize) -> Stream {
    repeat("heartbeats", len, |number, bytes| {
        for _ in 0..16 {
            bytes.extend_from_slice(b": heartbeat\n\n");
        }
        bytes.extend_from_slice(format!("data: {number}\n\n").as_bytes());
    })
}

pub(crate) fn one_line(len: usize) -> Stream {
    let mut bytes = b"data: ".to_vec();
    bytes.resize(len, b'x');
    bytes.extend_from_slice(b"\n\n");
    Stream {
        name: "one line",
        bytes,
        events: 1,
    }
}

pub(crate) fn many_lines(len: usize) -> Stream {
    let mut bytes = b"data: twenty bytes in all\n".repeat(len / 26);
    bytes.push(b'\n');
    Stream {
        name: "one event",
        bytes,
        events: 1,
    }
}

pub(crate) fn chunks(bytes: &[u8], len: usize) -> Vec<Bytes> {
    let bytes = Bytes::copy_from_slice(bytes);
    (0..bytes.len())
        .step_by(len)
        .map(|start| bytes.slice(start..bytes.len().min(start + len)))
        .collect()
}

fn repeat(name: &'static str, len: usize, event: impl Fn(usize, &mut Vec<u8>)) -> Stream {
    let mut bytes = Vec::new();
    let mut events = 0;
    while bytes.len() < len {
        event(events, &mut bytes);
        events += 1;
    }
    Stream {
        name,
        bytes,
        events,
    }
}

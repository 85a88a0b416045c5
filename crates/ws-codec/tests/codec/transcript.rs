//! A stream of bytes as the one line that says what the decoder made of it.
//!
//! ```text
//!     text(Hello) binary(00ff) ping(70) pong() close(1000 bye) !1002@7
//! ```
//! `!` is a failure: its close code, and the offset of the byte that proved it where the decoder itself found it.

use std::fmt::Write;

use ws_codec::handshake::DeflateConfig;
use ws_codec::{
    Assembler, Compression, Decoder, Event, FrameHeader, Limits, Mask, Message, OpCode, Role,
    encode_frame_into,
};

/// How a stream is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    pub(crate) role: Role,
    pub(crate) limits: Limits,
    /// The bits of the window, and whether it is kept between messages
    pub(crate) deflate: Option<(u8, bool)>,
    /// Whether a failure is told with the byte that proved it
    pub(crate) offsets: bool,
}

pub(crate) const SERVER: Reader = Reader {
    role: Role::Server,
    limits: Limits::DEFAULT,
    deflate: None,
    offsets: true,
};
pub(crate) const CLIENT: Reader = Reader {
    role: Role::Client,
    ..SERVER
};

impl Reader {
    pub(crate) fn max_message(self, max: usize) -> Reader {
        Reader {
            limits: Limits {
                max_message: max,
                max_frame: max,
                ..self.limits
            },
            ..self
        }
    }

    pub(crate) fn max_fragments(self, max: u32) -> Reader {
        Reader {
            limits: Limits {
                max_fragments: max,
                ..self.limits
            },
            ..self
        }
    }

    /// permessage-deflate with a window of 15 bits that is kept
    pub(crate) fn deflate(self) -> Reader {
        Reader {
            deflate: Some((15, true)),
            ..self
        }
    }

    /// What comes of these reads.
    pub(crate) fn transcript<'r>(self, reads: impl IntoIterator<Item = &'r [u8]>) -> String {
        let mut decoder = Decoder::new(self.role, self.limits);
        let mut assembler = Assembler::new();
        if let Some((bits, takeover)) = self.deflate {
            let config = DeflateConfig {
                server_no_context_takeover: !takeover,
                client_no_context_takeover: !takeover,
                server_max_window_bits: bits,
                client_max_window_bits: bits,
            };
            decoder = decoder.with_compression(Compression::Deflate);
            assembler = assembler.with_deflate(self.role, &config.into(), &self.limits);
        }
        let mut line = String::new();
        let mut given = 0;
        for read in reads {
            let mut read = read.to_vec();
            let mut input = &mut read[..];
            let end = given + input.len();
            loop {
                let taken = end - input.len();
                let event = match decoder.decode(&mut input) {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(failed) => {
                        write!(line, "!{}", failed.failure.close_code()).unwrap();
                        if self.offsets {
                            write!(line, "@{}", taken + failed.at).unwrap();
                        }
                        return line;
                    }
                };
                let message = match event {
                    Event::Text(text) => Message::Text(text.into()),
                    Event::Binary(bytes) => Message::Binary(bytes.into()),
                    Event::Part(part) => match assembler.push(part) {
                        Ok(Some(message)) => message,
                        Ok(None) => continue,
                        Err(failure) => {
                            write!(line, "!{}", failure.close_code()).unwrap();
                            return line;
                        }
                    },
                    Event::Ping(payload) => {
                        write!(line, "ping({}) ", hex(&payload)).unwrap();
                        continue;
                    }
                    Event::Pong(payload) => {
                        write!(line, "pong({}) ", hex(&payload)).unwrap();
                        continue;
                    }
                    Event::Close(frame) => {
                        let frame = frame.map_or(String::new(), |frame| frame.to_string());
                        write!(line, "close({frame}) ").unwrap();
                        continue;
                    }
                };
                match message {
                    Message::Text(text) => write!(line, "text({text}) ").unwrap(),
                    Message::Binary(bytes) => write!(line, "binary({}) ", hex(&bytes)).unwrap(),
                }
            }
            given = end;
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The same for a long stream: whole, byte by byte and in reads of a few sizes.
    #[track_caller]
    pub(crate) fn check_few(self, bytes: &[u8], expect: &str) {
        for size in [bytes.len(), 1, 7, 1000, 4096, 65536] {
            assert_eq!(
                self.transcript(bytes.chunks(size)),
                expect,
                "reads of {size} bytes"
            );
        }
    }

    /// Reads the bytes whole, byte by byte and cut at every pair of places: each time they must say the same.
    #[track_caller]
    pub(crate) fn check(self, bytes: &[u8], expect: &str) {
        assert_eq!(self.transcript([bytes]), expect, "whole");
        assert_eq!(self.transcript(bytes.chunks(1)), expect, "byte by byte");
        // Every pair of places for what a person would write; every pair of a few hundred places for long streams.
        let step = bytes.len().div_ceil(300).max(1);
        for first in (0..=bytes.len()).step_by(step) {
            for second in (first..=bytes.len()).step_by(step) {
                let reads = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(
                    self.transcript(reads),
                    expect,
                    "cut at {first} and {second}"
                );
            }
        }
    }
}

/// A frame as a client sends it, whatever its first byte says.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, Some(Mask([0x37, 0xFA, 0x21, 0x3D])))
}

/// A frame as a server sends it.
pub(crate) fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, None)
}

fn frame(first: u8, payload: &[u8], mask: Option<Mask>) -> Vec<u8> {
    let mut out = Vec::new();
    let header = FrameHeader {
        fin: true,
        rsv1: false,
        opcode: OpCode::Binary,
        mask,
        len: 0,
    };
    encode_frame_into(&mut out, header, payload);
    out[0] = first;
    out
}

/// A masked frame's header with this length, and nothing behind it.
pub(crate) fn announced(first: u8, len: u64) -> Vec<u8> {
    let mut head = [0; 14];
    let header = FrameHeader {
        fin: true,
        rsv1: false,
        opcode: OpCode::Binary,
        mask: Some(Mask([1; 4])),
        len,
    };
    let used = header.encode(&mut head);
    head[0] = first;
    head[..used].to_vec()
}

pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    masked(0x88, &[&code.to_be_bytes(), reason].concat())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

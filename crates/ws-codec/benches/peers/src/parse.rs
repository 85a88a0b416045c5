//! Reading what a client sends.

use std::hint::black_box;

use ws_codec::{Mask, OpCode, encode_masked_into};

use crate::contestants::{self, READ};
use crate::table::{self, Contestant};

/// Payload sizes, and how many frames of each make one round.
pub const SIZES: [(usize, usize); 5] = [
    (16, 8192),
    (125, 8192),
    (1024, 2048),
    (64 << 10, 64),
    (1 << 20, 8),
];

/// What the payloads hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content {
    Binary,
    Ascii,
    Mixed,
}

impl Content {
    pub const ALL: [Content; 3] = [Content::Binary, Content::Ascii, Content::Mixed];

    pub fn opcode(self) -> OpCode {
        match self {
            Content::Binary => OpCode::Binary,
            _ => OpCode::Text,
        }
    }

    /// A payload of exactly this many bytes.
    pub fn payload(self, size: usize) -> Vec<u8> {
        let sample = match self {
            Content::Binary => return (0..size).map(|i| (i * 7) as u8).collect(),
            Content::Ascii => "The quick brown fox jumps over the lazy dog. ",
            Content::Mixed => "Ein Text, 日本語のテキスト, текст, 😀 and ASCII. ",
        };
        let mut text = sample.repeat(size / sample.len() + 1);
        text.truncate(text.floor_char_boundary(size));
        let mut payload = text.into_bytes();
        payload.resize(size, b'.');
        payload
    }

    /// That many masked frames of it, each with a mask of its own.
    pub fn stream(self, size: usize, frames: usize) -> Vec<u8> {
        let payload = self.payload(size);
        let mut stream = Vec::new();
        for i in 0..frames as u32 {
            let mask = Mask((i.wrapping_mul(2_654_435_761) | 1).to_le_bytes());
            encode_masked_into(&mut stream, self.opcode(), &payload, mask);
        }
        stream
    }
}

pub fn print(rounds: usize) {
    println!(
        "PARSE: masked frames of a client, from memory, reads of 64 KiB. ratio: time by ws-codec's, above 1 is slower"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for content in Content::ALL {
        for (size, frames) in SIZES {
            // The stream outlives the process: a library wants 'static.
            let stream: &'static [u8] = Box::leak(content.stream(size, frames).into_boxed_slice());
            let payload = content.payload(size);
            let (mut first, mut second, mut third) =
                (vec![0; READ], vec![0; READ], vec![0; READ]);
            let runtime = &runtime;
            let mut contestants: Vec<Contestant<'_>> = vec![
                Contestant {
                    name: "ws-codec",
                    work: Box::new(|| contestants::ours(stream, &mut first, frames)),
                },
                Contestant {
                    name: "ws-codec, owned messages",
                    work: Box::new(|| contestants::ours_owned(stream, &mut second, frames)),
                },
                Contestant {
                    name: "sockudo-ws",
                    work: Box::new(move || contestants::sockudo(stream, frames)),
                },
                Contestant {
                    name: "tungstenite",
                    work: Box::new(move || contestants::tungstenite(stream, frames)),
                },
                Contestant {
                    name: "fastwebsockets",
                    work: Box::new(move || contestants::fastwebsockets(runtime, stream, frames)),
                },
                Contestant {
                    name: "tokio-websockets",
                    work: Box::new(move || contestants::tokio_websockets(runtime, stream, frames)),
                },
                Contestant {
                    name: "floor: memcpy",
                    work: Box::new(|| {
                        for read in stream.chunks(READ) {
                            third[..read.len()].copy_from_slice(black_box(read));
                            black_box(&mut third);
                        }
                    }),
                },
            ];
            if content != Content::Binary {
                contestants.push(Contestant {
                    name: "floor: simdutf8",
                    work: Box::new(|| {
                        for _ in 0..frames {
                            black_box(simdutf8::basic::from_utf8(black_box(&payload)))
                                .expect("UTF-8");
                        }
                    }),
                });
            }
            let results = table::compete(rounds, frames, contestants);
            table::print(&format!("{content:?}, {size} B"), size, &results);
            let best = results[2..6]
                .iter()
                .min_by(|a, b| a.ratio.total_cmp(&b.ratio))
                .expect("four peers");
            println!(
                "  => the best of the peers, {}, takes {:.2} times as long",
                best.name, best.ratio
            );
        }
    }
}

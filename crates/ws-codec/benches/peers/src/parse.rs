//! Reading what a client sends.

use std::hint::black_box;

use ws_codec::{Mask, OpCode, encode_masked_into};

use tokio::runtime::Runtime;

use crate::contestants::{self, ROOMS};
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

/// The libraries, ours first and the others behind them, reading `frames` frames of `stream`.
pub fn contestants<'w>(
    runtime: &'w Runtime,
    stream: &'static [u8],
    room: usize,
    frames: usize,
) -> Vec<Contestant<'w>> {
    let (mut first, mut second) = (vec![0; room], vec![0; room]);
    let works: [(&str, Box<dyn FnMut() + 'w>); 6] = [
        (
            OURS[0],
            Box::new(move || contestants::ours(stream, &mut first, frames)),
        ),
        (
            OURS[1],
            Box::new(move || contestants::ours_owned(stream, &mut second, frames)),
        ),
        (
            "sockudo-ws",
            Box::new(move || contestants::sockudo(stream, room, frames)),
        ),
        (
            "tungstenite",
            Box::new(move || contestants::tungstenite(stream, room, frames)),
        ),
        (
            "fastwebsockets",
            Box::new(move || contestants::fastwebsockets(runtime, stream, room, frames)),
        ),
        (
            "tokio-websockets",
            Box::new(move || contestants::tokio_websockets(runtime, stream, room, frames)),
        ),
    ];
    works
        .into_iter()
        .map(|(name, work)| Contestant {
            name: name.to_owned(),
            work,
        })
        .collect()
}

const OURS: [&str; 2] = ["ws-codec", "ws-codec, owned messages"];

pub fn print(rounds: usize) {
    println!(
        "PARSE: masked frames of a client, from memory. ratio: time by that of ws-codec with reads of 16 KiB, above 1 is slower"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for content in Content::ALL {
        for (size, frames) in SIZES {
            // The stream outlives the process: a library wants 'static.
            let stream: &'static [u8] = Box::leak(content.stream(size, frames).into_boxed_slice());
            let payload = content.payload(size);
            let mut all: Vec<Contestant<'_>> = Vec::new();
            for room in ROOMS {
                let reads = format!(", {} KiB", room >> 10);
                let named =
                    contestants(&runtime, stream, room, frames)
                        .into_iter()
                        .map(|contestant| Contestant {
                            name: contestant.name + &reads,
                            ..contestant
                        });
                all.extend(named);
                let mut scratch = vec![0; room];
                all.push(Contestant {
                    name: "floor: memcpy".to_owned() + &reads,
                    work: Box::new(move || {
                        for read in stream.chunks(room) {
                            scratch[..read.len()].copy_from_slice(black_box(read));
                            black_box(&mut scratch);
                        }
                    }),
                });
            }
            if content != Content::Binary {
                all.push(Contestant {
                    name: "floor: simdutf8".to_owned(),
                    work: Box::new(|| {
                        for _ in 0..frames {
                            black_box(simdutf8::basic::from_utf8(black_box(&payload)))
                                .expect("UTF-8");
                        }
                    }),
                });
            }
            let results = table::compete(rounds, frames, all);
            table::print(&format!("{content:?}, {size} B"), size, &results);
            let best = results
                .iter()
                .filter(|result| {
                    !result.name.starts_with("ws-codec") && !result.name.starts_with("floor")
                })
                .min_by(|a, b| a.ratio.total_cmp(&b.ratio))
                .expect("four peers");
            println!(
                "  => the best of the peers, {}, takes {:.2} times as long",
                best.name, best.ratio
            );
        }
    }
}

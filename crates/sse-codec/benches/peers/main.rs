//! Decoding and encoding beside the peers and the physical floors: `cargo xtask bench sse-codec`.
//!
//! Every row is measured in interleaved rounds within one run. Printed are the median time and the best, and the ratio
//! of each to ours, so that above 1 we are faster; on a machine that others use the best is the steadier of the two.
//! `--rounds N` sets the number of rounds, `--only TEXT` picks the tables whose title has it.

#![allow(missing_docs, reason = "a program, not a library")]

mod decoders;
mod encoders;
mod streams;
mod table;

use std::hint::black_box;

use table::{Row, Table};

fn main() {
    let options = Options::parse();
    for tables in [decoding, pieces, growth, encoding, allocations] {
        tables(&options);
    }
}

struct Options {
    rounds: usize,
    only: Option<String>,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self {
            rounds: 61,
            only: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--rounds" => {
                    let rounds = arguments.next().and_then(|value| value.parse().ok());
                    options.rounds = rounds.expect("--rounds needs a number");
                }
                "--only" => options.only = arguments.next(),
                // What `cargo bench` adds.
                _ => {}
            }
        }
        options
    }

    fn wants(&self, title: &str) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| title.contains(only))
    }
}

/// The four streams in chunks of 16 KiB.
fn decoding(options: &Options) {
    for stream in streams::all() {
        let title = format!("decode {}, 16 KiB chunks", stream.name);
        if !options.wants(&title) {
            continue;
        }
        let chunks = streams::chunks(&stream.bytes, 16 << 10);
        let mut table = Table::new(&title, stream.bytes.len(), stream.events);
        for (name, decode) in decoders::ALL {
            let chunks = &chunks;
            let events = decode(chunks);
            assert_eq!(events, stream.events, "{name} on {}", stream.name);
            table.push(Row::new(name, move || {
                black_box(decode(black_box(chunks)));
            }));
        }
        for (name, floor) in decoders::FLOORS {
            let chunks = &chunks;
            table.push(Row::new(name, move || {
                black_box(floor(black_box(chunks)));
            }));
        }
        table.run(options.rounds);
    }
}

/// Small reads of the token stream, as they come from a socket.
fn pieces(options: &Options) {
    let title = "decode tokens, 100 B chunks";
    if !options.wants(title) {
        return;
    }
    let stream = streams::tokens(1 << 20);
    let chunks = streams::chunks(&stream.bytes, 100);
    let mut table = Table::new(title, stream.bytes.len(), stream.events);
    for (name, decode) in decoders::LINEAR {
        let chunks = &chunks;
        table.push(Row::new(name, move || {
            black_box(decode(black_box(chunks)));
        }));
    }
    table.run(options.rounds);
}

/// One line and one event, four times the size, in 64-byte pieces: the time has to grow by four.
fn growth(options: &Options) {
    type Shape = fn(usize) -> streams::Stream;
    if !options.wants("growth") {
        return;
    }
    let shapes: [(&str, Shape); 2] = [
        ("one line", streams::one_line),
        ("one event of many lines", streams::many_lines),
    ];
    for (name, shape) in shapes {
        for (decoder, decode) in decoders::LINEAR {
            let small = streams::chunks(&shape(256 << 10).bytes, 64);
            let large = streams::chunks(&shape(1 << 20).bytes, 64);
            let mut table = Table::quiet();
            table.push(Row::new("256 KiB", || {
                black_box(decode(black_box(&small)));
            }));
            table.push(Row::new("1 MiB", || {
                black_box(decode(black_box(&large)));
            }));
            let medians = table.run(options.rounds);
            println!(
                "growth, {name} in 64 B pieces, {decoder}: 256 KiB {:.3} ms, 1 MiB {:.3} ms, x{:.2}",
                medians[0] / 1e6,
                medians[1] / 1e6,
                medians[1] / medians[0]
            );
        }
    }
    println!();
}

fn encoding(options: &Options) {
    for (name, data) in encoders::payloads() {
        let title = format!("encode id, event and {name}");
        if !options.wants(&title) {
            continue;
        }
        let times = (1 << 20) / data.len();
        let mut table = Table::new(&title, data.len() * times, times);
        for row in encoders::rows(&data, times) {
            table.push(row);
        }
        table.run(options.rounds);
    }
}

fn allocations(options: &Options) {
    if !options.wants("allocations") {
        return;
    }
    println!("allocations per event, 16 KiB chunks");
    for stream in streams::all() {
        let chunks = streams::chunks(&stream.bytes, 16 << 10);
        print!("  {:<24}", stream.name);
        for (name, decode) in decoders::ALL {
            let before = table::allocations();
            black_box(decode(&chunks));
            let made = table::allocations() - before;
            print!(" {name} {:.3};", made as f64 / stream.events.max(1) as f64);
        }
        println!();
    }
    println!();
}

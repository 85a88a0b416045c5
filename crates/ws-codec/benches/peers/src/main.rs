//! ws-codec beside fastwebsockets, tungstenite, tokio-websockets, sockudo-ws and the floors: `cargo xtask bench ws-codec`.
//!
//! Every round runs every contestant once on the same bytes, so what the machine does to one it does to all; the tables give medians over the rounds
//! of each contestant's time divided by ws-codec's in the same round. Above 1 the contestant is slower.
//!
//! # What is compared
//! From a stream in memory to payloads that the program can look at: unmasked, and text checked. Every contestant reads through a copy, as a socket's
//! reader does; `floor: memcpy` is that copy alone. How much a read gives is the program's choice, so everybody runs with reads of 16 KiB and of 64
//! KiB, and the line below each table holds ws-codec with 16 KiB, which its documentation recommends, against whichever peer is best with whichever
//! reads suit it.
//!
//! The line `ws-codec` is the decoder: it hands out pieces of the read buffer, where they lie and while they are in the first-level cache, and a message
//! longer than a read in parts. The peers hand out whole messages from buffers of their own, which a program that only looks at the bytes, forwards
//! them or parses them as they come does not need; `ws-codec, owned messages` is for the program that does: each message becomes a `Bytes` of its own,
//! which costs an allocation and, behind a buffer that all connections share, one copy more than reading into a buffer per connection.
//!
//! ```text
//! cargo xtask bench ws-codec [-- --rounds N] [--instructions]
//! ```
//!
//! `--instructions` has callgrind count instructions a frame, which takes minutes.

mod allocations;
mod contestants;
mod encode;
mod instructions;
mod parse;
mod table;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, what, frames] = &args[..]
        && flag == "--count"
    {
        instructions::run_counted(what, frames.parse().expect("a number of frames"));
        return;
    }
    let rounds = args
        .iter()
        .position(|arg| arg == "--rounds")
        .and_then(|at| args.get(at + 1)?.parse().ok())
        .unwrap_or(21);
    parse::print(rounds);
    encode::print(rounds);
    if args.iter().any(|arg| arg == "--instructions") {
        instructions::print();
    }
}

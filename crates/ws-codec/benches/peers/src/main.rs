//! ws-codec beside fastwebsockets, tungstenite, tokio-websockets, sockudo-ws and the floors: `cargo xtask bench ws-codec`.
//!
//! Every round runs every contestant once on the same bytes, so what the machine does to one it does to all; the tables give medians over the rounds
//! of each contestant's time divided by ws-codec's in the same round. Above 1 the contestant is slower.
//!
//! ```text
//! cargo xtask bench ws-codec [-- --rounds N] [--instructions]
//! ```

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

//! Instructions a frame, counted by callgrind: the same on every machine and in every weather.

use std::process::Command;

use crate::contestants::{self, READ};
use crate::parse::Content;

const COUNTED: [&str; 6] = [
    "ws-codec",
    "ws-codec-owned",
    "sockudo-ws",
    "tungstenite",
    "fastwebsockets",
    "tokio-websockets",
];
const SIZES: [usize; 3] = [16, 125, 1024];

pub fn print() {
    println!("\nINSTRUCTIONS a frame (callgrind), parsing");
    print!("  {:<26}", "");
    for content in Content::ALL {
        for size in SIZES {
            print!(" {:>14}", format!("{content:?} {size}"));
        }
    }
    println!();
    for name in COUNTED {
        print!("  {name:<26}");
        for content in Content::ALL {
            for size in SIZES {
                let what = format!("{name}/{content:?}/{size}");
                // Two runs of different lengths, so that starting up falls out.
                match (count(&what, 200), count(&what, 1200)) {
                    (Some(short), Some(long)) => {
                        print!(" {:>14.1}", (long - short) as f64 / 1000.0)
                    }
                    _ => print!(" {:>14}", "no valgrind"),
                }
            }
        }
        println!();
    }
}

fn count(what: &str, frames: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["--count", what, &frames.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.split("Collected :")
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// One contestant, once: what runs under callgrind.
pub fn run_counted(what: &str, frames: usize) {
    let mut parts = what.split('/');
    let mut next = || parts.next().expect("name/content/size");
    let (name, content, size) = (next(), next(), next());
    let content = Content::ALL
        .into_iter()
        .find(|known| format!("{known:?}") == content)
        .expect("a content");
    // Streams of one length, so that making them costs the same each time.
    let stream = content.stream(size.parse().expect("a size"), 1200);
    let stream: &'static [u8] = Box::leak(stream.into_boxed_slice());
    let stream = &stream[..stream.len() / 1200 * frames];
    let mut scratch = vec![0; READ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    match name {
        "ws-codec" => contestants::ours(stream, &mut scratch, frames),
        "ws-codec-owned" => contestants::ours_owned(stream, &mut scratch, frames),
        "sockudo-ws" => contestants::sockudo(stream, frames),
        "tungstenite" => contestants::tungstenite(stream, frames),
        "fastwebsockets" => contestants::fastwebsockets(&runtime, stream, frames),
        "tokio-websockets" => contestants::tokio_websockets(&runtime, stream, frames),
        other => panic!("no contestant {other:?}"),
    }
}

//! Instructions a frame, counted by callgrind: they repeat where times do not.

use std::process::Command;

use crate::contestants::ROOMS;
use crate::parse::{Content, SIZES};
use crate::table::Contestant;
use crate::{encode, parse};

/// The frames of the longer run; the shorter has a sixth of them, and starting up is in both.
fn frames_for(size: usize) -> usize {
    match size {
        0..=1024 => 1200,
        1025..=65536 => 60,
        _ => 12,
    }
}

/// Prints the tables, or says what is missing and ends the process with 3: nothing was counted.
pub fn print() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!(
            "SKIPPED, no instruction was counted: valgrind is not here; `apt-get install valgrind` brings it"
        );
        std::process::exit(3);
    }
    println!(
        "\nINSTRUCTIONS a frame (callgrind, which has AVX2 but no AVX-512), the copy out of the reader included"
    );
    for content in Content::ALL {
        println!();
        print_table(
            &format!("parse {content:?}, reads of 16 KiB"),
            &format!("parse/{content:?}"),
        );
    }
    println!();
    print_table("encode", "encode");
}

fn print_table(title: &str, what: &str) {
    print!("  {title:<32}");
    for (size, _) in SIZES {
        print!(" {:>10}", format!("{size} B"));
    }
    println!();
    for name in names(what) {
        print!("  {name:<32}");
        for (size, _) in SIZES {
            let long = frames_for(size);
            let count = |frames| count(&format!("{what}/{size}/{name}"), frames);
            match (count(long / 6), count(long)) {
                (Some(few), Some(many)) => {
                    let frames = (long - long / 6) as f64;
                    print!(" {:>10.1}", (many as f64 - few as f64) / frames);
                }
                _ => print!(" {:>10}", "-"),
            }
        }
        println!();
    }
}

fn names(what: &str) -> Vec<String> {
    let smallest = SIZES[0].0;
    let runtime = runtime();
    contestants(&runtime, &format!("{what}/{smallest}"), 1)
        .into_iter()
        .map(|contestant| contestant.name)
        .collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
}

fn count(what: &str, frames: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["--count", what, &frames.to_string()])
        // Of `rep movsb` each byte would count as an instruction: let memcpy use its vectors.
        .env(
            "GLIBC_TUNABLES",
            "glibc.cpu.x86_rep_movsb_threshold=1073741824",
        )
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.split("Collected :")
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// The contestants of `parse/CONTENT/SIZE` or `encode/SIZE`.
fn contestants<'w>(
    runtime: &'w tokio::runtime::Runtime,
    what: &str,
    frames: usize,
) -> Vec<Contestant<'w>> {
    let parts: Vec<&str> = what.split('/').collect();
    let size = |text: &str| text.parse::<usize>().expect("a size");
    match parts[..] {
        ["parse", content, bytes] => {
            let content = Content::ALL
                .into_iter()
                .find(|known| format!("{known:?}") == content)
                .expect("a content");
            // Streams of one length, so that making them costs the same each time.
            let long = frames_for(size(bytes));
            let stream = content.stream(size(bytes), long);
            let stream: &'static [u8] = Box::leak(stream.into_boxed_slice());
            let stream = &stream[..stream.len() / long * frames];
            parse::contestants(runtime, stream, ROOMS[0], frames)
        }
        ["encode", bytes] => encode::contestants(runtime, size(bytes), frames),
        _ => panic!("no contestants for {what:?}"),
    }
}

/// One contestant, once: what runs under callgrind.
pub fn run_counted(what: &str, frames: usize) {
    let (what, name) = what.rsplit_once('/').expect("what/name");
    let runtime = runtime();
    for mut contestant in contestants(&runtime, what, frames) {
        if contestant.name == name {
            (contestant.work)();
            return;
        }
    }
    // Ours leaves out what it does not do: copying large payloads.
    std::process::exit(2);
}

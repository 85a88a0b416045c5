//! Chromium as the client: the tests of examples/wpt_server/page.html, and the corpus in a browser's own decoder.

mod corpus;
mod support;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// What Chromium (156) does otherwise than the standard says.
const KNOWN: [&str; 3] = [
    // "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark": it takes a line end that follows the mark at
    // once for a part of the first line.
    "a byte order mark before a blank line:",
    // "Event streams in this format must always be encoded as UTF-8", and a charset parameter means nothing: it fails the
    // connection unless the charset is utf-8.
    "a charset is ignored:",
    // The empty value is no "integer in base ten": it goes back to its own reconnection time.
    "an empty reconnection time is ignored:",
];

#[test]
fn chromium_agrees_with_the_corpus_and_with_what_we_know_of_clients() {
    let Some(chromium) = find_chromium() else {
        skip("no chromium or chromium-browser in PATH");
        return;
    };
    let scratch =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("the target folder is ours");
    let cases = scratch.join("cases.json");
    std::fs::write(&cases, cases_as_json()).expect("the target folder is ours");

    let mut server = Running(serve(&cases));
    let mut lines = BufReader::new(server.0.stdout.take().expect("it is piped")).lines();
    let url = lines.next().expect("it prints its URL").expect("text");
    let _browser = Running(open(&chromium, &url, &scratch));
    let (sender, report) = mpsc::channel();
    thread::spawn(move || sender.send(lines.next()));
    let report = report
        .recv_timeout(Duration::from_secs(120))
        .expect("the page reports in time")
        .expect("the server lives")
        .expect("text");

    let report: Value = serde_json::from_str(&report).expect("a report is JSON");
    println!("{report:#}");
    for group in ["tests", "cases"] {
        let failures = report[group]["failures"].as_array().expect("a list");
        for failure in failures.iter().filter_map(Value::as_str) {
            let known = KNOWN.iter().any(|known| failure.starts_with(known));
            assert!(known, "{failure}");
        }
    }
    assert!(report["tests"]["ran"].as_u64() >= Some(17));
    assert!(report["cases"]["ran"].as_u64() >= Some(120));
    // It is of no interest if the system still holds a file in there.
    std::fs::remove_dir_all(&scratch).ok();
}

/// Says so where it is counted: in the output, and in the file that `cargo xtask test` names.
fn skip(reason: &str) {
    let line = format!(
        "SKIPPED: chromium_agrees_with_the_corpus_and_with_what_we_know_of_clients: {reason}"
    );
    println!("{line}");
    if let Some(path) = std::env::var_os("PUSHSERVER_SKIPS") {
        let mut skips = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .expect("the runner named the file");
        writeln!(skips, "{line}").expect("the runner named the file");
    }
}

/// The cases that begin with no ID: a browser cannot be given one.
fn cases_as_json() -> String {
    let cases: Vec<Value> = corpus::read_corpus()
        .iter()
        .filter(|case| case.seed.is_empty())
        .map(|case| {
            let hex: String = case
                .stream
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            json!({"name": case.name, "hex": hex, "events": case.expect.events})
        })
        .collect();
    json!(cases).to_string()
}

fn find_chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut candidates = std::env::split_paths(&path)
        .flat_map(|folder| [folder.join("chromium"), folder.join("chromium-browser")]);
    candidates.find(|program| program.is_file())
}

fn serve(cases: &Path) -> Child {
    let mut program = std::env::current_exe().expect("a test knows where it is");
    program.pop();
    program.pop();
    Command::new(program.join("examples/wpt_server"))
        .arg(cases)
        .stdout(Stdio::piped())
        .spawn()
        .expect("Cargo has built the example")
}

fn open(chromium: &Path, url: &str, scratch: &Path) -> Child {
    Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!(
            "--user-data-dir={}",
            scratch.join("profile").display()
        ))
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is there")
}

/// Ends with the test, whatever its outcome.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

//! Tests that need a program which is not here.

use std::io::Write;
use std::path::PathBuf;
use std::thread;

/// The program in PATH, or the test says that it is skipped and this is `None`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let found = installed(name);
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// The program in PATH.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps the proxies where only root looks.
    let beyond = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(beyond)
        .map(|folder| folder.join(name))
        .find(|p| p.is_file())
}

/// Something that `cargo xtask test` brings into `target/tools`, or the test says that it is skipped.
pub(crate) fn brought_in(inside: &str) -> Option<PathBuf> {
    let path = tools().join(inside);
    if path.exists() {
        return Some(path);
    }
    skip(&format!(
        "target/tools/{inside} is not here; `cargo xtask test` brings it in"
    ));
    None
}

/// Where `cargo xtask test` keeps what it brings in: beside the profile's folder that the server was built into.
pub(crate) fn tools() -> PathBuf {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_pushserver"));
    binary.ancestors().nth(2).unwrap().join("tools")
}

/// Says that the running test is skipped, past the capture of its output, and writes it down for who counts.
pub(crate) fn skip(reason: &str) {
    let thread = thread::current();
    let line = format!("SKIPPED: {}: {reason}\n", thread.name().unwrap_or("a test"));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(list) = std::env::var_os("PUSHSERVER_SKIPS") {
        let mut list = std::fs::OpenOptions::new().append(true).open(list).unwrap();
        list.write_all(line.as_bytes()).unwrap();
    }
}

//! Chromium, headless, on a page that follows a topic with what every browser has.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::driver::{Driver, Killed};
use super::skip;

const PAGE: &str = include_str!("../clients/page.html");

/// A web server with one page, which is told what happens on it by every browser that has it open.
pub(crate) struct Page {
    address: SocketAddr,
    /// Who hears what is told, by the number the page was opened with
    hearers: Hearers,
}

type Hearers = Arc<Mutex<Vec<Sender<String>>>>;

impl Page {
    /// Serves the page until the test ends.
    pub(crate) fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hearers = Hearers::default();
        let hearing = hearers.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let hearing = hearing.clone();
                thread::spawn(move || answer(stream, &hearing));
            }
        });
        Self { address, hearers }
    }

    /// What the browser calls this page's site.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens the page with these parameters in a browser of its own; `None` when there is no browser.
    pub(crate) fn open(&self, asked: &[(&str, &str)]) -> Option<Driver> {
        let chromium = skip::program("chromium")?;
        let (lines, told) = channel();
        let mut hearers = self.hearers.lock().unwrap();
        let number = hearers.len();
        hearers.push(lines);
        drop(hearers);
        let query: Vec<String> = asked
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let profile = Profile::new(self.address.port(), number);
        let url = format!("{}/{number}?{}", self.origin(), query.join("&"));
        let process = launch(&chromium, &profile, &url);
        Some(Driver::other(told, (process, profile)))
    }
}

/// Starts the browser, headless, on a page.
pub(crate) fn launch(chromium: &Path, profile: &Profile, url: &str) -> Killed {
    let process = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // Headless has no window to outlive it; the protocol's pipe keeps it open.
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", profile.0.display()))
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Killed(process)
}

/// A browser's folder, removed with the browser.
pub(crate) struct Profile(pub(crate) PathBuf);

impl Profile {
    pub(crate) fn new(port: u16, number: usize) -> Self {
        let name = format!("pushserver-browser-{}-{port}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A value as a query string carries it.
fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(b).to_string()
            }
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// Answers one request: the page, or thanks for what was told.
fn answer(stream: TcpStream, hearers: &Mutex<Vec<Sender<String>>>) {
    let mut from = BufReader::new(stream);
    let mut request = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if !from.read_line(&mut line).is_ok_and(|n| n > 0) {
            return;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if request.is_empty() {
            request = line;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).unwrap();
    let page = if let Some(told) = request.strip_prefix("POST /told/") {
        let number: usize = told.split(' ').next().unwrap().parse().unwrap();
        let hearers = hearers.lock().unwrap();
        drop(hearers[number].send(String::from_utf8(body).unwrap()));
        ""
    } else {
        PAGE
    };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    drop(from.get_mut().write_all(answer.as_bytes()));
}

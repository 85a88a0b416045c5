//! HTTP/1.1 over a plain socket: every byte that goes out is the test's own, and nothing that comes back is hidden.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// A request as the test wants it, `Host` and the body's length apart.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'a str, target: &'a str) -> Self {
        Self {
            method,
            target,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn get(target: &'a str) -> Self {
        Self::new("GET", target)
    }

    /// A page of events.
    pub(crate) fn page(target: &'a str) -> Self {
        Self::get(target).header("Accept", "application/json")
    }

    pub(crate) fn post(target: &'a str, body: &'a [u8]) -> Self {
        Self::new("POST", target).body(body)
    }

    pub(crate) fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends it on a connection of its own and reads the whole answer.
    #[track_caller]
    pub(crate) fn send(&self, address: SocketAddr) -> Reply {
        self.clone()
            .header("Connection", "close")
            .open(address)
            .into_reply()
    }

    /// Sends it and reads the head of the answer; the body is read as it comes.
    #[track_caller]
    pub(crate) fn open(&self, address: SocketAddr) -> Answer {
        let mut stream = connect(address);
        stream.write_all(&self.bytes(address)).unwrap();
        Answer::read(stream, self.method == "HEAD")
    }

    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let given = |name: &str| {
            self.headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(name))
        };
        if !given("host") {
            head.push_str(&format!("Host: {address}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = self.body
            && !given("content-length")
        {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.unwrap_or_default());
        bytes
    }
}

/// A connection that gives up when nothing comes for as long as a test is patient.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header; several of one name are joined as HTTP allows.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    from: BufReader<TcpStream>,
    left: Left,
}

/// What is left of a body.
#[derive(Debug)]
enum Left {
    Bytes(u64),
    /// Chunks, of the present one so many bytes
    Chunks(u64),
    UntilClosed,
}

impl Answer {
    #[track_caller]
    fn read(stream: TcpStream, headless: bool) -> Self {
        let mut from = BufReader::new(stream);
        let head = read_head(&mut from);
        let chunked = head
            .header("transfer-encoding")
            .is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        let length = head.header("content-length").map(|l| l.parse().unwrap());
        let left = if headless || matches!(head.status, 101 | 204 | 304) {
            Left::Bytes(0)
        } else if chunked {
            Left::Chunks(0)
        } else {
            length.map_or(Left::UntilClosed, Left::Bytes)
        };
        Self { head, from, left }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// The next bytes of the body; none at its end.
    ///
    /// A connection that breaks instead of ending the body is an end too: a killed server has no last words.
    #[track_caller]
    pub(crate) fn more(&mut self) -> Vec<u8> {
        if let Left::Chunks(0) = self.left {
            self.left = self.next_chunk();
        }
        let most = match self.left {
            Left::Bytes(n) | Left::Chunks(n) => n,
            Left::UntilClosed => u64::MAX,
        };
        if most == 0 {
            return Vec::new();
        }
        let buffer = match self.from.fill_buf() {
            Ok(buffer) => buffer,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Vec::new(),
            Err(e) => panic!("nothing more came of the body: {e}"),
        };
        let n = buffer
            .len()
            .min(usize::try_from(most).unwrap_or(usize::MAX));
        let bytes = buffer[..n].to_vec();
        self.from.consume(n);
        match &mut self.left {
            Left::Chunks(left) => {
                *left -= n as u64;
                if *left == 0 {
                    read_line(&mut self.from);
                }
            }
            Left::Bytes(left) => *left -= n as u64,
            Left::UntilClosed => {}
        }
        bytes
    }

    fn next_chunk(&mut self) -> Left {
        let line = read_line(&mut self.from);
        let size = line.split(';').next().unwrap_or_default().trim();
        match u64::from_str_radix(size, 16) {
            Ok(0) => {
                read_line(&mut self.from);
                Left::Bytes(0)
            }
            Ok(size) => Left::Chunks(size),
            // The connection broke between two chunks.
            Err(_) if line.is_empty() => Left::Bytes(0),
            Err(e) => panic!("{line:?} is not the size of a chunk: {e}"),
        }
    }

    /// Reads to the end of the body.
    #[track_caller]
    pub(crate) fn into_reply(mut self) -> Reply {
        let mut body = Vec::new();
        loop {
            let more = self.more();
            if more.is_empty() {
                return Reply {
                    head: self.head,
                    body,
                };
            }
            body.extend(more);
        }
    }

    /// The bare connection, for what follows a 101.
    pub(crate) fn into_stream(self) -> BufReader<TcpStream> {
        self.from
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head.header(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(e) => panic!("{:?} is not JSON: {e}", String::from_utf8_lossy(&self.body)),
        }
    }
}

#[track_caller]
fn read_head(from: &mut impl BufRead) -> Head {
    let first = read_line(from);
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or_else(|| panic!("{first:?} does not begin an answer"));
    let mut headers = Vec::new();
    loop {
        let line = read_line(from);
        if line.is_empty() {
            return Head { status, headers };
        }
        let (name, value) = line.split_once(':').unwrap();
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// A line without its end; empty when the connection is at its end.
#[track_caller]
fn read_line(from: &mut impl BufRead) -> String {
    let mut line = Vec::new();
    match from.by_ref().take(64 * 1024).read_until(b'\n', &mut line) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::ConnectionReset => line.clear(),
        Err(e) => panic!("no line came: {e}"),
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

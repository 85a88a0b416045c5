//! docs/PROTOCOL.md holds: every example of it is replayed against the real server.
//!
//! Sockets and nothing else, so that what is compared is what a client sees.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PROTOCOL.md");

#[test]
fn every_example_of_the_protocol_holds() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let server = Server::start(&["--set", "log.max_events=4"]);
    let mut names = Names::new();
    let blocks = blocks(&document);
    assert!(blocks.len() > 20, "{} examples", blocks.len());
    // What ends the server comes last.
    let ends = |block: &&Block| block.lines.iter().any(|line| line.starts_with('!'));
    let faults: Vec<_> = blocks
        .iter()
        .filter(|block| !ends(block))
        .chain(blocks.iter().filter(ends))
        .filter_map(|block| {
            let played = block.play(&server, &mut names);
            played
                .err()
                .map(|fault| format!("PROTOCOL.md:{}: {fault}", block.at))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn an_example_that_does_not_hold_is_found() {
    let server = Server::start(&[]);
    for (example, expect) in [
        ("```http\n> GET /health\n< 201\n```", "instead of 201"),
        (
            "```http\n> GET /health\n< 200\n< x-no: 1\n```",
            "no header x-no",
        ),
        (
            "```http\n> GET /health\n< 200\n<\n< {\"status\":\"bad\"}\n```",
            "instead of",
        ),
        (
            "```push.v1\nGET /topics\n< {\"state\":{\"at\":\"{a}-{a}\"}}\n```",
            "instead of",
        ),
        (
            "```push.v1\nGET /topics\n< {\"state\":{\"at\":\"{a}\"}}\n> {\"ping\":1}\n< close 1000\n```",
            "instead of",
        ),
    ] {
        let fault = blocks(example)[0].play(&server, &mut Names::new());
        assert!(
            fault.as_ref().is_err_and(|fault| fault.contains(expect)),
            "{example}: {fault:?}"
        );
    }
}

/// The texts that `{name}` has stood for so far
type Names = BTreeMap<String, String>;

/// A fenced block of a document
struct Block {
    kind: String,
    /// The line where it begins, from 1
    at: usize,
    lines: Vec<String>,
}

/// The blocks that can be replayed
fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(kind), None) => {
                open = Some(Block {
                    kind: kind.to_owned(),
                    at: at + 1,
                    lines: Vec::new(),
                });
            }
            (None, Some(mut block)) => {
                block.lines.push(line.to_owned());
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    blocks.retain(|block| ["http", "push.v1", "websocket"].contains(&block.kind.as_str()));
    blocks
}

impl Block {
    fn play(&self, server: &Server, names: &mut Names) -> Result<(), String> {
        match self.kind.as_str() {
            "http" => self.play_http(server, names),
            _ => self.play_web_socket(server, names),
        }
    }

    /// The lines of one side, without their mark
    fn side(&self, mark: char) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(move |line| {
            let line = line.strip_prefix(mark)?;
            Some(line.strip_prefix(' ').unwrap_or(line))
        })
    }

    fn play_http(&self, server: &Server, names: &mut Names) -> Result<(), String> {
        let request: Vec<_> = self.side('>').map(|line| filled(line, names)).collect();
        let mut response = Response::of(server, &request)?;
        let mut expected = self.side('<');
        let status = expected.next().ok_or("no status is expected")?;
        if response.status != status {
            let body = response.body().unwrap_or_default();
            return Err(format!("{} instead of {status}: {body}", response.status));
        }
        for line in expected.by_ref().take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").ok_or("a header has `: `")?;
            match response.headers.get(name) {
                Some(got) => compare(value, got, names)?,
                None => return Err(format!("no header {name}")),
            }
        }
        let is_stream = response
            .headers
            .get("content-type")
            .is_some_and(|value| value == "text/event-stream");
        if !is_stream {
            let body = response.body()?;
            let expected: Vec<_> = expected.collect();
            return compare(&expected.join("\n"), body.trim_end(), names);
        }
        expected.try_for_each(|line| compare(line, &response.line()?, names))
    }

    fn play_web_socket(&self, server: &Server, names: &mut Names) -> Result<(), String> {
        let path = self.lines[0].strip_prefix("GET ").ok_or("GET is missing")?;
        let protocol = (self.kind == "push.v1").then_some("push.v1");
        let mut socket = WebSocket::open(server, &filled(path, names), protocol)?;
        for line in &self.lines[1..] {
            match line.split_at(2) {
                ("> ", message) => socket.send(&filled(message, names))?,
                ("< ", message) => {
                    let got = socket.receive()?;
                    // The reason of a close frame may be left out.
                    let got = match message.strip_prefix("close ") {
                        Some(code) if !code.contains(' ') => {
                            got.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")
                        }
                        _ => got,
                    };
                    compare(message, &got, names)?;
                }
                ("! ", "SIGTERM") => server.terminate(),
                _ => return Err(format!("{line:?} begins with none of `>`, `<` and `!`")),
            }
        }
        Ok(())
    }
}

/// A text with the names in it replaced by what they stand for
fn filled(text: &str, names: &Names) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

/// Compares, and learns what the new names of `pattern` stand for
fn compare(pattern: &str, text: &str, names: &mut Names) -> Result<(), String> {
    let mut learnt = names.clone();
    if !fits(pattern, text, &mut learnt) {
        return Err(format!("{text:?} instead of {:?}", filled(pattern, names)));
    }
    *names = learnt;
    Ok(())
}

fn fits(pattern: &str, text: &str, names: &mut Names) -> bool {
    let Some((literal, name, rest)) = first_name(pattern) else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(literal) else {
        return false;
    };
    if let Some(value) = names.get(name) {
        return text
            .strip_prefix(&value.clone())
            .is_some_and(|text| fits(rest, text, names));
    }
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for end in ends.skip(1) {
        let mut learnt = names.clone();
        learnt.insert(name.to_owned(), text[..end].to_owned());
        if fits(rest, &text[end..], &mut learnt) {
            *names = learnt;
            return true;
        }
    }
    false
}

/// What is before the first `{name}`, the name, and what follows
fn first_name(pattern: &str) -> Option<(&str, &str, &str)> {
    pattern.match_indices('{').find_map(|(at, _)| {
        let (name, rest) = pattern[at + 1..].split_once('}')?;
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric());
        is_name.then_some((&pattern[..at], name, rest))
    })
}

/// The real server, which ends with the test
struct Server {
    process: Child,
    address: String,
    /// Kept open, because the server says more than where it listens
    _says: BufReader<ChildStdout>,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_pushserver"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        says.read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        Self {
            process,
            address,
            _says: says,
        }
    }

    fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(&self.address).map_err(|error| error.to_string())?;
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Ok(stream)
    }

    fn terminate(&self) {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}

/// A response whose body is read when it is asked for
struct Response {
    status: String,
    headers: BTreeMap<String, String>,
    from: BufReader<TcpStream>,
    /// Of a chunked body, what has arrived and was not taken
    arrived: Vec<u8>,
}

impl Response {
    /// Sends a request whose first line is `METHOD /path`, and reads the head of its response
    fn of(server: &Server, request: &[String]) -> Result<Self, String> {
        let mut lines = request.iter();
        let first = lines.next().ok_or("no request")?;
        let headers: Vec<_> = lines
            .by_ref()
            .take_while(|line| !line.is_empty())
            .cloned()
            .collect();
        let body = lines.cloned().collect::<Vec<_>>().join("\n");
        let mut head = format!("{first} HTTP/1.1\r\nhost: {}\r\n", server.address);
        headers
            .iter()
            .for_each(|line| head.push_str(&format!("{line}\r\n")));
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let mut stream = server.connect()?;
        stream
            .write_all(format!("{head}\r\n{body}").as_bytes())
            .map_err(|error| error.to_string())?;
        Self::read(stream)
    }

    fn read(stream: TcpStream) -> Result<Self, String> {
        let mut from = BufReader::new(stream);
        let first = line(&mut from)?;
        let status = first.split(' ').nth(1).unwrap_or("no status").to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let header = line(&mut from)?;
            let Some((name, value)) = header.split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        Ok(Self {
            status,
            headers,
            from,
            arrived: Vec::new(),
        })
    }

    /// The body, if its length was announced
    fn body(&mut self) -> Result<String, String> {
        let length = self.headers.get("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.from
            .read_exact(&mut body)
            .map_err(|error| error.to_string())?;
        String::from_utf8(body).map_err(|error| error.to_string())
    }

    /// The next line of a chunked body
    fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.arrived.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.arrived.drain(..=end).collect();
                return String::from_utf8(line[..end].to_vec()).map_err(|error| error.to_string());
            }
            let size = line(&mut self.from)?;
            let size = usize::from_str_radix(&size, 16).map_err(|error| error.to_string())?;
            if size == 0 {
                return Err("the stream has ended".to_owned());
            }
            let mut chunk = vec![0; size + 2];
            self.from
                .read_exact(&mut chunk)
                .map_err(|error| error.to_string())?;
            self.arrived.extend_from_slice(&chunk[..size]);
        }
    }
}

/// A line that ends with CR LF, without them
fn line(from: &mut impl BufRead) -> Result<String, String> {
    let mut line = String::new();
    match from.read_line(&mut line) {
        Ok(0) => Err("the connection was closed".to_owned()),
        Ok(_) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The least of a WebSocket client: short messages, a mask of zeros
struct WebSocket {
    stream: BufReader<TcpStream>,
}

impl WebSocket {
    fn open(server: &Server, path: &str, protocol: Option<&str>) -> Result<Self, String> {
        let mut request = vec![
            format!("GET {path}"),
            "connection: Upgrade".to_owned(),
            "upgrade: websocket".to_owned(),
            "sec-websocket-version: 13".to_owned(),
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
        ];
        request.extend(protocol.map(|protocol| format!("sec-websocket-protocol: {protocol}")));
        let mut response = Response::of(server, &request)?;
        if response.status != "101" {
            let body = response.body()?;
            return Err(format!("{}: {body}", response.status));
        }
        Ok(Self {
            stream: response.from,
        })
    }

    fn send(&mut self, message: &str) -> Result<(), String> {
        let mut frame = vec![0x81];
        match message.len() {
            length @ ..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(message.as_bytes());
        self.stream
            .get_mut()
            .write_all(&frame)
            .map_err(|error| error.to_string())
    }

    /// The next message, or `close CODE REASON`
    fn receive(&mut self) -> Result<String, String> {
        loop {
            let [first, length] = self.take()?;
            let length = match length {
                126 => usize::from(u16::from_be_bytes(self.take()?)),
                127 => u64::from_be_bytes(self.take()?) as usize,
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.stream
                .read_exact(&mut payload)
                .map_err(|error| error.to_string())?;
            match first & 0x0f {
                0x8 if payload.len() >= 2 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    let reason = String::from_utf8_lossy(&payload[2..]);
                    return Ok(format!("close {code} {reason}").trim_end().to_owned());
                }
                0x8 => return Ok("close".to_owned()),
                0x1 | 0x2 => {
                    return String::from_utf8(payload).map_err(|error| error.to_string());
                }
                _ => {}
            }
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.stream
            .read_exact(&mut bytes)
            .map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

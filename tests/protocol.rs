//! docs/PROTOCOL.md holds: every example of it is replayed against the real server.
//!
//! In `http` and `push.v1` blocks (and `websocket`, which is the plain mode), `>` is the client and `<` the server.

use std::collections::BTreeMap;

use crate::support::http::{Answer, Request};
use crate::support::server::{Server, token};
use crate::support::web_socket::{Message, WebSocket, handshake};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PROTOCOL.md");

#[test]
fn every_example_of_the_protocol_holds() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let mut site = Site::start();
    let blocks = blocks(&document);
    assert!(blocks.len() > 20, "{} examples", blocks.len());
    // What ends the server comes last.
    let ends = |block: &&Block| block.lines.iter().any(|line| line.starts_with('!'));
    let faults: Vec<_> = blocks
        .iter()
        .filter(|block| !ends(block))
        .chain(blocks.iter().filter(ends))
        .filter_map(|block| {
            let played = block.play(&mut site);
            played
                .err()
                .map(|fault| format!("PROTOCOL.md:{}: {fault}", block.at))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn an_example_that_does_not_hold_is_found() {
    let mut site = Site::start();
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
            "```push.v1\nGET /topics\n< {\"state\":{\"at\":\"{a}\",\"connection\":\"{b}\"}}\n> {\"ping\":1}\n< close 1000\n```",
            "instead of",
        ),
    ] {
        let fault = blocks(example)[0].play(&mut site);
        assert!(
            fault.as_ref().is_err_and(|fault| fault.contains(expect)),
            "{example}: {fault:?}"
        );
    }
}

/// What the document is replayed against
struct Site {
    server: Server,
    /// Has a key
    keyed: Server,
    names: Names,
    /// Streams that later examples may speak of
    streams: Vec<StreamLines>,
}

impl Site {
    fn start() -> Self {
        let secret = "auth.secret=a-secret-of-more-than-32-bytes-for-tests";
        let ann = [
            "--subject",
            "ann",
            "--subscribe",
            "docs/**",
            "--publish",
            "docs/**",
        ];
        let tokens = [
            (
                "ann",
                token(secret, &[&ann[..], &["--lifetime", "1h"]].concat()),
            ),
            (
                "anew",
                token(secret, &[&ann[..], &["--lifetime", "2h"]].concat()),
            ),
            ("admin", token(secret, &["--subject", "root", "--admin"])),
        ];
        Self {
            server: Server::with(&["log.max_events=4"]),
            keyed: Server::with(&["log.max_events=4", secret]),
            names: tokens.map(|(name, token)| (name.to_owned(), token)).into(),
            streams: Vec::new(),
        }
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
    blocks.retain(|block| ["http", "push.v1", "websocket"].contains(&block.door()));
    blocks
}

impl Block {
    /// Sends what the client says, and compares what the server says; the error tells the first difference
    fn play(&self, site: &mut Site) -> Result<(), String> {
        let server = match self.kind.ends_with(" keyed") {
            false => &site.server,
            true => &site.keyed,
        };
        match self.door() {
            "http" => {
                let stream = self.play_http(server, &mut site.names)?;
                site.streams.extend(stream);
                Ok(())
            }
            _ => self.play_web_socket(server, &mut site.names),
        }
    }

    fn door(&self) -> &str {
        self.kind.strip_suffix(" keyed").unwrap_or(&self.kind)
    }

    /// The lines of one side, without their mark
    fn side(&self, mark: char) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(move |line| {
            let line = line.strip_prefix(mark)?;
            Some(line.strip_prefix(' ').unwrap_or(line))
        })
    }

    /// Answers the stream, if it is one
    fn play_http(&self, server: &Server, names: &mut Names) -> Result<Option<StreamLines>, String> {
        let request: Vec<_> = self.side('>').map(|line| filled(line, names)).collect();
        let answer = ask(server, &request)?;
        let mut expected = self.side('<');
        let status = expected.next().ok_or("no status is expected")?;
        if answer.status().to_string() != status {
            return Err(format!("{:?} instead of {status}", answer.into_reply()));
        }
        for line in expected.by_ref().take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").ok_or("a header has `: `")?;
            let got = answer.head.header(name);
            compare(value, &got.ok_or(format!("no header {name}"))?, names)?;
        }
        let expected: Vec<_> = expected.collect();
        let is_stream = answer.head.header("content-type").as_deref() == Some("text/event-stream");
        if !is_stream {
            let body = answer.into_reply().text();
            return compare(&expected.join("\n"), body.trim_end(), names).map(|()| None);
        }
        let mut lines = StreamLines::of(answer);
        expected
            .into_iter()
            .try_for_each(|line| compare(line, &lines.next()?, names))?;
        Ok(Some(lines))
    }

    fn play_web_socket(&self, server: &Server, names: &mut Names) -> Result<(), String> {
        let path = self.lines[0].strip_prefix("GET ").ok_or("GET is missing")?;
        let path = filled(path, names);
        let mut request = handshake(&path);
        if self.door() == "push.v1" {
            request = request.header("Sec-WebSocket-Protocol", "push.v1");
        }
        let mut socket = WebSocket::upgraded(request.open(server.address()));
        for line in &self.lines[1..] {
            match line.split_at(2) {
                ("> ", message) => socket.send_text(&filled(message, names)),
                ("< ", message) => compare(message, &next_of(&mut socket, message)?, names)?,
                ("! ", "SIGTERM") => server.signal("TERM"),
                _ => return Err(format!("{line:?} begins with none of `>`, `<` and `!`")),
            }
        }
        Ok(())
    }
}

/// Sends a request whose first line is `METHOD /path`, then headers, an empty line and the body
fn ask(server: &Server, lines: &[String]) -> Result<Answer, String> {
    let (first, rest) = lines.split_first().ok_or("no request")?;
    let (method, target) = first.split_once(' ').ok_or("`METHOD /path` comes first")?;
    let end = rest.iter().position(String::is_empty);
    let (headers, body) = rest.split_at(end.unwrap_or(rest.len()));
    let mut request = Request::new(method, target);
    for header in headers {
        let (name, value) = header.split_once(": ").ok_or("a header has `: `")?;
        request = request.header(name, value);
    }
    let body = body.get(1..).unwrap_or_default().join("\n");
    Ok(request.body(body.as_bytes()).open(server.address()))
}

/// An event stream, line by line
struct StreamLines {
    answer: Answer,
    arrived: Vec<u8>,
}

impl StreamLines {
    fn of(answer: Answer) -> Self {
        Self {
            answer,
            arrived: Vec::new(),
        }
    }

    fn next(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.arrived.iter().position(|byte| *byte == b'\n') {
                let line = self.arrived.drain(..=end).take(end).collect();
                return String::from_utf8(line).map_err(|error| error.to_string());
            }
            match self.answer.more() {
                more if more.is_empty() => return Err("the stream has ended".to_owned()),
                more => self.arrived.extend(more),
            }
        }
    }
}

/// The next message, or `close CODE REASON`; the reason may be left out of what is expected
fn next_of(socket: &mut WebSocket, expected: &str) -> Result<String, String> {
    loop {
        return match socket.next() {
            Message::Text(text) => Ok(text),
            Message::Close(code, _) if expected.matches(' ').count() == 1 => {
                Ok(format!("close {code}"))
            }
            Message::Close(code, reason) => Ok(format!("close {code} {reason}")),
            Message::Ping(_) | Message::Pong(_) => continue,
            other @ Message::Binary(_) => Err(format!("{other:?} came")),
        };
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

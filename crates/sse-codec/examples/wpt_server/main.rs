//! The server behaviours that web-platform-tests need for `EventSource`, and a page of tests that asks for them.
//!
//! `wpt_server [CASES.json]` listens on two ports of 127.0.0.1 (two origins), prints `http://127.0.0.1:PORT/?other=PORT`,
//! and prints the report of each page that has run its tests as one line of JSON. The cases are streams to try in the
//! browser: `[{"name","hex","events":[[type,data,id]]}]`.
//!
//! | | |
//! | --- | --- |
//! | `/stream?hex=…&mime=…` | these bytes as this type, and the end of the body |
//! | `/hold?hex=…&key=K` | these bytes, and the connection stays open until the client closes it |
//! | `/sequence?key=K&statuses=200,200,204&hex=…` | each visit gets the next status; with 200 these bytes and an event that tells about the request |
//! | `/redirect?status=N&to=…` | a redirect |
//! | `/encode?id=…&event=…&data=…` | one event, encoded by this crate |
//! | `/seen?key=K` | visits, preflights and open connections of this key as JSON |
//!
//! Everywhere `cors=ORIGIN` and `credentials=1` add the headers that let another origin in, and answer its preflights.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use sse_codec::{Block, CONTENT_TYPE, EventId, EventType};

fn main() -> io::Result<()> {
    let cases = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => "[]".to_owned(),
    };
    let server = Arc::new(Server {
        cases,
        keys: Mutex::default(),
    });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let other = TcpListener::bind("127.0.0.1:0")?;
    let other_port = other.local_addr()?.port();
    println!("http://{}/?other={other_port}", listener.local_addr()?);
    let second = server.clone();
    thread::spawn(move || accept(&other, &second));
    accept(&listener, &server);
    Ok(())
}

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    for stream in listener.incoming().flatten() {
        let server = server.clone();
        // A connection that breaks is the client's business.
        thread::spawn(move || server.serve(stream).ok());
    }
}

struct Server {
    cases: String,
    keys: Mutex<HashMap<String, Seen>>,
}

/// What has happened under a key
#[derive(Default)]
struct Seen {
    visits: usize,
    last_answer: Option<Instant>,
    open: usize,
    preflights: Vec<String>,
}

impl Server {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let Some(request) = Request::read(&mut stream)? else {
            return Ok(());
        };
        if request.method == "OPTIONS" {
            let asked = request.header("access-control-request-headers");
            let asked = String::from_utf8_lossy(&asked).into_owned();
            self.key(&request, |seen| seen.preflights.push(asked));
            let allowed = ["Access-Control-Allow-Headers: last-event-id, cache-control".to_owned()];
            return request.answer(&mut stream, 204, CONTENT_TYPE, &allowed, b"");
        }
        let hex = bytes_of(&request.text("hex"));
        match request.path.as_str() {
            "/" => {
                let page = include_bytes!("page.html");
                request.answer(&mut stream, 200, "text/html; charset=utf-8", &[], page)
            }
            "/cases" => {
                let cases = self.cases.as_bytes();
                request.answer(&mut stream, 200, "application/json", &[], cases)
            }
            "/report" => {
                println!("{}", String::from_utf8_lossy(&request.body));
                request.answer(&mut stream, 200, "text/plain", &[], b"")
            }
            "/stream" => {
                let mime = request.text("mime");
                let mime = if mime.is_empty() { CONTENT_TYPE } else { &mime };
                request.answer(&mut stream, 200, mime, &[], &hex)
            }
            "/hold" => {
                request.answer(&mut stream, 200, CONTENT_TYPE, &[], &hex)?;
                self.key(&request, |seen| seen.open += 1);
                let ended = stream.read(&mut [0]);
                self.key(&request, |seen| seen.open -= 1);
                ended.map(drop)
            }
            "/sequence" => self.sequence(&request, &mut stream, &hex),
            "/redirect" => {
                let status = request.text("status").parse().unwrap_or(302);
                let location = [format!("Location: {}", request.text("to"))];
                request.answer(&mut stream, status, "text/plain", &location, b"")
            }
            "/encode" => {
                let (id, event, data) = (
                    request.text("id"),
                    request.text("event"),
                    request.text("data"),
                );
                let block = Block {
                    id: EventId::new(&id).ok(),
                    event: EventType::new(&event).ok(),
                    ..Block::new().data(&data)
                };
                request.answer(&mut stream, 200, CONTENT_TYPE, &[], &block.to_bytes())
            }
            "/cookie" => {
                let cookie = ["Set-Cookie: known=1; Path=/".to_owned()];
                request.answer(&mut stream, 200, "text/plain", &cookie, b"")
            }
            "/seen" => {
                let seen = self.key(&request, |seen| {
                    json!({"visits": seen.visits, "preflights": seen.preflights, "open": seen.open})
                });
                let seen = seen.to_string();
                request.answer(&mut stream, 200, "application/json", &[], seen.as_bytes())
            }
            _ => request.answer(&mut stream, 404, "text/plain", &[], b""),
        }
    }

    fn sequence(&self, request: &Request, stream: &mut TcpStream, first: &[u8]) -> io::Result<()> {
        let (visit, waited) = self.key(request, |seen| {
            seen.visits += 1;
            (seen.visits, seen.last_answer.map(|at| at.elapsed()))
        });
        let statuses = request.text("statuses");
        let status = statuses.split(',').nth(visit - 1);
        let status = status.and_then(|status| status.parse().ok()).unwrap_or(204);
        let told = json!({
            "visit": visit,
            "waited": waited.map(|waited| waited.as_millis() as u64),
            "last_event_id": hex_of(&request.header("last-event-id")),
            "accept": String::from_utf8_lossy(&request.header("accept")),
            "cookie": !request.header("cookie").is_empty(),
        })
        .to_string();
        let body = [first, &Block::new().data(&told).to_bytes()].concat();
        let result = request.answer(stream, status, CONTENT_TYPE, &[], &body);
        self.key(request, |seen| seen.last_answer = Some(Instant::now()));
        result
    }

    fn key<T>(&self, request: &Request, work: impl FnOnce(&mut Seen) -> T) -> T {
        let mut keys: MutexGuard<'_, _> = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        work(keys.entry(request.text("key")).or_default())
    }
}

struct Request {
    method: String,
    path: String,
    query: HashMap<String, String>,
    headers: HashMap<String, Vec<u8>>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Request::new(&mut headers);
            if let httparse::Status::Complete(len) = head.parse(&bytes).map_err(io::Error::other)? {
                let mut request = Self::from_head(&head);
                let body_len = String::from_utf8_lossy(&request.header("content-length")).parse();
                if bytes.len() >= len + body_len.unwrap_or(0usize) {
                    request.body = bytes.split_off(len);
                    return Ok(Some(request));
                }
            }
            match stream.read(&mut buffer)? {
                0 => return Ok(None),
                len => bytes.extend_from_slice(&buffer[..len]),
            }
        }
    }

    fn from_head(head: &httparse::Request<'_, '_>) -> Self {
        let target = head.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), percent_decoded(value))
        };
        let header = |header: &httparse::Header<'_>| {
            (header.name.to_ascii_lowercase(), header.value.to_vec())
        };
        Self {
            method: head.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.split('&').map(pair).collect(),
            headers: head.headers.iter().map(header).collect(),
            body: Vec::new(),
        }
    }

    fn text(&self, name: &str) -> String {
        self.query.get(name).cloned().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Vec<u8> {
        self.headers.get(name).cloned().unwrap_or_default()
    }

    /// Everything ends with the connection, so that the end of a body is an end of the network to the client.
    fn answer(
        &self,
        stream: &mut TcpStream,
        status: u16,
        content_type: &str,
        headers: &[String],
        body: &[u8],
    ) -> io::Result<()> {
        let mut head = format!(
            "HTTP/1.1 {status} x\r\nContent-Type: {content_type}\r\nCache-Control: no-store\r\nConnection: close\r\n"
        );
        let cors = self.text("cors");
        if !cors.is_empty() {
            head += &format!("Access-Control-Allow-Origin: {cors}\r\nVary: Origin\r\n");
        }
        if !self.text("credentials").is_empty() {
            head += "Access-Control-Allow-Credentials: true\r\n";
        }
        for header in headers {
            head += &format!("{header}\r\n");
        }
        let body = if status == 204 { b"" } else { body };
        stream.write_all(&[head.as_bytes(), b"\r\n", body].concat())
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *byte == b'%');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

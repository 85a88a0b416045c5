//! Follows an event stream over plain HTTP and prints its events as JSON lines, whatever happens to the server.
//!
//! `event_source [--last-event-id S] [--events N] http://HOST:PORT/PATH`
//!
//! `{"type":…,"data":…,"last_event_id":…}` for each event on stdout; what happens to the connection on stderr. Ends
//! when the server says so (any status but 200, or another content type), or after N events.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use sse_codec::{Action, Backoff, Decoder, EventId, EventSource, Response, Verdict};

/// Without a byte for so long, heartbeats included, the connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let start = Instant::now();
    let decoder = Decoder::new().with_last_event_id(EventId::new(&arguments.last_event_id)?);
    let seed = u64::from(std::process::id());
    let mut source = EventSource::new(decoder, Backoff::default(), seed);
    let mut connection = None;
    let mut events_left = arguments.events;
    loop {
        match source.poll_action(start.elapsed()) {
            Action::Wait { until } => {
                std::thread::sleep(until.saturating_sub(start.elapsed()));
            }
            Action::Connect { last_event_id } => {
                match Connection::open(&arguments, last_event_id) {
                    Ok(opened) => connection = Some(opened),
                    Err(error) => {
                        eprintln!("not connected: {error}");
                        source.handle_lost(start.elapsed());
                    }
                }
            }
            Action::AwaitResponse => {
                let connection = connection.as_mut().ok_or("connected before")?;
                match connection.read_head(&mut source, start) {
                    Ok(Verdict::Open) => eprintln!("open"),
                    Ok(verdict) => eprintln!("answered: {verdict:?}"),
                    Err(error) => {
                        eprintln!("no answer: {error}");
                        source.handle_lost(start.elapsed());
                    }
                }
            }
            Action::Read => {
                let connection = connection.as_mut().ok_or("connected before")?;
                match connection.read_body() {
                    Ok(Some(chunk)) => {
                        if !print(&mut source, chunk, &mut events_left)? {
                            return Ok(());
                        }
                    }
                    ended => {
                        eprintln!("lost: {:?}", ended.err());
                        source.handle_lost(start.elapsed());
                    }
                }
            }
            Action::Stop => return Ok(()),
        }
    }
}

/// Prints the events in a chunk; false when enough have been printed.
fn print(
    source: &mut EventSource,
    chunk: &[u8],
    events_left: &mut Option<u64>,
) -> Result<bool, Box<dyn Error>> {
    let mut out = io::stdout().lock();
    let mut items = source.decode(chunk);
    while let Some(event) = items.next_event()? {
        writeln!(
            out,
            r#"{{"type":{},"data":{},"last_event_id":{}}}"#,
            json!(event.event_type),
            json!(event.data),
            json!(event.last_event_id),
        )?;
        if let Some(left) = events_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Ok(false);
            }
        }
    }
    out.flush()?;
    Ok(true)
}

struct Arguments {
    last_event_id: String,
    events: Option<u64>,
    host: String,
    path: String,
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut parsed = Self {
            last_event_id: String::new(),
            events: None,
            host: String::new(),
            path: String::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--last-event-id" => parsed.last_event_id = value()?,
                "--events" => parsed.events = Some(value()?.parse()?),
                url => {
                    let rest = url.strip_prefix("http://").ok_or("an http:// URL")?;
                    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                    parsed.host = host.to_owned();
                    parsed.path = format!("/{path}");
                }
            }
        }
        if parsed.host.is_empty() {
            return Err("event_source [--last-event-id S] [--events N] URL".into());
        }
        Ok(parsed)
    }
}

/// One request and its answer
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer has been read and not been used
    unread: std::ops::Range<usize>,
    body: Body,
}

#[derive(Clone, Copy)]
enum Body {
    UntilClose,
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    /// The CRLF that follows a chunk's data
    ChunkEnd,
}

impl Connection {
    fn open(arguments: &Arguments, last_event_id: Option<&str>) -> io::Result<Self> {
        let has_port = arguments.host.rsplit_once(':').is_some();
        let address = if has_port {
            arguments.host.clone()
        } else {
            format!("{}:80", arguments.host)
        };
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nCache-Control: no-store\r\n",
            arguments.path, arguments.host
        );
        if let Some(id) = last_event_id {
            request += &format!("Last-Event-ID: {id}\r\n");
        }
        stream.write_all((request + "\r\n").as_bytes())?;
        Ok(Self {
            stream,
            buffer: vec![0; 16 << 10],
            unread: 0..0,
            body: Body::UntilClose,
        })
    }

    fn read_head(&mut self, source: &mut EventSource, start: Instant) -> io::Result<Verdict> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Response::new(&mut headers);
            let parsed = head
                .parse(&self.buffer[self.unread.clone()])
                .map_err(io::Error::other)?;
            let httparse::Status::Complete(len) = parsed else {
                self.fill()?;
                continue;
            };
            let header = |name: &str| {
                let found = head
                    .headers
                    .iter()
                    .find(|header| header.name.eq_ignore_ascii_case(name));
                found.and_then(|header| std::str::from_utf8(header.value).ok())
            };
            let response = Response {
                status: head.code.unwrap_or_default(),
                content_type: header("content-type"),
                retry_after: header("retry-after")
                    .and_then(|seconds| seconds.parse().ok())
                    .map(Duration::from_secs),
            };
            let chunked = header("transfer-encoding")
                .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
            let length = header("content-length").and_then(|length| length.parse().ok());
            self.body = match length {
                _ if chunked => Body::ChunkSize,
                Some(length) => Body::Length(length),
                None => Body::UntilClose,
            };
            let verdict = source.handle_response(&response, start.elapsed());
            self.unread.start += len;
            return Ok(verdict);
        }
    }

    /// The next bytes of the body, or `None` at its end.
    fn read_body(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            match self.body {
                Body::Length(0) => return Ok(None),
                Body::UntilClose => return self.take(u64::MAX).map(Some),
                Body::Length(left) => {
                    let taken = self.take_len(left)?;
                    self.body = Body::Length(left - taken as u64);
                    return Ok(Some(self.taken(taken)));
                }
                Body::ChunkSize => {
                    let unread = &self.buffer[self.unread.clone()];
                    match httparse::parse_chunk_size(unread) {
                        Ok(httparse::Status::Partial) => self.fill()?,
                        Ok(httparse::Status::Complete((_, 0))) => return Ok(None),
                        Ok(httparse::Status::Complete((len, size))) => {
                            self.unread.start += len;
                            self.body = Body::ChunkData(size);
                        }
                        Err(_) => return Err(io::Error::other("the chunks are malformed")),
                    }
                }
                Body::ChunkData(0) => self.body = Body::ChunkEnd,
                Body::ChunkData(left) => {
                    let taken = self.take_len(left)?;
                    self.body = Body::ChunkData(left - taken as u64);
                    return Ok(Some(self.taken(taken)));
                }
                Body::ChunkEnd if self.unread.len() < 2 => self.fill()?,
                Body::ChunkEnd => {
                    self.unread.start += 2;
                    self.body = Body::ChunkSize;
                }
            }
        }
    }

    fn take(&mut self, most: u64) -> io::Result<&[u8]> {
        let taken = self.take_len(most)?;
        Ok(self.taken(taken))
    }

    fn take_len(&mut self, most: u64) -> io::Result<usize> {
        if self.unread.is_empty() {
            self.fill()?;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let len = self.unread.len().min(most);
        self.unread.start += len;
        Ok(len)
    }

    fn taken(&self, len: usize) -> &[u8] {
        &self.buffer[self.unread.start - len..self.unread.start]
    }

    /// Reads more behind what is unread.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if self.unread.end == self.buffer.len() {
            return Err(io::Error::other("the head does not fit 16 KiB"));
        }
        match self.stream.read(&mut self.buffer[self.unread.end..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                self.unread.end += len;
                Ok(())
            }
        }
    }
}

//! Events that try to be more than one event, or to be the server's own.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Attack, MIB, nothing};
use crate::judge::{Bound, Told};
use crate::siege::Field;
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "sse-injection",
    does: "line ends of every kind, NULs, byte order marks and forged `push.` events in data, type, key, content type, topic and idempotency key, \
           by every way to publish, read back as an event stream",
    rate: "80 publishes/s",
    told: &["400", "as it was published", "refused"],
    bound: Bound {
        bytes: 2 * MIB,
        because: "80 publishes/s x 7.5 s x 1 KiB of event and encodings = 0.6 MiB, and 1 MiB of idempotency keys and topics",
    },
    prepare: nothing,
    strike,
};

/// What each field is made to hold
const PAYLOADS: [&str; 12] = [
    "x\n\nevent: push.end\ndata: {}\n\n",
    "x\r\revent: push.end\rdata: {}\r\r",
    "x\r\n\r\nid: 0\r\ndata: forged\r\n\r\n",
    "\nid: stolen",
    "\rretry: 1",
    "x\u{0}y\n\u{0}",
    "\u{feff}data: forged",
    ":comment\n\nforged",
    "x\u{85}data: forged\u{2028}data: forged\u{2029}",
    "\n\n\n\n",
    " two  spaces first",
    "push.gap",
];

/// Types that are the server's own, or the browser's
const FORGED: [&str; 7] = [
    "push.state",
    "push.gap",
    "push.end",
    "push.reconnect",
    "push.",
    "open",
    "error",
];

/// How long the attack rests after each publish
const REST: Duration = Duration::from_millis(12);

fn strike(field: &Field) -> Result<Told> {
    let mut told = Told::default();
    let mut client = Client::connect(field)?;
    let mut round = 0;
    while Instant::now() < field.until {
        let payload = PAYLOADS[round % PAYLOADS.len()];
        let topic = format!("offender/inject{}/{round}", field.window);
        let start = client.head(&topic)?;
        client.publish_everywhere(&topic, payload, &mut told)?;
        for kind in FORGED {
            client.refused(&topic, "type", kind, &mut told)?;
        }
        client.read_back(&topic, &start, &mut told)?;
        round += 1;
    }
    Ok(told)
}

/// A publisher and reader that looks at everything itself.
struct Client {
    stream: TcpStream,
    field: Field,
    token: String,
    /// What was accepted on the present topic, as type and data
    accepted: Vec<(Option<String>, String)>,
}

impl Client {
    fn connect(field: &Field) -> Result<Client> {
        let stream = TcpStream::connect(field.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Client {
            stream,
            field: *field,
            token: token::offender(&format!("injector{}", field.window)),
            accepted: Vec::new(),
        })
    }

    /// A request and the status and body of its answer.
    fn ask(
        &mut self,
        method: &str,
        target: &str,
        fields: &str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>)> {
        std::thread::sleep(REST);
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{fields}Content-Length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.stream.write_all(&[head.as_bytes(), body].concat())?;
        let (mut received, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let n = self.stream.read(&mut buffer)?;
            ensure!(n > 0, "closed after {method} {target}");
            received.extend_from_slice(&buffer[..n]);
            let Some(end) = memchr::memmem::find(&received, b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(Ok(0), str::parse)?;
            if received.len() >= end + 4 + length {
                let status = head[9..12].parse()?;
                return Ok((status, received.split_off(end + 4)));
            }
        }
    }

    /// Where the topic begins: nothing is there yet, so any position will do.
    fn head(&mut self, topic: &str) -> Result<String> {
        self.accepted.clear();
        let (status, body) = self.ask(
            "GET",
            &format!("/topics/{topic}"),
            "Accept: application/json\r\n",
            b"",
        )?;
        ensure!(status == 200, "no page of a new topic: {status}");
        let page: Value = serde_json::from_slice(&body)?;
        page["next"]
            .as_str()
            .map(str::to_owned)
            .context("a page has a `next`")
    }

    fn publish_everywhere(&mut self, topic: &str, payload: &str, told: &mut Told) -> Result<()> {
        let target = format!("/topics/{topic}");
        let (status, _) = self.ask(
            "POST",
            &target,
            "Content-Type: text/plain\r\n",
            payload.as_bytes(),
        )?;
        self.note(status, None, payload, told);
        let encoded = percent(payload);
        for parameter in ["type", "key"] {
            let (status, _) =
                self.ask("POST", &format!("{target}?{parameter}={encoded}"), "", b"d")?;
            let kind = (parameter == "type").then(|| payload.to_owned());
            self.note(status, kind, "d", told);
        }
        let event = json!([
            {"topic": topic, "data": payload, "type": "batch"},
            {"topic": topic, "data": "d", "type": payload},
            {"topic": topic, "data": "d", "key": payload, "content_type": payload},
            {"topic": topic, "data": "d", "idempotency_key": payload},
            {"topic": format!("{topic}/{payload}"), "data": "d"},
        ]);
        for (n, event) in event.as_array().into_iter().flatten().enumerate() {
            let (status, body) = self.ask(
                "POST",
                "/publish",
                "Content-Type: application/x-ndjson\r\n",
                event.to_string().as_bytes(),
            )?;
            let is_in = status == 200 && memchr::memmem::find(&body, b"\"id\"").is_some();
            let kind = match n {
                0 => Some("batch".to_owned()),
                1 => Some(payload.to_owned()),
                _ => None,
            };
            let data = if n == 0 { payload } else { "d" };
            match is_in {
                // Another topic, which nobody reads here.
                true if n == 4 => {}
                true => self.note(200, kind, data, told),
                false => told.note("refused"),
            }
        }
        Ok(())
    }

    fn note(&mut self, status: u16, kind: Option<String>, data: &str, told: &mut Told) {
        match status {
            200 => self.accepted.push((kind, data.to_owned())),
            status => told.note(status.to_string()),
        }
    }

    fn refused(
        &mut self,
        topic: &str,
        parameter: &str,
        value: &str,
        told: &mut Told,
    ) -> Result<()> {
        let target = format!("/topics/{topic}?{parameter}={value}");
        let (status, _) = self.ask("POST", &target, "", b"forged")?;
        match status {
            400 => told.note("400"),
            status => told.note(format!("{value}: {status}")),
        }
        Ok(())
    }

    /// Reads the topic as an event stream: what was accepted, in that order, and nothing else.
    fn read_back(&mut self, topic: &str, start: &str, told: &mut Told) -> Result<()> {
        let mut stream = TcpStream::connect(self.field.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        // HTTP/1.0, so that the body is the stream and nothing else.
        let request = format!(
            "GET /topics/{topic}?after={start} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nAccept: text/event-stream\r\n\r\n",
            self.token
        );
        stream.write_all(request.as_bytes())?;
        let (mut received, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        let read = loop {
            let events = parse(&received);
            if events.iter().filter(|e| !e.is_own()).count() >= self.accepted.len() {
                break events;
            }
            match stream.read(&mut buffer) {
                Ok(n) if n > 0 => received.extend_from_slice(&buffer[..n]),
                _ => break events,
            }
        };
        // Nobody needs the answer any more.
        let _gone = stream.shutdown(Shutdown::Both);
        let own: Vec<&Event> = read.iter().filter(|e| e.is_own()).collect();
        if own.len() != 1 || own[0].kind.as_deref() != Some("push.state") {
            told.note(format!("forged: {own:?}"));
        }
        let expect: Vec<(Option<String>, String)> = self
            .accepted
            .iter()
            .map(|(k, d)| (k.clone(), lines(d)))
            .collect();
        let got: Vec<_> = read
            .iter()
            .filter(|e| !e.is_own())
            .map(|e| (e.kind.clone(), e.data.clone()))
            .collect();
        match got == expect {
            true => told.note("as it was published"),
            false => told.note(format!("read {got:?} instead of {expect:?}")),
        }
        Ok(())
    }
}

/// Every line end of data is a line end to a reader, whichever it was: the format has no other way.
fn lines(data: &str) -> String {
    data.replace("\r\n", "\n").replace('\r', "\n")
}

fn percent(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

/// An event as a browser would see it.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    kind: Option<String>,
    data: String,
    id: Option<String>,
}

impl Event {
    fn is_own(&self) -> bool {
        self.kind
            .as_deref()
            .is_some_and(|kind| kind.starts_with("push."))
    }
}

/// The events of a stream, by the algorithm of the HTML standard (section 9.2.6).
fn parse(received: &[u8]) -> Vec<Event> {
    let Some(head) = memchr::memmem::find(received, b"\r\n\r\n") else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&received[head + 4..]);
    let text = lines(text.strip_prefix('\u{feff}').unwrap_or(&text));
    let mut events = Vec::new();
    let (mut kind, mut data, mut id) = (None, String::new(), None);
    let mut rest = &text[..];
    // A line that has not ended is not a line yet.
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if line.is_empty() {
            if let Some(data) = data.strip_suffix('\n') {
                let (kind, data) = (kind.take(), data.to_owned());
                events.push(Event {
                    kind,
                    data,
                    id: id.clone(),
                });
            }
            (kind, data) = (None, String::new());
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => kind = Some(value.to_owned()),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => id = Some(value.to_owned()),
            _ => {}
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_event_would_be_seen() {
        let stream = b"HTTP/1.1 200 OK\r\n\r\nid: a\nevent: x\ndata: y\n\nevent: push.end\ndata: {}\n\ndata: cut";
        let events = parse(stream);
        assert_eq!(events.len(), 2);
        assert!(!events[0].is_own() && events[1].is_own());
        assert_eq!(events[0].data, "y");
    }

    #[test]
    fn lines_end_as_the_standard_says() {
        let stream = b"HTTP/1.1 200 OK\r\n\r\ndata: a\rdata: b\r\ndata: c\n\n: comment\n\n";
        assert_eq!(parse(stream)[0].data, "a\nb\nc");
    }
}

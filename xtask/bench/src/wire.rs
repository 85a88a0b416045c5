//! The bytes of the protocols spoken here, written and read independently of the codecs they judge.
//!
//! Only what a benchmark's client needs: requests, masked frames out, and readers that take a server's bytes
//! apart to the message when a run verifies. Counting runs never come here.

use anyhow::{Result, bail, ensure};

/// The byte that occurs once in every event and in nothing that surrounds one.
///
/// No header, frame length of the sizes measured, chunk size, event id or JSON punctuation contains it.
pub(crate) const MARKER: u8 = b'!';

/// Digits of the sequence number that follows the marker.
pub(crate) const DIGITS: usize = 12;

/// Appends the data of event number `seq`: marker, number, and filler up to `size` bytes.
pub(crate) fn push_data(out: &mut Vec<u8>, seq: u64, size: usize) {
    debug_assert!(size > DIGITS);
    let start = out.len();
    out.push(MARKER);
    let mut digits = [b'0'; DIGITS];
    let mut rest = seq;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("a digit is below ten");
        rest /= 10;
    }
    out.extend_from_slice(&digits);
    out.resize(start + size, b'x');
}

/// Reads an event's data back: its number, or what is wrong with it.
///
/// Looks for the marker, because some servers wrap the data (Socket.IO's packets, JSON).
pub(crate) fn read_data(message: &[u8], size: usize) -> Result<u64> {
    let Some(at) = memchr::memchr(MARKER, message) else {
        bail!("a message without an event: {:?}", text(message));
    };
    let Some(data) = message.get(at..at + size) else {
        bail!("an event of {} bytes instead of {size}", message.len() - at);
    };
    let (head, filler) = data.split_at(DIGITS + 1);
    ensure!(
        filler.iter().all(|&b| b == b'x'),
        "an event whose data was changed: {:?}",
        text(data)
    );
    let mut seq = 0;
    for &digit in &head[1..] {
        ensure!(digit.is_ascii_digit(), "an event without its number");
        seq = seq * 10 + u64::from(digit - b'0');
    }
    Ok(seq)
}

/// The request that opens a WebSocket.
pub(crate) fn upgrade_request(path: &str, host: &str, protocol: Option<&str>) -> String {
    let protocol =
        protocol.map_or_else(String::new, |p| format!("Sec-WebSocket-Protocol: {p}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
    )
}

/// The request that opens an event stream, resuming after `last_event_id` if there is one.
pub(crate) fn stream_request(path: &str, host: &str, last_event_id: Option<&str>) -> String {
    let resume = last_event_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n{resume}\r\n")
}

/// Appends one masked text frame (RFC 6455 section 5.2).
pub(crate) fn push_frame(out: &mut Vec<u8>, payload: &[u8]) {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    out.push(0x81);
    match payload.len() {
        len @ 0..126 => out.push(0x80 | u8::try_from(len).expect("matched below 126")),
        len @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(
                &u16::try_from(len)
                    .expect("matched below 65,536")
                    .to_be_bytes(),
            );
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
}

/// The head of an HTTP response that is complete in `input`.
pub(crate) struct Head {
    /// The status code
    pub(crate) status: u16,
    /// Bytes up to and with the empty line
    pub(crate) len: usize,
    /// How the body ends
    pub(crate) body: Body,
}

/// How the end of a response's body is told.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Body {
    /// `Content-Length`, or nothing said
    Length(usize),
    /// `Transfer-Encoding: chunked`
    Chunked,
    /// By the end of the connection
    Close,
}

/// Reads a response head, or `None` while it is incomplete.
pub(crate) fn response_head(input: &[u8]) -> Result<Option<Head>> {
    let Some(end) = memchr::memmem::find(input, b"\r\n\r\n") else {
        ensure!(input.len() < 16_384, "a response head without an end");
        return Ok(None);
    };
    let head = std::str::from_utf8(&input[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|l| l.split(' ').nth(1))
        .and_then(|s| s.parse().ok());
    let Some(status) = status else {
        bail!("not an HTTP response: {head:?}");
    };
    let mut body = Body::Close;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Length(value.parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
        }
    }
    if status == 204 || status == 101 {
        body = Body::Length(0);
    }
    Ok(Some(Head {
        status,
        len: end + 4,
        body,
    }))
}

/// Takes a server's WebSocket bytes apart into messages.
#[derive(Default)]
pub(crate) struct FrameReader {
    held: Vec<u8>,
}

/// What a server's bytes turned out to be.
pub(crate) enum Message<'a> {
    /// A message, or an event's data and its id
    Event {
        /// The stream's `id:`; empty over WebSocket
        id: &'a str,
        /// The stream's `event:`; empty over WebSocket
        kind: &'a str,
        /// The message or the data
        data: &'a [u8],
    },
    /// The peer closes, with its code
    Close(u16),
}

impl FrameReader {
    /// Hands every message that is complete to `each`.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        mut each: impl FnMut(Message<'_>) -> Result<()>,
    ) -> Result<()> {
        self.held.extend_from_slice(input);
        let mut at = 0;
        while let Some((opcode, payload)) = frame(&self.held[at..])? {
            let data = &self.held[at + payload.start..at + payload.end];
            match opcode {
                1 | 2 => each(Message::Event {
                    id: "",
                    kind: "",
                    data,
                })?,
                8 => each(Message::Close(match data {
                    [a, b, ..] => u16::from_be_bytes([*a, *b]),
                    _ => 1005,
                }))?,
                9 | 10 => {}
                other => bail!("a frame with opcode {other}"),
            }
            at += payload.end;
        }
        self.held.drain(..at);
        Ok(())
    }
}

/// The opcode and payload range of the first frame, or `None` while it is incomplete.
pub(crate) fn frame(input: &[u8]) -> Result<Option<(u8, std::ops::Range<usize>)>> {
    let [first, second, ..] = *input else {
        return Ok(None);
    };
    ensure!(
        first & 0xf0 == 0x80,
        "a frame that is a fragment or has a reserved bit: {first:#x}"
    );
    ensure!(second & 0x80 == 0, "a server's frame is masked");
    let (start, len) = match second {
        126 => match input.get(2..4) {
            Some(b) => (4, usize::from(u16::from_be_bytes([b[0], b[1]]))),
            None => return Ok(None),
        },
        127 => match input.get(2..10) {
            Some(b) => {
                let bytes = b.try_into().expect("eight bytes were asked for");
                (10, usize::try_from(u64::from_be_bytes(bytes))?)
            }
            None => return Ok(None),
        },
        short => (2, usize::from(short)),
    };
    Ok((input.len() >= start + len).then_some((first & 0x0f, start..start + len)))
}

/// Takes a server's event stream apart into events, chunked or not.
pub(crate) struct StreamReader {
    body: Body,
    raw: Vec<u8>,
    text: Vec<u8>,
    id: String,
}

impl StreamReader {
    /// A reader of a body that is told to end as `body` says.
    pub(crate) fn new(body: Body) -> StreamReader {
        StreamReader {
            body,
            raw: Vec::new(),
            text: Vec::new(),
            id: String::new(),
        }
    }

    /// Hands every event that is complete to `each`; comments and `retry:` are passed over.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        mut each: impl FnMut(Message<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.body == Body::Chunked {
            self.raw.extend_from_slice(input);
            self.dechunk()?;
        } else {
            self.text.extend_from_slice(input);
        }
        let mut at = 0;
        while let Some(len) = memchr::memmem::find(&self.text[at..], b"\n\n") {
            let block = &self.text[at..at + len];
            at += len + 2;
            let (mut kind, mut data) = ("", None);
            for line in block.split(|&b| b == b'\n') {
                if let Some(value) = line.strip_prefix(b"data:") {
                    data = Some(value.strip_prefix(b" ").unwrap_or(value));
                } else if let Some(value) = line.strip_prefix(b"id:") {
                    self.id.clear();
                    self.id.push_str(std::str::from_utf8(value)?.trim_start());
                } else if let Some(value) = line.strip_prefix(b"event:") {
                    kind = std::str::from_utf8(value)?.trim_start();
                }
            }
            if let Some(data) = data {
                let id = &self.id;
                each(Message::Event { id, kind, data })?;
            }
        }
        self.text.drain(..at);
        Ok(())
    }

    fn dechunk(&mut self) -> Result<()> {
        let mut at = 0;
        while let Some(line) = memchr::memmem::find(&self.raw[at..], b"\r\n") {
            let size = std::str::from_utf8(&self.raw[at..at + line])?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or(size), 16)?;
            let start = at + line + 2;
            let Some(chunk) = self.raw.get(start..start + size + 2) else {
                break;
            };
            ensure!(chunk.ends_with(b"\r\n"), "a chunk without its end");
            self.text.extend_from_slice(&chunk[..size]);
            at = start + size + 2;
        }
        self.raw.drain(..at);
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(input: &[u8], cut: usize, body: Body) -> Vec<(String, String)> {
        let mut reader = StreamReader::new(body);
        let mut seen = Vec::new();
        for part in [&input[..cut], &input[cut..]] {
            reader
                .feed(part, |message| {
                    if let Message::Event { id, data, .. } = message {
                        seen.push((id.to_owned(), text(data)));
                    }
                    Ok(())
                })
                .unwrap();
        }
        seen
    }

    #[test]
    fn a_stream_reads_the_same_wherever_it_is_cut() {
        let input = b"e\r\n: hi\n\nid: a1\nd\r\n9\r\nata: one\n\r\n1\r\n\n\r\n";
        for cut in 0..input.len() {
            let expect = vec![("a1".to_owned(), "one".to_owned())];
            assert_eq!(events(input, cut, Body::Chunked), expect, "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_reads_the_same_wherever_it_is_cut() {
        let mut input = vec![0x81, 126, 0, 200];
        input.extend([b'a'; 200]);
        input.extend([0x88, 2, 0x03, 0xe8]);
        for cut in 0..input.len() {
            let (mut reader, mut seen) = (FrameReader::default(), Vec::new());
            for part in [&input[..cut], &input[cut..]] {
                reader
                    .feed(part, |message| {
                        seen.push(match message {
                            Message::Event { data, .. } => data.len(),
                            Message::Close(code) => usize::from(code),
                        });
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(seen, [200, 1000], "cut at {cut}");
        }
    }

    #[test]
    fn data_comes_back_with_its_number_and_a_changed_byte_is_seen() {
        let mut out = b"42[\"m\",\"".to_vec();
        push_data(&mut out, 4711, 128);
        out.extend_from_slice(b"\"]");
        assert_eq!(read_data(&out, 128).unwrap(), 4711);
        out[60] = b'y';
        read_data(&out, 128).unwrap_err();
    }
}

//! A WebSocket client that shows what libraries hide: the handshake's answer, every frame, the close code.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::PATIENCE;
use super::http::{Answer, Request};
use super::server::Server;

/// An open WebSocket.
pub(crate) struct WebSocket {
    from: BufReader<TcpStream>,
    next_ref: u64,
    /// What came while a command's answer was waited for
    waiting: Vec<Value>,
}

/// What the server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// The code and the reason; 1006 when the connection ended without one
    Close(u16, String),
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A request for a WebSocket, for the test to add to.
pub(crate) fn handshake(target: &str) -> Request<'_> {
    Request::get(target)
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

impl WebSocket {
    /// The plain mode: each message is an event's data.
    #[track_caller]
    pub(crate) fn plain(server: &Server, target: &str) -> Self {
        Self::upgraded(handshake(target).open(server.address()))
    }

    /// The subprotocol `push.v1`.
    #[track_caller]
    pub(crate) fn push(server: &Server, target: &str) -> Self {
        let request = handshake(target).header("Sec-WebSocket-Protocol", "push.v1");
        let answer = request.open(server.address());
        assert_eq!(
            answer.head.header("sec-websocket-protocol").as_deref(),
            Some("push.v1")
        );
        Self::upgraded(answer)
    }

    #[track_caller]
    pub(crate) fn upgraded(answer: Answer) -> Self {
        if answer.status() != 101 {
            panic!("no upgrade: {:?}", answer.into_reply());
        }
        // RFC 6455 section 1.3 gives the answer to this key.
        assert_eq!(
            answer.head.header("sec-websocket-accept").as_deref(),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        Self {
            from: answer.into_stream(),
            next_ref: 1,
            waiting: Vec::new(),
        }
    }

    /// The next message; pings are answered as they are passed on.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Message {
        match self.frame() {
            Ok((TEXT, payload)) => Message::Text(String::from_utf8(payload).unwrap()),
            Ok((BINARY, payload)) => Message::Binary(payload),
            Ok((PING, payload)) => {
                self.send(0xA, &payload);
                Message::Ping(payload)
            }
            Ok((CLOSE, payload)) if payload.is_empty() => Message::Close(1005, String::new()),
            Ok((CLOSE, payload)) => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                Message::Close(code, String::from_utf8(payload[2..].to_vec()).unwrap())
            }
            Ok((_, payload)) => Message::Pong(payload),
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                Message::Close(1006, String::new())
            }
            Err(e) => panic!("no message came: {e}"),
        }
    }

    /// The next text message, pings passed over.
    #[track_caller]
    pub(crate) fn next_text(&mut self) -> String {
        let start = Instant::now();
        loop {
            // Pings keep the socket's own timeout from ever passing.
            assert!(start.elapsed() < PATIENCE, "only pings come");
            match self.next() {
                Message::Text(text) => return text,
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} came instead of a text"),
            }
        }
    }

    /// The next message of `push.v1`.
    #[track_caller]
    pub(crate) fn next_json(&mut self) -> Value {
        if !self.waiting.is_empty() {
            return self.waiting.remove(0);
        }
        let text = self.next_text();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text:?} is not JSON: {e}"))
    }

    /// The next event, other pushes passed over.
    #[track_caller]
    pub(crate) fn next_event(&mut self) -> Value {
        loop {
            let mut message = self.next_json();
            if message.get("event").is_some() {
                return message["event"].take();
            }
        }
    }

    /// The data of the next `n` events.
    #[track_caller]
    pub(crate) fn next_data(&mut self, n: usize) -> Vec<String> {
        (0..n)
            .map(|_| self.next_event()["data"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sends a command and waits for its answer, the whole of it.
    #[track_caller]
    pub(crate) fn command(&mut self, name: &str, arguments: &Value) -> Value {
        let reference = self.next_ref;
        self.next_ref += 1;
        let command = json!({"ref": reference, name: arguments});
        self.send_text(&command.to_string());
        loop {
            let text = self.next_text();
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["ref"] == reference {
                return message;
            }
            self.waiting.push(message);
        }
    }

    /// Waits for the close, whatever comes before it.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(code, reason) = self.next() {
                return (code, reason);
            }
        }
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes());
    }

    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        self.send(BINARY, bytes);
    }

    pub(crate) fn close(&mut self, code: u16) {
        self.send(CLOSE, &code.to_be_bytes());
    }

    /// Sends one whole frame, masked as a client must.
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            n @ 0..126 => frame.push(0x80 | n as u8),
            n @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        self.send_raw(&frame);
    }

    /// Sends bytes that need not be a frame.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.from.get_mut().write_all(bytes).unwrap();
    }

    /// Reads one frame; the server does not fragment and does not mask.
    fn frame(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.from.read_exact(&mut head)?;
        assert_eq!(head[0] & 0xF0, 0x80, "a whole frame without extensions");
        assert_eq!(head[1] & 0x80, 0, "servers do not mask");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.from.read_exact(&mut length)?;
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.from.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.from.read_exact(&mut payload)?;
        Ok((head[0] & 0x0F, payload))
    }
}

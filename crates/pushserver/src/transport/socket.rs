//! What both WebSocket doors stand on: a ws-codec connection in the server's terms.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pushcore::Timestamp;
use ws_codec::handshake::Deflate;
use ws_codec::{CloseCode, CloseFrame, Connection, FrameHeader, Incoming, Message, OpCode};

use super::Output;
use crate::app::App;
use crate::encode;
use crate::rates::Allowance;

/// A WebSocket connection and what waits to be written to it besides events
#[derive(Debug)]
pub(crate) struct Socket {
    connection: Connection,
    outbox: Option<Box<Outbox>>,
    /// What a client that pings has left of them
    pings: Option<Box<Allowance>>,
}

/// Whole frames, written before anything else; apart, because most sockets never have any
#[derive(Debug, Default)]
struct Outbox {
    frames: Vec<u8>,
}

/// What is left in front of a message for the head of its frame
pub(crate) const FRAME_ROOM: usize = FrameHeader::MAX_LEN;

impl Socket {
    pub(crate) fn new(app: &Arc<App>, agreed: Option<Deflate>, now: Timestamp) -> Self {
        let connection = Connection::server(Arc::clone(&app.websocket), since(now));
        Self {
            connection: match agreed {
                Some(agreed) => connection.with_deflate(agreed),
                None => connection,
            },
            outbox: None,
            pings: None,
        }
    }

    /// Takes bytes; `on_message` is given each whole message
    ///
    /// A violation queues its close frame; there is nothing more to do about it here.
    pub(crate) fn handle_input(
        &mut self,
        app: &App,
        now: Timestamp,
        mut bytes: &mut [u8],
        mut on_message: impl FnMut(Message<'_>),
    ) {
        loop {
            match self.connection.handle_input(&mut bytes, since(now)) {
                Ok(Some(Incoming::Message(message))) => on_message(message),
                Ok(Some(Incoming::Ping(_) | Incoming::Pong(_))) => self.count_ping(app, now),
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(failure) => {
                    tracing::debug!(%failure, "a WebSocket client broke the protocol");
                    return;
                }
            }
        }
    }

    /// Each has to be read and answered, so that a flood of them would be work without end
    fn count_ping(&mut self, app: &App, now: Timestamp) {
        let per_second = app.config.websocket.max_pings_per_second;
        let left = self
            .pings
            .get_or_insert_with(|| Box::new(Allowance::full(per_second, now)));
        if left.take(per_second, 1, now).is_err() {
            let reason = "more pings than `websocket.max_pings_per_second` allows";
            self.close(CloseFrame::new(CloseCode::POLICY_VIOLATION, reason), now);
        }
    }

    /// Queues a text message
    pub(crate) fn say(&mut self, text: &str) {
        if self.connection.may_send() {
            let frames = &mut self.outbox.get_or_insert_default().frames;
            ws_codec::encode_into(frames, OpCode::Text, text.as_bytes());
        }
    }

    /// Queues a text message that begins [`FRAME_ROOM`] bytes into `frame`; a long one is not copied for it
    pub(crate) fn say_in_place(&mut self, mut frame: Vec<u8>) {
        if !self.connection.may_send() {
            return;
        }
        let header = FrameHeader::whole(OpCode::Text, frame.len() - FRAME_ROOM);
        let mut head = [0; FRAME_ROOM];
        let used = header.encode(&mut head);
        frame[FRAME_ROOM - used..FRAME_ROOM].copy_from_slice(&head[..used]);
        frame.drain(..FRAME_ROOM - used);
        let frames = &mut self.outbox.get_or_insert_default().frames;
        if frames.is_empty() {
            *frames = frame;
        } else {
            frames.append(&mut frame);
        }
    }

    pub(crate) fn close(&mut self, frame: CloseFrame, now: Timestamp) {
        self.connection.close(frame, since(now));
    }

    /// What goes before events: queued messages, pongs, pings, the close frame; `Last` once nothing may follow
    #[inline]
    pub(crate) fn poll_control(&mut self) -> Option<Output> {
        if self.outbox.is_none() && !self.connection.has_transmit() && self.connection.may_send() {
            return None;
        }
        let mut out = self
            .outbox
            .take()
            .map_or_else(Vec::new, |outbox| outbox.frames);
        self.connection.poll_transmit(&mut out);
        if self.connection.is_write_done() {
            return Some(Output::Last(out.into()));
        }
        (!out.is_empty()).then(|| Output::Bytes(Bytes::from(out)))
    }

    /// Whether the client takes messages as this server compresses them
    pub(crate) fn takes_deflated(&self) -> bool {
        self.connection
            .deflate()
            .is_some_and(|agreed| agreed.server_max_window_bits >= encode::WINDOW_BITS)
    }

    /// Whether events may be written
    pub(crate) fn may_send(&self) -> bool {
        self.connection.may_send()
    }

    /// Bytes of queued messages
    pub(crate) fn queued(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.frames.len())
    }

    pub(crate) fn handle_time(&mut self, now: Timestamp) {
        self.connection.handle_timeout(since(now));
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        self.connection
            .poll_timeout()
            .map_or(Timestamp(u64::MAX), |at| {
                Timestamp(at.as_millis() as u64 + 1)
            })
    }
}

/// ws-codec counts time from any moment of the caller's choice: here from 1970
fn since(now: Timestamp) -> Duration {
    Duration::from_millis(now.0)
}

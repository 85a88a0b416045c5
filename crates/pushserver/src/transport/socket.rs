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
    /// What was read and is not taken in yet
    unread: Option<Box<[u8]>>,
    /// We have closed it: the messages that still come are not looked at
    is_closed: bool,
}

/// Whole frames, written before anything else; apart, because most sockets never have any
#[derive(Debug, Default)]
struct Outbox {
    frames: Vec<u8>,
}

/// Bytes of messages that are taken in before they are carried out: as many as one read brings without compression, which would
/// make a thousand times as many of them
const MAX_TAKEN: usize = 64 * 1024;

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
            unread: None,
            is_closed: false,
        }
    }

    /// Takes bytes off the front of `bytes`; `on_message` is given each whole message, of some [`MAX_TAKEN`] bytes altogether
    ///
    /// A violation queues its close frame; there is nothing more to do about it here.
    pub(crate) fn take_in(
        &mut self,
        app: &App,
        now: Timestamp,
        bytes: &mut &mut [u8],
        mut on_message: impl FnMut(Message<'_>),
    ) {
        let mut taken = 0;
        while taken < MAX_TAKEN {
            match self.connection.handle_input(bytes, since(now)) {
                Ok(Some(Incoming::Message(_))) if self.is_closed => {}
                Ok(Some(Incoming::Message(message))) => {
                    taken += message.as_bytes().len();
                    on_message(message);
                }
                Ok(Some(Incoming::Ping(_) | Incoming::Pong(_))) => self.count_ping(app, now),
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(failure) => {
                    tracing::debug!(%failure, "a WebSocket client broke the protocol");
                    *bytes = &mut [];
                    return;
                }
            }
        }
    }

    /// Keeps what was read and cannot be taken in yet
    pub(crate) fn keep_unread(&mut self, bytes: &[u8]) {
        self.unread = (!bytes.is_empty()).then(|| bytes.into());
    }

    /// Gives it back
    pub(crate) fn take_unread(&mut self) -> Option<Box<[u8]>> {
        self.unread.take()
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.unread.is_some()
    }

    /// Whether we have closed it
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
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
        self.is_closed = true;
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

#[cfg(test)]
mod tests {
    use ws_codec::SharedDeflater;
    use ws_codec::handshake::{DeflateConfig, Opening, Via};

    use super::*;
    use crate::config::Config;

    /// What is agreed on with a client that offers compression without parameters
    fn agreed() -> Option<Deflate> {
        let fields = [
            ("sec-websocket-version", "13"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ];
        let fields = fields.map(|(name, value)| (name, value.as_bytes()));
        let protocol = "websocket";
        let opening = Opening::of_request(Via::Http2 { protocol }, "CONNECT", fields);
        opening.unwrap().agree_deflate(&DeflateConfig::default())
    }

    #[test]
    fn compressed_messages_are_not_all_inflated_at_once() {
        let app = App::new(Config::default(), None).unwrap();
        let mut socket = Socket::new(&app, agreed(), Timestamp(0));
        let message = vec![b'x'; 50_000];
        let compressed = SharedDeflater::new(15, 9).compress(&message);
        let header = FrameHeader {
            rsv1: true,
            mask: Some(ws_codec::Mask([0; 4])),
            ..FrameHeader::whole(OpCode::Text, compressed.len())
        };
        let mut bytes = Vec::new();
        for _ in 0..100 {
            ws_codec::encode_frame_into(&mut bytes, header, &compressed);
        }
        let (mut rest, mut all) = (&mut bytes[..], 0);
        while !rest.is_empty() {
            let mut taken = 0;
            socket.take_in(&app, Timestamp(0), &mut rest, |message| {
                taken += message.as_bytes().len();
            });
            assert!(taken < MAX_TAKEN + message.len(), "{taken} at once");
            all += taken;
        }
        assert_eq!(all, 100 * message.len());
    }
}

//! A WebSocket connection without its socket.

#[cfg(feature = "deflate")]
mod compressor;
mod timeouts;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

#[cfg(feature = "deflate")]
use self::compressor::Compressor;
use crate::close::CloseFrame;
use crate::config::Config;
use crate::control::ControlPayload;
#[cfg(feature = "deflate")]
use crate::decoder::Compression;
use crate::decoder::Decoder;
use crate::encode::{self, encode_close_into};
use crate::end::{Ended, Lost};
use crate::event::Event;
use crate::failure::Failure;
#[cfg(feature = "deflate")]
use crate::handshake::Deflate;
use crate::header::FrameHeader;
use crate::mask::{Mask, MaskKeys};
use crate::message::{Assembler, Message};
use crate::nanos::Nanos;
use crate::opcode::OpCode;
use crate::role::Role;

/// One end of a WebSocket connection after its opening handshake, without socket, buffer or clock.
///
/// Bytes that were read go in by [`handle_input`](Connection::handle_input), which hands out messages; control frames to be written
/// come out by [`poll_transmit`](Connection::poll_transmit). It answers pings and closes, asks for signs of life, and gives up on a peer
/// that takes too long. Data frames need not pass through it: while [`may_send`](Connection::may_send) says so, the caller writes
/// whole data frames of its own, such as a [`SharedFrame`](crate::SharedFrame), and puts what `poll_transmit` gives between them.
///
/// Its methods fall into four groups: `handle_*` takes what happened, `poll_*` gives what is to be done, [`close`](Connection::close) and
/// [`ping`](Connection::ping) are commands, everything else is a question. The driver around it is a loop:
///
/// ```text
///   read bytes -> handle_input until it gives None
///   end of stream -> handle_eof                      at poll_timeout -> handle_timeout
///   then:  poll_transmit -> write what it appended
///          is_write_done -> shut the write side      is_finished -> drop the socket
/// ```
///
/// `now` is the time since any fixed moment of the caller's choice, and never goes back.
///
/// # Memory
/// At most 256 bytes while idle, and no read buffer. A pong or close that waits to be taken, a control frame that is cut between two reads
/// and a message of several parts are on the heap for as long as they last.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    decoder: Decoder,
    assembler: Assembler,
    state: State,
    /// The peer was silent and has been asked for a sign of life
    pinged: bool,
    keys: Option<Box<MaskKeys>>,
    queue: Option<Box<Queue>>,
    #[cfg(feature = "deflate")]
    compressor: Option<Box<Compressor>>,
    ended: Option<Box<Ended>>,
    last_heard: Nanos,
    /// When the message under way began; `NEVER` when none is
    begun: Nanos,
    /// When closing has taken too long
    close_by: Nanos,
}

const _: () = assert!(
    IDLE_BYTES <= 256,
    "an idle connection costs at most 256 bytes"
);

/// What an idle connection costs, with compression agreed on without context takeover
#[cfg(feature = "deflate")]
const IDLE_BYTES: usize =
    size_of::<Connection>() + size_of::<Compressor>() + size_of::<crate::inflater::Inflater>();
#[cfg(not(feature = "deflate"))]
const IDLE_BYTES: usize = size_of::<Connection>();

/// How far the closing handshake is (RFC 6455 section 7.1)
///
/// ```text
///             close()                     their close frame
///      Open ----------> AwaitingClose -------------------------.
///        |                    |                                v
///        |  their close frame, or they failed               Leaving ---> Over
///        `---------------------------------------------------->     our close frame was taken, and
///                                                                   they are gone or out of time
/// ```
/// From everywhere to `Over`: the end of the stream, and `handle_timeout` when a time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    AwaitingClose,
    Leaving,
    Over,
}

/// Control frames that wait to be taken: at most one of each
#[derive(Debug, Default)]
struct Queue {
    ping: Option<ControlPayload>,
    pong: Option<ControlPayload>,
    close: Option<Option<CloseFrame>>,
}

/// What came in. Messages are borrowed from the input where they can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'b> {
    /// A whole message
    Message(Message<'b>),
    /// A ping; its pong is queued already
    Ping(ControlPayload),
    /// A pong, asked for or not
    Pong(ControlPayload),
    /// The peer closes, with its code and reason if it gave any; the answer is queued already, and nothing more will come in
    Close(Option<CloseFrame>),
}

impl Connection {
    /// The server's end of a connection that begins now.
    #[must_use]
    pub fn server(config: Arc<Config>, now: Duration) -> Connection {
        Connection::new(Role::Server, config, None, now)
    }

    /// The client's end of a connection that begins now. Its masking keys are drawn from the seed: see [`MaskKeys`].
    #[must_use]
    pub fn client(config: Arc<Config>, seed: [u8; 32], now: Duration) -> Connection {
        Connection::new(
            Role::Client,
            config,
            Some(Box::new(MaskKeys::new(seed))),
            now,
        )
    }

    fn new(
        role: Role,
        config: Arc<Config>,
        keys: Option<Box<MaskKeys>>,
        now: Duration,
    ) -> Connection {
        Connection {
            decoder: Decoder::new(role, config.limits),
            assembler: Assembler::new(),
            config,
            state: State::Open,
            pinged: false,
            keys,
            queue: None,
            #[cfg(feature = "deflate")]
            compressor: None,
            ended: None,
            last_heard: Nanos::from(now),
            begun: Nanos::NEVER,
            close_by: Nanos::NEVER,
        }
    }

    /// The same, with what was agreed on about compression.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, agreed: Deflate) -> Connection {
        self.decoder = self.decoder.with_compression(Compression::Deflate);
        self.assembler = Assembler::new().with_deflate(self.role(), &agreed, &self.config.limits);
        self.compressor = Some(Box::new(Compressor {
            agreed,
            deflater: None,
        }));
        self
    }

    /// What was agreed on about compression.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&Deflate> {
        self.compressor
            .as_ref()
            .map(|compressor| &compressor.agreed)
    }

    /// Takes bytes off the front of `input` up to the end of the next thing that came in, and returns it. `None`: all was taken.
    ///
    /// What is left in `input` belongs in front of the next read, so a caller may stop after any number of messages to be fair to others.
    ///
    /// # Errors
    /// The peer broke the protocol or went over a limit. The close frame that says so is queued: go on with
    /// [`poll_transmit`](Connection::poll_transmit) as after anything else.
    pub fn handle_input<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        now: Duration,
    ) -> Result<Option<Incoming<'b>>, Failure> {
        if matches!(self.state, State::Leaving | State::Over) {
            *input = &mut [];
            return Ok(None);
        }
        if !input.is_empty() {
            self.last_heard = Nanos::from(now);
            self.pinged = false;
        }
        loop {
            match self.decoder.decode(input) {
                Ok(Some(event)) => match self.handle_event(event, now) {
                    Ok(Some(incoming)) => return Ok(Some(incoming)),
                    Ok(None) => {}
                    Err(failure) => return Err(self.fail(failure, now)),
                },
                Ok(None) => {
                    if !self.decoder.is_inside_message() {
                        self.begun = Nanos::NEVER;
                    } else if self.begun == Nanos::NEVER {
                        self.begun = Nanos::from(now);
                    }
                    return Ok(None);
                }
                Err(failed) => return Err(self.fail(failed.failure, now)),
            }
        }
    }

    fn handle_event<'b>(
        &mut self,
        event: Event<'b>,
        now: Duration,
    ) -> Result<Option<Incoming<'b>>, Failure> {
        let message = match event {
            Event::Text(text) => Message::Text(text.into()),
            Event::Binary(bytes) => Message::Binary(bytes.into()),
            Event::Part(part) => match self.assembler.push(part)? {
                Some(message) => message,
                None => return Ok(None),
            },
            Event::Ping(payload) => {
                if self.state == State::Open {
                    // "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in response to previous
                    // Ping frame(s), the endpoint MAY elect to send a Pong frame for only the most recently processed one."
                    self.queue().pong = Some(payload);
                }
                return Ok(Some(Incoming::Ping(payload)));
            }
            Event::Pong(payload) => return Ok(Some(Incoming::Pong(payload))),
            Event::Close(frame) => {
                self.handle_close(frame, now);
                return Ok(Some(Incoming::Close(frame)));
            }
        };
        self.begun = Nanos::NEVER;
        Ok(Some(Incoming::Message(message)))
    }

    /// "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send a Close frame in response."
    fn handle_close(&mut self, frame: Option<CloseFrame>, now: Duration) {
        self.begun = Nanos::NEVER;
        self.assembler = Assembler::new();
        if self.state == State::Open {
            // "the endpoint typically echos the status code it received"
            let queue = self.queue();
            queue.ping = None;
            queue.pong = None;
            queue.close = Some(frame.map(|frame| frame.code().into()));
            self.ended = Some(Box::new(Ended::ByPeer(frame)));
        } else {
            self.ended = Some(Box::new(Ended::ByUs(frame)));
        }
        self.leave(now);
    }

    /// "_Fail the WebSocket Connection_"
    fn fail(&mut self, failure: Failure, now: Duration) -> Failure {
        self.begun = Nanos::NEVER;
        self.assembler = Assembler::new();
        if self.state == State::Open {
            self.queue().close = Some(Some(failure.close_frame()));
        }
        self.ended = Some(Box::new(Ended::Failed(failure)));
        self.leave(now);
        failure
    }

    fn leave(&mut self, now: Duration) {
        self.state = State::Leaving;
        self.close_by = Nanos::from(now).after(self.config.max_close_time);
        self.step_out();
    }

    /// The peer ended its side of the stream, or the transport broke.
    pub fn handle_eof(&mut self) {
        self.finish(Ended::Lost(Lost::EndOfStream));
    }

    /// Queues a ping. One that still waits to be taken is replaced. Without effect once closing has begun.
    pub fn ping(&mut self, payload: ControlPayload) {
        if self.state == State::Open {
            self.queue().ping = Some(payload);
        }
    }

    /// Begins the closing handshake: queues this close frame and waits for the peer's. Without effect once closing has begun.
    ///
    /// No data frame may be written after this call: what the caller has begun to write comes before the close frame.
    pub fn close(&mut self, frame: impl Into<CloseFrame>, now: Duration) {
        if self.state == State::Open {
            self.queue().close = Some(Some(frame.into()));
            self.state = State::AwaitingClose;
            self.close_by = Nanos::from(now).after(self.config.max_close_time);
        }
    }

    /// Appends the control frames that are to be written now, and says whether there were any.
    ///
    /// They go behind everything appended or written before, and must not come between the bytes of another frame. What is appended
    /// counts as sent.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(queue) = self.queue.take() else {
            return false;
        };
        if let Some(payload) = queue.pong {
            let mask = self.draw_mask();
            encode::control_into(out, OpCode::Pong, &payload, mask);
        }
        if let Some(payload) = queue.ping {
            let mask = self.draw_mask();
            encode::control_into(out, OpCode::Ping, &payload, mask);
        }
        if let Some(frame) = queue.close {
            let mask = self.draw_mask();
            encode_close_into(out, frame.as_ref(), mask);
        }
        self.step_out();
        true
    }

    /// Appends a data message as one frame, masked if we are the client, compressed if that was agreed on.
    ///
    /// For those who do not write frames of their own. The compressor is made at the first message that needs it; with context takeover
    /// it stays. Where this side's context takeover was agreed on, all compressed messages must go this way, or none.
    ///
    /// Returns false, and appends nothing, once closing has begun.
    pub fn send(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> bool {
        if !self.may_send() {
            return false;
        }
        let mask = self.draw_mask();
        let payload = message.as_bytes();
        let header = FrameHeader {
            mask,
            ..FrameHeader::whole(message.kind().opcode(), payload.len())
        };
        #[cfg(feature = "deflate")]
        let role = self.role();
        #[cfg(feature = "deflate")]
        if let Some(compressor) = &mut self.compressor
            && payload.len() >= self.config.compress_from
        {
            let compressed = compressor.compress(role, payload);
            encode::encode_frame_into(
                out,
                FrameHeader {
                    rsv1: true,
                    ..header
                },
                &compressed,
            );
            return true;
        }
        encode::encode_frame_into(out, header, payload);
        true
    }

    /// Whether data frames may be written: until closing begins, on whichever side.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.state == State::Open
    }

    /// Whether [`poll_transmit`](Connection::poll_transmit) has something.
    #[must_use]
    pub fn has_transmit(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether this side has nothing more to write, ever: shut down the write side of the socket once everything before is written.
    ///
    /// The socket stays open for reading, so that bytes still under way do not make the system reset the connection and with it
    /// destroy the close frame.
    #[must_use]
    pub fn is_write_done(&self) -> bool {
        match self.state {
            State::Open | State::AwaitingClose => false,
            State::Leaving => self.queue.is_none(),
            State::Over => true,
        }
    }

    /// Whether the socket may be dropped, once everything is written.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == State::Over
    }

    /// How the connection ended, as soon as that is known.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_deref()
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.decoder.role()
    }

    fn queue(&mut self) -> &mut Queue {
        self.queue.get_or_insert_default()
    }

    fn draw_mask(&mut self) -> Option<Mask> {
        self.keys.as_mut().map(|keys| keys.draw())
    }

    /// After a clean closing handshake the server need not wait for anything more: "the server MUST close the
    /// underlying TCP connection immediately; the client SHOULD wait for the server to close the connection".
    fn step_out(&mut self) {
        let clean = matches!(self.ended(), Some(Ended::ByPeer(_) | Ended::ByUs(_)));
        if self.state == State::Leaving
            && self.queue.is_none()
            && self.role() == Role::Server
            && clean
        {
            self.state = State::Over;
        }
    }

    fn finish(&mut self, how: Ended) {
        self.ended.get_or_insert_with(|| Box::new(how));
        self.state = State::Over;
        self.queue = None;
        self.assembler = Assembler::new();
        self.begun = Nanos::NEVER;
    }
}

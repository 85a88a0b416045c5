//! A WebSocket that is opened only to say why it is not.

use std::sync::Arc;
use std::task::Poll;

use pushcore::Timestamp;

use super::Output;
use super::socket::Socket;
use crate::app::App;
use crate::close_codes::Closing;

/// A door that says why it closes, to a client that could not read a refused handshake
pub(crate) struct ClosedSocket {
    socket: Socket,
}

impl ClosedSocket {
    pub(crate) fn new(app: &Arc<App>, closing: Closing, reason: &str, now: Timestamp) -> Self {
        let mut socket = Socket::new(app, None, now);
        app.metrics.closed(closing.as_str());
        socket.close(closing.frame(reason), now);
        Self { socket }
    }

    pub(crate) fn poll_output(&mut self) -> Poll<Output> {
        self.socket
            .poll_control()
            .map_or(Poll::Pending, Poll::Ready)
    }

    pub(crate) fn handle_input(&mut self, app: &App, now: Timestamp, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            self.socket.take_in(app, now, &mut bytes, |_| {});
        }
    }

    pub(crate) fn handle_time(&mut self, now: Timestamp) {
        self.socket.handle_time(now);
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        self.socket.deadline()
    }
}

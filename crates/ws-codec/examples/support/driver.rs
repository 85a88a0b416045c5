//! A `Connection` over a blocking socket: the loop of its documentation.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use ws_codec::{Config, Connection, Ended, Incoming, Limits, Message};

/// What both ends of a conformance run go by: every limit far above what the suite sends, so that what is seen is the protocol.
pub(crate) fn config() -> Config {
    Config {
        limits: Limits {
            max_frame: 64 << 20,
            max_message: 64 << 20,
            max_fragments: 1 << 24,
            max_inflate_ratio: 2000,
        },
        compress_from: 0,
        ..Config::default()
    }
}

/// The time that `Connection` counts in.
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    pub(crate) fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs the connection to its end. `early` is what was read behind the handshake. Each message goes to `on_message`, which may send.
pub(crate) fn drive(
    mut socket: &TcpStream,
    connection: &mut Connection,
    clock: &Clock,
    mut early: Vec<u8>,
    mut on_message: impl FnMut(&mut Connection, Message<'_>, &mut Vec<u8>),
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut out = Vec::new();
    let mut shut = false;
    let mut input = &mut early[..];
    loop {
        loop {
            match connection.handle_input(&mut input, clock.now()) {
                Ok(Some(Incoming::Message(message))) => on_message(connection, message, &mut out),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
            // Control frames go out between messages, in the order things happened.
            connection.poll_transmit(&mut out);
        }
        connection.poll_transmit(&mut out);
        if let Err(error) = socket.write_all(&out) {
            return lost(connection, error);
        }
        out.clear();
        if connection.is_finished() {
            return Ok(());
        }
        if connection.is_write_done() && !shut {
            shut = true;
            if let Err(error) = socket.shutdown(Shutdown::Write) {
                return lost(connection, error);
            }
        }
        let patience = connection.poll_timeout().map(|due| {
            due.saturating_sub(clock.now())
                .max(Duration::from_millis(1))
        });
        socket.set_read_timeout(patience)?;
        let read = match socket.read(&mut buffer) {
            Ok(0) => {
                connection.handle_eof();
                0
            }
            Ok(read) => read,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                connection.handle_timeout(clock.now());
                0
            }
            Err(error) => return lost(connection, error),
        };
        input = &mut buffer[..read];
    }
}

/// A broken socket is nobody's loss once the closing handshake is over.
fn lost(connection: &mut Connection, error: io::Error) -> io::Result<()> {
    connection.handle_eof();
    match connection.ended() {
        Some(Ended::Lost(_)) => Err(error),
        _ => Ok(()),
    }
}

/// Reads an HTTP head: its bytes, and those that were read behind it.
pub(crate) fn read_head(mut socket: &TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = head.split_off(end + 4);
            return Ok((head, rest));
        }
        if head.len() > 16 * 1024 {
            return Err(io::Error::other("the HTTP head is over 16 KiB"));
        }
        let read = socket.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&chunk[..read]);
    }
}

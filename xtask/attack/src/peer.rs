//! One connection of the attacker's, which never waits.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

use crate::answers;

/// A socket and what has come over it.
pub(crate) struct Peer {
    stream: TcpStream,
    unsent: Vec<u8>,
    pub(crate) received: Vec<u8>,
    pub(crate) is_closed: bool,
}

/// What is kept of the answer; the rest is read and thrown away.
const MAX_RECEIVED: usize = 256 * 1024;

/// What may wait to be sent before a flood holds back.
const MAX_UNSENT: usize = 1024 * 1024;

impl Peer {
    /// Opens a connection from one of 16 loopback addresses, none of them the honest clients'.
    pub(crate) fn dial(to: SocketAddr, index: usize) -> Result<Peer> {
        Self::dial_with(to, index, None)
    }

    /// The same, with a receive buffer of so many bytes.
    pub(crate) fn dial_with(to: SocketAddr, index: usize, buffer: Option<usize>) -> Result<Peer> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
            .context("the limit of open files is too low for this many connections")?;
        let host = 2 + u8::try_from(index % 16).expect("a remainder below 16");
        bind(
            &socket,
            &SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 0),
        )?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        if let Some(bytes) = buffer {
            sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
        }
        connect(&socket, &to).with_context(|| format!("{to} does not accept"))?;
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(Peer {
            stream,
            unsent: Vec::new(),
            received: Vec::new(),
            is_closed: false,
        })
    }

    /// Sends what fits, and the rest with the next call.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What the server said before it closed may still be there to read.
                Err(_) => return self.unsent.clear(),
            }
        }
    }

    /// Whether a flood should wait until the server reads.
    pub(crate) fn is_full(&self) -> bool {
        self.unsent.len() >= MAX_UNSENT
    }

    /// Reads what is there.
    pub(crate) fn pump(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while !self.is_closed {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.is_closed = true,
                Ok(n) => {
                    let room = MAX_RECEIVED.saturating_sub(self.received.len());
                    self.received.extend_from_slice(&buffer[..n.min(room)]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_closed = true,
            }
        }
    }

    /// What the server has told this connection, if it has.
    pub(crate) fn told(&self) -> Option<String> {
        answers::told(&self.received, self.is_closed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A reset, so that thousands of connections leave no ports behind in TIME_WAIT.
        let _closed = sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO));
    }
}

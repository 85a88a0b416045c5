//! Readiness: epoll, and one read a readiness.
//!
//! Level triggered, so that a read which does not empty a socket needs no second one to find that out. During a
//! slice the generator spins on it: on a machine of its own a client would not cost the server a wake-up either.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with, sockopt,
};

/// The sockets of one fleet or one server, by the tokens they were added with.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// How long [`Poller::wait`] waits.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wait {
    /// Not at all
    Spin,
    /// Until something happens or so much time has passed
    AtMost(Duration),
}

impl Poller {
    /// An empty set.
    pub(crate) fn new() -> Result<Poller> {
        Ok(Poller {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(1024),
        })
    }

    /// Watches a socket for input.
    pub(crate) fn watch(&self, socket: impl AsFd, token: usize) -> Result<()> {
        epoll::add(
            &self.epoll,
            socket,
            EventData::new_u64(token as u64),
            EventFlags::IN,
        )?;
        Ok(())
    }

    /// Forgets a socket without closing it.
    pub(crate) fn forget(&self, socket: impl AsFd) -> Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// The tokens of the sockets that have input, at most 1,024 a call.
    pub(crate) fn wait(&mut self, wait: Wait, ready: &mut Vec<usize>) -> Result<()> {
        ready.clear();
        self.events.clear();
        let timeout = match wait {
            Wait::Spin => Timespec::default(),
            Wait::AtMost(time) => Timespec::try_from(time)?,
        };
        let buffer = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, buffer, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(
            self.events
                .iter()
                .map(|e| usize::try_from(e.data.u64()).expect("tokens are usize")),
        );
        Ok(())
    }
}

/// Opens a connection from the `index`-th of many loopback addresses.
///
/// An address has 28,000 ports; spread over several, tens of thousands of connections find theirs. Closing sends
/// a reset, so that a run leaves no ports behind in TIME_WAIT.
pub(crate) fn dial(to: SocketAddr, index: usize) -> Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .context("the limit of open files is too low for this many connections")?;
    let host = 2 + u8::try_from(index % 16).expect("a remainder below 16");
    bind(
        &socket,
        &SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 0),
    )?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    connect(&socket, &to).with_context(|| format!("{to} does not accept"))?;
    Ok(socket)
}

/// What one read brought.
pub(crate) enum Input {
    /// So many bytes, at the start of the buffer
    Bytes(usize),
    /// Nothing yet
    Nothing,
    /// The peer is gone
    Closed,
}

/// Reads once, without waiting.
pub(crate) fn read(socket: impl AsFd, buffer: &mut [u8]) -> Input {
    match recv(socket, buffer, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Input::Closed,
        Ok((len, _)) => Input::Bytes(len),
        Err(Errno::AGAIN | Errno::INTR) => Input::Nothing,
        Err(_) => Input::Closed,
    }
}

/// Writes all of it, waiting where the socket's buffer is full.
pub(crate) fn write_all(socket: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    let socket = socket.as_fd();
    while !bytes.is_empty() {
        match send(socket, bytes, SendFlags::NOSIGNAL) {
            Ok(len) => bytes = &bytes[len..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

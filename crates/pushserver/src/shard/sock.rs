//! The socket under a connection, whatever lies between it and the wire.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::config::Config;

/// A clear-text or encrypted connection
///
/// One type of a few calls, so that the shard's turn does not know what it writes to.
#[derive(Debug)]
pub(crate) enum Sock {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Sock {
    /// Writes what fits without waiting
    ///
    /// `Poll::Pending` arms the waker for writability.
    #[inline]
    pub(crate) fn poll_write_now(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => loop {
                match send_now(tcp, bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        // The runtime notices only what it tries itself.
                        if let Ok(n) = tcp.try_write(bytes) {
                            return Poll::Ready(Ok(n));
                        }
                        if tcp.poll_write_ready(cx)?.is_pending() {
                            return Poll::Pending;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    done => return Poll::Ready(done),
                }
            },
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    /// Moves on what was written and is still in this process
    ///
    /// TLS takes bytes that the socket has no room for; until they are on it, the connection is blocked, and
    /// `Poll::Pending` arms the waker for writability.
    pub(crate) fn poll_flush_now(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Ends our side of the connection; what the other side sends can still be read
    pub(crate) fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }

    /// Reads what is there without waiting
    ///
    /// `Poll::Pending` arms the waker for readability; `Ok(0)` is the end of the stream.
    pub(crate) fn poll_read_now(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => loop {
                if tcp.poll_read_ready(cx)?.is_pending() {
                    return Poll::Pending;
                }
                match tcp.try_read(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    done => return Poll::Ready(done),
                }
            },
            Self::Tls(tls) => {
                let mut into = ReadBuf::new(into);
                ready!(Pin::new(tls).poll_read(cx, &mut into))?;
                Poll::Ready(Ok(into.filled().len()))
            }
        }
    }
}

/// Asks the socket alone: nearly always there is room, and the runtime's own record of it is one more cold piece of memory
#[cfg(target_os = "linux")]
fn send_now(tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let flags = rustix::net::SendFlags::NOSIGNAL;
    Ok(rustix::net::send(tcp, bytes, flags)?)
}

#[cfg(not(target_os = "linux"))]
fn send_now(tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    tcp.try_write(bytes)
}

impl AsyncRead for Sock {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Sock {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// A socket while hyper speaks HTTP on it
///
/// It knows whether hyper still holds bytes of an earlier response: hyper calls `poll_flush` only once its own
/// buffer is empty, and taking the socket away before that would lose them.
#[derive(Debug)]
pub(crate) struct Wire {
    io: TokioIo<Sock>,
    traffic: Rc<Traffic>,
}

/// What the driver of a connection has to know about the bytes that pass beneath hyper
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes that hyper was to write may not be on the socket yet
    pub(crate) unflushed: Cell<bool>,
    /// Since when a request head is under way
    pub(crate) head_since: Cell<Option<Instant>>,
    /// A request is being answered: what comes in is its body
    pub(crate) answering: Cell<bool>,
    /// Since when the socket has taken nothing of what hyper has to write
    blocked_since: Cell<Option<Instant>>,
}

/// Which time of a connection runs out
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// A request head has not become complete
    Head,
    /// A response was not taken
    Write,
}

impl Traffic {
    /// The moment until which something has to have happened, and what
    pub(crate) fn due(&self, config: &Config) -> Option<(Instant, Limit)> {
        let head = self
            .head_since
            .get()
            .map(|since| (since + config.http.head_timeout, Limit::Head));
        let write = self.blocked_since.get();
        let write = write.map(|since| (since + config.stream.write_deadline, Limit::Write));
        head.into_iter().chain(write).min_by_key(|due| due.0)
    }

    /// Hyper tried to write
    fn note_write<T>(&self, written: &Poll<io::Result<T>>) {
        match written {
            Poll::Ready(_) => self.blocked_since.set(None),
            Poll::Pending if self.blocked_since.get().is_none() => {
                self.blocked_since.set(Some(Instant::now()));
            }
            Poll::Pending => {}
        }
    }
}

impl Wire {
    pub(crate) fn new(sock: Sock, traffic: Rc<Traffic>) -> Self {
        Self {
            io: TokioIo::new(sock),
            traffic,
        }
    }

    pub(crate) fn into_sock(self) -> Sock {
        self.io.into_inner()
    }
}

impl hyper::rt::Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if read.is_ready()
            && !this.traffic.answering.get()
            && this.traffic.head_since.get().is_none()
        {
            this.traffic.head_since.set(Some(Instant::now()));
        }
        read
    }
}

impl hyper::rt::Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.traffic.unflushed.set(true);
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.traffic.note_write(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.traffic.unflushed.set(true);
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.traffic.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            this.traffic.unflushed.set(false);
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

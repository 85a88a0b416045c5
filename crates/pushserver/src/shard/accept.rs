//! New connections of a shard.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};

use super::Shard;
use super::driver;
use super::sock::Sock;
use crate::admission::Place;

/// How long accepting rests when the process has run out of descriptors or memory for sockets
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the server leaves; each connection is driven by a task of its own until a stream takes it over
pub(super) async fn accept(shard: Rc<Shard>, listener: TcpListener) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    let app = &shard.app;
                    let place = match app.admission.admit(peer.ip(), app.clock.now()) {
                        Ok(place) => place,
                        Err(reason) => {
                            // Dropped before a byte is read: over the limit there is nothing cheaper.
                            app.metrics.refused(reason);
                            continue;
                        }
                    };
                    if let Err(error) = tcp.set_nodelay(true) {
                        tracing::debug!(%error, "a connection was gone before it was set up");
                        continue;
                    }
                    tokio::task::spawn_local(serve(Rc::clone(&shard), tcp, peer, place));
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accepting rests");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            },
            () = shard.app.leaving.started() => return,
        }
    }
}

/// Serves one connection, once its client has said something and, if it is to be, it is encrypted
///
/// A connection that is only open holds a task of some hundred bytes; what parsing needs comes with the first bytes.
async fn serve(shard: Rc<Shard>, tcp: TcpStream, peer: SocketAddr, place: Place) {
    let since = Instant::now();
    let limit = shard.app.config.http.head_timeout;
    let leaving = shard.app.leaving.started();
    tokio::select! {
        biased;
        there = something_to_read(&tcp) => if !there { return },
        () = tokio::time::sleep(limit) => return shard.app.metrics.refused("head-timeout"),
        () = leaving => return,
    }
    // Apart from this task, which would otherwise have room for it while it waits.
    Box::pin(speak(shard, tcp, peer, place, since)).await;
}

/// Waits for the client's first byte; false if it goes away instead
async fn something_to_read(tcp: &TcpStream) -> bool {
    // A fresh socket passes for readable until one look at it was in vain.
    let mut byte = [MaybeUninit::uninit()];
    let look = || SockRef::from(tcp).peek(&mut byte);
    match tcp.try_io(Interest::READABLE, look) {
        Ok(len) => len > 0,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => tcp.readable().await.is_ok(),
        Err(_) => false,
    }
}

async fn speak(shard: Rc<Shard>, tcp: TcpStream, peer: SocketAddr, place: Place, since: Instant) {
    let Some(tls) = &shard.app.tls else {
        return driver::drive(shard, Sock::Tcp(tcp), peer, place, since).await;
    };
    // A handshake is to be as quick as a request head is.
    let limit = shard.app.config.http.head_timeout;
    match tokio::time::timeout(limit, tls.acceptor().accept(tcp)).await {
        Ok(Ok(tls)) => {
            let sock = Sock::Tls(Box::new(tls));
            driver::drive(shard, sock, peer, place, Instant::now()).await;
        }
        Ok(Err(error)) => {
            shard.app.metrics.refused("tls-handshake");
            tracing::debug!(%error, "a TLS handshake failed");
        }
        Err(_) => shard.app.metrics.refused("tls-timeout"),
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

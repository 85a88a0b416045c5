//! A connection while it speaks HTTP.
//!
//! hyper parses requests and writes responses. When a request turns out to be for a stream, the service leaves the
//! stream's start in the handoff and never answers; the driver sees it after the same poll, takes the socket out of
//! hyper, and drops the rest of hyper's state, which is most of what an idle connection would cost.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::Shard;
use super::rewind::Rewind;
use super::sock::{Sock, Traffic, Wire};
use crate::admission::Place;
use crate::answer::{Answer, Carrier, answer};
use crate::peer::Peer;
use crate::stream_start::StreamStart;

/// Between the service that finds a stream and the driver that takes it over
struct Handoff {
    start: RefCell<Option<(StreamStart, Version)>>,
    traffic: Rc<Traffic>,
}

enum End {
    Done,
    TakeOver,
    Http2,
}

/// Serves HTTP/1.1 on a fresh connection until it ends, becomes a stream, or turns out to speak HTTP/2
///
/// Its client could have sent its first head `since` then.
pub(super) async fn drive(
    shard: Rc<Shard>,
    sock: Sock,
    addr: SocketAddr,
    place: Place,
    since: Instant,
) {
    let peer = Peer { addr };
    let handoff = Rc::new(Handoff {
        start: RefCell::new(None),
        traffic: Rc::default(),
    });
    let service = service_fn(|request: Request<Incoming>| {
        let (shard, handoff) = (Rc::clone(&shard), Rc::clone(&handoff));
        async move {
            let version = request.version();
            handoff.traffic.head_since.set(None);
            handoff.traffic.answering.set(true);
            match answer(&shard.app, request, peer, Carrier::Socket).await {
                Answer::Response(response) => {
                    handoff.traffic.answering.set(false);
                    Ok::<_, Infallible>(response)
                }
                Answer::Stream(start) => {
                    *handoff.start.borrow_mut() = Some((*start, version));
                    std::future::pending().await
                }
            }
        }
    });
    let limits = &shard.app.config.http;
    let wire = Wire::new(sock, Rc::clone(&handoff.traffic));
    let mut conn = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout)
        .max_headers(limits.max_head_fields)
        .max_buf_size(limits.max_head_bytes.max(MIN_BUFFER_BYTES))
        .serve_connection(wire, service);
    let mut leaving = pin!(shard.app.leaving.started());
    let mut asked_to_finish = false;
    // hyper's own timeout begins when the connection falls idle; a head that has begun gets less time.
    let head_timeout = limits.head_timeout;
    let mut head_deadline = pin!(tokio::time::sleep_until((since + head_timeout).into()));
    handoff.traffic.head_since.set(Some(since));
    let end = poll_fn(|cx| {
        if !asked_to_finish && leaving.as_mut().poll(cx).is_ready() {
            asked_to_finish = true;
            Pin::new(&mut conn).graceful_shutdown();
        }
        match Pin::new(&mut conn).poll(cx) {
            Poll::Ready(Err(error)) if error.is_parse_version_h2() => {
                return Poll::Ready(End::Http2);
            }
            Poll::Ready(_) => return Poll::Ready(End::Done),
            Poll::Pending => {}
        }
        if handoff.start.borrow().is_some() && !handoff.traffic.unflushed.get() {
            return Poll::Ready(End::TakeOver);
        }
        // Last, because most heads are here whole and need no timer.
        if let Some(since) = handoff.traffic.head_since.get() {
            let deadline = tokio::time::Instant::from(since + head_timeout);
            if head_deadline.deadline() != deadline {
                head_deadline.as_mut().reset(deadline);
            }
            if head_deadline.as_mut().poll(cx).is_ready() {
                shard.app.metrics.refused("head-timeout");
                return Poll::Ready(End::Done);
            }
        }
        Poll::Pending
    })
    .await;
    match end {
        End::Done => {}
        End::TakeOver => {
            let parts = conn.into_parts();
            if let Some((mut start, version)) = handoff.start.take() {
                let head = start.head(version);
                shard.adopt(
                    parts.io.into_sock(),
                    head,
                    start.door,
                    parts.read_buf,
                    place,
                );
            }
        }
        End::Http2 if !shard.app.config.http2.enabled => shard.app.metrics.refused("http2"),
        End::Http2 => {
            let parts = conn.into_parts();
            drive_http2(shard.clone(), parts.io.into_sock(), parts.read_buf, peer).await;
            drop(place);
        }
    }
}

/// hyper wants at least this for its buffer
const MIN_BUFFER_BYTES: usize = 8192;

/// Serves HTTP/2: streams are bodies that pull from their cursors, within a small send buffer each
async fn drive_http2(shard: Rc<Shard>, sock: Sock, early: Bytes, peer: Peer) {
    let app = &shard.app;
    let limits = &app.config.http2;
    let service = service_fn(|request: Request<Incoming>| {
        let shard = Rc::clone(&shard);
        async move {
            let mut request = request;
            let upgrade = hyper::upgrade::on(&mut request);
            Ok::<_, Infallible>(
                match answer(&shard.app, request, peer, Carrier::Body).await {
                    Answer::Response(response) => response,
                    Answer::Stream(start) => start.into_response(&shard.app, upgrade),
                },
            )
        }
    });
    let mut conn = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams as u32)
        .max_pending_accept_reset_streams(limits.max_pending_resets)
        .max_local_error_reset_streams(limits.max_local_resets)
        .initial_stream_window_size(limits.stream_window_bytes as u32)
        .initial_connection_window_size(limits.connection_window_bytes as u32)
        .max_send_buf_size(limits.send_buffer_bytes)
        .max_header_list_size(app.config.http.max_head_bytes as u32)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout)
        .enable_connect_protocol()
        .serve_connection(TokioIo::new(Rewind::new(early, sock)), service);
    let mut leaving = pin!(app.leaving.started());
    let mut asked_to_finish = false;
    let ended = poll_fn(|cx| {
        if !asked_to_finish && leaving.as_mut().poll(cx).is_ready() {
            asked_to_finish = true;
            Pin::new(&mut conn).graceful_shutdown();
        }
        Pin::new(&mut conn).poll(cx)
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP/2 connection ended");
    }
}

/// Runs hyper's tasks on the shard's own thread
#[derive(Clone, Copy, Debug)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

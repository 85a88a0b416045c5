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
use std::task::{Poll, ready};
use std::time::Instant;

use http::{Request, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;

use super::Shard;
use super::http2;
use super::sock::{Limit, Sock, Traffic, Wire};
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
    let mut deadline = pin!(tokio::time::sleep_until(
        (since + limits.head_timeout).into()
    ));
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
            Poll::Pending
                if handoff.start.borrow().is_some() && !handoff.traffic.unflushed.get() =>
            {
                return Poll::Ready(End::TakeOver);
            }
            Poll::Pending => {}
        }
        // Last, because most heads are here whole and need no timer.
        let Some((due, limit)) = handoff.traffic.due(&shard.app.config) else {
            return Poll::Pending;
        };
        if deadline.deadline() != due.into() {
            deadline.as_mut().reset(due.into());
        }
        ready!(deadline.as_mut().poll(cx));
        match limit {
            Limit::Head => shard.app.metrics.refused("head-timeout"),
            Limit::Write => shard.app.metrics.closed("write-deadline"),
        }
        Poll::Ready(End::Done)
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
            let sock = parts.io.into_sock();
            // In a box of its own, because most connections never need the room for it.
            Box::pin(http2::drive(Rc::clone(&shard), sock, parts.read_buf, peer)).await;
            drop(place);
        }
    }
}

/// hyper wants at least this for its buffer
const MIN_BUFFER_BYTES: usize = 8192;

//! A connection that speaks HTTP/2.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::Shard;
use super::patrol::{Passed, Patrol};
use super::sock::Sock;
use crate::answer::{Answer, Carrier, answer};
use crate::peer::Peer;
use crate::stall::{Sight, Streams};

/// Looks at a connection within each deadline, so that what is overdue is seen at most a half of it late
const LOOKS_PER_DEADLINE: u32 = 2;

/// Serves HTTP/2: streams are bodies that pull from their cursors, within a small send buffer each
pub(super) async fn drive(shard: Rc<Shard>, sock: Sock, early: Bytes, peer: Peer) {
    let app = &shard.app;
    let limits = &app.config.http2;
    let streams = Arc::<Streams>::default();
    let service = service_fn(|request: Request<Incoming>| {
        let shard = Rc::clone(&shard);
        let watched = streams.watch();
        async move {
            let mut request = request;
            let upgrade = hyper::upgrade::on(&mut request);
            Ok::<_, Infallible>(
                match answer(&shard.app, request, peer, Carrier::Body).await {
                    Answer::Response(response) => {
                        response.map(|body| body.watched(Some(watched.answered())))
                    }
                    Answer::Stream(start) => {
                        start.into_response(&shard.app, upgrade, Some(watched))
                    }
                },
            )
        }
    });
    let passed = Rc::<Passed>::default();
    let patrol = Patrol::new(early, sock, app, Rc::clone(&passed));
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
        .serve_connection(TokioIo::new(patrol), service);
    let mut leaving = pin!(app.leaving.started());
    let mut asked_to_finish = false;
    let interval = app.config.stream.write_deadline / LOOKS_PER_DEADLINE;
    let mut look = pin!(tokio::time::sleep(interval));
    let mut watch = Watch::default();
    let ended = poll_fn(|cx| {
        if !asked_to_finish && leaving.as_mut().poll(cx).is_ready() {
            asked_to_finish = true;
            Pin::new(&mut conn).graceful_shutdown();
        }
        while look.as_mut().poll(cx).is_ready() {
            look.as_mut().reset(tokio::time::Instant::now() + interval);
            watch.look(streams.look(), passed.requests(), Instant::now());
            if watch.stalled >= LOOKS_PER_DEADLINE {
                app.metrics.closed("write-deadline");
                return Poll::Ready(Ok(()));
            }
            let idle = watch.idle_since.map(|since| since.elapsed());
            if !asked_to_finish && idle.is_some_and(|idle| idle >= app.config.http.idle_timeout) {
                asked_to_finish = true;
                Pin::new(&mut conn).graceful_shutdown();
            }
        }
        Pin::new(&mut conn).poll(cx)
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP/2 connection ended");
    }
}

/// What the last looks at a connection have shown
#[derive(Debug, Default)]
struct Watch {
    before: Sight,
    requests: u64,
    /// Looks in a row between which no stream took anything
    stalled: u32,
    /// Since when there are no streams
    idle_since: Option<Instant>,
}

impl Watch {
    fn look(&mut self, sight: Sight, requests: u64, now: Instant) {
        self.stalled = match sight.is_stalled_since(&self.before) {
            true => self.stalled + 1,
            false => 0,
        };
        let is_idle = sight.is_idle() && requests == self.requests;
        self.idle_since = is_idle.then(|| self.idle_since.unwrap_or(now));
        self.before = sight;
        self.requests = requests;
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

//! A connection that speaks HTTP/2.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

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
use crate::stall::Streams;

/// Looks at a connection within each deadline, so that what is overdue is seen at most a half of it late
const LOOKS_PER_DEADLINE: u32 = 2;

/// Serves HTTP/2: streams are bodies that pull from their cursors, within a small send buffer each
pub(super) async fn drive(shard: Rc<Shard>, sock: Sock, early: Bytes, peer: Peer) {
    let app = &shard.app;
    let limits = &app.config.http2;
    let streams = Arc::<Streams>::default();
    let tasks = Tasks {
        streams: Arc::clone(&streams),
        next: Rc::default(),
    };
    let service = service_fn(|request: Request<Incoming>| {
        let shard = Rc::clone(&shard);
        let watched = streams.watch();
        let tasks = tasks.clone();
        tasks.next_carries(watched.key());
        async move {
            let mut request = request;
            let upgrade = hyper::upgrade::on(&mut request);
            Ok::<_, Infallible>(
                match answer(&shard.app, request, peer, Carrier::Body).await {
                    Answer::Response(response) => {
                        response.map(|body| body.watched(Some(watched.answered())))
                    }
                    Answer::Stream(start) => {
                        tasks.next_carries(watched.key());
                        start.into_response(&shard.app, upgrade, Some(watched))
                    }
                },
            )
        }
    });
    let passed = Rc::<Passed>::default();
    let patrol = Patrol::new(early, sock, app, Rc::clone(&passed));
    let mut conn = http2::Builder::new(tasks.clone())
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
    let mut quiet = Quiet::default();
    let ended = poll_fn(|cx| {
        if !asked_to_finish && leaving.as_mut().poll(cx).is_ready() {
            asked_to_finish = true;
            Pin::new(&mut conn).graceful_shutdown();
        }
        while look.as_mut().poll(cx).is_ready() {
            look.as_mut().reset(tokio::time::Instant::now() + interval);
            let sight = streams.look(LOOKS_PER_DEADLINE);
            if sight.is_stalled() {
                app.metrics.closed("write-deadline");
                return Poll::Ready(Ok(()));
            }
            let idle = quiet.look(sight.is_idle(), passed.requests(), Instant::now());
            for _ in 0..sight.reset() {
                app.metrics.closed("write-deadline");
            }
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

/// How long nothing has been asked of a connection
#[derive(Debug, Default)]
struct Quiet {
    requests: u64,
    since: Option<Instant>,
}

impl Quiet {
    /// For how long there have been no streams, and none have come and gone; `None` if that is not so
    fn look(&mut self, is_idle: bool, requests: u64, now: Instant) -> Option<Duration> {
        let is_quiet = is_idle && requests == self.requests;
        self.requests = requests;
        self.since = is_quiet.then(|| self.since.unwrap_or(now));
        self.since.map(|since| now - since)
    }
}

/// Runs hyper's tasks on the shard's own thread, and knows which stream each carries
///
/// A body whose window is closed is not polled, so it cannot end itself: its stream is reset by ending the task that waits for the
/// window, which hyper does not give away. But hyper runs what a request takes right after it has handed that over, and
/// what carries an upgraded connection right after it was given the response.
#[derive(Clone, Debug)]
struct Tasks {
    streams: Arc<Streams>,
    next: Rc<Cell<Option<usize>>>,
}

impl Tasks {
    /// The task that is run next carries this stream
    fn next_carries(&self, stream: usize) {
        self.next.set(Some(stream));
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, future: F) {
        let task = tokio::task::spawn_local(future);
        if let Some(stream) = self.next.take() {
            self.streams.carry(stream, task.abort_handle());
        }
    }
}

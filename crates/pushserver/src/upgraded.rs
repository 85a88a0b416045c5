//! A WebSocket whose connection another layer owns: one stream of HTTP/2, or an upgrade in somebody else's program.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use pushcore::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::app::App;
use crate::stall::Watched;
use crate::transport::{Door, Output};

/// Bytes read at a time; the buffer lives as long as the connection, because there is no shard to lend one
const READ_BUFFER_BYTES: usize = 4096;

/// Drives `door` on the connection that `upgrade` resolves to; it counts as one of its connection's streams until it ends
pub(crate) fn spawn(app: &Arc<App>, door: Door, upgrade: OnUpgrade, watched: Option<Watched>) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let _watched = watched;
        match upgrade.await {
            Ok(upgraded) => {
                if let Err(error) = drive(&app, door, TokioIo::new(upgraded)).await {
                    tracing::debug!(%error, "an upgraded connection broke");
                }
            }
            Err(error) => tracing::debug!(%error, "an upgrade did not come about"),
        }
    });
}

async fn drive<IO>(app: &Arc<App>, mut door: Door, io: IO) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut io = io;
    let mut sent_away = pin!(app.sent_away());
    let mut sleep = pin!(tokio::time::sleep_until(Instant::now()));
    let mut left = false;
    let mut unsent = Bytes::new();
    let mut closing = false;
    let mut blocked_since: Option<Timestamp> = None;
    let write_deadline = app.config.stream.write_deadline;
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    std::future::poll_fn(|cx| {
        let now = app.clock.now();
        if !left && let Poll::Ready(returns) = sent_away.as_mut().poll(cx) {
            left = true;
            door.handle_leave(returns, now);
        }
        while door.wants_input(app) {
            match poll_read(&mut io, cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(n)) => door.handle_input(app, now, &mut buffer[..n]),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        door.handle_time(now);
        let due = match blocked_since {
            Some(since) => since.saturating_add(write_deadline),
            None => door.deadline(),
        };
        let deadline = Instant::from(app.clock.instant(due.max(Timestamp(now.0 + 1))));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        loop {
            while unsent.has_remaining() {
                let Poll::Ready(written) = Pin::new(&mut io).poll_write(cx, &unsent) else {
                    let since = *blocked_since.get_or_insert(now);
                    if now >= since.saturating_add(write_deadline) {
                        app.metrics.closed("write-deadline");
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    return Poll::Pending;
                };
                let n = written?;
                blocked_since = None;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                unsent.advance(n);
            }
            if closing {
                return Pin::new(&mut io).poll_shutdown(cx);
            }
            match door.poll_output(cx, app, now) {
                Poll::Ready(Output::Bytes(bytes) | Output::Drained(bytes)) => unsent = bytes,
                Poll::Ready(Output::Last(bytes)) => (unsent, closing) = (bytes, true),
                Poll::Pending => {
                    return match Pin::new(&mut io).poll_flush(cx) {
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    })
    .await
}

fn poll_read(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut read = ReadBuf::new(buffer);
    ready!(Pin::new(io).poll_read(cx, &mut read))?;
    Poll::Ready(Ok(read.filled().len()))
}

//! A stream as an ordinary HTTP body: over HTTP/2, and wherever the service is mounted in another program.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use pushcore::Timestamp;
use tokio::time::{Instant, Sleep};

use crate::app::App;
use crate::transport::{Door, Output};

/// Pulls from a door as the transport below has room
///
/// It holds no events: what the transport does not take stays in the log. When the server leaves, the stream
/// says so and ends.
pub(crate) struct StreamBody {
    app: Arc<App>,
    door: Door,
    sleep: Pin<Box<Sleep>>,
    sent_away: Option<Pin<Box<dyn Future<Output = Duration> + Send>>>,
    ended: bool,
}

impl StreamBody {
    pub(crate) fn new(app: &Arc<App>, door: Door) -> Self {
        let deadline = app.clock.instant(door.deadline());
        Self {
            app: Arc::clone(app),
            sleep: Box::pin(tokio::time::sleep_until(deadline.into())),
            sent_away: Some(Box::pin(app.sent_away())),
            door,
            ended: false,
        }
    }

    /// Lets the door act on the time, and arms the timer for its next deadline
    fn handle_time(&mut self, cx: &mut Context<'_>, now: Timestamp) {
        self.door.handle_time(now);
        let deadline = Instant::from(self.app.clock.instant(self.door.deadline()));
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        if self.sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let now = this.app.clock.now();
        if let Some(sent_away) = &mut this.sent_away
            && let Poll::Ready(returns) = sent_away.as_mut().poll(cx)
        {
            this.sent_away = None;
            this.door.handle_leave(returns, now);
        }
        this.handle_time(cx, now);
        match this.door.poll_output(cx, &this.app, now) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Output::Bytes(bytes) | Output::Drained(bytes)) => {
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(Output::Last(bytes)) => {
                this.ended = true;
                if bytes.is_empty() {
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBody")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

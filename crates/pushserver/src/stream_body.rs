//! A stream as an ordinary HTTP body: over HTTP/2, and wherever the service is mounted in another program.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
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
    /// What the door has given and the transport was not handed yet
    unsent: Bytes,
    ended: bool,
}

/// What the transport is handed at a time
///
/// How often it comes back is all that is known of whether the client takes anything. So a client must take 16 KiB of a stream
/// within `stream.write_deadline`, which is 560 bytes a second, or 5.5 KiB a second for ten streams that share a connection.
const PIECE_BYTES: usize = 16 * 1024;

impl StreamBody {
    pub(crate) fn new(app: &Arc<App>, door: Door) -> Self {
        let deadline = app.clock.instant(door.deadline());
        Self {
            app: Arc::clone(app),
            sleep: Box::pin(tokio::time::sleep_until(deadline.into())),
            sent_away: Some(Box::pin(app.sent_away())),
            door,
            unsent: Bytes::new(),
            ended: false,
        }
    }

    /// Takes what the door has to say next, and notes whether that was all
    fn poll_door(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.app.clock.now();
        if let Some(sent_away) = &mut self.sent_away
            && let Poll::Ready(returns) = sent_away.as_mut().poll(cx)
        {
            self.sent_away = None;
            self.door.handle_leave(returns, now);
        }
        self.handle_time(cx, now);
        self.unsent = match ready!(self.door.poll_output(cx, &self.app, now)) {
            Output::Bytes(bytes) | Output::Drained(bytes) => bytes,
            Output::Last(bytes) => {
                self.ended = true;
                bytes
            }
        };
        Poll::Ready(())
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
        while this.unsent.is_empty() && !this.ended {
            ready!(this.poll_door(cx));
        }
        let piece = this.unsent.len().min(PIECE_BYTES);
        let piece = this.unsent.split_to(piece);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.unsent.is_empty()
    }
}

impl fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBody")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

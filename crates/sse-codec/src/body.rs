//! Events out of an HTTP body.

use alloc::collections::VecDeque;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::Body;

use crate::decode::Decoder;
use crate::event::OwnedEvent;
use crate::limits::Oversized;

/// The events of an [`http_body::Body`], one after the other, owned
///
/// At most the events of one frame wait in it. When the body has ended, what is unfinished is discarded, and
/// [`decoder`](Self::decoder) knows the last event ID and the reconnection time.
#[derive(Debug)]
pub struct BodyEvents<B> {
    body: B,
    decoder: Decoder,
    waiting: VecDeque<OwnedEvent>,
    failed: Option<Oversized>,
    ended: bool,
}

/// Why there are no more events, other than the end of the body
#[derive(Debug, thiserror::Error)]
pub enum BodyError<E> {
    /// The body failed: the connection is lost
    #[error("the body failed")]
    Lost(#[source] E),
    /// The stream exceeds the decoder's limits
    #[error(transparent)]
    Oversized(Oversized),
}

impl<B: Body + Unpin> BodyEvents<B> {
    /// The events of `body`, by this decoder.
    pub fn new(body: B, decoder: Decoder) -> Self {
        Self {
            body,
            decoder,
            waiting: VecDeque::new(),
            failed: None,
            ended: false,
        }
    }

    /// The next event, or `None` when the body has ended or failed; safe to drop before it is ready.
    ///
    /// # Errors
    /// Once, if the body fails or the stream exceeds the limits, after the events that came before.
    pub async fn next(&mut self) -> Option<Result<OwnedEvent, BodyError<B::Error>>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Self::next), to be polled.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<OwnedEvent, BodyError<B::Error>>>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(limit) = self.failed.take() {
                self.ended = true;
                return Poll::Ready(Some(Err(BodyError::Oversized(limit))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.failed = self.take_in(data).err();
                    }
                }
                Some(Err(error)) => {
                    self.end();
                    return Poll::Ready(Some(Err(BodyError::Lost(error))));
                }
                None => self.end(),
            }
        }
    }

    /// The decoder, with the last event ID and the reconnection time.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The decoder, ready for the next stream.
    pub fn into_decoder(mut self) -> Decoder {
        self.end();
        self.decoder
    }

    fn take_in(&mut self, mut data: B::Data) -> Result<(), Oversized> {
        while data.has_remaining() {
            let chunk = data.chunk();
            let mut items = self.decoder.decode(chunk);
            while let Some(event) = items.next_event()? {
                self.waiting.push_back(event.into_owned());
            }
            let len = chunk.len();
            data.advance(len);
        }
        Ok(())
    }

    fn end(&mut self) {
        self.ended = true;
        self.decoder.finish();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::task::Waker;

    use bytes::Bytes;
    use http_body::Frame;

    use super::*;
    use crate::Limits;

    /// Frames that are there at once; an error where there is `None`.
    struct Frames(VecDeque<Option<&'static [u8]>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(self.0.pop_front().map(|frame| {
                frame
                    .map(|data| Frame::data(Bytes::from_static(data)))
                    .ok_or("lost")
            }))
        }
    }

    #[track_caller]
    fn check(frames: &[Option<&'static [u8]>], limits: Limits, expect: &[&str]) -> Decoder {
        let body = Frames(frames.iter().copied().collect());
        let mut events = BodyEvents::new(body, Decoder::with_limits(limits));
        let mut context = Context::from_waker(Waker::noop());
        let mut seen = Vec::new();
        while let Poll::Ready(Some(next)) = events.poll_next(&mut context) {
            seen.push(match next {
                Ok(event) => event.data,
                Err(BodyError::Lost(error)) => error.into(),
                Err(BodyError::Oversized(_)) => "oversized".into(),
            });
        }
        assert_eq!(seen, expect);
        events.into_decoder()
    }

    #[test]
    fn frames_may_cut_events_anywhere() {
        let frames = [
            Some(&b"id: 1\nda"[..]),
            Some(b"ta: a\n\ndata: b\n\nid: 2\n"),
        ];
        let decoder = check(&frames, Limits::default(), &["a", "b"]);
        assert_eq!(decoder.last_event_id(), "1");
    }

    #[test]
    fn a_lost_body_is_an_error_after_its_events() {
        let frames = [Some(&b"data: a\n\ndata: b\n"[..]), None, Some(b"\n")];
        check(&frames, Limits::default(), &["a", "lost"]);
    }

    #[test]
    fn an_oversized_event_is_an_error_after_those_before() {
        let limits = Limits {
            max_event: 3,
            ..Limits::default()
        };
        let frames = [Some(&b"data: a\n\ndata: four\n\ndata: b\n\n"[..])];
        check(&frames, limits, &["a", "oversized"]);
    }
}

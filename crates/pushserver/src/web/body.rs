//! Bodies: what we answer with, and how a request's is read within its limits.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::config;
use crate::page::PageBody;
use crate::stall::Watched;
use crate::stream_body::StreamBody;

/// The body of every response
///
/// Either whole and known in length, or a stream that goes on until its door closes.
#[derive(Debug)]
pub struct Body {
    kind: Kind,
    /// Tells the connection that carries it whether it is taken
    watched: Option<Watched>,
}

#[derive(Debug)]
enum Kind {
    Full(Option<Bytes>),
    /// A page, and what of its last slice was not handed over yet
    Page(Box<PageBody>, Option<Bytes>),
    Stream(Pin<Box<StreamBody>>),
}

/// What HTTP/2 is handed of a whole body at a time: handed over at once it would not be known whether the client takes it
const PIECE_BYTES: usize = 16 * 1024;

impl Body {
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Full(Some(bytes.into())))
    }

    pub(crate) fn page(page: PageBody) -> Self {
        Self::of(Kind::Page(Box::new(page), None))
    }

    pub(crate) fn empty() -> Self {
        Self::of(Kind::Full(None))
    }

    pub(crate) fn stream(stream: StreamBody) -> Self {
        Self::of(Kind::Stream(Box::pin(stream)))
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            watched: None,
        }
    }

    /// The same, under watch until it is dropped
    pub(crate) fn watched(mut self, watched: Option<Watched>) -> Self {
        self.watched = watched;
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let piece = match this.watched {
            Some(_) => PIECE_BYTES,
            None => usize::MAX,
        };
        let polled = match &mut this.kind {
            Kind::Full(bytes) => {
                Poll::Ready(split_off(bytes, piece).map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Page(page, slice) => match split_off(slice, piece) {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => page.poll_slice(cx).map(|next| {
                    *slice = next;
                    split_off(slice, piece).map(|bytes| Ok(Frame::data(bytes)))
                }),
            },
            Kind::Stream(stream) => stream.as_mut().poll_frame(cx),
        };
        if let Some(watched) = &mut this.watched {
            watched.polled(polled.is_pending());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Kind::Page(page, slice) => slice.is_none() && page.is_done(),
            Kind::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Page(..) | Kind::Stream(_) => SizeHint::default(),
        }
    }
}

/// The next piece of what is left, at most `len` bytes; `None` once nothing is
fn split_off(left: &mut Option<Bytes>, len: usize) -> Option<Bytes> {
    match left {
        Some(bytes) if bytes.len() > len => Some(bytes.split_to(len)),
        _ => left.take(),
    }
}

/// What carries a request's body: hyper, or whatever program the service is mounted in
pub(crate) trait Payload:
    http_body::Body<Data = Bytes, Error: std::fmt::Display> + Unpin
{
}

impl<B> Payload for B where B: http_body::Body<Data = Bytes, Error: std::fmt::Display> + Unpin {}

/// A request's body, read a piece at a time
///
/// Each wait for the next piece ends after `body_idle_timeout`, and the wait for the whole after `body_timeout`, so that a
/// client that stops sending, or nearly, does not hold its request for ever.
pub(crate) struct Incoming<B> {
    body: B,
    idle: Duration,
    all: Duration,
}

impl<B: Payload> Incoming<B> {
    pub(crate) fn new(body: B, limits: &config::Http) -> Self {
        Self {
            body,
            idle: limits.body_idle_timeout,
            all: limits.body_timeout,
        }
    }

    /// The next piece, or `None` at the end
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = tokio::time::timeout(self.idle, self.body.frame())
                .await
                .map_err(|_| {
                    Problem::body_timeout(format!(
                        "nothing of the body arrived for {:?}",
                        self.idle
                    ))
                })?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(Problem::new(
                        StatusCode::BAD_REQUEST,
                        "body-broken",
                        "The body could not be read",
                        error.to_string(),
                    ));
                }
            }
        }
    }

    /// The whole body as a JSON object; `example` is one that would be right
    pub(crate) async fn json<T: DeserializeOwned>(
        self,
        limit: usize,
        example: &'static str,
    ) -> Result<T, Problem> {
        let body = self.whole(limit).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Problem::bad_body(format!("{error}; the body is like {example}")))
    }

    /// The whole body, refused as soon as it is known to exceed `limit` bytes
    pub(crate) async fn whole(self, limit: usize) -> Result<Bytes, Problem> {
        let all = self.all;
        let late = |_| {
            let detail =
                format!("the body was not complete after {all:?}, which `http.body_timeout` sets");
            Problem::body_timeout(detail)
        };
        tokio::time::timeout(all, self.collect(limit))
            .await
            .map_err(late)?
    }

    async fn collect(mut self, limit: usize) -> Result<Bytes, Problem> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(Problem::body_too_large(limit));
        }
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(Problem::body_too_large(limit));
        }
        if self.body.is_end_stream() {
            return Ok(first);
        }
        let mut whole = BytesMut::from(&first[..]);
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > limit {
                return Err(Problem::body_too_large(limit));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

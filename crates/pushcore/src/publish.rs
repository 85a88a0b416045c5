//! What comes back from a publish.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::position::Position;

/// Where an event went
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its position
    pub position: Position,
    /// Whether it had been published before, under the same idempotency key
    pub duplicate: bool,
    /// What it would survive
    pub durability: Durability,
}

/// What an event would survive, from little to much
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: it is in this process's memory
    Volatile,
    /// The end of the process: the operating system has it
    Buffered,
    /// The loss of power: the disk has it
    Flushed,
    /// The loss of a node: a quorum has it in memory
    Replicated,
    /// The loss of power everywhere: a quorum has it on disk
    ReplicatedFlushed,
}

/// Why an event was not published; nothing of it is in the log
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic has ended.
    #[error("the topic has ended")]
    Ended,
    /// The idempotency key was used for another event.
    #[error("the idempotency key was used for a different event")]
    IdempotencyConflict,
    /// The event is larger than the hub takes.
    #[error("the event has {bytes} bytes, and at most {max} are taken")]
    TooLarge {
        /// Bytes of its data and labels
        bytes: usize,
        /// [`HubConfig::max_event_bytes`](crate::HubConfig)
        max: usize,
    },
    /// There are too many events in the batch; none was published.
    #[error("the batch has more than {max} events")]
    BatchTooLong {
        /// [`HubConfig::max_batch_events`](crate::HubConfig)
        max: usize,
    },
    /// The store does not take it now; a retry with the same idempotency key is safe.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

/// The answers to a batch, in its order
pub type Receipts = Vec<Result<Receipt, PublishError>>;

/// The answer to a publish, at once or when the store has spoken
///
/// The answers to a batch, or with `T` a [`Result`] the one of [`Hub::publish_one`](crate::Hub::publish_one). Over the
/// memory log it is always ready ([`try_ready`](Publish::try_ready)). It needs no runtime. Over a store it must be
/// awaited; dropped before, it may or may not have published. Polled after it was ready, it panics.
#[must_use = "a publish may be refused"]
pub struct Publish<T = Receipts>(Inner<T>);

enum Inner<T> {
    Ready(Option<T>),
    Pending(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Publish<T> {
    pub(crate) fn ready(answer: T) -> Publish<T> {
        Publish(Inner::Ready(Some(answer)))
    }

    pub(crate) fn pending(answer: impl Future<Output = T> + Send + 'static) -> Publish<T> {
        Publish(Inner::Pending(Box::pin(answer)))
    }

    /// The answer, if it is there already.
    ///
    /// # Errors
    /// Itself, to be awaited.
    pub fn try_ready(self) -> Result<T, Publish<T>> {
        match self.0 {
            Inner::Ready(Some(answer)) => Ok(answer),
            _ => Err(self),
        }
    }
}

impl<T: Unpin> Future for Publish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Inner::Ready(answer) => Poll::Ready(
                answer
                    .take()
                    .expect("a publish is not polled after it was ready"),
            ),
            Inner::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

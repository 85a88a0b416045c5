//! A large page on its way as the body of a response.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::text::{PageText, SLICE_BYTES, Slice};
use super::turns::{Pages, Place, Writing};

/// A page that is written as the transport takes it
///
/// A client that takes nothing makes the server hold one slice of text and the page's events.
#[derive(Debug)]
pub(crate) struct PageBody {
    pages: Pages,
    stage: Stage,
    _place: Place,
}

#[derive(Debug)]
enum Stage {
    /// The transport takes nothing, or is about to ask
    Resting(PageText),
    Writing(Writing),
    Done,
}

impl PageBody {
    pub(crate) fn new(pages: &Pages, text: PageText, place: Place) -> Self {
        Self {
            pages: pages.clone(),
            stage: Stage::Resting(text),
            _place: place,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// The next slice, once it is this page's turn
    pub(crate) fn poll_slice(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut writing = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Resting(text) => {
                let slice = Vec::with_capacity(SLICE_BYTES + SLICE_BYTES / 4);
                self.pages.write(text, slice)
            }
            Stage::Writing(writing) => writing,
            Stage::Done => return Poll::Ready(None),
        };
        let Poll::Ready(mut written) = Pin::new(&mut writing).poll(cx) else {
            self.stage = Stage::Writing(writing);
            return Poll::Pending;
        };
        match written.slice {
            Slice::More => self.stage = Stage::Resting(written.text),
            Slice::Last => written.out.push(b'\n'),
        }
        Poll::Ready(Some(written.out.into()))
    }
}

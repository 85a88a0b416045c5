//! Whose turn it is to write JSON, and how many large pages there may be.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::text::{PageText, Slice};
use crate::config::Config;

/// Pages that are being written
///
/// JSON is what takes longest of all that a request can ask for. So whoever writes a slice of it waits for a turn, in the
/// order of asking, and everybody else of the shard has one before the next slice is written.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    /// One for each shard
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// A large page's place among those that there may be at a time, given back when dropped
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// A slice that is being written; dropped, it is not
#[derive(Debug)]
pub(crate) struct Writing(JoinHandle<Written>);

/// A slice that has been written
#[derive(Debug)]
pub(crate) struct Written {
    /// What was there before, and the slice
    pub(crate) out: Vec<u8>,
    pub(crate) text: PageText,
    pub(crate) slice: Slice,
}

impl Pages {
    pub(crate) fn new(config: &Config) -> Self {
        let places = config.stream.max_large_pages.min(Semaphore::MAX_PERMITS);
        Self {
            turns: Arc::new(Semaphore::new(config.server.shards.get())),
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// A place for a page of more than one slice, unless `stream.max_large_pages` have theirs
    pub(crate) fn place(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { _permit: permit })
    }

    /// Appends the next slice to `out`, after those who asked before, and after everybody else has had a turn
    ///
    /// By a task of its own: a turn that was given to a connection which then is not polled, because its client has closed
    /// the window, would be nobody's.
    pub(crate) fn write(&self, mut text: PageText, mut out: Vec<u8>) -> Writing {
        let turns = Arc::clone(&self.turns);
        Writing(tokio::spawn(async move {
            let _turn = turns.acquire().await;
            tokio::task::yield_now().await;
            let slice = text.write(&mut out);
            Written { out, text, slice }
        }))
    }
}

impl Future for Writing {
    type Output = Written;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Written> {
        let written = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(written.expect("writing does not panic, and only dropping ends it early"))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use pushcore::Page;

    use super::super::fixture::published;
    use super::super::text::SLICE_BYTES;
    use super::*;
    use crate::app::App;

    /// A page that is written in so many slices, and whoever writes it
    fn page(slices: usize) -> (Arc<App>, Page) {
        let mut config = Config::default();
        config.server.shards = std::num::NonZeroUsize::MIN;
        config.stream.max_large_pages = 2;
        let app = App::new(config, None).unwrap();
        let page = published(&app, vec!["x".repeat(SLICE_BYTES); slices]);
        (app, page)
    }

    /// Writes a whole page, and notes each slice by this name
    async fn write(app: Arc<App>, page: Page, name: char, notes: Arc<std::sync::Mutex<String>>) {
        let mut text = PageText::new(page);
        loop {
            let written = app.pages.write(text, Vec::new()).await;
            notes.lock().unwrap().push(name);
            if written.slice == Slice::Last {
                return;
            }
            text = written.text;
        }
    }

    fn run<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn pages_are_written_by_turns_and_everybody_else_has_one_between_two_slices() {
        let (app, page) = page(4);
        let notes = Arc::new(std::sync::Mutex::new(String::new()));
        run(async {
            let pages = ['a', 'b'].map(|name| {
                let one = write(Arc::clone(&app), page.clone(), name, Arc::clone(&notes));
                tokio::spawn(one)
            });
            let other = Arc::clone(&notes);
            let other = tokio::spawn(async move {
                loop {
                    other.lock().unwrap().push('.');
                    tokio::task::yield_now().await;
                }
            });
            for page in pages {
                page.await.unwrap();
            }
            other.abort();
        });
        let notes = notes.lock().unwrap();
        assert!(
            !["aa", "ab", "ba", "bb"]
                .iter()
                .any(|two| notes.contains(two)),
            "{notes}"
        );
        let slices = notes.replace('.', "");
        assert_eq!(slices, "abababab", "{notes}");
    }

    #[test]
    fn a_page_that_is_not_asked_for_keeps_nobody_from_having_a_turn() {
        let (app, page) = page(2);
        let notes = Arc::new(std::sync::Mutex::new(String::new()));
        run(async {
            let _unasked = app.pages.write(PageText::new(page.clone()), Vec::new());
            write(Arc::clone(&app), page, 'a', Arc::clone(&notes)).await;
        });
        assert_eq!(*notes.lock().unwrap(), "aa");
    }

    #[test]
    fn there_are_as_many_places_as_are_configured() {
        let (app, _) = page(1);
        let (first, second) = (app.pages.place(), app.pages.place());
        assert!(first.is_some() && second.is_some());
        assert!(app.pages.place().is_none());
        drop(first);
        assert!(app.pages.place().is_some());
    }
}

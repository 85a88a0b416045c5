//! Leaving service: what every part of the server watches to know that it is time to go.

use tokio::sync::watch;

/// How far the server is on its way out
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serving
    Serving,
    /// No new connections; streams are being sent away
    Leaving,
    /// Threads end
    Gone,
}

/// The phase, to be set by one and watched by many
#[derive(Debug)]
pub(crate) struct Leaving(watch::Sender<Phase>);

impl Leaving {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }

    /// Moves on to a phase; never back
    pub(crate) fn enter(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let later = phase > *current;
            *current = phase.max(*current);
            later
        });
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Resolves once the server is leaving
    pub(crate) fn started(&self) -> impl Future<Output = ()> + Send + use<> {
        self.reached(Phase::Leaving)
    }

    /// Resolves once the server is gone
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        self.reached(Phase::Gone)
    }

    fn reached(&self, phase: Phase) -> impl Future<Output = ()> + Send + use<> {
        let mut watch = self.0.subscribe();
        async move {
            // The sender lives in the same `App` as everything that waits here; if it is dropped, the server is gone.
            let _ = watch.wait_for(|current| *current >= phase).await;
        }
    }
}

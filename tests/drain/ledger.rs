//! What happened to everybody, and whether it is as it should be.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::{MAX_REVOCATION, MAX_SHARE, Plan, TOPICS};

/// What everybody writes down, and the test waits for
#[derive(Debug, Default)]
pub(super) struct Ledger {
    all: Mutex<All>,
    more: Condvar,
    is_done: AtomicBool,
}

/// The sums
#[derive(Debug, Default)]
pub(super) struct All {
    /// Clients that were told where they start
    pub(super) following: usize,
    /// Publishes that were answered, by topic
    pub(super) answered: [u64; TOPICS],
    /// Publishes that were sent again, and those whose answer called them a duplicate
    pub(super) repeated: u64,
    pub(super) duplicates_answered: u64,
    /// Longest time from the first try of a publish to its answer
    pub(super) longest_publish: Duration,
    /// When each client was back
    pub(super) arrivals: Vec<Instant>,
    /// Clients that found the port closed when they came
    pub(super) turned_away: u64,
    /// Clients that have the last event
    pub(super) finished: usize,
    /// When each stream ended by its revocation
    pub(super) revoked: Vec<Instant>,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) repeats: u64,
    pub(super) gaps: u64,
    /// Epochs of all positions that were seen
    pub(super) epochs: BTreeSet<String>,
    /// Whatever else should not have been
    pub(super) strange: BTreeSet<String>,
}

impl Ledger {
    pub(super) fn write(&self, note: impl FnOnce(&mut All)) {
        note(&mut self.all.lock().unwrap());
        self.more.notify_all();
    }

    /// Publishers publish one last event each
    pub(super) fn say_done(&self) {
        self.is_done.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    #[track_caller]
    pub(super) fn wait(&self, what: &str, within: Duration, until: impl Fn(&All) -> bool) {
        let all = self.all.lock().unwrap();
        let (all, late) = self
            .more
            .wait_timeout_while(all, within, |all| !until(all))
            .unwrap();
        assert!(
            !late.timed_out(),
            "{what}: not after {within:?}: {}",
            all.brief()
        );
    }

    pub(super) fn judge<T>(&self, judge: impl FnOnce(&All) -> T) -> T {
        judge(&self.all.lock().unwrap())
    }
}

impl All {
    /// Without the long lists
    fn brief(&self) -> String {
        format!(
            "{} follow, {:?} answered, {} back, {} finished, {} revoked, {} gaps, {:?}",
            self.following,
            self.answered,
            self.arrivals.len(),
            self.finished,
            self.revoked.len(),
            self.gaps,
            self.strange
        )
    }

    /// Prints the figures, and says which of them should not be
    pub(super) fn faults(&self, plan: Plan, asked: Instant, revocation: Duration) -> Vec<String> {
        let bins = self.bins(plan.window, asked);
        let mean = plan.clients as f64 / plan.window.as_secs_f64();
        let share = bins.iter().copied().max().unwrap_or(0) as f64 / mean;
        let published: u64 = self.answered.iter().sum();
        println!(
            "{published} events were published and {} deliveries made; {} publishes were repeated, {} of them answered as \
             duplicates; the longest took {:.3} s to be answered",
            self.delivered,
            self.repeated,
            self.duplicates_answered,
            self.longest_publish.as_secs_f64()
        );
        println!(
            "lost {}, repeated {}, gaps {}, epochs {}",
            self.lost,
            self.repeats,
            self.gaps,
            self.epochs.len()
        );
        println!(
            "arrivals per second {bins:?}: the fullest has {share:.2} of the mean {mean:.1}; {} found the port closed",
            self.turned_away
        );
        println!(
            "a revocation ended the last of {} streams after {:.3} s",
            self.revoked.len(),
            revocation.as_secs_f64()
        );
        let checks = [
            (self.lost == 0, "events were lost"),
            (self.repeats == 0, "events came twice"),
            (self.gaps == 0, "clients were told of gaps"),
            (self.epochs.len() == 1, "the epoch changed"),
            (share <= MAX_SHARE, "too many came back in one second"),
            (revocation < MAX_REVOCATION, "a revocation took too long"),
            (
                self.duplicates_answered > 0,
                "no publish was repeated that had arrived: nothing was tried",
            ),
        ];
        let failed = checks.iter().filter(|(holds, _)| !holds);
        let faults = failed.map(|(_, what)| (*what).to_owned());
        faults.chain(self.strange.iter().cloned()).collect()
    }

    /// Arrivals by the second after the server was asked to end
    fn bins(&self, window: Duration, asked: Instant) -> Vec<usize> {
        let mut bins = vec![0; window.as_secs() as usize];
        for arrival in &self.arrivals {
            let second = arrival.saturating_duration_since(asked).as_secs() as usize;
            if second >= bins.len() {
                bins.resize(second + 1, 0);
            }
            bins[second] += 1;
        }
        bins
    }
}

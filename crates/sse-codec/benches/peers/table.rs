//! Interleaved rounds, medians, ratios; and an allocator that counts.

#![allow(unsafe_code, reason = "a counting allocator is one by necessity")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub(crate) struct Row<'a> {
    name: &'a str,
    /// Does it once and tells how long it took, in nanoseconds
    work: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Row<'a> {
    pub(crate) fn new(name: &'a str, mut work: impl FnMut() + 'a) -> Self {
        Self::prepared(name, || (), move |()| work())
    }

    /// What `prepare` does is not measured.
    pub(crate) fn prepared<T>(
        name: &'a str,
        mut prepare: impl FnMut() -> T + 'a,
        mut work: impl FnMut(T) + 'a,
    ) -> Self {
        let work = move || {
            let prepared = prepare();
            let start = Instant::now();
            work(prepared);
            start.elapsed().as_nanos() as f64
        };
        Self {
            name,
            work: Box::new(work),
        }
    }
}

pub(crate) struct Table<'a> {
    title: Option<String>,
    bytes: usize,
    events: usize,
    rows: Vec<Row<'a>>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(title: &str, bytes: usize, events: usize) -> Self {
        Self {
            title: Some(title.to_owned()),
            bytes,
            events,
            rows: Vec::new(),
        }
    }

    /// Only measures.
    pub(crate) fn quiet() -> Self {
        Self {
            title: None,
            bytes: 0,
            events: 0,
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, row: Row<'a>) {
        self.rows.push(row);
    }

    /// Measures every row once a round and gives the medians, in nanoseconds.
    pub(crate) fn run(mut self, rounds: usize) -> Vec<f64> {
        let mut times = vec![Vec::with_capacity(rounds); self.rows.len()];
        for round in 0..rounds {
            // The order turns, so that nobody always follows the same neighbour.
            for index in 0..self.rows.len() {
                let row = (index + round) % self.rows.len();
                times[row].push((self.rows[row].work)());
            }
        }
        let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
        self.print(&medians, &times);
        medians
    }

    fn print(&self, medians: &[f64], times: &[Vec<f64>]) {
        let Some(title) = &self.title else { return };
        println!("{title} (ns per event)");
        println!(
            "  {:<26}{:>12}{:>8}{:>10}{:>12}{:>8}{:>16}",
            "", "median ns", "ratio", "MB/s", "best ns", "ratio", "quartiles ns"
        );
        for ((row, median), sorted) in self.rows.iter().zip(medians).zip(times) {
            let per_event = |time: f64| time / self.events as f64;
            println!(
                "  {:<26}{:>12.1}{:>8.2}{:>10.0}{:>12.1}{:>8.2}{:>16}",
                row.name,
                per_event(*median),
                median / medians[0],
                self.bytes as f64 / median * 1e3,
                per_event(sorted[0]),
                sorted[0] / times[0][0],
                format!(
                    "{:.0}-{:.0}",
                    per_event(sorted[sorted.len() / 4]),
                    per_event(sorted[sorted.len() * 3 / 4])
                ),
            );
        }
        println!();
    }
}

/// Sorts, for the quartiles too.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations were made so far, growth of buffers included.
pub(crate) fn allocations() -> usize {
    ALLOCATIONS.load(Ordering::Relaxed)
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as our caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as our caller promised.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

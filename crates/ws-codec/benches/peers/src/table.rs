//! Interleaved rounds, and medians of ratios.

use std::time::Instant;

use crate::allocations;

/// Something that does the whole work once.
pub struct Contestant<'w> {
    pub name: String,
    pub work: Box<dyn FnMut() + 'w>,
}

/// What one contestant did, per frame
pub struct Result {
    pub name: String,
    /// Median nanoseconds a frame
    pub nanos: f64,
    /// Median over the rounds of its time by the first contestant's
    pub ratio: f64,
    /// The quartiles of that
    pub spread: (f64, f64),
    pub allocations: f64,
}

/// Runs all contestants in turn, round after round.
pub fn compete(rounds: usize, frames: usize, mut contestants: Vec<Contestant<'_>>) -> Vec<Result> {
    let mut allocated = Vec::new();
    for contestant in &mut contestants {
        (contestant.work)();
        let before = allocations::so_far();
        (contestant.work)();
        allocated.push((allocations::so_far() - before) as f64 / frames as f64);
    }
    let mut times = vec![Vec::new(); contestants.len()];
    for _ in 0..rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            let start = Instant::now();
            (contestant.work)();
            times.push(start.elapsed().as_nanos() as f64 / frames as f64);
        }
    }
    contestants
        .iter()
        .zip(&times)
        .zip(allocated)
        .map(|((contestant, own), allocations)| {
            let mut ratios: Vec<f64> = own
                .iter()
                .zip(&times[0])
                .map(|(own, first)| own / first)
                .collect();
            ratios.sort_by(f64::total_cmp);
            let mut own = own.clone();
            own.sort_by(f64::total_cmp);
            Result {
                name: contestant.name.clone(),
                nanos: own[own.len() / 2],
                ratio: ratios[ratios.len() / 2],
                spread: (ratios[ratios.len() / 4], ratios[ratios.len() * 3 / 4]),
                allocations,
            }
        })
        .collect()
}

/// Prints one block: what it is about, then a line each.
pub fn print(title: &str, bytes: usize, results: &[Result]) {
    println!("\n{title}");
    println!(
        "  {:<32} {:>10} {:>8} {:>7} {:>15} {:>8}",
        "", "ns/frame", "GB/s", "ratio", "quartiles", "allocs"
    );
    for result in results {
        println!(
            "  {:<32} {:>10.1} {:>8.2} {:>7.2} {:>7.2}-{:<7.2} {:>8.2}",
            result.name,
            result.nanos,
            bytes as f64 / result.nanos,
            result.ratio,
            result.spread.0,
            result.spread.1,
            result.allocations
        );
    }
}

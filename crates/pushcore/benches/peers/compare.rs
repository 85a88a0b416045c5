//! Ratios of times within one round, over many rounds.

/// One side of a comparison: does its work once and says how long it took
pub(crate) type Side<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Runs the sides in turn, and gives for each the quartiles of its ratio to the first one's time.
pub(crate) fn compare(rounds: usize, sides: &mut [Side<'_>]) -> (f64, Vec<[f64; 3]>) {
    for side in sides.iter_mut() {
        side();
    }
    let mut first = Vec::new();
    let mut ratios = vec![Vec::new(); sides.len()];
    for _ in 0..rounds {
        let times: Vec<f64> = sides.iter_mut().map(|side| side()).collect();
        first.push(times[0]);
        for (ratios, time) in ratios.iter_mut().zip(&times) {
            ratios.push(times[0] / time);
        }
    }
    (
        quartiles(first)[1],
        ratios.into_iter().map(quartiles).collect(),
    )
}

pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values[(values.len() - 1) * share / 4];
    [at(1), at(2), at(3)]
}

pub(crate) fn show([low, middle, high]: [f64; 3]) -> String {
    format!("{middle:.2} [{low:.2}-{high:.2}]")
}

//! Bursts of events to many subscribers: what a delivery costs the server.

use anyhow::Result;

use crate::contest::{Contender, interleave};
use crate::fleet::Plan;
use crate::profile::Profile;
use crate::results::Row;
use crate::scenario::Effort;
use crate::server::Places;

/// Measures all servers in interleaved rounds.
pub(crate) fn run(
    profiles: &[Profile],
    places: &Places,
    effort: &Effort,
    plan: &Plan,
) -> Result<Vec<Row>> {
    let mut contenders = start(profiles, places, plan);
    interleave(&mut contenders, effort.rounds, |c| {
        c.slice(plan.window, effort.slice)
    });
    Ok(contenders.into_iter().map(|c| c.row).collect())
}

/// Starts every contender; one that does not come up is told of and left out.
pub(crate) fn start(profiles: &[Profile], places: &Places, plan: &Plan) -> Vec<Contender> {
    let mut contenders = Vec::new();
    for profile in profiles {
        match Contender::start(profile, places, plan) {
            Ok(contender) => contenders.push(contender),
            Err(error) => eprintln!("  {} is left out: {error:#}", profile.name),
        }
    }
    contenders
}

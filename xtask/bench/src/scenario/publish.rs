//! Publishing: what an event costs on its way in, with one subscriber to see that it came.

use anyhow::Result;

use crate::contest::interleave;
use crate::fleet::Plan;
use crate::profile::{Profile, Transport};
use crate::results::Row;
use crate::scenario::{Effort, fan_out};
use crate::server::Places;

/// Measures one door of each server that has it.
pub(crate) fn run(
    profiles: &[Profile],
    places: &Places,
    effort: &Effort,
    door: &str,
    window: usize,
) -> Result<Vec<Row>> {
    let mut contenders = Vec::new();
    for profile in profiles {
        let transport = if profile.ws.is_some() {
            Transport::Ws
        } else {
            Transport::Sse
        };
        let mut plan = Plan::fan_out(transport, 1, 128, window);
        plan.door = Some(door.to_owned());
        contenders.extend(fan_out::start(std::slice::from_ref(profile), places, &plan));
    }
    interleave(&mut contenders, effort.rounds, |c| {
        c.slice(window, effort.slice)
    });
    Ok(contenders.into_iter().map(|c| c.row).collect())
}

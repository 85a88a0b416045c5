//! The table: what is done, what must become of whoever does it, and what it may cost.
//!
//! Each attack is a file named after it, with its row at the top.

use std::net::SocketAddr;

use anyhow::Result;

use crate::judge::{Bound, Told};
use crate::siege::Field;

mod bad_token_storm;
mod command_flood;
mod continuation_flood;
mod deflate_bomb;
mod empty_data_flood;
mod foreign_hosts;
mod fragment_flood;
mod header_flood;
mod hpack_bomb;
mod huge_lengths;
mod idle_handshakes;
mod made_resets;
mod never_reading;
mod pattern_explosion;
mod ping_flood;
mod ping_flood_http2;
mod rapid_resets;
mod request_smuggling;
mod settings_flood;
mod slow_bodies;
mod slow_heads;
mod sse_injection;
mod token_confusion;
mod topic_names;
mod unread_history;
mod unread_pages;
mod window_stall;
mod window_updates;

/// One row of the table.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) does: &'static str,
    /// How fast, which is little enough that the attacker's own work delays nobody
    pub(crate) rate: &'static str,
    /// What the offender may meet; anything else, and nothing at all, is against the server
    pub(crate) told: &'static [&'static str],
    pub(crate) bound: Bound,
    /// What has to be there before
    pub(crate) prepare: fn(SocketAddr) -> Result<()>,
    pub(crate) strike: fn(&Field) -> Result<Told>,
}

/// Every attack, in the order in which a connection meets what it attacks.
pub(crate) fn all() -> Vec<Attack> {
    vec![
        idle_handshakes::ATTACK,
        slow_heads::ATTACK,
        header_flood::ATTACK,
        request_smuggling::ATTACK,
        slow_bodies::ATTACK,
        rapid_resets::ATTACK,
        made_resets::ATTACK,
        continuation_flood::ATTACK,
        hpack_bomb::ATTACK,
        settings_flood::ATTACK,
        ping_flood_http2::ATTACK,
        empty_data_flood::ATTACK,
        window_updates::ATTACK,
        window_stall::ATTACK,
        huge_lengths::ATTACK,
        fragment_flood::ATTACK,
        ping_flood::ATTACK,
        deflate_bomb::ATTACK,
        never_reading::ATTACK,
        unread_pages::ATTACK,
        unread_history::ATTACK,
        command_flood::ATTACK,
        pattern_explosion::ATTACK,
        bad_token_storm::ATTACK,
        token_confusion::ATTACK,
        foreign_hosts::ATTACK,
        topic_names::ATTACK,
        sse_injection::ATTACK,
    ]
}

/// For attacks that need nothing.
fn nothing(_: SocketAddr) -> Result<()> {
    Ok(())
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_commands_and_come_once() {
        let mut names: Vec<&str> = all().iter().map(|a| a.name).collect();
        assert!(names.iter().all(|n| {
            n.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        }));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_attack_says_what_its_offender_meets_and_why_its_bound_is_what_it_is() {
        for attack in all() {
            assert!(!attack.told.is_empty(), "{}", attack.name);
            assert!(attack.bound.because.contains(['=', ',']), "{}", attack.name);
            assert!(
                !attack.told.contains(&crate::siege::STILL_OPEN),
                "{}",
                attack.name
            );
        }
    }
}

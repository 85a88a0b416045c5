//! Bodies that are never idle and never end.

use std::time::Duration;

use anyhow::Result;

use super::{Attack, MIB, nothing};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Hold, hold};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "slow-bodies",
    does: "300 publishers that announce 1 MiB and send a byte every 300 ms, less than http.body_idle_timeout",
    rate: "1,000 connections/s, 1,000 bytes/s",
    told: &["408", "closed"],
    bound: Bound {
        bytes: 8 * MIB,
        because: "300 x (8 KiB of hyper's first buffer and what was received, 16 KiB in all) = 4.7 MiB, and not 300 x 1 MiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let greeting = |n| {
        // More subjects than one, so that it is not the rate of publishing that refuses them.
        let token = token::offender(&format!("slow{}", n / 100));
        format!(
            "POST /topics/offender/slow{n} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 1048576\r\n\r\n"
        )
        .into_bytes()
    };
    hold(
        field,
        &Hold {
            count: 300,
            per_second: 1000,
            greeting: &greeting,
            drip: Some((Duration::from_millis(300), b"x")),
            unread: None,
        },
    )
}

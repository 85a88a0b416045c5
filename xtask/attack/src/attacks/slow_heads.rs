//! Request heads that never end (Slowloris).

use std::time::Duration;

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Hold, hold};

pub(super) const ATTACK: Attack = Attack {
    name: "slow-heads",
    does: "1,000 connections that send a byte of a header field every 100 ms",
    rate: "2,000 connections/s, 10,000 bytes/s",
    told: &["closed", "408"],
    bound: Bound {
        bytes: COUNT as u64 * 32 * KIB,
        because: "1,000 x (http.max_head_bytes 16 KiB and 16 KiB of the parser's) = 31 MiB",
    },
    prepare: nothing,
    strike,
};

const COUNT: usize = 1000;

fn strike(field: &Field) -> Result<Told> {
    let greeting = |_| b"GET /topics/honest/feed HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_vec();
    hold(
        field,
        &Hold {
            count: COUNT,
            per_second: 2000,
            greeting: &greeting,
            drip: Some((Duration::from_millis(100), b"x")),
            unread: None,
        },
    )
}

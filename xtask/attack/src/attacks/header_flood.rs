//! Heads that are too large in one way or another.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::judge::{Bound, Told};
use crate::siege::{Case, Field, attempt, first_answer};

pub(super) const ATTACK: Attack = Attack {
    name: "header-flood",
    does: "a field of 256 KiB, 5,000 fields, 101 fields, a target of 64 KiB, a subprotocol of 200,000 spaces, a line without an end",
    rate: "100 heads/s",
    told: &["431", "414", "400", "closed"],
    bound: Bound {
        // A head that is refused at once is not held, but 100 may be under way.
        bytes: 100 * (16 + 16) * KIB,
        because: "100 heads/s x 1 s of http.head_timeout x (16 KiB of head and as much to parse it) = 3.1 MiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let start = "GET /topics/honest/feed HTTP/1.1\r\nHost: localhost\r\n";
    let fields = |n| (0..n).map(|i| format!("X-{i}: y\r\n")).collect::<String>();
    let heads = [
        (
            "a long field",
            format!("{start}X-Long: {}\r\n\r\n", "x".repeat(256 * 1024)),
        ),
        ("many fields", format!("{start}{}\r\n", fields(5000))),
        ("a field too many", format!("{start}{}\r\n", fields(100))),
        (
            "a long target",
            format!(
                "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "x".repeat(64 * 1024)
            ),
        ),
        (
            "many spaces",
            format!(
                "{start}Upgrade: websocket\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
                " ".repeat(200_000)
            ),
        ),
        ("no end", format!("{start}{}", "x".repeat(128 * 1024))),
    ];
    let case = |n: usize| {
        let (name, head) = &heads[n % heads.len()];
        Case {
            name: (*name).to_owned(),
            bytes: head.clone().into_bytes(),
            right: ATTACK.told,
        }
    };
    attempt(field, 100, case, first_answer)
}

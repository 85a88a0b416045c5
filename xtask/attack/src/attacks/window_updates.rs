//! Windows that overflow, that grow by nothing, and that grow all the time.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::http2::{self, PRIORITY, SETTINGS, WINDOW_UPDATE};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};

pub(super) const ATTACK: Attack = Attack {
    name: "window-updates",
    does: "WINDOW_UPDATE frames: beyond 2^31-1 and of 0 on the connection, then of 1 without end, with PRIORITY frames between",
    rate: "10,000 frames/s",
    told: &[
        "GOAWAY ENHANCE_YOUR_CALM",
        "GOAWAY FLOW_CONTROL_ERROR",
        "GOAWAY PROTOCOL_ERROR",
    ],
    bound: Bound {
        bytes: 256 * KIB,
        because: "one connection: 64 KiB to read into and 64 KiB to write from, twice = 256 KiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let update = |by: u32| http2::frame(WINDOW_UPDATE, 0, 0, &by.to_be_bytes());
    let window = field.window;
    let piece = |n: usize| match window {
        0 => update(0x7fff_ffff),
        1 if n == 0 => update(0),
        // SETTINGS_INITIAL_WINDOW_SIZE beyond 2^31-1
        1 => http2::frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
        _ if n.is_multiple_of(2) => update(1),
        // Depends on the connection; exclusive; weight 256.
        _ => http2::frame(PRIORITY, 0, 2 * n as u32 + 1, &[0x80, 0, 0, 0, 255]),
    };
    flood(field, &Flood::of_http2(&[]), piece)
}

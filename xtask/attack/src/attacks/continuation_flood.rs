//! A header block that never ends (RUSTSEC-2024-0332).

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::http2::{self, CONTINUATION, END_STREAM, HEADERS};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};

pub(super) const ATTACK: Attack = Attack {
    name: "continuation-flood",
    does: "a HEADERS frame without END_HEADERS and then CONTINUATION frames, empty ones and ones with fields in turn",
    rate: "10,000 frames/s",
    told: &[
        "GOAWAY ENHANCE_YOUR_CALM",
        "GOAWAY PROTOCOL_ERROR",
        "GOAWAY COMPRESSION_ERROR",
        "closed",
    ],
    bound: Bound {
        bytes: 256 * KIB,
        because: "http.max_head_bytes 16 KiB, decoded and not yet decoded, on the one connection = 32 KiB, and its buffers",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let begin = http2::frame(
        HEADERS,
        END_STREAM,
        1,
        &http2::block("GET", "/topics/honest/feed", &[]),
    );
    let mut filler = vec![0];
    http2::string(&mut filler, "x-filler");
    http2::string(&mut filler, &"y".repeat(100));
    let is_empty = field.window.is_multiple_of(2);
    let piece = |_| http2::frame(CONTINUATION, 0, 1, if is_empty { &[] } else { &filler });
    flood(field, &Flood::of_http2(&begin), piece)
}

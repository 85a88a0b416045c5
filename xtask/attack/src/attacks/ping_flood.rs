//! Pings, each of which must be answered.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "ping-flood",
    does: "WebSocket pings of 125 bytes and unasked-for pongs, whose answers are not read",
    rate: "10,000 frames/s",
    told: &["1008"],
    bound: Bound {
        bytes: 192 * KIB,
        because: "stream.send_buffer_bytes 64 KiB, the shard's read buffer of 64 KiB touched whole, 64 KiB of a growing vector = 192 KiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let fields = format!("Authorization: Bearer {}\r\n", token::offender("pings"));
    let piece = |n: usize| web_socket::frame(if n % 4 == 3 { 0x8a } else { 0x89 }, &[b'p'; 125]);
    flood(
        field,
        &Flood::after(web_socket::opening("/topics/offender/x", &fields)).unread(),
        piece,
    )
}

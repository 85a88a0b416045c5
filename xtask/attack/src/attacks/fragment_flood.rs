//! A message in fragments without end.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Field, Flood, flood};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "fragment-flood",
    does: "a WebSocket message in empty fragments, or in fragments of a byte, that never ends",
    rate: "10,000 fragments/s",
    told: &["1008", "1009"],
    bound: Bound {
        bytes: 128 * KIB,
        because: "websocket.max_message_bytes 64 KiB in a vector that doubles = 128 KiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let fields = format!("Authorization: Bearer {}\r\n", token::offender("fragments"));
    let payload: &[u8] = if field.window.is_multiple_of(2) {
        b""
    } else {
        b"x"
    };
    // A text frame without FIN, then continuations without FIN.
    let piece = |n: usize| web_socket::frame(if n == 0 { 0x01 } else { 0x00 }, payload);
    flood(
        field,
        &Flood::after(web_socket::opening("/topics/offender/x", &fields)),
        piece,
    )
}

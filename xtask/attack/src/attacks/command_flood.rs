//! Commands of push.v1: too many, and ones that are none.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::answers;
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::peer::Peer;
use crate::siege::{Case, Field, attempt};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "command-flood",
    does: "connections of push.v1 that send 1,000 commands at once: pings, text that is no command, publishes, JSON that nests 20,000 deep",
    rate: "10 connections/s, 10,000 commands/s",
    told: &["too-many-commands", "too-many-events", "1009", "4504"],
    bound: Bound {
        bytes: 16 * (64 + 64 + 128) * KIB,
        because: "16 connections that may be open at once x (64 KiB of commands read, 64 KiB of answers queued, 128 KiB of a message) = 4 MiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let fields = format!(
        "Authorization: Bearer {}\r\nSec-WebSocket-Protocol: push.v1\r\n",
        token::offender("commands")
    );
    let open = web_socket::opening("/topics", &fields);
    let nested = format!("{{\"ref\":{}", "[".repeat(20_000));
    let texts = [
        ("pings", r#"{"ref":1,"ping":{}}"#),
        ("no command", "what?"),
        (
            "publishes",
            r#"{"publish":{"topic":"offender/x","data":"y"}}"#,
        ),
        ("nesting", &nested),
    ];
    let case = |n: usize| {
        let (name, text) = texts[n % texts.len()];
        // What nests is long; a few will do.
        let count = if text.len() > 1000 { 250 } else { 1000 };
        let frame = web_socket::frame(0x81, text.as_bytes());
        Case {
            name: name.to_owned(),
            bytes: [&open[..], &frame.repeat(count)].concat(),
            right: ATTACK.told,
        }
    };
    attempt(field, 10, case, read)
}

/// The code of the first refusal that says that it is too much, or what closed the connection.
fn read(peer: &Peer) -> Option<String> {
    let told = ["too-many-commands", "too-many-events"];
    let said = answers::after_head(&peer.received)?;
    let said = told
        .into_iter()
        .find(|code| memchr::memmem::find(said, code.as_bytes()).is_some());
    said.map(str::to_owned).or_else(|| peer.told())
}

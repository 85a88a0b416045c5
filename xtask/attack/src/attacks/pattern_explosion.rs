//! Patterns: many, deep, and all of them over each other.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;

use super::{Attack, MIB, nothing};
use crate::answers;
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::peer::Peer;
use crate::siege::{Case, Field, attempt};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "pattern-explosion",
    does: "connections of push.v1 that ask for 240 overlapping patterns of up to 120 segments, publish to the deepest topic they can \
           name, then ask for 300 more",
    rate: "20 connections/s, 4,800 patterns/s, 400 publishes/s to topics of 120 segments",
    told: &["limit"],
    bound: Bound {
        bytes: 64 * 240 * 1024 + MIB,
        because: "64 connections that may be open at once x 240 patterns x 1 KiB (255 bytes and its place in the index) = 15 MiB, and 1 MiB of events",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let token = token::offender("patterns");
    let fields = format!("Authorization: Bearer {token}\r\nSec-WebSocket-Protocol: push.v1\r\n");
    let patterns: Vec<String> = (0..240).map(overlapping).collect();
    let subscribe = |patterns: &[String]| {
        let command = serde_json::json!({"ref": 1, "subscribe": {"match": patterns}});
        web_socket::frame(0x81, command.to_string().as_bytes())
    };
    let more: Vec<String> = (0..300).map(|n| format!("offender/more{n}/**")).collect();
    let deep = format!("offender/{}", vec!["a"; 119].join("/"));
    let publish = serde_json::json!({"publish": {"topic": deep, "data": "x"}});
    let publish = web_socket::frame(0x81, publish.to_string().as_bytes()).repeat(20);
    let bytes = [
        web_socket::opening("/topics", &fields),
        patterns.chunks(100).flat_map(subscribe).collect(),
        publish,
        subscribe(&more),
    ]
    .concat();
    let case = |_| Case {
        name: "patterns".to_owned(),
        bytes: bytes.clone(),
        right: ATTACK.told,
    };
    let told = attempt(field, 20, case, read)?;
    look_for_order(field)?;
    Ok(told)
}

/// `offender/a/*/a/*/…/**`: pattern number `n` has its stars where `n` has its bits.
fn overlapping(n: usize) -> String {
    let depth = 8 + n % 112;
    let segments: Vec<&str> = (0..depth)
        .map(|at| if n >> (at % 8) & 1 == 1 { "*" } else { "a" })
        .collect();
    format!("offender/{}/**", segments.join("/"))
}

fn read(peer: &Peer) -> Option<String> {
    let said = answers::after_head(&peer.received)?;
    let refused = memchr::memmem::find(said, b"\"limit\"");
    refused.map(|_| "limit".to_owned()).or_else(|| peer.told())
}

/// The server still answers, however many patterns it had.
fn look_for_order(field: &Field) -> Result<()> {
    let mut stream = TcpStream::connect(field.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    stream.read_exact(&mut [0; 12])?;
    Ok(())
}

//! Connections that begin something and then say nothing.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::http2::{self, END_STREAM, HEADERS};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Field, Hold, hold};

pub(super) const ATTACK: Attack = Attack {
    name: "idle-handshakes",
    does: "5,000 connections that stop in the middle: before a byte, in a head, in the HTTP/2 preface, after it, in a header \
           block, before a WebSocket's token",
    rate: "5,000 connections/s",
    told: &[
        "closed",
        "408",
        "4501",
        "GOAWAY NO_ERROR",
        "GOAWAY PROTOCOL_ERROR",
        "GOAWAY ENHANCE_YOUR_CALM",
    ],
    bound: Bound {
        bytes: COUNT as u64 * 32 * KIB,
        because: "5,000 x (http.max_head_bytes 16 KiB and 16 KiB of the parser's) = 156 MiB",
    },
    prepare: nothing,
    strike,
};

const COUNT: usize = 5000;

fn strike(field: &Field) -> Result<Told> {
    let opened = http2::opening(&[]);
    let block = http2::block("GET", "/topics/honest/feed", &[]);
    let half = [opened.clone(), http2::frame(HEADERS, END_STREAM, 1, &block)].concat();
    let awaited = web_socket::opening("/topics/offender/x", "Sec-WebSocket-Protocol: push.v1\r\n");
    let greeting = |n: usize| match n % 6 {
        0 => Vec::new(),
        1 => b"GET /topics/honest/feed HT".to_vec(),
        2 => http2::PREFACE[..10].to_vec(),
        3 => opened.clone(),
        4 => half.clone(),
        _ => awaited.clone(),
    };
    hold(
        field,
        &Hold {
            count: COUNT,
            per_second: 5000,
            greeting: &greeting,
            drip: None,
            unread: None,
        },
    )
}

//! A thousand commands in one write, each of which asks for a megabyte.

use std::net::SocketAddr;

use anyhow::Result;

use super::{Attack, KIB, MIB, never_reading};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Field, Hold, hold};
use crate::token;
use crate::victim::BIG_TOPIC;

pub(super) const ATTACK: Attack = Attack {
    name: "unread-history",
    does: "10 connections of push.v1 that ask for a megabyte of history 600 times in one write, and read nothing",
    rate: "20 connections/s",
    told: &["closed"],
    bound: Bound {
        bytes: 10 * (MIB + 256 * KIB) + 8 * MIB,
        because: "10 x (an answer of stream.max_page_bytes 1 MiB and its last event, 64 KiB of commands) = 12 MiB, 4 MiB of log and one encoding",
    },
    prepare,
    strike,
};

fn prepare(to: SocketAddr) -> Result<()> {
    never_reading::fill(to)
}

fn strike(field: &Field) -> Result<Told> {
    let fields = format!(
        "Authorization: Bearer {}\r\nSec-WebSocket-Protocol: push.v1\r\n",
        token::offender("history")
    );
    let command = format!(r#"{{"history":{{"match":["{BIG_TOPIC}"],"last":100}}}}"#);
    let commands = web_socket::frame(0x81, command.as_bytes()).repeat(600);
    let greeting = |_| [web_socket::opening("/topics", &fields), commands.clone()].concat();
    hold(
        field,
        &Hold {
            count: 10,
            per_second: 20,
            greeting: &greeting,
            drip: None,
            unread: Some(4096),
        },
    )
}

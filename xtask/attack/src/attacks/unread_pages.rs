//! Pages that are asked for and not read, so that they wait in memory.

use std::net::SocketAddr;

use anyhow::Result;

use super::{Attack, KIB, MIB, never_reading};
use crate::frames::http2::{self, END_HEADERS, END_STREAM, HEADERS};
use crate::judge::{Bound, Told};
use crate::siege::{Field, Hold, hold};
use crate::token;
use crate::victim::BIG_TOPIC;

pub(super) const ATTACK: Attack = Attack {
    name: "unread-pages",
    does: "40 polls over HTTP/1.1, and 4 connections of HTTP/2 with 10 each and a window of a byte, for pages of 1 MiB that nobody reads",
    rate: "80 connections/s",
    told: &["closed", "GOAWAY NO_ERROR"],
    bound: Bound {
        bytes: 80 * 160 * KIB + 8 * MIB,
        because: "80 pages x (a slice of two events of 64 KB, 16 KiB of the transport's) = 13 MiB, 4 MiB of log and one encoding",
    },
    prepare,
    strike,
};

fn prepare(to: SocketAddr) -> Result<()> {
    never_reading::fill(to)
}

fn strike(field: &Field) -> Result<Told> {
    let token = token::offender("pages");
    let target = format!("/topics/{BIG_TOPIC}?after=earliest");
    let bearer = format!("Bearer {token}");
    let block = http2::block(
        "GET",
        &target,
        &[("authorization", &bearer), ("accept", "application/json")],
    );
    // SETTINGS_INITIAL_WINDOW_SIZE 1
    let mut streams = http2::opening(&[(4, 1)]);
    for n in 0..10 {
        streams.extend(http2::frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            2 * n + 1,
            &block,
        ));
    }
    let greeting = |n: usize| {
        match n % 11 {
        10 => streams.clone(),
        _ => format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\nAccept: application/json\r\n\r\n").into_bytes(),
    }
    };
    hold(
        field,
        &Hold {
            count: 44,
            per_second: 80,
            greeting: &greeting,
            drip: None,
            unread: Some(4096),
        },
    )
}

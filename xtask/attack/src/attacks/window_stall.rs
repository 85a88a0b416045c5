//! Streams that are asked for and whose window stays closed, on connections that answer every PING.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::{Attack, KIB, MIB, never_reading};
use crate::frames::http2::{self, ACK, END_HEADERS, END_STREAM, HEADERS, PING};
use crate::judge::{Bound, Told};
use crate::peer::Peer;
use crate::siege::{Field, STILL_OPEN};
use crate::token;
use crate::victim::BIG_TOPIC;

pub(super) const ATTACK: Attack = Attack {
    name: "window-stall",
    does: "10 HTTP/2 connections with 100 event streams each that have megabytes to be sent and a window of 0, and that answer every PING",
    rate: "20 connections/s, 2,000 streams/s",
    told: &[
        "GOAWAY ENHANCE_YOUR_CALM",
        "GOAWAY NO_ERROR",
        "closed",
        "RST_STREAM CANCEL",
        "RST_STREAM ENHANCE_YOUR_CALM",
        "RST_STREAM INTERNAL_ERROR",
    ],
    bound: Bound {
        bytes: CONNECTIONS as u64 * STREAMS as u64 * 64 * KIB + 4 * MIB,
        because: "10 connections x 100 streams x http2.send_buffer_bytes 64 KiB = 62.5 MiB, and 4 MiB of log",
    },
    prepare,
    strike,
};

const CONNECTIONS: usize = 10;
const STREAMS: usize = 100;

fn prepare(to: SocketAddr) -> Result<()> {
    never_reading::fill(to)
}

fn strike(field: &Field) -> Result<Told> {
    let bearer = format!("Bearer {}", token::offender("stall"));
    let fields = [
        ("authorization", &bearer[..]),
        ("accept", "text/event-stream"),
    ];
    let target = format!("/topics/{BIG_TOPIC}?after=earliest");
    let block = http2::block("GET", &target, &fields);
    // SETTINGS_INITIAL_WINDOW_SIZE 0
    let mut greeting = http2::opening(&[(4, 0)]);
    for n in 0..STREAMS as u32 {
        greeting.extend(http2::frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            2 * n + 1,
            &block,
        ));
    }
    let mut peers = Vec::new();
    for n in 0..CONNECTIONS {
        let mut peer = Peer::dial(field.address, n)?;
        peer.send(&greeting);
        peers.push((peer, 0));
        std::thread::sleep(Duration::from_millis(50));
    }
    while std::time::Instant::now() < field.until {
        for (peer, answered) in &mut peers {
            peer.pump();
            let pings = pings(&peer.received);
            for ping in pings.iter().skip(*answered) {
                peer.send(&http2::frame(PING, ACK, 0, ping));
            }
            *answered = pings.len();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut told = Told::default();
    for (peer, _) in &mut peers {
        peer.pump();
        let reset = http2::told_streams(&peer.received);
        match peer.told() {
            Some(answer) => told.note(answer),
            None if reset.len() < STREAMS => told.note(STILL_OPEN),
            None => reset.into_iter().for_each(|answer| told.note(answer)),
        }
    }
    Ok(told)
}

fn pings(received: &[u8]) -> Vec<[u8; 8]> {
    http2::frames(received)
        .filter(|(kind, flags, _, _)| *kind == PING && flags & ACK == 0)
        .filter_map(|(_, _, _, payload)| received[payload].try_into().ok())
        .collect()
}

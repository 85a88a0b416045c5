//! Readers that ask for everything and read nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Result, ensure};

use super::{Attack, KIB, MIB};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Field, Hold, hold};
use crate::token;
use crate::victim::{BIG_TOPIC, PUBLISHER_KEY};

pub(super) const ATTACK: Attack = Attack {
    name: "never-reading",
    does: "200 event streams and WebSockets with small receive buffers that ask for megabytes of history and never read",
    rate: "400 connections/s",
    told: &["closed"],
    bound: Bound {
        bytes: 200 * 64 * KIB + 8 * MIB,
        because: "200 x stream.send_buffer_bytes 64 KiB = 12.5 MiB, and 4 MiB of log with one encoding of as much",
    },
    prepare: fill,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let target = format!("/topics/{BIG_TOPIC}?after=earliest");
    let greeting = |n: usize| {
        let token = token::offender("unreading");
        match n % 2 {
            0 => format!(
                "GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
            )
            .into_bytes(),
            _ => {
                let fields = format!("Authorization: Bearer {token}\r\nSec-WebSocket-Protocol: push.v1\r\n");
                web_socket::opening(&target, &fields)
            }
        }
    };
    hold(
        field,
        &Hold {
            count: 200,
            per_second: 400,
            greeting: &greeting,
            drip: None,
            unread: Some(4096),
        },
    )
}

/// Publishes 60 events of 64 KB, which the offender may read.
pub(super) fn fill(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(to)?;
    let body = "z".repeat(64_000);
    for _ in 0..60 {
        let request = format!(
            "POST /topics/{BIG_TOPIC} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {PUBLISHER_KEY}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = [0; 1024];
        let n = stream.read(&mut answer)?;
        ensure!(
            answer[..n].starts_with(b"HTTP/1.1 200"),
            "the history was refused"
        );
    }
    Ok(())
}

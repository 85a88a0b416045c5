//! Pages of other sites, and names that lead here without being ours (DNS rebinding).

use anyhow::Result;

use super::{Attack, MIB, nothing};
use crate::judge::{Bound, Told};
use crate::siege::{Case, Field, attempt, first_answer};

pub(super) const ATTACK: Attack = Attack {
    name: "foreign-hosts",
    does: "hosts and origins that are not ours and look as if they were, on event streams, WebSockets, polls and publishes",
    rate: "100 requests/s",
    told: &["421", "403", "400"],
    bound: Bound {
        bytes: 3 * MIB,
        because: "100 requests/s x at most 1.5 s x 16 KiB of http.max_head_bytes = 2.4 MiB",
    },
    prepare: nothing,
    strike,
};

const HOSTS: [&str; 14] = [
    "evil.example",
    "push.example.com.evil.example",
    "evil-push.example.com",
    "push.example.com@evil.example",
    "localhost.evil.example",
    "notlocalhost",
    "127.0.0.1.evil.example",
    "0x7f.1",
    "2130706433",
    "push.example.com:80:80",
    "push.example.com/",
    "push.example.com, localhost",
    "localhost#evil.example",
    "[::1",
];

const ORIGINS: [&str; 14] = [
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com.evil.example",
    "https://app.example.com:444",
    "https://app.example.com/",
    "https://app.example.com@evil.example",
    "https://xapp.example.com",
    "https://example.com",
    "https://sub.app.example.com",
    "null",
    "file://",
    "https://app.example.com, https://evil.example",
    "https://localhost:8443",
    "http://localhost.evil.example",
];

fn strike(field: &Field) -> Result<Told> {
    let case = |n: usize| {
        let which = n / DOORS % (HOSTS.len() + ORIGINS.len());
        let (name, fields) = match HOSTS.get(which) {
            Some(host) => (format!("host {host}"), format!("Host: {host}\r\n")),
            None => {
                let origin = ORIGINS[which - HOSTS.len()];
                (
                    format!("origin {origin}"),
                    format!("Host: localhost\r\nOrigin: {origin}\r\n"),
                )
            }
        };
        let (door, bytes) = through(n % DOORS, &fields);
        Case {
            name: format!("{name} by {door}"),
            bytes: bytes.into_bytes(),
            right: ATTACK.told,
        }
    };
    attempt(field, 100, case, first_answer)
}

const DOORS: usize = 5;

fn through(door: usize, fields: &str) -> (&'static str, String) {
    let topic = "/topics/honest/feed";
    match door {
        0 => (
            "event stream",
            format!("GET {topic} HTTP/1.1\r\n{fields}Accept: text/event-stream\r\n\r\n"),
        ),
        1 => (
            "WebSocket",
            format!(
                "GET {topic} HTTP/1.1\r\n{fields}Upgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ),
        ),
        2 => (
            "poll",
            format!("GET {topic} HTTP/1.1\r\n{fields}Accept: application/json\r\n\r\n"),
        ),
        3 => (
            "publish",
            format!("POST {topic} HTTP/1.1\r\n{fields}Content-Length: 1\r\n\r\nx"),
        ),
        _ => (
            "preflight",
            format!(
                "OPTIONS {topic} HTTP/1.1\r\n{fields}Access-Control-Request-Method: POST\r\n\r\n"
            ),
        ),
    }
}

//! Lengths that are announced and never sent.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::http2::{self, END_HEADERS, HEADERS};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Case, Field, attempt, first_answer};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "huge-lengths",
    does: "WebSocket frames of 2^63, 2^63-1 and 2^32 bytes, long control frames, bodies of 2^63-1 bytes, HTTP/2 frames of 16 MiB",
    rate: "100 connections/s",
    told: &[
        "1002",
        "1009",
        "413",
        "431",
        "400",
        "GOAWAY FRAME_SIZE_ERROR",
        "closed",
    ],
    bound: Bound {
        bytes: 200 * 16 * KIB,
        because: "200 connections that may be open at once x 16 KiB of what they did send = 3.1 MiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let token = token::offender("lengths");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let announce = |first: u8, len: u64| {
        let open = web_socket::opening("/topics/offender/x", &bearer);
        [open, web_socket::head(first, len), b"abcd".to_vec()].concat()
    };
    let post = |length: &str| {
        format!("POST /topics/offender/x HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Length: {length}\r\n\r\nabcd").into_bytes()
    };
    // The length alone, with no bytes to follow.
    let large = [
        http2::opening(&[]),
        vec![0xff, 0xff, 0xff, HEADERS, END_HEADERS, 0, 0, 0, 1],
    ]
    .concat();
    let cases = [
        ("2^63", announce(0x82, 1 << 63)),
        ("2^63-1", announce(0x82, (1 << 63) - 1)),
        ("2^32", announce(0x81, 1 << 32)),
        ("2^63-1, compressed", announce(0xc2, (1 << 63) - 1)),
        ("a ping of 126", announce(0x89, 126)),
        ("a ping of 2^63-1", announce(0x89, (1 << 63) - 1)),
        ("a close of 65,536", announce(0x88, 65_536)),
        ("a body of 2^63-1", post("9223372036854775807")),
        ("a body of 2^64-1", post("18446744073709551615")),
        ("an HTTP/2 frame of 16 MiB", large),
    ];
    let case = |n: usize| {
        let (name, bytes) = &cases[n % cases.len()];
        Case {
            name: (*name).to_owned(),
            bytes: bytes.clone(),
            right: ATTACK.told,
        }
    };
    attempt(field, 100, case, first_answer)
}

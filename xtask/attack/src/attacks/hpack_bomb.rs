//! A large field that is put into the decoder's table once and referred to a thousand times.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::http2::{self, END_HEADERS, END_STREAM, HEADERS};
use crate::judge::{Bound, Told};
use crate::peer::Peer;
use crate::siege::{Case, Field, attempt};

pub(super) const ATTACK: Attack = Attack {
    name: "hpack-bomb",
    does: "HTTP/2 header blocks of 8 KiB that decode to 16 MiB",
    rate: "100 blocks/s",
    told: &[
        "431",
        "GOAWAY ENHANCE_YOUR_CALM",
        "GOAWAY COMPRESSION_ERROR",
        "GOAWAY PROTOCOL_ERROR",
        "RST_STREAM PROTOCOL_ERROR",
        "closed",
    ],
    bound: Bound {
        bytes: 100 * 48 * KIB,
        because: "100 connections that may be open at once x (16 KiB of http.max_head_bytes, 4 KiB of table and 28 KiB of buffers) = 4.7 MiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let mut block = http2::block("GET", "/topics/honest/feed", &[]);
    // With incremental indexing (RFC 7541 section 6.2.1): it becomes entry 62.
    block.push(0x40);
    http2::string(&mut block, "x");
    http2::string(&mut block, &"y".repeat(3900));
    block.extend(vec![0x80 | 62; 4096]);
    let bytes = [
        http2::opening(&[]),
        http2::frame(HEADERS, END_HEADERS | END_STREAM, 1, &block),
    ]
    .concat();
    let case = |_| Case {
        name: "a bomb".to_owned(),
        bytes: bytes.clone(),
        right: ATTACK.told,
    };
    attempt(field, 100, case, read)
}

fn read(peer: &Peer) -> Option<String> {
    let of_stream = http2::told_streams(&peer.received).into_iter().next();
    of_stream.or_else(|| peer.told())
}

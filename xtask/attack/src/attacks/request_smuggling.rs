//! Requests whose end a proxy and we might see in different places.

use anyhow::Result;

use super::{Attack, MIB, nothing};
use crate::answers;
use crate::judge::{Bound, Told};
use crate::peer::Peer;
use crate::siege::{Case, Field, attempt};

pub(super) const ATTACK: Attack = Attack {
    name: "request-smuggling",
    does: "lengths that contradict each other, codings that are not quite `chunked`, folded and malformed fields, bare line ends, \
           chunk sizes that overflow, requests behind an upgrade",
    rate: "100 requests/s",
    told: &[
        "400",
        "421",
        "431",
        "501",
        "closed",
        "one answer, then closed",
    ],
    bound: Bound {
        bytes: 4 * MIB,
        because: "100 requests/s, none of which holds more than its 1 KiB for its 1 s at most = 0.1 MiB, and 16 KiB of parser each",
    },
    prepare: nothing,
    strike,
};

/// What is smuggled: if this is answered, two requests were seen where a proxy may have seen one
const INNER: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Inner: 1\r\n\r\n";

fn strike(field: &Field) -> Result<Told> {
    let cases = cases();
    let case = |n: usize| {
        let (name, bytes) = &cases[n % cases.len()];
        Case {
            name: (*name).to_owned(),
            bytes: bytes.clone(),
            right: ATTACK.told,
        }
    };
    attempt(field, 100, case, read)
}

/// One answer that is an error, or one and then the end of the connection; a second answer is what must not be.
fn read(peer: &Peer) -> Option<String> {
    let answers = memchr::memmem::find_iter(&peer.received, b"HTTP/1.1 ").count();
    let status = answers::status(&peer.received);
    match (answers, status, peer.is_closed) {
        (0, _, true) => Some("closed".to_owned()),
        (0, _, false) | (_, None, _) => None,
        (1, Some(400 | 421 | 431 | 501), _) => Some(status?.to_string()),
        (1, Some(_), true) => Some("one answer, then closed".to_owned()),
        (1, Some(status), false) => Some(format!("{status} and open")),
        (n, Some(status), _) => Some(format!("{n} answers, {status} first")),
    }
}

fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let post = |fields: &str, body: &str| {
        format!("POST /topics/honest/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}")
            .into_bytes()
    };
    let inner = INNER;
    let chunked = format!("0\r\n\r\n{inner}");
    let both = format!(
        "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
        chunked.len()
    );
    let reversed = format!(
        "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
        chunked.len()
    );
    let te = |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), &chunked);
    let mut cases = vec![
        ("length, then chunked", post(&both, &chunked)),
        ("chunked, then length", post(&reversed, &chunked)),
        ("two lengths", post(&format!("Content-Length: 0\r\nContent-Length: {}\r\n", inner.len()), inner)),
        ("a list of lengths", post(&format!("Content-Length: 0, {}\r\n", inner.len()), inner)),
        ("a signed length", post("Content-Length: +0\r\n", inner)),
        ("a negative length", post("Content-Length: -1\r\n", inner)),
        ("a hexadecimal length", post("Content-Length: 0x0\r\n", inner)),
        ("a length that overflows", post("Content-Length: 18446744073709551616\r\n", inner)),
        ("an empty length", post("Content-Length: \r\n", inner)),
        ("a length with a space before its colon", post(&format!("Content-Length : {}\r\n", inner.len()), inner)),
        ("a coding with a space before its colon", post("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", &chunked)),
        ("a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", &chunked)),
        ("a folded field", post(&format!("X-A: b\r\n Content-Length: {}\r\n", inner.len()), inner)),
        ("a line end within a field", post("X-A: b\rContent-Length: 5\r\n", inner)),
        ("a NUL within a field", post("X-A: b\0c\r\nContent-Length: 0\r\n", "")),
        ("an underscore for a hyphen, and both", post("Content_Length: 5\r\nTransfer-Encoding: xchunked\r\n", inner)),
        ("two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &chunked)),
        ("a chunk size that overflows", post("Transfer-Encoding: chunked\r\n", &format!("10000000000000000\r\n{inner}"))),
        ("a signed chunk size", post("Transfer-Encoding: chunked\r\n", &format!("+0\r\n\r\n{inner}"))),
        ("a chunk size in 0x", post("Transfer-Encoding: chunked\r\n", &format!("0x0\r\n\r\n{inner}"))),
        ("a chunk that ends in a bare LF", post("Transfer-Encoding: chunked\r\n", &format!("1\r\na\n0\r\n\r\n{inner}"))),
        ("an extension with a bare LF", post("Transfer-Encoding: chunked\r\n", &format!("1;a\nb\r\na\r\n0\r\n\r\n{inner}"))),
        ("two hosts", b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: push.example.com\r\n\r\n".to_vec()),
        ("no host", b"GET /health HTTP/1.1\r\n\r\n".to_vec()),
        ("HTTP/1.0 with chunks", format!("POST /topics/honest/x HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}").into_bytes()),
        ("a space in the target", format!("GET /health?a b HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{inner}", 0).into_bytes()),
        ("a version of its own", b"GET /health HTTP/1.9\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a method that is none", b"GE(T /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        (
            "a request behind a bad upgrade",
            format!(
                "GET /topics/honest/feed HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n{inner}"
            )
            .into_bytes(),
        ),
        (
            "an upgrade with a body",
            format!(
                "GET /topics/honest/feed HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nContent-Length: {}\r\n\r\n{inner}",
                inner.len()
            )
            .into_bytes(),
        ),
    ];
    for (name, value) in [
        ("coding `xchunked`", "xchunked"),
        ("coding `chunked, identity`", "chunked, identity"),
        ("coding `identity`", "identity"),
        ("coding `chunked` in quotes", "\"chunked\""),
        ("coding `chunked` behind a form feed", "\x0cchunked"),
        ("coding `chunked;q=1`", "chunked;q=1"),
        ("coding `gzip, chunked, gzip`", "gzip, chunked, gzip"),
        ("an empty coding", ""),
    ] {
        cases.push((name, te(value)));
    }
    cases
}

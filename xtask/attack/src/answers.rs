//! What an offender was told, read from the server's bytes.

use crate::frames::http2;
use crate::frames::web_socket;

/// What the server has said to this connection that ends it, if it has.
///
/// A status for HTTP/1, a close code for WebSocket, `GOAWAY` and its reason for HTTP/2, or `closed`.
pub(crate) fn told(received: &[u8], is_closed: bool) -> Option<String> {
    let closed = is_closed.then(|| "closed".to_owned());
    if received.is_empty() {
        return closed;
    }
    if !received.starts_with(b"HTTP/1.") {
        return http2::told(received).or(closed);
    }
    match status(received)? {
        101 => web_socket::told(after_head(received)?).or(closed),
        // A stream that goes on says nothing yet.
        200 if received.windows(17).any(|w| w == b"text/event-stream") => closed,
        status => Some(status.to_string()),
    }
}

/// The status of the first response.
pub(crate) fn status(received: &[u8]) -> Option<u16> {
    after_head(received)?;
    let line = received.get(9..12)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// What follows the head of the first response.
pub(crate) fn after_head(received: &[u8]) -> Option<&[u8]> {
    let end = memchr::memmem::find(received, b"\r\n\r\n")?;
    Some(&received[end + 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(received: &[u8], is_closed: bool, expect: Option<&str>) {
        assert_eq!(told(received, is_closed).as_deref(), expect);
    }

    #[test]
    fn each_protocol_has_its_own_way_to_say_no() {
        check(b"HTTP/1.1 431 Too large\r\n\r\n", false, Some("431"));
        check(
            b"HTTP/1.1 101 x\r\n\r\n\x81\x01a\x88\x02\x03\xf1",
            false,
            Some("1009"),
        );
        check(
            &http2::frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]),
            false,
            Some("GOAWAY ENHANCE_YOUR_CALM"),
        );
        check(b"", true, Some("closed"));
    }

    #[test]
    fn a_connection_that_goes_on_was_told_nothing() {
        check(b"", false, None);
        check(b"HTTP/1.1 431 Too lar", false, None);
        check(b"HTTP/1.1 101 x\r\n\r\n\x81\x01a", false, None);
        check(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n",
            false,
            None,
        );
        check(&http2::frame(4, 0, 0, &[]), false, None);
    }
}

//! HTTP/2 (RFC 9113) and as much of HPACK (RFC 7541) as an attacker needs.

use std::ops::Range;

/// RFC 9113 section 3.4
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Names of the error codes of section 7, by number
const ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("no frame of ours has 4 GiB");
    let mut frame = len.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The preface and the client's settings.
pub(crate) fn opening(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in settings {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    [PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()
}

/// A header block: method, path and fields, each a literal that nobody has to remember.
pub(crate) fn block(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    let own = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
    ];
    for (name, value) in own.iter().chain(fields) {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

/// A string literal without Huffman coding (RFC 7541 section 5.2).
pub(crate) fn string(block: &mut Vec<u8>, text: &str) {
    integer(block, 0, 7, text.len());
    block.extend_from_slice(text.as_bytes());
}

/// An integer with a prefix of so many bits (RFC 7541 section 5.1).
fn integer(block: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        return block.push(first | value as u8);
    }
    block.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        block.push(0x80 | (rest % 128) as u8);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The frames that are whole: kind, flags, stream and where the payload is.
pub(crate) fn frames(bytes: &[u8]) -> impl Iterator<Item = (u8, u8, u32, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = bytes.get(at..at + 9)?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = at + 9..at + 9 + len;
        bytes.get(payload.clone())?;
        at = payload.end;
        Some((head[3], head[4], stream, payload))
    })
}

/// Why the connection ends, if it does.
pub(crate) fn told(bytes: &[u8]) -> Option<String> {
    let (_, _, _, payload) = frames(bytes).find(|frame| frame.0 == GOAWAY)?;
    let code = bytes[payload].get(4..8)?;
    Some(format!("GOAWAY {}", error(code)))
}

/// Why streams end: each reset's reason, and each status that is not 200.
pub(crate) fn told_streams(bytes: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    for (kind, _, _, payload) in frames(bytes) {
        match kind {
            RST_STREAM => told.push(format!("RST_STREAM {}", error(&bytes[payload]))),
            HEADERS => told.extend(status(&bytes[payload]).filter(|s| s != "200")),
            _ => {}
        }
    }
    told
}

fn error(code: &[u8]) -> String {
    let code = u32::from_be_bytes(code.try_into().unwrap_or([0xff; 4]));
    let name = ERRORS.get(code as usize);
    name.map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

/// `:status`, which our server's encoder writes first: a static index, or digits after the name's index.
pub(crate) fn status(block: &[u8]) -> Option<String> {
    // A size update of the table may come before.
    let block = match block {
        [first, rest @ ..] if first & 0xe0 == 0x20 => rest,
        block => block,
    };
    const STATIC: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];
    match *block {
        [indexed @ 0x88..=0x8e, ..] => Some(STATIC[usize::from(indexed) - 0x88].to_owned()),
        [0x48 | 0x08 | 0x18, len, ref rest @ ..] if len & 0x80 == 0 => {
            let digits = rest.get(..usize::from(len))?;
            Some(String::from_utf8_lossy(digits).into_owned())
        }
        [0x48 | 0x08 | 0x18, len, ref rest @ ..] => digits(rest.get(..usize::from(len & 0x7f))?),
        _ => None,
    }
}

/// Three digits of the Huffman code of RFC 7541 appendix B: 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> Option<String> {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|b| (0..8).rev().map(move |i| b >> i & 1))
        .collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |n, bit| n << 1 | bit);
    let (mut at, mut text) = (0, String::new());
    while text.len() < 3 {
        let short = number(bits.get(at..at + 5)?);
        if short < 3 {
            text.push(char::from(b'0' + short));
            at += 5;
        } else {
            let long = number(bits.get(at..at + 6)?);
            text.push(char::from(b'3' + long.checked_sub(0b01_1001)?));
            at += 6;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_each_of_their_codings() {
        for (block, expect) in [
            (&[0x88][..], "200"),
            (&[0x20, 0x8d], "404"),
            (&[0x48, 3, b'4', b'3', b'1'], "431"),
            // RFC 7541 appendix C.6.1
            (&[0x48, 0x82, 0x64, 0x02], "302"),
        ] {
            assert_eq!(status(block).as_deref(), Some(expect));
        }
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let bytes = [frame(PING, 0, 0, &[7; 8]), frame(DATA, 1, 3, b"abc")].concat();
        let read: Vec<_> = frames(&bytes)
            .map(|f| (f.0, f.1, f.2, bytes[f.3].to_vec()))
            .collect();
        assert_eq!(
            read,
            [(PING, 0, 0, vec![7; 8]), (DATA, 1, 3, b"abc".to_vec())]
        );
    }
}

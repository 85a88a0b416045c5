//! WebSocket frames (RFC 6455 section 5.2).

/// The mask of every frame that is masked; what it is makes no difference to a server
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame; `first` is its first byte, reserved bits and all.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len() as u64);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    frame
}

/// The head of a masked frame that announces so many bytes.
pub(crate) fn head(first: u8, len: u64) -> Vec<u8> {
    let mut head = vec![first];
    match len {
        0..126 => head.push(0x80 | len as u8),
        126..65_536 => {
            head.push(0x80 | 126);
            head.extend((len as u16).to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend(len.to_be_bytes());
        }
    }
    head.extend(MASK);
    head
}

/// The request that opens a WebSocket, with more header fields that each end in CRLF.
pub(crate) fn opening(target: &str, fields: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
    .into_bytes()
}

/// The first frame a server has sent: first byte, payload and its whole length.
pub(crate) fn next(input: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [first, second, ..] = *input else {
        return None;
    };
    let (start, len): (usize, usize) = match second & 0x7f {
        126 => {
            let len = input.get(2..4)?;
            (4, usize::from(u16::from_be_bytes([len[0], len[1]])))
        }
        127 => {
            let len = input.get(2..10)?.try_into().ok()?;
            (10, usize::try_from(u64::from_be_bytes(len)).ok()?)
        }
        short => (2, usize::from(short)),
    };
    let end = start.checked_add(len)?;
    Some((first, input.get(start..end)?, end))
}

/// The code of the close frame among these frames, if there is one.
pub(crate) fn told(mut input: &[u8]) -> Option<String> {
    while let Some((first, payload, len)) = next(input) {
        if first & 0x0f == 8 {
            return Some(match payload {
                [a, b, ..] => u16::from_be_bytes([*a, *b]).to_string(),
                _ => "1005".to_owned(),
            });
        }
        input = &input[len..];
    }
    None
}

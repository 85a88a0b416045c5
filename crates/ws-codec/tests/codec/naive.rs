//! A second decoder, written from the RFC for reading and nothing else: what the fast one must agree with.
//!
//! It looks at the whole stream at once, copies everything, knows no compression and does not say where it failed.

use std::fmt::Write;

use ws_codec::{Limits, Role};

use crate::transcript::hex;

/// What the stream says, in the notation of the transcript, without the offset of a failure.
pub(crate) fn transcript(role: Role, limits: &Limits, bytes: &[u8]) -> String {
    let mut line = String::new();
    if let Err(code) = read(role, limits, bytes, &mut line) {
        write!(line, "!{code}").unwrap();
    }
    line.trim_end().to_owned()
}

/// A message under way
struct Message {
    is_text: bool,
    bytes: Vec<u8>,
    announced: u128,
    fragments: u32,
}

fn read(role: Role, limits: &Limits, mut bytes: &[u8], line: &mut String) -> Result<(), u16> {
    let mut message: Option<Message> = None;
    loop {
        let Some(&first) = bytes.first() else {
            return Ok(());
        };
        let (fin, opcode) = (first >> 7 == 1, first & 0xF);
        if first & 0x70 != 0 || !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10) {
            return Err(1002);
        }
        let control = opcode >= 8;
        if control && !fin
            || opcode == 0 && message.is_none()
            || matches!(opcode, 1 | 2) && message.is_some()
        {
            return Err(1002);
        }
        if opcode == 0
            && message
                .as_ref()
                .is_some_and(|message| message.fragments >= limits.max_fragments)
        {
            return Err(1008);
        }
        let Some(&second) = bytes.get(1) else {
            return Ok(());
        };
        let masked = second >> 7 == 1;
        if masked != (role == Role::Server) {
            return Err(1002);
        }
        let short = second & 0x7F;
        if control && short > 125 || opcode == 8 && short == 1 {
            return Err(1002);
        }
        let width = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        // The least and the most the length can be, for the bytes of it that are here.
        let here = &bytes[2..bytes.len().min(2 + width)];
        let fill = |filler: u8| {
            let missing = vec![filler; width - here.len()];
            here.iter()
                .chain(&missing)
                .fold(0_u128, |length, byte| length << 8 | u128::from(*byte))
        };
        let (least, most) = if width == 0 {
            (u128::from(short), u128::from(short))
        } else {
            (fill(0), fill(0xFF))
        };
        let minimum = [0, 126, 65536][width.div_ceil(4)];
        if least >> 63 == 1 || most < minimum {
            return Err(1002);
        }
        let before = message.as_ref().map_or(0, |message| message.announced);
        if !control
            && (least > limits.max_frame as u128 || before + least > limits.max_message as u128)
        {
            return Err(1009);
        }
        let head = 2 + width + if masked { 4 } else { 0 };
        if bytes.len() < head {
            return Ok(());
        }
        let mask = if masked {
            [0, 1, 2, 3].map(|i| bytes[2 + width + i])
        } else {
            [0; 4]
        };
        let available = (bytes.len() - head).min(usize::try_from(least).unwrap_or(usize::MAX));
        let whole = available as u128 == least;
        let payload: Vec<u8> = bytes[head..head + available]
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ mask[i % 4])
            .collect();
        if control {
            read_control(opcode, &payload, whole, line)?;
            if !whole || opcode == 8 {
                return Ok(());
            }
        } else {
            let message = message.get_or_insert(Message {
                is_text: opcode == 1,
                bytes: Vec::new(),
                announced: 0,
                fragments: 0,
            });
            message.bytes.extend(payload);
            message.announced += least;
            message.fragments += 1;
            let ends = whole && fin;
            if message.is_text && !could_be_utf8(&message.bytes, ends) {
                return Err(1007);
            }
            if ends && message.is_text {
                write!(line, "text({}) ", String::from_utf8_lossy(&message.bytes)).unwrap();
            } else if ends {
                write!(line, "binary({}) ", hex(&message.bytes)).unwrap();
            }
            if !whole {
                return Ok(());
            }
        }
        if !control && fin {
            message = None;
        }
        bytes = &bytes[head + available..];
    }
}

fn read_control(opcode: u8, payload: &[u8], whole: bool, line: &mut String) -> Result<(), u16> {
    if opcode == 8 {
        let valid = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        match payload {
            [] => {}
            [high] => {
                if !(0..=255).any(|low| valid(u16::from_be_bytes([*high, low]))) {
                    return Err(1002);
                }
            }
            [high, low, reason @ ..] => {
                if !valid(u16::from_be_bytes([*high, *low])) {
                    return Err(1002);
                }
                if !could_be_utf8(reason, whole) {
                    return Err(1007);
                }
            }
        }
    }
    if whole {
        match (opcode, payload) {
            (8, [high, low, reason @ ..]) => {
                let code = u16::from_be_bytes([*high, *low]);
                match reason {
                    [] => write!(line, "close({code}) ").unwrap(),
                    reason => {
                        write!(line, "close({code} {}) ", String::from_utf8_lossy(reason)).unwrap();
                    }
                }
            }
            (8, _) => line.push_str("close() "),
            (9, _) => write!(line, "ping({}) ", hex(payload)).unwrap(),
            _ => write!(line, "pong({}) ", hex(payload)).unwrap(),
        }
    }
    Ok(())
}

/// Whether this is UTF-8, or may become it with what is still to come.
fn could_be_utf8(bytes: &[u8], ends: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && !ends,
    }
}

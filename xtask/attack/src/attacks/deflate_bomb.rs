//! Compressed messages that inflate to megabytes.

use anyhow::Result;

use super::{Attack, KIB, nothing};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Case, Field, attempt, first_answer};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "deflate-bomb",
    does: "messages of 8 to 60 KiB by permessage-deflate that inflate to 1.2 to 9.5 MiB, whole and in fragments",
    rate: "100 messages/s",
    told: &["1009"],
    bound: Bound {
        bytes: 100 * (2 * 64 + 48) * KIB,
        because: "100 connections that may be open at once x (websocket.max_message_bytes 64 KiB in a vector that doubles, and 48 KiB \
                  of an inflater with its window) = 17.2 MiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let fields = format!(
        "Authorization: Bearer {}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        token::offender("bombs")
    );
    let open = web_socket::opening("/topics/offender/x", &fields);
    let (small, large) = (bomb(5000), bomb(38_000));
    // Text with RSV1; the same in two fragments; in many.
    let halves = small.split_at(small.len() / 2);
    let pieces: Vec<u8> = small
        .chunks(64)
        .enumerate()
        .flat_map(|(n, piece)| web_socket::frame(if n == 0 { 0x41 } else { 0x00 }, piece))
        .collect();
    let cases = [
        ("8 KiB", web_socket::frame(0xc1, &small)),
        ("60 KiB", web_socket::frame(0xc1, &large)),
        (
            "two fragments",
            [
                web_socket::frame(0x41, halves.0),
                web_socket::frame(0x80, halves.1),
            ]
            .concat(),
        ),
        ("many fragments", pieces),
    ];
    let case = |n: usize| {
        let (name, bytes) = &cases[n % cases.len()];
        Case {
            name: (*name).to_owned(),
            bytes: [&open[..], bytes].concat(),
            right: ATTACK.told,
        }
    };
    attempt(field, 100, case, first_answer)
}

/// A DEFLATE stream (RFC 1951 section 3.2.6, fixed codes) of one letter and `copies` copies of 258 letters.
///
/// 13 bits for each copy: nothing inflates to more.
fn bomb(copies: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // BFINAL 0, BTYPE 01
    bits.push(0b010, 3);
    // The literal `a`: its code is 0x30 and its value, first bit first.
    bits.push_code(0x30 + u16::from(b'a'), 8);
    for _ in 0..copies {
        // Length 258 is code 285, distance 1 is code 0.
        bits.push_code(0b1100_0101, 8);
        bits.push_code(0, 5);
    }
    // End of block; then the empty stored block of which RFC 7692 takes the last four bytes away.
    bits.push_code(0, 7);
    bits.push(0, 3);
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// Numbers go lowest bit first.
    fn push(&mut self, value: u16, bits: u32) {
        for bit in 0..bits {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << (self.used % 8);
            }
            self.used += 1;
        }
    }

    /// Codes go highest bit first.
    fn push_code(&mut self, code: u16, bits: u32) {
        for bit in (0..bits).rev() {
            self.push(code >> bit & 1, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_what_the_specification_makes_of_it() {
        // 0b010, then the literal's code 10010001, then one copy: 11000101 00000, then 0000000 and 000.
        assert_eq!(bomb(1), [0b0100_1010, 0b0001_1100, 0b0000_0101, 0, 0]);
        assert!(bomb(38_000).len() < 62 * 1024);
    }
}

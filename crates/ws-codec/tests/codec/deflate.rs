//! permessage-deflate, with what RFC 7692 prints and what attackers send.

use ws_codec::handshake::DeflateConfig;
use ws_codec::{Deflater, Limits, Role};

use crate::transcript::{Reader, SERVER, hex, masked};

const PLAIN: Reader = Reader {
    deflate: Some((15, true)),
    ..SERVER
};
const ALONE: Reader = Reader {
    deflate: Some((15, false)),
    ..SERVER
};

fn deflater(bits: u8, takeover: bool) -> Deflater {
    let config = DeflateConfig {
        client_no_context_takeover: !takeover,
        client_max_window_bits: bits,
        ..DeflateConfig::default()
    };
    Deflater::new(Role::Client, &config.into(), 6)
}

#[test]
fn the_examples_of_the_rfc_inflate() {
    // 7.2.3.1: one block
    let hello = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
    PLAIN.check(&masked(0xC1, hello), "text(Hello)");
    ALONE.check(&masked(0xC1, hello), "text(Hello)");
    // Fragmented: the bit stands on the first frame alone.
    let fragments = [
        masked(0x41, b"\xF2\x48\xCD"),
        masked(0x89, b"p"),
        masked(0x80, b"\xC9\xC9\x07\x00"),
    ];
    PLAIN.check(&fragments.concat(), "ping(70) text(Hello)");
    // 7.2.3.2: the second message refers to the first
    let second = b"\xF2\x00\x11\x00\x00";
    PLAIN.check(
        &[masked(0xC1, hello), masked(0xC1, second)].concat(),
        "text(Hello) text(Hello)",
    );
    ALONE.check(
        &[masked(0xC1, hello), masked(0xC1, second)].concat(),
        "text(Hello) !1007",
    );
    // 7.2.3.3: a block without compression
    PLAIN.check(
        &masked(0xC1, b"\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00"),
        "text(Hello)",
    );
    // 7.2.3.4: a block with BFINAL set
    PLAIN.check(
        &masked(0xC1, b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00"),
        "text(Hello)",
    );
    // 7.2.3.5: two blocks
    PLAIN.check(
        &masked(
            0xC1,
            b"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00",
        ),
        "text(Hello)",
    );
    // 7.2.3.6: nothing
    PLAIN.check(&masked(0xC1, b"\x00"), "text()");
}

#[test]
fn uncompressed_messages_pass_beside_compressed_ones() {
    let stream = [
        masked(0x81, b"a"),
        masked(0xC1, b"\xF2\x48\xCD\xC9\xC9\x07\x00"),
        masked(0x82, b"b"),
    ];
    PLAIN.check(&stream.concat(), "text(a) text(Hello) binary(62)");
}

#[test]
fn a_final_block_is_the_end_of_a_stream_and_never_a_loop() {
    PLAIN.check(&masked(0xC2, b"\x03\x80"), "binary()");
    PLAIN.check(&masked(0xC2, b"\x03\x00"), "binary()");
    ALONE.check(&masked(0xC2, &b"\x03\x00".repeat(100)), "binary()");
    // The stream after it begins anew, in the same message and in the next.
    let hello = b"\xF3\x48\xCD\xC9\xC9\x07\x00";
    PLAIN.check(&masked(0xC1, &hello.repeat(3)), "text(HelloHelloHello)");
    PLAIN.check(
        &masked(0xC1, hello).repeat(3),
        "text(Hello) text(Hello) text(Hello)",
    );
    PLAIN.check(
        &[masked(0xC1, hello), masked(0xC1, b"\xF2\x00\x11\x00\x00")].concat(),
        "text(Hello) !1007",
    );
}

#[test]
fn an_empty_compressed_message_is_empty() {
    // Not what the RFC says to send, and what zlib gives for the second of two flushes with nothing between.
    PLAIN.check(&masked(0xC2, b""), "binary()");
    PLAIN.check(&[masked(0x42, b""), masked(0x80, b"")].concat(), "binary()");
}

#[test]
fn what_is_not_deflate_is_invalid_data() {
    for reader in [PLAIN, ALONE] {
        // The reserved block type
        reader.check(&masked(0xC2, b"\x07\x00"), "!1007");
        // A stored block whose length and its complement disagree
        reader.check(&masked(0xC2, b"\x00\x05\x00\x05\x00Hello"), "!1007");
        // A distance that reaches before the beginning
        reader.check(&masked(0xC2, b"\xF2\x00\x11\x00\x00"), "!1007");
        // Cut short in a stored block: the four octets that are added would be its data
        reader.check(&masked(0xC2, b"\x00\xFF\x00\x00\xFFHello"), "!1007");
        reader.check(&masked(0xC2, b"\x00\x0A\x00\xF5\xFFHello"), "!1007");
        // Broken in the table of a block with a code of its own
        reader.check(&masked(0xC2, b"\xED\xC0\x81\x00"), "!1007");
    }
}

#[test]
fn a_message_cut_short_anywhere_is_invalid_data() {
    let compressed =
        deflater(15, false).compress("words, words and more words of it".repeat(9).as_bytes());
    for end in 1..compressed.len() - 1 {
        ALONE.check_few(&masked(0xC2, &compressed[..end]), "!1007");
    }
}

#[test]
fn a_last_block_cut_short_is_invalid_data() {
    // What is appended happens to end the block, and what comes after it would begin another stream.
    let cut = b"\x63\x7C\xE1\x62\x27\x63\x61\x62\x3B\x63\x61\x63\x62\x63\xFF";
    PLAIN.check(&masked(0xC2, cut), "!1007");
    ALONE.check(&masked(0xC2, cut), "!1007");
}

#[test]
fn text_is_checked_after_inflating() {
    let mut deflater = deflater(15, false);
    PLAIN.check(
        &masked(0xC1, &deflater.compress("κόσμε".as_bytes())),
        "text(κόσμε)",
    );
    PLAIN.check(&masked(0xC1, &deflater.compress(b"ab\xFF")), "!1007");
    PLAIN.check(&masked(0xC1, &deflater.compress(b"ab\xE2\x82")), "!1007");
    PLAIN.check(
        &masked(0xC2, &deflater.compress(b"ab\xFF")),
        "binary(6162ff)",
    );
    // An unfinished character does not leak into the next message.
    PLAIN.check(
        &masked(0xC1, &deflater.compress("é".as_bytes())).repeat(2),
        "text(é) text(é)",
    );
}

#[test]
fn a_message_that_inflates_past_the_limit_is_refused() {
    let mut deflater = deflater(15, false);
    let reader = PLAIN.max_message(1000);
    reader.check_few(
        &masked(0xC2, &deflater.compress(&[7; 1000])),
        &format!("binary({})", "07".repeat(1000)),
    );
    reader.check_few(&masked(0xC2, &deflater.compress(&[7; 1001])), "!1009");
    reader.check_few(&masked(0xC2, &deflater.compress(&[7; 100_000])), "!1009");
    // Incompressible data may take a little more on the wire than what it inflates to.
    let noise: Vec<u8> = (0..1000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let stored = [b"\x00\xE8\x03\x17\xFC", &noise[..], b"\x00"].concat();
    let reader = Reader {
        limits: Limits {
            max_frame: 2000,
            ..reader.limits
        },
        ..reader
    };
    reader.check_few(&masked(0xC2, &stored), &format!("binary({})", hex(&noise)));
}

#[test]
fn a_message_that_inflates_too_much_for_its_size_is_refused() {
    let mut deflater = deflater(15, false);
    let bomb = deflater.compress(&vec![0; 500_000]);
    let frames = |payload: &[u8]| {
        let (a, b) = payload.split_at(payload.len() / 2);
        [masked(0x42, a), masked(0x80, b)].concat()
    };
    PLAIN.check_few(&masked(0xC2, &bomb), "!1009");
    PLAIN.check_few(&frames(&bomb), "!1009");
    // Short messages may be as repetitive as they like.
    PLAIN.check_few(
        &masked(0xC2, &deflater.compress(&[0; 65_536])),
        &format!("binary({})", "00".repeat(65_536)),
    );
    let ratio = Limits {
        max_inflate_ratio: 1100,
        ..Limits::DEFAULT
    };
    let patient = Reader {
        limits: ratio,
        ..PLAIN
    };
    patient.check_few(
        &masked(0xC2, &bomb),
        &format!("binary({})", "00".repeat(500_000)),
    );
}

#[test]
fn a_context_lives_through_thousands_of_messages() {
    let mut deflater = deflater(15, true);
    let mut stream = Vec::new();
    let mut expect = Vec::new();
    for i in 0..3000 {
        let text = format!("message {i} of many that are nearly the same");
        stream.extend(masked(0xC1, &deflater.compress(text.as_bytes())));
        expect.push(format!("text({text})"));
    }
    assert!(stream.len() < 3000 * 20);
    PLAIN.check_few(&stream, &expect.join(" "));
}

#[test]
fn every_window_inflates_what_was_compressed_for_it() {
    let text = "words that come again after a while, ".repeat(2000);
    for bits in 8..=15 {
        let compressed = deflater(bits, false).compress(text.as_bytes());
        let reader = Reader {
            deflate: Some((bits, false)),
            ..SERVER
        };
        reader.check_few(&masked(0xC1, &compressed), &format!("text({text})"));
    }
}

#[test]
fn a_window_of_eight_bits_is_never_exceeded() {
    // What repeats at a distance of 300 is out of an 8-bit window and inside a 10-bit one.
    let noise: Vec<u8> = (0..300u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let twice = [&noise[..], &noise].concat();
    assert!(deflater(10, false).compress(&twice).len() < 400);
    assert!(deflater(8, false).compress(&twice).len() > 500);
}

#[test]
fn deflaters_output_is_the_rfcs() {
    assert_eq!(
        deflater(15, true).compress(b"Hello"),
        b"\xF2\x48\xCD\xC9\xC9\x07\x00"
    );
    assert_eq!(deflater(15, true).compress(b""), b"\x00");
}

//! Everything a peer can do wrong, and the close code it gets for it, at the earliest byte that proves it.
//!
//! Each stream is read whole, byte by byte and cut at every pair of places.

use crate::transcript::{CLIENT, SERVER, announced, close, masked, plain};

#[test]
fn frames_are_masked_by_clients_and_by_nobody_else() {
    SERVER.check(&plain(0x81, b"Hello"), "!1002@1");
    SERVER.check(&plain(0x89, b""), "!1002@1");
    CLIENT.check(&masked(0x81, b"Hello"), "!1002@1");
    SERVER.check(&masked(0x81, b"Hello"), "text(Hello)");
    CLIENT.check(&plain(0x81, b"Hello"), "text(Hello)");
}

#[test]
fn reserved_bits_are_clear() {
    for first in [
        0x91, 0xA1, 0xB1, 0xC1, 0xC2, 0xF1, 0x99, 0xA9, 0xC9, 0xC8, 0xCA,
    ] {
        SERVER.check(&masked(first, b"x"), "!1002@0");
    }
    // An agreed permessage-deflate gives RSV1 a meaning, on the first frame of a message alone.
    for first in [0x91, 0xA1, 0xC9, 0xC8, 0xCA] {
        SERVER.deflate().check(&masked(first, b"x"), "!1002@0");
    }
    let start = masked(0x01, b"ab");
    SERVER
        .deflate()
        .check(&[&start[..], &masked(0xC0, b"x")].concat(), "!1002@8");
    let start = masked(0x41, b"\xF2\x48");
    SERVER
        .deflate()
        .check(&[&start[..], &masked(0xC0, b"x")].concat(), "!1002@8");
}

#[test]
fn reserved_opcodes_fail_at_their_first_byte() {
    for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
        SERVER.check(&masked(0x80 | opcode, b"payload"), "!1002@0");
        SERVER.check(&[0x80 | opcode], "!1002@0");
    }
}

#[test]
fn control_frames_are_whole_and_short() {
    for opcode in [8, 9, 0xA] {
        SERVER.check(&masked(opcode, b""), "!1002@0");
        SERVER.check(&masked(0x80 | opcode, &[0; 126]), "!1002@1");
        SERVER.check(&announced(0x80 | opcode, 70_002), "!1002@1");
    }
    SERVER.check(
        &masked(0x89, &[b'p'; 125]),
        &format!("ping({})", "70".repeat(125)),
    );
    SERVER.check(
        &masked(0x8A, &[b'p'; 125]),
        &format!("pong({})", "70".repeat(125)),
    );
}

#[test]
fn lengths_take_the_fewest_bytes() {
    SERVER.check(&[0x82, 0xFE, 0, 125, 1, 2, 3, 4], "!1002@3");
    SERVER.check(&[0x82, 0xFE, 0, 0, 1, 2, 3, 4], "!1002@3");
    SERVER.check(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], "!1002@7");
    SERVER.check(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1], "!1002@7");
    SERVER.check(&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], "!1002@2");
    SERVER.check(&[0x82, 0xFF, 0xFF], "!1002@2");
    SERVER.check(
        &masked(0x82, &[7; 126]),
        &format!("binary({})", "07".repeat(126)),
    );
    CLIENT.check(
        &plain(0x82, &[7; 127]),
        &format!("binary({})", "07".repeat(127)),
    );
}

#[test]
fn a_length_over_the_limit_fails_in_the_header() {
    SERVER.check(&announced(0x82, (1 << 63) - 1), "!1009@2");
    SERVER.check(&announced(0x82, 1 << 40), "!1009@4");
    // One over a limit of 1000, whose first byte could still belong to a length within it.
    SERVER
        .max_message(1000)
        .check(&announced(0x82, 1001), "!1009@3");
    SERVER
        .max_message(1000)
        .check(&announced(0x82, 0x400), "!1009@2");
    SERVER
        .max_message(100)
        .check(&announced(0x82, 101), "!1009@1");
    // What is not minimal is wrong whatever the limit.
    SERVER
        .max_message(10)
        .check(&[0x82, 0xFE, 0, 50], "!1002@3");
    // A zero length at a limit of zero is within it.
    SERVER.max_message(0).check(&masked(0x82, b""), "binary()");
    SERVER.max_message(0).check(&masked(0x82, b"x"), "!1009@1");
}

#[test]
fn a_message_of_exactly_the_limit_passes() {
    let reader = SERVER.max_message(10);
    reader.check(&masked(0x82, &[1; 10]), "binary(01010101010101010101)");
    reader.check(&masked(0x82, &[1; 11]), "!1009@1");
    let six = masked(0x02, &[1; 6]);
    reader.check(
        &[&six[..], &masked(0x80, &[2; 4])].concat(),
        "binary(01010101010102020202)",
    );
    reader.check(&[&six[..], &masked(0x80, &[2; 5])].concat(), "!1009@13");
    // The next message starts from nothing.
    let whole = masked(0x82, &[1; 10]);
    let twice = "binary(01010101010101010101)";
    reader.check(&[&whole[..], &whole].concat(), &format!("{twice} {twice}"));
    let fragmented = [masked(0x02, &[1; 5]), masked(0x80, &[1; 5])].concat();
    reader.check(
        &[&fragmented[..], &fragmented].concat(),
        &format!("{twice} {twice}"),
    );
}

#[test]
fn fragments_add_up_in_64_bits() {
    let reader = SERVER.max_message(usize::MAX);
    let start = masked(0x02, b"xy");
    reader.check(&[&start[..], &announced(0x80, (1 << 63) - 1)].concat(), "");
    let reader = SERVER.max_message(1 << 62);
    reader.check(
        &[&start[..], &announced(0x80, 1 << 62)].concat(),
        "!1009@10",
    );
}

#[test]
fn messages_do_not_interleave() {
    SERVER.check(&masked(0x80, b"x"), "!1002@0");
    SERVER.check(&masked(0x00, b"x"), "!1002@0");
    SERVER.check(
        &[masked(0x81, b"a"), masked(0x80, b"b")].concat(),
        "text(a) !1002@7",
    );
    SERVER.check(
        &[masked(0x01, b"a"), masked(0x81, b"b")].concat(),
        "!1002@7",
    );
    SERVER.check(
        &[masked(0x01, b"a"), masked(0x02, b"b")].concat(),
        "!1002@7",
    );
    SERVER.check(&[masked(0x02, b""), masked(0x82, b"")].concat(), "!1002@6");
}

#[test]
fn control_frames_may_come_between_fragments() {
    let stream = [
        masked(0x01, b"Hel"),
        masked(0x89, b"p"),
        masked(0x00, b"l"),
        masked(0x8A, b""),
        masked(0x80, b"o"),
    ];
    SERVER.check(&stream.concat(), "ping(70) pong() text(Hello)");
}

#[test]
fn fragments_are_counted() {
    let empty = |count| [masked(0x01, b""), masked(0x00, b"").repeat(count)].concat();
    let reader = SERVER.max_fragments(4);
    reader.check(&[&empty(2)[..], &masked(0x80, b"x")].concat(), "text(x)");
    reader.check(&[&empty(3)[..], &masked(0x80, b"x")].concat(), "!1008@24");
    // Each message has its own count.
    let message = [&empty(2)[..], &masked(0x80, b"x")].concat();
    reader.check(&message.repeat(3), "text(x) text(x) text(x)");
}

#[test]
fn text_is_utf8_at_its_first_wrong_byte() {
    // The payload begins at byte 6.
    SERVER.check(&masked(0x81, "κόσμε 𝄞".as_bytes()), "text(κόσμε 𝄞)");
    SERVER.check(&masked(0x81, b"ab\xC0\xAF"), "!1007@8");
    SERVER.check(&masked(0x81, b"\xED\xA0\x80"), "!1007@7");
    SERVER.check(&masked(0x81, b"\xF4\x90\x80\x80"), "!1007@7");
    SERVER.check(&masked(0x81, b"ab\xCE"), "!1007@8");
    SERVER.check(&masked(0x81, b"\xFFabc"), "!1007@6");
    // A server's text has no mask, and begins at byte 2.
    CLIENT.check(&plain(0x81, "κόσμε 𝄞".as_bytes()), "text(κόσμε 𝄞)");
    CLIENT.check(&plain(0x81, b"ab\xC0\xAF"), "!1007@4");
    CLIENT.check(&plain(0x81, b"abc\xFF"), "!1007@5");
    let long = [&[b'a'; 2000][..], b"\x80"].concat();
    CLIENT.check_few(&plain(0x81, &long), "!1007@2004");
    SERVER.check_few(&masked(0x81, &long), "!1007@2008");
    // A wrong byte fails before the frame is whole.
    SERVER.check(
        &masked(0x81, &[&b"\xFF"[..], &[b'a'; 1000]].concat())[..20],
        "!1007@8",
    );
}

#[test]
fn text_is_utf8_across_fragments() {
    let stream = [
        masked(0x01, b"\xCE"),
        masked(0x89, b""),
        masked(0x00, b""),
        masked(0x80, b"\xBA"),
    ];
    SERVER.check(&stream.concat(), "ping() text(κ)");
    SERVER.check(
        &[masked(0x01, b"\xCE"), masked(0x80, b"x")].concat(),
        "!1007@13",
    );
    // An empty last frame leaves the character unfinished; its last byte is the proof.
    SERVER.check(
        &[masked(0x01, b"\xCE"), masked(0x80, b"")].concat(),
        "!1007@12",
    );
    SERVER.check(
        &[masked(0x01, b"a\xCE"), masked(0x00, b""), masked(0x80, b"")].concat(),
        "!1007@19",
    );
    // What a message left unfinished does not leak into the next.
    let stream = [
        masked(0x01, b"\xCE"),
        masked(0x80, b"\xBA"),
        masked(0x81, b"a"),
        masked(0x82, b"\xBA"),
    ];
    SERVER.check(&stream.concat(), "text(κ) text(a) binary(ba)");
}

#[test]
fn long_text_is_checked_as_it_comes() {
    let mut text = "a€".repeat(30_000).into_bytes();
    let whole = SERVER.transcript([&masked(0x81, &text)[..]]);
    assert_eq!(whole.len(), text.len() + 6);
    text[100_001] = 0xFF;
    SERVER.check_few(&masked(0x81, &text), "!1007@100015");
}

#[test]
fn close_frames_say_something_valid_or_nothing() {
    SERVER.check(&masked(0x88, b""), "close()");
    SERVER.check(&masked(0x88, b"\x03"), "!1002@1");
    SERVER.check(&close(1000, b""), "close(1000)");
    SERVER.check(&close(1000, "bye €".as_bytes()), "close(1000 bye €)");
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ] {
        SERVER.check(&close(code, b""), &format!("close({code})"));
    }
    // The first byte is the proof where no valid code begins with it, else the second.
    for (code, at) in [
        (0, 6),
        (1, 6),
        (767, 6),
        (999, 7),
        (1004, 7),
        (1005, 7),
        (1006, 7),
        (1015, 7),
        (1016, 7),
        (1023, 7),
    ] {
        SERVER.check(&close(code, b""), &format!("!1002@{at}"));
    }
    for (code, at) in [
        (1100, 6),
        (2000, 6),
        (2815, 6),
        (2816, 7),
        (2999, 7),
        (5000, 7),
        (5119, 7),
        (5120, 6),
        (65535, 6),
    ] {
        SERVER.check(&close(code, b"reason"), &format!("!1002@{at}"));
    }
    SERVER.check(&close(1000, b"ab\xFFcd"), "!1007@10");
    SERVER.check(&close(1000, b"ab\xE2\x82"), "!1007@11");
    SERVER.check(
        &close(1000, &[b'r'; 123]),
        &format!("close(1000 {})", "r".repeat(123)),
    );
}

#[test]
fn what_follows_a_close_is_ignored() {
    let bye = close(1000, b"");
    SERVER.check(&[&bye[..], &masked(0x81, b"late")].concat(), "close(1000)");
    SERVER.check(&[&bye[..], &masked(0x89, b"")].concat(), "close(1000)");
    SERVER.check(&[&bye[..], &bye].concat(), "close(1000)");
    SERVER.check(&[&bye[..], b"\xFF\xFF\xFF"].concat(), "close(1000)");
    // A close in the middle of a message ends the message too.
    SERVER.check(
        &[&masked(0x01, b"half")[..], &bye, &masked(0x80, b"")].concat(),
        "close(1000)",
    );
}

#[test]
fn masks_of_zero_and_the_same_mask_again_are_masks() {
    SERVER.check(
        b"\x82\x83\0\0\0\0abc\x82\x83\0\0\0\0abc",
        "binary(616263) binary(616263)",
    );
    // Every phase of the mask at every cut.
    SERVER.check(
        &masked(0x82, &[0; 40]),
        &format!("binary({})", "00".repeat(40)),
    );
}

#[test]
fn many_tiny_frames_are_many_events() {
    let stream = masked(0x82, b"x").repeat(50);
    SERVER.check(&stream, &["binary(78)"; 50].join(" "));
}

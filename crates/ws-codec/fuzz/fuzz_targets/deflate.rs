//! Inflating against another library's inflater, and deflating against both.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::TINFLStatus;
use ws_codec::handshake::DeflateConfig;
use ws_codec::{Deflater, Limits, Role};

#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/codec/transcript.rs"]
mod transcript;

use transcript::{Reader, SERVER, hex, masked};

const LIMIT: usize = 5_000;

fuzz_target!(|input: &[u8]| {
    let Some((&how, bytes)) = input.split_first() else {
        return;
    };
    if how & 1 == 0 {
        inflate(how, bytes)
    } else {
        deflate(how, bytes)
    }
});

/// Any bytes as a compressed message.
fn inflate(how: u8, bytes: &[u8]) {
    let reader = Reader {
        deflate: Some((15, how & 2 != 0)),
        limits: Limits {
            max_inflate_ratio: 2000,
            ..Limits::DEFAULT
        },
        ..SERVER
    };
    let reader = Reader {
        limits: Limits {
            max_message: LIMIT,
            ..reader.limits
        },
        ..reader
    };
    let ours = reader.transcript([&masked(0xC2, bytes)[..]]);
    // The other library needs an end: an empty last block behind the four octets that the sender took away.
    let whole = [
        bytes,
        &[0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF],
    ]
    .concat();
    match miniz_oxide::inflate::decompress_to_vec_with_limit(&whole, LIMIT) {
        // It stops behind the first last block, where we begin again; and an empty payload is our own affair.
        Ok(out) if !bytes.is_empty() => {
            let out = hex(&out);
            let same = ours == format!("binary({out})");
            assert!(
                same || ours.starts_with(&format!("binary({out}")) || ours.starts_with('!'),
                "{ours} {out}"
            );
            // Without a last block inside, and with nothing more out of the end we added, both have seen all of it: then they are the same.
            let mut inflater = miniz_oxide::inflate::core::DecompressorOxide::new();
            let mut room = vec![0; LIMIT + 1];
            let flags =
                miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
                    | miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
            let open = [bytes, &[0x00, 0x00, 0xFF, 0xFF]].concat();
            let (status, _, made) =
                miniz_oxide::inflate::core::decompress(&mut inflater, &open, &mut room, 0, flags);
            if status == TINFLStatus::NeedsMoreInput && made * 2 == out.len() {
                assert!(same, "{ours} is not {out}");
            }
        }
        Err(error) if error.status == TINFLStatus::HasMoreOutput => assert_eq!(ours, "!1009"),
        // With a context to keep, a message cut short inside the table of a block shows only in the next.
        Err(_) if how & 2 == 0 && !bytes.is_empty() => assert!(ours.starts_with('!'), "{ours}"),
        _ => {}
    }
}

/// Any bytes as messages to compress: ours and the other library's inflater give them back.
fn deflate(how: u8, bytes: &[u8]) {
    let bits = 8 + (how >> 1 & 7);
    let takeover = how & 0x10 != 0;
    let config = DeflateConfig {
        client_no_context_takeover: !takeover,
        client_max_window_bits: bits,
        ..DeflateConfig::default()
    };
    let mut deflater = Deflater::new(Role::Client, &config.into(), 1 + how % 9);
    let messages: Vec<&[u8]> = bytes.split(|byte| *byte == b'|').collect();
    let mut stream = Vec::new();
    let mut expect = Vec::new();
    for message in messages {
        let message = message.repeat(1 + usize::from(how >> 5) * 5);
        let compressed = deflater.compress(&message);
        if !takeover {
            let whole = [
                &compressed[..],
                &[0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF],
            ]
            .concat();
            assert_eq!(
                miniz_oxide::inflate::decompress_to_vec(&whole).unwrap(),
                message
            );
            assert!(
                bits > 8 || compressed.len() * 8 >= message.len(),
                "a window of 8 bits refers to nothing"
            );
        }
        stream.extend(masked(0xC2, &compressed));
        expect.push(format!("binary({})", hex(&message)));
    }
    let limits = Limits {
        max_inflate_ratio: 2000,
        ..Limits::DEFAULT
    };
    let reader = Reader {
        deflate: Some((bits, takeover)),
        limits,
        ..SERVER
    };
    assert_eq!(reader.transcript([&stream[..]]), expect.join(" "));
}

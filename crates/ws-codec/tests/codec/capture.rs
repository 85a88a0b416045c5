//! What `examples/decode.rs` prints, which people and foreign corpora depend on.

use crate::transcript::{close, masked, plain};

#[allow(
    dead_code,
    unreachable_pub,
    reason = "an example with a main of its own"
)]
#[path = "../../examples/decode.rs"]
mod decode;

/// The same lines whatever the reads.
#[track_caller]
fn check(arguments: &str, bytes: &[u8], expect: &[&str]) {
    for chunk in [
        "",
        " --chunk 1",
        " --chunk 2",
        " --chunk 5",
        " --chunk 1000",
    ] {
        let arguments = format!("{arguments}{chunk}");
        let options = decode::Options::parse(arguments.split(' ').map(str::to_owned)).unwrap();
        assert_eq!(decode::tell(bytes, &options), expect, "{arguments}");
    }
}

#[test]
fn a_capture_is_one_json_object_a_line() {
    let client = [
        masked(0x01, b"say \"hi\"\n\\"),
        masked(0x89, b"\x00\xFF"),
        masked(0x80, "\u{1}€".as_bytes()),
        masked(0x8A, b""),
        masked(0x82, b"\x01\xAB"),
        close(1000, b"bye"),
        b"what follows a close is ignored".to_vec(),
    ];
    check(
        "--role server",
        &client.concat(),
        &[
            r#"{"event":"ping","data":"00ff"}"#,
            r#"{"event":"text","data":"say \"hi\"\n\\\u0001€"}"#,
            r#"{"event":"pong","data":""}"#,
            r#"{"event":"binary","data":"01ab"}"#,
            r#"{"event":"close","code":1000,"reason":"bye"}"#,
        ],
    );
    check(
        "--role client",
        &[plain(0x81, b"x"), plain(0x88, b"")].concat(),
        &[
            r#"{"event":"text","data":"x"}"#,
            r#"{"event":"close","code":null,"reason":""}"#,
        ],
    );
}

#[test]
fn a_violation_is_the_last_line_and_names_its_byte() {
    let stream = [
        masked(0x81, b"a"),
        masked(0x81, b"b\xFFc"),
        masked(0x81, b"d"),
    ]
    .concat();
    check(
        "--role server",
        &stream,
        &[
            r#"{"event":"text","data":"a"}"#,
            r#"{"violation":"a text message is not UTF-8","close_code":1007,"at":14}"#,
        ],
    );
    check(
        "--role server --max-message 2",
        &stream,
        &[
            r#"{"event":"text","data":"a"}"#,
            r#"{"violation":"a frame is larger than this side takes","close_code":1009,"at":8}"#,
        ],
    );
}

#[test]
fn a_compressed_capture_is_inflated() {
    let hello = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
    check(
        "--role server --deflate",
        &[masked(0xC1, hello), masked(0xC1, b"\xF2\xFF\xFF\xFF")].concat(),
        &[
            r#"{"event":"text","data":"Hello"}"#,
            r#"{"violation":"a text message is not UTF-8","close_code":1007,"at":21}"#,
        ],
    );
    check(
        "--role server",
        &masked(0xC1, hello),
        &[r#"{"violation":"a reserved bit is set","close_code":1002,"at":0}"#],
    );
}

//! The opening handshake: what is answered, what is refused, and what is agreed on.

use ws_codec::handshake::{Deflate, Offer, Opening, Rejection, ResponseError, Via};

use crate::negotiation::KEEPS;

const H2: Via<'_> = Via::Http2 {
    protocol: "websocket",
};

/// A request that is right in every way.
const GOOD: [(&str, &str); 5] = [
    ("Host", "example.org"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

fn open<'h>(
    via: Via<'h>,
    method: &str,
    fields: &[(&'h str, &'h str)],
) -> Result<Opening<'h>, Rejection> {
    Opening::of_request(
        via,
        method,
        fields.iter().map(|(name, value)| (*name, value.as_bytes())),
    )
}

/// The good request with these fields in place of those of the same name; an empty value removes, a name with `+` adds.
#[track_caller]
fn check<const N: usize>(changes: [(&str, &str); N], expect: Result<(), Rejection>) {
    let mut fields: Vec<(&str, &str)> = GOOD.to_vec();
    for (name, value) in changes {
        let (name, adds) = name
            .strip_prefix('+')
            .map_or((name, false), |name| (name, true));
        if !adds {
            fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        }
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    assert_eq!(open(Via::Http11, "GET", &fields).map(drop), expect);
}

#[test]
fn a_browsers_request_is_accepted() {
    check([], Ok(()));
    check(
        [
            ("connection", "keep-alive, Upgrade"),
            ("UPGRADE", "WebSocket"),
        ],
        Ok(()),
    );
    check(
        [
            ("content-length", "0"),
            ("origin", "https://example.org"),
            ("cookie", "a=b"),
        ],
        Ok(()),
    );
}

#[test]
fn a_request_that_is_not_one_is_refused() {
    assert_eq!(
        open(Via::Http11, "POST", &GOOD).map(drop),
        Err(Rejection::Method)
    );
    assert_eq!(
        open(Via::Http11, "get", &GOOD).map(drop),
        Err(Rejection::Method)
    );
    assert_eq!(
        open(Via::Http10, "GET", &GOOD).map(drop),
        Err(Rejection::HttpVersion)
    );
    check([("host", "")], Err(Rejection::Host));
    check([("+host", "other.example")], Err(Rejection::Host));
    check([("upgrade", "")], Err(Rejection::Upgrade));
    check([("upgrade", "h2c")], Err(Rejection::Upgrade));
    check([("+upgrade", "websocket")], Err(Rejection::Upgrade));
    check([("connection", "")], Err(Rejection::Connection));
    check([("connection", "keep-alive")], Err(Rejection::Connection));
    check([("connection", "upgraded")], Err(Rejection::Connection));
    for key in [
        "",
        "short",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZSE=",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25jZQ==A",
    ] {
        check([("sec-websocket-key", key)], Err(Rejection::Key));
    }
    check(
        [("+sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")],
        Err(Rejection::Key),
    );
    check([("sec-websocket-version", "")], Err(Rejection::NoVersion));
    check(
        [("+sec-websocket-version", "13")],
        Err(Rejection::NoVersion),
    );
    for version in ["8", "012", "13.0", "13, 8"] {
        check(
            [("sec-websocket-version", version)],
            Err(Rejection::Version),
        );
    }
}

#[test]
fn nothing_is_smuggled_behind_an_upgrade() {
    check([("content-length", "5")], Err(Rejection::Body));
    check([("content-length", "00")], Err(Rejection::Body));
    check([("transfer-encoding", "chunked")], Err(Rejection::Body));
    check(
        [("sec-websocket-protocol", "chat\r\nset-cookie: a=b")],
        Err(Rejection::Protocol),
    );
    check(
        [("sec-websocket-protocol", "chat\n x")],
        Err(Rejection::Protocol),
    );
    check(
        [("sec-websocket-extensions", "foo\0")],
        Err(Rejection::Extensions),
    );
    check([("upgrade", "websocket\r\nx: y")], Err(Rejection::Upgrade));
}

#[test]
fn rejections_have_the_statuses_clients_know() {
    assert_eq!(Rejection::Method.status(), 405);
    assert_eq!(Rejection::Version.status(), 426);
    assert!(
        Rejection::Version
            .fields()
            .contains(&("sec-websocket-version", "13"))
    );
    assert_eq!(Rejection::Key.status(), 400);
    assert_eq!(Rejection::OtherProtocol.status(), 501);
    assert_eq!(Rejection::TooMany.status(), 431);
}

#[test]
fn http2_needs_no_upgrade_and_no_key() {
    let fields = [
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "push.v1"),
    ];
    let response = open(H2, "CONNECT", &fields)
        .unwrap()
        .accept(Some("push.v1"), None);
    assert_eq!(response.status, 200);
    assert_eq!(
        response.fields,
        [("sec-websocket-protocol", "push.v1".into())]
    );
    assert_eq!(open(H2, "GET", &fields).map(drop), Err(Rejection::Method));
    let other = Via::Http2 { protocol: "foo" };
    assert_eq!(
        open(other, "CONNECT", &fields).map(drop),
        Err(Rejection::OtherProtocol)
    );
    assert_eq!(
        open(H2, "CONNECT", &[]).map(drop),
        Err(Rejection::NoVersion)
    );
}

#[test]
fn subprotocols_are_chosen_among_those_offered() {
    let fields = [
        &GOOD[..],
        &[
            ("Sec-WebSocket-Protocol", "a, b"),
            ("Sec-WebSocket-Protocol", "c"),
        ],
    ]
    .concat();
    let opening = open(Via::Http11, "GET", &fields).unwrap();
    assert_eq!(opening.protocols(), ["a", "b", "c"]);
    assert_eq!(opening.select_protocol(&["c", "b"]), Some("b"));
    assert_eq!(opening.select_protocol(&["d", "B"]), None);
    check(
        [("sec-websocket-protocol", "a, b, a")],
        Err(Rejection::Protocol),
    );
    check(
        [("sec-websocket-protocol", "a b")],
        Err(Rejection::Protocol),
    );
    check(
        [("sec-websocket-protocol", "a/b")],
        Err(Rejection::Protocol),
    );
    let many: Vec<String> = (0..65).map(|i| format!("p{i}")).collect();
    check(
        [("sec-websocket-protocol", &many.join(","))],
        Err(Rejection::TooMany),
    );
    check([("sec-websocket-protocol", &many[1..].join(","))], Ok(()));
}

#[test]
#[should_panic(expected = "did not offer")]
fn a_subprotocol_that_was_not_offered_cannot_be_answered() {
    let _ = open(Via::Http11, "GET", &GOOD)
        .unwrap()
        .accept(Some("chat"), None);
}

#[test]
fn malformed_extensions_are_refused() {
    for bad in [
        "permessage-deflate;",
        "permessage-deflate; =",
        "permessage-deflate; a=\"b",
        "a b",
        ", ;",
    ] {
        check(
            [("sec-websocket-extensions", bad)],
            Err(Rejection::Extensions),
        );
    }
}

const ANSWER: [(&str, &str); 3] = [
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
];

/// What a client that offered `chat` and compression makes of this answer.
fn answered(
    status: u16,
    fields: &[(&str, &str)],
) -> Result<(Option<String>, Option<Deflate>), ResponseError> {
    let offer = Offer::new(*b"the sample nonce")
        .protocol("chat")
        .deflate(KEEPS);
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    offer
        .check_response(Via::Http11, status, fields)
        .map(|agreed| (agreed.protocol, agreed.deflate))
}

#[test]
fn a_client_checks_the_answer() {
    assert_eq!(answered(101, &ANSWER), Ok((None, None)));
    assert_eq!(answered(200, &ANSWER), Err(ResponseError::Status(200)));
    assert_eq!(answered(101, &ANSWER[1..]), Err(ResponseError::Upgrade));
    assert_eq!(
        answered(101, &[ANSWER[0], ANSWER[2]]),
        Err(ResponseError::Connection)
    );
    assert_eq!(answered(101, &ANSWER[..2]), Err(ResponseError::Accept));
    let twice = [&ANSWER[..], &ANSWER[2..]].concat();
    assert_eq!(answered(101, &twice), Err(ResponseError::Accept));
    let wrong = [
        ANSWER[0],
        ANSWER[1],
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp="),
    ];
    assert_eq!(answered(101, &wrong), Err(ResponseError::Accept));
}

#[test]
fn a_client_takes_only_what_it_offered() {
    let with = |name, value| answered(101, &[&ANSWER[..], &[(name, value)]].concat());
    assert_eq!(
        with("sec-websocket-protocol", "chat"),
        Ok((Some("chat".to_owned()), None))
    );
    for protocol in ["other", "chat, chat", "", "Chat"] {
        assert_eq!(
            with("sec-websocket-protocol", protocol),
            Err(ResponseError::Protocol)
        );
    }
    let agreed = with(
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits=10",
    )
    .unwrap()
    .1
    .unwrap();
    assert_eq!(
        (agreed.client_max_window_bits, agreed.server_max_window_bits),
        (10, 15)
    );
    for extensions in [
        "foo",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; foo",
        "permessage-deflate;",
    ] {
        assert_eq!(
            with("sec-websocket-extensions", extensions),
            Err(ResponseError::Extensions),
            "{extensions}"
        );
    }
}

//! Any request and any response: what is accepted is what a reader of the RFC would accept, and both ends agree on what was agreed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ws_codec::handshake::{DeflateConfig, Offer, Opening, Via};

fuzz_target!(|input: &[u8]| {
    let Some((&how, bytes)) = input.split_first() else {
        return;
    };
    let config = DeflateConfig {
        server_no_context_takeover: how & 1 != 0,
        client_no_context_takeover: how & 2 != 0,
        server_max_window_bits: 8 + (how >> 2 & 7),
        client_max_window_bits: 15 - (how >> 5 & 7),
    };
    request(&config, bytes);
    response(&config, bytes);
});

fn request(config: &DeflateConfig, bytes: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(bytes), Ok(httparse::Status::Complete(_))) {
        return;
    }
    let fields: Vec<(&str, &[u8])> = request
        .headers
        .iter()
        .map(|header| (header.name, header.value))
        .collect();
    let via = if request.version == Some(1) {
        Via::Http11
    } else {
        Via::Http10
    };
    let method = request.method.unwrap();
    let Ok(opening) = Opening::of_request(via, method, fields.iter().copied()) else {
        return;
    };

    let values = |name: &str| -> Vec<String> {
        let named = fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named
            .map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned())
            .collect()
    };
    let tokens = |name: &str| -> Vec<String> {
        values(name)
            .iter()
            .flat_map(|value| value.split(','))
            .map(|token| token.trim().to_lowercase())
            .collect()
    };
    assert_eq!((method, request.version), ("GET", Some(1)));
    assert_eq!(values("host").len(), 1);
    assert!(tokens("upgrade").contains(&"websocket".to_owned()));
    assert!(tokens("connection").contains(&"upgrade".to_owned()));
    assert_eq!(values("sec-websocket-version"), ["13"]);
    assert!(
        matches!(&values("sec-websocket-key")[..], [key] if key.len() == 24 && key.ends_with("=="))
    );
    assert!(values("transfer-encoding").is_empty());
    assert!(values("content-length").iter().all(|length| length == "0"));

    let deflate = opening.agree_deflate(config);
    if let Some(agreed) = &deflate {
        assert!((8..=config.server_max_window_bits).contains(&agreed.server_max_window_bits));
        assert!((8..=15).contains(&agreed.client_max_window_bits));
        assert!(agreed.server_no_context_takeover || !config.server_no_context_takeover);
    }
    let protocol = opening.protocols().first().copied();
    let response = opening.accept(protocol, deflate.as_ref());
    for (name, value) in &response.fields {
        assert!(!name.is_empty() && !value.is_empty());
        assert!(
            value.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{name}: {value:?}"
        );
    }
    // A client that had offered this would understand the answer: the extension, at least, whatever its key.
    if let Some(agreed) = &deflate {
        let offer = Offer::new([0; 16]).deflate(DeflateConfig {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        });
        let text = agreed.to_string();
        let fields = [("sec-websocket-extensions", text.as_bytes())];
        let seen = offer
            .check_response(
                Via::Http2 {
                    protocol: "websocket",
                },
                200,
                fields,
            )
            .unwrap();
        assert_eq!(seen.deflate.unwrap().to_string(), text);
    }
}

fn response(config: &DeflateConfig, bytes: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    if !matches!(response.parse(bytes), Ok(httparse::Status::Complete(_))) {
        return;
    }
    let fields = response
        .headers
        .iter()
        .map(|header| (header.name, header.value));
    let offer = Offer::new(*b"the sample nonce")
        .protocol("chat")
        .deflate(*config);
    let Ok(agreed) = offer.check_response(Via::Http11, response.code.unwrap(), fields) else {
        return;
    };
    assert_eq!(response.code, Some(101));
    assert!(agreed.protocol.is_none_or(|protocol| protocol == "chat"));
    if let Some(deflate) = agreed.deflate {
        assert!(deflate.server_max_window_bits <= config.server_max_window_bits);
        assert!((8..=config.client_max_window_bits).contains(&deflate.client_max_window_bits));
    }
}

//! Any request and any response: what is accepted is what a reader of the RFC would accept, and both ends agree on what was agreed.
#![no_main]

use std::collections::HashSet;

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
        // An offer was taken, so one was there that may be taken, and it was the first such.
        let offers = values("sec-websocket-extensions").join(",");
        let offered = offered(&offers)
            .find_map(|params| Offered::of(&params))
            .expect("what was agreed on was offered");
        let (server, client) = (offered.server_bits, offered.client_bits);
        assert!(agreed.server_max_window_bits <= server.unwrap_or(15));
        assert!(agreed.client_max_window_bits <= client.flatten().unwrap_or(15));
        assert!(client.is_some() || agreed.client_max_window_bits == 15);
        assert!(agreed.server_no_context_takeover || !offered.server_alone);
        assert!(agreed.client_no_context_takeover || !offered.client_alone);
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
    let answers: Vec<String> = fields
        .clone()
        .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect();
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
        let answers = answers.join(",");
        let [answer] = &offered(&answers).collect::<Vec<_>>()[..] else {
            panic!("one extension was offered, and {answers:?} was taken for an answer");
        };
        let answer = Offered::of(answer).expect("what was agreed on was answered");
        assert_eq!(
            deflate.server_max_window_bits,
            answer.server_bits.unwrap_or(15)
        );
        // "the extension parameter in the corresponding extension negotiation response [...] MUST have a value"
        assert!(answer.client_bits != Some(None));
        assert_eq!(deflate.server_no_context_takeover, answer.server_alone);
    }
}

/// The parameters of permessage-deflate as a reader of RFC 7692 understands them
#[derive(Default)]
struct Offered {
    server_alone: bool,
    client_alone: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

impl Offered {
    /// `None` if the extension is another, or is to be declined.
    fn of(extension: &[(String, Option<String>)]) -> Option<Offered> {
        let [(name, None), params @ ..] = extension else {
            return None;
        };
        let names: HashSet<&str> = params.iter().map(|(name, _)| &name[..]).collect();
        if name != "permessage-deflate" || names.len() != params.len() {
            return None;
        }
        let mut offered = Offered::default();
        for (name, value) in params {
            // "a decimal integer value without leading zeroes between 8 to 15, inclusive"
            let bits = (8..=15).find(|bits| value.as_deref() == Some(&bits.to_string()[..]));
            match &name[..] {
                "server_no_context_takeover" if value.is_none() => offered.server_alone = true,
                "client_no_context_takeover" if value.is_none() => offered.client_alone = true,
                "server_max_window_bits" => offered.server_bits = Some(bits?),
                "client_max_window_bits" if value.is_none() => offered.client_bits = Some(None),
                "client_max_window_bits" => offered.client_bits = Some(Some(bits?)),
                _ => return None,
            }
        }
        Some(offered)
    }
}

/// The extensions of a field that is well-formed: each its name and its parameters, quotes taken off.
fn offered(field: &str) -> impl Iterator<Item = Vec<(String, Option<String>)>> {
    let mut extensions = vec![vec![String::new()]];
    let (mut quoted, mut escaped) = (false, false);
    for c in field.chars() {
        let params = extensions.last_mut().unwrap();
        let text = params.last_mut().unwrap();
        match c {
            _ if escaped => {
                escaped = false;
                text.push(c);
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => extensions.push(vec![String::new()]),
            ';' if !quoted => params.push(String::new()),
            c => text.push(c),
        }
    }
    let pair = |param: String| match param.split_once('=') {
        Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
        None => (param.trim().to_owned(), None),
    };
    extensions
        .into_iter()
        .map(move |params| params.into_iter().map(pair).collect::<Vec<_>>())
        .filter(|extension| extension[0] != (String::new(), None))
}

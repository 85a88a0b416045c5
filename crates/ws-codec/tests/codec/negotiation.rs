//! What two ends agree on about permessage-deflate.

use ws_codec::handshake::{DeflateConfig, Offer, Opening, ResponseError, Via};

const H2: Via<'_> = Via::Http2 {
    protocol: "websocket",
};

/// What a server with this configuration answers to these offers.
#[track_caller]
fn check_deflate(config: DeflateConfig, offers: &str, expect: Option<&str>) {
    let fields = [
        ("sec-websocket-version", "13"),
        ("sec-websocket-extensions", offers),
    ];
    let fields = fields.map(|(name, value)| (name, value.as_bytes()));
    let opening = Opening::of_request(H2, "CONNECT", fields).unwrap();
    let answer = opening
        .agree_deflate(&config)
        .map(|agreed| agreed.to_string());
    assert_eq!(answer.as_deref(), expect);
}

/// A server that keeps contexts where the client lets it.
pub(crate) const KEEPS: DeflateConfig = DeflateConfig {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

#[test]
fn deflate_is_agreed_on_as_rfc_7692_has_it() {
    let pmd = "permessage-deflate";
    check_deflate(KEEPS, pmd, Some(pmd));
    check_deflate(
        KEEPS,
        "permessage-deflate; client_max_window_bits",
        Some(pmd),
    );
    check_deflate(
        DeflateConfig::default(),
        "permessage-deflate; client_max_window_bits",
        Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
    );
    let demand = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10";
    check_deflate(KEEPS, demand, Some(demand));
    check_deflate(
        KEEPS,
        "permessage-deflate; server_max_window_bits=\"15\"",
        Some("permessage-deflate; server_max_window_bits=15"),
    );
    // Our own wishes: fewer bits for us, and for the client if it knows the parameter.
    let small = DeflateConfig {
        server_max_window_bits: 11,
        client_max_window_bits: 10,
        ..KEEPS
    };
    check_deflate(
        small,
        pmd,
        Some("permessage-deflate; server_max_window_bits=11"),
    );
    check_deflate(
        small,
        "permessage-deflate; client_max_window_bits; server_max_window_bits=12",
        Some("permessage-deflate; server_max_window_bits=11; client_max_window_bits=10"),
    );
    check_deflate(
        small,
        "permessage-deflate; client_max_window_bits=9",
        Some("permessage-deflate; server_max_window_bits=11; client_max_window_bits=9"),
    );
    // A demand for 8 bits is honoured: the deflater then refers to nothing.
    let eight = "permessage-deflate; server_max_window_bits=8";
    check_deflate(KEEPS, eight, Some(eight));
}

#[test]
fn bad_offers_are_declined_and_the_next_is_looked_at() {
    for bad in [
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=1x",
        "permessage-deflate; client_max_window_bits=99999999999999999999",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; unknown",
        "x-webkit-deflate-frame",
        "PERMESSAGE-DEFLATE",
    ] {
        check_deflate(KEEPS, bad, None);
        check_deflate(
            KEEPS,
            &format!("{bad}, permessage-deflate"),
            Some("permessage-deflate"),
        );
    }
}

#[test]
fn a_client_insists_on_what_it_demanded() {
    let demands = DeflateConfig {
        server_no_context_takeover: true,
        server_max_window_bits: 12,
        ..KEEPS
    };
    let offer = Offer::new([0; 16]).deflate(demands);
    assert!(offer.fields(H2).contains(&(
        "sec-websocket-extensions",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits".into()
    )));
    let answer = |value: &str| {
        let fields = [("sec-websocket-extensions", value.as_bytes())];
        offer
            .check_response(H2, 200, fields)
            .map(|agreed| agreed.deflate.is_some())
    };
    assert_eq!(
        answer("permessage-deflate; server_no_context_takeover; server_max_window_bits=11"),
        Ok(true)
    );
    for weaker in [
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=12",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=13",
    ] {
        assert_eq!(answer(weaker), Err(ResponseError::Extensions));
    }
}

#[test]
fn what_a_client_offers_a_server_understands() {
    for (server, client) in [
        (KEEPS, KEEPS),
        (DeflateConfig::default(), KEEPS),
        (KEEPS, DeflateConfig::default()),
    ] {
        let offer = Offer::new([7; 16])
            .protocol("a")
            .protocol("b")
            .deflate(client);
        let mut request = vec![("host", "example.org".into())];
        request.extend(offer.fields(Via::Http11));
        let fields = request
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let opening = Opening::of_request(Via::Http11, "GET", fields).unwrap();
        let agreed = opening.agree_deflate(&server).unwrap();
        let response = opening.accept(Some("b"), Some(&agreed));
        let fields = response
            .fields
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let seen = offer
            .check_response(Via::Http11, response.status, fields)
            .unwrap();
        assert_eq!(seen.protocol.as_deref(), Some("b"));
        assert_eq!(seen.deflate.unwrap().to_string(), agreed.to_string());
    }
}

//! Tokens that name their own rules.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Attack, MIB, nothing};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Case, Field, attempt, first_answer};
use crate::token::{self, SECRET};

pub(super) const ATTACK: Attack = Attack {
    name: "token-confusion",
    does: "`none` in every spelling, HMAC keyed with the RSA public key, `kid` as a path, an empty one, another's, `jku`, `jwk`, `x5u`, `crit`, \
           empty and foreign signatures, foreign issuers and audiences, tokens in the URL; each from an address of its own",
    rate: "100 tokens/s",
    told: &["401", "4501", "403"],
    bound: Bound {
        bytes: 4 * MIB,
        because: "100 tokens/s x at most 1.5 s x 16 KiB of http.max_head_bytes = 2.4 MiB, and 8,192 addresses x 40 bytes",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let tokens = tokens();
    let window = field.window;
    let case = |n: usize| {
        let (name, token) = &tokens[n % tokens.len()];
        let round = n / tokens.len();
        // Each is somebody else's first attempt, so that it is looked at.
        let address = format!("10.{}.{}.{}", window + 1, n / 250, n % 250 + 1);
        let from = format!("X-Forwarded-For: {address}\r\n");
        let bearer = format!("{from}Authorization: Bearer {token}\r\n");
        let topic = "/topics/offender/x";
        let get = |target: &str, fields: &str| {
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{fields}\r\n").into_bytes()
        };
        let (door, bytes) = match round % 6 {
            0 => ("poll", get(topic, &bearer)),
            1 => ("WebSocket", web_socket::opening(topic, &bearer)),
            2 => (
                "cookie",
                get(
                    topic,
                    &format!("{from}Origin: https://app.example.com\r\nCookie: push={token}\r\n"),
                ),
            ),
            3 => ("first message", {
                let open = web_socket::opening(
                    topic,
                    &format!("{from}Sec-WebSocket-Protocol: push.v1\r\n"),
                );
                let refresh = json!({"ref": 1, "refresh": {"token": token}});
                [
                    open,
                    web_socket::frame(0x81, refresh.to_string().as_bytes()),
                ]
                .concat()
            }),
            4 => ("URL", get(&format!("{topic}?ticket={token}"), &from)),
            _ => (
                "publish",
                format!(
                    "POST {topic} HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Length: 1\r\n\r\nx"
                )
                .into_bytes(),
            ),
        };
        Case {
            name: format!("{name} by {door}"),
            bytes,
            right: ATTACK.told,
        }
    };
    attempt(field, 100, case, first_answer)
}

fn tokens() -> Vec<(&'static str, String)> {
    let claims = token::claims("mallory");
    let mut of_provider = claims.clone();
    of_provider["iss"] = json!("https://id.example.com");
    let with = |field: &str, value: Value| {
        let mut claims = claims.clone();
        claims[field] = value;
        token::signed(&json!({"alg": "HS256"}), &claims, SECRET.as_bytes())
    };
    let good = |head: Value| token::signed(&head, &claims, SECRET.as_bytes());
    let text = |head: Value, claims: &Value, signature: &[u8]| {
        let (head, claims) = (
            token::encode(head.to_string()),
            token::encode(claims.to_string()),
        );
        format!("{head}.{claims}.{}", token::encode(signature))
    };
    let none = |alg: &str| text(json!({"alg": alg}), &claims, b"");
    let pem = token::rsa_public_key();
    let by_rsa = |head: Value| token::signed(&head, &of_provider, pem.as_bytes());
    let guess = |head: Value| token::signed(&head, &of_provider, b"guess");
    let mut tokens = vec![
        (
            "HS256 keyed with the RSA key",
            by_rsa(json!({"alg": "HS256", "kid": "main"})),
        ),
        (
            "HS256 keyed with the trimmed RSA key",
            token::signed(
                &json!({"alg": "HS256", "kid": "main"}),
                &of_provider,
                pem.trim().as_bytes(),
            ),
        ),
        (
            "RS256 in name, HMAC in truth",
            by_rsa(json!({"alg": "RS256", "kid": "main"})),
        ),
        (
            "HS256 keyed with nothing",
            token::signed(&json!({"alg": "HS256"}), &claims, b""),
        ),
        (
            "the secret under HS512's name",
            good(json!({"alg": "HS512"})),
        ),
        (
            "the secret under RS256's name",
            good(json!({"alg": "RS256"})),
        ),
        (
            "the secret, for the provider's issuer and key",
            token::signed(
                &json!({"alg": "HS256", "kid": "main"}),
                &of_provider,
                b"guess",
            ),
        ),
        ("an alg that is an array", good(json!({"alg": ["HS256"]}))),
        ("no alg", good(json!({"typ": "JWT"}))),
        ("crit", good(json!({"alg": "HS256", "crit": ["exp"]}))),
        (
            "crit of its own",
            good(json!({"alg": "HS256", "crit": ["mine"], "mine": true})),
        ),
        (
            "a logout token",
            good(json!({"alg": "HS256", "typ": "logout+jwt"})),
        ),
        (
            "jku",
            guess(json!({"alg": "RS256", "kid": "main", "jku": "http://127.0.0.1:1/jwks.json"})),
        ),
        (
            "x5u",
            guess(json!({"alg": "RS256", "kid": "main", "x5u": "http://127.0.0.1:1/cert.pem"})),
        ),
        (
            "jwk",
            guess(json!({"alg": "HS256", "jwk": {"kty": "oct", "k": token::encode("guess")}})),
        ),
        ("no signature", text(json!({"alg": "HS256"}), &claims, b"")),
        (
            "an RSA signature of zeros",
            text(
                json!({"alg": "RS256", "kid": "main"}),
                &of_provider,
                &[0; 256],
            ),
        ),
        (
            "an ECDSA signature of zeros",
            text(json!({"alg": "ES256"}), &of_provider, &[0; 64]),
        ),
        ("expired", with("exp", json!(1))),
        ("exp as text", with("exp", json!("4102444800"))),
        ("no exp", with("exp", Value::Null)),
        ("exp beyond all dates", with("exp", json!(1e300))),
        ("not yet", with("nbf", json!(4_102_444_000_u64))),
        ("somebody else's audience", with("aud", json!("other"))),
        (
            "the subject of an API key",
            with("sub", json!("key:publisher")),
        ),
        (
            "patterns that are none",
            with("push", json!({"subscribe": "**"})),
        ),
        (
            "two dots too many",
            format!("{}.a.b", good(json!({"alg": "HS256"}))),
        ),
        ("padding", format!("{}=", good(json!({"alg": "HS256"})))),
        ("a changed claim", {
            let (signed, other) = (good(json!({"alg": "HS256"})), with("sub", json!("admin")));
            let signature = signed.rsplit('.').next().unwrap_or_default().to_owned();
            let (body, _) = other.rsplit_once('.').unwrap_or_default();
            format!("{body}.{signature}")
        }),
    ];
    for alg in ["none", "None", "NONE", "nOnE", "", "none "] {
        tokens.push(("alg none", none(alg)));
    }
    for kid in [
        "../../../../dev/null",
        "",
        "main\0",
        "' OR 1=1 --",
        "http://127.0.0.1:1/",
        "MAIN",
    ] {
        tokens.push((
            "a kid of its own",
            guess(json!({"alg": "HS256", "kid": kid})),
        ));
        tokens.push((
            "a kid of its own, empty key",
            token::signed(&json!({"alg": "HS256", "kid": kid}), &of_provider, b""),
        ));
    }
    tokens
}

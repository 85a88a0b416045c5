//! Guessing.

use anyhow::Result;
use serde_json::json;

use super::{Attack, KIB, nothing};
use crate::frames::web_socket;
use crate::judge::{Bound, Told};
use crate::siege::{Case, Field, attempt, first_answer};
use crate::token;

pub(super) const ATTACK: Attack = Attack {
    name: "bad-token-storm",
    does: "tokens with wrong signatures (HMAC, RSA), tokens of 8 KiB, bad tickets and API keys, over HTTP and WebSocket, from 16 addresses",
    rate: "1,000 attempts/s",
    told: &["401", "429", "431", "4501", "4004"],
    bound: Bound {
        bytes: 256 * 16 * KIB + 320 * KIB,
        because: "256 connections that may be open at once x http.max_head_bytes 16 KiB = 4 MiB, and 8,192 addresses x 40 bytes = 320 KiB",
    },
    prepare: nothing,
    strike,
};

fn strike(field: &Field) -> Result<Told> {
    let claims = token::claims("mallory");
    let mut of_provider = claims.clone();
    of_provider["iss"] = json!("https://id.example.com");
    let hmac = token::signed(&json!({"alg": "HS256"}), &claims, b"a guess");
    let head = json!({"alg": "RS256", "kid": "main"});
    let unsigned = format!(
        "{}.{}",
        token::encode(head.to_string()),
        token::encode(of_provider.to_string())
    );
    let rsa = format!("{unsigned}.{}", token::encode([1; 256]));
    let long = format!("{hmac}{}", "A".repeat(8000));
    let get = |target: &str, field: &str| {
        format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{field}\r\n"
        )
        .into_bytes()
    };
    let topic = "/topics/offender/x";
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let cases = [
        ("hmac", get(topic, &bearer(&hmac))),
        ("rsa", get(topic, &bearer(&rsa))),
        ("long", get(topic, &bearer(&long))),
        ("ticket", get(&format!("{topic}?ticket=v1.{hmac}"), "")),
        ("key", get(topic, "X-API-Key: guess-guess-guess-guess\r\n")),
        ("websocket", web_socket::opening(topic, &bearer(&hmac))),
        (
            "push.v1",
            web_socket::opening(
                topic,
                &format!("{}Sec-WebSocket-Protocol: push.v1\r\n", bearer(&rsa)),
            ),
        ),
    ];
    let case = |n: usize| {
        let (name, bytes) = &cases[n % cases.len()];
        Case {
            name: (*name).to_owned(),
            bytes: bytes.clone(),
            right: ATTACK.told,
        }
    };
    attempt(field, 1000, case, first_answer)
}

//! Every way to get a token wrong, and the few to get it right.

use super::*;

/// Checks tokens against an authority with one shared secret and the given further settings
#[track_caller]
fn check_claims(settings: &[&str], claims: &str, expect: &str) {
    let settings: Vec<_> = [OWN].iter().chain(settings).copied().collect();
    let grant = bearer(&authority(&settings), &token(claims)).expect("this token is good");
    assert_eq!(told(&grant), expect, "{claims}");
}

#[track_caller]
fn check_refused(settings: &[&str], token: &str) {
    let settings: Vec<_> = [OWN].iter().chain(settings).copied().collect();
    let shown = &token[..token.len().min(200)];
    assert_eq!(
        bearer(&authority(&settings), token).map(|grant| told(&grant)),
        Err(Refusal::Invalid),
        "{shown}"
    );
}

#[test]
fn claims_become_a_grant() {
    check_claims(&[], r#""sub":"alice","jti":"t-1""#, "alice t-1");
    check_claims(
        &[],
        r#""sub":"alice","push":{"subscribe":["a","b/*"],"publish":["c/**"]}"#,
        "alice reads a,b/* writes c/**",
    );
    check_claims(
        &[],
        r#""push":{"subscribe":["**"],"admin":true}"#,
        "reads ** admin",
    );
    check_claims(&[], r#""iss":"anybody","sub":"alice""#, "alice");
    check_claims(&[], "", "");
    check_claims(
        &["auth.anonymous_subscribe=news/*"],
        r#""push":{"subscribe":["a"]}"#,
        "reads a,news/*",
    );
    check_claims(
        &["auth.anonymous_subscribe=news/*"],
        r#""push":{"subscribe":["news/**"]}"#,
        "reads news/**",
    );
}

#[test]
fn a_grant_expires_when_its_token_does_and_not_before_the_leeway_is_over() {
    let authority = authority(&[OWN]);
    let grant = bearer(&authority, &token("")).unwrap();
    assert_eq!(grant.expires, Some(Timestamp(1_800_003_630_000)));
}

fn at(claims: &str) -> String {
    signed(HEAD, claims, SECRET.as_bytes())
}

#[test]
fn times_are_checked_with_the_leeway_and_no_more() {
    let authority = authority(&[OWN]);
    #[track_caller]
    fn check(authority: &Authority, claims: &str, good: bool) {
        assert_eq!(bearer(authority, &at(claims)).is_ok(), good, "{claims}");
    }
    check(&authority, r#"{"exp":1800000001}"#, true);
    check(&authority, r#"{"exp":1799999971}"#, true);
    check(&authority, r#"{"exp":1799999970}"#, false);
    check(&authority, r#"{"exp":1799999970.5}"#, true);
    check(&authority, r#"{"exp":0}"#, false);
    check(&authority, r#"{"exp":-1}"#, false);
    check(&authority, r#"{"exp":253402300799}"#, true);
    check(&authority, r#"{"exp":253402300800}"#, false);
    check(&authority, r#"{"exp":1e300}"#, false);
    // In milliseconds.
    check(&authority, r#"{"exp":1900000000000}"#, false);
    check(&authority, r#"{"exp":1e400}"#, false);
    check(&authority, r#"{"exp":"1900000000"}"#, false);
    check(&authority, r#"{"exp":null}"#, false);
    check(&authority, r#"{"exp":[1900000000]}"#, false);
    check(&authority, r#"{"exp":true}"#, false);
    check(&authority, r"{}", false);
    check(&authority, r#"{"exp":1900000000,"nbf":1800000030}"#, true);
    check(&authority, r#"{"exp":1900000000,"nbf":1800000031}"#, false);
    check(&authority, r#"{"exp":1900000000,"iat":1800000031}"#, false);
    check(&authority, r#"{"exp":1900000000,"iat":1700000000}"#, true);
    check(&authority, r#"{"exp":1900000000,"nbf":0}"#, true);
    check(&authority, r#"{"exp":1900000000,"nbf":-1}"#, false);
    check(&authority, r#"{"exp":1900000000,"iat":-1e300}"#, false);
}

#[test]
fn a_token_without_expiry_is_good_only_where_that_is_allowed() {
    let eternal = authority(&[OWN, "auth.allow_eternal_tokens=true"]);
    assert_eq!(bearer(&eternal, &at("{}")).unwrap().expires, None);
    assert!(bearer(&eternal, &at(r#"{"exp":5}"#)).is_err());
    assert!(bearer(&eternal, &at(r#"{"exp":1e300}"#)).is_err());
}

#[test]
fn the_audience_must_be_ours() {
    let ours = ["auth.audience=push, other"];
    check_claims(&ours, r#""aud":"push""#, "");
    check_claims(&ours, r#""aud":["x","other"]"#, "");
    for aud in [
        r#""aud":"Push""#,
        r#""aud":"""#,
        r#""aud":[]"#,
        r#""aud":["x"]"#,
        r#""aud":null"#,
        r#""aud":5"#,
        r#""aud":["push",5]"#,
        "",
    ] {
        check_refused(&ours, &token(aud));
    }
    for aud in [r#""aud":"push""#, r#""aud":["push"]"#, r#""aud":[]"#] {
        check_refused(&[], &token(aud));
    }
}

#[test]
fn claims_of_the_wrong_shape_are_refused() {
    for claims in [
        r#""push":["a"]"#,
        r#""push":{"subscribe":"a"}"#,
        r#""push":{"subscribe":[5]}"#,
        r#""push":{"subscribe":["a//b"]}"#,
        r#""push":{"subscribe":["a*"]}"#,
        r#""push":{"subscribe":["**/a"]}"#,
        r#""push":{"subscribe":[""]}"#,
        r#""push":{"publish":["a/../b"]}"#,
        r#""push":{"admin":"true"}"#,
        r#""push":{"admin":1}"#,
        r#""sub":5"#,
        r#""sub":"a","sub":"b""#,
        r#""exp":1900000000"#,
        r#""push":{},"push":{"admin":true}"#,
        r#""jti":{}"#,
        r#""sub":"key:backend""#,
    ] {
        check_refused(&[], &token(claims));
    }
    let many = vec![r#""a""#; 257].join(",");
    check_refused(&[], &token(&format!(r#""push":{{"subscribe":[{many}]}}"#)));
}

/// `alg`, and all the ways it has been abused
#[test]
fn only_the_algorithm_of_the_key_is_accepted() {
    let claims = r#"{"exp":1900000000}"#;
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "hs256",
        "Hs256",
        "HS256 ",
        " HS256",
        "HS384",
        "HS512",
        "RS256",
        "ES256",
        "EdDSA",
        "HMAC",
        "HS256\\u0000",
        "HS1",
        "dir",
        "A128KW",
    ] {
        check_refused(
            &[],
            &signed(&format!(r#"{{"alg":"{alg}"}}"#), claims, SECRET.as_bytes()),
        );
    }
    for head in [
        "{}",
        r#"{"alg":null}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        "[]",
        "",
        "null",
        "\"HS256\"",
    ] {
        check_refused(&[], &signed(head, claims, SECRET.as_bytes()));
    }
    // Unsigned in every spelling.
    let parts = (
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(claims),
    );
    for token in [
        format!("{}.{}.", parts.0, parts.1),
        format!("{}.{}", parts.0, parts.1),
        format!("{}.{}.AA", parts.0, parts.1),
    ] {
        check_refused(&[], &token);
    }
}

#[test]
fn a_public_key_is_never_taken_for_a_shared_secret() {
    let pem = std::fs::read(fixture("rsa.pem")).unwrap();
    let path = fixture("rsa.pem");
    let keys = format!(
        "auth.keys=[{{public_key = {:?}, algorithm = \"RS256\"}}]",
        path.display().to_string()
    );
    let authority = authority(&[&keys]);
    let claims = r#"{"exp":1900000000}"#;
    let trimmed = pem.trim_ascii_end();
    let der = ring_bytes(&pem);
    for secret in [&pem[..], trimmed, &der] {
        for head in [HEAD, r#"{"alg":"HS256","kid":"rsa"}"#, r#"{"alg":"RS256"}"#] {
            let token = signed(head, claims, secret);
            assert_eq!(bearer(&authority, &token).err(), Some(Refusal::Invalid));
        }
    }
}

fn ring_bytes(pem: &[u8]) -> Vec<u8> {
    der::public_key(std::str::from_utf8(pem).unwrap())
        .unwrap()
        .bytes
}

#[test]
fn nothing_in_the_head_chooses_where_keys_come_from() {
    let claims = r#"{"exp":1900000000}"#;
    let attackers = b"attackers-secret-attackers-secret";
    let jwk = r#""jwk":{"kty":"oct","k":"YXR0YWNrZXJzLXNlY3JldC1hdHRhY2tlcnMtc2VjcmV0"}"#;
    for field in [
        jwk,
        r#""jku":"https://evil.com/jwks.json""#,
        r#""x5u":"https://evil.com/cert.pem""#,
        r#""x5c":["MIIB"]"#,
        r#""kid":"../../../../dev/null""#,
        r#""kid":"/proc/sys/kernel/randomize_va_space""#,
        r#""kid":"' UNION SELECT 'attackers-secret' -- ""#,
        r#""kid":"https://evil.com/key""#,
        r#""kid":"|/usr/bin/id""#,
        r#""kid":"\u0000""#,
        r#""kid":"""#,
        r#""kid":null"#,
    ] {
        let head = format!(r#"{{"alg":"HS256",{field}}}"#);
        check_refused(&[], &signed(&head, claims, attackers));
        check_refused(&[], &signed(&head, claims, b""));
        // What is not understood and does no harm is no reason to refuse a token that our key did sign.
        assert!(
            bearer(
                &authority(&[OWN]),
                &signed(&head, claims, SECRET.as_bytes())
            )
            .is_ok(),
            "{field}"
        );
    }
    for field in [
        r#""kid":5"#,
        r#""kid":["a"]"#,
        r#""kid":{}"#,
        r#""kid":"a","kid":"b""#,
    ] {
        check_refused(
            &[],
            &signed(
                &format!(r#"{{"alg":"HS256",{field}}}"#),
                claims,
                SECRET.as_bytes(),
            ),
        );
    }
}

#[test]
fn what_the_head_marks_as_critical_is_refused() {
    for crit in [
        r#"["exp"]"#,
        r#"["b64"]"#,
        r#"["http://example.com/x"]"#,
        "[]",
        r#""exp""#,
        "5",
        "{}",
    ] {
        let head = format!(r#"{{"alg":"HS256","crit":{crit},"b64":false}}"#);
        check_refused(
            &[],
            &signed(&head, r#"{"exp":1900000000}"#, SECRET.as_bytes()),
        );
    }
}

#[test]
fn other_kinds_of_tokens_are_refused() {
    let with = |typ: &str| {
        signed(
            &format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#),
            r#"{"exp":1900000000}"#,
            SECRET.as_bytes(),
        )
    };
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JOSE",
        "JWE",
        "application/logout+jwt",
        "",
    ] {
        check_refused(&[], &with(typ));
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        assert!(bearer(&authority(&[OWN]), &with(typ)).is_ok(), "{typ}");
    }
}

#[test]
fn a_token_is_three_parts_of_base64url_and_nothing_else() {
    let good = token("");
    let (head, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{good} "),
        format!("{good}\n"),
        format!("Bearer {good}"),
        format!("{head}=.{payload}.{signature}"),
        format!("{head}.{payload}."),
        format!("{head}.{payload}.{}", &signature[1..]),
        format!("{head}.{payload}.{signature}AA"),
        format!("{head}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{payload}.{head}.{signature}"),
        "\u{0}.\u{0}.\u{0}".into(),
        "é.é.é".into(),
        format!("{good}\u{0}"),
    ] {
        check_refused(&[], &token);
    }
}

#[test]
fn every_single_change_to_a_token_spoils_it() {
    let authority = authority(&[OWN, "auth.max_failures=100000"]);
    let good = token(r#""sub":"alice""#);
    for at in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(bearer(&authority, &changed).is_err(), "position {at}");
    }
    assert!(bearer(&authority, &good).is_ok());
}

#[test]
fn a_token_of_a_megabyte_is_refused_by_its_size() {
    let padding = "x".repeat(1 << 20);
    check_refused(&[], &token(&format!(r#""sub":"{padding}""#)));
    check_refused(&[], &".".repeat(1 << 20));
    check_refused(&[], &"a".repeat(1 << 20));
    // One byte too many is too many, one fewer is not.
    let exact = token(r#""sub":"alice""#);
    let limit = |bytes: usize| format!("auth.max_token_bytes={bytes}");
    check_refused(&[&limit(exact.len() - 1)], &exact);
    assert!(bearer(&authority(&[OWN, &limit(exact.len())]), &exact).is_ok());
}

#[test]
fn deep_or_odd_json_is_refused_without_harm() {
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    check_refused(&[], &token(&format!(r#""sub":{deep}"#)));
    check_refused(&[], &token(&format!(r#""push":{{"subscribe":{deep}}}"#)));
    // Passed over without going down into it.
    check_claims(&[], &format!(r#""x":{deep}"#), "");
    check_refused(&[], &signed(&"[".repeat(3000), "{}", SECRET.as_bytes()));
    check_refused(&[], &at("\u{feff}{\"exp\":1900000000}"));
    check_refused(&[], &at(r#"{"exp":1900000000}{"exp":1900000000}"#));
    check_refused(&[], &at(r#"{"exp":1900000000,}"#));
    check_refused(&[], &at("{\"exp\":1900000000,\"sub\":\"\\ud800\"}"));
}

#[test]
fn keys_are_bound_to_their_issuer() {
    let keys = "auth.keys=[\
        {issuer = \"https://a.example\", algorithm = \"HS256\", secret = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", subscribe = [\"a/**\"], subject_prefix = \"a:\"}, \
        {issuer = \"https://b.example\", algorithm = \"HS256\", secret = \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\", kid = \"b\", admin = true}, \
        {algorithm = \"HS256\", secret = \"cccccccccccccccccccccccccccccccc\"}]";
    let authority = authority(&[keys]);
    let claims = |iss: &str| {
        format!(
            r#"{{"exp":1900000000,{iss}"sub":"x","push":{{"subscribe":["a/1","b","**"],"admin":true}}}}"#
        )
    };
    let told = |head: &str, iss: &str, secret: u8| match bearer(
        &authority,
        &signed(head, &claims(iss), &[secret; 32]),
    ) {
        Ok(grant) => told(&grant),
        Err(refusal) => refusal.to_string(),
    };
    let refused = Refusal::Invalid.to_string();
    let (a, b) = (
        r#""iss":"https://a.example","#,
        r#""iss":"https://b.example","#,
    );
    // The ceiling of a key cuts what its tokens claim, and so does its prefix.
    assert_eq!(told(HEAD, a, b'a'), "a:x reads a/1");
    assert_eq!(told(HEAD, b, b'b'), "x reads a/1,b,** admin");
    assert_eq!(
        told(r#"{"alg":"HS256","kid":"b"}"#, b, b'b'),
        "x reads a/1,b,** admin"
    );
    assert_eq!(told(HEAD, "", b'c'), "x reads a/1,b,**");
    for (iss, secret) in [
        (b, b'a'),
        (a, b'b'),
        (a, b'c'),
        (b, b'c'),
        ("", b'a'),
        ("", b'b'),
    ] {
        assert_eq!(told(HEAD, iss, secret), refused, "{iss} {}", secret as char);
    }
    for iss in [
        r#""iss":"https://A.example","#,
        r#""iss":"https://a.example/","#,
        r#""iss":["https://a.example"],"#,
        r#""iss":"","#,
    ] {
        assert_eq!(told(HEAD, iss, b'a'), refused, "{iss}");
    }
    assert_eq!(told(r#"{"alg":"HS256","kid":"a"}"#, b, b'b'), refused);
}

#[test]
fn a_minted_token_is_accepted() {
    let claims = serde_json::json!({ "sub": "alice", "exp": 1_900_000_000, "push": { "subscribe": ["**"] } });
    let minted = mint(&claims, &Secret::new(SECRET));
    assert_eq!(
        told(&bearer(&authority(&[OWN]), minted.expose()).unwrap()),
        "alice reads **"
    );
}

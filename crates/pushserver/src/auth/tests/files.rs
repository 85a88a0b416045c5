//! Keys from files, and tokens that another implementation (PyJWT) signed with them.

use std::fs;

use super::*;

/// The tokens of `fixtures/tokens.txt`: algorithm, key and token
fn foreign_tokens() -> Vec<(String, String, String)> {
    let text = fs::read_to_string(fixture("tokens.txt")).unwrap();
    let words = text
        .lines()
        .map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    words
        .map(|words| (words[0].clone(), words[1].clone(), words[2].clone()))
        .collect()
}

/// The setting for one key of the fixtures
fn key_setting(algorithm: &str, key: &str) -> String {
    let source = match algorithm {
        "HS256" => format!("secret = \"{}\"", "a".repeat(32)),
        "HS384" => format!("secret = \"{}\"", "b".repeat(48)),
        "HS512" => format!("secret = \"{}\"", "c".repeat(64)),
        _ => format!(
            "public_key = {:?}",
            fixture(&format!("{key}.pem")).display().to_string()
        ),
    };
    format!(
        "auth.keys=[{{issuer = \"https://id.example.com\", algorithm = \"{algorithm}\", {source}}}]"
    )
}

#[test]
fn tokens_of_every_algorithm_are_accepted_with_their_key_and_with_no_other_algorithm() {
    let tokens = foreign_tokens();
    assert_eq!(tokens.len(), 12);
    for (algorithm, key, _) in &tokens {
        let authority = authority(&[&key_setting(algorithm, key)]);
        for (other, _, token) in &tokens {
            let grant = bearer(&authority, token).map(|grant| told(&grant));
            match other == algorithm {
                true => assert_eq!(
                    grant.as_deref(),
                    Ok("alice t-1 reads news/** writes chat/*"),
                    "{algorithm}"
                ),
                false => assert_eq!(
                    grant,
                    Err(Refusal::Invalid),
                    "a token by {other} with a key for {algorithm}"
                ),
            }
        }
    }
}

#[test]
fn a_changed_token_is_refused_whatever_the_algorithm() {
    for (algorithm, key, token) in foreign_tokens() {
        let authority = authority(&[&key_setting(&algorithm, &key)]);
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (head, payload) = message.split_once('.').unwrap();
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        let elevated = URL_SAFE_NO_PAD.encode(claims.replace("news/**", "**"));
        let zeros =
            URL_SAFE_NO_PAD.encode(vec![0; URL_SAFE_NO_PAD.decode(signature).unwrap().len()]);
        // CVE-2022-21449: a signature of zeros was good for every message.
        for forged in [
            format!("{head}.{elevated}.{signature}"),
            format!("{message}.{zeros}"),
            format!("{message}."),
        ] {
            assert_eq!(
                bearer(&authority, &forged).err(),
                Some(Refusal::Invalid),
                "{algorithm}"
            );
        }
    }
}

fn jwks_setting(path: &std::path::Path) -> String {
    format!(
        "auth.keys=[{{issuer = \"https://id.example.com\", jwks = {:?}}}]",
        path.display().to_string()
    )
}

#[test]
fn a_key_set_brings_its_keys_each_for_its_own_algorithm() {
    let authority = authority(&[&jwks_setting(&fixture("jwks.json"))]);
    for (algorithm, _, token) in foreign_tokens() {
        let pinned = ["RS256", "ES256", "ES384", "EdDSA"].contains(&algorithm.as_str());
        assert_eq!(bearer(&authority, &token).is_ok(), pinned, "{algorithm}");
    }
    // A shared secret has no place in a set of public keys.
    let shared = signed(
        r#"{"alg":"HS256","kid":"shared"}"#,
        r#"{"exp":1900000000,"iss":"https://id.example.com"}"#,
        &[b'd'; 32],
    );
    assert_eq!(bearer(&authority, &shared).err(), Some(Refusal::Invalid));
}

#[test]
fn keys_that_are_not_for_signatures_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let all = fs::read_to_string(fixture("jwks.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    for key in all["keys"].as_array().unwrap() {
        let verifies = ["rsa", "p256", "p384", "ed25519"].contains(&key["kid"].as_str().unwrap());
        fs::write(&path, serde_json::json!({ "keys": [key] }).to_string()).unwrap();
        let read = Authority::from_config(&config(&[&jwks_setting(&path)]));
        assert_eq!(read.is_ok(), verifies, "{key}");
    }
}

#[test]
fn rsa_keys_may_be_written_in_either_pem_form() {
    let (_, _, token) = foreign_tokens()
        .into_iter()
        .find(|(algorithm, ..)| algorithm == "RS256")
        .unwrap();
    for key in ["rsa", "rsa_pkcs1"] {
        assert!(
            bearer(&authority(&[&key_setting("RS256", key)]), &token).is_ok(),
            "{key}"
        );
    }
}

#[track_caller]
fn check_refused(setting: &str, expect: &str) {
    let error = Authority::from_config(&config(&[setting]))
        .expect_err(setting)
        .to_string();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn files_that_hold_no_fitting_key_are_refused_at_the_start() {
    check_refused(&key_setting("RS256", "rsa_1024"), "too small");
    check_refused(&key_setting("RS256", "p256"), "not of the kind");
    check_refused(&key_setting("ES256", "p384"), "not of the kind");
    check_refused(&key_setting("ES384", "p256"), "not of the kind");
    check_refused(&key_setting("EdDSA", "rsa"), "not of the kind");
    check_refused(&key_setting("RS256", "absent"), "absent.pem");
    check_refused(&jwks_setting(&fixture("rsa.pem")), "not a JSON Web Key Set");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let setting = format!(
        "auth.keys=[{{algorithm = \"RS256\", public_key = {:?}}}]",
        path.display().to_string()
    );
    let check = |text: &str, expect: &str| {
        fs::write(&path, text).unwrap();
        check_refused(&setting, expect);
    };
    check(
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "holds a private key",
    );
    check(
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        "holds a private key",
    );
    check("", "holds no");
    check(
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "damaged",
    );
    check("-----BEGIN PUBLIC KEY-----\nAAAA\n", "damaged");
    check(
        "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
        "damaged",
    );
    check(&"x".repeat((1 << 20) + 1), "larger than 1 MiB");
    check_refused(
        &jwks_setting(&{
            let path = folder.path().join("empty.json");
            fs::write(&path, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#).unwrap();
            path
        }),
        "no key that verifies",
    );
}

#[test]
fn a_public_key_cut_anywhere_is_an_error_and_no_panic() {
    for name in ["rsa.pem", "p256.pem", "p384.pem", "ed25519.pem"] {
        let pem = fs::read_to_string(fixture(name)).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD
            .decode(body)
            .unwrap();
        for cut in 0..der.len() {
            let cut = base64::engine::general_purpose::STANDARD.encode(&der[..cut]);
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{cut}\n-----END PUBLIC KEY-----");
            assert_eq!(der::public_key(&pem), Err(PemError::Unreadable));
        }
    }
}

#[test]
fn a_key_file_is_read_again_when_it_changes_and_kept_when_it_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let all = fs::read_to_string(fixture("jwks.json")).unwrap();
    let only = |kid: &str| {
        let mut set: serde_json::Value = serde_json::from_str(&all).unwrap();
        let keys = set["keys"].as_array_mut().unwrap();
        keys.retain(|key| key["kid"] == kid);
        set.to_string()
    };
    fs::write(&path, only("rsa")).unwrap();
    let config = config(&[&jwks_setting(&path), "auth.max_failures=1000"]);
    let authority = Authority::from_config(&config).unwrap();
    let accepted = || {
        let tokens = foreign_tokens().into_iter();
        let good = tokens.filter(|(_, _, token)| bearer(&authority, token).is_ok());
        good.map(|(algorithm, ..)| algorithm)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(accepted(), "RS256");
    assert!(!authority.reread_changed().unwrap());

    // Written beside and renamed over, as key rotation does.
    let next = folder.path().join("next.json");
    fs::write(&next, only("p256")).unwrap();
    fs::rename(&next, &path).unwrap();
    assert!(authority.reread_changed().unwrap());
    assert_eq!(accepted(), "ES256");

    fs::write(&path, "{").unwrap();
    authority.reread_changed().unwrap_err();
    assert_eq!(accepted(), "ES256");
    fs::remove_file(&path).unwrap();
    authority.reread_changed().unwrap_err();
    assert_eq!(accepted(), "ES256");
    fs::write(&path, only("p384")).unwrap();
    assert!(authority.reread_changed().unwrap());
    assert_eq!(accepted(), "ES384");
}

#[test]
fn a_secret_file_may_end_in_a_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let setting = format!(
        "auth.keys=[{{algorithm = \"HS256\", secret_file = {:?}}}]",
        path.display().to_string()
    );
    for end in ["", "\n", "\r\n"] {
        fs::write(&path, format!("{SECRET}{end}")).unwrap();
        assert!(bearer(&authority(&[&setting]), &token("")).is_ok());
    }
    fs::write(&path, "short\n").unwrap();
    check_refused(&setting, "too small");
}

//! Whatever is sent: nothing panics, nothing unsigned gets in, and the origin rules agree with a naive twin.

use proptest::prelude::*;

use super::origin::{Cookies, Foreign, OriginPolicy, Page};
use super::*;

/// Texts that come near to hosts and origins
fn hostlike() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "localhost",
        "push.example.com",
        "app.example.com",
        "evil.com",
        "evillocalhost",
        "evil-push.example.com",
        "127.0.0.1",
        "[::1]",
        "1",
        "0x7f",
        ".",
        ":",
        ":80",
        ":443",
        ":8000",
        "//",
        "/",
        "http",
        "https",
        "://",
        "@",
        "#",
        "?",
        "\\",
        "%2e",
        " ",
        ",",
        "null",
        "*",
        "A",
        "\u{e9}",
        "-",
        "",
        "HTTPS://APP.example.com",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

/// Texts that are hosts, mostly
fn host() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "push.example.com",
        "push.example.net",
        "evil.com",
        "evillocalhost",
        "evil-push.example.com",
        "127.0.0.1",
        "[::1]",
    ]);
    let port = prop::sample::select(vec!["", ":80", ":443", ":8443", ":08443"]);
    let shaped = (name, port).prop_map(|(name, port)| format!("{name}{port}"));
    prop_oneof![3 => shaped, 1 => hostlike()]
}

/// Texts that are origins, mostly
fn origin() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(vec!["http", "https", "HTTP", "tauri"]);
    let shaped = (scheme, host()).prop_map(|(scheme, host)| format!("{scheme}://{host}"));
    prop_oneof![3 => shaped, 1 => hostlike()]
}

/// The rules of a server with two names, one of them for one port
fn policy(origins: &[&str]) -> OriginPolicy {
    let owned = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let hosts = owned(&["push.example.com", "push.example.net:8443"]);
    OriginPolicy::new(&hosts, &owned(origins), Cookies::Accepted).unwrap()
}

/// An origin or a host in its one normal form: lower case, no final dot, no port that the scheme implies
fn normal(scheme: &str, text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.trim_start_matches('0')),
        _ => (text.as_str(), ""),
    };
    let implied = if scheme == "https" { "443" } else { "80" };
    let port = if port.is_empty() { implied } else { port };
    format!(
        "{scheme}://{}:{port}",
        host.strip_suffix('.').unwrap_or(host)
    )
}

proptest! {
    #[test]
    fn an_accepted_origin_is_the_hosts_own_or_on_the_list(host in host(), origin in origin()) {
        let Ok(page) = policy(&["https://app.example.com"]).decide(&host, Some(&origin)) else {
            return Ok(());
        };
        let (scheme, rest) = origin.split_once("://").unwrap();
        let scheme = scheme.to_ascii_lowercase();
        match page {
            Page::Listed(_) => prop_assert_eq!(normal(&scheme, rest), "https://app.example.com:443"),
            Page::Own(_) => prop_assert_eq!(normal(&scheme, rest), normal(&scheme, &host)),
            Page::Any | Page::None => prop_assert!(false, "there is an origin, and no star"),
        }
    }

    #[test]
    fn an_accepted_host_is_an_address_local_or_on_the_list(host in host(), origin in prop::option::of(origin())) {
        let decided = policy(&[]).decide(&host, origin.as_deref());
        if !matches!(decided, Err(Foreign::Host | Foreign::NoHost)) {
            let normal = normal("http", &host);
            let (name, port) = normal.strip_prefix("http://").unwrap().rsplit_once(':').unwrap();
            let bare = name.trim_matches(['[', ']']);
            let listed = name == "push.example.com" || (name == "push.example.net" && port == "8443");
            let local = name == "localhost" || name.ends_with(".localhost");
            prop_assert!(local || listed || bare.parse::<IpAddr>().is_ok(), "{}", host);
        }
    }

    #[test]
    fn nothing_unsigned_gets_in(text in "[A-Za-z0-9_.-]{0,60}|\\PC{0,40}", head in "\\PC{0,40}", payload in "\\PC{0,40}") {
        let authority = authority(&[OWN, "auth.max_failures=100000"]);
        let token = format!("{}.{}.{text}", URL_SAFE_NO_PAD.encode(&head), URL_SAFE_NO_PAD.encode(&payload));
        for shown in [&text, &token, &format!("{head}.{payload}")] {
            prop_assert!(bearer(&authority, shown).is_err());
            let ticket = Credentials { ticket: Some(shown), ..Credentials::none(PEER) };
            prop_assert!(authority.authorize(&ticket, NOW).is_err());
        }
    }

    #[test]
    fn signed_nonsense_is_refused_or_granted_but_never_harms(head in "\\PC{0,60}", claims in "\\PC{0,60}") {
        let authority = authority(&[OWN]);
        let _ = bearer(&authority, &signed(&head, &claims, SECRET.as_bytes()));
        prop_assert!(bearer(&authority, &signed(HEAD, &claims, SECRET.as_bytes())).is_err());
    }

    #[test]
    fn a_grant_never_exceeds_the_ceiling_of_its_key(claimed in prop::collection::vec("(a|b|\\*)(/(a|b|\\*)){0,2}(/\\*\\*)?", 0..6)) {
        let keys = format!("auth.keys=[{{algorithm = \"HS256\", secret = {SECRET:?}, subscribe = [\"a/*\", \"b/a/**\"], publish = []}}]");
        let list = serde_json::to_string(&claimed).unwrap();
        let claims = format!(r#""push":{{"subscribe":{list},"publish":{list},"admin":true}}"#);
        let grant = bearer(&authority(&[&keys]), &token(&claims)).unwrap();
        let ceiling: PatternSet = ["a/*", "b/a/**"].iter().map(|text| Pattern::parse(text).unwrap()).collect();
        prop_assert!(grant.subscribe.iter().all(|pattern| ceiling.covers(pattern)));
        prop_assert!(grant.publish.is_empty() && !grant.admin);
        let kept = claimed.iter().filter(|text| ceiling.covers(&Pattern::parse(text).unwrap())).count();
        prop_assert_eq!(grant.subscribe.len(), kept);
    }

    #[test]
    fn a_configuration_file_may_hold_anything_without_harm_and_shows_no_secret(before in "\\PC{0,30}", after in "[\"'\\[\\]{}=,.# a-z\n]{0,40}") {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{before}\n[auth]\nsecret = \"canary-canary-canary-canary-canary\"{after}")).unwrap();
        let told = match Config::load(Some(file.path()), std::iter::empty(), std::iter::empty()) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!told.contains("canary"), "{}", told);
    }
}

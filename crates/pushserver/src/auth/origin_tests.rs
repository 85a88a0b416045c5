//! Hosts and origins, row by row: what browsers and attackers send, and what comes of it.

use super::*;

fn policy(hosts: &[&str], origins: &[&str], cookies: Cookies) -> OriginPolicy {
    let owned = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    OriginPolicy::new(&owned(hosts), &owned(origins), cookies).unwrap()
}

/// A server with one public name, one name with a port, and two web apps
fn usual() -> OriginPolicy {
    let hosts = ["push.example.com", "push.example.net:8443"];
    policy(
        &hosts,
        &[
            "https://app.example.com",
            "http://localhost:3000",
            "tauri://localhost",
        ],
        Cookies::Ignored,
    )
}

#[track_caller]
fn check_host(host: &str, known: bool) {
    let expect = match known {
        true => Ok(Page::None),
        false if host.is_empty() => Err(Foreign::NoHost),
        false => Err(Foreign::Host),
    };
    assert_eq!(usual().decide(host, None), expect, "Host: {host}");
}

#[track_caller]
fn check_origin(host: &str, origin: &str, accepted: bool) {
    let decided = usual().decide(host, Some(origin));
    match accepted {
        true => assert!(
            decided.is_ok(),
            "Host: {host}, Origin: {origin}: {decided:?}"
        ),
        false => {
            let expect = match origin {
                "null" => Foreign::NoOrigin,
                _ => Foreign::Origin,
            };
            assert_eq!(decided, Err(expect), "Host: {host}, Origin: {origin}");
        }
    }
}

#[test]
fn hosts_are_known_by_address_by_loopback_name_or_by_the_list() {
    for host in [
        "127.0.0.1",
        "127.0.0.1:8000",
        "192.0.2.7:80",
        "[::1]",
        "[::1]:8000",
        "[2001:db8::1]:443",
        "localhost",
        "localhost:8000",
        "LocalHost:8000",
        "localhost.",
        "app.localhost",
        "a.b.localhost:1",
        "push.example.com",
        "push.example.com:80",
        "push.example.com:65535",
        "PUSH.Example.COM",
        "push.example.com.",
        "push.example.net:8443",
    ] {
        check_host(host, true);
    }
}

#[test]
fn a_foreign_name_is_refused_whatever_it_resolves_to() {
    for host in [
        "evil.com",
        "evil.com:8000",
        "127.0.0.1.evil.com",
        "127.0.0.1.nip.io",
        "localhost.evil.com",
        "evillocalhost",
        "notpush.example.com",
        "push.example.com.evil.com",
        "example.com",
        "sub.push.example.com",
        "push-example.com",
        "push.example.net",
        "push.example.net:8444",
        "push.example.com..",
        ".localhost",
        ".push.example.com",
        "xn--lclhost-lua",
        "localhost-",
        "a..localhost",
    ] {
        check_host(host, false);
    }
}

#[test]
fn what_is_not_a_host_is_refused() {
    for host in [
        "",
        " ",
        ":8000",
        "localhost:",
        "localhost:80:80",
        "localhost:65536",
        "localhost:-1",
        "localhost:+80",
        "localhost: 80",
        "localhost:8O",
        "localhost/",
        "localhost/evil.com",
        "evil.com#localhost",
        "evil.com?localhost",
        "evil.com@localhost",
        "localhost@evil.com",
        "localhost\\evil.com",
        "localhost%00",
        "localhost%2eevil.com",
        "localhost evil.com",
        "localhost,evil.com",
        "localhost\tx",
        "[::1",
        "::1",
        "::1:8000",
        "[::1]evil.com",
        "[::1]:",
        "[localhost]",
        "[127.0.0.1]",
        "[fe80::1%25eth0]",
        "[::1]]",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "127.0.0.1.2",
        "127.0.0.01",
        "1.2.3.4x.5",
        "lo\u{441}alhost",
        "ⅼocalhost",
        "http://localhost",
        "*",
        "*.localhost*",
    ] {
        check_host(host, false);
    }
    check_host(&"a".repeat(254), false);
    check_host(&format!("{}localhost", "a.".repeat(122)), true);
    check_host(&format!("{}localhost", "a.".repeat(123)), false);
}

#[test]
fn pages_of_the_own_origin_and_of_the_list_are_accepted() {
    for (host, origin) in [
        ("localhost:8000", "http://localhost:8000"),
        ("LOCALHOST:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[::1]:8000", "http://[0:0:0:0:0:0:0:1]:8000"),
        ("push.example.com", "https://push.example.com"),
        ("push.example.com", "https://push.example.com:443"),
        ("push.example.com:443", "https://push.example.com"),
        ("push.example.com", "http://push.example.com"),
        ("push.example.com:80", "http://push.example.com"),
        ("push.example.com", "https://app.example.com"),
        ("push.example.com", "https://app.example.com:443"),
        ("push.example.com", "HTTPS://APP.EXAMPLE.COM"),
        ("localhost:8000", "https://app.example.com"),
        ("localhost:8000", "http://localhost:3000"),
        ("localhost:8000", "tauri://localhost"),
    ] {
        check_origin(host, origin, true);
    }
}

#[test]
fn other_pages_are_refused_however_much_they_look_like_ours() {
    for (host, origin) in [
        ("localhost:8000", "https://evil.com"),
        ("localhost:8000", "null"),
        ("localhost:8000", ""),
        ("localhost:8000", "file://"),
        ("localhost:8000", "http://localhost"),
        ("localhost:8000", "http://localhost:8001"),
        ("localhost:8000", "http://127.0.0.1:8000"),
        ("127.0.0.1:8000", "http://localhost:8000"),
        ("localhost:8000", "http://localhost:8000.evil.com"),
        ("localhost:8000", "http://localhost.evil.com:8000"),
        ("localhost:8000", "http://evil.com/http://localhost:8000"),
        ("localhost:8000", "http://localhost:8000/"),
        ("localhost:8000", "http://localhost:8000@evil.com"),
        ("localhost:8000", "http://evil.com@localhost:8000"),
        ("localhost:8000", "http://localhost:8000, https://evil.com"),
        ("localhost:8000", "http://localhost:8000 https://evil.com"),
        ("localhost:8000", " http://localhost:8000"),
        ("localhost:8000", "//localhost:8000"),
        ("localhost:8000", "localhost:8000"),
        ("localhost:8000", "ftp://localhost:8000"),
        ("localhost:8000", "http:/localhost:8000"),
        ("localhost", "tauri://localhost:80"),
        ("push.example.com", "https://app.example.com.evil.com"),
        ("push.example.com", "https://app.example.com:8443"),
        ("push.example.com", "http://app.example.com"),
        ("push.example.com", "https://evilapp.example.com"),
        ("push.example.com", "https://example.com"),
        ("push.example.com", "https://sub.app.example.com"),
        ("push.example.com", "https://app.example.com.\u{200b}"),
        ("push.example.com", "https://app.ex\u{430}mple.com"),
        ("push.example.com", "https://push.example.com:8443"),
        ("push.example.com:8443", "https://push.example.com"),
        ("push.example.com", "*"),
        ("push.example.com", "https://*"),
        ("push.example.com", "https://app.example.com#"),
        ("push.example.com", "chrome-extension://abcdef"),
    ] {
        check_origin(host, origin, false);
    }
}

#[test]
fn a_foreign_host_is_refused_even_with_an_accepted_origin() {
    assert_eq!(
        usual().decide("evil.com", Some("https://app.example.com")),
        Err(Foreign::Host)
    );
    // DNS rebinding: to the browser page and server are one origin.
    assert_eq!(
        usual().decide("evil.com:8000", Some("http://evil.com:8000")),
        Err(Foreign::Host)
    );
}

#[test]
fn a_star_admits_every_page_but_no_foreign_host_and_no_opaque_origin() {
    let open = policy(&[], &["*"], Cookies::Ignored);
    assert_eq!(
        open.decide("localhost", Some("https://evil.com")),
        Ok(Page::Any)
    );
    assert_eq!(
        open.decide("evil.com", Some("https://evil.com")),
        Err(Foreign::Host)
    );
    assert_eq!(
        open.decide("localhost", Some("null")),
        Err(Foreign::NoOrigin)
    );
}

#[test]
fn entries_that_are_no_hosts_or_origins_are_told() {
    let refused = |hosts: &[&str], origins: &[&str]| {
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        OriginPolicy::new(&owned(hosts), &owned(origins), Cookies::Ignored)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&["https://push.example.com"], &[]).contains("allowed_hosts"));
    assert!(refused(&["*.example.com"], &[]).contains("allowed_hosts"));
    // What browsers would take for an address is not a name that could be listed.
    assert!(refused(&["0x7f000001"], &[]).contains("allowed_hosts"));
    assert!(refused(&["push.1"], &[]).contains("allowed_hosts"));
    for origin in [
        "app.example.com",
        "https://app.example.com/",
        "null",
        "https://*.example.com",
    ] {
        assert!(refused(&[], &[origin]).contains("allowed_origins"));
    }
}

#[test]
fn cookies_are_for_listed_pages_alone() {
    let listed = ["https://app.example.com", "https://push.example.com"];
    let with = policy(&["push.example.com"], &listed, Cookies::Accepted);
    assert!(with.admits_cookie_of("https://app.example.com"));
    assert!(!with.admits_cookie_of("http://app.example.com"));
    assert!(!with.admits_cookie_of("https://app.example.com.evil.com"));
    assert!(!with.admits_cookie_of("null"));
    assert!(with.admits_cookie_of_own_page("push.example.com"));
    assert!(with.admits_cookie_of_own_page("push.example.com:443"));
    assert!(!with.admits_cookie_of_own_page("localhost"));
    assert!(!with.admits_cookie_of_own_page("evil.com"));
    let without = policy(&["push.example.com"], &listed, Cookies::Ignored);
    assert!(!without.admits_cookie_of("https://app.example.com"));
}

fn request(uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[track_caller]
fn check_request(uri: &str, fields: &[(&str, &str)], expect: &Result<Page, Foreign>) {
    assert_eq!(
        &usual().check(&request(uri, fields)),
        expect,
        "{uri} {fields:?}"
    );
}

#[test]
fn a_request_names_one_host_and_at_most_one_origin() {
    let (none, host, origin) = (Ok(Page::None), Err(Foreign::Host), Err(Foreign::Origin));
    check_request("/", &[("host", "localhost")], &none);
    check_request("/", &[], &Err(Foreign::NoHost));
    check_request("/", &[("host", "")], &Err(Foreign::NoHost));
    check_request("/", &[("host", "localhost"), ("host", "localhost")], &host);
    check_request("/", &[("host", "localhost"), ("host", "evil.com")], &host);
    check_request("http://localhost/", &[], &none);
    check_request("http://localhost/", &[("host", "LOCALHOST")], &none);
    check_request("http://localhost/", &[("host", "evil.com")], &host);
    check_request("http://evil.com/", &[("host", "localhost")], &host);
    let two = [
        ("host", "localhost"),
        ("origin", "http://localhost"),
        ("origin", "http://localhost"),
    ];
    check_request("/", &two, &origin);
}

#[test]
fn a_foreign_page_cannot_embed_a_topic_but_a_link_may_lead_to_it() {
    let (none, embedding) = (Ok(Page::None), Err(Foreign::Embedding));
    let fetch = |site, mode| {
        [
            ("host", "localhost"),
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
        ]
    };
    check_request("/topics/a", &fetch("cross-site", "no-cors"), &embedding);
    check_request("/topics/a", &fetch("same-site", "no-cors"), &embedding);
    check_request("/topics/a", &fetch("cross-site", "navigate"), &none);
    check_request("/topics/a", &fetch("same-origin", "no-cors"), &none);
    check_request("/topics/a", &fetch("same-origin", "cors"), &none);
    check_request("/topics/a", &fetch("none", "navigate"), &none);
}

#[track_caller]
fn cors(policy: &OriginPolicy, page: &Page) -> Vec<String> {
    let mut headers = HeaderMap::new();
    policy.put_preflight(page, &mut headers);
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines
}

#[test]
fn cors_says_no_more_than_it_must() {
    assert_eq!(cors(&usual(), &Page::None), ["vary: Origin"]);
    let common = [
        "access-control-allow-headers: authorization, cache-control, content-type, idempotency-key, last-event-id, x-api-key",
        "access-control-allow-methods: GET, HEAD, POST, PUT, DELETE",
        "access-control-expose-headers: retry-after, push-last-id, push-events, push-bytes, push-ended",
        "access-control-max-age: 7200",
        "vary: Origin",
    ];
    let with = |lines: &[&str]| {
        let mut all: Vec<_> = common
            .iter()
            .chain(lines)
            .map(|line| (*line).to_owned())
            .collect();
        all.sort();
        all
    };
    let page = Page::Listed("https://app.example.com".to_owned());
    let allowed = "access-control-allow-origin: https://app.example.com";
    assert_eq!(cors(&usual(), &page), with(&[allowed]));
    assert_eq!(
        cors(&usual(), &Page::Any),
        with(&["access-control-allow-origin: *"])
    );
    let cookies = policy(&[], &["https://app.example.com"], Cookies::Accepted);
    assert_eq!(
        cors(&cookies, &page),
        with(&[allowed, "access-control-allow-credentials: true"])
    );
    let own = Page::Own("http://localhost:8000".to_owned());
    assert_eq!(
        cors(&cookies, &own),
        with(&["access-control-allow-origin: http://localhost:8000"])
    );
}

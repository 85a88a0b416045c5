//! Which credentials count, what nothing gets, and what nobody gets to see.

use http::request::Parts;

use super::*;

const KEY: &str = "backend-key-0123456789";

fn api_keys() -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, b"hashed-key-0123456789");
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "auth.api_keys=[{{name = \"shop\", key = \"{KEY}\", subscribe = [], publish = [\"orders/**\"]}}, {{name = \"ops\", hash = \"{hash}\", admin = true}}]"
    )
}

fn request(fields: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().uri("/topics/a");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// What a request with these header fields is granted
#[track_caller]
fn asked(authority: &Authority, fields: &[(&str, &str)]) -> Result<String, Refusal> {
    let request = request(fields);
    let credentials = authority.credentials(&request, None, PEER)?;
    authority
        .authorize(&credentials, NOW)
        .map(|grant| told(&grant))
}

#[test]
fn an_open_server_lets_everybody_do_everything_and_this_machine_administer() {
    let open = authority(&["insecure=true"]);
    let grant = |peer: &str| {
        told(
            &open
                .authorize(&Credentials::none(peer.parse().unwrap()), NOW)
                .unwrap(),
        )
    };
    assert_eq!(grant("127.0.0.1"), "reads ** writes ** admin");
    assert_eq!(grant("::ffff:127.0.0.1"), "reads ** writes ** admin");
    assert_eq!(grant("192.0.2.1"), "reads ** writes **");
    assert!(asked(&open, &[("authorization", "Bearer what.ever.this")]).is_ok());
}

#[test]
fn showing_nothing_gets_what_everybody_has() {
    assert_eq!(asked(&authority(&[OWN]), &[]).unwrap(), "");
    let news = authority(&[
        OWN,
        "auth.anonymous_subscribe=news/*, a",
        "auth.anonymous_publish=guestbook",
    ]);
    assert_eq!(
        asked(&news, &[]).unwrap(),
        "reads news/*,a writes guestbook"
    );
    // With an anonymous grant alone the server is not open either.
    assert_eq!(
        asked(&authority(&["auth.anonymous_subscribe=a"]), &[]).unwrap(),
        "reads a"
    );
}

#[test]
fn a_bad_token_is_refused_even_where_none_would_do() {
    let news = authority(&[OWN, "auth.anonymous_subscribe=**"]);
    assert_eq!(
        asked(&news, &[("authorization", "Bearer x.y.z")]),
        Err(Refusal::Invalid)
    );
    assert_eq!(
        asked(&news, &[("authorization", "Bearer ")]),
        Err(Refusal::Invalid)
    );
    assert_eq!(asked(&news, &[("x-api-key", "")]), Err(Refusal::Invalid));
}

#[test]
fn api_keys_are_accepted_by_either_way_in() {
    let authority = authority(&[&api_keys()]);
    let shop = "key:shop writes orders/**";
    assert_eq!(asked(&authority, &[("x-api-key", KEY)]).unwrap(), shop);
    assert_eq!(
        asked(&authority, &[("authorization", &format!("Bearer {KEY}"))]).unwrap(),
        shop
    );
    assert_eq!(
        asked(&authority, &[("x-api-key", "hashed-key-0123456789")]).unwrap(),
        "key:ops reads ** writes ** admin"
    );
    for wrong in [
        "backend-key-012345678",
        "backend-key-01234567890",
        "Backend-key-0123456789",
        "",
        "shop",
        &"k".repeat(1 << 20),
    ] {
        assert_eq!(
            asked(&authority, &[("x-api-key", wrong)]),
            Err(Refusal::Invalid)
        );
    }
}

#[test]
fn the_first_of_several_credentials_counts() {
    let authority = authority(&[OWN, &api_keys()]);
    let good = token(r#""sub":"alice""#);
    let bearer = format!("Bearer {good}");
    assert_eq!(
        asked(
            &authority,
            &[("authorization", &bearer), ("x-api-key", "wrong")]
        )
        .unwrap(),
        "alice"
    );
    assert_eq!(
        asked(
            &authority,
            &[("authorization", "Bearer a.b.c"), ("x-api-key", KEY)]
        ),
        Err(Refusal::Invalid)
    );
    assert_eq!(
        asked(
            &authority,
            &[("authorization", "Basic YTpi"), ("x-api-key", KEY)]
        )
        .unwrap(),
        "key:shop writes orders/**"
    );
    assert_eq!(
        asked(
            &authority,
            &[("authorization", &bearer), ("authorization", &bearer)]
        ),
        Err(Refusal::Invalid)
    );
    assert_eq!(
        asked(&authority, &[("x-api-key", KEY), ("x-api-key", KEY)]),
        Err(Refusal::Invalid)
    );
    assert_eq!(
        asked(&authority, &[("authorization", &format!("bEARER {good}"))]).unwrap(),
        "alice"
    );
}

#[test]
fn a_cookie_counts_only_for_pages_of_the_list() {
    let cookies = authority(&[
        OWN,
        "auth.cookie=push",
        "allowed_hosts=push.example.com",
        "allowed_origins=https://app.example.com, https://push.example.com",
    ]);
    let good = token(r#""sub":"alice""#);
    let cookie = format!("theme=dark; push={good}");
    let with = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = [("host", "push.example.com"), ("cookie", &cookie)]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        asked(&cookies, &fields)
    };
    assert_eq!(
        with(&[("origin", "https://app.example.com")]).unwrap(),
        "alice"
    );
    assert_eq!(with(&[("sec-fetch-site", "same-origin")]).unwrap(), "alice");
    for fields in [
        &[][..],
        &[("origin", "https://evil.com")],
        &[("origin", "http://app.example.com")],
        &[("origin", "https://app.example.com.evil.com")],
        &[("origin", "null")],
        &[("origin", "null"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
    ] {
        assert_eq!(with(fields), Err(Refusal::ForeignPage), "{fields:?}");
    }
    let origin = ("origin", "https://app.example.com");
    // A second cookie of the name was set by somebody else's subdomain.
    assert_eq!(
        with(&[origin, ("cookie", "push=a.b.c")]),
        Err(Refusal::Invalid)
    );
    // Header fields that need no cookie do not care about the page: that is for the origin policy.
    assert_eq!(
        with(&[("authorization", &format!("Bearer {good}"))]).unwrap(),
        "alice"
    );
    // And where no cookie is configured none is read.
    assert_eq!(
        asked(&authority(&[OWN]), &[("cookie", &cookie), origin]).unwrap(),
        ""
    );
}

#[test]
fn an_address_that_guesses_is_not_looked_at_for_a_while() {
    let authority = authority(&[OWN, "auth.max_failures=5", "auth.anonymous_subscribe=a"]);
    let good = token("");
    for _ in 0..5 {
        assert_eq!(bearer(&authority, "a.b.c").err(), Some(Refusal::Invalid));
    }
    assert!(matches!(
        bearer(&authority, "a.b.c"),
        Err(Refusal::TooMany { .. })
    ));
    assert!(matches!(
        bearer(&authority, &good),
        Err(Refusal::TooMany { .. })
    ));
    // Nothing shown, nothing guessed; and others are not to blame.
    assert!(authority.authorize(&Credentials::none(PEER), NOW).is_ok());
    let elsewhere = Credentials::bearer(&good, [192, 0, 2, 9].into());
    assert!(authority.authorize(&elsewhere, NOW).is_ok());
    let later = Timestamp(NOW.0 + 3000);
    assert!(
        authority
            .authorize(&Credentials::bearer(&good, PEER), later)
            .is_ok()
    );
}

#[test]
fn who_was_let_in_before_comes_back_while_a_neighbour_is_guessing() {
    let authority = authority(&[OWN, "auth.max_failures=5"]);
    let good = token(r#""sub":"alice""#);
    bearer(&authority, &good).unwrap();
    for _ in 0..10 {
        bearer(&authority, "a.b.c").unwrap_err();
    }
    assert_eq!(told(&bearer(&authority, &good).unwrap()), "alice");
    assert!(matches!(
        bearer(&authority, "a.b.c"),
        Err(Refusal::TooMany { .. })
    ));
    // Remembered until its end, and no longer.
    let end = Timestamp(1_800_003_630_000);
    let late = authority.authorize(&Credentials::bearer(&good, PEER), end);
    assert_eq!(late.err(), Some(Refusal::Invalid));
}

#[test]
fn a_reload_changes_what_is_accepted_from_then_on() {
    let authority = authority(&[OWN]);
    let good = token("");
    assert!(bearer(&authority, &good).is_ok());
    authority
        .reload(&config(&["auth.secret=fedcba9876543210fedcba9876543210"]))
        .unwrap();
    assert!(bearer(&authority, &good).is_err());
    assert!(
        authority
            .origins()
            .decide("push.example.com", None)
            .is_err()
    );
    authority
        .reload(&config(&[OWN, "allowed_hosts=push.example.com"]))
        .unwrap();
    assert!(bearer(&authority, &good).is_ok());
    assert!(authority.origins().decide("push.example.com", None).is_ok());
}

#[test]
fn nothing_that_is_shown_is_ever_told() {
    let canary = "canary-0123456789-canary";
    let setting = format!("auth.api_keys=[{{name = \"shop\", key = \"{canary}\"}}]");
    let secret = format!("auth.secret={canary}{canary}");
    let authority = authority(&[&secret, &setting]);
    let grant = Grant::all();
    let ticket = authority
        .issue_ticket(&grant, &[Pattern::parse("a").unwrap()], None, NOW)
        .unwrap();
    let credentials = Credentials {
        bearer: Some(canary),
        api_key: Some(canary),
        ticket: Some(canary),
        cookie: Some(canary),
        ..Credentials::none(PEER)
    };
    let text = ticket.text.expose();
    let told = [
        format!(
            "{credentials:?} {authority:?} {ticket:?} {:?}",
            Secret::new(canary)
        ),
        format!(
            "{:?}",
            bearer(&authority, &format!("{canary}.{canary}.{canary}"))
        ),
        format!(
            "{}",
            bearer(&authority, canary)
                .map(|_| Refusal::Invalid)
                .unwrap()
        ),
    ];
    for told in told {
        assert!(!told.contains("canary") && !told.contains(text), "{told}");
    }
    let shown = format!("{credentials:?}");
    assert_eq!(
        shown,
        r#"Credentials(["bearer", "api_key", "ticket", "cookie"] from 192.0.2.1)"#
    );
}

#[tokio::test]
async fn an_authority_is_an_authorizer() {
    let authorizer: Arc<dyn Authorizer> = Arc::new(authority(&[OWN]));
    let good = token(r#""sub":"alice""#);
    let grant = authorizer
        .authorize(&Credentials::bearer(&good, PEER), NOW)
        .await;
    assert_eq!(told(&grant.unwrap()), "alice");
}

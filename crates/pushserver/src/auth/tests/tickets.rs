//! Tickets: what they allow, how long, and what they are not.

use std::time::Duration;

use super::*;

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts
        .iter()
        .map(|text| Pattern::parse(text).unwrap())
        .collect()
}

fn grant(subscribe: &[&str], expires: Option<Timestamp>) -> Grant {
    Grant {
        subject: Some("alice".into()),
        token_id: Some("t-1".into()),
        subscribe: patterns(subscribe).into_iter().collect(),
        publish: PatternSet::all(),
        admin: true,
        expires,
    }
}

fn show(authority: &Authority, ticket: &str, now: Timestamp) -> Result<Arc<Grant>, Refusal> {
    authority.authorize(
        &Credentials {
            ticket: Some(ticket),
            ..Credentials::none(PEER)
        },
        now,
    )
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_ticket_allows_reading_what_it_names_and_nothing_else() {
    let authority = authority(&[OWN, "auth.anonymous_publish=**"]);
    let ticket = authority
        .issue_ticket(
            &grant(&["news/**"], None),
            &patterns(&["news/a", "news/b/*"]),
            Some(MINUTE),
            NOW,
        )
        .unwrap();
    let given = show(&authority, ticket.text.expose(), NOW).unwrap();
    assert_eq!(told(&given), "alice t-1 reads news/a,news/b/*");
    assert_eq!(given.expires, Some(NOW.saturating_add(MINUTE)));
    assert_eq!(ticket.expires, NOW.saturating_add(MINUTE));
}

#[test]
fn a_ticket_runs_out_and_never_outlives_its_grant_or_the_limit() {
    let authority = authority(&[OWN, "auth.max_ticket_lifetime=1h"]);
    let issue = |lifetime, expires| {
        authority
            .issue_ticket(&grant(&["**"], expires), &patterns(&["a"]), lifetime, NOW)
            .unwrap()
    };
    let ticket = issue(Some(MINUTE), None);
    let last = Timestamp(NOW.0 + 59_999);
    assert!(show(&authority, ticket.text.expose(), last).is_ok());
    assert_eq!(
        show(&authority, ticket.text.expose(), Timestamp(NOW.0 + 60_000)).err(),
        Some(Refusal::Invalid)
    );
    let soon = Timestamp(NOW.0 + 5000);
    assert_eq!(issue(Some(MINUTE), Some(soon)).expires, soon);
    assert_eq!(
        issue(Some(10 * 60 * MINUTE), None).expires,
        NOW.saturating_add(60 * MINUTE)
    );
    assert_eq!(issue(None, None).expires, NOW.saturating_add(15 * MINUTE));
}

#[test]
fn a_ticket_is_for_what_its_grant_covers() {
    let authority = authority(&[OWN]);
    let issue = |subscribe: &[&str], wanted: &[&str], expires| {
        authority
            .issue_ticket(&grant(subscribe, expires), &patterns(wanted), None, NOW)
            .err()
    };
    assert_eq!(
        issue(&["news/*"], &["news/a", "news/**"], None),
        Some(TicketError::NotCovered(Pattern::parse("news/**").unwrap()))
    );
    assert_eq!(issue(&["news/*"], &[], None), Some(TicketError::Empty));
    assert_eq!(
        issue(&[], &["a"], None),
        Some(TicketError::NotCovered(Pattern::parse("a").unwrap()))
    );
    assert_eq!(
        issue(&["**"], &["a"], Some(NOW)),
        Some(TicketError::Expired)
    );
    let long = vec!["a-topic-with-a-rather-long-name"; 200];
    assert_eq!(issue(&["**"], &long, None), Some(TicketError::Long));
}

#[test]
fn tickets_are_good_after_a_restart_and_on_other_nodes() {
    let first = authority(&[OWN]);
    let ticket = first
        .issue_ticket(&grant(&["**"], None), &patterns(&["a"]), None, NOW)
        .unwrap();
    assert!(show(&authority(&[OWN]), ticket.text.expose(), NOW).is_ok());
    let other = "auth.secret=fedcba9876543210fedcba9876543210";
    assert!(show(&authority(&[other]), ticket.text.expose(), NOW).is_err());

    // Without any secret they last as long as the process, over reloads too, and the operator is told.
    let key = format!("auth.api_keys=[{{key = \"{}\"}}]", "k".repeat(20));
    let config = config(&[&key]);
    let without = Authority::from_config(&config).unwrap();
    assert!(without.warnings()[0].contains("auth.ticket_secret"));
    let ticket = without
        .issue_ticket(&grant(&["**"], None), &patterns(&["a"]), None, NOW)
        .unwrap();
    without.reload(&config).unwrap();
    assert!(show(&without, ticket.text.expose(), NOW).is_ok());
    assert!(show(&authority(&[&key]), ticket.text.expose(), NOW).is_err());
    let set = [
        key.as_str(),
        "auth.ticket_secret=fedcba9876543210fedcba9876543210",
    ];
    assert!(authority(&set).warnings().is_empty());
}

#[test]
fn a_ticket_is_no_token_and_a_token_is_no_ticket() {
    let authority = authority(&[
        OWN,
        "auth.cookie=token",
        "allowed_origins=https://app.example.com",
    ]);
    let ticket = authority
        .issue_ticket(&grant(&["**"], None), &patterns(&["a"]), None, NOW)
        .unwrap();
    let ticket = ticket.text.expose();
    assert!(bearer(&authority, ticket).is_err());
    let cookie = Credentials {
        cookie: Some(ticket),
        origin: Some("https://app.example.com"),
        ..Credentials::none(PEER)
    };
    assert!(authority.authorize(&cookie, NOW).is_err());
    assert!(show(&authority, &token(r#""push":{"subscribe":["**"]}"#), NOW).is_err());
    // Signed with the secret itself rather than the key derived from it.
    let (payload, _) = ticket.split_once('.').unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, payload.as_bytes()));
    assert!(show(&authority, &format!("{payload}.{signature}"), NOW).is_err());
}

#[test]
fn every_single_change_to_a_ticket_spoils_it() {
    let authority = authority(&[OWN, "auth.max_failures=100000"]);
    let ticket = authority
        .issue_ticket(&grant(&["**"], None), &patterns(&["a"]), None, NOW)
        .unwrap();
    let good = ticket.text.expose();
    for at in 0..good.len() {
        let mut changed = good.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(show(&authority, &changed, NOW).is_err(), "position {at}");
    }
    for other in [
        "",
        ".",
        "a.b",
        "..",
        &"x".repeat(1 << 20),
        &format!("{good}.{good}"),
        &good[..good.len() - 1],
    ] {
        assert!(show(&authority, other, NOW).is_err());
    }
}

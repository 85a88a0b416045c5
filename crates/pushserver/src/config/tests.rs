//! The table, the three sources and their errors.

use std::io::Write;
use std::time::Duration;

use super::*;

/// Loads a configuration from the text of a file, variables and flags, each `name=value`
fn load(file: &str, env: &[&str], flags: &[&str]) -> Result<Config, ConfigError> {
    let pairs = |texts: &[&str]| {
        let pair = |text: &&str| {
            let (name, value) = text.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        texts.iter().map(pair).collect::<Vec<_>>().into_iter()
    };
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    let loaded = Config::load(Some(written.path()), pairs(env), pairs(flags));
    drop(written);
    loaded
}

/// What is said about a file, without the path of the file
#[track_caller]
fn complaint(file: &str, env: &[&str], flags: &[&str]) -> String {
    let error = load(file, env, flags).expect_err("this configuration is wrong");
    let lines = error.problems().iter().map(|problem| {
        let text = problem.to_string();
        match (problem_line(problem), text.split_once(": ")) {
            (Some(line), Some((_, rest))) => format!("{line}: {rest}"),
            _ => text,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn problem_line(problem: &Problem) -> Option<usize> {
    match problem {
        Problem::Syntax { origin, .. }
        | Problem::UnknownKey { origin, .. }
        | Problem::BadValue { origin, .. } => match origin {
            Origin::File { line, .. } => Some(*line),
            _ => None,
        },
        _ => None,
    }
}

#[track_caller]
fn check_complaint(file: &str, expect: &str) {
    assert_eq!(complaint(file, &[], &[]), expect);
}

const KEY: &str = "auth.secret=0123456789abcdef0123456789abcdef";

#[test]
fn every_default_is_readable_and_nothing_in_it_contradicts() {
    let config = load("", &[], &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.stream.heartbeat, Duration::from_secs(15));
    assert_eq!(config.log.ceiling_bytes, 256 << 20);
    assert!(config.auth.is_open());
}

#[test]
fn what_comes_later_wins() {
    let file = "[stream]\nheartbeat = \"1s\"\nretry = \"1s\"\nwrite_deadline = \"1s\"";
    let env = ["PUSH_STREAM_RETRY=2s", "PUSH_STREAM_WRITE_DEADLINE=2s"];
    let flags = ["stream.write_deadline=3s"];
    let stream = load(file, &env, &flags).unwrap().stream;
    let seconds =
        [stream.heartbeat, stream.retry, stream.write_deadline].map(|span| span.as_secs());
    assert_eq!(seconds, [1, 2, 3]);
}

#[test]
fn the_default_configuration_reads_back_as_itself() {
    let text = default_config();
    let default = format!("{:?}", Config::default());
    assert_eq!(format!("{:?}", load(&text, &[], &[]).unwrap()), default);

    // A list of tables has entries once it is uncommented, so the example of one is left as it is.
    let mut entry = false;
    let active = text.lines().map(|line| {
        entry = (entry || line.starts_with("#[[")) && !line.starts_with('[');
        let setting = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        setting.filter(|_| !entry).unwrap_or(line)
    });
    let active = active.collect::<Vec<_>>().join("\n");
    assert_eq!(
        active.matches(" = ").count(),
        active.lines().filter(|line| line.contains(" = ")).count()
    );
    assert!(active.lines().any(|line| line == "heartbeat = \"15s\""));
    assert_eq!(format!("{:?}", load(&active, &[], &[]).unwrap()), default);
}

#[test]
fn the_reference_in_the_documentation_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/configuration.md is not what the table says: pushserver default-config --markdown > docs/configuration.md"
    );
}

#[test]
fn every_setting_can_be_set_from_the_environment_under_a_name_of_its_own() {
    let names = Config::default().names();
    let mut variables: Vec<_> = names.iter().map(|name| variable_of(name)).collect();
    assert!(
        variables
            .iter()
            .all(|variable| !is_somebody_elses(variable))
    );
    variables.sort();
    let all = variables.len();
    variables.dedup();
    assert_eq!(variables.len(), all);
}

/// The sources of the server, without the configuration itself and without tests
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is = |names: &[&str]| names.iter().any(|name| path.ends_with(name));
        if is(&["config", "tests", "scenarios", "tests.rs"]) {
            continue;
        }
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let (code, _tests) = text
                .split_once("#[cfg(test)]\nmod tests")
                .unwrap_or((&text, ""));
            into.push_str(code);
        }
    }
}

/// Whether a field of this name is looked at, and not a method called
fn reads(sources: &str, field: &str) -> bool {
    let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    let looked_at = |(at, found): (usize, &str)| {
        let (before, after) = (&sources[..at], &sources[at + found.len()..]);
        let ends = !after.starts_with(|c: char| part_of_a_name(c) || c == '(');
        // `config.field`, or one of the fields that a pattern takes apart.
        let begins = before.ends_with('.') || before.trim_end().ends_with([',', '{']);
        ends && begins
    };
    sources.match_indices(field).any(looked_at)
}

/// What a section is called in the sources: its name, and those it is given by `let limits = &app.config.http2;`
fn names_of<'a>(sources: &'a str, section: &'a str) -> impl Iterator<Item = &'a str> {
    let whole = format!(".{section};");
    let lines = sources.lines().filter(move |line| line.ends_with(&whole));
    let given = lines.filter_map(|line| line.trim().strip_prefix("let ")?.split(' ').next());
    given.chain([section])
}

#[test]
fn every_setting_is_read_by_something() {
    let mut all = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(!reads(&all, "a_setting_that_nobody_reads"));
    let mut config = Config::default();
    let rows = config
        .sections()
        .into_iter()
        .flat_map(|(_, section)| section.rows());
    let names = rows.flat_map(|row| {
        let entry = row.entry.unwrap_or_default().iter();
        entry.map(|row| row.name).chain([row.name])
    });
    let unread: Vec<_> = names.filter(|name| !reads(&all, name)).collect();
    assert!(unread.is_empty(), "set and never looked at: {unread:?}");

    // A name that several sections have says nothing without its section.
    let full = config.names();
    let last = |full: &str| full.rsplit('.').next().unwrap_or(full).to_owned();
    let shared = full.iter().filter(|name| {
        let same = full.iter().filter(|other| last(other) == last(name));
        same.count() > 1
    });
    let unread: Vec<_> = shared
        .filter(|name| {
            let (section, own) = name.split_once('.').unwrap_or(("server", name));
            !names_of(&all, section).any(|section| all.contains(&format!("{section}.{own}")))
        })
        .collect();
    assert!(unread.is_empty(), "set and never looked at: {unread:?}");
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    check_complaint(
        "[stream]\nhearbeat = \"5s\"",
        "2: unknown setting stream.hearbeat; did you mean stream.heartbeat?",
    );
    check_complaint(
        "\n\nheartbeat = \"5s\"",
        "3: unknown setting heartbeat; did you mean stream.heartbeat?",
    );
    check_complaint(
        "[http]\nmax_body = 5",
        "2: unknown setting http.max_body; did you mean http.max_body_bytes?",
    );
    check_complaint(
        "[websockets]\nmax_message_bytes = 5",
        "1: unknown setting websockets; did you mean websocket?",
    );
    check_complaint("[zebra]\nx = 1", "1: unknown setting zebra");
    assert_eq!(
        complaint("", &[], &["hartbeat=3s"]),
        "command line: unknown setting hartbeat; did you mean stream.heartbeat?"
    );
    assert_eq!(
        complaint("", &[], &["colour=red"]),
        "command line: unknown setting colour"
    );
    check_complaint(
        "[[log.retention]]\npatern = \"a\"",
        "1: unknown setting log.retention[0].patern; did you mean pattern?",
    );
    assert_eq!(
        complaint("", &["PUSH_STREAM_HEARTBEET=5s"], &[]),
        "environment variable PUSH_STREAM_HEARTBEET: unknown setting PUSH_STREAM_HEARTBEET; did you mean \
         PUSH_STREAM_HEARTBEAT?"
    );
    assert_eq!(
        complaint("", &[], &["htpp.max_head_bytes=1"]),
        "command line: unknown setting htpp.max_head_bytes; did you mean http.max_head_bytes?"
    );
}

#[test]
fn a_bad_value_is_an_error_that_says_what_would_be_right() {
    check_complaint(
        "[stream]\nheartbeat = 15",
        r#"2: stream.heartbeat is 15, expected a duration such as "500ms", "15s", "5m", "24h" or "7d""#,
    );
    check_complaint(
        "[http]\nmax_head_bytes = \"16k\"",
        r#"2: http.max_head_bytes is "16k", expected a size such as "64KiB", "1MiB", "2GiB" or a number of bytes"#,
    );
    check_complaint(
        "[lag]\nallowed = [\"newest\", \"oldest\"]",
        "2: lag.allowed[1] is a list, expected one of replay newest conflate disconnect",
    );
    check_complaint(
        "[[log.retention]]\npattern = \"a\"\nage = 5",
        "1: log.retention[0].age is not as it should be (the value is not shown), expected a duration such as \
         \"500ms\", \"15s\", \"5m\", \"24h\" or \"7d\"",
    );
    check_complaint(
        "stream = 5",
        "1: stream is 5, expected a section, which is its name in brackets on a line of its own",
    );
    assert_eq!(
        complaint("", &["PUSH_LISTEN=8000"], &["listen=8000", "shards=0"]),
        "environment variable PUSH_LISTEN: listen is \"8000\", expected an address and a port such as \
         127.0.0.1:8000, 0.0.0.0:8000 or [::1]:8000\n\
         command line: listen is \"8000\", expected an address and a port such as 127.0.0.1:8000, 0.0.0.0:8000 or \
         [::1]:8000\n\
         command line: shards is \"0\", expected \"auto\" or a number from 1 to 256"
    );
}

#[test]
fn a_file_that_is_not_toml_is_told_by_line_and_its_text_is_not_repeated() {
    let text = complaint("[auth]\nsecret = \"hunter2hunter2", &[], &[]);
    assert!(text.starts_with("2: "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn no_secret_is_ever_part_of_an_error_or_of_the_debug_form() {
    let secret = "canary-5up3r-s3cr3t-canary-5up3r-s3cr3t";
    let wrong = [
        format!("auth.secret = {{ x = \"{secret}\" }}"),
        format!("[auth]\nsecret = [\"{secret}\"]"),
        format!("[[auth.keys]]\nsecret = 5\nissuer = [\"{secret}\"]"),
        format!("[[auth.api_keys]]\nkey = [\"{secret}\"]"),
        format!("[[auth.api_keys]]\nkey = \"{secret} and more\""),
        format!("[[auth.api_keys]]\nhash = \"{secret}\""),
        format!("[auth]\nkeys = \"{secret}\""),
    ];
    for file in &wrong {
        let text = complaint(file, &[], &[]);
        assert!(!text.contains("canary"), "{text}");
    }
    let config = load(&format!("[auth]\nsecret = \"{secret}\""), &[], &[]).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    assert_eq!(config.auth.secret.unwrap().expose(), secret);
}

#[test]
fn lists_and_tables_are_read_from_text_too() {
    let env = [
        "PUSH_ALLOWED_HOSTS=a.localhost, b.localhost",
        "PUSH_LAG_ALLOWED=[\"replay\"]",
        "PUSH_LOG_RETENTION=[{pattern = \"chat/**\", events = 50}, {pattern = \"*\", age = \"1m\"}]",
    ];
    let config = load("allowed_origins = []", &env, &[]).unwrap();
    assert_eq!(config.server.allowed_hosts, ["a.localhost", "b.localhost"]);
    assert_eq!(config.lag.allowed, [LagPolicy::Replay]);
    let [chat, rest] = &config.log.retention[..] else {
        panic!("two entries were given");
    };
    assert_eq!(
        (&chat.pattern[..], chat.events, chat.bytes),
        ("chat/**", Some(50), None)
    );
    assert_eq!(rest.age, Some(Duration::from_secs(60)));
}

#[test]
fn sizes_and_counts_are_read_exactly_or_not_at_all() {
    let head = |value: &str| {
        load("", &[], &[&format!("http.max_body_bytes={value}")]).map(|c| c.http.max_body_bytes)
    };
    for (text, bytes) in [
        ("4096", 4096),
        ("4_096", 4096),
        ("64KiB", 65536),
        ("64 KiB", 65536),
        ("2MiB", 2 << 20),
        ("7B", 7),
    ] {
        assert_eq!(head(text).unwrap(), bytes, "{text}");
    }
    for text in [
        "",
        "0",
        "-1",
        "1.5MiB",
        "64KB",
        "64kib",
        "99999999999GiB",
        "KiB",
        "1e3",
    ] {
        head(text).expect_err(text);
    }
}

#[test]
fn variables_that_are_somebody_elses_are_left_alone() {
    let env = [
        "HOME=/root",
        "PUSHED=1",
        "PUSH_CONFIG=/etc/pushserver.toml",
        "PUSH_PORT=tcp://10.0.0.1:8000",
        "PUSH_PORT_8000_TCP_ADDR=10.0.0.1",
        "PUSH_SERVICE_HOST=10.0.0.1",
        "PUSH_SERVICE_PORT_HTTP=8000",
        "PUSH_GATEWAY_SERVICE_HOST=10.0.0.2",
    ];
    load("", &env, &[]).unwrap();
}

#[test]
fn beyond_loopback_needs_a_key_or_the_word_insecure() {
    for address in [
        "0.0.0.0:8000",
        "[::]:8000",
        "192.0.2.1:80",
        "[::ffff:192.0.2.1]:80",
    ] {
        let listen = format!("listen={address}");
        let text = complaint("", &[], &[&listen]);
        assert!(
            text.contains("refusing to listen")
                && text.contains("--insecure")
                && text.contains("auth.secret"),
            "{text}"
        );
        load("", &[], &[&listen, "insecure=true"]).unwrap();
        load("", &[], &[&listen, KEY]).unwrap();
    }
    for address in [
        "127.0.0.1:0",
        "127.8.8.8:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
    ] {
        load("", &[], &[&format!("listen={address}")]).unwrap();
    }
}

#[test]
fn a_public_name_needs_a_key_as_a_public_address_does() {
    let text = complaint("allowed_hosts = [\"push.example.com\"]", &[], &[]);
    assert!(
        text.contains("push.example.com") && text.contains("--insecure"),
        "{text}"
    );
    load(
        "allowed_hosts = [\"app.localhost:3000\", \"localhost\"]",
        &[],
        &[],
    )
    .unwrap();
    load("allowed_hosts = [\"push.example.com\"]", &[], &[KEY]).unwrap();
}

#[test]
fn an_anonymous_grant_is_no_key() {
    let flags = ["listen=0.0.0.0:8000", "auth.anonymous_subscribe=news"];
    let text = complaint("", &[], &flags);
    assert!(text.contains("refusing to listen"), "{text}");
    assert!(!load("", &[], &flags[1..]).unwrap().auth.is_open());
}

#[test]
fn contradictions_are_told_with_what_resolves_them() {
    #[track_caller]
    fn check(file: &str, expect: &str) {
        let text = complaint(file, &[], &[]);
        assert!(text.contains(expect), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    check("[tls]\ncertificate = \"cert.pem\"", "set both or neither");
    check(
        "[auth]\ncookie = \"token\"",
        "auth.cookie needs allowed_origins",
    );
    check(
        "allowed_origins = [\"*\"]\n[auth]\ncookie = \"token\"",
        "every website could then",
    );
    check(
        "allowed_origins = [\"app.example.com\"]",
        "not an origin such as",
    );
    check(
        "allowed_hosts = [\"http://localhost\"]\ninsecure = true",
        "not a host such as",
    );
    check(
        "[lag]\nallowed = [\"newest\"]",
        "lag.policy is not among lag.allowed",
    );
    check("[auth]\nsecret = \"short\"", "auth.secret has 5 bytes");
    check(
        "[log]\nceiling_bytes = \"1MiB\"\nmax_bytes = \"1MiB\"",
        "http.max_body_bytes",
    );
    check(
        "[[auth.keys]]\nalgorithm = \"HS256\"",
        "exactly one of secret",
    );
    check(
        "[[auth.keys]]\nsecret = \"0123456789abcdef0123456789abcdef\"",
        "algorithm is missing",
    );
    check(
        "[[auth.keys]]\npublic_key = \"a.pem\"\nalgorithm = \"HS256\"",
        "does not fit its key",
    );
    check(
        "[[auth.keys]]\nsecret = \"0123456789abcdef0123456789abcdef\"\nalgorithm = \"RS256\"",
        "does not fit its key",
    );
    check(
        "[[auth.keys]]\nsecret = \"0123456789abcdef0123456789abcdef\"\nalgorithm = \"HS512\"",
        "needs 64",
    );
    check(
        "[[auth.keys]]\njwks = \"keys.json\"\nkid = \"1\"",
        "kid must be left out",
    );
    check(
        "[[auth.api_keys]]\nkey = \"short\"",
        "at least 20 characters",
    );
    check("[[auth.api_keys]]\nhash = \"abc\"", "64 hexadecimal digits");
    check(
        "[[auth.api_keys]]\nname = \"a\"",
        "exactly one of key and hash",
    );
}

#[test]
fn every_problem_is_told_at_once() {
    let text = complaint(
        "lisen = \"x\"\n[stream]\nretry = 0\n[htp]\na = 1",
        &["PUSH_SHARDS=many"],
        &["x=1"],
    );
    assert_eq!(text.lines().count(), 5, "{text}");
}

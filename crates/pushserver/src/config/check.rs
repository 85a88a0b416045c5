//! Settings that are each right and together wrong.

use std::collections::HashSet;

use super::{ApiKey, Auth, Config, Problem, Server, TokenKey};
use crate::auth::Algorithm;
use crate::auth::origin::{Cookies, OriginPolicy};

/// Everything in `config` that contradicts something else in it, each with what would put it right
pub(super) fn conflicts(config: &Config) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut claim = |holds: bool, otherwise: String| {
        if !holds {
            found.push(Problem::Conflict(otherwise));
        }
    };
    exposure(config, &mut claim);
    names(&config.server, &config.auth, &mut claim);
    sizes(config, &mut claim);
    claim(
        config.tls.certificate.is_some() == config.tls.private_key.is_some(),
        "tls.certificate and tls.private_key belong together: set both or neither".to_owned(),
    );
    claim(
        config.lag.allowed.contains(&config.lag.policy),
        "lag.policy is not among lag.allowed: readers that choose nothing would get what is not allowed".to_owned(),
    );
    shared_secrets(&config.auth, &mut claim);
    for (index, key) in config.auth.keys.iter().enumerate() {
        token_key(index, key, &mut claim);
    }
    let mut names = HashSet::new();
    for (index, key) in config.auth.api_keys.iter().enumerate() {
        api_key(index, key, &mut claim);
        claim(
            names.insert(&key.name),
            format!(
                "auth.api_keys[{index}].name is taken by an entry before it: give each key its own name"
            ),
        );
    }
    found
}

/// Notes a message if what should hold does not
type Claim<'a> = dyn FnMut(bool, String) + 'a;

fn exposure(config: &Config, claim: &mut Claim<'_>) {
    let Server {
        listen,
        insecure,
        allowed_hosts,
        ..
    } = &config.server;
    let way_out = "Set auth.secret (`openssl rand -base64 32` makes one), auth.keys or auth.api_keys; or, if everybody \
                   who can reach it may read and publish everything, say --insecure.";
    if config.auth.has_keys() || *insecure {
        return;
    }
    claim(
        listen.ip().to_canonical().is_loopback(),
        format!(
            "refusing to listen on {listen} without a key: that address can be reached from other machines. {way_out}"
        ),
    );
    let public = allowed_hosts.iter().find(|host| !is_local(host));
    claim(
        public.is_none(),
        format!(
            "refusing to serve {} without a key: a public name in allowed_hosts means that others reach this server \
             through a proxy. {way_out}",
            public.map(String::as_str).unwrap_or_default()
        ),
    );
}

/// Whether a host name can only mean this machine (RFC 6761 section 6.3)
fn is_local(host: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

fn names(server: &Server, auth: &Auth, claim: &mut Claim<'_>) {
    let any_origin = server.allowed_origins.iter().any(|origin| origin == "*");
    let listed = OriginPolicy::new(
        &server.allowed_hosts,
        &server.allowed_origins,
        Cookies::Ignored,
    );
    if let Err(error) = listed {
        claim(false, error.to_string());
    }
    if auth.cookie.is_some() {
        claim(
            !server.allowed_origins.is_empty(),
            "auth.cookie needs allowed_origins: a browser sends cookies for every page, so the pages must be named \
             exactly, the server's own origin included"
                .to_owned(),
        );
        claim(
            !any_origin,
            "auth.cookie cannot be combined with `*` in allowed_origins: every website could then use its visitors' \
             cookies. Name the origins."
                .to_owned(),
        );
    }
}

fn sizes(config: &Config, claim: &mut Claim<'_>) {
    let Config {
        http,
        http2,
        stream,
        log,
        auth,
        ..
    } = config;
    let ceiling = log.ceiling_bytes;
    let larger = [
        ("log.max_bytes", log.max_bytes, "log.ceiling_bytes", ceiling),
        (
            "http.max_body_bytes",
            http.max_body_bytes,
            "a quarter of log.ceiling_bytes",
            ceiling / 4,
        ),
        (
            "auth.max_token_bytes",
            auth.max_token_bytes,
            "http.max_head_bytes",
            http.max_head_bytes,
        ),
        (
            "http2.stream_window_bytes",
            http2.stream_window_bytes,
            "http2.connection_window_bytes",
            http2.connection_window_bytes,
        ),
        (
            "http2.connection_window_bytes",
            http2.connection_window_bytes,
            "2147483647, the protocol's own bound",
            i32::MAX as usize,
        ),
        (
            "stream.send_buffer_bytes",
            stream.send_buffer_bytes,
            "1 GiB",
            1 << 30,
        ),
    ];
    for (name, value, bound_name, bound) in larger {
        claim(
            value <= bound,
            format!("{name} ({value}) must not be larger than {bound_name} ({bound})"),
        );
    }
    claim(
        auth.ticket_lifetime <= auth.max_ticket_lifetime,
        "auth.ticket_lifetime must not be longer than auth.max_ticket_lifetime".to_owned(),
    );
    claim(
        http.max_head_bytes >= 8192,
        "http.max_head_bytes must be at least 8KiB: browsers alone may send that much".to_owned(),
    );
}

fn shared_secrets(auth: &Auth, claim: &mut Claim<'_>) {
    for (name, secret) in [
        ("auth.secret", &auth.secret),
        ("auth.ticket_secret", &auth.ticket_secret),
    ] {
        let bytes = secret
            .as_ref()
            .map_or(usize::MAX, |secret| secret.expose().len());
        claim(
            bytes >= Algorithm::Hs256.min_secret_bytes(),
            format!(
                "{name} has {bytes} bytes, and 32 are the least that cannot be guessed: `openssl rand -base64 32` makes one"
            ),
        );
    }
}

fn token_key(index: usize, key: &TokenKey, claim: &mut Claim<'_>) {
    let name = format!("auth.keys[{index}]");
    let shared = key.secret.is_some() || key.secret_file.is_some();
    let sources = [shared, key.public_key.is_some(), key.jwks.is_some()];
    let sources = sources.into_iter().filter(|&present| present).count();
    if sources != 1 || (key.secret.is_some() && key.secret_file.is_some()) {
        claim(
            false,
            format!("{name} needs exactly one of secret, secret_file, public_key and jwks"),
        );
        return;
    }
    claim(
        key.algorithm.is_some() || key.jwks.is_some(),
        format!(
            "{name}.algorithm is missing: a key is good for one algorithm, such as HS256 for a secret or RS256 for a public key"
        ),
    );
    claim(
        key.kid.is_none() || key.jwks.is_none(),
        format!("{name}.kid must be left out: the keys of a JWKS file bring their own"),
    );
    let Some(algorithm) = key.algorithm else {
        return;
    };
    let symmetric = algorithm.family() == crate::auth::Family::Hmac;
    claim(
        symmetric == shared,
        format!(
            "{name}.algorithm does not fit its key: HS algorithms take a secret, the others a public key"
        ),
    );
    if let Some(secret) = &key.secret {
        let (bytes, least) = (secret.expose().len(), algorithm.min_secret_bytes());
        claim(
            bytes >= least,
            format!("{name}.secret has {bytes} bytes, and {algorithm:?} needs {least}"),
        );
    }
}

fn api_key(index: usize, key: &ApiKey, claim: &mut Claim<'_>) {
    let name = format!("auth.api_keys[{index}]");
    claim(
        key.key.is_some() != key.hash.is_some(),
        format!("{name} needs exactly one of key and hash"),
    );
    if let Some(key) = &key.key {
        let key = key.expose();
        let plain = key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        claim(
            plain && key.len() >= MIN_API_KEY,
            format!(
                "{name}.key must have at least {MIN_API_KEY} characters, letters, digits, - and _: `openssl rand -hex 32` makes one"
            ),
        );
    }
    if let Some(hash) = &key.hash {
        let hash = hash.expose();
        claim(
            hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
            format!("{name}.hash must be the SHA-256 of the key in 64 hexadecimal digits"),
        );
    }
}

/// Twenty letters and digits drawn at random are 119 bits
const MIN_API_KEY: usize = 20;

impl Auth {
    /// Whether anything is configured by which a client can prove who it is
    pub fn has_keys(&self) -> bool {
        self.secret.is_some() || !self.keys.is_empty() || !self.api_keys.is_empty()
    }

    /// Whether everybody may do everything: neither a key nor an anonymous grant is configured
    pub fn is_open(&self) -> bool {
        !self.has_keys() && self.anonymous_subscribe.is_empty() && self.anonymous_publish.is_empty()
    }
}

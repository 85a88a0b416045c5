//! Whose web pages may use the server: `Host` and `Origin`, and the CORS header fields that answer them.
//!
//! A server that is open to its machine is open to every website that is visited on it, unless it looks at two fields that
//! a page cannot forge. `Host` tells the name the browser used: a foreign name that resolves to this machine (DNS
//! rebinding) is still a foreign name. `Origin` tells which page asks. Both are checked on every request, whatever
//! its method and transport, before anything else is done for it.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HOST,
    HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;

/// Which hosts and origins are accepted
#[derive(Clone, Debug)]
pub struct OriginPolicy {
    hosts: Vec<Host>,
    origins: Vec<Origin>,
    any_origin: bool,
    cookies: Cookies,
}

/// Whether pages may send cookies along
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// Tokens are read from a cookie, so pages on the listed origins are told that they may send it
    Accepted,
    /// No cookie is looked at
    Ignored,
}

/// What an entry of `allowed_hosts` or `allowed_origins` is not
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not a host
    #[error(
        "{0:?} in allowed_hosts is not a host such as push.example.com or push.example.com:8443"
    )]
    Host(String),
    /// Not an origin
    #[error(
        "{0:?} in allowed_origins is not an origin such as https://app.example.com: scheme, host and port, no path"
    )]
    Origin(String),
}

impl OriginPolicy {
    /// Reads the entries of `allowed_hosts` and `allowed_origins`
    pub fn new(
        hosts: &[String],
        origins: &[String],
        cookies: Cookies,
    ) -> Result<Self, PolicyError> {
        let host = |text: &String| Host::parse(text).ok_or_else(|| PolicyError::Host(text.clone()));
        let origin =
            |text: &String| Origin::parse(text).ok_or_else(|| PolicyError::Origin(text.clone()));
        let listed = origins.iter().filter(|text| *text != "*");
        Ok(Self {
            hosts: hosts.iter().map(host).collect::<Result<_, _>>()?,
            origins: listed.map(origin).collect::<Result<_, _>>()?,
            any_origin: origins.iter().any(|text| text == "*"),
            cookies,
        })
    }

    /// Decides about the head of a request
    ///
    /// The host is the request's authority where it has one (HTTP/2, or an absolute URI) and its `Host` field otherwise;
    /// with both, they must be the same. Two `Host` or two `Origin` fields are refused: somebody between us may have read
    /// the other one.
    ///
    /// # Errors
    ///
    /// [`Foreign`], to be answered 421 or 403 with its text and without CORS fields.
    pub fn check(&self, request: &Parts) -> Result<Page, Foreign> {
        let field = single(&request.headers, &HOST).map_err(|_| Foreign::Host)?;
        let authority = request.uri.authority().map(http::uri::Authority::as_str);
        let host = match (authority, field) {
            (Some(authority), Some(field)) if !authority.eq_ignore_ascii_case(field) => {
                return Err(Foreign::Host);
            }
            (Some(host), _) | (None, Some(host)) => host,
            (None, None) => return Err(Foreign::NoHost),
        };
        let origin = single(&request.headers, &ORIGIN).map_err(|_| Foreign::Origin)?;
        let page = self.decide(host, origin)?;
        if page == Page::None && is_embedded(&request.headers) {
            return Err(Foreign::Embedding);
        }
        Ok(page)
    }

    /// Decides about a host and, if there is one, an origin, both as they stand in their fields
    pub fn decide(&self, host: &str, origin: Option<&str>) -> Result<Page, Foreign> {
        if host.is_empty() {
            return Err(Foreign::NoHost);
        }
        let host = Host::parse(host).ok_or(Foreign::Host)?;
        if !self.admits_host(&host) {
            return Err(Foreign::Host);
        }
        let Some(text) = origin else {
            return Ok(Page::None);
        };
        if text == "null" {
            // What browsers send for an origin that they do not tell (RFC 6454 section 7.3).
            return Err(Foreign::NoOrigin);
        }
        let origin = Origin::parse(text).ok_or(Foreign::Origin)?;
        if self.origins.contains(&origin) {
            return Ok(Page::Listed(text.to_owned()));
        }
        if origin.is_of(&host) {
            return Ok(Page::Own(text.to_owned()));
        }
        if self.any_origin {
            return Ok(Page::Any);
        }
        Err(Foreign::Origin)
    }

    /// Whether a page on `origin` may use a cookie: only if the list names exactly it
    pub fn admits_cookie_of(&self, origin: &str) -> bool {
        let listed = Origin::parse(origin).is_some_and(|origin| self.origins.contains(&origin));
        self.cookies == Cookies::Accepted && listed
    }

    /// The same for a request of the server's own page without `Origin`, as browsers send with GET
    ///
    /// The scheme is unknown behind a proxy, so one of the two that browsers use must be listed for this host.
    pub(crate) fn admits_cookie_of_own_page(&self, host: &str) -> bool {
        ["https", "http"]
            .into_iter()
            .any(|scheme| self.admits_cookie_of(&format!("{scheme}://{host}")))
    }

    fn admits_host(&self, host: &Host) -> bool {
        host.is_always_known()
            || self.hosts.iter().any(|known| {
                known.name == host.name && (known.port.is_none() || known.port == host.port)
            })
    }

    /// Adds what a browser must read before it shows the answer to the page
    ///
    /// `Vary: Origin` is added in every case, so that no cache serves one page's answer to another.
    pub fn put_cors(&self, page: &Page, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let allowed = match page {
            Page::None => return,
            Page::Any => HeaderValue::from_static("*"),
            Page::Own(origin) | Page::Listed(origin) => {
                HeaderValue::from_str(origin).expect("an origin that was read is printable ASCII")
            }
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
        if matches!(page, Page::Listed(_)) && self.cookies == Cookies::Accepted {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
    }

    /// Adds the answer to a preflight: what [`OriginPolicy::put_cors`] adds, the methods and the header fields
    pub fn put_preflight(&self, page: &Page, headers: &mut HeaderMap) {
        self.put_cors(page, headers);
        if *page == Page::None {
            return;
        }
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(METHODS),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(FIELDS),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    }
}

const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";
const FIELDS: &str =
    "authorization, cache-control, content-type, idempotency-key, last-event-id, x-api-key";
const EXPOSED: &str = "retry-after, push-last-id, push-events, push-bytes, push-ended";
/// Two hours, the most that Chromium remembers
const MAX_AGE: &str = "7200";

/// The page that asks
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// No page: a program, or a browser that opens or reads its own server's URL
    None,
    /// A page of the server's own origin
    Own(String),
    /// A page on an origin of the list
    Listed(String),
    /// A page anywhere, where `*` admits them all
    Any,
}

/// A request that comes by a foreign name or from a foreign page
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// The name is none of ours: 421, Misdirected Request (RFC 9110 section 15.5.20)
    #[error("this server is not known by that host name; an operator can add it to allowed_hosts")]
    Host,
    /// There is no name: 421
    #[error("the request has no Host")]
    NoHost,
    /// The page is on another origin: 403
    #[error(
        "pages on this origin may not use this server; an operator can add it to allowed_origins"
    )]
    Origin,
    /// The page has no origin that could be listed: 403
    #[error(
        "a page without an origin (a file, a sandbox) may not use this server; serve it from an origin in allowed_origins"
    )]
    NoOrigin,
    /// The page is on another origin and asks without saying which: 403
    #[error(
        "a foreign page may not embed this; fetch it with CORS from an origin in allowed_origins"
    )]
    Embedding,
}

/// The one value of a field, if there is one
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Twice> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Twice),
        (Some(_), Some(_)) => Err(Twice),
    }
}

/// A field that is there twice, or is not text
struct Twice;

/// Whether a foreign page embeds the URL as an image or a script: such requests have no `Origin`
///
/// Fetch Metadata (W3C): the page could not read the answer, but it could hold streams open. Links from other sites
/// (`navigate`) are welcome.
fn is_embedded(headers: &HeaderMap) -> bool {
    let is = |name: &str, values: &[&str]| {
        headers
            .get(name)
            .is_some_and(|value| values.iter().any(|known| value == known))
    };
    is("sec-fetch-site", &["cross-site", "same-site"]) && is("sec-fetch-mode", &["no-cors"])
}

/// A host and perhaps a port, as in a `Host` field
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    name: Name,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// In lower case, without the dot that may end a full name
    Registered(String),
}

impl Host {
    /// RFC 9110 section 7.2 and RFC 3986 section 3.2.2; without percent-encoding, which no browser sends here
    fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let name = Name::V6(address.parse().ok()?);
                (
                    name,
                    if rest.is_empty() {
                        None
                    } else {
                        Some(rest.strip_prefix(':')?)
                    },
                )
            }
            None => match text.split_once(':') {
                Some((name, port)) => (Name::parse(name)?, Some(port)),
                None => (Name::parse(text)?, None),
            },
        };
        let port = match port {
            Some(digits) => Some(parse_port(digits)?),
            None => None,
        };
        Some(Self { name, port })
    }

    /// Addresses cannot be rebound, and `localhost` and what is under it never leaves the machine (RFC 6761 section 6.3)
    fn is_always_known(&self) -> bool {
        match &self.name {
            Name::V4(_) | Name::V6(_) => true,
            Name::Registered(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        // What ends in a number is an address to a browser (WHATWG URL, "ends in a number"), and then it is not one we read.
        let numeric = text.rsplit('.').next().is_some_and(is_number);
        let sound = text.len() <= 253 && text.split('.').all(label) && !numeric;
        sound.then(|| Self::Registered(text.to_ascii_lowercase()))
    }
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or(label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// An origin as browsers write it (RFC 6454 section 6.1): a scheme, a host, and a port unless it is the scheme's own
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: Name,
    port: Option<u16>,
}

impl Origin {
    /// Reads one origin; `null` is none, and neither is anything with a path, a user or a list
    fn parse(text: &str) -> Option<Self> {
        let (scheme, host) = text.split_once("://")?;
        let sound = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let Host { name, port } = Host::parse(host).filter(|_| sound)?;
        let scheme = scheme.to_ascii_lowercase();
        let port = port.or(default_port(&scheme));
        Some(Self {
            scheme,
            host: name,
            port,
        })
    }

    /// Whether a page on this origin came from the host that it now asks
    ///
    /// Behind a proxy that ends TLS the server cannot know the scheme, so host and port must do.
    fn is_of(&self, host: &Host) -> bool {
        let port = host.port.or(default_port(&self.scheme));
        default_port(&self.scheme).is_some() && self.host == host.name && self.port == port
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;

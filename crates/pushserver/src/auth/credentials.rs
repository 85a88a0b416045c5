//! What a client shows to say who it is, and how it is turned away.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN};
use http::request::Parts;

use crate::web::field;

/// What a client shows: at most one of these is looked at, the first that is there
///
/// The order is `bearer`, `api_key`, `ticket`, `cookie`. What is shown and is not good is refused, even where showing nothing
/// would have been enough: a client whose token has expired should learn it.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// A token, or an API key, from `Authorization: Bearer` or from the first message of a WebSocket
    pub bearer: Option<&'a str>,
    /// From `X-API-Key`
    pub api_key: Option<&'a str>,
    /// From `?ticket=`
    pub ticket: Option<&'a str>,
    /// A token from the configured cookie; looked at only for pages of the list
    pub cookie: Option<&'a str>,
    /// The `Origin` of the page that asks
    pub origin: Option<&'a str>,
    /// The host that is asked, if the browser says that the page came from there (`Sec-Fetch-Site: same-origin`)
    pub own_page: Option<&'a str>,
    /// The address that failed attempts are counted under
    pub peer: IpAddr,
}

impl<'a> Credentials<'a> {
    /// Shows nothing
    pub fn none(peer: IpAddr) -> Self {
        Self {
            bearer: None,
            api_key: None,
            ticket: None,
            cookie: None,
            origin: None,
            own_page: None,
            peer,
        }
    }

    /// Shows a bearer token, as the first message of a WebSocket does
    pub fn bearer(token: &'a str, peer: IpAddr) -> Self {
        Self {
            bearer: Some(token),
            ..Self::none(peer)
        }
    }

    /// What the head of a request shows; `cookie` is the name of the cookie that is read, if one is
    ///
    /// Other schemes than `Bearer` are somebody else's, a proxy's perhaps, and are not looked at.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for a field or cookie that is there twice: which one was meant is not for us to guess.
    pub fn of(
        request: &'a Parts,
        cookie: Option<&str>,
        ticket: Option<&'a str>,
        peer: IpAddr,
    ) -> Result<Self, Refusal> {
        let headers = &request.headers;
        let bearer = only(headers, &AUTHORIZATION)?.and_then(bearer_token);
        let api_key = only(headers, &field::API_KEY)?;
        let cookie = match cookie {
            Some(name) => cookie_named(headers, name)?,
            None => None,
        };
        let host = request.uri.authority().map(http::uri::Authority::as_str);
        let host = host.or(only(headers, &HOST)?);
        let same_origin = headers
            .get(&field::FETCH_SITE)
            .is_some_and(|site| site == "same-origin");
        let origin = only(headers, &ORIGIN)?;
        let own_page = host.filter(|_| same_origin && origin.is_none());
        Ok(Self {
            bearer,
            api_key,
            ticket,
            cookie,
            origin,
            own_page,
            peer,
        })
    }

    /// Whether anything is shown
    pub fn is_anonymous(&self) -> bool {
        self.bearer.is_none()
            && self.api_key.is_none()
            && self.ticket.is_none()
            && self.cookie.is_none()
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = [
            ("bearer", self.bearer),
            ("api_key", self.api_key),
            ("ticket", self.ticket),
            ("cookie", self.cookie),
        ];
        let kinds: Vec<_> = shown
            .iter()
            .filter(|(_, value)| value.is_some())
            .map(|(kind, _)| *kind)
            .collect();
        write!(f, "Credentials({kinds:?} from {})", self.peer)
    }
}

/// The token of `Bearer` credentials (RFC 6750 section 2.1; the scheme's case does not matter)
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refusal::Invalid),
        (Some(_), Some(_)) => Err(Refusal::Invalid),
    }
}

/// The value of a cookie (RFC 6265 section 5.4); HTTP/2 may send several `Cookie` fields
///
/// Two cookies of that name mean that a neighbouring subdomain has set one as well.
fn cookie_named<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let fields = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|field| field.to_str().ok());
    let pairs = fields
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs
        .filter(|(own, _)| *own == name)
        .map(|(_, value)| value.trim_matches('"'));
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(Refusal::Invalid),
    }
}

/// Why a client gets no grant
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What was shown is not good: 401
    ///
    /// The one answer to every bad token, ticket and key.
    #[error("the token, ticket or key is not accepted")]
    Invalid,
    /// A cookie from a page that is not on the list: 403
    #[error("cookies are accepted from the pages named in allowed_origins only")]
    ForeignPage,
    /// Too many failed attempts from this address: 429
    #[error("too many failed attempts from this address")]
    TooMany {
        /// When the next attempt is looked at
        retry_after: Duration,
    },
    /// Nobody can decide at the moment: 503
    #[error("authority cannot be checked at the moment")]
    Unavailable {
        /// When to ask again
        retry_after: Duration,
    },
}

//! The server's side: what a client asks for, and the answer.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use thiserror::Error;

use super::accept::{accept_key, is_key};
use super::extension::{self, Extension};
use super::field::{as_text, elements, has_token, is_token, trim};
use super::params::{Deflate, DeflateConfig};

/// How the request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via<'h> {
    /// HTTP/1.0: no way to a WebSocket
    Http10,
    /// HTTP/1.1 with an `Upgrade` (RFC 6455)
    Http11,
    /// HTTP/2 with an extended CONNECT and this `:protocol` (RFC 8441)
    Http2 {
        /// The value of the `:protocol` pseudo-header
        protocol: &'h str,
    },
}

/// A request to open a WebSocket, with everything about it checked.
///
/// What it does not look at is the caller's policy: the path, `Origin`, authority.
///
/// ```
/// use ws_codec::handshake::{Opening, Via};
///
/// let fields: [(&str, &[u8]); 6] = [
///     ("Host", b"example.org"),
///     ("Upgrade", b"websocket"),
///     ("Connection", b"keep-alive, Upgrade"),
///     ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
///     ("Sec-WebSocket-Version", b"13"),
///     ("Sec-WebSocket-Protocol", b"chat, superchat"),
/// ];
/// let opening = Opening::of_request(Via::Http11, "GET", fields)?;
/// let protocol = opening.select_protocol(&["superchat"]);
/// let response = opening.accept(protocol, None);
/// assert_eq!(response.status, 101);
/// assert!(response.fields.contains(&("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into())));
/// assert!(response.fields.contains(&("sec-websocket-protocol", "superchat".into())));
/// # Ok::<(), ws_codec::handshake::Rejection>(())
/// ```
#[derive(Clone, Debug)]
pub struct Opening<'h> {
    accept: Option<[u8; 28]>,
    protocols: Vec<&'h str>,
    extensions: Vec<Extension<'h>>,
}

/// Why a request opens no WebSocket. Answer with [`status`](Rejection::status) and [`fields`](Rejection::fields), and close an HTTP/1.1
/// connection: what follows such a request cannot be told from frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Not GET, or not CONNECT over HTTP/2
    #[error("the method is not the one that opens a WebSocket")]
    Method,
    /// HTTP/1.0
    #[error("a WebSocket needs HTTP/1.1 or HTTP/2")]
    HttpVersion,
    /// An extended CONNECT for something other than `websocket`
    #[error("the extended CONNECT is not for a WebSocket")]
    OtherProtocol,
    /// No `Host`, or several
    #[error("there must be one Host")]
    Host,
    /// No `Upgrade: websocket`, or several `Upgrade` fields
    #[error("there must be one Upgrade, and it must name websocket")]
    Upgrade,
    /// No `Connection: Upgrade`
    #[error("Connection must name Upgrade")]
    Connection,
    /// No `Sec-WebSocket-Key`, several, or one that is not 16 bytes in base64
    #[error("there must be one Sec-WebSocket-Key of 16 bytes in base64")]
    Key,
    /// No `Sec-WebSocket-Version`, or several
    #[error("there must be one Sec-WebSocket-Version")]
    NoVersion,
    /// A version other than 13
    #[error("the only Sec-WebSocket-Version is 13")]
    Version,
    /// A body: a request that opens a WebSocket has none, and one that says it has is an attempt to smuggle another request
    #[error("a request that opens a WebSocket has no body")]
    Body,
    /// A `Sec-WebSocket-Protocol` that is not a list of different tokens
    #[error("Sec-WebSocket-Protocol must be a list of different tokens")]
    Protocol,
    /// A `Sec-WebSocket-Extensions` that is not what RFC 6455 section 9.1 says it is
    #[error("Sec-WebSocket-Extensions is malformed")]
    Extensions,
    /// More subprotocols or extensions than anyone has a use for
    #[error("too many subprotocols or extensions are offered")]
    TooMany,
}

impl Rejection {
    /// The HTTP status to answer with.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Rejection::Method => 405,
            // "If this version does not match a version understood by the server, the server MUST abort the WebSocket
            // handshake [...] and instead send an appropriate HTTP error code (such as 426 Upgrade Required)"
            Rejection::Version => 426,
            Rejection::TooMany => 431,
            Rejection::OtherProtocol => 501,
            _ => 400,
        }
    }

    /// The header fields that belong to that status.
    #[must_use]
    pub fn fields(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Rejection::Method => &[("allow", "GET")],
            Rejection::Version => &[
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
                ("sec-websocket-version", "13"),
            ],
            _ => &[],
        }
    }
}

/// The answer that opens the WebSocket: its status, and its fields in lower case as HTTP/2 wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 101 over HTTP/1.1, 200 over HTTP/2
    pub status: u16,
    /// In the order to be sent
    pub fields: Vec<(&'static str, Cow<'static, str>)>,
}

impl<'h> Opening<'h> {
    /// The most subprotocols or extensions taken. Browsers and programs send a handful; the bound keeps the checks linear.
    pub const MAX_ELEMENTS: usize = 64;

    /// Checks a request (RFC 6455 section 4.2.1, RFC 8441 section 5). Over HTTP/2 the fields are those that are not pseudo-headers.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn of_request(
        via: Via<'h>,
        method: &str,
        fields: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) -> Result<Opening<'h>, Rejection> {
        match via {
            Via::Http10 => return Err(Rejection::HttpVersion),
            Via::Http2 { protocol } if protocol != "websocket" => {
                return Err(Rejection::OtherProtocol);
            }
            Via::Http11 if method != "GET" => return Err(Rejection::Method),
            Via::Http2 { .. } if method != "CONNECT" => return Err(Rejection::Method),
            Via::Http11 | Via::Http2 { .. } => {}
        }
        let mut seen = Seen::default();
        for (name, value) in fields {
            seen.take(name, value)?;
        }
        let accept = match via {
            Via::Http11 => Some(seen.check_http1()?),
            _ => None,
        };
        match seen.version.one() {
            Some(b"13") => {}
            Some(_) => return Err(Rejection::Version),
            None => return Err(Rejection::NoVersion),
        }
        Ok(Opening {
            accept,
            protocols: seen.protocols,
            extensions: seen.extensions,
        })
    }

    /// The subprotocols the client offers, the ones it likes best first.
    #[must_use]
    pub fn protocols(&self) -> &[&'h str] {
        &self.protocols
    }

    /// The first subprotocol the client offers that is also in `supported`; case matters (RFC 6455 section 4.2.2).
    #[must_use]
    pub fn select_protocol(&self, supported: &[&str]) -> Option<&'h str> {
        self.protocols
            .iter()
            .copied()
            .find(|offered| supported.contains(offered))
    }

    /// The first of the client's offers of permessage-deflate that can be accepted, with what was agreed on (RFC 7692 section 7.1).
    ///
    /// An offer is declined if it has an unknown, repeated or invalid parameter, or demands what this side does not do. Declining
    /// all of them leaves a connection without compression, not an error.
    #[must_use]
    pub fn agree_deflate(&self, config: &DeflateConfig) -> Option<Deflate> {
        self.extensions
            .iter()
            .find_map(|offer| Deflate::accept(offer, config))
    }

    /// The response that opens the WebSocket.
    ///
    /// # Panics
    /// If the client did not offer `protocol`: "if the client's handshake did not contain such a header field [...] the only acceptable
    /// value is null".
    #[must_use]
    pub fn accept(&self, protocol: Option<&str>, deflate: Option<&Deflate>) -> Response {
        let mut fields: Vec<(&'static str, Cow<'static, str>)> = Vec::with_capacity(5);
        if let Some(accept) = &self.accept {
            let accept: String = accept.iter().copied().map(char::from).collect();
            fields.push(("upgrade", "websocket".into()));
            fields.push(("connection", "upgrade".into()));
            fields.push(("sec-websocket-accept", accept.into()));
        }
        if let Some(protocol) = protocol {
            assert!(
                self.protocols.contains(&protocol),
                "the client did not offer {protocol:?}"
            );
            fields.push(("sec-websocket-protocol", protocol.to_string().into()));
        }
        if let Some(deflate) = deflate {
            fields.push(("sec-websocket-extensions", deflate.to_string().into()));
        }
        Response {
            status: if self.accept.is_some() { 101 } else { 200 },
            fields,
        }
    }
}

/// The fields that matter, as they were seen
#[derive(Default)]
struct Seen<'h> {
    host: Times<'h>,
    upgrade: Times<'h>,
    names_upgrade: bool,
    key: Times<'h>,
    version: Times<'h>,
    protocols: Vec<&'h str>,
    extensions: Vec<Extension<'h>>,
}

impl<'h> Seen<'h> {
    fn take(&mut self, name: &str, value: &'h [u8]) -> Result<(), Rejection> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("host") {
            self.host.add(value);
        } else if is("upgrade") {
            self.upgrade.add(value);
        } else if is("connection") {
            self.names_upgrade |= has_token(value, "upgrade");
        } else if is("transfer-encoding") || is("content-length") && value != b"0" {
            return Err(Rejection::Body);
        } else if is("sec-websocket-key") {
            self.key.add(value);
        } else if is("sec-websocket-version") {
            self.version.add(value);
        } else if is("sec-websocket-protocol") {
            let value = as_text(value).ok_or(Rejection::Protocol)?;
            for protocol in elements(value) {
                if self.protocols.len() == Opening::MAX_ELEMENTS {
                    return Err(Rejection::TooMany);
                }
                // "The elements that comprise this value MUST be non-empty strings [...] and MUST all be unique strings."
                if !is_token(protocol) || self.protocols.contains(&protocol) {
                    return Err(Rejection::Protocol);
                }
                self.protocols.push(protocol);
            }
        } else if is("sec-websocket-extensions") {
            let value = as_text(value).ok_or(Rejection::Extensions)?;
            for extension in extension::parse(value).ok_or(Rejection::Extensions)? {
                if self.extensions.len() == Opening::MAX_ELEMENTS {
                    return Err(Rejection::TooMany);
                }
                self.extensions.push(extension);
            }
        }
        Ok(())
    }

    fn check_http1(&self) -> Result<[u8; 28], Rejection> {
        self.host.one().ok_or(Rejection::Host)?;
        if !self
            .upgrade
            .one()
            .is_some_and(|value| has_token(value, "websocket"))
        {
            return Err(Rejection::Upgrade);
        }
        if !self.names_upgrade {
            return Err(Rejection::Connection);
        }
        let key = self
            .key
            .one()
            .filter(|key| is_key(key))
            .ok_or(Rejection::Key)?;
        Ok(accept_key(key))
    }
}

/// A field that must come exactly once
#[derive(Default)]
enum Times<'h> {
    #[default]
    Never,
    Once(&'h [u8]),
    More,
}

impl<'h> Times<'h> {
    fn add(&mut self, value: &'h [u8]) {
        *self = match self {
            Times::Never => Times::Once(value),
            _ => Times::More,
        };
    }

    /// Its value, without the space around it.
    fn one(&self) -> Option<&'h [u8]> {
        match self {
            Times::Once(value) => as_text(value).map(|value| trim(value).as_bytes()),
            _ => None,
        }
    }
}

//! The client's side: what it asks for, and what it makes of the answer.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use thiserror::Error;

use super::accept::{accept_key, encode_base64};
use super::extension;
use super::field::{as_text, has_token, is_token, trim};
use super::params::{Deflate, DeflateConfig};
use super::request::Via;

/// A client's request to open a WebSocket.
///
/// ```
/// use ws_codec::handshake::{Offer, Via};
///
/// // The 16 bytes are random, from the operating system.
/// let offer = Offer::new(*b"the sample nonce").protocol("chat");
/// assert!(offer.fields(Via::Http11).contains(&("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==".into())));
///
/// let fields: [(&str, &[u8]); 4] = [
///     ("Upgrade", b"websocket"),
///     ("Connection", b"Upgrade"),
///     ("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
///     ("Sec-WebSocket-Protocol", b"chat"),
/// ];
/// let agreed = offer.check_response(Via::Http11, 101, fields)?;
/// assert_eq!(agreed.protocol.as_deref(), Some("chat"));
/// # Ok::<(), ws_codec::handshake::ResponseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Offer {
    key: [u8; 24],
    protocols: Vec<String>,
    deflate: Option<DeflateConfig>,
}

/// What client and server agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The subprotocol, if the server chose one
    pub protocol: Option<String>,
    /// Compression, if it was offered and accepted
    pub deflate: Option<Deflate>,
}

/// Why a response opens no WebSocket. The client closes the connection (RFC 6455 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Not 101, or not 200 over HTTP/2: HTTP's own rules say what it means
    #[error("the server answered with status {0}")]
    Status(u16),
    /// No `Upgrade: websocket`
    #[error("Upgrade does not name websocket")]
    Upgrade,
    /// No `Connection: Upgrade`
    #[error("Connection does not name Upgrade")]
    Connection,
    /// A `Sec-WebSocket-Accept` that does not belong to our key: whoever answered does not speak WebSocket
    #[error("Sec-WebSocket-Accept is not the answer to our key")]
    Accept,
    /// A subprotocol that was not offered, or several
    #[error("the server chose a subprotocol that was not offered")]
    Protocol,
    /// An extension that was not offered, or with parameters that do not answer the offer
    #[error("the server chose an extension that was not offered")]
    Extensions,
}

impl Offer {
    /// An offer with this nonce: 16 bytes "selected randomly for each connection".
    #[must_use]
    pub fn new(nonce: [u8; 16]) -> Offer {
        let mut key = [0; 24];
        encode_base64(&nonce, &mut key);
        Offer {
            key,
            protocols: Vec::new(),
            deflate: None,
        }
    }

    /// Offers a subprotocol as well, less liked than those before.
    ///
    /// # Panics
    /// If it is not a token, or offered already.
    #[must_use]
    pub fn protocol(mut self, protocol: &str) -> Offer {
        assert!(is_token(protocol), "a subprotocol is a token: {protocol:?}");
        assert!(
            !self.protocols.iter().any(|other| other == protocol),
            "{protocol:?} is offered already"
        );
        self.protocols.push(protocol.to_string());
        self
    }

    /// Offers permessage-deflate.
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Offer {
        self.deflate = Some(config);
        self
    }

    /// The fields of the request beside `Host`, in lower case. The method is GET over HTTP/1.1 and CONNECT with
    /// `:protocol` `websocket` over HTTP/2.
    #[must_use]
    pub fn fields(&self, via: Via<'_>) -> Vec<(&'static str, Cow<'static, str>)> {
        let mut fields: Vec<(&'static str, Cow<'static, str>)> = Vec::with_capacity(6);
        if !matches!(via, Via::Http2 { .. }) {
            let key: String = self.key.iter().copied().map(char::from).collect();
            fields.push(("upgrade", "websocket".into()));
            fields.push(("connection", "upgrade".into()));
            fields.push(("sec-websocket-key", key.into()));
        }
        fields.push(("sec-websocket-version", "13".into()));
        if !self.protocols.is_empty() {
            fields.push(("sec-websocket-protocol", self.protocols.join(", ").into()));
        }
        if let Some(deflate) = &self.deflate {
            fields.push(("sec-websocket-extensions", deflate.to_string().into()));
        }
        fields
    }

    /// Checks the response (RFC 6455 section 4.1, RFC 8441 section 5) and says what was agreed on.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_response<'h>(
        &self,
        via: Via<'_>,
        status: u16,
        fields: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) -> Result<Agreed, ResponseError> {
        let http2 = matches!(via, Via::Http2 { .. });
        if status != if http2 { 200 } else { 101 } {
            return Err(ResponseError::Status(status));
        }
        let mut upgrade = http2;
        let mut connection = http2;
        let mut accept = if http2 { Accept::Right } else { Accept::Absent };
        let mut agreed = Agreed {
            protocol: None,
            deflate: None,
        };
        for (name, value) in fields {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("upgrade") {
                upgrade |= has_token(value, "websocket");
            } else if is("connection") {
                connection |= has_token(value, "upgrade");
            } else if is("sec-websocket-accept") && !http2 {
                accept = accept.add(self.is_answer(value));
            } else if is("sec-websocket-protocol") {
                let protocol = as_text(value).map(trim).ok_or(ResponseError::Protocol)?;
                if agreed.protocol.is_some()
                    || !self.protocols.iter().any(|offered| offered == protocol)
                {
                    return Err(ResponseError::Protocol);
                }
                agreed.protocol = Some(protocol.to_string());
            } else if is("sec-websocket-extensions") {
                self.take_extensions(value, &mut agreed)?;
            }
        }
        if !upgrade {
            return Err(ResponseError::Upgrade);
        }
        if !connection {
            return Err(ResponseError::Connection);
        }
        if accept != Accept::Right {
            return Err(ResponseError::Accept);
        }
        Ok(agreed)
    }

    fn is_answer(&self, value: &[u8]) -> bool {
        as_text(value).is_some_and(|value| trim(value).as_bytes() == accept_key(&self.key))
    }

    /// "If the response includes [...] an extension that was not present in the client's handshake [...], the client MUST _Fail_"
    fn take_extensions(&self, value: &[u8], agreed: &mut Agreed) -> Result<(), ResponseError> {
        let list = as_text(value)
            .and_then(extension::parse)
            .ok_or(ResponseError::Extensions)?;
        for answer in list {
            let offered = self.deflate.as_ref().ok_or(ResponseError::Extensions)?;
            let deflate = Deflate::confirm(&answer, offered).ok_or(ResponseError::Extensions)?;
            if agreed.deflate.replace(deflate).is_some() {
                return Err(ResponseError::Extensions);
            }
        }
        Ok(())
    }
}

/// What is known of `Sec-WebSocket-Accept`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accept {
    Absent,
    Right,
    Wrong,
}

impl Accept {
    fn add(self, right: bool) -> Accept {
        match (self, right) {
            (Accept::Absent, true) => Accept::Right,
            _ => Accept::Wrong,
        }
    }
}

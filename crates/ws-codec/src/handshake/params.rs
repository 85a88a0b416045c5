//! What the two ends of permessage-deflate agree on (RFC 7692 section 7.1).

use core::fmt;

use super::extension::Extension;
#[cfg(feature = "deflate")]
use crate::role::Role;

/// What was agreed on about permessage-deflate.
///
/// Its text form is the value of the response's `Sec-WebSocket-Extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// The server compresses each message by itself
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself
    pub client_no_context_takeover: bool,
    /// The server refers back at most 2 to the power of this many bytes: 8 to 15
    pub server_max_window_bits: u8,
    /// The client refers back at most 2 to the power of this many bytes: 8 to 15
    pub client_max_window_bits: u8,
    /// Whether the response names the bits: the server's when they were asked for or are fewer than 15, the client's only
    /// when the client said that it knows the parameter
    names_server_bits: bool,
    names_client_bits: bool,
}

/// What was agreed on for one direction
#[cfg(feature = "deflate")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Half {
    pub(crate) takeover: bool,
    pub(crate) window_bits: u8,
}

/// What this side wants of permessage-deflate.
///
/// The default keeps no state between messages on either side. A context costs the compressing end about
/// 2^(bits+2) + 128 KiB (256 KiB for 15 bits) and the other 2^bits + 10 KiB for as long as the connection lasts, and makes
/// it impossible to compress a message once for many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The server compresses each message by itself. Default true.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself. Default true.
    pub client_no_context_takeover: bool,
    /// The largest window of the server: 8 to 15. Default 15.
    pub server_max_window_bits: u8,
    /// The largest window of the client: 8 to 15. Default 15. A server can only ask this of a client that offers it.
    pub client_max_window_bits: u8,
}

impl Default for DeflateConfig {
    fn default() -> DeflateConfig {
        DeflateConfig {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: MAX_BITS,
            client_max_window_bits: MAX_BITS,
        }
    }
}

pub(super) const NAME: &str = "permessage-deflate";
const MAX_BITS: u8 = 15;

/// The parameters of one extension, each at most once and with a value of its kind
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Params {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    /// The inner `None` is the parameter without a value, which only an offer may have
    pub(super) client_max_window_bits: Option<Option<u8>>,
}

impl Params {
    /// `None` if the extension is another, or a parameter is unknown, repeated or has a value it may not have.
    pub(super) fn of(extension: &Extension<'_>) -> Option<Params> {
        if extension.name != NAME {
            return None;
        }
        let mut params = Params::default();
        for (name, value) in &extension.params {
            match (*name, value.as_deref()) {
                ("server_no_context_takeover", None) if !params.server_no_context_takeover => {
                    params.server_no_context_takeover = true;
                }
                ("client_no_context_takeover", None) if !params.client_no_context_takeover => {
                    params.client_no_context_takeover = true;
                }
                ("server_max_window_bits", Some(bits))
                    if params.server_max_window_bits.is_none() =>
                {
                    params.server_max_window_bits = Some(parse_bits(bits)?);
                }
                ("client_max_window_bits", bits) if params.client_max_window_bits.is_none() => {
                    params.client_max_window_bits = Some(match bits {
                        Some(bits) => Some(parse_bits(bits)?),
                        None => None,
                    });
                }
                _ => return None,
            }
        }
        Some(params)
    }
}

/// "a decimal integer value without leading zeroes between 8 to 15, inclusive"
fn parse_bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        _ if value.len() == 2 && value.starts_with('1') => {
            value.parse().ok().filter(|bits| *bits <= MAX_BITS)
        }
        _ => None,
    }
}

impl Deflate {
    /// What was agreed on for what this end writes: whether it may refer to earlier messages, and the bits of its window.
    #[cfg(feature = "deflate")]
    pub(crate) fn written_by(&self, role: Role) -> Half {
        match role {
            Role::Server => Half {
                takeover: !self.server_no_context_takeover,
                window_bits: self.server_max_window_bits,
            },
            Role::Client => Half {
                takeover: !self.client_no_context_takeover,
                window_bits: self.client_max_window_bits,
            },
        }
    }

    /// The server's answer to one offer; `None` declines it.
    pub(super) fn accept(offer: &Extension<'_>, config: &DeflateConfig) -> Option<Deflate> {
        let offered = Params::of(offer)?;
        Some(Deflate {
            server_no_context_takeover: config.server_no_context_takeover
                || offered.server_no_context_takeover,
            client_no_context_takeover: config.client_no_context_takeover
                || offered.client_no_context_takeover,
            server_max_window_bits: offered
                .server_max_window_bits
                .unwrap_or(MAX_BITS)
                .min(config.server_max_window_bits),
            client_max_window_bits: match offered.client_max_window_bits {
                // A client that does not offer it cannot be asked: "a server MUST NOT include [it]".
                None => MAX_BITS,
                Some(hint) => hint.unwrap_or(MAX_BITS).min(config.client_max_window_bits),
            },
            // "A server accepts an extension negotiation offer with this parameter by including [it]", even if it is 15.
            names_server_bits: offered.server_max_window_bits.is_some()
                || config.server_max_window_bits < MAX_BITS,
            names_client_bits: offered.client_max_window_bits.is_some()
                && config.client_max_window_bits < MAX_BITS,
        })
    }

    /// What the client makes of the server's answer to an offer of `config`; `None` if the answer is not one to that offer.
    pub(super) fn confirm(answer: &Extension<'_>, config: &DeflateConfig) -> Option<Deflate> {
        let answered = Params::of(answer)?;
        let client_bits = match answered.client_max_window_bits {
            None => MAX_BITS,
            // A response's parameter has a value.
            Some(bits) => bits?,
        };
        let server_bits = answered.server_max_window_bits.unwrap_or(MAX_BITS);
        // "a server MUST [...] include the parameter with the same or a smaller value", and it accepts a demand by repeating it.
        let kept = server_bits <= config.server_max_window_bits
            && (answered.server_no_context_takeover || !config.server_no_context_takeover);
        kept.then_some(Deflate {
            server_no_context_takeover: answered.server_no_context_takeover,
            client_no_context_takeover: answered.client_no_context_takeover
                || config.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits.min(config.client_max_window_bits),
            names_server_bits: answered.server_max_window_bits.is_some(),
            names_client_bits: answered.client_max_window_bits.is_some(),
        })
    }
}

impl From<DeflateConfig> for Deflate {
    /// What two ends that want the same agree on: for those who settle it in another way than by a handshake.
    fn from(config: DeflateConfig) -> Deflate {
        Deflate {
            server_no_context_takeover: config.server_no_context_takeover,
            client_no_context_takeover: config.client_no_context_takeover,
            server_max_window_bits: config.server_max_window_bits,
            client_max_window_bits: config.client_max_window_bits,
            names_server_bits: config.server_max_window_bits < MAX_BITS,
            names_client_bits: config.client_max_window_bits < MAX_BITS,
        }
    }
}

impl fmt::Display for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if self.names_server_bits {
            write!(
                f,
                "; server_max_window_bits={}",
                self.server_max_window_bits
            )?;
        }
        if self.names_client_bits {
            write!(
                f,
                "; client_max_window_bits={}",
                self.client_max_window_bits
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for DeflateConfig {
    /// The offer a client makes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if self.server_max_window_bits < MAX_BITS {
            write!(
                f,
                "; server_max_window_bits={}",
                self.server_max_window_bits
            )?;
        }
        match self.client_max_window_bits {
            MAX_BITS => f.write_str("; client_max_window_bits"),
            bits => write!(f, "; client_max_window_bits={bits}"),
        }
    }
}

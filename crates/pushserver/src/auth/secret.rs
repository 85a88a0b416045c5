//! Secrets that do not show themselves.

use std::fmt;

use crate::config::kind::{Kind, Raw, Text, Wrong};

/// A secret: a key, a token, a ticket
///
/// It has no `Display`, and its `Debug` says only that there is one, so that no log line, metric or error can
/// show it by accident. Whoever needs the bytes asks for them by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes what must not be shown
    pub fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; the word is long so that it is seen in review
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

impl Kind for Secret {
    type Value = Self;
    const WANTS: &'static str = "a secret";
    const SECRET: bool = true;

    fn read(raw: Raw<'_>) -> Result<Self, Wrong> {
        Text::read(raw).map(Self::new)
    }
}

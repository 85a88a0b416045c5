//! An event's data.

use std::fmt;

use bytes::Bytes;

/// An event's data: text or bytes
///
/// Owns exactly its own bytes: a slice of a larger buffer is copied, so that a small event never keeps a large buffer
/// alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data(pub(super) Body);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Body {
    Text(Box<str>),
    Bytes(Box<[u8]>),
}

impl Data {
    /// Text, checked.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(data: impl Into<Bytes>) -> Result<Data, std::str::Utf8Error> {
        let text = String::from_utf8(Vec::from(data.into())).map_err(|e| e.utf8_error())?;
        Ok(Data(Body::Text(text.into_boxed_str())))
    }

    /// Bytes, as they are.
    #[must_use]
    pub fn bytes(data: impl Into<Bytes>) -> Data {
        Data(Body::Bytes(Vec::from(data.into()).into_boxed_slice()))
    }

    /// A look at it.
    #[must_use]
    pub fn as_ref(&self) -> DataRef<'_> {
        match &self.0 {
            Body::Text(text) => DataRef::Text(text),
            Body::Bytes(bytes) => DataRef::Bytes(bytes),
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Data {
    #[inline]
    fn from(text: &str) -> Data {
        Data(Body::Text(Box::from(text)))
    }
}

impl From<Vec<u8>> for Data {
    /// Bytes, as they are.
    #[inline]
    fn from(bytes: Vec<u8>) -> Data {
        Data(Body::Bytes(bytes.into_boxed_slice()))
    }
}

impl From<String> for Data {
    #[inline]
    fn from(text: String) -> Data {
        Data(Body::Text(text.into_boxed_str()))
    }
}

/// A look at an event's data
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataRef<'a> {
    /// Published as text
    Text(&'a str),
    /// Published as bytes
    Bytes(&'a [u8]),
}

impl<'a> DataRef<'a> {
    /// The bytes, of whatever kind.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            DataRef::Text(text) => text.as_bytes(),
            DataRef::Bytes(bytes) => bytes,
        }
    }
}

impl Body {
    pub(super) fn len(&self) -> usize {
        match self {
            Body::Text(text) => text.len(),
            Body::Bytes(bytes) => bytes.len(),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Body::Text(text) => text.as_bytes(),
            Body::Bytes(bytes) => bytes,
        }
    }

    pub(super) fn join(self, labels: &[&str]) -> Body {
        let more: usize = labels.iter().map(|label| label.len()).sum();
        if more == 0 {
            return self;
        }
        match self {
            Body::Text(text) => {
                let mut text = String::from(text);
                text.reserve_exact(more);
                labels.iter().for_each(|label| text.push_str(label));
                Body::Text(text.into_boxed_str())
            }
            Body::Bytes(bytes) => {
                let mut bytes = Vec::from(bytes);
                bytes.reserve_exact(more);
                labels
                    .iter()
                    .for_each(|label| bytes.extend_from_slice(label.as_bytes()));
                Body::Bytes(bytes.into_boxed_slice())
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Text(text) => fmt::Debug::fmt(text, f),
            Body::Bytes(bytes) => fmt::Debug::fmt(&Bytes::copy_from_slice(bytes), f),
        }
    }
}

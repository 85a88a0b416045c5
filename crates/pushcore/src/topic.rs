//! A named channel.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A named channel: segments joined by `/`
///
/// 1 to 255 bytes of UTF-8. No segment is empty, `.` or `..` (proxies rewrite such paths), and there is no control
/// character and no `*` (which belongs to patterns). Names are compared byte by byte. A clone shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Longest name, in bytes
    pub const MAX_BYTES: usize = 255;

    /// Reads a topic's name.
    ///
    /// # Errors
    /// When `name` breaks one of the rules above; the error says which.
    pub fn parse(name: &str) -> Result<Topic, TopicError> {
        check_length(name)?;
        if !is_plain(name) {
            for segment in name.split('/') {
                check_segment(segment)?;
            }
        }
        Ok(Topic(Arc::from(name)))
    }

    /// Is it the same name? Of two clones that is seen without reading them.
    #[inline]
    pub(crate) fn is(&self, other: &Topic) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for Topic {
    type Err = TopicError;
    fn from_str(name: &str) -> Result<Topic, TopicError> {
        Topic::parse(name)
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why a text does not name a topic
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// There is nothing in it.
    #[error("a topic name is not empty")]
    Empty,
    /// It is longer than [`Topic::MAX_BYTES`].
    #[error("a topic name has at most 255 bytes")]
    TooLong,
    /// It begins or ends with `/`, or has two in a row.
    #[error("a topic name has no empty segment: no `/` at either end, no `//`")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("a topic name has no segment `.` or `..`")]
    DotSegment,
    /// It holds a control character.
    #[error("a topic name has no control characters")]
    Control,
    /// It holds a `*`.
    #[error("a topic name has no `*`: that is a pattern")]
    Star,
}

pub(crate) fn check_length(name: &str) -> Result<(), TopicError> {
    match name.len() {
        0 => Err(TopicError::Empty),
        1..=Topic::MAX_BYTES => Ok(()),
        _ => Err(TopicError::TooLong),
    }
}

/// Whether a name is right for all that can be seen in one look at its bytes; others are looked at closely.
fn is_plain(name: &str) -> bool {
    let mut before = b'/';
    for &byte in name.as_bytes() {
        match byte {
            b'/' if before == b'/' => return false,
            0..b' ' | b'.' | b'*' | 0x7f.. => return false,
            _ => before = byte,
        }
    }
    before != b'/'
}

pub(crate) fn check_segment(segment: &str) -> Result<(), TopicError> {
    if segment.is_empty() {
        return Err(TopicError::EmptySegment);
    }
    if segment == "." || segment == ".." {
        return Err(TopicError::DotSegment);
    }
    for c in segment.chars() {
        if c.is_control() {
            return Err(TopicError::Control);
        }
        if c == '*' {
            return Err(TopicError::Star);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expect: Result<(), TopicError>) {
        assert_eq!(Topic::parse(name).map(|_| ()), expect, "{name:?}");
    }

    #[test]
    fn names_with_their_own_segments_are_topics() {
        check("a", Ok(()));
        check("news/world/europe", Ok(()));
        check("räume/東京 1", Ok(()));
        check("...", Ok(()));
        check("a.b/c~d", Ok(()));
    }

    #[test]
    fn every_rule_has_its_own_error() {
        check("", Err(TopicError::Empty));
        check("/a", Err(TopicError::EmptySegment));
        check("a/", Err(TopicError::EmptySegment));
        check("a//b", Err(TopicError::EmptySegment));
        check("a/./b", Err(TopicError::DotSegment));
        check("..", Err(TopicError::DotSegment));
        check("a\nb", Err(TopicError::Control));
        check("a\u{85}b", Err(TopicError::Control));
        check("a/*", Err(TopicError::Star));
    }

    #[test]
    fn the_short_look_takes_nothing_that_the_close_one_refuses() {
        let parts = ["a", "/", ".", "*", " ", "\n", "\u{7f}", "\u{85}", "ä"];
        let mut names: Vec<String> = parts.map(str::to_owned).into();
        for _ in 0..3 {
            let longer = names
                .iter()
                .flat_map(|name| parts.map(|part| format!("{name}{part}")));
            names = longer.collect();
            for name in &names {
                let closely = name
                    .split('/')
                    .all(|segment| check_segment(segment).is_ok());
                assert_eq!(Topic::parse(name).is_ok(), closely, "{name:?}");
            }
        }
    }

    #[test]
    fn the_longest_name_is_255_bytes() {
        check(&"x".repeat(255), Ok(()));
        check(&"x".repeat(256), Err(TopicError::TooLong));
    }
}

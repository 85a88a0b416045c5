//! The short texts an event carries beside its data.

use std::fmt;

/// Longest label, in bytes; one byte holds its length inside an event
pub(crate) const MAX_LABEL: usize = 255;

/// Why a text cannot be a label
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It has more than 255 bytes.
    #[error("it has more than 255 bytes")]
    TooLong,
    /// It holds a control character, such as a line end.
    #[error("it holds a control character")]
    Control,
    /// It is kept for the server: `open`, `error`, or anything that begins with `push.`.
    #[error("`open`, `error` and names that begin with `push.` are the server's own")]
    Reserved,
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $extra:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads it.
            ///
            /// # Errors
            /// When it is empty, has more than 255 bytes, holds a control character, or is reserved.
            pub fn parse(text: &str) -> Result<$name, LabelError> {
                check(text)?;
                let extra: fn(&str) -> Result<(), LabelError> = $extra;
                extra(text)?;
                Ok($name(Box::from(text)))
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

label!(
    /// What kind of event it is: SSE's `event:`, DOM's `type`
    ///
    /// 1 to 255 bytes without control characters. `open`, `error` and names that begin with `push.` are refused, because a
    /// browser gives the first two to its own events and the server names its control events by the third.
    EventType,
    |text| match text {
        "open" | "error" => Err(LabelError::Reserved),
        _ if text.starts_with("push.") => Err(LabelError::Reserved),
        _ => Ok(()),
    }
);
label!(
    /// What an event is about, for conflation: of two events of one topic with the same key the newer replaces the older
    ///
    /// 1 to 255 bytes without control characters.
    Key,
    |_| Ok(())
);
label!(
    /// The media type of an event's data, as its publisher gave it; not interpreted
    ///
    /// 1 to 255 bytes without control characters.
    ContentType,
    |_| Ok(())
);
label!(
    /// Makes a retried publish the same publish, for one subject and topic
    ///
    /// 1 to 255 bytes without control characters.
    IdempotencyKey,
    |_| Ok(())
);

fn check(text: &str) -> Result<(), LabelError> {
    if text.is_empty() {
        return Err(LabelError::Empty);
    }
    if text.len() > MAX_LABEL {
        return Err(LabelError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(LabelError::Control);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded_and_cannot_break_a_line() {
        assert!(Key::parse(&"k".repeat(255)).is_ok());
        assert_eq!(Key::parse(&"k".repeat(256)), Err(LabelError::TooLong));
        assert_eq!(Key::parse(""), Err(LabelError::Empty));
        assert_eq!(Key::parse("a\nb"), Err(LabelError::Control));
        assert_eq!(Key::parse("a\0b"), Err(LabelError::Control));
    }

    #[test]
    fn the_servers_own_event_types_cannot_be_forged() {
        for name in ["open", "error", "push.", "push.end"] {
            assert_eq!(EventType::parse(name), Err(LabelError::Reserved), "{name}");
        }
        assert!(EventType::parse("push").is_ok());
        assert!(EventType::parse("opened").is_ok());
    }
}

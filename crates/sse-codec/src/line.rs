//! One line: which field it is and where its value begins.

use core::time::Duration;

/// The fields of HTML 9.2.6, and what is not one of them
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Data,
    Id,
    Event,
    Retry,
    Comment,
    /// "Otherwise: The field is ignored."
    Unknown,
}

/// After how many bytes it is settled which field a line is and where its value begins: `event: ` has seven.
pub(crate) const HEAD: usize = 7;

/// Tells a line's field and where its value begins; the line may go on after [`HEAD`] bytes.
///
/// "Collect the characters on the line before the first U+003A COLON character (:), and let field be that string",
/// "If value starts with a U+0020 SPACE character, remove it from value."
#[inline]
pub(crate) fn classify(line: &[u8]) -> (Field, usize) {
    let (field, name_len) = match line {
        [b'd', b'a', b't', b'a', ..] => (Field::Data, 4),
        [b'i', b'd', ..] => (Field::Id, 2),
        [b'e', b'v', b'e', b'n', b't', ..] => (Field::Event, 5),
        [b'r', b'e', b't', b'r', b'y', ..] => (Field::Retry, 5),
        [b':', ..] => (Field::Comment, 0),
        _ => return (Field::Unknown, line.len()),
    };
    match &line[name_len..] {
        [] => (field, name_len),
        [b':', b' ', ..] => (field, name_len + 2),
        [b':', ..] => (field, name_len + 1),
        _ => (Field::Unknown, line.len()),
    }
}

/// Whether the beginning of a line, cut off by the end of the stream, was going to be a field.
pub(crate) fn begins_field(head: &[u8]) -> bool {
    let names: [&[u8]; 4] = [b"data", b"id", b"event", b"retry"];
    !matches!(classify(head).0, Field::Unknown | Field::Comment)
        || names.iter().any(|name| name.starts_with(head))
}

/// The value of a `retry` field, digit by digit: it may be longer than what is kept of a line.
///
/// "If the field value consists of only ASCII digits, then interpret the field value as an integer in base ten".
/// An empty value is no integer and is ignored, as web-platform-tests expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digits {
    millis: u64,
    seen: bool,
    spoiled: bool,
}

impl Digits {
    pub(crate) fn push(&mut self, value: &[u8]) {
        for byte in value {
            if byte.is_ascii_digit() {
                self.seen = true;
                self.millis = self
                    .millis
                    .saturating_mul(10)
                    .saturating_add(u64::from(byte - b'0'));
            } else {
                self.spoiled = true;
            }
        }
    }

    pub(crate) fn finish(self) -> Option<Duration> {
        (self.seen && !self.spoiled).then(|| Duration::from_millis(self.millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, field: Field, value: &str) {
        let (found, start) = classify(line.as_bytes());
        assert_eq!((found, &line[start..]), (field, value), "{line:?}");
    }

    #[test]
    fn a_name_ends_at_the_colon_and_one_space_is_removed() {
        check("data", Field::Data, "");
        check("data:", Field::Data, "");
        check("data: ", Field::Data, "");
        check("data:  x", Field::Data, " x");
        check("data:\tx", Field::Data, "\tx");
        check("data::x", Field::Data, ":x");
        check("id:1", Field::Id, "1");
        check("event: e", Field::Event, "e");
        check("retry: 5", Field::Retry, "5");
        check(": c", Field::Comment, "c");
        check("::", Field::Comment, ":");
    }

    #[test]
    fn names_are_exact() {
        for line in [
            "Data: x",
            " data: x",
            "data : x",
            "datax: x",
            "dat",
            "idx",
            "ids: 1",
            "events",
            "x",
            "retryx:1",
            "\u{feff}data: x",
        ] {
            check(line, Field::Unknown, "");
        }
    }

    #[test]
    fn digits_only_and_never_an_overflow() {
        for (value, expect) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("", None),
            ("+1", None),
            ("1 ", None),
            ("1_0", None),
            ("\u{0661}", None),
            ("99999999999999999999999", Some(u64::MAX)),
        ] {
            let mut digits = Digits::default();
            digits.push(value.as_bytes());
            assert_eq!(
                digits.finish(),
                expect.map(Duration::from_millis),
                "{value:?}"
            );
        }
    }
}

//! The pieces header field values are made of (RFC 9110 section 5.6).

/// Whether this is a `token`: not empty, and nothing but letters, digits and ``!#$%&'*+-.^_`|~``.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The field value as text, if it has nothing in it that can break a line or a parser.
pub(super) fn as_text(value: &[u8]) -> Option<&str> {
    let clean = value
        .iter()
        .all(|&byte| matches!(byte, b'\t' | b' '..=b'~'));
    if clean {
        core::str::from_utf8(value).ok()
    } else {
        None
    }
}

/// The elements of a comma-separated list, without the space around them. Empty elements are passed over, as RFC 9110 section 5.6.1 wants.
/// Not for values with quoted strings.
pub(super) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Whether a list has this token, in any case.
pub(super) fn has_token(value: &[u8], token: &str) -> bool {
    as_text(value)
        .is_some_and(|value| elements(value).any(|element| element.eq_ignore_ascii_case(token)))
}

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

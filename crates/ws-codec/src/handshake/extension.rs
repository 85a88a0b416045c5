//! `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::field::{is_token, is_token_byte, trim};

/// An extension and its parameters, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension<'h> {
    pub(super) name: &'h str,
    pub(super) params: Vec<(&'h str, Option<Cow<'h, str>>)>,
}

/// The extensions of a field value; `None` if it is malformed.
///
/// "extension-list = 1#extension; extension = extension-token *( ";" extension-param ); extension-param = token [ "="
/// (token | quoted-string) ]", and a quoted string holds a token as well.
pub(super) fn parse(mut rest: &str) -> Option<Vec<Extension<'_>>> {
    let mut list = Vec::new();
    loop {
        rest = trim(rest);
        // Empty elements of a list are to be passed over (RFC 9110 section 5.6.1).
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return Some(list);
        }
        let name;
        (name, rest) = take_token(rest)?;
        let mut params = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            let (param, after) = take_token(trim(after))?;
            rest = after;
            let mut value = None;
            if let Some(after) = rest.strip_prefix('=') {
                let taken;
                (taken, rest) = take_value(trim(after))?;
                value = Some(taken);
            }
            params.push((param, value));
        }
        if !(rest.is_empty() || rest.starts_with(',')) {
            return None;
        }
        list.push(Extension { name, params });
    }
}

/// A token, and what follows it and the space after it.
fn take_token(text: &str) -> Option<(&str, &str)> {
    let end = text
        .bytes()
        .position(|byte| !is_token_byte(byte))
        .unwrap_or(text.len());
    let (token, rest) = text.split_at(end);
    (!token.is_empty()).then(|| (token, trim(rest)))
}

/// A token or a quoted one, and what follows.
fn take_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return take_token(text).map(|(token, rest)| (token.into(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                // "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token' ABNF."
                return is_token(&value).then(|| (value.into(), trim(&quoted[at + 1..])));
            }
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[track_caller]
    fn check(value: &str, expect: Option<&str>) {
        let got = parse(value).map(|list| {
            let mut text = String::new();
            for extension in list {
                text += extension.name;
                for (name, value) in extension.params {
                    text += &value.map_or(format!(";{name}"), |value| format!(";{name}={value}"));
                }
                text += ",";
            }
            text
        });
        assert_eq!(got.as_deref(), expect);
    }

    #[test]
    fn lists_and_parameters() {
        check("", Some(""));
        check("foo", Some("foo,"));
        check(
            "foo , bar;a; b = 1,, baz ; c=\"x\\y\" ",
            Some("foo,bar;a;b=1,baz;c=xy,"),
        );
    }

    #[test]
    fn malformed_values_are_none() {
        for value in [
            "foo bar",
            ";a",
            "foo;",
            "foo; =1",
            "foo; a=",
            "foo; a=\"",
            "foo; a=\"\"",
            "foo; a=\"x y\"",
            "foo; a=\"x\\",
            "foo; a b",
            "=",
            "\"foo\"",
        ] {
            check(value, None);
        }
    }
}

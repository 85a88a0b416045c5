//! Which capability a path names.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// What a path asks for
#[derive(Debug, PartialEq)]
pub(crate) enum Route<'a> {
    /// `/`
    Index,
    /// `/topics`: several patterns, named in the query
    Topics,
    /// `/topics/{topic or pattern}`, percent-decoded
    Topic(Cow<'a, str>),
    /// `/publish`
    Publish,
    /// `/presence`
    Presence,
    /// `/tickets`
    Tickets,
    /// `/connections/{id}/refresh`
    Refresh(&'a str),
    /// `/admin/{what}`
    Admin(&'a str),
    /// `/health`
    Health,
    /// `/ready`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/console`
    Console,
    /// `/push.js`
    PushJs,
}

impl<'a> Route<'a> {
    /// Reads a path
    ///
    /// An encoded slash or backslash is refused: a proxy and we might read it differently, and what one of us
    /// takes for one segment the other takes for two.
    pub(crate) fn parse(path: &'a str) -> Result<Self, Problem> {
        if let Some(encoded) = path.strip_prefix("/topics/") {
            return Ok(Self::Topic(decode_topic(encoded)?));
        }
        if let Some(rest) = path.strip_prefix("/connections/")
            && let Some(id) = rest.strip_suffix("/refresh")
        {
            return Ok(Self::Refresh(id));
        }
        if let Some(what) = path.strip_prefix("/admin/") {
            return Ok(Self::Admin(what));
        }
        Ok(match path {
            "/" => Self::Index,
            "/topics" => Self::Topics,
            "/publish" => Self::Publish,
            "/presence" => Self::Presence,
            "/tickets" => Self::Tickets,
            "/health" => Self::Health,
            "/ready" => Self::Ready,
            "/metrics" => Self::Metrics,
            "/console" => Self::Console,
            "/push.js" => Self::PushJs,
            _ => return Err(Problem::not_found(path)),
        })
    }
}

fn decode_topic(encoded: &str) -> Result<Cow<'_, str>, Problem> {
    let bytes = encoded.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let Some(hex) = hex else {
            return Err(Problem::bad_topic(
                "`%` must be followed by two hexadecimal digits; a literal `%` is written %25",
            ));
        };
        if hex.eq_ignore_ascii_case(b"2f") || hex.eq_ignore_ascii_case(b"5c") {
            return Err(Problem::bad_topic(
                "an encoded slash or backslash is refused; separate segments with a plain `/`",
            ));
        }
    }
    let topic = percent_decode_str(encoded)
        .decode_utf8()
        .map_err(|_| Problem::bad_topic("the name is not UTF-8 once percent-decoded"))?;
    let is_dots_to_some = |segment: &str| {
        let parted = segment.split_once(';');
        parted.is_some_and(|(name, _)| matches!(name, "." | ".."))
    };
    if topic.split('/').any(is_dots_to_some) {
        return Err(Problem::bad_topic(
            "a segment of dots before a `;` is refused; some proxies take it for `.` or `..`",
        ));
    }
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expect: &Route<'_>) {
        assert_eq!(Route::parse(path).as_ref().expect("a route"), expect);
    }

    #[test]
    fn a_topic_is_what_follows_topics_percent_decoded() {
        check("/topics/a", &Route::Topic("a".into()));
        check("/topics/a/b%20c", &Route::Topic("a/b c".into()));
        check("/topics/caf%C3%A9", &Route::Topic("café".into()));
        check("/topics/a/**", &Route::Topic("a/**".into()));
        check("/topics", &Route::Topics);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for path in [
            "/topics/a%2fb",
            "/topics/a%2Fb",
            "/topics/a%5cb",
            "/topics/%",
            "/topics/%zz",
            "/topics/%ff",
        ] {
            let problem = Route::parse(path).expect_err(path);
            assert_eq!(problem.kind(), "bad-topic", "{path}");
        }
    }

    #[test]
    fn an_unknown_path_is_named_in_the_refusal() {
        let problem = Route::parse("/topic/a").expect_err("no such path");
        assert_eq!(problem.status(), 404);
        assert!(problem.detail().contains("/topic/a"));
    }
}

//! What a client makes of the answer to its request.

use core::time::Duration;

/// The content type of event streams; a `charset` would be ignored, they are always UTF-8
pub const CONTENT_TYPE: &str = "text/event-stream";

/// The head of the answer to a request for an event stream, after redirects
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response<'a> {
    /// The status code
    pub status: u16,
    /// The `Content-Type` header, if there is one and it is text
    pub content_type: Option<&'a str>,
    /// The `Retry-After` header, in seconds or as the time until its date; matters where the verdict is
    /// [`Reestablish`](Verdict::Reestablish)
    pub retry_after: Option<Duration>,
}

/// What the answer means for the connection (HTML 9.2.3, `processEventSourceEndOfBody` and `processResponse`)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 200 and the right content type: the body is to be decoded
    Open,
    /// Wait and ask again
    Reestablish,
    /// Never ask again; among others 204, with which a server says just that
    Fail,
}

/// What a client makes of statuses that speak of a passing condition
///
/// 408, 425, 429, 500, 502, 503 and 504: what overload, rate limits and deploys behind a load balancer look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passing {
    /// They are the end, as for every browser and in the standard: "Otherwise, if res's status is not 200 […] then
    /// fail the connection."
    #[default]
    Fail,
    /// They are a lost connection
    Reestablish,
}

impl Response<'_> {
    /// Open, reestablish or fail; a connection that is lost before there is an answer is always to be reestablished.
    #[must_use]
    pub fn verdict(&self, passing: Passing) -> Verdict {
        match self.status {
            200 if self.content_type.is_some_and(is_event_stream) => Verdict::Open,
            408 | 425 | 429 | 500 | 502 | 503 | 504 if passing == Passing::Reestablish => {
                Verdict::Reestablish
            }
            _ => Verdict::Fail,
        }
    }
}

/// Whether a `Content-Type` is that of event streams: its essence decides, parameters do not.
#[must_use]
pub fn is_event_stream(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence
        .trim_matches([' ', '\t', '\r', '\n'])
        .eq_ignore_ascii_case(CONTENT_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, content_type: &str, browser: Verdict, patient: Verdict) {
        let response = Response {
            status,
            content_type: Some(content_type),
            retry_after: None,
        };
        assert_eq!(response.verdict(Passing::Fail), browser, "{response:?}");
        assert_eq!(
            response.verdict(Passing::Reestablish),
            patient,
            "{response:?}"
        );
    }

    #[test]
    fn only_200_with_the_right_type_opens() {
        use Verdict::{Fail, Open, Reestablish};
        for content_type in [
            "text/event-stream",
            "text/event-stream;",
            "text/event-stream; charset=windows-1252",
            "TEXT/Event-Stream ;a=b",
            " text/event-stream\t",
        ] {
            check(200, content_type, Open, Open);
        }
        for content_type in [
            "",
            "text/x-bogus",
            "text/event-streams",
            "text/event-stream,text/html",
            "text/ event-stream",
            "application/json; a=text/event-stream",
        ] {
            check(200, content_type, Fail, Fail);
        }
        for status in [201, 204, 205, 210, 299, 304, 400, 401, 403, 404, 410, 501] {
            check(status, "text/event-stream", Fail, Fail);
        }
        for status in [429, 500, 502, 503, 504] {
            check(status, "text/event-stream", Fail, Reestablish);
        }
    }

    #[test]
    fn no_type_at_all_fails() {
        let response = Response {
            status: 200,
            ..Response::default()
        };
        assert_eq!(response.verdict(Passing::Reestablish), Verdict::Fail);
    }
}

//! Every refusal over HTTP: problem details as RFC 9457 has them.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::body::Body;

/// A refusal that says what was wrong and what would be right
///
/// `kind` is the stable name a program can switch on; it becomes `"type": "urn:pushserver:problem:{kind}"`.
/// `detail` is for the person who reads it. `members` are what a program needs to know besides (RFC 9457 section 3.2:
/// "Problem type definitions MAY extend the problem details object with additional members"). None ever contains a credential.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    members: Vec<(&'static str, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            title,
            detail: detail.into(),
            members: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn bad_topic(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-topic",
            "The topic name is not valid",
            detail,
        )
    }

    pub(crate) fn bad_parameter(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-parameter",
            "A parameter is not valid",
            detail,
        )
    }

    pub(crate) fn bad_position(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-position",
            "The position does not parse",
            detail,
        )
    }

    pub(crate) fn bad_event(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-event",
            "The event cannot be published",
            detail,
        )
    }

    pub(crate) fn bad_body(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-body",
            "The body is not what this path takes",
            detail,
        )
    }

    pub(crate) fn bad_handshake(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-handshake",
            "The WebSocket handshake is not valid",
            detail,
        )
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "The grant does not allow this",
            detail,
        )
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "There is no valid credential",
            detail,
        )
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// A condition that passes: the same request may be answered a little later
    pub(crate) fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Not now",
            detail,
        )
        .with(header::RETRY_AFTER, HeaderValue::from_static("5"))
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Whether a grant was there and did not suffice
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self.kind, "forbidden" | "other-subject")
    }

    /// Whether what was shown is not good, or nothing was
    pub(crate) fn is_unauthorized(&self) -> bool {
        self.kind == "unauthorized"
    }

    /// Whether the same request may be answered a little later
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        )
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::larger_than_a_body("the body", limit)
    }

    pub(crate) fn line_too_large(limit: usize) -> Self {
        Self::larger_than_a_body("a line", limit)
    }

    fn larger_than_a_body(what: &str, limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
            format!(
                "{what} may hold at most {limit} bytes; raise `http.max_body_bytes` to allow more"
            ),
        )
        .with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    pub(crate) fn batch_too_long(events: usize, limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "It is too large",
            format!(
                "the batch has {events} events, and at most {limit} are taken; send several, or raise \
                 `http.max_batch_events` to allow more"
            ),
        )
    }

    pub(crate) fn body_timeout(detail: String) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-timeout",
            "The body did not arrive",
            detail,
        )
        .with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    pub(crate) fn not_found(path: &str) -> Self {
        Self::no_such_path(format!(
            "{path:?} is not a path of this server; topics are at /topics/{{topic}}"
        ))
    }

    pub(crate) fn no_such_path(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-path",
            "There is nothing at this path",
            detail,
        )
    }

    pub(crate) fn method_not_allowed(method: &Method, allowed: &'static str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The method is not allowed here",
            format!("{method} is not answered at this path; {allowed} are"),
        )
        .with(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// Adds a header to the answer
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a member to the document
    pub(crate) fn with_member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// Says first which line it is about, the first being 1
    pub(crate) fn at_line(mut self, number: u64) -> Self {
        self.detail = format!("line {number}: {}", self.detail);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The document and its headers
    pub(crate) fn into_response(self) -> Response<Body> {
        let mut document = json!({
            "type": format!("urn:pushserver:problem:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        for (name, value) in self.members {
            document[name] = value;
        }
        let mut response = Response::new(Body::full(Bytes::from(format!("{document}\n"))));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

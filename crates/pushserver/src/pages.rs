//! What a person sees in a browser, and the client for pages of others.

use http::{HeaderValue, Response, header};

use crate::web::body::Body;

/// What to try first
pub(crate) const INDEX: &str = include_str!("pages/index.html");
/// A topic or pattern, followed
pub(crate) const FOLLOW: &str = include_str!("pages/follow.html");
/// The server, watched
pub(crate) const CONSOLE: &str = include_str!("pages/console.html");
/// The browser client
pub(crate) const PUSH_JS: &str = include_str!("pages/push.js");

/// A page of ours: it runs its own script and this server's, and speaks to this server alone
pub(crate) fn html(page: &'static str) -> Response<Body> {
    let mut response = text(page, "text/html; charset=utf-8", "no-store");
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    );
    response
}

/// A script, asked for again by each page: the client and the server are of one version
pub(crate) fn script(script: &'static str) -> Response<Body> {
    text(script, "text/javascript; charset=utf-8", "no-cache")
}

fn text(
    content: &'static str,
    content_type: &'static str,
    cache_control: &'static str,
) -> Response<Body> {
    let mut response = Response::new(Body::full(content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(cache_control),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

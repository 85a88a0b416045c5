//! By whose leave a request is answered: where it may come from, and what its grant covers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use pushcore::Grant;

use crate::admission::Guest;
use crate::app::App;
use crate::auth::origin::{Foreign, OriginPolicy, Page};
use crate::auth::{Credentials, Refusal, client_address};
use crate::peer::Peer;
use crate::web::body::Body;
use crate::web::problem::Problem;
use crate::web::route::Route;

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
            Foreign::Host | Foreign::NoHost => Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "foreign-host",
                "The host is not one of this server's",
                foreign.to_string(),
            ),
            Foreign::Origin | Foreign::NoOrigin | Foreign::Embedding => Problem::new(
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
    // Tokens were made by other machines' clocks, so they are judged by what the system's says now.
    let wall = app.clock.wall();
    let decided = app.authorizer.authorize(credentials, wall).await;
    let grant = decided.map_err(|refusal| refused(&refusal))?;
    let now = app.clock.now();
    let grant = in_our_time(grant, now.since(wall));
    if app.hub.is_revoked(&grant, now) {
        return Err(refused(&Refusal::Invalid));
    }
    Ok(grant)
}

/// Refuses, as a new request would be, one whose body has gone on after its grant ran out or was taken back
pub(crate) fn check_still_good(app: &App, grant: &Grant) -> Result<(), Problem> {
    let now = app.clock.now();
    match grant.is_expired(now) || app.hub.is_revoked(grant, now) {
        true => Err(refused(&Refusal::Invalid)),
        false => Ok(()),
    }
}

/// A grant whose end is counted by a clock that is `ahead`, because the system's was set back since the start
fn in_our_time(grant: Arc<Grant>, ahead: Duration) -> Arc<Grant> {
    if ahead <= MAX_AHEAD || grant.expires.is_none() {
        return grant;
    }
    let mut grant = Grant::clone(&grant);
    grant.expires = grant.expires.map(|at| at.saturating_add(ahead));
    Arc::new(grant)
}

/// How far ahead is not worth a grant of its own for each connection
const MAX_AHEAD: Duration = Duration::from_secs(1);

/// The address that a client is counted under
pub(crate) fn client(app: &App, parts: &Parts, peer: Peer) -> IpAddr {
    let trusted = &app.config.server.trusted_proxies;
    client_address(peer.addr.ip(), &parts.headers, trusted)
}

/// Counts a stream or long poll to its client, where that is somebody for whom a trusted proxy speaks
///
/// Who comes without a proxy was counted when the connection was accepted.
pub(crate) fn guest(app: &App, parts: &Parts, peer: Peer) -> Result<Option<Box<Guest>>, Problem> {
    let client = client(app, parts, peer);
    if client == peer.addr.ip().to_canonical() {
        return Ok(None);
    }
    let admitted = app.admission.admit_guest(client, app.clock.now());
    admitted.map_err(|reason| {
        let detail = match reason {
            "address-connections" => {
                "this address has as many connections as `connections.max_per_address` allows; close one"
            }
            _ => "this address connects more often than `rates.address_connects_per_second` allows; wait a while",
        };
        Problem::new(StatusCode::TOO_MANY_REQUESTS, reason, "Not now", detail)
    })
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

/// What somebody is told who shows nothing, where that is not enough: what was refused, and what could be shown
pub(crate) fn show_something(problem: &Problem, parts: &Parts) -> Problem {
    let path = Route::parse(parts.uri.path());
    let reads = matches!(path, Ok(Route::Topics | Route::Topic(_) | Route::Presence))
        && matches!(parts.method, Method::GET | Method::HEAD | Method::CONNECT);
    let shown = match reads {
        true => {
            "a token (`Authorization: Bearer`), a ticket (`?ticket=`) or an API key (`X-API-Key`)"
        }
        false => "a token (`Authorization: Bearer`) or an API key (`X-API-Key`)",
    };
    Problem::unauthorized(format!("{}; send {shown}", problem.detail()))
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
            format!("{detail}; wait {} s", retry_after.as_secs() + 1),
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

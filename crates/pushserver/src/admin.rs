//! `GET /admin/…`: what is going on, for those who run the server.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response, StatusCode};
use pushcore::{Grant, Pattern, Topic};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::is_direct_local;
use crate::config::Access;
use crate::connections::{Connection, ConnectionId};
use crate::metrics::{Transport, export};
use crate::peer::Peer;
use crate::publish::json_response;
use crate::web::body::Body;
use crate::web::problem::Problem;
use crate::web::query::Query;

/// Entries of a page, unless it is asked for fewer
const MAX_PAGE: u64 = 1000;

/// `GET /admin/{what}`
pub(crate) fn answer(
    app: &App,
    what: &str,
    parts: &Parts,
    grant: &Grant,
) -> Result<Response<Body>, Problem> {
    if !grant.admin {
        return Err(Problem::forbidden("only administrators may look here"));
    }
    if parts.method != Method::GET {
        return Err(Problem::method_not_allowed(&parts.method, "GET, OPTIONS"));
    }
    let raw = parts.uri.query();
    let object = match what {
        "stats" => {
            Query::parse(raw, &["ticket"])?;
            stats(app)
        }
        "topics" => topics(app, &Query::parse(raw, &["after", "limit"])?)?,
        "connections" => connections(app, &Query::parse(raw, &["after", "limit"])?)?,
        _ => {
            return Err(Problem::no_such_path(format!(
                "{what:?} is not under /admin/; `stats`, `topics` and `connections` are, and `revocations` for POST"
            )));
        }
    };
    Ok(json_response(StatusCode::OK, &object))
}

/// Refuses `/metrics` to those whom `metrics.access` does not name
pub(crate) fn metrics(
    app: &App,
    parts: &Parts,
    peer: Peer,
    grant: Result<Arc<Grant>, Problem>,
) -> Result<Response<Body>, Problem> {
    let local = || is_direct_local(peer.addr.ip(), &parts.headers);
    let open = match app.config.metrics.access {
        Access::Everyone => true,
        Access::Loopback => local(),
        Access::Admin => false,
    };
    if !open && !grant?.admin {
        return Err(Problem::forbidden(
            "`metrics.access` does not admit this client",
        ));
    }
    Ok(export::scrape(app))
}

fn stats(app: &App) -> Value {
    let hub = app.hub.stats();
    let streams = app.connections.by_transport();
    let by_transport: serde_json::Map<_, _> = Transport::ALL
        .into_iter()
        .filter(|transport| *transport != Transport::Poll)
        .map(|one| (one.as_str().to_owned(), streams[one as usize].into()))
        .collect();
    json!({
        "head": app.hub.head().to_string(),
        "connections": app.admission.open(),
        "streams": by_transport,
        "topics": hub.topics,
        "subscriptions": hub.subscriptions,
        "events": hub.events,
        "log_bytes": hub.log_bytes,
        "encoded_bytes": hub.form_bytes,
        "published": hub.published,
        "delivered": app.metrics.delivered_in_all(),
        "evicted": hub.evicted,
        "idempotency_keys": hub.idempotency_keys,
        "members": hub.members,
    })
}

fn topics(app: &App, query: &Query<'_>) -> Result<Value, Problem> {
    let after = query.one("after")?.map(Topic::parse).transpose();
    let after = after.map_err(|error| Problem::bad_topic(error.to_string()))?;
    let limit = query.count("limit", MAX_PAGE)?.unwrap_or(100) as usize;
    let names = app.hub.topics(after.as_ref(), limit);
    // Full pages may be the last; the next one is then empty, and says so.
    let next = (names.len() == limit).then(|| names.last()).flatten();
    let topics: Vec<_> = names.iter().filter_map(|name| topic(app, name)).collect();
    Ok(json!({ "topics": topics, "next": next.map(Topic::as_str) }))
}

fn topic(app: &App, name: &Topic) -> Option<Value> {
    let status = app.hub.topic_status(name)?;
    Some(json!({
        "topic": name.as_str(),
        "events": status.events,
        "bytes": status.bytes,
        "last": status.last.map(|last| last.to_string()),
        "ended": status.ended,
        "subscribers": status.subscribers,
    }))
}

fn connections(app: &App, query: &Query<'_>) -> Result<Value, Problem> {
    let after = query.one("after")?.map(str::parse::<ConnectionId>);
    let after = after
        .transpose()
        .map_err(|()| Problem::bad_parameter("`after` is not the id of a connection"))?;
    let limit = query.count("limit", MAX_PAGE)?.unwrap_or(100) as usize;
    let page = app.connections.page(after, limit);
    let next = (page.len() == limit).then(|| page.last()).flatten();
    let next = next.map(|last| last.id.to_string());
    let connections: Vec<_> = page.iter().map(|one| connection(app, one)).collect();
    Ok(json!({ "connections": connections, "next": next }))
}

fn connection(app: &App, one: &Connection) -> Value {
    let mut object = json!({
        "id": one.id.to_string(),
        "transport": one.transport.as_str(),
        "subject": one.subject(),
        "address": one.address.to_string(),
        "since": one.since.0,
    });
    let id = one.subscription();
    if let Some(status) = id.and_then(|id| app.hub.subscription_status(id)) {
        let patterns: Vec<_> = status.patterns.iter().map(Pattern::as_str).collect();
        object["patterns"] = patterns.into();
        object["position"] = status.position.to_string().into();
        object["backlog"] = status.backlog.events.into();
    }
    object
}

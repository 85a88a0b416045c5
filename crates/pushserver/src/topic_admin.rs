//! One topic from outside: what is known of it, and its erasure.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use pushcore::{Grant, Pattern, Topic};
use serde_json::json;

use crate::app::App;
use crate::follow::subscribe_problem;
use crate::publish::json_response;
use crate::web::body::Body;
use crate::web::problem::Problem;
use crate::web::query::Query;

/// `HEAD /topics/{topic}`: its last position and counts, as headers
///
/// A topic that does not exist answers like one that is empty.
pub(crate) fn head(
    app: &App,
    topic: &str,
    parts: &Parts,
    grant: &Grant,
) -> Result<Response<Body>, Problem> {
    Query::parse(parts.uri.query(), &["ticket"])?;
    let topic = parse(topic)?;
    app.hub
        .check_reading(grant, &[Pattern::exact(topic.clone())], app.clock.now())
        .map_err(|error| subscribe_problem(&error))?;
    let status = app.hub.topic_status(&topic);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut set = |name: &'static str, value: String| {
        let value =
            HeaderValue::from_str(&value).expect("positions, numbers and words are visible ASCII");
        headers.insert(HeaderName::from_static(name), value);
    };
    if let Some(last) = status.and_then(|status| status.last) {
        set("push-last-id", last.to_string());
    }
    set(
        "push-events",
        status.map_or(0, |status| status.events).to_string(),
    );
    set(
        "push-bytes",
        status.map_or(0, |status| status.bytes).to_string(),
    );
    set(
        "push-ended",
        status.is_some_and(|status| status.ended).to_string(),
    );
    Ok(response)
}

/// `DELETE /topics/{topic}`: ends it and erases its events
pub(crate) fn delete(
    app: &App,
    topic: &str,
    parts: &Parts,
    grant: &Grant,
) -> Result<Response<Body>, Problem> {
    Query::parse(parts.uri.query(), &[])?;
    let topic = parse(topic)?;
    if !grant.admin {
        return Err(Problem::forbidden(
            "only an administrator may erase a topic",
        ));
    }
    let erased = app.hub.delete_topic(&topic, app.clock.now()).unwrap_or(0);
    Ok(json_response(StatusCode::OK, &json!({ "erased": erased })))
}

fn parse(topic: &str) -> Result<Topic, Problem> {
    Topic::parse(topic).map_err(|error| Problem::bad_topic(error.to_string()))
}

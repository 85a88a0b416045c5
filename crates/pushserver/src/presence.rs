//! Who is there: `GET /presence`, and the command `presence` of `push.v1`.

use std::collections::BTreeMap;

use http::request::Parts;
use http::{Response, StatusCode};
use pushcore::{Grant, Member, Pattern, Timestamp};
use serde_json::{Value, json};

use crate::app::App;
use crate::follow::subscribe_problem;
use crate::publish::json_response;
use crate::web::body::Body;
use crate::web::problem::Problem;
use crate::web::query::Query;

/// Most members told in one answer
const MAX_MEMBERS: usize = 1000;

/// `GET /presence?match=a&match=b/*`
pub(crate) fn answer(app: &App, parts: &Parts, grant: &Grant) -> Result<Response<Body>, Problem> {
    let query = Query::parse(parts.uri.query(), &["match", "ticket"])?;
    let parse = |text: &str| {
        Pattern::parse(text).map_err(|error| Problem::bad_topic(format!("`{text}`: {error}")))
    };
    let patterns: Vec<_> = query.all("match").map(parse).collect::<Result<_, _>>()?;
    let answer = members(app, &patterns, grant, app.clock.now())?;
    Ok(json_response(StatusCode::OK, &answer))
}

/// `{"members":[{"topic","member","data"}]}` in the order of topics and members, with `"more":true` if there are more
///
/// Whether the answer is given depends on the grant alone, as for reading the topics.
pub(crate) fn members(
    app: &App,
    patterns: &[Pattern],
    grant: &Grant,
    now: Timestamp,
) -> Result<Value, Problem> {
    let max = app.config.connections.max_patterns;
    if patterns.is_empty() || patterns.len() > max {
        return Err(Problem::bad_parameter(format!(
            "name 1 to {max} topics or patterns: /presence?match=a&match=b/*"
        )));
    }
    app.hub
        .check_reading(grant, patterns, now)
        .map_err(|error| subscribe_problem(&error))?;
    let mut members = BTreeMap::new();
    let mut more = false;
    for pattern in patterns {
        let found = app.hub.presence(pattern, MAX_MEMBERS + 1, now);
        more |= found.len() > MAX_MEMBERS;
        members.extend(
            found
                .into_iter()
                .map(|one| ((one.topic.clone(), one.member.clone()), one)),
        );
    }
    more |= members.len() > MAX_MEMBERS;
    let told: Vec<_> = members.values().take(MAX_MEMBERS).map(object).collect();
    let mut answer = json!({ "members": told });
    if more {
        answer["more"] = true.into();
    }
    Ok(answer)
}

fn object(member: &Member) -> Value {
    person(
        member.topic.as_str(),
        &member.member,
        member.metadata.as_deref(),
    )
}

/// Somebody at a topic, as JSON carries them everywhere
pub(crate) fn person(topic: &str, member: &str, metadata: Option<&str>) -> Value {
    let mut object = json!({ "topic": topic, "member": member });
    if let Some(metadata) = metadata {
        object["data"] = serde_json::from_str(metadata).unwrap_or(Value::Null);
    }
    object
}

//! `POST /admin/revocations`: authority is taken back, from open streams and from whoever comes later.

use std::time::Duration;

use http::request::Parts;
use http::{Response, StatusCode};
use pushcore::{Grant, Pattern, Revocation, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::publish::json_response;
use crate::web::body::{Body, Incoming, Payload};
use crate::web::problem::Problem;
use crate::web::query::Query;

/// Largest body: one name or pattern
const MAX_BODY_BYTES: usize = 16 << 10;

/// How long a revocation is remembered that names no end; a token must not outlive it
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

const EXAMPLE: &str =
    r#"{"subject":"alice","until":"2h"}, with one of `token_id`, `subject` and `match`"#;

/// What is to be taken back, and until when
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    token_id: Option<String>,
    subject: Option<String>,
    #[serde(rename = "match")]
    pattern: Option<String>,
    until: Option<Value>,
}

/// `POST /admin/revocations`; answers until when it is remembered: `{"until":MILLISECONDS}`
///
/// Open streams end before the answer is sent, but for what is on its way to their sockets.
pub(crate) async fn revoke<B: Payload>(
    app: &App,
    parts: &Parts,
    body: Incoming<B>,
    grant: &Grant,
) -> Result<Response<Body>, Problem> {
    if !grant.admin {
        return Err(Problem::forbidden(
            "only an administrator may take authority back",
        ));
    }
    Query::parse(parts.uri.query(), &[])?;
    let order: Order = body.json(MAX_BODY_BYTES, EXAMPLE).await?;
    let now = app.clock.now();
    let until = order.until(app, now)?;
    app.hub.revoke(&order.revocation()?, until, now);
    Ok(json_response(StatusCode::OK, &json!({ "until": until.0 })))
}

impl Order {
    fn revocation(self) -> Result<Revocation, Problem> {
        match (self.token_id, self.subject, self.pattern) {
            (Some(id), None, None) => Ok(Revocation::Token(id)),
            (None, Some(subject), None) => Ok(Revocation::Subject(subject)),
            (None, None, Some(text)) => Pattern::parse(&text)
                .map(Revocation::Pattern)
                .map_err(|error| Problem::bad_topic(format!("`{text}`: {error}"))),
            (None, None, None) => Err(Problem::bad_body(format!(
                "none of `token_id`, `subject` and `match` is there; the body is like {EXAMPLE}"
            ))),
            _ => Err(Problem::bad_body(format!(
                "more than one of `token_id`, `subject` and `match` is there; the body is like {EXAMPLE}"
            ))),
        }
    }

    /// A span from now, a date, or milliseconds since 1970
    fn until(&self, app: &App, now: Timestamp) -> Result<Timestamp, Problem> {
        let until = match &self.until {
            None => {
                let longest = REMEMBERED.max(app.config.auth.max_ticket_lifetime);
                Some(now.saturating_add(longest))
            }
            Some(Value::Number(millis)) => millis.as_u64().map(Timestamp),
            Some(Value::String(text)) => moment(text, now),
            Some(_) => None,
        };
        until.filter(|until| *until > now).ok_or_else(|| {
            Problem::bad_parameter(
                "`until` is a time to come: a span such as 2h, a date such as 2026-11-21T08:00:00Z, or milliseconds since 1970",
            )
        })
    }
}

fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(span) = humantime::parse_duration(text) {
        return Some(now.saturating_add(span));
    }
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp(since.as_millis() as u64))
}

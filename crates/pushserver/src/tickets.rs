//! `POST /tickets`: a grant that fits into a URL, for clients that cannot send header fields.

use http::request::Parts;
use http::{Response, StatusCode};
use pushcore::{Grant, Pattern};
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::auth::TicketError;
use crate::publish::json_response;
use crate::web::body::{Body, Incoming, Payload};
use crate::web::problem::Problem;
use crate::web::query::Query;

/// Largest body: what is signed has to fit into a URL, so nothing larger could become a ticket
const MAX_BODY_BYTES: usize = 16 << 10;

const EXAMPLE: &str = r#"{"match":["news/**"],"lifetime":"15m"}"#;

/// What a ticket is wanted for
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(rename = "match")]
    patterns: Vec<String>,
    lifetime: Option<String>,
}

/// `POST /tickets`: `{"match":[patterns],"lifetime":"15m"}` is answered by `{"ticket","expires"}`
///
/// The ticket reads what `grant` may read and the wish names, no longer than either allows.
pub(crate) async fn issue<B: Payload>(
    app: &App,
    parts: &Parts,
    body: Incoming<B>,
    grant: &Grant,
) -> Result<Response<Body>, Problem> {
    Query::parse(parts.uri.query(), &[])?;
    let wish: Wish = body.json(MAX_BODY_BYTES, EXAMPLE).await?;
    let parse = |text: &String| {
        Pattern::parse(text).map_err(|error| Problem::bad_topic(format!("`{text}`: {error}")))
    };
    let patterns: Vec<_> = wish.patterns.iter().map(parse).collect::<Result<_, _>>()?;
    let lifetime = wish.lifetime.as_deref().map(humantime::parse_duration);
    let lifetime = lifetime.transpose().map_err(|_| {
        Problem::bad_parameter("`lifetime` is not a span of time such as 90s, 15m or 2h")
    })?;
    let ticket = app
        .authority
        .issue_ticket(grant, &patterns, lifetime, app.clock.wall())
        .map_err(|error| refused(&error))?;
    let answer = json!({ "ticket": ticket.text.expose(), "expires": ticket.expires.0 });
    Ok(json_response(StatusCode::OK, &answer))
}

fn refused(error: &TicketError) -> Problem {
    let detail = error.to_string();
    match error {
        TicketError::NotCovered(_) => Problem::forbidden(detail),
        TicketError::Expired => Problem::unauthorized(detail),
        TicketError::Empty | TicketError::Long => Problem::bad_body(detail),
    }
}

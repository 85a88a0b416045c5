//! Renewal: an open connection goes on under another grant of the same subject.

use std::sync::Arc;

use http::{Response, StatusCode};
use pushcore::Grant;
use serde_json::{Value, json};

use crate::app::App;
use crate::publish::json_response;
use crate::web::body::Body;
use crate::web::problem::Problem;

/// `POST /connections/{id}/refresh`: the credentials of this request become those of an event stream
///
/// `id` is what the stream's `push.state` told. The stream keeps its position; what the new grant no longer covers ends
/// at once.
pub(crate) fn refresh(app: &App, id: &str, grant: &Arc<Grant>) -> Result<Response<Body>, Problem> {
    let unknown = |()| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "no-such-connection",
            "There is no such connection",
            "this is not the `connection` of a `push.state`",
        )
    };
    let id = id.parse().map_err(unknown)?;
    app.connections
        .renew(&app.hub, id, grant, app.clock.now())?;
    Ok(json_response(StatusCode::OK, &renewed(grant)))
}

/// What a client that renewed its grant is answered: when the new one runs out, if it does
pub(crate) fn renewed(grant: &Grant) -> Value {
    match grant.expires {
        Some(at) => json!({ "expires": at.0 }),
        None => json!({}),
    }
}

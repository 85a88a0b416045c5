//! Whether the server is alive, and whether it should be sent clients.

use http::{Response, StatusCode};
use serde_json::json;

use crate::app::App;
use crate::leaving::Phase;
use crate::publish::json_response;
use crate::web::body::Body;

/// `GET /health`: the process answers
pub(crate) fn health() -> Response<Body> {
    json_response(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /ready`: it takes new clients; not so while it leaves
pub(crate) fn ready(app: &App) -> Response<Body> {
    match app.leaving.phase() {
        Phase::Serving => json_response(StatusCode::OK, &json!({ "status": "ready" })),
        Phase::Leaving | Phase::Gone => json_response(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "status": "leaving" }),
        ),
    }
}

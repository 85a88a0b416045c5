//! One page of the log: polling over HTTP, and `history` over WebSocket.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body::Body as _;
use pushcore::{Budget, Grant, LagPolicy, Page, Pattern, Start, SubscribeOptions, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::encode::{EventObject, GapObject};
use crate::follow::{Reading, subscribe_problem};
use crate::publish::json_response;
use crate::web::body::Body;
use crate::web::problem::Problem;

/// A page as JSON carries it
#[derive(Serialize)]
pub(crate) struct PageObject<'a> {
    events: Vec<EventObject<'a>>,
    gaps: Vec<GapObject<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ends: Vec<EndObject<'a>>,
    next: String,
    up_to_date: bool,
}

#[derive(Serialize)]
struct EndObject<'a> {
    #[serde(rename = "match")]
    pattern: &'a str,
    reason: &'static str,
}

impl<'a> PageObject<'a> {
    pub(crate) fn new(page: &'a Page) -> Self {
        let ends = page.ends.iter();
        Self {
            events: page
                .events
                .iter()
                .map(|event| EventObject::new(event))
                .collect(),
            gaps: page.gaps.iter().map(GapObject::new).collect(),
            ends: ends
                .map(|end| EndObject {
                    pattern: end.pattern.as_str(),
                    reason: end.reason.as_str(),
                })
                .collect(),
            next: page.next.to_string(),
            up_to_date: page.up_to_date,
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("strings, numbers and lists of them always serialise")
    }
}

/// Reads one page, as it is now
pub(crate) fn read(
    app: &Arc<App>,
    patterns: Vec<Pattern>,
    start: Start,
    lag: LagPolicy,
    grant: &Arc<Grant>,
    limit: Option<usize>,
    now: Timestamp,
) -> Result<Page, Problem> {
    let max = app.config.stream.max_page_events;
    let budget = Budget {
        events: limit.unwrap_or(max).clamp(1, max),
        bytes: app.config.stream.max_page_bytes,
    };
    let options = SubscribeOptions {
        patterns,
        start,
        lag,
        grant: Some(Arc::clone(grant)),
        ..SubscribeOptions::default()
    };
    let page = app
        .hub
        .history(options, budget, now)
        .map_err(|error| subscribe_problem(&error))?;
    Ok(page)
}

/// Counts a page that a client is given
pub(crate) fn count(app: &App, page: &Page) {
    page.gaps.iter().for_each(|gap| app.metrics.gap(gap.reason));
    app.metrics.paged(page.events.len());
}

/// `GET` of topics with `Accept: application/json`: a page at once, or as soon as there is something within `wait`
pub(crate) async fn poll(
    app: &Arc<App>,
    reading: Reading,
    grant: Arc<Grant>,
    wait: Option<Duration>,
    limit: Option<usize>,
) -> Result<Response<Body>, Problem> {
    let Reading {
        patterns,
        start,
        lag,
        ..
    } = reading;
    let page = read(
        app,
        patterns.clone(),
        start,
        lag,
        &grant,
        limit,
        app.clock.now(),
    )?;
    let is_empty = page.events.is_empty() && page.gaps.is_empty() && page.ends.is_empty();
    let wait = wait
        .unwrap_or_default()
        .min(app.config.stream.max_poll_wait);
    if !is_empty || wait.is_zero() {
        return Ok(respond_in_turn(app, &page).await);
    }
    // The wait begins at the end of the empty page, so nothing can fall between the two.
    let start = Start::After(page.next);
    if !arrival(app, &patterns, start, &grant, wait).await? {
        return Ok(respond(app, &page));
    }
    let page = read(app, patterns, start, lag, &grant, limit, app.clock.now())?;
    Ok(respond_in_turn(app, &page).await)
}

/// Waits until something follows `start`; false if the time is up or the server leaves first
async fn arrival(
    app: &Arc<App>,
    patterns: &[Pattern],
    start: Start,
    grant: &Arc<Grant>,
    wait: Duration,
) -> Result<bool, Problem> {
    let options = SubscribeOptions {
        patterns: patterns.to_vec(),
        start,
        grant: Some(Arc::clone(grant)),
        ..SubscribeOptions::default()
    };
    let mut subscription = app
        .hub
        .subscribe(options, app.clock.now())
        .map_err(|error| subscribe_problem(&error))?;
    let one = Budget {
        events: 1,
        bytes: 0,
    };
    let arrived = std::future::poll_fn(|cx| match subscription.poll(cx, app.clock.now(), one) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    });
    tokio::select! {
        () = arrived => Ok(true),
        () = tokio::time::sleep(wait) => Ok(false),
        () = app.leaving.started() => Ok(false),
    }
}

fn respond(app: &App, page: &Page) -> Response<Body> {
    count(app, page);
    let text = serde_json::to_string(&PageObject::new(page))
        .expect("strings, numbers and lists of them always serialise");
    json_response(StatusCode::OK, &text)
}

/// A page after which everybody else has a turn before the next one is written
///
/// It takes a millisecond or more, and one connection of HTTP/2 can ask for `http2.max_streams` of them in one write.
const LARGE_PAGE_BYTES: usize = 64 * 1024;

async fn respond_in_turn(app: &App, page: &Page) -> Response<Body> {
    let _turn = app.pages.acquire().await;
    let response = respond(app, page);
    if response.body().size_hint().lower() > LARGE_PAGE_BYTES as u64 {
        tokio::task::yield_now().await;
    }
    response
}

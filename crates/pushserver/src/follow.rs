//! Reading: what a `GET` of topics asks for, and the start of the stream or page that answers it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use pushcore::{
    Grant, LagPolicy, Pattern, Position, Start, SubscribeError, SubscribeOptions, Timestamp,
};

use crate::app::App;
use crate::config;
use crate::connections::Listed;
use crate::page::Asked;
use crate::publish::single_header;
use crate::stream_start::StreamStart;
use crate::transport::Door;
use crate::transport::sse::{DataForm, EventStream, Framing};
use crate::web::body::Body;
use crate::web::field;
use crate::web::problem::Problem;
use crate::web::query::Query;

/// Parameters of every `GET` of topics
pub(crate) const PARAMETERS: &[&str] = &[
    "match",
    "after",
    "last_event_id",
    "last",
    "since",
    "lag",
    "format",
    "wait",
    "limit",
    "errors",
    "ticket",
];

/// What a reader asks for, whatever the transport
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) start: Start,
    pub(crate) lag: LagPolicy,
    pub(crate) data: DataForm,
}

impl Reading {
    /// Reads the request; `path` is the topic or pattern of the path, absent for `/topics`
    pub(crate) fn read(
        app: &Arc<App>,
        path: Option<&str>,
        query: &Query<'_>,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let patterns = patterns(app, path, query)?;
        let one_topic = patterns.len() == 1 && patterns[0].topic().is_some();
        let data = match query.one("format")? {
            None if one_topic => DataForm::Raw,
            None | Some("json") => DataForm::Json,
            Some("raw") if one_topic => DataForm::Raw,
            Some("raw") => {
                return Err(Problem::bad_parameter(
                    "`format=raw` is for one exact topic: with several, the reader could not tell them apart",
                ));
            }
            Some(other) => {
                return Err(Problem::bad_parameter(format!(
                    "`format={other}` is neither `raw` nor `json`"
                )));
            }
        };
        Ok(Self {
            patterns,
            start: start(query, headers, now)?,
            lag: lag(app, query)?,
            data,
        })
    }

    /// Refuses what the grant does not cover, naming the pattern; one that it covers only in part is refused whole
    pub(crate) fn check(&self, grant: &Grant) -> Result<(), Problem> {
        match self
            .patterns
            .iter()
            .find(|pattern| !grant.may_subscribe(pattern))
        {
            None => Ok(()),
            Some(pattern) => Err(Problem::forbidden(format!(
                "the grant does not cover reading `{pattern}`"
            ))),
        }
    }

    /// Whether the client comes back with a position
    pub(crate) fn is_resuming(&self) -> bool {
        matches!(self.start, Start::After(_))
    }

    pub(crate) fn into_options(self, grant: &Arc<Grant>) -> SubscribeOptions {
        SubscribeOptions {
            patterns: self.patterns,
            start: self.start,
            lag: self.lag,
            grant: Some(Arc::clone(grant)),
            ..SubscribeOptions::default()
        }
    }

    /// Whether nothing of what is asked for is left to be read, not even the ends of its topics
    fn has_been_read_to_its_end(
        &self,
        app: &Arc<App>,
        grant: &Arc<Grant>,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        let Start::After(seen) = self.start else {
            return Ok(false);
        };
        if !self.has_ended(app) {
            return Ok(false);
        }
        let asked = Asked {
            patterns: self.patterns.clone(),
            start: self.start,
            lag: self.lag,
            limit: Some(1),
        };
        let page = asked.read(app, grant, now)?;
        let told = page.ends.iter().all(|end| end.at.offset <= seen.offset);
        let is_all = page.up_to_date && page.events.is_empty() && page.gaps.is_empty();
        Ok(is_all && told)
    }

    /// Whether all that is asked for is topics that have ended
    fn has_ended(&self, app: &App) -> bool {
        self.patterns.iter().all(|pattern| {
            let status = pattern
                .topic()
                .and_then(|topic| app.hub.topic_status(topic));
            status.is_some_and(|status| status.ended)
        })
    }
}

fn patterns(
    app: &Arc<App>,
    path: Option<&str>,
    query: &Query<'_>,
) -> Result<Vec<Pattern>, Problem> {
    let mut patterns = Vec::new();
    for text in path.into_iter().chain(query.all("match")) {
        let pattern = Pattern::parse(text)
            .map_err(|error| Problem::bad_topic(format!("`{text}`: {error}")))?;
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    let max = app.config.connections.max_patterns;
    if patterns.is_empty() {
        return Err(Problem::bad_parameter(
            "name at least one topic or pattern: /topics?match=a&match=b/*",
        ));
    }
    if patterns.len() > max {
        return Err(Problem::bad_parameter(format!(
            "at most {max} patterns can be read by one connection"
        )));
    }
    Ok(patterns)
}

/// Where reading starts: the header a browser sends wins, because only it knows what has been seen since
fn start(query: &Query<'_>, headers: &HeaderMap, now: Timestamp) -> Result<Start, Problem> {
    if let Some(id) = single_header(headers, &field::LAST_EVENT_ID)?
        && !id.is_empty()
    {
        return position(
            id,
            "leave the header out and ask `?after=earliest` or `?after=now`",
        );
    }
    let after = match (query.one("after")?, query.one("last_event_id")?) {
        (Some(_), Some(_)) => {
            return Err(Problem::bad_parameter(
                "`after` and `last_event_id` mean the same; give one",
            ));
        }
        (after, id) => after.or(id),
    };
    let last = query.count("last", u64::MAX)?;
    Ok(start_of(after, last, query.one("since")?, now)?.unwrap_or(Start::Now))
}

/// A starting point by one of its three names
pub(crate) fn start_of(
    after: Option<&str>,
    last: Option<u64>,
    since: Option<&str>,
    now: Timestamp,
) -> Result<Option<Start>, Problem> {
    match (after, last, since) {
        (None, None, None) => Ok(None),
        (Some("earliest"), None, None) => Ok(Some(Start::Earliest)),
        (Some("now"), None, None) => Ok(Some(Start::Now)),
        (Some(text), None, None) => position(text, "`earliest` or `now`").map(Some),
        (None, Some(count), None) => Ok(Some(Start::Last(count))),
        (None, None, Some(text)) => since_time(text, now).map(|time| Some(Start::Since(time))),
        _ => Err(Problem::bad_parameter(
            "`after`, `last` and `since` exclude each other; give one",
        )),
    }
}

/// `otherwise` is what there is besides positions
fn position(text: &str, otherwise: &str) -> Result<Start, Problem> {
    text.parse::<Position>().map(Start::After).map_err(|error| {
        Problem::bad_position(format!(
            "{text:?}: {error}; give the `id` of an event as it was received, or {otherwise}"
        ))
    })
}

fn since_time(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Timestamp(now.0.saturating_sub(ago.as_millis() as u64)));
    }
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| {
        Problem::bad_parameter(format!(
            "`since={text}` is neither a span such as 5m nor a time such as 2026-11-21T08:00:00Z"
        ))
    })?;
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Ok(Timestamp(since.as_millis() as u64))
}

/// What a connection of `push.v1` whose URL names nothing may say of its reading: how it lags, and no more
pub(crate) fn lag_of_none(app: &Arc<App>, query: &Query<'_>) -> Result<LagPolicy, Problem> {
    for name in ["after", "last_event_id", "last", "since"] {
        if query.all(name).next().is_some() {
            return Err(Problem::bad_parameter(format!(
                "`{name}` says where reading starts, and the URL names nothing to read: add `match`, or give it with the \
                 command `subscribe`"
            )));
        }
    }
    lag(app, query)
}

fn lag(app: &Arc<App>, query: &Query<'_>) -> Result<LagPolicy, Problem> {
    let Some(name) = query.one("lag")? else {
        return Ok(app.lag_policy(app.config.lag.policy));
    };
    let policy = config::LagPolicy::ALL
        .iter()
        .find(|policy| policy.as_str() == name);
    match policy.filter(|policy| app.config.lag.allowed.contains(policy)) {
        Some(policy) => Ok(app.lag_policy(*policy)),
        None => {
            let allowed: Vec<_> = app
                .config
                .lag
                .allowed
                .iter()
                .map(|policy| policy.as_str())
                .collect();
            Err(Problem::bad_parameter(format!(
                "`lag={name}` is not one of {}",
                allowed.join(", ")
            )))
        }
    }
}

/// Why a subscription is refused, in HTTP's terms
pub(crate) fn subscribe_problem(error: &SubscribeError) -> Problem {
    match error {
        SubscribeError::Forbidden { .. } => Problem::forbidden(error.to_string()),
        SubscribeError::Expired | SubscribeError::Revoked => {
            Problem::unauthorized(error.to_string())
        }
        _ => Problem::overloaded(error.to_string()),
    }
}

/// Starts an event stream
pub(crate) fn event_stream(
    app: &Arc<App>,
    reading: Reading,
    grant: &Arc<Grant>,
    mut listed: Listed,
    framing: Framing,
) -> Result<Started, Problem> {
    let now = app.clock.now();
    if reading.has_been_read_to_its_end(app, grant, now)? {
        return Ok(Started::NothingMore);
    }
    let mut reading = reading;
    if reading.start == Start::Now && reading.has_ended(app) {
        // Nothing new will ever come: a newcomer gets what is retained.
        reading.start = Start::Earliest;
    }
    let data = reading.data;
    let resuming = reading.is_resuming();
    let subscription = app
        .hub
        .subscribe(reading.into_options(grant), now)
        .map_err(|error| subscribe_problem(&error))?;
    listed.begins(app, subscription.id(), resuming);
    let stream = EventStream::new(app, subscription, listed, data, framing, now);
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, no-transform"),
    );
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    if framing == Framing::Chunked {
        headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
    Ok(Started::Stream(StreamStart {
        status: StatusCode::OK,
        headers,
        door: Door::Sse(Box::new(stream)),
    }))
}

/// How a request for an event stream is answered
pub(crate) enum Started {
    Stream(StreamStart),
    /// 204: the topic has ended and was read to its end, and the client is to stop for good
    NothingMore,
}

/// An answer to an event-stream request that the client is to repeat after a while
///
/// An `EventSource` gives up for ever on any status other than 200, so a condition that passes is told by an event
/// stream that ends at once.
pub(crate) fn come_back(app: &Arc<App>) -> Response<Body> {
    let mut retry = Vec::new();
    sse_codec::encode_retry(
        app.jitter.around(app.config.stream.retry * 2, 0.5),
        &mut retry,
    );
    let mut response = Response::new(Body::full(retry));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, no-transform"),
    );
    response
}

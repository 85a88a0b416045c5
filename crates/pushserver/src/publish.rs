//! Publishing over HTTP: a request's body becomes an event (`live_log.rs`: one event per line as the lines arrive).

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use pushcore::{
    ContentType, Data, Durability, EventType, Grant, IdempotencyKey, Key, LabelError, NewEvent,
    PublishError, Receipt, Topic,
};
use serde_json::{Value, json};

use crate::app::App;
use crate::live_log;
use crate::web::body::{Body, Incoming, Payload};
use crate::web::field;
use crate::web::problem::Problem;
use crate::web::query::Query;

const PARAMETERS: &[&str] = &["type", "key", "end", "each"];

/// `POST` or `PUT /topics/{topic}`
pub(crate) async fn publish<B: Payload>(
    app: &Arc<App>,
    topic: &str,
    parts: &Parts,
    body: Incoming<B>,
    grant: &Grant,
    from: IpAddr,
) -> Result<Response<Body>, Problem> {
    let topic = Topic::parse(topic).map_err(|error| Problem::bad_topic(error.to_string()))?;
    if !grant.may_publish(&topic) {
        return Err(Problem::forbidden(format!(
            "the grant does not cover publishing to `{topic}`"
        )));
    }
    let query = Query::parse(parts.uri.query(), PARAMETERS)?;
    let template = Template::read(topic, &query, &parts.headers)?;
    match query.one("each")? {
        None => {
            let subject = grant.subject.as_deref();
            app.publish_rates.admit(subject, from, 1, app.clock.now())?;
            let body = body.whole(app.config.http.max_body_bytes).await?;
            let end = query.flag("end")?;
            let entry = if end && body.is_empty() && !template.is_labelled() {
                Entry::End(template.topic)
            } else {
                Entry::Event(template.event(&body, end)?)
            };
            let results = publish_entries(app, vec![entry], grant.subject.as_deref()).await;
            let result = results
                .into_iter()
                .next()
                .expect("one result for one entry");
            let receipt = result.map_err(|error| publish_problem(&error))?;
            let mut answer = String::new();
            write_receipt(&receipt, &mut answer);
            Ok(json_response(StatusCode::OK, &answer))
        }
        Some("line") => {
            let end = query.flag("end")?;
            live_log::publish(app, template, end, body, grant, from).await
        }
        Some(other) => Err(Problem::bad_parameter(format!(
            "`each={other}` is not known; `each=line` publishes each line of the body"
        ))),
    }
}

/// One thing to be published: an event, or the end of a topic without a last event
#[derive(Debug)]
pub(crate) enum Entry {
    Event(NewEvent),
    End(Topic),
}

impl Entry {
    pub(crate) fn topic(&self) -> &Topic {
        match self {
            Self::Event(event) => &event.topic,
            Self::End(topic) => topic,
        }
    }
}

/// What became of each entry, in order
pub(crate) type Results = Vec<Result<Receipt, PublishError>>;

/// Publishes entries in order
///
/// They are one batch for the log as far as no end comes between them and no batch exceeds `http.max_batch_events`: those
/// of several commands may together.
pub(crate) async fn publish_entries(
    app: &App,
    entries: Vec<Entry>,
    subject: Option<&str>,
) -> Results {
    let max = app.config.http.max_batch_events;
    let mut results = Vec::new();
    let mut batch = Vec::with_capacity(entries.len().min(max));
    let mut left = entries.len();
    for entry in entries {
        left -= 1;
        match entry {
            Entry::Event(event) => {
                batch.push(event);
                if batch.len() == max {
                    let next = Vec::with_capacity(left.min(max));
                    let full = std::mem::replace(&mut batch, next);
                    publish_batch(app, full, subject, &mut results).await;
                }
            }
            Entry::End(topic) => {
                let before = std::mem::take(&mut batch);
                publish_batch(app, before, subject, &mut results).await;
                let ended = app.hub.end_topic(&topic, app.clock.now());
                results.push(ended.map(|position| Receipt {
                    position,
                    duplicate: false,
                    durability: Durability::Volatile,
                }));
            }
        }
    }
    publish_batch(app, batch, subject, &mut results).await;
    results
}

/// Hands a batch to the log, and puts what became of it behind the `results` that are there
async fn publish_batch(
    app: &App,
    batch: Vec<NewEvent>,
    subject: Option<&str>,
    results: &mut Results,
) {
    if batch.is_empty() {
        return;
    }
    let published = app.hub.publish(batch, subject, app.clock.now()).await;
    app.metrics.published(&published);
    match results.is_empty() {
        true => *results = published,
        false => results.extend(published),
    }
}

/// Why an event was not published, in HTTP's terms
pub(crate) fn publish_problem(error: &PublishError) -> Problem {
    let detail = error.to_string();
    match error {
        PublishError::Ended => Problem::new(
            StatusCode::CONFLICT,
            "topic-ended",
            "The topic has ended",
            format!("{detail}; publish to another topic, or wait until its end is forgotten"),
        ),
        PublishError::IdempotencyConflict => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-conflict",
            "The idempotency key was used before",
            format!("{detail}; a key belongs to one event"),
        ),
        PublishError::TooLarge { .. } | PublishError::BatchTooLong { .. } => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "It is too large",
            detail,
        ),
        _ => Problem::overloaded(detail),
    }
}

/// What all events of one request have in common
pub(crate) struct Template {
    topic: Topic,
    event_type: Option<EventType>,
    key: Option<Key>,
    content: Content,
    idempotency: Option<IdempotencyKey>,
}

impl Template {
    fn read(topic: Topic, query: &Query<'_>, headers: &HeaderMap) -> Result<Self, Problem> {
        let event_type = query.one("type")?.map(EventType::parse).transpose();
        let key = query.one("key")?.map(Key::parse).transpose();
        let idempotency = single_header(headers, &field::IDEMPOTENCY_KEY)?
            .map(IdempotencyKey::parse)
            .transpose();
        Ok(Self {
            topic,
            event_type: event_type.map_err(|error| Problem::bad_event(error.to_string()))?,
            key: key.map_err(|error| Problem::bad_event(error.to_string()))?,
            content: Content::read(single_header(headers, &header::CONTENT_TYPE)?)
                .map_err(|error| Problem::bad_event(error.to_string()))?,
            idempotency: idempotency.map_err(|error| Problem::bad_event(error.to_string()))?,
        })
    }

    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    pub(crate) fn has_idempotency_key(&self) -> bool {
        self.idempotency.is_some()
    }

    /// Whether an event without data would say something besides that it is the last
    ///
    /// Its content type, which many programs send with an empty body too, does not.
    fn is_labelled(&self) -> bool {
        self.event_type.is_some() || self.key.is_some() || self.has_idempotency_key()
    }

    pub(crate) fn event(&self, body: &[u8], end: bool) -> Result<NewEvent, Problem> {
        let data = match &self.content {
            Content::Text(_) => Data::text(body.to_vec()).map_err(|_| {
                Problem::bad_event(
                    "the text is not UTF-8; send bytes with `Content-Type: application/octet-stream`",
                )
            })?,
            Content::Bytes(_) => Data::bytes(body.to_vec()),
        };
        let (Content::Text(content_type) | Content::Bytes(content_type)) = &self.content;
        let mut event = NewEvent::new(self.topic.clone(), data);
        event.event_type.clone_from(&self.event_type);
        event.key.clone_from(&self.key);
        event.content_type.clone_from(content_type);
        event.idempotency.clone_from(&self.idempotency);
        event.end = end;
        Ok(event)
    }
}

/// Whether a body is text, and the content type to keep with it
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Text(Option<ContentType>),
    Bytes(Option<ContentType>),
}

impl Content {
    /// Decides by a `Content-Type`
    ///
    /// Text is what says so (`text/*`, JSON, XML, JavaScript and their `+` forms) and what says nothing. What
    /// `curl -d` calls a form is plain text here: the body is published as it is.
    pub(crate) fn read(content_type: Option<&str>) -> Result<Self, LabelError> {
        let Some(content_type) = content_type else {
            return Ok(Self::Text(None));
        };
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        if essence.is_empty()
            || essence == "application/x-www-form-urlencoded"
            || essence == "text/plain"
        {
            return Ok(Self::Text(None));
        }
        let kept = Some(ContentType::parse(content_type)?);
        let is_text = essence.starts_with("text/")
            || essence.ends_with("+json")
            || essence.ends_with("+xml")
            || matches!(
                essence.as_str(),
                "application/json"
                    | "application/xml"
                    | "application/javascript"
                    | "application/x-ndjson"
            );
        Ok(if is_text {
            Self::Text(kept)
        } else {
            Self::Bytes(kept)
        })
    }
}

/// A header that may be given once, as text
pub(crate) fn single_header<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::bad_parameter(format!(
            "the header `{name}` is given twice; once is right"
        )));
    }
    std::str::from_utf8(first.as_bytes())
        .map(Some)
        .map_err(|_| Problem::bad_parameter(format!("the header `{name}` is not UTF-8")))
}

/// The answer to one published event
pub(crate) fn receipt_object(receipt: &Receipt) -> Value {
    let mut object = json!({ "id": receipt.position.to_string() });
    if receipt.duplicate {
        object["duplicate"] = true.into();
    }
    object
}

/// The same as text: publishers that send many events at once get as many answers
pub(crate) fn write_receipt(receipt: &Receipt, out: &mut String) {
    let duplicate = if receipt.duplicate {
        ",\"duplicate\":true"
    } else {
        ""
    };
    write!(out, "{{\"id\":\"{}\"{duplicate}}}", receipt.position)
        .expect("a string takes everything");
}

/// One of several answers
pub(crate) fn result_object(result: &Result<Receipt, PublishError>) -> Value {
    match result {
        Ok(receipt) => receipt_object(receipt),
        Err(error) => {
            let problem = publish_problem(error);
            json!({ "error": { "code": problem.kind(), "message": problem.detail() } })
        }
    }
}

pub(crate) fn json_response(status: StatusCode, value: &impl std::fmt::Display) -> Response<Body> {
    json_body(status, Body::full(format!("{value}\n")))
}

/// The same with a body that is JSON already
pub(crate) fn json_body(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_text_unless_its_content_type_says_otherwise() {
        let kept = |text: &str| ContentType::parse(text).ok();
        for (content_type, expect) in [
            (None, Content::Text(None)),
            (
                Some("application/x-www-form-urlencoded"),
                Content::Text(None),
            ),
            (Some("text/plain; charset=utf-8"), Content::Text(None)),
            (Some("text/markdown"), Content::Text(kept("text/markdown"))),
            (
                Some("application/json"),
                Content::Text(kept("application/json")),
            ),
            (
                Some("application/ld+json"),
                Content::Text(kept("application/ld+json")),
            ),
            (Some("Image/PNG"), Content::Bytes(kept("Image/PNG"))),
            (
                Some("application/octet-stream"),
                Content::Bytes(kept("application/octet-stream")),
            ),
        ] {
            assert_eq!(Content::read(content_type), Ok(expect), "{content_type:?}");
        }
    }
}

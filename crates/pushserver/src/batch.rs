//! `POST /publish`: many events in one request, as a JSON array or one JSON object per line.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use pushcore::{ContentType, Data, EventType, Grant, IdempotencyKey, Key, NewEvent, Topic};
use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::publish::{
    Entry, Results, json_response, publish_entries, result_object, write_receipt,
};
use crate::web::body::{Body, Incoming};
use crate::web::problem::Problem;
use crate::web::query::Query;

/// One event to be published, as JSON carries it: in a batch, and in WebSocket's `publish` command
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventInput {
    topic: String,
    #[serde(rename = "type")]
    event_type: Option<String>,
    data: Option<Value>,
    data_base64: Option<String>,
    content_type: Option<String>,
    key: Option<String>,
    #[serde(default)]
    end: bool,
    idempotency_key: Option<String>,
}

impl EventInput {
    /// What it describes, or what is wrong with it
    ///
    /// `data` that is a string is the text itself; any other JSON value is published as its JSON text.
    pub(crate) fn into_entry(self) -> Result<Entry, String> {
        let say =
            |name: &'static str| move |error: &dyn std::fmt::Display| format!("`{name}`: {error}");
        let topic = Topic::parse(&self.topic).map_err(|e| say("topic")(&e))?;
        let data = match (self.data, self.data_base64) {
            (Some(_), Some(_)) => {
                return Err("`data` and `data_base64` exclude each other; give one".to_owned());
            }
            (Some(Value::String(text)), None) => Data::from(text),
            (Some(value), None) => Data::from(value.to_string()),
            (None, Some(encoded)) => Data::bytes(
                BASE64
                    .decode(&encoded)
                    .map_err(|e| say("data_base64")(&e))?,
            ),
            (None, None) if self.end => return Ok(Entry::End(topic)),
            (None, None) => return Err("`data` or `data_base64` is missing".to_owned()),
        };
        let mut event = NewEvent::new(topic, data);
        event.event_type = self
            .event_type
            .as_deref()
            .map(EventType::parse)
            .transpose()
            .map_err(|e| say("type")(&e))?;
        event.key = self
            .key
            .as_deref()
            .map(Key::parse)
            .transpose()
            .map_err(|e| say("key")(&e))?;
        event.content_type = self
            .content_type
            .as_deref()
            .map(ContentType::parse)
            .transpose()
            .map_err(|e| say("content_type")(&e))?;
        event.idempotency = self
            .idempotency_key
            .as_deref()
            .map(IdempotencyKey::parse)
            .transpose()
            .map_err(|e| say("idempotency_key")(&e))?;
        event.end = self.end;
        Ok(Entry::Event(event))
    }
}

/// `POST /publish`
///
/// A batch that does not parse is refused whole, with the place of the first fault; nothing of it is published
/// then. Events of a batch that parses are answered one by one, in order.
pub(crate) async fn publish<B>(
    app: &Arc<App>,
    parts: &Parts,
    body: Incoming<B>,
    grant: &Grant,
    from: IpAddr,
) -> Result<Response<Body>, Problem>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    Query::parse(parts.uri.query(), &[])?;
    let body = body.whole(app.config.http.max_body_bytes).await?;
    let entries = parse(&body)?;
    if let Some(entry) = entries
        .iter()
        .find(|entry| !grant.may_publish(entry.topic()))
    {
        let topic = entry.topic();
        return Err(Problem::forbidden(format!(
            "the grant does not cover publishing to `{topic}`"
        )));
    }
    let subject = grant.subject.as_deref();
    app.publish_rates
        .admit(subject, from, entries.len(), app.clock.now())?;
    let results = publish_entries(app, entries, grant.subject.as_deref()).await;
    Ok(json_response(StatusCode::OK, &results_text(&results)))
}

fn results_text(results: &Results) -> String {
    let mut text = String::from("{\"results\":[");
    for (at, result) in results.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match result {
            Ok(receipt) => write_receipt(receipt, &mut text),
            Err(_) => text.push_str(&result_object(result).to_string()),
        }
    }
    text.push_str("]}");
    text
}

fn parse(body: &[u8]) -> Result<Vec<Entry>, Problem> {
    let inputs: Vec<(String, EventInput)> = if body.trim_ascii_start().first() == Some(&b'[') {
        let inputs: Vec<EventInput> = serde_json::from_slice(body).map_err(|error| {
            Problem::bad_event(format!("the array of events does not parse: {error}"))
        })?;
        inputs
            .into_iter()
            .enumerate()
            .map(|(at, input)| (format!("event {}", at + 1), input))
            .collect()
    } else {
        let lines = body.split(|byte| *byte == b'\n').enumerate();
        lines
            .filter(|(_, line)| !line.trim_ascii().is_empty())
            .map(|(at, line)| {
                let place = format!("line {}", at + 1);
                match serde_json::from_slice(line) {
                    Ok(input) => Ok((place, input)),
                    Err(error) => Err(Problem::bad_event(format!(
                        "{place} is not an event object: {error}"
                    ))),
                }
            })
            .collect::<Result<_, _>>()?
    };
    if inputs.is_empty() {
        return Err(Problem::bad_event(
            "the batch is empty; send a JSON array of event objects, or one object per line",
        ));
    }
    inputs
        .into_iter()
        .map(|(place, input)| {
            input
                .into_entry()
                .map_err(|fault| Problem::bad_event(format!("{place}: {fault}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expect: Result<usize, &str>) {
        match (parse(body.as_bytes()), expect) {
            (Ok(events), Ok(count)) => assert_eq!(events.len(), count),
            (Err(problem), Err(part)) => {
                assert!(problem.detail().contains(part), "{}", problem.detail());
            }
            (got, expect) => panic!("{got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn a_batch_is_an_array_or_lines() {
        check(
            r#"[{"topic":"a","data":"1"},{"topic":"b","data":{"x":1},"key":"k"}]"#,
            Ok(2),
        );
        check(
            "{\"topic\":\"a\",\"data\":\"1\"}\n\n{\"topic\":\"b\",\"data_base64\":\"AA==\"}\n",
            Ok(2),
        );
        check(r#"{"topic":"a","end":true}"#, Ok(1));
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        check("", Err("empty"));
        check("{\"topic\":\"a\",\"data\":\"1\"}\nnonsense", Err("line 2"));
        check(
            r#"[{"topic":"a","data":"1"},{"topic":"a//b","data":"1"}]"#,
            Err("event 2: `topic`"),
        );
        check(r#"{"topic":"a"}"#, Err("missing"));
        check(
            r#"{"topic":"a","data":"x","type":"push.gap"}"#,
            Err("`type`"),
        );
        check(r#"{"topic":"a","dta":"x"}"#, Err("dta"));
    }
}

//! `POST /publish`: many events in one request, as a JSON array or one JSON object per line.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};
use pushcore::Grant;

use crate::app::App;
use crate::event_input::{self, Described};
use crate::publish::{
    Entry, Results, json_response, publish_entries, result_object, write_receipt,
};
use crate::web::body::{Body, Incoming, Payload};
use crate::web::problem::Problem;
use crate::web::query::Query;

/// `POST /publish`
///
/// A batch that does not parse is refused whole, with the place of the first fault; nothing of it is published
/// then; nor is anything of one with more events than `http.max_batch_events`. Events of a batch that parses are answered
/// one by one, in order.
pub(crate) async fn publish<B: Payload>(
    app: &Arc<App>,
    parts: &Parts,
    body: Incoming<B>,
    grant: &Grant,
    from: IpAddr,
) -> Result<Response<Body>, Problem> {
    Query::parse(parts.uri.query(), &[])?;
    let body = body.whole(app.config.http.max_body_bytes).await?;
    let entries = parse(&body)?;
    let max = app.config.http.max_batch_events;
    if entries.len() > max {
        return Err(Problem::batch_too_long(entries.len(), max));
    }
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
    let text = std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        Problem::bad_event(format!(
            "line {line} is not UTF-8; `data_base64` takes any bytes"
        ))
    })?;
    let entries = if text.trim_start().starts_with('[') {
        parse_array(text)?
    } else {
        parse_lines(text)?
    };
    if entries.is_empty() {
        return Err(Problem::bad_event(
            "the batch is empty; send a JSON array of event objects, or one object per line",
        ));
    }
    Ok(entries)
}

fn parse_array(text: &str) -> Result<Vec<Entry>, Problem> {
    let described = event_input::read_list(text).map_err(|error| {
        Problem::bad_event(format!("the array of events does not parse: {error}"))
    })?;
    let entry = |(described, number): (Described, usize)| {
        described.map_err(|fault| Problem::bad_event(format!("event {number}: {fault}")))
    };
    described.into_iter().zip(1..).map(entry).collect()
}

fn parse_lines(text: &str) -> Result<Vec<Entry>, Problem> {
    let mut entries = Vec::new();
    for (line, number) in text.split('\n').zip(1..) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let described = event_input::read_one(line).map_err(|error| {
            Problem::bad_event(format!("line {number} is not an event object: {error}"))
        })?;
        let fault = |fault| Problem::bad_event(format!("line {number}: {fault}"));
        entries.push(described.map_err(fault)?);
    }
    Ok(entries)
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
        check(
            "{\"topic\":\"a//b\",\"data\":\"1\"}\nnonsense",
            Err("line 1: `topic`"),
        );
        check(r#"{"topic":"a"}"#, Err("missing"));
        check(
            r#"{"topic":"a","data":"x","type":"push.gap"}"#,
            Err("`type`"),
        );
        check(r#"{"topic":"a","dta":"x"}"#, Err("dta"));
        let problem = parse(b"{\"topic\":\"a\",\"data\":\"1\"}\n{\"topic\":\"\xff\"}").unwrap_err();
        assert!(
            problem.detail().contains("line 2 is not UTF-8"),
            "{}",
            problem.detail()
        );
    }
}

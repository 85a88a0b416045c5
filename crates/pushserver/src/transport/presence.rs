//! The commands of `push.v1` about who is there.

use std::sync::Arc;

use pushcore::{Grant, Pattern, PresenceError, Timestamp, Topic};
use serde::Deserialize;
use serde_json::{Value, json};

use super::command::{Failure, parse_patterns};
use crate::app::App;
use crate::attendance::Present;
use crate::follow::subscribe_problem;
use crate::presence::members;

/// `{"presence":{"match":[…]}}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Presence {
    #[serde(rename = "match")]
    patterns: Vec<String>,
}

/// `{"join":{"topic":"a","data":…}}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    topic: String,
    data: Option<Value>,
    /// For connections that are nobody's
    member: Option<String>,
}

/// `{"leave":{"topic":"a"}}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leave {
    topic: String,
}

impl Presence {
    pub(super) fn run(
        self,
        app: &Arc<App>,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        let patterns = parse_patterns(&self.patterns)?;
        Ok(members(app, &patterns, grant, now)?)
    }
}

impl Join {
    /// Who may read a topic may be present at it
    pub(super) fn run(
        self,
        app: &Arc<App>,
        present: &mut Present,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        let topic = parse_topic(&self.topic)?;
        app.hub
            .check_reading(grant, &[Pattern::exact(topic.clone())], now)
            .map_err(|error| subscribe_problem(&error))?;
        let max = app.config.connections.max_patterns;
        if present.len() >= max && !present.is_at(&topic) {
            return Err(Failure::new(
                "limit",
                format!("one connection can be present at {max} topics at most"),
            ));
        }
        let member = member(self.member.as_deref(), grant)?;
        let metadata = self.data.map(|data| data.to_string());
        present
            .join(topic, &member, metadata.as_deref(), now)
            .map_err(|error| refused(&error))?;
        Ok(json!({ "member": member }))
    }
}

impl Leave {
    pub(super) fn run(self, present: &mut Present) -> Result<Value, Failure> {
        let left = present.leave(&parse_topic(&self.topic)?);
        Ok(json!({ "left": left }))
    }
}

/// Everybody is who their grant says; who is nobody may choose a name, which then begins with `~`
fn member(chosen: Option<&str>, grant: &Grant) -> Result<String, Failure> {
    match (&grant.subject, chosen) {
        (Some(subject), None) => Ok(subject.clone()),
        (Some(subject), Some(chosen)) if subject == chosen => Ok(subject.clone()),
        (Some(_), Some(_)) => Err(Failure::new(
            "forbidden",
            "the member is the subject of the grant; leave out `member`",
        )),
        (None, Some(chosen)) if !chosen.is_empty() => Ok(format!("~{chosen}")),
        (None, _) => Err(Failure::new(
            "bad-member",
            "the grant names no subject; choose a name by `member`",
        )),
    }
}

fn refused(error: &PresenceError) -> Failure {
    let code = match error {
        PresenceError::Name => "bad-member",
        _ => "limit",
    };
    Failure::new(code, error.to_string())
}

fn parse_topic(text: &str) -> Result<Topic, Failure> {
    Topic::parse(text).map_err(|error| Failure::new("bad-topic", format!("`{text}`: {error}")))
}

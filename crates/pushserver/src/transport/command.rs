//! The commands of `push.v1`, as JSON carries them, and what each does.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use pushcore::{
    Grant, LagPolicy, Pattern, PresenceChange, PresenceKind, Start, Subscription, Timestamp,
};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::presence::{Join, Leave, Presence};
use super::renewal::Refresh;
use crate::app::App;
use crate::event_input::{self, DataText, Described, Input, Text, Written};
use crate::follow;
use crate::page::{self, Admitted, Asked};
use crate::presence::person;
use crate::publish::Entry;
use crate::web::problem::Problem;

/// A command and the reference its answer carries
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) reference: Option<Value>,
    pub(super) command: Command,
}

/// What a client may ask for
#[derive(Debug)]
pub(super) enum Command {
    /// Read more patterns, from the connection's cursor on
    Subscribe(Subscribe),
    /// Read some patterns no longer
    Unsubscribe(Unsubscribe),
    /// Publish one event or a list of them
    Publish(Inputs),
    /// One page of what is retained
    History(History),
    /// Ask who is there
    Presence(Presence),
    /// Be there
    Join(Join),
    /// Be there no longer
    Leave(Leave),
    /// Go on under another grant of the same subject
    Refresh(Refresh),
    /// Ask whether the connection is alive
    Ping,
}

/// The members of a command's object
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Member {
    Ref,
    Subscribe,
    Unsubscribe,
    Publish,
    History,
    Presence,
    Join,
    Leave,
    Refresh,
    Ping,
}

/// `{}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{}`")]
struct Nothing {}

// By hand, because what serde derives for a flattened member keeps the whole message as a tree first, which costs several
// times as much as the publish it carries.
impl<'de, D: DataText<'de>> Deserialize<'de> for Message<D> {
    fn deserialize<S: Deserializer<'de>>(deserializer: S) -> Result<Self, S::Error> {
        let envelope = deserializer.deserialize_map(EnvelopeVisitor::<D>(PhantomData))?;
        Ok(Self(envelope, PhantomData))
    }
}

/// An envelope whose events carry `data` as `D` takes it
struct Message<D>(Envelope, PhantomData<D>);

struct EnvelopeVisitor<D>(PhantomData<D>);

impl<'de, D: DataText<'de>> Visitor<'de> for EnvelopeVisitor<D> {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one command")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let (mut reference, mut command) = (None, None);
        while let Some(member) = map.next_key()? {
            let next = match member {
                Member::Ref => {
                    reference = map.next_value()?;
                    continue;
                }
                Member::Subscribe => Command::Subscribe(map.next_value()?),
                Member::Unsubscribe => Command::Unsubscribe(map.next_value()?),
                Member::Publish => {
                    let List::<D>(inputs) = map.next_value()?;
                    Command::Publish(Inputs(event_input::described(inputs)))
                }
                Member::History => Command::History(map.next_value()?),
                Member::Presence => Command::Presence(map.next_value()?),
                Member::Join => Command::Join(map.next_value()?),
                Member::Leave => Command::Leave(map.next_value()?),
                Member::Refresh => Command::Refresh(map.next_value()?),
                Member::Ping => {
                    let Nothing {} = map.next_value()?;
                    Command::Ping
                }
            };
            if command.replace(next).is_some() {
                return Err(A::Error::custom("there are two commands in it"));
            }
        }
        let command = command.ok_or_else(|| A::Error::custom("there is no command in it"))?;
        Ok(Envelope { reference, command })
    }
}

/// One event or a list of them, as they are read
struct List<D>(Vec<Input<D>>);

impl<'de, D: DataText<'de>> Deserialize<'de> for List<D> {
    fn deserialize<S: Deserializer<'de>>(deserializer: S) -> Result<Self, S::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<D>(PhantomData<D>);

impl<'de, D: DataText<'de>> Visitor<'de> for ListVisitor<D> {
    type Value = List<D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event or a list of events")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<D>, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(map)).map(|one| List(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<List<D>, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(List)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    #[serde(rename = "match")]
    patterns: Vec<String>,
    after: Option<String>,
    last: Option<u64>,
    since: Option<String>,
    #[serde(default)]
    presence: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unsubscribe {
    #[serde(rename = "match")]
    patterns: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    #[serde(rename = "match")]
    patterns: Vec<String>,
    after: Option<String>,
    last: Option<u64>,
    since: Option<String>,
    limit: Option<usize>,
}

/// One event or a list of them
#[derive(Debug)]
pub(super) struct Inputs(Vec<Described>);

/// Why a command was not carried out, as its answer carries it
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn object(&self) -> Value {
        json!({ "code": self.code, "message": self.message })
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(problem.kind(), problem.detail())
    }
}

/// A message that is no command: its reference, if it has one, and what would be right
#[derive(Debug)]
pub(super) struct NotACommand {
    pub(super) reference: Option<Value>,
    pub(super) failure: Failure,
}

impl Envelope {
    pub(super) fn parse(text: &str) -> Result<Self, NotACommand> {
        let read = event_input::read(
            || serde_json::from_str::<Message<Text<'_>>>(text).map(|message| message.0),
            || serde_json::from_str::<Message<Written<'_>>>(text).map(|message| message.0),
        );
        read.map_err(|error| {
            let message: Option<Value> = serde_json::from_str(text).ok();
            // What serde has to say may quote the message, and a message that renews holds a token.
            let error = match text.contains("refresh") {
                true => "a renewal is {\"ref\":1,\"refresh\":{\"token\":\"…\"}}".to_owned(),
                false => error.to_string(),
            };
            NotACommand {
                reference: message.and_then(|mut message| message.get_mut("ref").map(Value::take)),
                failure: Failure::new(
                    "bad-message",
                    format!(
                        "the message is not a command ({error}); a command is \
                         {{\"ref\":1,\"subscribe\":{{\"match\":[\"a\"]}}}} with one of \
                         subscribe, unsubscribe, publish, history, presence, \
                         join, leave, refresh, ping"
                    ),
                ),
            }
        })
    }
}

impl Subscribe {
    /// Adds the patterns; answers the position they are read from
    ///
    /// A connection has one cursor. Its first patterns may say where it stands; later ones join where it is, and
    /// what was before comes by `history`.
    pub(super) fn run(
        self,
        app: &Arc<App>,
        subscription: &mut Subscription,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<Value, Failure> {
        let patterns = parse_patterns(&self.patterns)?;
        let max = app.config.connections.max_patterns;
        let held = subscription.patterns();
        let added = patterns
            .iter()
            .filter(|pattern| !held.contains(pattern))
            .count();
        if held.len() + added > max {
            return Err(Failure::new(
                "limit",
                format!("at most {max} patterns can be read by one connection"),
            ));
        }
        if let Some(refused) = patterns
            .iter()
            .find(|pattern| !grant.may_subscribe(pattern))
        {
            return Err(Failure::new(
                "forbidden",
                format!("the grant does not cover reading `{refused}`"),
            ));
        }
        let start = follow::start_of(self.after.as_deref(), self.last, self.since.as_deref(), now)?;
        if start.is_some() && !held.is_empty() {
            return Err(Failure::new(
                "cursor-set",
                format!(
                    "this connection already reads from {}: leave out `after`, `last` and `since`, and ask `history` for what was before",
                    subscription.position()
                ),
            ));
        }
        if self.presence {
            subscription.hear_presence();
        }
        let at = subscription
            .add_all(patterns, start, now)
            .map_err(|error| follow::subscribe_problem(&error))?;
        Ok(json!({ "at": at.to_string() }))
    }
}

impl Unsubscribe {
    pub(super) fn run(self, subscription: &mut Subscription) -> Result<Value, Failure> {
        for pattern in parse_patterns(&self.patterns)? {
            subscription.remove(&pattern);
        }
        Ok(json!({ "at": subscription.position().to_string() }))
    }
}

impl History {
    pub(super) fn run(
        self,
        app: &Arc<App>,
        grant: &Arc<Grant>,
        now: Timestamp,
    ) -> Result<Admitted, Failure> {
        let patterns = parse_patterns(&self.patterns)?;
        if let Some(refused) = patterns
            .iter()
            .find(|pattern| !grant.may_subscribe(pattern))
        {
            return Err(Failure::new(
                "forbidden",
                format!("the grant does not cover reading `{refused}`"),
            ));
        }
        let start = follow::start_of(self.after.as_deref(), self.last, self.since.as_deref(), now)?;
        let asked = Asked {
            patterns,
            start: start.unwrap_or(Start::Earliest),
            lag: LagPolicy::default(),
            limit: self.limit,
        };
        let admitted = asked.admit(app, grant, now)?;
        page::count(app, admitted.page());
        Ok(admitted)
    }
}

impl Inputs {
    /// How many events there are
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts the events behind those that are there, if they are at most `max` and the grant covers them all; says how many
    pub(super) fn append_to(
        self,
        entries: &mut Vec<Entry>,
        max: usize,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<usize, Failure> {
        if self.0.len() > max {
            return Err(Problem::batch_too_long(self.0.len(), max).into());
        }
        let before = entries.len();
        for described in self.0 {
            let entry = described.map_err(|fault| Failure::new("bad-event", fault));
            match entry.and_then(|entry| covered(entry, grant, now)) {
                Ok(entry) => entries.push(entry),
                Err(failure) => {
                    entries.truncate(before);
                    return Err(failure);
                }
            }
        }
        Ok(entries.len() - before)
    }
}

fn covered(entry: Entry, grant: &Grant, now: Timestamp) -> Result<Entry, Failure> {
    if grant.may_publish(entry.topic()) && !grant.is_expired(now) {
        return Ok(entry);
    }
    let topic = entry.topic();
    let message = format!("the grant does not cover publishing to `{topic}`");
    Err(Failure::new("forbidden", message))
}

/// The message that tells of somebody who came or went
pub(super) fn presence_message(change: &PresenceChange) -> Value {
    let name = match change.kind {
        PresenceKind::Join => "join",
        PresenceKind::Leave => "leave",
    };
    let object = person(
        change.topic.as_str(),
        &change.member,
        change.metadata.as_deref(),
    );
    json!({ name: object })
}

pub(super) fn parse_patterns(texts: &[String]) -> Result<Vec<Pattern>, Failure> {
    if texts.is_empty() {
        return Err(Failure::new(
            "bad-topic",
            "`match` is empty; name at least one topic or pattern",
        ));
    }
    texts
        .iter()
        .map(|text| {
            Pattern::parse(text)
                .map_err(|error| Failure::new("bad-topic", format!("`{text}`: {error}")))
        })
        .collect()
}

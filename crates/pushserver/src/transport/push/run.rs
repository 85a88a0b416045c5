//! Publishes that came one after another, and how commands are answered.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pushcore::{Grant, PublishError, Receipt, Timestamp};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::publish::{
    Entry, Results, publish_entries, publish_problem, result_object, write_receipt,
};
use crate::transport::command::{Failure, Inputs};
use crate::transport::socket::Socket;

/// Publishes that came one after another: one batch for the log, an answer for each command
#[derive(Default)]
pub(super) struct Run {
    entries: Vec<Entry>,
    commands: Vec<(Option<Value>, Part)>,
    publishing: Option<Pin<Box<dyn Future<Output = Results> + Send>>>,
}

/// A command's part in a run
enum Part {
    /// So many of the entries
    Entries(usize),
    /// None, and why
    Nothing(Failure),
}

impl Run {
    /// Lets a command's events join, if they are at most `max` and the grant covers them all
    pub(super) fn join(
        &mut self,
        reference: Option<Value>,
        inputs: Inputs,
        max: usize,
        grant: &Grant,
        now: Timestamp,
    ) {
        let part = match inputs.append_to(&mut self.entries, max, grant, now) {
            Ok(count) => Part::Entries(count),
            Err(failure) => Part::Nothing(failure),
        };
        self.commands.push((reference, part));
    }

    /// Lets a command be answered with this failure, behind those before it
    pub(super) fn fail(&mut self, reference: Option<Value>, failure: Failure) {
        self.commands.push((reference, Part::Nothing(failure)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Hands the batch to the hub; over the memory log the answers are there at once
    pub(super) fn start(&mut self, app: &Arc<App>, subject: Option<&str>) -> Poll<Results> {
        let (app, entries) = (Arc::clone(app), std::mem::take(&mut self.entries));
        let subject = subject.map(str::to_owned);
        self.publishing = Some(Box::pin(async move {
            publish_entries(&app, entries, subject.as_deref()).await
        }));
        self.poll(&mut Context::from_waker(Waker::noop()))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Results> {
        let publishing = self
            .publishing
            .as_mut()
            .expect("a run that waits has been started");
        Pin::new(publishing).poll(cx)
    }

    /// A command that carries no reference is answered only if it failed
    pub(super) fn answer(self, socket: &mut Socket, results: Results) {
        let mut results = results.into_iter();
        for (reference, part) in self.commands {
            match part {
                Part::Nothing(failure) => reply(socket, reference, Err(failure)),
                Part::Entries(1) => {
                    if let Some(result) = results.next() {
                        answer_one(socket, reference, result);
                    }
                }
                Part::Entries(count) => {
                    let answers: Vec<_> = results.by_ref().take(count).collect();
                    if reference.is_some() || answers.iter().any(Result::is_err) {
                        let results: Vec<_> = answers.iter().map(result_object).collect();
                        reply(socket, reference, Ok(json!({ "results": results })));
                    }
                }
            }
        }
    }
}

fn answer_one(
    socket: &mut Socket,
    reference: Option<Value>,
    result: Result<Receipt, PublishError>,
) {
    match (result, reference) {
        (Ok(receipt), Some(reference)) => {
            let mut answer = format!("{{\"ref\":{reference},\"result\":");
            write_receipt(&receipt, &mut answer);
            answer.push('}');
            socket.say(&answer);
        }
        (Ok(_), None) => {}
        (Err(error), reference) => reply(socket, reference, Err(publish_problem(&error).into())),
    }
}

/// Says what became of a command
pub(super) fn reply(socket: &mut Socket, reference: Option<Value>, result: Result<Value, Failure>) {
    let mut message = Map::new();
    if let Some(reference) = reference {
        message.insert("ref".to_owned(), reference);
    }
    match result {
        Ok(result) => message.insert("result".to_owned(), result),
        Err(failure) => message.insert("error".to_owned(), failure.object()),
    };
    socket.say(&Value::Object(message).to_string());
}

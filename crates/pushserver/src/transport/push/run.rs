//! Publishes that came one after another, and how commands are answered.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::publish::{
    Entry, Results, publish_entries, publish_problem, result_object, write_receipt,
};
use crate::transport::command::Failure;
use crate::transport::socket::Socket;

/// Publishes that came one after another: one batch for the log, an answer for each command
#[derive(Default)]
pub(super) struct Run {
    pub(super) entries: Vec<Entry>,
    /// The reference of each command, and how many of the entries are its
    pub(super) commands: Vec<(Option<Value>, usize)>,
    publishing: Option<Pin<Box<dyn Future<Output = Results> + Send>>>,
}

impl Run {
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
        for (reference, count) in self.commands {
            if count == 1 {
                match (results.next(), reference) {
                    (Some(Ok(_)), None) | (None, _) => {}
                    (Some(Ok(receipt)), Some(reference)) => {
                        let mut answer = format!("{{\"ref\":{reference},\"result\":");
                        write_receipt(&receipt, &mut answer);
                        answer.push('}');
                        socket.say(&answer);
                    }
                    (Some(Err(error)), reference) => {
                        reply(socket, reference, Err(publish_problem(&error).into()));
                    }
                }
                continue;
            }
            let answers: Vec<_> = results.by_ref().take(count).collect();
            let failed = answers.iter().any(Result::is_err);
            if reference.is_none() && !failed {
                continue;
            }
            let results: Vec<_> = answers.iter().map(result_object).collect();
            reply(socket, reference, Ok(json!({ "results": results })));
        }
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

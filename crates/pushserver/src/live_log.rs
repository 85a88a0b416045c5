//! A live log (`?each=line`): every line of a body becomes an event as it arrives.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use pushcore::{Grant, Position};
use serde_json::{Value, json};

use crate::access;
use crate::app::App;
use crate::lines::{Lines, TooLong};
use crate::publish::{Entry, Template, json_response, publish_entries, publish_problem};
use crate::web::body::{Body, Incoming, Payload};
use crate::web::problem::Problem;

/// Publishes each line as it arrives; the answer, be it a refusal, tells how many are in the log and where the last is
///
/// There is no limit on the whole, only on the time between two pieces and on one line. So the grant is looked at again
/// before each piece.
pub(crate) async fn publish<B: Payload>(
    app: &Arc<App>,
    template: Template,
    end: bool,
    body: Incoming<B>,
    grant: &Grant,
    from: IpAddr,
) -> Result<Response<Body>, Problem> {
    if template.has_idempotency_key() {
        return Err(Problem::bad_parameter(
            "`Idempotency-Key` names one event and cannot be used with `each=line`",
        ));
    }
    let mut log = LiveLog {
        app,
        template,
        grant,
        from,
        lines: 0,
        published: 0,
        last: None,
    };
    match log.take(body, end).await {
        Ok(()) => Ok(json_response(StatusCode::OK, &log.answer())),
        Err(problem) => Err(log.refusal(problem)),
    }
}

/// How far a body has come
struct LiveLog<'r> {
    app: &'r App,
    template: Template,
    grant: &'r Grant,
    from: IpAddr,
    /// Lines that were handed to the log
    lines: u64,
    /// Those of them that it took
    published: u64,
    last: Option<Position>,
}

impl LiveLog<'_> {
    async fn take<B: Payload>(&mut self, mut body: Incoming<B>, end: bool) -> Result<(), Problem> {
        let max_line = self.app.config.http.max_body_bytes;
        let mut lines = Lines::new(max_line);
        let mut pending = Vec::new();
        while let Some(piece) = body.next().await? {
            access::check_still_good(self.app, self.grant)?;
            let cut = lines.handle_piece(&piece, &mut pending);
            self.publish(&pending).await?;
            pending.clear();
            if cut == Err(TooLong) {
                return Err(Problem::line_too_large(max_line).at_line(self.lines + 1));
            }
        }
        pending.extend(lines.finish());
        if !pending.is_empty() || end {
            access::check_still_good(self.app, self.grant)?;
        }
        self.publish(&pending).await?;
        match end {
            true => self.end().await,
            false => Ok(()),
        }
    }

    /// Publishes lines, up to the first that cannot be
    async fn publish(&mut self, lines: &[Bytes]) -> Result<(), Problem> {
        let (subject, now) = (self.grant.subject.as_deref(), self.app.clock.now());
        let rates = &self.app.publish_rates;
        rates.admit(subject, self.from, lines.len(), now)?;
        // One batch at a time, so that nothing stands in the log behind a line that was refused.
        for batch in lines.chunks(self.app.config.http.max_batch_events) {
            self.publish_batch(batch).await?;
        }
        Ok(())
    }

    async fn publish_batch(&mut self, lines: &[Bytes]) -> Result<(), Problem> {
        let mut entries = Vec::with_capacity(lines.len());
        let mut fault = None;
        for line in lines {
            match self.template.event(line, false) {
                Ok(event) => entries.push(Entry::Event(event)),
                Err(problem) => {
                    fault = Some(problem);
                    break;
                }
            }
        }
        let mut refused = None;
        for result in publish_entries(self.app, entries, self.grant.subject.as_deref()).await {
            self.lines += 1;
            match result {
                Ok(receipt) => {
                    self.published += 1;
                    self.last = Some(receipt.position);
                }
                Err(error) if refused.is_none() => {
                    refused = Some(publish_problem(&error).at_line(self.lines));
                }
                Err(_) => {}
            }
        }
        match refused.or_else(|| fault.map(|fault| fault.at_line(self.lines + 1))) {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    async fn end(&mut self) -> Result<(), Problem> {
        let end = vec![Entry::End(self.template.topic().clone())];
        for result in publish_entries(self.app, end, self.grant.subject.as_deref()).await {
            self.last = Some(result.map_err(|error| publish_problem(&error))?.position);
        }
        Ok(())
    }

    fn answer(&self) -> Value {
        let mut answer = json!({ "published": self.published });
        if let Some(last) = self.last {
            answer["id"] = last.to_string().into();
        }
        answer
    }

    /// A refusal that tells what is in the log nevertheless
    fn refusal(&self, problem: Problem) -> Problem {
        let problem = problem.with_member("published", self.published);
        match self.last {
            Some(last) => problem.with_member("id", last.to_string()),
            None => problem,
        }
    }
}

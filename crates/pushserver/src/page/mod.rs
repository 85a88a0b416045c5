//! One page of the log: polling over HTTP, and `history` over WebSocket.

mod body;
#[cfg(test)]
mod fixture;
mod text;
mod turns;

use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use http::{Response, StatusCode};
use pushcore::{
    Budget, Delivery, End, Grant, LagPolicy, Page, Pattern, Position, Start, SubscribeOptions,
    Timestamp,
};

pub(crate) use self::body::PageBody;
pub(crate) use self::text::{PageText, Slice};
use self::text::{SLICE_BYTES, data_bytes};
pub(crate) use self::turns::{Pages, Place, Writing};
use crate::app::App;
use crate::follow::{Reading, subscribe_problem};
use crate::publish::json_body;
use crate::web::body::Body;
use crate::web::problem::Problem;

/// What is to be read at once
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) start: Start,
    pub(crate) lag: LagPolicy,
    /// Most events, if the client says so
    pub(crate) limit: Option<usize>,
}

impl Asked {
    /// Reads one page, as it is now
    pub(crate) fn read(
        &self,
        app: &Arc<App>,
        grant: &Arc<Grant>,
        now: Timestamp,
    ) -> Result<Page, Problem> {
        let max = app.config.stream.max_page_events;
        let budget = Budget {
            events: self.limit.unwrap_or(max).clamp(1, max),
            bytes: app.config.stream.max_page_bytes,
        };
        let options = SubscribeOptions {
            patterns: self.patterns.clone(),
            start: self.start,
            lag: self.lag,
            grant: Some(Arc::clone(grant)),
            ..SubscribeOptions::default()
        };
        app.hub
            .history(options, budget, now)
            .map_err(|error| subscribe_problem(&error))
    }

    /// Whether a page tells nothing new, and something may come yet
    ///
    /// Ends before the position that was asked for are told in every page, and are no news.
    fn is_waiting(&self, page: &Page) -> bool {
        let is_old = |end: &End| match self.start {
            Start::After(seen) => seen.epoch == end.at.epoch && seen.offset >= end.at.offset,
            _ => false,
        };
        page.events.is_empty()
            && page.gaps.is_empty()
            && page.ends.iter().all(is_old)
            && page.ends.len() < self.patterns.len()
    }

    /// Reads one page that there is room for
    ///
    /// Where there is no place for another large one, it holds the first events alone, and tells with which position to
    /// go on.
    pub(crate) fn admit(
        &self,
        app: &Arc<App>,
        grant: &Arc<Grant>,
        now: Timestamp,
    ) -> Result<Admitted, Problem> {
        let page = self.read(app, grant, now)?;
        if data_bytes(&page) <= SLICE_BYTES {
            return Ok(Admitted::Small(page));
        }
        if let Some(place) = app.pages.place() {
            return Ok(Admitted::Large(page, place));
        }
        let first = Self {
            limit: Some(text::first_slice(&page)),
            ..self.clone()
        };
        let page = first.read(app, grant, now)?;
        if data_bytes(&page) <= SLICE_BYTES {
            return Ok(Admitted::Small(page));
        }
        Err(Problem::overloaded(
            "this event is a large page of its own, and `stream.max_large_pages` are on their way",
        ))
    }
}

/// A page that there is room for
#[derive(Debug)]
pub(crate) enum Admitted {
    /// One slice
    Small(Page),
    /// Several, for which it has a place
    Large(Page, Place),
}

impl Admitted {
    pub(crate) fn page(&self) -> &Page {
        match self {
            Self::Small(page) | Self::Large(page, _) => page,
        }
    }

    /// Whether it is written without waiting for a turn
    pub(crate) fn is_quick(&self) -> bool {
        data_bytes(self.page()) <= QUICK_BYTES
    }
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
    let mut asked = Asked {
        patterns: reading.patterns,
        start: reading.start,
        lag: reading.lag,
        limit,
    };
    let admitted = asked.admit(app, &grant, app.clock.now())?;
    let wait = wait
        .unwrap_or_default()
        .min(app.config.stream.max_poll_wait);
    if wait.is_zero() || !asked.is_waiting(admitted.page()) {
        return Ok(respond(app, admitted).await);
    }
    let page = admitted.page();
    // The wait begins at the end of the empty page, so nothing can fall between the two.
    let next = page.next;
    if !arrival(app, &asked.patterns, next, &grant, wait).await? {
        return Ok(respond(app, admitted).await);
    }
    asked.start = Start::After(next);
    let admitted = asked.admit(app, &grant, app.clock.now())?;
    Ok(respond(app, admitted).await)
}

/// Waits until something follows `start`; false if the time is up or the server leaves first
async fn arrival(
    app: &Arc<App>,
    patterns: &[Pattern],
    start: Position,
    grant: &Arc<Grant>,
    wait: Duration,
) -> Result<bool, Problem> {
    let options = SubscribeOptions {
        patterns: patterns.to_vec(),
        start: Start::After(start),
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
    let arrived = std::future::poll_fn(|cx| {
        loop {
            match ready!(subscription.poll(cx, app.clock.now(), one)) {
                // A page has no place for a notice, and the end was in the page before.
                Delivery::Expiring { .. } => {}
                Delivery::End(end) if end.at.offset <= start.offset => {}
                _ => return Poll::Ready(()),
            }
        }
    });
    tokio::select! {
        () = arrived => Ok(true),
        () = tokio::time::sleep(wait) => Ok(false),
        () = app.leaving.started() => Ok(false),
    }
}

/// Data of a page that is written at once, because it takes no longer than any other request: some 10 µs
const QUICK_BYTES: usize = 4 * 1024;

async fn respond(app: &App, admitted: Admitted) -> Response<Body> {
    count(app, admitted.page());
    let is_quick = admitted.is_quick();
    let page = match admitted {
        Admitted::Large(page, place) => {
            let body = PageBody::new(&app.pages, PageText::new(page), place);
            return json_body(StatusCode::OK, Body::page(body));
        }
        Admitted::Small(page) => page,
    };
    let mut text = PageText::new(page);
    let mut out = Vec::with_capacity(text.len_hint());
    if is_quick {
        text.write(&mut out);
    } else {
        out = app.pages.write(text, out).await.out;
    }
    out.push(b'\n');
    json_body(StatusCode::OK, Body::full(out))
}

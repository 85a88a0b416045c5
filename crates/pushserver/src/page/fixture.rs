//! Pages for the tests of this module.

use pushcore::{Budget, NewEvent, Page, Pattern, Start, SubscribeOptions, Topic};

use crate::app::App;

/// The page that history answers when these data, and nothing else, have been published
pub(super) fn published(app: &App, data: impl IntoIterator<Item = String>) -> Page {
    let topic = Topic::parse("a").unwrap();
    let pattern = Pattern::exact(topic.clone());
    let events = data
        .into_iter()
        .map(|data| NewEvent::new(topic.clone(), data));
    let receipts = app.hub.publish(events.collect(), None, app.clock.now());
    assert!(receipts.try_ready().is_ok());
    let options = SubscribeOptions {
        patterns: vec![pattern],
        start: Start::Earliest,
        ..SubscribeOptions::default()
    };
    let budget = Budget {
        events: 1000,
        bytes: usize::MAX,
    };
    app.hub.history(options, budget, app.clock.now()).unwrap()
}

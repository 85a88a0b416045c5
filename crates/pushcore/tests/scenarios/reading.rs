//! Where reading begins, goes on and is joined.

use std::sync::Arc;

use pushcore::*;

use crate::story::{NOW, after, check, hub, pattern, patterns, publish, read, retain, subscribe};

#[test]
fn a_reader_from_the_start_is_given_everything_in_order() {
    check(retain(9), "a b a c/d", "a", Start::Earliest, "a1 a3");
    check(retain(9), "a b a c/d", "a b", Start::Earliest, "a1 b2 a3");
    check(
        retain(9),
        "a b a c/d",
        "**",
        Start::Earliest,
        "a1 b2 a3 c/d4",
    );
    check(
        retain(9),
        "a b a c/d",
        "** a c/*",
        Start::Earliest,
        "a1 b2 a3 c/d4",
    );
    check(retain(9), "a b a c/d", "*", Start::Now, "");
}

#[test]
fn the_last_n_are_counted_over_all_patterns() {
    check(retain(9), "a b a b b", "a b", Start::Last(3), "a3 b4 b5");
    check(retain(9), "a b a b b", "* a", Start::Last(2), "b4 b5");
    check(retain(2), "a a a b", "a b", Start::Last(9), "a2 a3 b4");
    check(retain(9), "a", "a", Start::Last(0), "");
}

#[test]
fn a_resume_with_the_last_position_repeats_nothing_and_skips_nothing() {
    let hub = hub(retain(100));
    let positions = publish(&hub, "a b a b a", NOW);
    for (seen, position) in positions.iter().enumerate() {
        let all = ["a1", "b2", "a3", "b4", "a5"];
        let mut reader = subscribe(&hub, "a b", Start::After(*position));
        assert_eq!(read(&mut reader), all[seen + 1..].join(" "));
    }
}

#[test]
fn a_pattern_added_later_joins_at_the_cursor() {
    let hub = hub(retain(9));
    let mut reader = subscribe(&hub, "a", Start::Now);
    publish(&hub, "b a b", NOW);
    let at = reader.add(pattern("b"), None, NOW).unwrap();
    assert_eq!(at.offset, 0, "nothing was read yet");
    assert_eq!(read(&mut reader), "b1 a2 b3");
    publish(&hub, "c c", NOW);
    let at = reader.add(pattern("c"), None, NOW).unwrap();
    assert_eq!(at.offset, 5, "it was up to date");
    publish(&hub, "c", NOW);
    assert_eq!(read(&mut reader), "c6");
    assert!(reader.remove(&pattern("c")));
    assert!(!reader.remove(&pattern("c")));
    publish(&hub, "c a", NOW);
    assert_eq!(read(&mut reader), "a8");
}

#[test]
fn an_empty_subscription_begins_where_its_first_pattern_does() {
    let hub = hub(retain(9));
    publish(&hub, "a b a", NOW);
    let mut reader = hub.subscribe(SubscribeOptions::default(), NOW).unwrap();
    assert_eq!(
        reader
            .add(pattern("a"), Some(Start::Earliest), NOW)
            .unwrap()
            .offset,
        0
    );
    assert_eq!(read(&mut reader), "a1 a3");
}

#[test]
fn subscribers_at_the_same_place_share_one_batch() {
    let hub = hub(retain(100));
    for text in ["a", "*"] {
        let mut readers: Vec<_> = (0..3).map(|_| subscribe(&hub, text, Start::Now)).collect();
        publish(&hub, "a a a", NOW);
        let batches: Vec<_> = readers
            .iter_mut()
            .map(|reader| match reader.try_next(NOW, Budget::default()) {
                Some(Delivery::Batch(batch)) => batch,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(batches.iter().all(|batch| Arc::ptr_eq(batch, &batches[0])));
        assert_eq!(batches[0].events().len(), 3);
        publish(&hub, "a", NOW);
        assert!(
            readers
                .iter_mut()
                .all(|reader| read(reader).starts_with('a'))
        );
    }
}

#[test]
fn a_page_of_history_goes_on_where_it_stopped() {
    let hub = hub(retain(4));
    publish(&hub, "a a a a a", NOW);
    let budget = Budget {
        events: 3,
        ..Budget::default()
    };
    let page = |start| {
        let options = SubscribeOptions {
            patterns: patterns("a"),
            start,
            ..SubscribeOptions::default()
        };
        hub.history(options, budget, NOW).unwrap()
    };
    let first = page(after(&hub, 0));
    assert_eq!(
        first.events.iter().map(|e| e.offset()).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    assert_eq!(first.gaps.len(), 1);
    assert!(!first.up_to_date);
    let second = page(Start::After(first.next));
    assert_eq!(
        second.events.iter().map(|e| e.offset()).collect::<Vec<_>>(),
        [5]
    );
    assert!(second.gaps.is_empty() && second.up_to_date);
}

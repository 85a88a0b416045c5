//! Any sequence of operations against a naive list: what is retained is given, and only what is not lies in a gap.

use proptest::prelude::*;
use pushcore::*;

const NOW: Timestamp = Timestamp(1_000);
const TOPICS: [&str; 4] = ["a", "b", "a/x", "a/y"];
const PATTERNS: [&str; 7] = ["a", "b", "a/x", "*", "a/*", "**", "a/**"];
/// What is kept of each topic
const KEPT: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Publish(usize),
    Subscribe(Vec<usize>, usize),
    Read(usize, usize),
    Add(usize, usize),
    Remove(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..TOPICS.len()).prop_map(Op::Publish),
        1 => (prop::collection::vec(0..PATTERNS.len(), 1..4), 0..6usize).prop_map(|(p, s)| Op::Subscribe(p, s)),
        3 => (any::<prop::sample::Index>(), 1..9usize).prop_map(|(i, n)| Op::Read(i.index(8), n)),
        1 => (0..8usize, 0..PATTERNS.len()).prop_map(|(i, p)| Op::Add(i, p)),
        1 => (0..8usize, 0..PATTERNS.len()).prop_map(|(i, p)| Op::Remove(i, p)),
    ]
}

/// The log as a list, and nothing else
#[derive(Default)]
struct Naive(Vec<(u64, Topic)>);

impl Naive {
    fn retained(&self) -> Vec<&(u64, Topic)> {
        let newer = |(offset, topic): &(u64, Topic)| {
            self.0
                .iter()
                .filter(|(o, t)| t == topic && o > offset)
                .count()
        };
        self.0.iter().filter(|event| newer(event) < KEPT).collect()
    }

    /// What a reader of these patterns, each from its own place, is still to be given.
    fn ahead(&self, read: u64, patterns: &[(Pattern, u64)]) -> Vec<u64> {
        let wanted = |offset: u64, topic: &Topic| {
            patterns
                .iter()
                .any(|(p, after)| p.matches(topic) && offset > *after)
        };
        let retained = self.retained().into_iter();
        let mine = retained.filter(|(offset, topic)| *offset > read && wanted(*offset, topic));
        mine.map(|(offset, _)| *offset).collect()
    }

    fn has(&self, pattern: &Pattern, offset: u64) -> bool {
        self.retained()
            .iter()
            .any(|(o, topic)| *o == offset && pattern.matches(topic))
    }
}

struct Reader {
    subscription: Subscription,
    patterns: Vec<(Pattern, u64)>,
    read: u64,
}

fn check(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut config = HubConfig::default();
    config.retention.push(RetentionRule {
        pattern: Pattern::parse("**").expect("a pattern"),
        retention: Retention {
            max_events: Some(KEPT as u64),
            max_bytes: None,
            max_age: None,
        },
    });
    let hub = Hub::new(config, 1, NOW);
    let mut naive = Naive::default();
    let mut readers: Vec<Reader> = Vec::new();
    let pattern = |index: usize| Pattern::parse(PATTERNS[index]).expect("a pattern");
    for op in ops {
        match op {
            Op::Publish(index) => {
                let topic = Topic::parse(TOPICS[index]).expect("a topic");
                let receipts = hub.publish(vec![NewEvent::new(topic.clone(), "x")], None, NOW);
                let receipts = receipts.try_ready().ok().expect("the memory log is ready");
                naive.0.push((
                    receipts[0].as_ref().expect("it is taken").position.offset,
                    topic,
                ));
            }
            Op::Subscribe(indexes, back) => {
                let mut patterns: Vec<Pattern> = indexes.into_iter().map(pattern).collect();
                patterns.sort();
                patterns.dedup();
                let head = hub.head();
                let offset = head.offset.saturating_sub(back as u64 * 2);
                let options = SubscribeOptions {
                    patterns: patterns.clone(),
                    start: Start::After(Position {
                        offset,
                        tag: Tag::NONE,
                        ..head
                    }),
                    ..SubscribeOptions::default()
                };
                let subscription = hub.subscribe(options, NOW).expect("there is room");
                readers.push(Reader {
                    subscription,
                    patterns: patterns
                        .into_iter()
                        .map(|pattern| (pattern, offset))
                        .collect(),
                    read: offset,
                });
            }
            Op::Read(index, events) => {
                if let Some(reader) = readers.get_mut(index) {
                    read(reader, events, &naive)?;
                }
            }
            Op::Add(index, which) => {
                if let Some(reader) = readers.get_mut(index)
                    && !reader
                        .patterns
                        .iter()
                        .any(|(own, _)| *own == pattern(which))
                {
                    let at = reader
                        .subscription
                        .add(pattern(which), None, NOW)
                        .expect("there is room");
                    reader.patterns.push((pattern(which), at.offset));
                }
            }
            Op::Remove(index, which) => {
                if let Some(reader) = readers.get_mut(index) {
                    reader.subscription.remove(&pattern(which));
                    reader.patterns.retain(|(own, _)| *own != pattern(which));
                }
            }
        }
    }
    readers
        .iter_mut()
        .try_for_each(|reader| read(reader, usize::MAX, &naive))
}

/// Reads up to `count` things and compares each with the list.
fn read(reader: &mut Reader, count: usize, naive: &Naive) -> Result<(), TestCaseError> {
    let budget = Budget {
        events: count.min(5),
        ..Budget::default()
    };
    for _ in 0..count {
        let ahead = naive.ahead(reader.read, &reader.patterns);
        match reader.subscription.try_next(NOW, budget) {
            None => {
                prop_assert_eq!(ahead, Vec::<u64>::new(), "it was told there is nothing");
                return Ok(());
            }
            Some(Delivery::Batch(batch)) => {
                let given: Vec<u64> = batch.events().iter().map(|event| event.offset()).collect();
                prop_assert_eq!(
                    &given[..],
                    &ahead[..given.len()],
                    "what is retained is given, in order"
                );
                reader.read = batch.to().offset;
            }
            Some(Delivery::Gap(gap)) => {
                for offset in gap.from.offset..=gap.to.offset {
                    prop_assert!(
                        !naive.has(&gap.pattern, offset),
                        "{offset} is retained, and in {gap:?}"
                    );
                }
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_gives_what_the_list_gives(ops in prop::collection::vec(op(), 1..120)) {
        check(ops)?;
    }
}

//! Holds what a client got against what publishers were answered.

use std::collections::BTreeMap;

use super::record::{Record, Seen, offset};

/// An event as its publisher knows it.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// The position it was answered
    pub(crate) id: String,
    /// Its index among the topics
    pub(crate) topic: usize,
    pub(crate) data: String,
}

/// Everything that was published, by offset.
pub(crate) struct Oracle {
    topics: Vec<String>,
    events: BTreeMap<u64, Published>,
}

/// An announced gap.
struct Gap {
    /// Whether a topic is meant, by its index
    covers: Vec<bool>,
    from: u64,
    to: u64,
}

impl Oracle {
    pub(crate) fn new(topics: Vec<String>, published: Vec<Published>) -> Self {
        let count = published.len();
        let events: BTreeMap<u64, Published> =
            published.into_iter().map(|p| (offset(&p.id), p)).collect();
        assert_eq!(
            events.len(),
            count,
            "two publishers were answered one offset"
        );
        Self { topics, events }
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Each event of the record's patterns after its start is delivered or inside an announced gap, never both,
    /// never neither; in order, once, and as it was published; and a gap stands before what follows it.
    pub(crate) fn check(&self, record: &Record) -> Result<(), String> {
        let mut check = Check {
            oracle: self,
            wanted: self.covered_by(&record.patterns),
            cursor: record.start,
            delivered: Vec::new(),
            gaps: Vec::new(),
        };
        for (number, seen) in record.seen.iter().enumerate() {
            check.one(record, seen).map_err(|fault| {
                let before = &record.seen[number.saturating_sub(6)..=number];
                let before: Vec<String> = before.iter().map(Seen::brief).collect();
                format!("{fault}; what it got: {}", before.join(", "))
            })?;
        }
        let end = self.events.keys().next_back().copied().unwrap_or(0);
        check.skipped_up_to(end + 1)
    }

    fn covered_by(&self, patterns: &[impl AsRef<str>]) -> Vec<bool> {
        let covered = |topic: &String| patterns.iter().any(|p| matches(p.as_ref(), topic));
        self.topics.iter().map(covered).collect()
    }
}

/// The check of one record, as far as it has come.
struct Check<'a> {
    oracle: &'a Oracle,
    /// Whether the client follows a topic, by its index
    wanted: Vec<bool>,
    /// Everything up to here was told
    cursor: u64,
    /// Offsets of what was delivered, with their topics
    delivered: Vec<(u64, usize)>,
    /// Announced, and not yet wholly behind the cursor
    gaps: Vec<Gap>,
}

impl Check<'_> {
    fn one(&mut self, record: &Record, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Event { id, topic, data } => self.event(id, topic.as_deref(), data),
            Seen::Gap { pattern, .. } if !record.patterns.contains(pattern) => {
                Err(format!("a gap of {pattern}, which it does not follow"))
            }
            Seen::Gap {
                pattern,
                from,
                to,
                missed,
            } => self.gap(pattern, *from, *to, *missed),
            Seen::At(position) => self.at(*position),
            Seen::Cut(_) => Ok(()),
        }
    }

    fn event(&mut self, id: &str, topic: Option<&str>, data: &str) -> Result<(), String> {
        let at = offset(id);
        if at <= self.cursor {
            return Err(format!(
                "{at} again or late: {} was told before",
                self.cursor
            ));
        }
        let Some(published) = self.oracle.events.get(&at) else {
            return Err(format!("{at} was answered to nobody"));
        };
        let named = &self.oracle.topics[published.topic];
        if published.id != id || published.data != data || topic.is_some_and(|t| t != named) {
            return Err(format!(
                "{id} in {topic:?} is not what was published as {}",
                published.id
            ));
        }
        if !self.wanted[published.topic] {
            return Err(format!("{at} is of {named}, which it does not follow"));
        }
        self.skipped_up_to(at)?;
        if self.in_a_gap(at, published.topic) {
            return Err(format!("{at} is delivered and inside a gap"));
        }
        self.delivered.push((at, published.topic));
        self.advance(at);
        Ok(())
    }

    fn gap(
        &mut self,
        pattern: &str,
        from: u64,
        to: u64,
        missed: Option<u64>,
    ) -> Result<(), String> {
        if from > to {
            return Err(format!("a gap from {from} to {to}"));
        }
        let covers = self.oracle.covered_by(&[pattern]);
        let gap = Gap { covers, from, to };
        let delivered = self.delivered.iter().rev();
        let both = delivered
            .take_while(|(at, _)| *at >= from)
            .find(|(at, topic)| gap.holds(*at, *topic));
        if let Some((at, _)) = both {
            return Err(format!(
                "{at} was delivered and is inside the gap from {from} to {to}"
            ));
        }
        let lost = self.oracle.events.range(from..=to);
        let lost = lost.filter(|(_, p)| gap.covers[p.topic]).count() as u64;
        if missed.is_some_and(|missed| missed != lost) {
            return Err(format!(
                "a gap from {from} to {to} says {missed:?} missed, and it is {lost}"
            ));
        }
        self.gaps.push(gap);
        Ok(())
    }

    fn at(&mut self, position: u64) -> Result<(), String> {
        if position < self.cursor {
            return Err(format!("it is put back to {position} from {}", self.cursor));
        }
        self.skipped_up_to(position + 1)?;
        self.advance(position);
        Ok(())
    }

    /// What it follows between the cursor and `end` must have been announced as lost.
    fn skipped_up_to(&self, end: u64) -> Result<(), String> {
        if end <= self.cursor + 1 {
            return Ok(());
        }
        let skipped = self.oracle.events.range(self.cursor + 1..end);
        let mut skipped = skipped.filter(|(_, p)| self.wanted[p.topic]);
        match skipped.find(|(at, p)| !self.in_a_gap(**at, p.topic)) {
            None => Ok(()),
            Some((at, p)) => Err(format!(
                "{at} of {} is lost in silence, between {} and {end}",
                self.oracle.topics[p.topic], self.cursor
            )),
        }
    }

    fn in_a_gap(&self, at: u64, topic: usize) -> bool {
        self.gaps.iter().any(|gap| gap.holds(at, topic))
    }

    fn advance(&mut self, to: u64) {
        self.cursor = to;
        self.gaps.retain(|gap| gap.to > to);
    }
}

impl Gap {
    fn holds(&self, at: u64, topic: usize) -> bool {
        self.covers[topic] && (self.from..=self.to).contains(&at)
    }
}

/// Whether a topic is one of a pattern's, as the documents define it.
pub(crate) fn matches(pattern: &str, topic: &str) -> bool {
    let (mut wanted, mut segments) = (pattern.split('/'), topic.split('/'));
    loop {
        match (wanted.next(), segments.next()) {
            (Some("**"), found) => return found.is_some(),
            (Some("*"), Some(_)) => {}
            (Some(name), Some(found)) if name == found => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(at: u64, topic: usize) -> Published {
        Published {
            id: id(at),
            topic,
            data: format!("data {at}"),
        }
    }

    fn id(at: u64) -> String {
        format!("00000000000000aa-{at}-{at:08x}")
    }

    fn event(at: u64) -> Seen {
        Seen::Event {
            id: id(at),
            topic: None,
            data: format!("data {at}"),
        }
    }

    fn gap(pattern: &str, from: u64, to: u64) -> Seen {
        Seen::Gap {
            pattern: pattern.to_owned(),
            from,
            to,
            missed: None,
        }
    }

    /// Offsets 1 to 8, odd ones in `a`, even ones in `b/c`.
    fn oracle() -> Oracle {
        let events = (1..=8).map(|at| published(at, usize::from(at % 2 == 0)));
        Oracle::new(vec!["a".to_owned(), "b/c".to_owned()], events.collect())
    }

    #[track_caller]
    fn check(patterns: &[&str], seen: &[Seen], expect: Result<(), &str>) {
        let record = Record {
            patterns: patterns.iter().map(|p| (*p).to_owned()).collect(),
            start: 0,
            seen: seen.to_vec(),
        };
        match (oracle().check(&record), expect) {
            (Ok(()), Ok(())) => {}
            (Err(fault), Err(part)) => assert!(fault.contains(part), "{fault}"),
            (got, expect) => panic!("{got:?} instead of {expect:?}"),
        }
    }

    const ODD: [u64; 4] = [1, 3, 5, 7];

    #[test]
    fn a_true_record_is_true() {
        check(&["a"], &ODD.map(event), Ok(()));
        let all: Vec<Seen> = (1..=8).map(event).collect();
        check(&["**"], &all, Ok(()));
        check(&["a", "b/*"], &all, Ok(()));
        check(
            &["a"],
            &[
                event(1),
                Seen::Cut("poll"),
                Seen::At(1),
                gap("a", 2, 5),
                Seen::At(1),
                gap("a", 2, 5),
                event(7),
            ],
            Ok(()),
        );
    }

    #[test]
    fn a_lost_event_is_caught() {
        check(
            &["a"],
            &[event(1), event(5), event(7)],
            Err("3 of a is lost in silence"),
        );
        check(
            &["a"],
            &[event(1), event(3), event(5)],
            Err("7 of a is lost in silence"),
        );
        check(
            &["a"],
            &[event(1), Seen::At(4), event(5), event(7)],
            Err("3 of a is lost in silence"),
        );
    }

    #[test]
    fn a_duplicate_is_caught() {
        check(&["a"], &[1, 3, 3, 5, 7].map(event), Err("3 again or late"));
        check(
            &["a"],
            &[event(1), Seen::Cut("poll"), event(1)],
            Err("1 again or late"),
        );
    }

    #[test]
    fn a_swap_is_caught() {
        check(
            &["a"],
            &[1, 5, 3, 7].map(event),
            Err("3 of a is lost in silence"),
        );
        check(
            &["**"],
            &[2, 1].map(event),
            Err("1 of a is lost in silence"),
        );
    }

    #[test]
    fn a_gap_that_comes_late_is_caught() {
        check(
            &["a"],
            &[event(1), event(5), gap("a", 2, 4), event(7)],
            Err("3 of a is lost in silence"),
        );
    }

    #[test]
    fn a_gap_of_another_pattern_does_not_excuse() {
        check(
            &["a", "b/*"],
            &[event(1), event(2), gap("b/*", 3, 4), event(5)],
            Err("3 of a is lost in silence"),
        );
        check(&["a"], &[gap("b/*", 1, 8)], Err("which it does not follow"));
    }

    #[test]
    fn what_is_delivered_and_announced_as_lost_is_caught() {
        check(
            &["a"],
            &[event(1), gap("a", 2, 5), event(5)],
            Err("5 is delivered and inside"),
        );
        check(
            &["a"],
            &[event(1), event(3), gap("a", 2, 4)],
            Err("3 was delivered and is inside"),
        );
    }

    #[test]
    fn a_wrong_count_of_what_was_missed_is_caught() {
        let counted = |missed| Seen::Gap {
            pattern: "a".to_owned(),
            from: 2,
            to: 6,
            missed: Some(missed),
        };
        check(&["a"], &[event(1), counted(2), event(7)], Ok(()));
        check(
            &["a"],
            &[event(1), counted(3), event(7)],
            Err("and it is 2"),
        );
    }

    #[test]
    fn what_is_not_what_was_published_is_caught() {
        let changed = Seen::Event {
            id: id(1),
            topic: None,
            data: "other".to_owned(),
        };
        check(&["a"], &[changed], Err("not what was published"));
        let misplaced = Seen::Event {
            id: id(1),
            topic: Some("b/c".to_owned()),
            data: "data 1".to_owned(),
        };
        check(&["**"], &[misplaced], Err("not what was published"));
        check(&["a"], &[event(2)], Err("which it does not follow"));
        check(&["a"], &[event(9)], Err("answered to nobody"));
    }

    #[test]
    fn patterns_match_as_the_documents_say() {
        for (pattern, topic, expect) in [
            ("a", "a", true),
            ("a", "a/b", false),
            ("*", "a", true),
            ("*", "a/b", false),
            ("a/*", "a/b", true),
            ("a/*", "a", false),
            ("**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**", "a/b/c", true),
            ("*/b/**", "a/b/c", true),
            ("*/b/**", "a/c/b", false),
        ] {
            assert_eq!(matches(pattern, topic), expect, "{pattern} {topic}");
        }
    }
}

//! What a reader or a grant names: a topic, or many of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::topic::{Topic, TopicError, check_length, check_segment};

/// A topic, or a family of topics: `*` stands for exactly one segment, a final `**` for one or more
///
/// `news/*` matches `news/world` but neither `news` nor `news/world/europe`; `news/**` matches the last two of those
/// three. A `*` is a whole segment: `a*` is no pattern. Length and characters are bounded as a topic's are. A clone
/// shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Kind);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Exact(Topic),
    Wild(Arc<str>),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When a segment is neither a topic's nor a wildcard, or `**` is not the last one.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        check_length(text)?;
        let mut wild = false;
        let mut segments = text.split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "*" => wild = true,
                "**" if segments.peek().is_some() => return Err(PatternError::DeepNotLast),
                "**" => wild = true,
                _ if segment.contains('*') => return Err(PatternError::StarInSegment),
                _ => check_segment(segment)?,
            }
        }
        Ok(Pattern(if wild {
            Kind::Wild(Arc::from(text))
        } else {
            Kind::Exact(Topic::parse(text)?)
        }))
    }

    /// The pattern that matches `topic` alone.
    #[must_use]
    pub fn exact(topic: Topic) -> Pattern {
        Pattern(Kind::Exact(topic))
    }

    /// The pattern's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Exact(topic) => topic.as_str(),
            Kind::Wild(text) => text,
        }
    }

    /// The one topic it matches, if it has no wildcard.
    #[must_use]
    pub fn topic(&self) -> Option<&Topic> {
        match &self.0 {
            Kind::Exact(topic) => Some(topic),
            Kind::Wild(_) => None,
        }
    }

    /// Does `topic` belong to it?
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        match &self.0 {
            Kind::Exact(own) => own == topic,
            Kind::Wild(text) => covers(text, topic.as_str()),
        }
    }

    /// Does every topic of `other` belong to it?
    #[must_use]
    pub fn covers(&self, other: &Pattern) -> bool {
        covers(self.as_str(), other.as_str())
    }

    /// Is there a topic that belongs to both?
    #[must_use]
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let mut ours = self.as_str().split('/');
        let mut theirs = other.as_str().split('/');
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some("**"), Some(_)) | (Some(_), Some("**")) => return true,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }

    /// The part before the first wildcard, `/` included: every topic that matches begins with it.
    pub(crate) fn literal_prefix(&self) -> &str {
        let text = self.as_str();
        text.find('*').map_or(text, |star| &text[..star])
    }

    /// How closely it names its topics, for choosing among rules: fewer wildcards at the end, then more literal
    /// segments, are closer.
    pub(crate) fn specificity(&self) -> (bool, bool, usize, usize) {
        let literal = self.segments().filter(|s| !s.starts_with('*')).count();
        let deep = self.as_str() == "**" || self.as_str().ends_with("/**");
        (
            self.topic().is_some(),
            !deep,
            literal,
            self.segments().count(),
        )
    }

    pub(crate) fn segments(&self) -> std::str::Split<'_, char> {
        self.as_str().split('/')
    }
}

/// `text` covers `other` if each segment of `other`, wildcards included, fits the segment of `text` beside it.
fn covers(text: &str, other: &str) -> bool {
    if text == "**" {
        return true;
    }
    let mut ours = text.split('/');
    let mut theirs = other.split('/');
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return true,
            (Some("**"), Some(_)) => return true,
            (Some("*"), Some(b)) if b != "**" => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(text)
    }
}

impl From<Topic> for Pattern {
    fn from(topic: Topic) -> Pattern {
        Pattern::exact(topic)
    }
}

/// Why a text is not a pattern
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A segment breaks a rule for topics.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A `*` stands beside other characters of its segment.
    #[error("a `*` is a whole segment of a pattern: `*` or, at the end, `**`")]
    StarInSegment,
    /// `**` is followed by another segment.
    #[error("`**` is the last segment of a pattern")]
    DeepNotLast,
}

/// Patterns taken together, as a grant names them
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatternSet(Vec<Pattern>);

impl PatternSet {
    /// The set that holds nothing.
    #[must_use]
    pub fn none() -> PatternSet {
        PatternSet(Vec::new())
    }

    /// The set of every topic: `**`.
    #[must_use]
    pub fn all() -> PatternSet {
        PatternSet(vec![Pattern(Kind::Wild(Arc::from("**")))])
    }

    /// Does one of them match `topic`?
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        self.0.iter().any(|pattern| pattern.matches(topic))
    }

    /// Does one of them cover `pattern` by itself?
    ///
    /// Two members that cover it only together do not count: such an answer would change with an unrelated member.
    #[must_use]
    pub fn covers(&self, pattern: &Pattern) -> bool {
        self.0.iter().any(|own| own.covers(pattern))
    }

    /// Its members, in the order given.
    pub fn iter(&self) -> std::slice::Iter<'_, Pattern> {
        self.0.iter()
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it matches nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Pattern> for PatternSet {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> PatternSet {
        PatternSet(patterns.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a PatternSet {
    type Item = &'a Pattern;
    type IntoIter = std::slice::Iter<'a, Pattern>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[track_caller]
    fn check_matches(text: &str, yes: &[&str], no: &[&str]) {
        for name in yes {
            assert!(
                pattern(text).matches(&Topic::parse(name).unwrap()),
                "{text} {name}"
            );
        }
        for name in no {
            assert!(
                !pattern(text).matches(&Topic::parse(name).unwrap()),
                "{text} {name}"
            );
        }
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_one_or_more() {
        check_matches("a", &["a"], &["b", "a/b"]);
        check_matches("a/*", &["a/b"], &["a", "a/b/c", "b/b"]);
        check_matches("*/b", &["a/b", "b/b"], &["b", "a/c", "a/b/c"]);
        check_matches("a/**", &["a/b", "a/b/c"], &["a", "b/c"]);
        check_matches("*/**", &["a/b", "a/b/c"], &["a"]);
        check_matches("**", &["a", "a/b/c"], &[]);
    }

    #[test]
    fn stars_stand_alone_and_the_deep_one_stands_last() {
        assert_eq!(Pattern::parse("a*"), Err(PatternError::StarInSegment));
        assert_eq!(Pattern::parse("***"), Err(PatternError::StarInSegment));
        assert_eq!(Pattern::parse("**/a"), Err(PatternError::DeepNotLast));
        assert_eq!(
            Pattern::parse(""),
            Err(PatternError::Topic(TopicError::Empty))
        );
        assert_eq!(
            Pattern::parse("a/../b"),
            Err(PatternError::Topic(TopicError::DotSegment))
        );
    }

    #[track_caller]
    fn check_covers(wide: &str, narrow: &str, expect: bool) {
        assert_eq!(
            pattern(wide).covers(&pattern(narrow)),
            expect,
            "{wide} covers {narrow}"
        );
        if expect {
            assert!(pattern(wide).overlaps(&pattern(narrow)));
            assert!(pattern(narrow).overlaps(&pattern(wide)));
        }
    }

    #[test]
    fn a_pattern_covers_what_it_matches_whole() {
        check_covers("a", "a", true);
        check_covers("*", "a", true);
        check_covers("a", "*", false);
        check_covers("*", "**", false);
        check_covers("**", "*", true);
        check_covers("**", "**", true);
        check_covers("a/**", "a/*/**", true);
        check_covers("*/**", "**", false);
        check_covers("a/*", "a/b/c", false);
        check_covers("a/**", "a", false);
    }

    #[test]
    fn overlapping_patterns_share_a_topic() {
        assert!(pattern("a/*").overlaps(&pattern("*/b")));
        assert!(!pattern("a/*").overlaps(&pattern("b/*")));
        assert!(!pattern("a").overlaps(&pattern("a/**")));
        assert!(pattern("a/**").overlaps(&pattern("*/b/c")));
    }
}

//! Which of many patterns match a topic: a walk over its segments, not a scan over the patterns.

use std::collections::HashMap;

use crate::pattern::Pattern;

/// Patterns by their segments
///
/// Finding those that match costs at most 2 steps at each segment for every wildcard passed on the way, whatever the
/// number of patterns.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, Node>,
    star: Option<Box<Node>>,
    /// The pattern that ends here
    here: Option<u32>,
    /// The pattern that goes on with `**`
    deep: Option<u32>,
}

impl Trie {
    /// Puts a pattern in.
    pub(crate) fn insert(&mut self, pattern: &Pattern, id: u32) {
        let mut node = &mut self.root;
        for segment in pattern.segments() {
            node = match segment {
                "**" => {
                    node.deep = Some(id);
                    return;
                }
                "*" => node.star.get_or_insert_default(),
                // `entry` would copy the segment even where it is known.
                _ if node.literal.contains_key(segment) => {
                    node.literal.get_mut(segment).expect("it is there")
                }
                _ => node.literal.entry(Box::from(segment)).or_default(),
            };
        }
        node.here = Some(id);
    }

    /// Takes a pattern out, and the nodes that only it needed.
    pub(crate) fn remove(&mut self, pattern: &Pattern) {
        let segments: Vec<&str> = pattern.segments().collect();
        self.root.remove(&segments);
    }

    /// Calls `found` with every pattern that matches the topic called `name`.
    pub(crate) fn find(&self, name: &str, found: &mut impl FnMut(u32)) {
        self.root.find(Some(name), found);
    }
}

impl Node {
    fn find(&self, rest: Option<&str>, found: &mut impl FnMut(u32)) {
        let Some(rest) = rest else {
            self.here.into_iter().for_each(found);
            return;
        };
        self.deep.into_iter().for_each(&mut *found);
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        if let Some(next) = self.literal.get(segment) {
            next.find(rest, found);
        }
        if let Some(next) = &self.star {
            next.find(rest, found);
        }
    }

    fn remove(&mut self, segments: &[&str]) {
        let Some((&segment, rest)) = segments.split_first() else {
            self.here = None;
            return;
        };
        match segment {
            "**" => self.deep = None,
            "*" => {
                if let Some(next) = &mut self.star {
                    next.remove(rest);
                    if next.is_empty() {
                        self.star = None;
                    }
                }
            }
            _ => {
                if let Some(next) = self.literal.get_mut(segment) {
                    next.remove(rest);
                    if next.is_empty() {
                        self.literal.remove(segment);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.star.is_none() && self.here.is_none() && self.deep.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Topic;

    #[test]
    fn the_walk_finds_what_a_scan_finds() {
        let segments = ["a", "b", "*", "**"];
        let mut patterns = Vec::new();
        for first in segments {
            patterns.extend(Pattern::parse(first));
            for second in segments {
                patterns.extend(Pattern::parse(&format!("{first}/{second}")));
                for third in segments {
                    patterns.extend(Pattern::parse(&format!("{first}/{second}/{third}")));
                }
            }
        }
        let mut trie = Trie::default();
        for (id, pattern) in patterns.iter().enumerate() {
            trie.insert(pattern, id as u32);
        }
        for kept in (0..patterns.len()).rev() {
            for name in [
                "a", "b", "c", "a/b", "b/a", "c/c", "a/b/a", "b/b/c", "a/b/c/d",
            ] {
                let topic = Topic::parse(name).unwrap();
                let mut found = Vec::new();
                trie.find(name, &mut |id| found.push(id as usize));
                found.sort_unstable();
                let expect: Vec<_> = (0..=kept)
                    .filter(|&id| patterns[id].matches(&topic))
                    .collect();
                assert_eq!(found, expect, "{name}");
            }
            trie.remove(&patterns[kept]);
        }
        assert!(trie.root.is_empty());
    }
}

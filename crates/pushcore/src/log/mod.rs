//! The log: the events of all topics in one order, indexed by topic, within bounds.

mod forgotten;
pub(crate) mod past;
mod retain;
mod saved;
pub(crate) mod topic;
pub(crate) mod wildcard;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use crate::config::{HubConfig, Retention};
use crate::delivery::Batch;
use crate::event::{Content, Event, Header, Place, Record};
use crate::forms::FormCache;
use crate::order::Order;
use crate::pattern::Pattern;
use crate::position::{Epoch, Position, Tag};
use crate::random::{NameKey, Random};
use crate::readers::Readers;
use crate::timestamp::Timestamp;
use crate::topic::Topic;
use crate::trie::Trie;
use forgotten::Forgotten;
pub(crate) use saved::{SavedEvent, SavedLog, SavedTopic};
use topic::TopicLog;
use wildcard::{Entry, Wildcard};

/// The events of all topics in one order
pub(crate) struct Log {
    pub(crate) epoch: Epoch,
    /// The newest entry
    pub(crate) head: u64,
    pub(crate) head_tag: Tag,
    /// When it was published
    pub(crate) head_time: Timestamp,
    pub(crate) topics: Slab<TopicLog>,
    by_name: HashMap<Topic, u32, NameKey>,
    /// The one that was published to last; it may be gone, or another may have its number
    last_topic: u32,
    /// The same in the order of their names, for pages and for finding those of a wildcard
    pub(crate) in_order: BTreeMap<Topic, u32>,
    /// Rules, the most specific first; the last one is for all other topics
    rules: Vec<Rule>,
    /// Ends in the order of their times: (when, offset, topic)
    ends: VecDeque<(Timestamp, u64, u32)>,
    pub(crate) wildcards: Slab<Wildcard>,
    by_pattern: HashMap<Pattern, u32>,
    trie: Trie,
    /// Counts changes of `trie`, so that topics know whether their list of wildcards is good
    wildcards_version: u64,
    /// What the topics that were forgotten had lost
    pub(crate) forgotten: Forgotten,
    /// Whose offsets this log goes on from, the oldest first; the last one is its own life
    pub(crate) lives: Vec<Life>,
    /// What events, ends, indexes and topics without readers cost
    pub(crate) bytes: usize,
    pub(crate) events: usize,
    pub(crate) evicted: u64,
    pub(crate) forms: Arc<FormCache>,
    pub(crate) config: Arc<HubConfig>,
    /// Whether a store has more than is here
    pub(crate) reads_back: bool,
    /// The newest entries that a store has told, retained or not
    told: VecDeque<(u64, Tag)>,
    /// How often it began again, so that what was asked of the store before is not taken for an answer
    pub(crate) lives_begun: u64,
    /// What `bytes` may grow to: the ceiling without the part of the encodings
    max_bytes: usize,
    /// Room for a cursor's heads while it reads
    pub(crate) scratch: Vec<past::Head>,
    /// Room for the events it is given
    pub(crate) scratch_events: Vec<Arc<Event>>,
    /// The last batch of one event that was given to one reader alone, kept for its memory as long as its event is retained
    pub(crate) spare: Option<Arc<Batch>>,
    /// Nothing is due for [`expire`](Log::expire) before that moment
    due: Timestamp,
}

/// A process in which the log was written, from its restoration to the next
///
/// The tag of an event is a function of its life's key and its offset, so that any position can be checked, however long its
/// event has been gone: a position from a life whose end was lost does not fit the keys of the lives that came instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// The head it began with
    pub(crate) after: u64,
    pub(crate) key: u64,
}

/// A retention rule and the events it governs
struct Rule {
    pattern: Option<Pattern>,
    /// Without a bound, more than there can be
    max_events: u64,
    max_bytes: u64,
    max_age: Option<Duration>,
    order: Order,
}

impl Rule {
    fn new(pattern: Option<Pattern>, retention: Retention) -> Rule {
        Rule {
            pattern,
            max_events: retention.max_events.unwrap_or(u64::MAX),
            max_bytes: retention.max_bytes.unwrap_or(u64::MAX),
            max_age: retention.max_age,
            order: Order::default(),
        }
    }
}

/// Which events a reading reads
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    Topic(u32),
    Wildcard(u32),
}

/// What an event costs beside its body: itself and its counts (96), its entries in its topic's index (8, up to twice that
/// because the index grows by doubling) and in the order (8), and the allocator's header (8)
pub(crate) const EVENT_OVERHEAD: usize = size_of::<Event>() + 16 + 16 + 8 + 8;
// The lock of a test is larger, because it may be a scheduler's.
#[cfg(not(test))]
const _: () = assert!(EVENT_OVERHEAD <= 128);

/// Most entries of a store whose tags are kept whether they are retained or not, 16 bytes each: a store that was rewound
/// by no more than that under the same epoch is noticed
const MAX_TOLD: usize = 1024;

/// What an entry of a wildcard's index costs, with the room it grows by
pub(crate) const WILDCARD_ENTRY: usize = 2 * size_of::<Entry>();

/// What a topic costs beside its name and its events: itself, its header and its places in two maps
pub(crate) const TOPIC_OVERHEAD: usize = size_of::<TopicLog>() + size_of::<Header>() + 16 + 2 * 48;

/// What a key costs in a topic's index of newest keys, beside its text
pub(crate) const KEY_OVERHEAD: usize = 64;

impl Log {
    pub(crate) fn new(
        config: Arc<HubConfig>,
        epoch: Epoch,
        key: u64,
        forms: Arc<FormCache>,
        now: Timestamp,
    ) -> Log {
        let mut rules: Vec<Rule> = config
            .retention
            .iter()
            .map(|rule| Rule::new(Some(rule.pattern.clone()), rule.retention))
            .collect();
        rules
            .sort_by_key(|rule| std::cmp::Reverse(rule.pattern.as_ref().map(Pattern::specificity)));
        rules.push(Rule::new(None, Retention::default()));
        Log {
            epoch,
            head: 0,
            head_tag: Tag::NONE,
            head_time: now,
            topics: Slab::new(),
            by_name: HashMap::default(),
            last_topic: 0,
            in_order: BTreeMap::new(),
            rules,
            ends: VecDeque::new(),
            wildcards: Slab::new(),
            by_pattern: HashMap::new(),
            trie: Trie::default(),
            wildcards_version: 1,
            forgotten: Forgotten::default(),
            lives: vec![Life { after: 0, key }],
            bytes: 0,
            events: 0,
            evicted: 0,
            forms,
            reads_back: false,
            told: VecDeque::new(),
            lives_begun: 0,
            max_bytes: config.max_bytes - config.max_form_bytes,
            config,
            scratch: Vec::new(),
            scratch_events: Vec::new(),
            spare: None,
            due: Timestamp(0),
        }
    }

    /// The position of the newest entry.
    pub(crate) fn head(&self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.head,
            tag: self.head_tag,
        }
    }

    /// The position of `offset`, with its tag.
    pub(crate) fn position(&self, offset: u64) -> Position {
        Position {
            epoch: self.epoch,
            offset,
            tag: self.tag(offset),
        }
    }

    /// The tag of the event at `offset`, gone or not; none where it is not known.
    pub(crate) fn tag(&self, offset: u64) -> Tag {
        if offset == self.head {
            return self.head_tag;
        }
        match self.lives.iter().rev().find(|life| life.after < offset) {
            Some(life) => Tag(Random::tag(life.key, offset)),
            None => match self.told.binary_search_by_key(&offset, |told| told.0) {
                Ok(index) => self.told[index].1,
                Err(_) => self.find(offset).map_or(Tag::NONE, |event| event.tag()),
            },
        }
    }

    /// Where the next event of this log goes.
    pub(crate) fn next_place(&self) -> (u64, Tag) {
        let offset = self.head + 1;
        let life = self
            .lives
            .last()
            .expect("a log that numbers its events has a life");
        (offset, Tag(Random::tag(life.key, offset)))
    }

    /// A position of this log's epoch that names no event.
    pub(crate) fn place(&self, offset: u64) -> Position {
        Position {
            epoch: self.epoch,
            offset,
            tag: Tag::NONE,
        }
    }

    /// The event at `offset`, of whatever topic: binary searches.
    pub(crate) fn find(&self, offset: u64) -> Option<&Arc<Event>> {
        let topic = self
            .rules
            .iter()
            .find_map(|rule| rule.order.topic_of(offset))?;
        self.topics.get(topic as usize)?.find(offset)
    }

    /// The topic called so, if the log remembers it.
    #[inline]
    pub(crate) fn topic(&self, topic: &Topic) -> Option<u32> {
        // Many events in a row go to one topic.
        let last = self.topics.get(self.last_topic as usize);
        if last.is_some_and(|last| last.header.topic.is(topic)) {
            return Some(self.last_topic);
        }
        self.by_name.get(topic).copied()
    }

    /// The topic called so, made if need be.
    pub(crate) fn topic_or_new(&mut self, topic: &Topic) -> u32 {
        if let Some(id) = self.topic(topic) {
            return id;
        }
        let matches = |rule: &Rule| rule.pattern.as_ref().is_none_or(|p| p.matches(topic));
        let rule = self
            .rules
            .iter()
            .position(matches)
            .expect("the last rule matches everything");
        let header = Arc::new(Header {
            topic: topic.clone(),
            epoch: self.epoch,
            forms: self.forms.clone(),
        });
        let rule = u32::try_from(rule).expect("rules are written by people");
        let new = TopicLog::new(header, rule, self.head, self.forgotten.of(topic));
        self.bytes += cost_of_topic(topic);
        let id =
            u32::try_from(self.topics.insert(new)).expect("topics cost memory, which is bounded");
        self.by_name.insert(topic.clone(), id);
        self.in_order.insert(topic.clone(), id);
        id
    }

    /// Appends an entry and lets go of what retention takes for it; the caller has checked that the topic goes on, and
    /// wakes the readers.
    #[inline]
    pub(crate) fn append(
        &mut self,
        topic: u32,
        content: Content,
        record: Record,
        (offset, tag): (u64, Tag),
        now: Timestamp,
    ) {
        // Room is made first, so that the new event may lie where an old one lay.
        let old = match record {
            Record::Event => self.make_room(topic, 1, content.len()),
            Record::Ended | Record::Deleted => None,
        };
        self.last_topic = topic;
        self.head_time = self.head_time.max(now);
        self.head = offset;
        self.head_tag = tag;
        self.refresh_wildcards(topic);
        let state = &mut self.topics[topic as usize];
        let place = Place {
            offset,
            tag,
            previous: state.last.map_or(0, |(offset, _)| offset),
            time: self.head_time,
        };
        let body_len = content.len();
        let event = content.into_entry(&state.header, &place, record, old);
        let entry = Entry {
            offset,
            topic,
            seq: low_half(state.next_seq()),
        };
        self.bytes += EVENT_OVERHEAD + body_len;
        if record == Record::Event {
            state.bytes += body_len as u64;
            state.last = Some((offset, tag));
            self.events += 1;
            let rule = &mut self.rules[state.rule as usize];
            if rule.order.len() == 0
                && let Some(age) = rule.max_age
            {
                // Of what lies before it in the order, the first one is due earlier.
                self.due = self.due.min(self.head_time.saturating_add(age));
            }
            rule.order.push(offset, topic);
            if let Some(keys) = &mut state.keys
                && let Some(key) = event.key()
                && keys.insert(Box::from(key), offset).is_none()
            {
                self.bytes += KEY_OVERHEAD + key.len();
            }
        } else {
            state.ended = Some(record);
            self.ends.push_back((self.head_time, offset, topic));
            let forgotten = self.head_time.saturating_add(self.config.end_ttl);
            self.due = self.due.min(forgotten);
        }
        state.events.push_back(event);
        for &wildcard in &state.wildcards {
            self.wildcards[wildcard as usize].entries.push_back(entry);
            self.bytes += WILDCARD_ENTRY;
        }
        self.fit();
    }

    /// The readers of a feed.
    #[inline]
    pub(crate) fn readers(&mut self, feed: Feed) -> &mut Readers {
        match feed {
            Feed::Topic(id) => self.topics[id as usize]
                .readers
                .as_deref_mut()
                .expect("a topic that is read has readers"),
            Feed::Wildcard(id) => &mut self.wildcards[id as usize].readers,
        }
    }

    /// The same, to look at.
    pub(crate) fn readers_of(&self, feed: Feed) -> &Readers {
        match feed {
            Feed::Topic(id) => self.topics[id as usize]
                .readers
                .as_deref()
                .expect("a topic that is read has readers"),
            Feed::Wildcard(id) => &self.wildcards[id as usize].readers,
        }
    }

    /// Counts one more reader of `pattern`, whose cursor stands at `from` or later; makes the feed if need be.
    pub(crate) fn join(&mut self, pattern: &Pattern, from: u64) -> Feed {
        if let Some(topic) = pattern.topic() {
            let id = self.topic_or_new(topic);
            let state = &mut self.topics[id as usize];
            if state.readers.is_none() {
                self.bytes -= cost_of_topic(topic);
            }
            state.readers.get_or_insert_default().count += 1;
            return Feed::Topic(id);
        }
        let id = match self.by_pattern.get(pattern) {
            Some(&id) => id,
            None => {
                let new = Wildcard::new(pattern.clone(), self.head);
                let id = u32::try_from(self.wildcards.insert(new)).expect("wildcards are bounded");
                self.by_pattern.insert(pattern.clone(), id);
                self.trie.insert(pattern, id);
                self.wildcards_version += 1;
                id
            }
        };
        self.wildcards[id as usize].readers.count += 1;
        self.reach_back(id, from);
        Feed::Wildcard(id)
    }

    /// Counts one reader less; a feed without readers goes.
    pub(crate) fn leave(&mut self, feed: Feed) {
        let readers = self.readers(feed);
        readers.count -= 1;
        if readers.count == 1 {
            readers.memo = None;
        }
        if readers.count > 0 {
            return;
        }
        match feed {
            Feed::Topic(id) => {
                let state = &mut self.topics[id as usize];
                state.readers = None;
                self.bytes += cost_of_topic(&state.header.topic);
                self.forget_keys(id);
                self.forget_if_idle(id);
            }
            Feed::Wildcard(id) => {
                let gone = self.wildcards.remove(id as usize);
                self.bytes -= gone.entries.len() * WILDCARD_ENTRY;
                self.by_pattern.remove(&gone.pattern);
                self.trie.remove(&gone.pattern);
                self.wildcards_version += 1;
            }
        }
    }

    /// Whether a subscription to `pattern` would need one more wildcard than there are.
    pub(crate) fn is_new_wildcard(&self, pattern: &Pattern) -> bool {
        pattern.topic().is_none() && !self.by_pattern.contains_key(pattern)
    }

    /// The event of a wildcard's entry, unless it is gone.
    pub(crate) fn event(&self, entry: Entry) -> Option<&Arc<Event>> {
        let state = self.topics.get(entry.topic as usize)?;
        let index = entry.seq.wrapping_sub(low_half(state.first_seq));
        let event = state.events.get(index as usize)?;
        (event.offset() == entry.offset).then_some(event)
    }

    /// The wildcards that match a topic, known or not.
    pub(crate) fn wildcards_of(&self, topic: &Topic) -> Vec<u32> {
        let mut found = Vec::new();
        self.trie.find(topic.as_str(), &mut |id| found.push(id));
        found
    }

    /// Brings a topic's list of wildcards up to date, by a walk over its segments if any wildcard came or went.
    #[inline]
    pub(crate) fn refresh_wildcards(&mut self, topic: u32) {
        if self.topics[topic as usize].wildcards_version != self.wildcards_version {
            self.find_wildcards(topic);
        }
    }

    #[inline(never)]
    fn find_wildcards(&mut self, topic: u32) {
        let state = &mut self.topics[topic as usize];
        state.wildcards_version = self.wildcards_version;
        state.wildcards.clear();
        let found = &mut |id| state.wildcards.push(id);
        self.trie.find(state.header.topic.as_str(), found);
    }
}

pub(crate) fn low_half(seq: u64) -> u32 {
    (seq & u64::from(u32::MAX)) as u32
}

fn cost_of_topic(topic: &Topic) -> usize {
    TOPIC_OVERHEAD + topic.as_str().len()
}

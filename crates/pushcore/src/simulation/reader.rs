//! The readers of a world: they come, read, wait, are cut and come back, and change what they read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::oracle::Account;
use super::scenery::{self, one_more_pattern};
use super::shared::known_to;
use super::world::{Scale, World};
use crate::call::Notify;
use crate::config::LagPolicy;
use crate::delivery::{Budget, CloseReason, Delivery, EndReason, GapReason};
use crate::grant::Grant;
use crate::pattern::Pattern;
use crate::position::Position;
use crate::random::Random;
use crate::subscribe::{Start, SubscribeError, SubscribeOptions};
use crate::subscription::Subscription;
use crate::timestamp::Timestamp;

/// A client: it keeps its position while it is away
pub(super) struct Reader {
    patterns: Vec<Pattern>,
    lag: LagPolicy,
    pub(super) stream: Option<Stream>,
    pub(super) position: Option<Position>,
    /// Up to where the log it was given its position by is the same as the present one
    pub(super) common: u64,
}

pub(super) struct Stream {
    subscription: Subscription,
    /// Whose it is
    pub(super) hub: usize,
    pub(super) account: Account,
    waker: Arc<Flag>,
    /// Whether it waits for its waker
    parked: bool,
    expires: Option<Timestamp>,
    /// Up to where what it has been told by now belongs to the present log
    pub(super) common: u64,
    /// How many of its hub's joins and leaves it knows of, if it is to hear of them
    heard: Option<usize>,
}

pub(super) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Whoever is told by number which of its readers have something to read, each by the flag that its waker would set
#[derive(Default)]
pub(super) struct Bells(Mutex<BTreeMap<u32, Arc<Flag>>>);

impl Notify for Bells {
    fn notify(&self, keys: &[u32]) {
        let flags = self.0.lock().expect("nobody panics here");
        for key in keys {
            flags[key].0.store(true, Ordering::SeqCst);
        }
    }
}

impl Reader {
    pub(super) fn new(random: &mut Random, scale: Scale) -> Reader {
        Reader {
            patterns: scenery::patterns(random, scale),
            lag: scenery::lag(random),
            stream: None,
            position: None,
            common: u64::MAX,
        }
    }

    pub(super) fn cut(&mut self) {
        self.stream = None;
    }

    pub(super) fn is_reading_back(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.subscription.is_reading_back())
    }

    /// Keeps a position, given by the log of now.
    fn keep(&mut self, position: Position) {
        self.position = Some(position);
        self.common = u64::MAX;
    }
}

impl World {
    /// A reader comes, or is polled if it was woken.
    pub(super) fn visit(&mut self) -> Result<(), String> {
        let reader = self.any_reader();
        if self.readers[reader].stream.is_none() {
            self.connect(reader)?;
        }
        let polls = 1 + (self.random.next() % 4) as usize;
        self.read(reader, polls)
    }

    pub(super) fn connect(&mut self, index: usize) -> Result<(), String> {
        let known = |position: &Position| {
            position.offset <= self.readers[index].common || !self.is_beyond_telling(*position)
        };
        self.readers[index].position = self.readers[index].position.filter(known);
        let reader = &self.readers[index];
        let start = match reader.position {
            Some(position) => Start::After(position),
            None => match self.random.next() % 5 {
                0 => Start::Earliest,
                1 => Start::Last(self.random.next() % 5),
                2 => Start::Since(Timestamp(self.now.0 - self.random.next() % 50)),
                _ => Start::Now,
            },
        };
        let expires = self
            .random
            .next()
            .is_multiple_of(4)
            .then(|| Timestamp(self.now.0 + 1 + self.random.next() % 60));
        let grant = expires.map(|_| Grant {
            expires,
            ..Grant::all()
        });
        let hub = self.any_hub();
        let presence = self.random.next().is_multiple_of(4);
        let heard = presence.then(|| self.people[hub].heard_all());
        let reader = &mut self.readers[index];
        let options = SubscribeOptions {
            patterns: reader.patterns.clone(),
            start,
            lag: reader.lag,
            grant: grant.map(Arc::new),
            presence,
        };
        let mut subscription = self.hubs[hub]
            .subscribe(options, self.now)
            .map_err(|e| e.to_string())?;
        let waker = Arc::new(Flag(AtomicBool::new(false)));
        if self.random.next().is_multiple_of(3) {
            let key = index as u32;
            self.bells
                .0
                .lock()
                .expect("nobody panics here")
                .insert(key, waker.clone());
            let owner: Arc<dyn Notify> = self.bells.clone();
            subscription.notify(&owner, key);
        }
        let at = subscription.position();
        let line = format!("connect {index} {:?} {start:?} at {at}", reader.patterns);
        let foreign = match reader.position {
            Some(position) if position.epoch != self.published.epoch => Some(GapReason::Epoch),
            Some(position) if position.offset > reader.common => Some(GapReason::Rewound),
            _ => None,
        };
        if let Some(position) = reader.position.filter(|position| *position != at) {
            return Err(format!("{position} was resumed at {at}"));
        }
        let mut account = Account::default();
        let after = if foreign.is_some() { 0 } else { at.offset };
        for pattern in &reader.patterns {
            account.read(pattern, after, foreign, &mut self.published);
        }
        if reader.position.is_none() {
            reader.keep(at);
        }
        reader.stream = Some(Stream {
            subscription,
            hub,
            account,
            waker,
            parked: false,
            expires,
            common: reader.common,
            heard,
        });
        self.log(format_args!("{line}"));
        Ok(())
    }

    /// Polls a reader as its task would: while it has something, and then only once it was woken.
    pub(super) fn read(&mut self, index: usize, polls: usize) -> Result<(), String> {
        let budget = Budget {
            events: [1, 4, 256][(self.random.next() % 3) as usize],
            bytes: [30, 10_000][(self.random.next() % 2) as usize],
        };
        for _ in 0..polls {
            let Some(stream) = &mut self.readers[index].stream else {
                return Ok(());
            };
            if stream.parked && !stream.waker.0.swap(false, Ordering::SeqCst) {
                return self.check_parked(index);
            }
            stream.parked = false;
            let waker = Waker::from(stream.waker.clone());
            let told = stream
                .subscription
                .poll(&mut Context::from_waker(&waker), self.now, budget);
            stream.parked = told.is_pending() || stream.subscription.is_caught_up();
            match told {
                Poll::Pending if stream.subscription.is_reading_back() => {}
                Poll::Pending => {
                    let known = known_to(&self.shared, stream.hub);
                    stream.account.skipped_before(known, &self.published)?;
                    if let Some(heard) = &mut stream.heard {
                        self.people[stream.hub].heard_everything(heard, &stream.account)?;
                    }
                    return Ok(());
                }
                Poll::Ready(delivery) => self.tell(index, delivery)?,
            }
        }
        Ok(())
    }

    fn tell(&mut self, index: usize, delivery: Delivery) -> Result<(), String> {
        let now = self.now;
        self.log(format_args!("{now} told {index} {delivery:?}"));
        let reader = &mut self.readers[index];
        let stream = reader.stream.as_mut().expect("it was polled");
        let before = reader.position;
        match delivery {
            Delivery::Batch(batch) => {
                if stream.expires.is_some_and(|at| at <= self.now) {
                    return Err(format!("{batch:?} was given after the grant ran out"));
                }
                for event in batch.events() {
                    stream.account.event(event, &self.published)?;
                }
                self.totals.delivered += batch.events().len() as u64;
                let position = stream.subscription.position();
                if position != batch.to() {
                    return Err(format!("the cursor stands at {position} after {batch:?}"));
                }
                stream.common = u64::MAX;
                reader.keep(position);
                return Ok(());
            }
            Delivery::Gap(gap) => {
                self.totals.gaps += 1;
                stream.account.gap(&gap, &self.published)?;
                let most = match gap.reason {
                    GapReason::Epoch => 0,
                    GapReason::Rewound => std::mem::replace(&mut stream.common, u64::MAX),
                    _ => u64::MAX,
                };
                if gap.to.offset > most {
                    return Err(format!("{gap:?}, and {most} was common"));
                }
            }
            Delivery::End(end) if end.reason != EndReason::Revoked => {
                stream
                    .account
                    .skipped_before(end.at.offset, &self.published)?;
                stream.account.leave(&end.pattern);
            }
            Delivery::Presence(change) => {
                let heard = stream.heard.as_mut().ok_or("it did not ask who is there")?;
                self.people[stream.hub].told(heard, &change, &stream.account)?;
            }
            Delivery::PresenceMissed => {
                let heard = stream.heard.as_mut().ok_or("it did not ask who is there")?;
                let kept = self.config.max_presence_changes;
                self.people[stream.hub].missed(heard, kept)?;
            }
            Delivery::Closed(CloseReason::Expired)
                if stream.expires.is_none_or(|at| at > self.now) =>
            {
                return Err("closed as expired before its time".to_owned());
            }
            Delivery::Closed(_) => {
                reader.stream = None;
                return Ok(());
            }
            _ => {}
        }
        match before {
            Some(before) if before != stream.subscription.position() => {
                Err("something else than an event moved the cursor".into())
            }
            _ => Ok(()),
        }
    }

    /// A reader that waits and was not woken has nothing to be told.
    pub(super) fn check_parked(&mut self, index: usize) -> Result<(), String> {
        let Some(stream) = &mut self.readers[index].stream else {
            return Ok(());
        };
        let expired = stream.expires.is_some_and(|at| at <= self.now);
        let waits_for_store = stream.subscription.is_reading_back();
        if !stream.parked || stream.waker.0.load(Ordering::SeqCst) || expired || waits_for_store {
            return Ok(());
        }
        let known = known_to(&self.shared, stream.hub);
        let mut told = stream.account.skipped_before(known, &self.published);
        if let Some(mut heard) = stream.heard {
            told = told.and(self.people[stream.hub].heard_everything(&mut heard, &stream.account));
        }
        let cursor = {
            let core = self.hubs[stream.hub].lock();
            format!(
                "{:?} in a log up to {}",
                core.cursors[stream.subscription.id().0 as usize],
                core.log.head
            )
        };
        told.map_err(|e| format!("nobody woke {index} at hub {}: {e}; {cursor}", stream.hub))
    }

    pub(super) fn change_patterns(&mut self) -> Result<(), String> {
        let index = self.any_reader();
        let pattern = one_more_pattern(&mut self.random, self.scale);
        let reader = &mut self.readers[index];
        let Some(stream) = &mut reader.stream else {
            return Ok(());
        };
        if reader.patterns.contains(&pattern) {
            if reader.patterns.len() > 1 {
                reader.patterns.retain(|own| *own != pattern);
                stream.subscription.remove(&pattern);
                stream.account.leave(&pattern);
            }
            return Ok(());
        }
        if stream.expires.is_some_and(|at| at <= self.now)
            || stream.subscription.patterns().is_empty()
        {
            return Ok(());
        }
        let at = match stream.subscription.add(pattern.clone(), None, self.now) {
            Ok(at) => at,
            Err(SubscribeError::Forbidden { .. }) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        stream.parked = false;
        stream
            .account
            .read(&pattern, at.offset, None, &mut self.published);
        reader.patterns.push(pattern.clone());
        self.log(format_args!("{index} adds {pattern} at {at}"));
        Ok(())
    }

    /// A grant is renewed, and may have shrunk.
    pub(super) fn change_grant(&mut self) -> Result<(), String> {
        let index = self.any_reader();
        let keeps = self.random.next();
        let until = self.now.0 + 1 + self.random.next() % 60;
        let reader = &mut self.readers[index];
        let Some(stream) = &mut reader.stream else {
            return Ok(());
        };
        let kept =
            |(index, _): &(usize, &Pattern)| *index == 0 || !(keeps >> index).is_multiple_of(4);
        let (kept, gone): (Vec<_>, Vec<_>) = reader.patterns.iter().enumerate().partition(kept);
        let grant = Grant {
            subscribe: kept.iter().map(|(_, pattern)| (*pattern).clone()).collect(),
            expires: Some(Timestamp(until)),
            ..Grant::default()
        };
        let covers = grant.subscribe.clone();
        if stream
            .subscription
            .regrant(Arc::new(grant), self.now)
            .is_err()
        {
            return Ok(());
        }
        stream.expires = Some(Timestamp(until));
        stream.parked = false;
        for (_, pattern) in gone {
            if !covers.covers(pattern) {
                stream.account.leave(pattern);
            }
        }
        reader.patterns = reader
            .patterns
            .iter()
            .filter(|pattern| covers.covers(pattern))
            .cloned()
            .collect();
        Ok(())
    }

    /// A client that polls: one page, from where it was.
    pub(super) fn history(&mut self) -> Result<(), String> {
        let (index, hub) = (self.any_reader(), self.any_hub());
        let reader = &mut self.readers[index];
        let (None, Some(position)) = (&reader.stream, reader.position) else {
            return Ok(());
        };
        if position.epoch != self.published.epoch || position.offset > reader.common {
            return Ok(());
        }
        let options = SubscribeOptions {
            patterns: reader.patterns.clone(),
            start: Start::After(position),
            ..SubscribeOptions::default()
        };
        let page = self.hubs[hub]
            .history(
                options,
                Budget {
                    events: 5,
                    bytes: 500,
                },
                self.now,
            )
            .map_err(|e| e.to_string())?;
        let mut account = Account::default();
        for pattern in &reader.patterns {
            account.read(pattern, position.offset, None, &mut self.published);
        }
        let mut gaps = page.gaps.iter().peekable();
        for event in &page.events {
            while let Some(gap) = gaps.next_if(|gap| gap.to.offset < event.offset()) {
                account.gap(gap, &self.published)?;
            }
            account.event(event, &self.published)?;
        }
        gaps.try_for_each(|gap| account.gap(gap, &self.published))?;
        if page.up_to_date {
            account.skipped_before(known_to(&self.shared, hub), &self.published)?;
        }
        self.totals.delivered += page.events.len() as u64;
        reader.keep(page.next);
        Ok(())
    }
}

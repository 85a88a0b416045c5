//! Worlds of several hubs over one store, which is slow, fails and loses its tail.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::people::People;
use super::store::{Follower, Nasty, Told, now};
use super::world::World;
use crate::delivery::GapReason;
use crate::event::NewEvent;
use crate::hub::Hub;
use crate::position::{Position, Tag};
use crate::publish::{Publish, PublishError, Receipt, Receipts};
use crate::store::{StoredEntry, StoredEvent};
use crate::topic::Topic;

/// What several hubs have in common
pub(super) struct Shared {
    store: Arc<Nasty>,
    /// Hears of everything that is committed, at once: what the oracle goes by
    ledger: Arc<Follower>,
    /// How each hub is told
    followers: Vec<Arc<Follower>>,
    /// The newest offset that each hub was told of
    known: Vec<u64>,
    in_flight: Vec<InFlight>,
    /// Published, and the answer was lost
    unanswered: Option<NewEvent>,
}

/// A publish that was not answered yet
struct InFlight {
    answers: Publish,
    batch: Vec<NewEvent>,
    /// The life of the log it began in
    life: u64,
}

const MAX_IN_FLIGHT: usize = 6;

impl Shared {
    pub(super) fn new(seed: u64, kept: usize) -> Shared {
        let store = Arc::new(Nasty::new(seed, kept));
        Shared {
            ledger: store.ledger(),
            store,
            followers: Vec::new(),
            known: Vec::new(),
            in_flight: Vec::new(),
            unanswered: None,
        }
    }
}

/// Below this offset a hub knows everything; a hub with its log in memory knows all there is.
pub(super) fn known_to(shared: &Option<Shared>, hub: usize) -> u64 {
    shared
        .as_ref()
        .map_or(u64::MAX, |shared| shared.known[hub] + 1)
}

impl World {
    /// Can nobody tell any more which life of the store this position is of? Then its reader begins anew.
    pub(super) fn is_beyond_telling(&self, position: Position) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|shared| position.offset <= shared.store.lost_through())
    }

    /// Opens the hubs, if they are over a store.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        self.published.clear(shared.store.head());
        self.hubs.clear();
        self.people.clear();
        for _ in 0..2 {
            let hub = self.open()?;
            self.hubs.push(hub);
            self.people.push(People::default());
            let shared = self.shared();
            shared.followers.push(shared.store.last_follower());
            let head = shared.store.head().offset;
            shared.known.push(head);
        }
        Ok(())
    }

    fn shared(&mut self) -> &mut Shared {
        self.shared.as_mut().expect("this world has a store")
    }

    fn open(&mut self) -> Result<Hub, String> {
        let store = self.shared().store.clone();
        for _ in 0..100 {
            let seed = self.random.next();
            if let Ok(hub) = now(Hub::open(
                store.clone(),
                self.config.clone(),
                seed,
                self.now,
            )) {
                return Ok(hub);
            }
        }
        Err("no hub could be opened in a hundred times".to_owned())
    }

    pub(super) fn publish_to_store(&mut self, batch: Vec<NewEvent>) -> Result<(), String> {
        if self.shared().in_flight.len() >= MAX_IN_FLIGHT {
            return self.answer_one();
        }
        let hub = self.any_hub();
        let answers = self.hubs[hub].publish(batch.clone(), None, self.now);
        let life = self.published.lives;
        self.shared().in_flight.push(InFlight {
            answers,
            batch,
            life,
        });
        self.answer_one()
    }

    /// Polls one of the publishes that wait, so that answers come in any order.
    fn answer_one(&mut self) -> Result<(), String> {
        let waiting = self.shared().in_flight.len() as u64;
        if waiting == 0 {
            return Ok(());
        }
        let index = (self.random.next() % waiting) as usize;
        let mut one = self.shared().in_flight.swap_remove(index);
        let context = &mut Context::from_waker(Waker::noop());
        let answers = Pin::new(&mut one.answers).poll(context);
        self.read_ledger()?;
        match answers {
            Poll::Pending => self.shared().in_flight.push(one),
            Poll::Ready(answers) => self.check_answers(one.batch, answers, one.life)?,
        }
        Ok(())
    }

    fn check_answers(
        &mut self,
        batch: Vec<NewEvent>,
        answers: Receipts,
        life: u64,
    ) -> Result<(), String> {
        if batch.len() != answers.len() {
            return Err(format!("{} events, and {answers:?}", batch.len()));
        }
        for (event, answer) in batch.into_iter().zip(answers) {
            match answer {
                Ok(receipt) => self.check_receipt(&event, receipt, life)?,
                Err(PublishError::Ended) => {}
                Err(PublishError::Unavailable(_)) if event.idempotency.is_some() => {
                    self.shared().unanswered = Some(event);
                }
                Err(PublishError::Unavailable(_)) => {}
                Err(error) => return Err(format!("publish: {error}")),
            }
        }
        Ok(())
    }

    /// What was answered is in the log, as it was published.
    fn check_receipt(&self, event: &NewEvent, receipt: Receipt, life: u64) -> Result<(), String> {
        let data = String::from_utf8_lossy(event.data.as_ref().as_bytes()).into_owned();
        let is_of_now = life == self.published.lives;
        if is_of_now && !self.published.has(receipt.position, &event.topic, &data) {
            return Err(format!(
                "{receipt:?} was answered for {event:?}, which is not there"
            ));
        }
        Ok(())
    }

    /// A publisher whose answer was lost asks again.
    pub(super) fn retry_at_store(&mut self) -> Result<(), String> {
        match self.shared().unanswered.take() {
            Some(event) => self.publish_to_store(vec![event]),
            None => self.answer_one(),
        }
    }

    /// Answers come, and hubs are told.
    pub(super) fn work_store(&mut self) -> Result<(), String> {
        if self.random.next().is_multiple_of(2) {
            return self.answer_one();
        }
        let hub = self.any_hub();
        let count = 1 + self.random.next() % 16;
        self.deliver(hub, count as usize);
        Ok(())
    }

    fn deliver(&mut self, hub: usize, count: usize) {
        let twice = self.random.next().is_multiple_of(4);
        let shared = self.shared();
        if let Some(known) = shared.followers[hub].deliver(count, twice) {
            shared.known[hub] = known;
        }
        let known = self.shared().known[hub];
        self.log(format_args!("hub {hub} knows {known}"));
    }

    fn deliver_everything(&mut self) -> Result<(), String> {
        self.read_ledger()?;
        (0..self.hubs.len()).for_each(|hub| self.deliver(hub, usize::MAX));
        Ok(())
    }

    /// Takes in what was committed.
    fn read_ledger(&mut self) -> Result<(), String> {
        while let Some(told) = self.shared().ledger.next() {
            match told {
                Told::Committed(entries) => {
                    entries
                        .iter()
                        .try_for_each(|entry| self.note_entry(entry))?;
                }
                Told::Restarted(epoch) => self.published.clear(Position {
                    epoch,
                    offset: 0,
                    tag: Tag::NONE,
                }),
            }
        }
        Ok(())
    }

    fn note_entry(&mut self, entry: &StoredEvent) -> Result<(), String> {
        let position = entry.position;
        self.log(format_args!("committed {position} to {}", entry.topic()));
        match &entry.entry {
            StoredEntry::Event(event) => {
                let data = String::from_utf8_lossy(event.data.as_ref().as_bytes()).into_owned();
                self.add(position, &event.topic, &data)
            }
            StoredEntry::End(..) => {
                self.published.head = position.offset;
                Ok(())
            }
        }
    }

    /// A hub begins anew, or the store loses its tail: in a new epoch, or without saying so.
    pub(super) fn disturb_store(&mut self) -> Result<(), String> {
        match self.random.next() % 3 {
            0 => self.reopen(),
            1 => self.lose_tail(),
            _ => self.rewind(),
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        let index = self.any_hub();
        for reader in &mut self.readers {
            if reader
                .stream
                .as_ref()
                .is_some_and(|stream| stream.hub == index)
            {
                reader.cut();
            }
        }
        self.hubs[index] = self.open()?;
        self.people[index] = People::default();
        let shared = self.shared();
        shared.followers[index] = shared.store.last_follower();
        shared.known[index] = shared.store.head().offset;
        self.log(format_args!("hub {index} is opened again"));
        Ok(())
    }

    fn kept_head(&mut self) -> u64 {
        let head = self.published.head;
        head - (self.random.next() % 10).min(head)
    }

    fn lose_tail(&mut self) -> Result<(), String> {
        self.deliver_everything()?;
        let kept = self.kept_head();
        self.log(format_args!("the store comes back with {kept} entries"));
        self.shared().store.lose_tail(kept);
        self.deliver_everything()?;
        for reader in &mut self.readers {
            if let Some(stream) = &mut reader.stream {
                stream.account.rewind(0, GapReason::Epoch, &self.published);
            }
        }
        Ok(())
    }

    /// The store goes back and uses offsets again; hubs learn of it with the next entry.
    fn rewind(&mut self) -> Result<(), String> {
        self.deliver_everything()?;
        let kept = self.kept_head();
        self.log(format_args!("the store is rewound to {kept}"));
        self.shared().store.rewind(kept);
        self.published.rewind(kept);
        for reader in &mut self.readers {
            reader.common = reader.common.min(kept);
            // A position without a tag cannot be told from one of the new life.
            reader.position = reader.position.filter(|position| position.tag != Tag::NONE);
            if let Some(stream) = &mut reader.stream {
                stream.common = kept;
                stream
                    .account
                    .rewind(kept, GapReason::Rewound, &self.published);
            }
        }
        // To a topic of its own, which cannot have ended.
        let mut event = self.new_event();
        let name = format!("again/{}", self.published.lives);
        (event.topic, event.end) = (Topic::parse(&name).expect("a topic"), false);
        let batch = vec![event];
        let at = self.now;
        self.shared().store.commit(batch, at);
        self.deliver_everything()
    }

    /// Everything is told, and nothing fails any more.
    pub(super) fn calm_store(&mut self) -> Result<(), String> {
        if self.shared.is_none() {
            return Ok(());
        }
        self.shared().store.calm();
        while !self.shared().in_flight.is_empty() {
            self.answer_one()?;
        }
        self.deliver_everything()
    }
}

//! One small world: a hub, publishers, time, restarts, and readers (`reader.rs`); all from a seed.

use std::sync::Arc;

use super::oracle::Published;
use super::people::People;
use super::reader::{Bells, Reader};
use super::scenery;
use super::shared::Shared;
use crate::config::HubConfig;
use crate::event::NewEvent;
use crate::hub::Hub;
use crate::label::{IdempotencyKey, Key};
use crate::position::Position;
use crate::publish::{PublishError, Receipt};
use crate::random::{Digest, Random};
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// How large a world is
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) steps: u64,
    pub(crate) readers: u64,
    pub(crate) topics: u64,
    pub(crate) batch: u64,
}

/// What a run did, to tell one from another and to see that it did something
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) digest: u64,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) gaps: u64,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) scale: Scale,
    pub(super) config: HubConfig,
    /// One with its log in memory, or several over one store
    pub(super) hubs: Vec<Hub>,
    pub(super) shared: Option<Shared>,
    pub(super) now: Timestamp,
    pub(super) published: Published,
    /// Who is present, by hub
    pub(super) people: Vec<People>,
    pub(super) readers: Vec<Reader>,
    /// Who is told by number, for some of them
    pub(super) bells: Arc<Bells>,
    saved: Option<(Vec<u8>, u64)>,
    pub(super) retry: Option<(NewEvent, Receipt, Timestamp)>,
    lives: u64,
    serial: u64,
    trace: Digest,
    pub(super) totals: Trace,
    /// Whether every step is printed
    loud: bool,
}

/// Runs the world of a seed; an error says what promise was broken.
pub(crate) fn run(seed: u64, scale: Scale, loud: bool) -> Result<Trace, String> {
    let mut world = World::new(seed, scale);
    world.loud = loud;
    world.begin()?;
    for step in 0..scale.steps {
        world
            .step()
            .map_err(|error| format!("step {step}: {error}"))?;
    }
    world
        .finish()
        .map_err(|error| format!("at the end: {error}"))?;
    world.totals.digest = world.trace.finish();
    Ok(world.totals)
}

impl World {
    fn new(seed: u64, scale: Scale) -> World {
        let mut random = Random::new(seed);
        let config = scenery::config(&mut random, scale);
        let now = Timestamp(1_000_000);
        let has_store = match scale.steps {
            ..=1000 => random.next().is_multiple_of(2),
            // Two hubs and a store cost several times as much.
            _ => random.next().is_multiple_of(25),
        };
        let kept = 20 + random.next() % (scale.steps * 2);
        let shared = has_store.then(|| Shared::new(random.next(), kept as usize));
        let hub = Hub::new(config.clone(), random.next(), now);
        let mut published = Published::default();
        published.clear(hub.head());
        let readers = (0..scale.readers)
            .map(|_| Reader::new(&mut random, scale))
            .collect();
        World {
            random,
            scale,
            config,
            hubs: vec![hub],
            shared,
            people: vec![People::default()],
            now,
            published,
            readers,
            bells: Arc::default(),
            saved: None,
            retry: None,
            lives: 1,
            serial: 0,
            trace: Digest::new(),
            totals: Trace::default(),
            loud: false,
        }
    }

    fn step(&mut self) -> Result<(), String> {
        let large = self.scale.steps > 1000;
        match self.random.next() % 72 {
            0..24 => self.publish()?,
            24..48 => self.visit()?,
            48..52 => {
                let reader = self.any_reader();
                self.readers[reader].cut();
            }
            52..54 => self.change_patterns()?,
            54..56 => self.change_grant()?,
            56..60 => {
                let later = self.random.next() % 40;
                self.let_pass(later);
            }
            60 if self.shared.is_none() => self.end_or_delete()?,
            61 => self.retry()?,
            // In a large world a restart costs as much as a thousand steps.
            62 if !large || self.random.next().is_multiple_of(500) => match self.shared {
                Some(_) => self.disturb_store()?,
                None => self.restart()?,
            },
            63..66 => self.meet()?,
            66..72 if self.shared.is_some() => self.work_store()?,
            _ => self.history()?,
        }
        for hub in &self.hubs {
            let stats = hub.stats();
            if stats.log_bytes + stats.form_bytes > self.config.max_bytes {
                return Err(format!(
                    "the log has {stats:?}, more than {}",
                    self.config.max_bytes
                ));
            }
        }
        Ok(())
    }

    /// Time passes, and every hub is told so.
    pub(super) fn let_pass(&mut self, millis: u64) {
        self.now = Timestamp(self.now.0 + millis);
        for (hub, people) in self.hubs.iter().zip(&mut self.people) {
            hub.handle_tick(self.now);
            people.expire(self.now);
        }
    }

    /// Somebody comes to a topic, or leaves it.
    fn meet(&mut self) -> Result<(), String> {
        let index = self.any_hub();
        let topic = self.new_event().topic;
        let (hub, people) = (&self.hubs[index], &mut self.people[index]);
        people.step(hub, topic, &mut self.random, self.now)
    }

    /// Everybody comes, and reads to the head.
    fn finish(&mut self) -> Result<(), String> {
        self.calm_store()?;
        for reader in 0..self.readers.len() {
            self.check_parked(reader)?;
            if self.readers[reader].stream.is_none() {
                self.connect(reader)?;
            }
            self.read(reader, usize::MAX)?;
            if self.readers[reader].is_reading_back() {
                // It was told to ask again later.
                self.let_pass(2 * self.config.read_back_retry.as_millis() as u64);
                self.read(reader, usize::MAX)?;
            }
            if self.readers[reader].is_reading_back() {
                return Err(format!("{reader} still waits for a store that is well"));
            }
            self.readers[reader].cut();
        }
        let subscriptions = self.hubs.iter().map(|hub| hub.stats().subscriptions);
        match subscriptions.sum::<usize>() {
            0 => Ok(()),
            left => Err(format!("{left} subscriptions are left behind")),
        }
    }

    fn publish(&mut self) -> Result<(), String> {
        let count = 1 + self.random.next() % self.scale.batch;
        let batch: Vec<NewEvent> = (0..count).map(|_| self.new_event()).collect();
        if self.shared.is_some() {
            return self.publish_to_store(batch);
        }
        let receipts = self.hubs[0].publish(batch.clone(), None, self.now);
        let receipts = receipts
            .try_ready()
            .map_err(|_| "the memory log is always ready")?;
        for (event, receipt) in batch.into_iter().zip(receipts) {
            match receipt {
                Ok(receipt) => self.note(event, receipt)?,
                Err(PublishError::Ended) => self.log(format_args!("{} had ended", event.topic)),
                Err(error) => return Err(format!("publish: {error}")),
            }
        }
        Ok(())
    }

    fn note(&mut self, event: NewEvent, receipt: Receipt) -> Result<(), String> {
        let data = String::from_utf8_lossy(event.data.as_ref().as_bytes()).into_owned();
        self.add(receipt.position, &event.topic, &data)?;
        let (position, now) = (receipt.position, self.now);
        self.log(format_args!(
            "{now} published {position} to {}",
            event.topic
        ));
        if event.end {
            // Its end has an offset of its own.
            let head = self.hubs[0].head().offset;
            self.published.head = head.min(receipt.position.offset + 1);
        }
        if event.idempotency.is_some() {
            self.retry = Some((event, receipt, self.now));
        }
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        position: Position,
        topic: &Topic,
        data: &str,
    ) -> Result<(), String> {
        self.totals.published += 1;
        self.published.add(position, topic, data)
    }

    pub(super) fn new_event(&mut self) -> NewEvent {
        self.serial += 1;
        let topic = scenery::topic(&mut self.random, self.scale);
        let size = (self.random.next() % 40) as usize;
        let data = format!("{}:{}", self.serial, "x".repeat(size));
        let mut event = NewEvent::new(topic, data);
        if self.random.next().is_multiple_of(3) {
            event.key = Key::parse(["k", "l", "m"][(self.random.next() % 3) as usize]).ok();
        }
        if self.random.next().is_multiple_of(8) {
            event.idempotency = IdempotencyKey::parse(&self.serial.to_string()).ok();
        }
        event.end = self.random.next().is_multiple_of(200);
        event
    }

    /// A publisher that did not hear the answer asks again.
    fn retry(&mut self) -> Result<(), String> {
        if self.shared.is_some() {
            return self.retry_at_store();
        }
        let Some((event, first, when)) = self.retry.take() else {
            return Ok(());
        };
        if self.now.since(when) >= self.config.idempotency_ttl {
            return Ok(());
        }
        let receipts = self.hubs[0]
            .publish(vec![event], None, self.now)
            .try_ready();
        let again = receipts
            .map_err(|_| "the memory log is always ready")?
            .remove(0);
        match again {
            Ok(again) if again.duplicate && again.position == first.position => Ok(()),
            other => Err(format!("a retry of {first:?} was answered {other:?}")),
        }
    }

    fn end_or_delete(&mut self) -> Result<(), String> {
        let topic = self.new_event().topic;
        if self.random.next().is_multiple_of(2) {
            // A second end is refused, and that is all.
            let _ = self.hubs[0].end_topic(&topic, self.now);
        } else {
            self.hubs[0].delete_topic(&topic, self.now);
        }
        self.published.head = self.hubs[0].head().offset;
        Ok(())
    }

    /// The process ends and another begins: with the log, with an older one, or with none.
    fn restart(&mut self) -> Result<(), String> {
        self.readers.iter_mut().for_each(Reader::cut);
        self.lives += 1;
        let mut file = Vec::new();
        self.people = vec![People::default()];
        self.hubs[0]
            .snapshot()
            .write_to(&mut file)
            .map_err(|e| e.to_string())?;
        let head = self.hubs[0].head().offset;
        self.log(format_args!("restart at {head}"));
        match (self.random.next() % 4, self.saved.take()) {
            (0, _) => {
                self.hubs = vec![Hub::new(self.config.clone(), self.random.next(), self.now)];
                self.published.clear(self.hubs[0].head());
                self.retry = None;
                return Ok(());
            }
            (1, Some((older, head))) if older.get(17..25) == file.get(17..25) => {
                self.restore(&older)?;
                self.published.rewind(head);
                self.retry = None;
                for reader in &mut self.readers {
                    reader.common = reader.common.min(head);
                }
                self.saved = Some((older, head));
            }
            _ => {
                self.restore(&file)?;
                // Who reads on from an older copy later was in this life too.
                self.saved = Some((file, head));
            }
        }
        Ok(())
    }

    fn restore(&mut self, file: &[u8]) -> Result<(), String> {
        let hub = Hub::restore(
            &mut &*file,
            self.config.clone(),
            self.random.next(),
            self.now,
        );
        self.hubs = vec![hub.map_err(|e| e.to_string())?];
        Ok(())
    }

    /// Takes a line into the trace.
    pub(super) fn log(&mut self, line: std::fmt::Arguments<'_>) {
        let line = line.to_string();
        if self.loud {
            println!("{line}");
        }
        self.trace.update(line.as_bytes());
    }

    pub(super) fn any_hub(&mut self) -> usize {
        (self.random.next() % self.hubs.len() as u64) as usize
    }

    pub(super) fn any_reader(&mut self) -> usize {
        (self.random.next() % self.readers.len() as u64) as usize
    }
}

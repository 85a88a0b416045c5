//! Who waits to be woken, and for what.

use slab::Slab;

use crate::call::{Call, Caller, Calls};
use crate::core::{Core, short};
use crate::cursor::Cursor;
use crate::log::Feed;
use crate::planted::{self, Bug};
use crate::readers::Waiting;
use crate::reading::Readings;
use crate::topic::Topic;

impl Core {
    /// Puts a cursor among those that wait for its feeds, with whom to call.
    pub(crate) fn arm(&mut self, id: u32, caller: Caller<'_>, was_given: bool) {
        let is_lost = was_given && planted::has(Bug::LostWakeup);
        match &mut self.cursors[id as usize].readings {
            Readings::One(_) if is_lost => {}
            Readings::One(reading) => {
                let readers = self.log.readers(reading.feed);
                readers.arm(id, &mut reading.place, caller);
            }
            Readings::Many(many) => {
                many.arm(caller);
                if is_lost {
                    return;
                }
                let readings = &mut self.cursors[id as usize].readings;
                for (index, reading) in readings.iter_mut().enumerate() {
                    let index = short(index);
                    let waiting = &mut self.log.readers(reading.feed).waiting;
                    let own = waiting.get(reading.place as usize);
                    if own.is_none_or(|own| !own.is(id, index)) {
                        reading.place = short(waiting.len());
                        waiting.push(Waiting::new(id, index, None));
                    }
                }
            }
        }
    }

    /// Takes the call of one cursor, if it is to be made; it stays where it waits.
    pub(super) fn disarm(&mut self, id: u32) -> Option<Call> {
        match &mut self.cursors[id as usize].readings {
            Readings::One(reading) => {
                let waiting = &mut self.log.readers(reading.feed).waiting;
                let own = waiting.get_mut(reading.place as usize)?;
                own.is(id, 0).then(|| own.call.take()).flatten()
            }
            Readings::Many(many) => many.disarm(),
        }
    }

    /// Is it to be called?
    pub(crate) fn is_armed(&self, id: u32) -> bool {
        match &self.cursors[id as usize].readings {
            Readings::One(reading) => {
                let waiting = &self.log.readers_of(reading.feed).waiting;
                let own = waiting.get(reading.place as usize);
                own.is_some_and(|own| own.is(id, 0) && own.call.is_some())
            }
            Readings::Many(many) => many.armed,
        }
    }

    /// Wakes one cursor, if it waits.
    pub(crate) fn wake(&mut self, id: u32, calls: &mut Calls) {
        calls.extend(self.disarm(id));
    }

    /// Wakes those that wait for a topic, by its name or by a wildcard; its list of wildcards is up to date, as after an
    /// append.
    #[inline]
    pub(super) fn wake_readers(&mut self, topic: u32, calls: &mut Calls) {
        let state = &mut self.log.topics[topic as usize];
        if let Some(readers) = &mut state.readers {
            wake_all(&mut readers.waiting, &mut self.cursors, calls);
        }
        for &id in &state.wildcards {
            let readers = &mut self.log.wildcards[id as usize].readers;
            wake_all(&mut readers.waiting, &mut self.cursors, calls);
        }
    }

    /// Wakes those of a topic's readers that hear of presence; they stay where they wait for events.
    pub(super) fn wake_watchers(&mut self, topic: &Topic, calls: &mut Calls) {
        let mut feeds: Vec<Feed> = self
            .log
            .wildcards_of(topic)
            .into_iter()
            .map(Feed::Wildcard)
            .collect();
        if let Some(id) = self.log.topic(topic)
            && self.log.topics[id as usize].readers.is_some()
        {
            feeds.push(Feed::Topic(id));
        }
        for feed in feeds {
            for one in &mut self.log.readers(feed).waiting {
                let cursor = &mut self.cursors[one.cursor as usize];
                if cursor.heard().is_some() && !planted::has(Bug::PresenceUnheard) {
                    calls.extend(one.disarm(cursor));
                }
            }
        }
    }

    pub(super) fn drop_readings(&mut self, id: u32) {
        while !self.cursors[id as usize].readings.is_empty() {
            self.drop_reading(id, self.cursors[id as usize].readings.len() - 1);
        }
    }

    /// Takes a reading from a cursor; a call that is to be made stays with the cursor.
    pub(super) fn drop_reading(&mut self, id: u32, index: usize) {
        let readings = &mut self.cursors[id as usize].readings;
        let gone = readings.swap_remove(index);
        let (index, last) = (short(index), short(readings.len()));
        let waiting = &mut self.log.readers(gone.feed).waiting;
        let place = gone.place as usize;
        if waiting.get(place).is_some_and(|own| own.is(id, index)) {
            let own = waiting.swap_remove(place);
            if let (Some(call), Readings::Many(many)) = (own.call, readings) {
                many.arm_with(call);
            }
            if let Some(moved) = waiting.get(place) {
                let of_moved = &mut self.cursors[moved.cursor as usize].readings;
                of_moved[moved.reading as usize].place = gone.place;
            }
        }
        let readings = &self.cursors[id as usize].readings;
        if let Some(moved) = readings.get(index as usize) {
            let waiting = &mut self.log.readers(moved.feed).waiting;
            let own = waiting.get_mut(moved.place as usize);
            if let Some(own) = own.filter(|own| own.is(id, last)) {
                own.reading = index;
            }
        }
        self.log.leave(gone.feed);
    }
}

#[inline]
fn wake_all(waiting: &mut Vec<Waiting>, cursors: &mut Slab<Cursor>, calls: &mut Calls) {
    if waiting.len() > 1 {
        waiting
            .drain(..)
            .for_each(|one| wake_one(one, cursors, calls));
    } else if let Some(one) = waiting.pop() {
        wake_one(one, cursors, calls);
    }
}

#[inline]
fn wake_one(one: Waiting, cursors: &mut Slab<Cursor>, calls: &mut Calls) {
    match one.call {
        Some(call) => calls.push(call),
        None => {
            if let Readings::Many(many) = &mut cursors[one.cursor as usize].readings {
                calls.extend(many.disarm());
            }
        }
    }
}

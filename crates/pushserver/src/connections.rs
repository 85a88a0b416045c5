//! The streams that are open: who they belong to, and how many each subject has.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use pushcore::{Delivery, Grant, Hub, SubscribeError, SubscriptionId, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use slab::Slab;

use crate::admission::Guest;
use crate::app::App;
use crate::follow::subscribe_problem;
use crate::metrics::{Metrics, Transport};
use crate::shard::MAX_RESERVED;
use crate::web::problem::Problem;

/// Every open stream by its name
///
/// An entry of about 120 bytes for each stream, taken and given back under one lock; nothing happens here per event. There
/// are never more than `connections.max`, or with HTTP/2 that times `http2.max_streams`.
#[derive(Debug)]
pub(crate) struct Connections {
    metrics: Arc<Metrics>,
    max_per_subject: usize,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    all: Slab<Arc<Connection>>,
    by_subject: HashMap<String, usize>,
    by_transport: [usize; Transport::ALL.len()],
}

/// The name of a connection, told to its client: its place in the list and 96 random bits
///
/// Whoever renews a connection by it must be its subject besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId {
    place: u32,
    random: [u8; 12],
}

/// One open stream
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) transport: Transport,
    /// Who it belongs to, from when that is known
    subject: OnceLock<Box<str>>,
    pub(crate) address: IpAddr,
    pub(crate) since: Timestamp,
    subscription: OnceLock<SubscriptionId>,
}

/// A stream's hold on its entry, given back when dropped
#[derive(Debug)]
pub(crate) struct Listed {
    connections: Arc<Connections>,
    connection: Arc<Connection>,
    transport: Transport,
    /// The log's newest event when the stream began; what is older is history
    head: u64,
    /// The client came back with a position, and it is not known yet whether anything is missing
    resuming: bool,
    /// The client's share of what its address may have, if it comes through a proxy
    _guest: Option<Box<Guest>>,
}

impl Connections {
    pub(crate) fn new(metrics: &Arc<Metrics>, max: usize, max_per_subject: usize) -> Arc<Self> {
        Arc::new(Self {
            metrics: Arc::clone(metrics),
            max_per_subject,
            open: Mutex::new(Open {
                all: Slab::with_capacity(max.min(MAX_RESERVED)),
                by_subject: HashMap::new(),
                by_transport: [0; Transport::ALL.len()],
            }),
        })
    }

    /// Enters a stream that is about to begin
    ///
    /// # Errors
    /// When its subject has as many as it may have.
    pub(crate) fn enter(
        self: &Arc<Self>,
        transport: Transport,
        grant: &Grant,
        address: IpAddr,
        guest: Option<Box<Guest>>,
        now: Timestamp,
    ) -> Result<Listed, Problem> {
        let mut open = self.open();
        let subject = OnceLock::new();
        if let Some(name) = &grant.subject {
            self.check_room(&open, name)?;
            open.count(&subject, name);
        }
        let slot = open.all.vacant_entry();
        let id = ConnectionId::random(slot.key());
        let connection = Arc::new(Connection {
            id,
            transport,
            subject,
            address,
            since: now,
            subscription: OnceLock::new(),
        });
        slot.insert(Arc::clone(&connection));
        open.by_transport[transport as usize] += 1;
        drop(open);
        Ok(Listed {
            connections: Arc::clone(self),
            connection,
            transport,
            head: 0,
            resuming: false,
            _guest: guest,
        })
    }

    /// Gives an event stream another grant for the same subject; it goes on where it is
    ///
    /// # Errors
    /// When there is no such stream, or the grant cannot be the next one of it.
    pub(crate) fn renew(
        &self,
        hub: &Hub,
        id: ConnectionId,
        grant: &Arc<Grant>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let connection = self.open().get(id).cloned();
        let connection = connection.ok_or_else(no_such_connection)?;
        if connection.transport != Transport::EventStream {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "not-a-stream",
                "The connection can renew its grant itself",
                "send the command `refresh` on the connection",
            ));
        }
        self.renew_by(&connection, grant, || {
            let subscription = connection.subscription();
            hub.regrant(
                subscription.ok_or(SubscribeError::Closed)?,
                Arc::clone(grant),
                now,
            )
        })
    }

    /// Lets `regrant` happen if the connection is still there and the subject it may get by it has room for one more
    fn renew_by(
        &self,
        connection: &Connection,
        grant: &Grant,
        regrant: impl FnOnce() -> Result<(), SubscribeError>,
    ) -> Result<(), Problem> {
        // Held meanwhile, so that the stream cannot end and its subscription's name become another's.
        let mut open = self.open();
        if open.get(connection.id).is_none() {
            return Err(no_such_connection());
        }
        let new = grant.subject.as_ref();
        let new = new.filter(|_| connection.subject.get().is_none());
        if let Some(subject) = new {
            self.check_room(&open, subject)?;
        }
        regrant().map_err(|error| not_renewed(&error))?;
        if let Some(subject) = new {
            open.count(&connection.subject, subject);
        }
        Ok(())
    }

    fn check_room(&self, open: &Open, subject: &str) -> Result<(), Problem> {
        let max = self.max_per_subject;
        if open
            .by_subject
            .get(subject)
            .is_none_or(|count| *count < max)
        {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-connections",
            "Not now",
            format!(
                "this subject has {max} connections, and `connections.max_per_subject` allows no more; close one"
            ),
        ))
    }

    /// How many there are of each transport
    pub(crate) fn by_transport(&self) -> [usize; Transport::ALL.len()] {
        self.open().by_transport
    }

    /// At most `limit` of them, in the order of their places, after one
    pub(crate) fn page(&self, after: Option<ConnectionId>, limit: usize) -> Vec<Arc<Connection>> {
        let open = self.open();
        let from = after.map_or(0, |after| after.place as usize + 1);
        let places = from..open.all.capacity();
        let after = places.filter_map(|place| open.all.get(place));
        after.take(limit).cloned().collect()
    }

    fn leave(&self, connection: &Connection) {
        let mut open = self.open();
        open.all.remove(connection.id.place as usize);
        open.by_transport[connection.transport as usize] -= 1;
        let Some(subject) = connection.subject() else {
            return;
        };
        if let Some(count) = open.by_subject.get_mut(subject) {
            *count -= 1;
            if *count == 0 {
                open.by_subject.remove(subject);
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The connection of this name, unless it has ended
    fn get(&self, id: ConnectionId) -> Option<&Arc<Connection>> {
        let there = self.all.get(id.place as usize);
        there.filter(|connection| connection.id == id)
    }

    /// Counts a connection to its subject
    fn count(&mut self, of: &OnceLock<Box<str>>, subject: &str) {
        // A connection gets its subject once, under the lock.
        let _ = of.set(subject.into());
        *self.by_subject.entry(subject.to_owned()).or_default() += 1;
    }
}

/// What a client learns of a connection that is not its own: nothing
fn no_such_connection() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-connection",
        "There is no such connection",
        "the connection has ended, or never was",
    )
}

/// Why a grant cannot be the next one of a subscription, in HTTP's terms
fn not_renewed(error: &SubscribeError) -> Problem {
    match error {
        SubscribeError::OtherSubject => Problem::new(
            StatusCode::FORBIDDEN,
            "other-subject",
            "The token is for another subject",
            "a connection stays the same subject's for as long as it lives",
        ),
        SubscribeError::Closed => no_such_connection(),
        other => subscribe_problem(other),
    }
}

impl Connection {
    /// Who it belongs to
    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.get().map(|subject| &**subject)
    }

    /// What it reads; known as soon as it has begun
    pub(crate) fn subscription(&self) -> Option<SubscriptionId> {
        self.subscription.get().copied()
    }
}

impl Listed {
    /// The name to be told to the client
    pub(crate) fn id(&self) -> ConnectionId {
        self.connection.id
    }

    /// What limits by address count the client as
    pub(crate) fn address(&self) -> IpAddr {
        self.connection.address
    }

    /// Lets `regrant` happen if the subject that the connection may get by it has room for one more
    pub(crate) fn renew(
        &self,
        grant: &Grant,
        regrant: impl FnOnce() -> Result<(), SubscribeError>,
    ) -> Result<(), Problem> {
        self.connections.renew_by(&self.connection, grant, regrant)
    }

    /// The stream reads by this subscription; `resuming` if the client came with a position
    pub(crate) fn begins(&mut self, app: &App, subscription: SubscriptionId, resuming: bool) {
        self.head = app.hub.head().offset;
        // A stream has one subscription, so this is set once.
        let _ = self.connection.subscription.set(subscription);
        self.resuming = resuming;
    }

    /// Counts what the subscription has just answered
    #[inline]
    pub(crate) fn note(&mut self, app: &App, polled: &Poll<Delivery>, now: Timestamp) {
        match polled {
            Poll::Ready(Delivery::Batch(batch)) => {
                app.metrics.delivered(self.transport, batch, self.head, now);
            }
            Poll::Ready(Delivery::Gap(gap)) => app.metrics.gap(gap.reason),
            _ => {}
        }
        if self.resuming {
            self.resuming = false;
            app.metrics.resumed(match polled {
                Poll::Ready(Delivery::Gap(gap)) => gap.reason.as_str(),
                _ => "continued",
            });
        }
    }

    /// Counts a stream that is told to come back later
    pub(crate) fn sent_away(&self) {
        self.connections.metrics.sent_away();
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.connections.leave(&self.connection);
    }
}

impl ConnectionId {
    fn random(place: usize) -> Self {
        let place = u32::try_from(place).expect("there are fewer connections than 2^32");
        let random = RANDOM.with_borrow_mut(RandomBytes::take);
        Self { place, random }
    }
}

thread_local! {
    static RANDOM: RefCell<RandomBytes> = const { RefCell::new(RandomBytes(Vec::new())) };
}

/// What the operating system has given this thread: asking it once for many names is cheaper than once for each
struct RandomBytes(Vec<[u8; 12]>);

impl RandomBytes {
    /// 3 KiB a thread
    const AT_ONCE: usize = 256;

    fn take(&mut self) -> [u8; 12] {
        if self.0.is_empty() {
            self.0.resize(Self::AT_ONCE, [0; 12]);
            SystemRandom::new()
                .fill(self.0.as_flattened_mut())
                .expect("the operating system has random numbers");
        }
        self.0.pop().expect("some are left, or have just come")
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.place.to_be_bytes());
        bytes[4..].copy_from_slice(&self.random);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl std::str::FromStr for ConnectionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ())?;
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| ())?;
        let (place, random) = bytes.split_first_chunk().ok_or(())?;
        Ok(Self {
            place: u32::from_be_bytes(*place),
            random: random.try_into().map_err(|_| ())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subject: Option<&str>) -> Grant {
        Grant {
            subject: subject.map(str::to_owned),
            ..Grant::default()
        }
    }

    #[track_caller]
    fn enter(connections: &Arc<Connections>, subject: Option<&str>) -> Result<Listed, Problem> {
        let address = [192, 0, 2, 1].into();
        connections.enter(Transport::Push, &of(subject), address, None, Timestamp(1))
    }

    #[test]
    fn a_subject_has_no_more_than_its_share_and_gets_it_back() {
        let connections = Connections::new(&Arc::default(), 100, 2);
        let first = enter(&connections, Some("ann")).unwrap();
        let _second = enter(&connections, Some("ann")).unwrap();
        let problem = enter(&connections, Some("ann")).unwrap_err();
        assert_eq!(problem.status(), 429);
        let _other = enter(&connections, Some("bob")).unwrap();
        let _nobody: Vec<_> = (0..5).map(|_| enter(&connections, None).unwrap()).collect();
        drop(first);
        enter(&connections, Some("ann")).unwrap();
    }

    #[test]
    fn pages_name_each_connection_once() {
        let connections = Connections::new(&Arc::default(), 100, 2);
        let held: Vec<_> = (0..25)
            .map(|_| enter(&connections, None).unwrap())
            .collect();
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = connections.page(after, 10);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            seen.extend(page.iter().map(|one| one.id));
        }
        let names: Vec<_> = held.iter().map(Listed::id).collect();
        assert_eq!(seen, names);
        drop(held);
        assert!(connections.page(None, 10).is_empty());
        assert_eq!(connections.by_transport(), [0; 4]);
    }

    #[test]
    fn the_name_of_a_connection_that_has_ended_is_not_that_of_the_next_one_in_its_place() {
        let connections = Connections::new(&Arc::default(), 100, 2);
        let first = enter(&connections, None).unwrap().id();
        let second = enter(&connections, None).unwrap();
        assert_eq!(first.place, second.id().place);
        assert!(connections.open().get(first).is_none());
        assert!(connections.open().get(second.id()).is_some());
    }

    #[test]
    fn a_name_is_read_back_from_its_text() {
        let id = ConnectionId::random(258);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("feed".parse::<ConnectionId>(), Err(()));
        assert_eq!("+".repeat(22).parse::<ConnectionId>(), Err(()));
    }
}

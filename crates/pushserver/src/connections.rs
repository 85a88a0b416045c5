//! The streams that are open: who they belong to, and how many each subject has.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use http::StatusCode;
use pushcore::{Delivery, Grant, SubscriptionId, Timestamp};

use crate::app::App;
use crate::metrics::{Metrics, Transport};
use crate::web::problem::Problem;

/// Every open stream by its name
///
/// An entry of about 200 bytes for each stream, taken and given back under one lock; nothing happens here per event. There
/// are never more than `connections.max`, or with HTTP/2 that times `http2.max_streams`.
#[derive(Debug)]
pub(crate) struct Connections {
    metrics: Arc<Metrics>,
    max_per_subject: usize,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    /// Where names come from: a counter, mixed
    counter: u64,
    by_id: BTreeMap<ConnectionId, Arc<Connection>>,
    by_subject: HashMap<String, usize>,
    by_transport: [usize; Transport::ALL.len()],
}

/// The name of a connection, told to its client
///
/// Not a secret: whoever uses it must be who opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(u64);

/// One open stream
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) transport: Transport,
    pub(crate) subject: Option<String>,
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
}

impl Connections {
    pub(crate) fn new(metrics: &Arc<Metrics>, max_per_subject: usize, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            metrics: Arc::clone(metrics),
            max_per_subject,
            open: Mutex::new(Open {
                counter: seed,
                by_id: BTreeMap::new(),
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
        now: Timestamp,
    ) -> Result<Listed, Problem> {
        let mut open = self.open();
        if let Some(subject) = &grant.subject {
            let count = open.by_subject.entry(subject.clone()).or_default();
            if *count >= self.max_per_subject {
                return Err(Problem::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-many-connections",
                    "Not now",
                    format!(
                        "this subject has {} connections, and `connections.max_per_subject` allows no more; close one",
                        self.max_per_subject
                    ),
                ));
            }
            *count += 1;
        }
        let id = open.next_id();
        let connection = Arc::new(Connection {
            id,
            transport,
            subject: grant.subject.clone(),
            address,
            since: now,
            subscription: OnceLock::new(),
        });
        open.by_transport[transport as usize] += 1;
        open.by_id.insert(id, Arc::clone(&connection));
        drop(open);
        Ok(Listed {
            connections: Arc::clone(self),
            connection,
            transport,
            head: 0,
            resuming: false,
        })
    }

    /// How many there are of each transport
    pub(crate) fn by_transport(&self) -> [usize; Transport::ALL.len()] {
        self.open().by_transport
    }

    /// At most `limit` of them, in the order of their names, after one
    pub(crate) fn page(&self, after: Option<ConnectionId>, limit: usize) -> Vec<Arc<Connection>> {
        let open = self.open();
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let after = open.by_id.range((from, std::ops::Bound::Unbounded));
        after.map(|(_, one)| Arc::clone(one)).take(limit).collect()
    }

    fn leave(&self, connection: &Connection) {
        let mut open = self.open();
        open.by_id.remove(&connection.id);
        open.by_transport[connection.transport as usize] -= 1;
        let Some(subject) = &connection.subject else {
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
    /// No name is given twice: the counter does not repeat, and SplitMix64's mixing maps different numbers to
    /// different ones
    fn next_id(&mut self) -> ConnectionId {
        self.counter = self.counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.counter;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ConnectionId(z ^ (z >> 31))
    }
}

impl Connection {
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

    /// The stream reads by this subscription; `resuming` if the client came with a position
    pub(crate) fn begins(&mut self, app: &App, subscription: SubscriptionId, resuming: bool) {
        self.head = app.hub.head().offset;
        // A stream has one subscription, so this is set once.
        let _ = self.connection.subscription.set(subscription);
        self.resuming = resuming;
    }

    /// Counts what the subscription has just answered
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

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for ConnectionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u64::from_str_radix(text, 16).map_err(|_| ())?;
        digits.then_some(Self(id)).ok_or(())
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
        connections.enter(Transport::Push, &of(subject), address, Timestamp(1))
    }

    #[test]
    fn a_subject_has_no_more_than_its_share_and_gets_it_back() {
        let connections = Connections::new(&Arc::default(), 2, 7);
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
        let connections = Connections::new(&Arc::default(), 2, 7);
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
        let mut names: Vec<_> = held.iter().map(Listed::id).collect();
        names.sort_unstable();
        assert_eq!(seen, names);
        drop(held);
        assert!(connections.page(None, 10).is_empty());
        assert_eq!(connections.by_transport(), [0; 4]);
    }

    #[test]
    fn a_name_is_read_back_from_its_text() {
        let id = ConnectionId(0xfeed);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("+00000000000feed".parse::<ConnectionId>(), Err(()));
        assert_eq!("feed".parse::<ConnectionId>(), Err(()));
    }
}

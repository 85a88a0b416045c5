//! The three shapes that attacks have: connections that are held, one that is flooded, and cases that are tried.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::frames::http2;
use crate::judge::Told;
use crate::peer::Peer;

/// Where an attack takes place, and until when.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    pub(crate) address: SocketAddr,
    pub(crate) until: Instant,
    /// Which window of the attack this is, for names that are not to come twice
    pub(crate) window: usize,
}

impl Field {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// How often the attacker looks at its clock
const TICK: Duration = Duration::from_millis(5);

/// How long is waited, once a window is over, for what the server still has to say to those who came last in it
const GRACE: Duration = Duration::from_secs(1);

/// What an offender is counted as that was neither told nor closed
pub(crate) const STILL_OPEN: &str = "still open";

/// A rate's worth of 10 ms is the most that comes at once
///
/// On a machine with other work the attacker waits for its core. What it missed meanwhile is not made up for: that would be an
/// attack at another rate than the table says.
const BURSTS_PER_SECOND: usize = 100;

/// Beats of a rate: how many more are due.
struct Beat {
    began: Instant,
    per_second: usize,
    done: usize,
}

impl Beat {
    fn new(per_second: usize) -> Beat {
        Beat {
            began: Instant::now(),
            per_second,
            done: 0,
        }
    }

    fn due(&mut self) -> usize {
        let due = (self.began.elapsed().as_secs_f64() * self.per_second as f64) as usize;
        let now = due - self.done;
        self.done = due;
        now.min((self.per_second / BURSTS_PER_SECOND).max(1))
    }
}

/// Connections that are opened and kept.
pub(crate) struct Hold<'a> {
    pub(crate) count: usize,
    pub(crate) per_second: usize,
    /// What connection number so-and-so says first
    pub(crate) greeting: &'a dyn Fn(usize) -> Vec<u8>,
    /// What each says again and again
    pub(crate) drip: Option<(Duration, &'a [u8])>,
    /// The receive buffer of those who do not read
    pub(crate) unread: Option<usize>,
}

/// What is said again and again, to one connection after the other: their turns are spread over the time between two of
/// the same, because all at once would be a burst of the attacker's own.
struct Drips<'a> {
    bytes: &'a [u8],
    beat: Beat,
    /// Whose turn is next
    next: usize,
}

impl<'a> Drips<'a> {
    fn new((every, bytes): (Duration, &'a [u8]), count: usize) -> Self {
        Self {
            bytes,
            beat: Beat::new((count as f64 / every.as_secs_f64()) as usize),
            next: 0,
        }
    }

    fn fall(&mut self, peers: &mut [Peer]) {
        for _ in 0..self.beat.due().min(peers.len()) {
            self.next = (self.next + 1) % peers.len();
            let peer = &mut peers[self.next];
            if !peer.is_closed {
                peer.send(self.bytes);
            }
        }
    }
}

/// Opens them, holds them until the end, and tells what became of each.
pub(crate) fn hold(field: &Field, plan: &Hold<'_>) -> Result<Told> {
    let mut peers: Vec<Peer> = Vec::with_capacity(plan.count);
    let mut beat = Beat::new(plan.per_second);
    let mut drips = plan.drip.map(|drip| Drips::new(drip, plan.count));
    let mut looked = Instant::now();
    while !field.is_over() {
        for _ in 0..beat.due().min(plan.count - peers.len()) {
            let index = peers.len();
            let mut peer = Peer::dial_with(field.address, index, plan.unread)?;
            peer.send(&(plan.greeting)(index));
            peers.push(peer);
        }
        if let Some(drips) = &mut drips {
            drips.fall(&mut peers);
        }
        // Who does not read must not be seen to read; who does, need not do so all the time.
        if plan.unread.is_none() && looked.elapsed() >= Duration::from_millis(250) {
            looked = Instant::now();
            peers.iter_mut().for_each(Peer::pump);
        }
        std::thread::sleep(TICK);
    }
    // Those that came last have their time limits before them.
    if plan.unread.is_some() {
        std::thread::sleep(GRACE);
    }
    // And what was closed is seen to be closed once what lies before the end is read.
    let is_open = |peer: &Peer| match plan.unread {
        Some(_) => !peer.is_closed,
        None => peer.told().is_none(),
    };
    let late = Instant::now() + GRACE;
    while Instant::now() < late && peers.iter().any(is_open) {
        peers.iter_mut().for_each(Peer::pump);
        std::thread::sleep(TICK * 10);
    }
    let mut told = Told::default();
    for peer in &mut peers {
        peer.pump();
        let answer = match (plan.unread, peer.is_closed) {
            // What it did not read, the beginning of an answer, says nothing about its end.
            (Some(_), true) => Some("closed".to_owned()),
            (Some(_), false) => None,
            (None, _) => peer.told(),
        };
        told.note(answer.unwrap_or_else(|| STILL_OPEN.to_owned()));
    }
    Ok(told)
}

/// A connection that is sent more than it should be, again and again from the start.
pub(crate) struct Flood {
    /// What it says first
    greeting: Vec<u8>,
    /// Pieces per second, and how many there are on one connection: within a second the server must have said something
    per_second: usize,
    /// Whether what the server says is read while the flood goes on
    reads: bool,
}

impl Flood {
    /// 10,000 pieces after this greeting, in a second
    pub(crate) fn after(greeting: Vec<u8>) -> Self {
        Self {
            greeting,
            per_second: 10_000,
            reads: true,
        }
    }

    /// The same over HTTP/2, after the frames that make what is flooded
    pub(crate) fn of_http2(frames: &[u8]) -> Self {
        Self::after([&http2::opening(&[]), frames].concat())
    }

    pub(crate) fn per_second(self, per_second: usize) -> Self {
        Self { per_second, ..self }
    }

    /// Until everything is sent, nothing of what the server says is read
    pub(crate) fn unread(self) -> Self {
        Self {
            reads: false,
            ..self
        }
    }
}

/// Floods until the end, and tells how each connection fared.
///
/// `piece` is one piece of the flood, given how many were sent before on this connection.
pub(crate) fn flood(
    field: &Field,
    plan: &Flood,
    mut piece: impl FnMut(usize) -> Vec<u8>,
) -> Result<Told> {
    let mut told = Told::default();
    let mut beat = Beat::new(plan.per_second);
    let mut connection = 0;
    while !field.is_over() {
        let mut peer = Peer::dial(field.address, connection)?;
        connection += 1;
        peer.send(&plan.greeting);
        let mut sent = 0;
        let answer = loop {
            for _ in 0..beat.due() {
                if sent < plan.per_second && !peer.is_full() {
                    peer.send(&piece(sent));
                    sent += 1;
                }
            }
            peer.send(&[]);
            if plan.reads || sent >= plan.per_second {
                peer.pump();
            }
            if let Some(answer) = peer.told() {
                break Some(answer);
            }
            if field.is_over() {
                break None;
            }
            std::thread::sleep(TICK);
        };
        let answer = answer.or_else(|| {
            peer.pump();
            peer.told()
        });
        match answer {
            Some(answer) => told.note(answer),
            None if sent >= plan.per_second => told.note(STILL_OPEN),
            // Cut short by the end of the window.
            None => {}
        }
    }
    Ok(told)
}

/// A thing that is tried.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The answers that are right
    pub(crate) right: &'static [&'static str],
}

/// Connections that are tried at once
const MAX_TRIED: usize = 256;

/// How long a case may go without an answer
const CASE_PATIENCE: Duration = Duration::from_millis(1500);

/// How long more is waited for once there was an answer, because a second one would be wrong
const AFTERMATH: Duration = Duration::from_millis(60);

/// Tries the cases in turn until the end, each on a connection of its own; `read` tells what was answered.
///
/// What is not right is counted under the case's name.
pub(crate) fn attempt(
    field: &Field,
    per_second: usize,
    mut case: impl FnMut(usize) -> Case,
    read: impl Fn(&Peer) -> Option<String>,
) -> Result<Told> {
    let mut told = Told::default();
    let mut tried: Vec<(Peer, Case, Instant, Option<Instant>)> = Vec::new();
    let mut beat = Beat::new(per_second);
    let mut number = 0;
    while !field.is_over() || !tried.is_empty() {
        let due = if field.is_over() { 0 } else { beat.due() };
        for _ in 0..due.min(MAX_TRIED - tried.len()) {
            let case = case(number);
            let mut peer = Peer::dial(field.address, number)?;
            number += 1;
            peer.send(&case.bytes);
            tried.push((peer, case, Instant::now(), None));
        }
        tried.retain_mut(|(peer, case, since, answered)| {
            peer.send(&[]);
            peer.pump();
            if answered.is_none() && read(peer).is_some() {
                *answered = Some(Instant::now());
            }
            let is_done = peer.is_closed
                || answered.is_some_and(|at| at.elapsed() >= AFTERMATH)
                || since.elapsed() >= CASE_PATIENCE;
            if is_done {
                let answer = read(peer).unwrap_or_else(|| STILL_OPEN.to_owned());
                match case.right.contains(&answer.as_str()) {
                    true => told.note(answer),
                    false => told.note(format!("{}: {answer}", case.name)),
                }
            }
            !is_done
        });
        std::thread::sleep(TICK);
    }
    Ok(told)
}

/// What ended a connection, by the first answer alone
pub(crate) fn first_answer(peer: &Peer) -> Option<String> {
    peer.told()
}

//! The honest: 100 readers of one topic, half of them event streams and half WebSockets, and one publisher.
//!
//! The publisher publishes at a fixed rate whatever the server does (an open loop), and the latency of an event is counted
//! from when it was due: what the server holds back counts for every event that waits behind it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::frames::web_socket;
use crate::victim::{HONEST_TOPIC, PUBLISHER_KEY};

/// Readers, half over each transport
pub(crate) const READERS: usize = 100;

/// Events per second; with 100 readers that is 20,000 deliveries per second
pub(crate) const EVENTS_PER_SECOND: u64 = 200;

/// How long an event is waited for before it counts as that late
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Stands before an event's number, and in nothing that surrounds an event
const MARKER: u8 = b'!';
const DIGITS: usize = 12;

/// The honest clients of one server; dropping it ends them.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    began: Instant,
}

struct Shared {
    began: Instant,
    stop: AtomicBool,
    /// How late each delivery was, with the number of its event
    arrivals: Mutex<Vec<(u64, Duration)>>,
    /// Clients that the server has closed, the publisher among them
    lost: AtomicUsize,
}

/// A stretch of time: its first event and the one after its last.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    from: u64,
    to: u64,
}

/// How late the deliveries of a window were.
#[derive(Clone, Debug)]
pub(crate) struct Lateness {
    pub(crate) p99: Duration,
    /// Deliveries that had not come after [`PATIENCE`]
    pub(crate) missing: usize,
}

impl Crowd {
    /// Connects everybody and begins to publish.
    pub(crate) fn gather(to: SocketAddr) -> Result<Crowd> {
        let began = Instant::now();
        let shared = Arc::new(Shared {
            began,
            stop: AtomicBool::new(false),
            arrivals: Mutex::default(),
            lost: AtomicUsize::new(0),
        });
        let readers = (0..READERS)
            .map(|n| Reader::connect(to, n))
            .collect::<Result<Vec<_>>>()?;
        let publisher = connect(to)?;
        let (reading, publishing) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            std::thread::spawn(move || reading.note(read(&reading, readers))),
            std::thread::spawn(move || publishing.note(publish(&publishing, publisher))),
        ];
        Ok(Crowd {
            shared,
            threads,
            began,
        })
    }

    /// From now on.
    pub(crate) fn open_window(&self) -> Window {
        let from = due_by(self.began.elapsed()) + 1;
        Window { from, to: from }
    }

    /// Until now; what is still on its way is waited for.
    pub(crate) fn close_window(&self, window: Window) -> Result<Lateness> {
        let window = Window {
            to: due_by(self.began.elapsed()) + 1,
            ..window
        };
        let expected = (window.to - window.from) as usize * READERS;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut late = self.lateness(window);
            if late.len() >= expected || Instant::now() >= deadline {
                let missing = expected.saturating_sub(late.len());
                late.resize(expected.max(late.len()), PATIENCE);
                ensure!(!late.is_empty(), "a window without events says nothing");
                late.sort_unstable();
                let p99 = late[(late.len() * 99 / 100).min(late.len() - 1)];
                return Ok(Lateness { p99, missing });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn lateness(&self, window: Window) -> Vec<Duration> {
        let arrivals = self
            .shared
            .arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let within = arrivals
            .iter()
            .filter(|a| (window.from..window.to).contains(&a.0));
        within.map(|a| a.1).collect()
    }

    /// How many of them the server has closed.
    pub(crate) fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Whatever it met was counted as lost.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn note(&self, ended: Result<()>) {
        if let Err(error) = ended
            && !self.is_over()
        {
            eprintln!("honest: {error:#}");
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// When event `number` is due, from the beginning.
fn due(number: u64) -> Duration {
    Duration::from_micros(number * 1_000_000 / EVENTS_PER_SECOND)
}

/// The last event that is due by then.
fn due_by(elapsed: Duration) -> u64 {
    elapsed.as_micros() as u64 * EVENTS_PER_SECOND / 1_000_000
}

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

fn publish(shared: &Shared, mut stream: TcpStream) -> Result<()> {
    let mut answers = stream.try_clone()?;
    answers.set_nonblocking(true)?;
    let mut buffer = [0; 16 * 1024];
    let mut number = 0;
    while !shared.is_over() {
        let now = shared.began.elapsed();
        if now < due(number) {
            std::thread::sleep(due(number) - now);
        }
        let body = format!("!{number:0DIGITS$} what an honest dashboard is told");
        let request = format!(
            "POST /topics/{HONEST_TOPIC} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {PUBLISHER_KEY}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        // A stream and its clone share the flag.
        answers.set_nonblocking(false)?;
        stream.write_all(request.as_bytes())?;
        answers.set_nonblocking(true)?;
        number += 1;
        while let Ok(n) = answers.read(&mut buffer) {
            ensure!(n > 0, "the publisher was closed");
            if let Some(at) = memchr::memmem::find(&buffer[..n], b"HTTP/1.1 ") {
                ensure!(
                    buffer[at + 9..].starts_with(b"200"),
                    "a publish was refused"
                );
            }
        }
    }
    Ok(())
}

/// One honest reader.
struct Reader {
    stream: TcpStream,
    /// What has come and is not taken apart yet: an event or a frame that was cut
    held: Vec<u8>,
    is_web_socket: bool,
}

impl Reader {
    fn connect(to: SocketAddr, number: usize) -> Result<Reader> {
        let is_web_socket = number % 2 == 1;
        let target = format!("/topics/{HONEST_TOPIC}");
        let request = match number % 4 {
            1 => web_socket::opening(&target, "Sec-WebSocket-Protocol: push.v1\r\n"),
            3 => web_socket::opening(&target, ""),
            _ => format!(
                "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
            )
            .into(),
        };
        let mut stream = connect(to)?;
        stream.write_all(&request)?;
        let mut held = Vec::new();
        let mut buffer = [0; 4096];
        let end = loop {
            if let Some(end) = memchr::memmem::find(&held, b"\r\n\r\n") {
                break end + 4;
            }
            let n = stream
                .read(&mut buffer)
                .context("no answer to an honest reader")?;
            ensure!(n > 0, "an honest reader was closed");
            held.extend_from_slice(&buffer[..n]);
        };
        let head = held.drain(..end).collect::<Vec<u8>>();
        let expect: &[u8] = if is_web_socket {
            b"HTTP/1.1 101"
        } else {
            b"HTTP/1.1 200"
        };
        ensure!(
            head.starts_with(expect),
            "an honest reader was told {:?}",
            String::from_utf8_lossy(&head)
        );
        stream.set_nonblocking(true)?;
        Ok(Reader {
            stream,
            held,
            is_web_socket,
        })
    }

    /// Takes what has come apart; `each` is given the number of each event.
    fn take(&mut self, buffer: &mut [u8], each: impl FnMut(u64)) -> Result<()> {
        let n = match self.stream.read(buffer) {
            Ok(0) => bail!("an honest reader was closed"),
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.held.extend_from_slice(&buffer[..n]);
        if self.is_web_socket {
            return self.take_frames(each);
        }
        let used = numbers(&self.held, each);
        self.held.drain(..used);
        Ok(())
    }

    fn take_frames(&mut self, mut each: impl FnMut(u64)) -> Result<()> {
        let mut at = 0;
        while let Some((first, payload, len)) = web_socket::next(&self.held[at..]) {
            match first & 0x0f {
                8 => bail!("an honest reader was closed"),
                9 => self.stream.write_all(&web_socket::frame(0x8a, payload))?,
                _ => drop(numbers(payload, &mut each)),
            }
            at += len;
        }
        self.held.drain(..at);
        Ok(())
    }
}

/// The numbers of the events in `bytes`; answers how many bytes need not be looked at again.
fn numbers(bytes: &[u8], mut each: impl FnMut(u64)) -> usize {
    let mut at = 0;
    while let Some(marker) = memchr::memchr(MARKER, &bytes[at..]) {
        let start = at + marker + 1;
        let Some(digits) = bytes.get(start..start + DIGITS) else {
            return at + marker;
        };
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|d| d.parse().ok());
        number.map(&mut each);
        at = start + DIGITS;
    }
    bytes.len()
}

fn read(shared: &Shared, mut readers: Vec<Reader>) -> Result<()> {
    let epoll: OwnedFd = epoll::create(CreateFlags::CLOEXEC)?;
    for (n, reader) in readers.iter().enumerate() {
        epoll::add(
            &epoll,
            &reader.stream,
            EventData::new_u64(n as u64),
            EventFlags::IN,
        )?;
    }
    let mut events: Vec<Event> = Vec::with_capacity(READERS);
    let mut buffer = [0; 64 * 1024];
    let mut arrived = Vec::new();
    while !shared.is_over() {
        events.clear();
        let timeout = Timespec::try_from(Duration::from_millis(50))?;
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&epoll, spare, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let reader = &mut readers[event.data.u64() as usize];
            let now = shared.began.elapsed();
            let taken = reader.take(&mut buffer, |number| {
                arrived.push((number, now.saturating_sub(due(number))));
            });
            if taken.is_err() {
                shared.note(taken);
                epoll::delete(&epoll, &reader.stream)?;
            }
        }
        let mut arrivals = shared
            .arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        arrivals.append(&mut arrived);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_wherever_the_bytes_are_cut() {
        let bytes = b"data: !000000000007 x\n\ndata: !000000000008 x";
        for cut in 0..bytes.len() {
            let (mut held, mut seen) = (Vec::new(), Vec::new());
            for part in [&bytes[..cut], &bytes[cut..]] {
                held.extend_from_slice(part);
                let used = numbers(&held, |n| seen.push(n));
                held.drain(..used);
            }
            assert_eq!(seen, [7, 8], "cut at {cut}");
        }
    }

    #[test]
    fn an_event_is_due_when_its_number_says() {
        assert_eq!(due_by(due(777)), 777);
        assert_eq!(due_by(due(777) - Duration::from_micros(1)), 776);
    }
}

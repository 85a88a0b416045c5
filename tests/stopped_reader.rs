//! One of a hundred readers stops reading, and only that one notices.
//!
//! Events are published in rounds, each of which ends when every other reader has all of it, so the time of a round
//! is the slowest delivery in it. Rounds before the stop say what is usual here and now; rounds during it must be as
//! quick, and the server's memory must stay within the bound below.
//!
//! `cargo xtask stall --seconds 60` makes the stop last.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::PATIENCE;
use crate::support::driver::Killed;
use crate::support::event_stream::EventStream;
use crate::support::http::Request;
use crate::support::server::Server;
use crate::support::skip;
use crate::support::web_socket::WebSocket;

/// Readers beside the one that is stopped
const OTHERS: usize = 99;

/// Events in a round
const ROUND: usize = 16;

const EVENT_BYTES: usize = 8 << 10;

/// What the server may keep of events and of their encodings (`log.ceiling_bytes`)
const CEILING: u64 = 4 << 20;

/// What may wait for one connection (`stream.send_buffer_bytes`)
const SEND_BUFFER: u64 = 64 << 10;

/// What a connection costs besides: its state, its request, its response head
const CONNECTION: u64 = 32 << 10;

/// A round's body, as it arrives and as it is parsed
const PUBLISHING: u64 = 4 * (ROUND * EVENT_BYTES) as u64;

/// Most memory that the server may hold above what it held before anybody came
///
/// The log at its ceiling, every connection with a full send buffer, and one batch on its way in: 4 MiB +
/// 100 x (64 + 32) KiB + 512 KiB = 13.9 MiB. An allocator keeps up to half as much again in pieces too small to use.
const BOUND: u64 =
    (CEILING + (OTHERS as u64 + 1) * (SEND_BUFFER + CONNECTION) + PUBLISHING) * 3 / 2;

/// What is published while the reader is stopped, at least: far more than the bound, which a server that
/// kept it all for the reader would break
const VOLUME: u64 = 3 * BOUND;

/// How many readers have a round, and the number of the round.
#[derive(Default)]
struct Arrivals {
    of_round: Mutex<usize>,
    more: Condvar,
}

impl Arrivals {
    fn arrive(&self) {
        *self.of_round.lock().unwrap() += 1;
        self.more.notify_one();
    }

    /// Returns when every reader has the round.
    #[track_caller]
    fn wait(&self) {
        let arrived = self.of_round.lock().unwrap();
        let waiting = |arrived: &mut usize| *arrived < OTHERS;
        let (mut arrived, late) = self
            .more
            .wait_timeout_while(arrived, PATIENCE, waiting)
            .unwrap();
        assert!(
            !late.timed_out(),
            "{arrived} of {OTHERS} readers have the round"
        );
        *arrived = 0;
    }
}

/// Follows until the publisher says that it is done; every event must come, in order.
fn read(server: &Server, number: usize, arrivals: &Arrivals) {
    let mut next: Box<dyn FnMut() -> String> = if number.is_multiple_of(2) {
        let mut stream = EventStream::follow(server, "/topics/load");
        Box::new(move || {
            let block = stream.next_block().expect("a stream that goes on");
            assert!(!block.is_control("gap"), "{block:?}");
            block.data.unwrap()
        })
    } else {
        let mut socket = WebSocket::push(server, "/topics");
        let answer = socket.command("subscribe", &json!({"match": ["load"]}));
        assert!(answer.get("result").is_some(), "{answer}");
        Box::new(move || {
            loop {
                let message = socket.next_json();
                assert!(message.get("gap").is_none(), "{message}");
                if let Some(event) = message.get("event") {
                    return event["data"].as_str().unwrap().to_owned();
                }
            }
        })
    };
    arrivals.arrive();
    for expected in 1usize.. {
        let data = next();
        if data == "done" {
            return;
        }
        let number = data.split(' ').next().unwrap();
        assert_eq!(number, expected.to_string());
        if expected.is_multiple_of(ROUND) {
            arrivals.arrive();
        }
    }
}

/// The publisher, and the times its rounds took.
struct Load<'a> {
    server: &'a Server,
    arrivals: &'a Arrivals,
    published: usize,
}

impl Load<'_> {
    /// One round; the time until the slowest reader has it.
    #[track_caller]
    fn round(&mut self) -> Duration {
        let padding = "x".repeat(EVENT_BYTES);
        let events: Vec<String> = (1..=ROUND)
            .map(|n| {
                let data = format!("{} {padding}", self.published + n);
                json!({"topic": "load", "data": data}).to_string()
            })
            .collect();
        self.published += ROUND;
        let start = Instant::now();
        let reply = self
            .server
            .ask(&Request::post("/publish", events.join("\n").as_bytes()));
        assert_eq!(reply.status(), 200, "{reply:?}");
        self.arrivals.wait();
        start.elapsed()
    }

    /// Rounds until so much time has passed and so many bytes were published; their times, in order of length.
    #[track_caller]
    fn rounds(&mut self, time: Duration, bytes: u64) -> Vec<Duration> {
        let start = Instant::now();
        let mut times = Vec::new();
        while start.elapsed() < time || (times.len() * ROUND * EVENT_BYTES) as u64 <= bytes {
            times.push(self.round());
        }
        times.sort_unstable();
        times
    }
}

/// The reader that is stopped: a process, so that nothing of it runs, and its kernel buffers fill.
struct Curl {
    process: Killed,
    /// The start of each line it prints, taken from it as long as it runs
    lines: Receiver<String>,
}

impl Curl {
    fn follow(server: &Server, after: Option<&str>) -> Option<Self> {
        let mut command = Command::new(skip::program("curl")?);
        command.args([
            "--silent",
            "--no-buffer",
            "--noproxy",
            "*",
            &server.url("/topics/load"),
        ]);
        if let Some(position) = after {
            command.args(["--header", &format!("Last-Event-ID: {position}")]);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for mut line in stdout.lines().map_while(Result::ok) {
                line.truncate(100);
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let process = Killed(process);
        let curl = Self { process, lines };
        while curl.next_line()? != "event: push.state" {}
        Some(curl)
    }

    /// The next line; `None` once it has ended.
    #[track_caller]
    fn next_line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("curl gets nothing"),
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.0.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

/// What the stopped reader has missed was announced, whether it was disconnected meanwhile or not.
#[track_caller]
fn reads_to_the_end(server: &Server, mut curl: Curl) {
    let mut position = String::new();
    let (mut told, mut gap_announced) = (0, false);
    loop {
        let Some(line) = curl.next_line() else {
            curl = Curl::follow(server, Some(&position)).unwrap();
            continue;
        };
        if let Some(id) = line.strip_prefix("id: ") {
            id.clone_into(&mut position);
        } else if line == "event: push.gap" {
            gap_announced = true;
        } else if line == "data: done" {
            break;
        } else if let Some(data) = line.strip_prefix("data: ")
            && !data.starts_with('{')
        {
            let number: usize = data.split(' ').next().unwrap().parse().unwrap();
            assert!(
                number == told + 1 || (number > told && gap_announced),
                "{number} after {told} without a word"
            );
            (told, gap_announced) = (number, false);
        }
    }
}

fn a_stopped_reader_disturbs_nobody(shards: &str) {
    let server = Server::with(&[
        &format!("shards={shards}"),
        &format!("log.ceiling_bytes={CEILING}"),
        &format!("log.max_bytes={CEILING}"),
        "http.max_body_bytes=1MiB",
        &format!("stream.send_buffer_bytes={SEND_BUFFER}"),
        // Due again and again while the stopped reader takes nothing.
        "stream.heartbeat=300ms",
        "rates.subject_publishes_per_second=none",
        "rates.address_connects_per_second=none",
    ]);
    let idle = server.resident_bytes();
    let Some(curl) = Curl::follow(&server, None) else {
        return;
    };
    let seconds = std::env::var("PUSHSERVER_STALL_SECONDS").ok();
    let seconds = Duration::from_secs(seconds.map_or(1, |s| s.parse().unwrap()));
    let arrivals = Arrivals::default();
    thread::scope(|scope| {
        let _guard = server.dies_with_the_test();
        for number in 0..OTHERS {
            let (server, arrivals) = (&server, &arrivals);
            scope.spawn(move || read(server, number, arrivals));
        }
        arrivals.wait();
        let mut load = Load {
            server: &server,
            arrivals: &arrivals,
            published: 0,
        };
        // Let the log fill first, so that what is compared is the same work.
        load.rounds(Duration::ZERO, 2 * CEILING);
        let before = load.rounds(seconds / 4, VOLUME / 4);
        curl.signal("STOP");
        let during = load.rounds(seconds, VOLUME);
        let held = server.resident_bytes() - idle;
        curl.signal("CONT");
        server.publish("load", "done");
        reads_to_the_end(&server, curl);
        let (usual, now) = (percentile(&before, 50), percentile(&during, 50));
        let (usual_slow, now_slow) = (percentile(&before, 99), percentile(&during, 99));
        println!(
            "{shards} shards: rounds of {ROUND} events to {OTHERS} readers, p50 {usual:.1?} and p99 {usual_slow:.1?} \
             before, p50 {now:.1?} and p99 {now_slow:.1?} in {} rounds during; memory {:.1} of {:.1} MiB",
            during.len(),
            held as f64 / f64::from(1 << 20),
            BOUND as f64 / f64::from(1 << 20),
        );
        assert!(held <= BOUND, "{held} bytes held, more than {BOUND}");
        // A machine that does other things beside this one is not to blame on the stopped reader.
        assert!(now <= usual * 2, "rounds take {now:?} instead of {usual:?}");
        assert!(
            now_slow <= usual_slow * 2 + Duration::from_millis(100),
            "slow rounds take {now_slow:?} instead of {usual_slow:?}"
        );
    });
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
fn a_stopped_reader_disturbs_nobody_on_one_shard() {
    a_stopped_reader_disturbs_nobody("1");
}

#[test]
fn a_stopped_reader_disturbs_nobody_on_two_shards() {
    a_stopped_reader_disturbs_nobody("2");
}

//! The server as a process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::driver::Killed;
use super::http::{Reply, Request};
use super::skip;

/// A running server; it is killed when this is dropped.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    settings: Vec<String>,
    program: Program,
    /// What it has written, shown when the test fails
    said: Arc<Mutex<String>>,
}

impl Server {
    /// The server as somebody starts it who has read nothing, on a free port of loopback.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same with these settings, such as `stream.heartbeat=1s`.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        Self::launch(Program::Pushserver, "127.0.0.1:0", settings)
    }

    /// A server that reads this file, which may change while it runs.
    pub(crate) fn configured(file: &Path) -> Self {
        let program = Program::Configured(file.to_owned());
        Self::launch(program, "127.0.0.1:0", Vec::new())
    }

    /// A server over a store that others may share, on a free port or on that of another.
    pub(crate) fn over(store: &SharedStore, listen: &str, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        Self::launch(Program::Over(store.address.clone()), listen, settings)
    }

    fn launch(program: Program, listen: &str, settings: Vec<String>) -> Self {
        let mut process = program
            .command()
            .args(["serve", "--listen", listen])
            .args(settings.iter().flat_map(|s| ["--set", s]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = channel();
        let stdout = process.stdout.take().unwrap();
        let stderr = process.stderr.take().unwrap();
        let (said_out, said_err) = (said.clone(), said.clone());
        thread::spawn(move || listen_to(stdout, &said_out, |line| drop(lines.send(line))));
        thread::spawn(move || listen_to(stderr, &said_err, drop));
        let Some(address) = announced(&heard) else {
            drop(process.kill());
            let said = said.lock().unwrap();
            panic!("the server does not say where it listens; it said:\n{said}");
        };
        Self {
            process,
            address,
            settings,
            program,
            said,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of something on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same for a WebSocket.
    pub(crate) fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// Sends a request of one's own making and reads the whole answer.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Reply {
        request.send(self.address)
    }

    /// Publishes text to a topic, and returns the position it was answered.
    #[track_caller]
    pub(crate) fn publish(&self, topic: &str, data: &str) -> String {
        self.publish_as(topic, "", data)
    }

    /// The same with a query string such as `?type=price`.
    #[track_caller]
    pub(crate) fn publish_as(&self, topic: &str, query: &str, data: &str) -> String {
        let path = format!("/topics/{topic}{query}");
        let reply = self.ask(&Request::post(&path, data.as_bytes()));
        assert!(reply.is_success(), "publishing was answered {reply:?}");
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    /// Kills the server if the test fails while this lives, so that threads which wait for it end too.
    pub(crate) fn dies_with_the_test(&self) -> impl Drop {
        DiesWithTheTest(self)
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success(), "kill -{name}");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.wait_for_at_most(PATIENCE)
    }

    /// The same for a server that takes its time.
    #[track_caller]
    pub(crate) fn wait_for_at_most(&mut self, time: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < time, "the server does not end");
            // Those who are sent away need the processor meanwhile.
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Kills it as a crash would, and starts another in its place.
    pub(crate) fn crash_and_restart(&mut self) {
        self.signal("KILL");
        self.wait();
        self.start_again();
    }

    /// Ends it as a deploy would, and starts another in its place.
    pub(crate) fn restart(&mut self) {
        self.signal("TERM");
        self.wait();
        self.start_again();
    }

    /// Starts another in the place of one that has ended.
    pub(crate) fn start_again(&mut self) {
        let listen = self.address.to_string();
        *self = Self::launch(self.program.clone(), &listen, self.settings.clone());
    }

    /// Bytes of memory it holds now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// Processor time it has taken, in the kernel and out of it, to a hundredth of a second.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // The command's name stands in brackets and may hold anything; the times are the 12th and 13th field behind it.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// What it has written so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if thread::panicking() {
            println!("the server at {} said:\n{}", self.address, self.said());
        }
    }
}

/// A setting by which a server has a key
pub(crate) const SECRET: &str = "auth.secret=a-secret-of-more-than-32-bytes-for-tests";

/// A token made as the guide says, by a server with this secret.
pub(crate) fn token(secret: &str, grants: &[&str]) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_pushserver"))
        .args(["token", "--set", secret])
        .args(grants)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// What is started
#[derive(Clone)]
enum Program {
    /// The command
    Pushserver,
    /// The command with a configuration file
    Configured(PathBuf),
    /// The command built with a store, whose address is this
    Over(String),
}

impl Program {
    fn command(&self) -> Command {
        match self {
            Self::Pushserver => Command::new(env!("CARGO_BIN_EXE_pushserver")),
            Self::Configured(file) => {
                let mut command = Self::Pushserver.command();
                command.arg("--config").arg(file);
                command
            }
            Self::Over(store) => {
                let mut command = Command::new(shared_store());
                command.env("SHARED_STORE", store);
                command
            }
        }
    }
}

/// The example that keeps a log for several servers, and is one of them; Cargo builds it beside the command.
fn shared_store() -> PathBuf {
    let command = PathBuf::from(env!("CARGO_BIN_EXE_pushserver"));
    command.with_file_name("examples/shared_store")
}

/// A store in a process of its own.
pub(crate) struct SharedStore {
    address: String,
    _process: Killed,
}

impl SharedStore {
    /// Starts it; `None`, and a word to who runs the test, where the example was not built.
    pub(crate) fn start() -> Option<Self> {
        let program = shared_store();
        if !program.exists() {
            skip::skip(
                "`cargo test` without `--test` builds the example shared_store, which is not here",
            );
            return None;
        }
        let mut process = Command::new(program)
            .args(["store", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        let process = Killed(process);
        BufReader::new(stdout).read_line(&mut line).unwrap();
        Some(Self {
            address: address_in(&line).unwrap().to_string(),
            _process: process,
        })
    }
}

struct DiesWithTheTest<'a>(&'a Server);

impl Drop for DiesWithTheTest<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.signal("KILL");
        }
    }
}

/// The address in the line that says where it listens.
fn announced(heard: &Receiver<String>) -> Option<SocketAddr> {
    while let Ok(line) = heard.recv_timeout(PATIENCE) {
        if let Some(address) = address_in(&line) {
            return Some(address);
        }
    }
    None
}

pub(crate) fn address_in(line: &str) -> Option<SocketAddr> {
    let at = line.find("127.0.0.1:")?;
    let end = line[at..]
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')
        .map_or(line.len(), |n| at + n);
    line[at..end].parse().ok()
}

fn listen_to(pipe: impl Read, said: &Mutex<String>, mut each: impl FnMut(String)) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        let mut said = said.lock().unwrap();
        said.push_str(&line);
        said.push('\n');
        drop(said);
        each(line);
    }
}

#[test]
fn the_address_is_found_in_what_the_server_prints() {
    let address = |line| address_in(line).map(|a| a.to_string());
    assert_eq!(
        address("pushserver listening on http://127.0.0.1:8123/").as_deref(),
        Some("127.0.0.1:8123")
    );
    assert_eq!(
        address("listening on 127.0.0.1:80").as_deref(),
        Some("127.0.0.1:80")
    );
    assert_eq!(address("keeping the log in memory"), None);
}

//! A deploy under load: the server is asked to end, another starts in its place, and no client is told of a loss.
//!
//! Half of the clients are event streams and half WebSockets. Publishers go on all the while: they repeat with the same
//! idempotency key what was not answered, and now and then cut a connection before its answer. What they were answered is
//! what every client must have, once and in order.
//!
//! The same is done with two servers over one store, where the other is there before the one leaves.
//!
//! `cargo xtask drain` does it with thousands of clients on the optimised server.

mod client;
mod ledger;
mod publisher;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::oneshot;

use self::ledger::Ledger;
use crate::support::PATIENCE;
use crate::support::event_stream::EventStream;
use crate::support::http::Request;
use crate::support::server::{Server, SharedStore};

/// Topics, each with a publisher of its own, so that the data of its events can be numbers that count up
const TOPICS: usize = 4;

/// Most that one second of the window may see of the mean
const MAX_SHARE: f64 = 1.5;

/// Most time between a revocation and the end of the last stream it concerns
const MAX_REVOCATION: Duration = Duration::from_secs(1);

/// How many take part, and for how long
#[derive(Clone, Copy, Debug)]
struct Plan {
    clients: usize,
    window: Duration,
    /// Time between two publishes of one publisher
    pause: Duration,
}

impl Plan {
    fn small() -> Self {
        Self {
            clients: 200,
            window: Duration::from_secs(4),
            pause: Duration::from_millis(50),
        }
    }

    /// As `cargo xtask drain` asks for it
    fn asked_for() -> Option<Self> {
        let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
        Some(Self {
            clients: number("PUSHSERVER_DRAIN_CLIENTS")?,
            window: Duration::from_secs(number("PUSHSERVER_DRAIN_SECONDS")? as u64),
            pause: Duration::from_millis(200),
        })
    }
}

/// Everybody who is not the server, on a thread of their own until this is dropped
struct Crowd {
    ledger: Arc<Ledger>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Crowd {
    fn start(address: SocketAddr, plan: Plan) -> Self {
        let ledger = Arc::new(Ledger::default());
        let (stop, stopped) = oneshot::channel();
        let all = Arc::clone(&ledger);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                for number in 0..plan.clients {
                    tokio::spawn(client::follow(address, number, Arc::clone(&all)));
                }
                for topic in 0..TOPICS {
                    tokio::spawn(publisher::publish(address, topic, plan, Arc::clone(&all)));
                }
                drop(stopped.await);
            });
        });
        Self {
            ledger,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The times of a deploy, from the moment the server was asked to end
struct Deploy {
    asked: Instant,
    gone: Duration,
    back: Duration,
}

/// The one server leaves, the other reads what it left.
fn restart(server: &mut Server) -> Deploy {
    let asked = Instant::now();
    server.signal("TERM");
    assert!(server.wait().success(), "the server does not end well");
    let gone = asked.elapsed();
    server.start_again();
    let back = asked.elapsed();
    Deploy { asked, gone, back }
}

/// The other server comes first; the one leaves stream by stream.
fn roll(server: &mut Server, successor: Server, window: Duration) -> Deploy {
    let asked = Instant::now();
    server.signal("TERM");
    let ended = server.wait_for_at_most(window + PATIENCE);
    assert!(ended.success(), "the server does not end well");
    let gone = asked.elapsed();
    *server = successor;
    let back = Duration::ZERO;
    Deploy { asked, gone, back }
}

/// Lets everybody go through a deploy, and says what was not as it should be.
#[track_caller]
fn faults_of(
    plan: Plan,
    mut server: Server,
    deploy: impl FnOnce(&mut Server) -> Deploy,
) -> Vec<String> {
    let crowd = Crowd::start(server.address(), plan);
    let ledger = &crowd.ledger;
    let connecting = PATIENCE + plan.window;
    ledger.wait("every client follows", connecting, |all| {
        all.following == plan.clients
    });
    ledger.wait("publishers are at work", PATIENCE, |all| {
        all.answered.iter().all(|answered| *answered >= 10)
    });
    let deploy = deploy(&mut server);
    ledger.wait("every client is back", plan.window + PATIENCE, |all| {
        all.arrivals.len() == plan.clients
    });
    ledger.say_done();
    ledger.wait("every client has the last event", PATIENCE, |all| {
        all.finished == plan.clients
    });
    let memory = server.resident_bytes();
    let revoked = Instant::now();
    let order = json!({ "match": "drain/**", "until": "1m" }).to_string();
    let reply = server.ask(&Request::post("/admin/revocations", order.as_bytes()));
    assert_eq!(reply.status(), 200, "{reply:?}");
    ledger.wait(
        "every stream has ended by its revocation",
        PATIENCE,
        |all| all.revoked.len() == plan.clients,
    );
    ledger.judge(|all| {
        let last = all.revoked.iter().max().map(|last| *last - revoked);
        println!(
            "{} clients, half event streams, half WebSockets; window {:?}; memory with all of them back {:.1} MiB",
            plan.clients,
            plan.window,
            memory as f64 / f64::from(1 << 20)
        );
        println!(
            "the server was gone after {:.3} s, its successor listened after {:.3} s",
            deploy.gone.as_secs_f64(),
            deploy.back.as_secs_f64()
        );
        all.faults(plan, deploy.asked, last.unwrap_or_default())
    })
}

#[track_caller]
fn check(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn nobody_notices_a_deploy() {
    let plan = Plan::asked_for().unwrap_or(Plan::small());
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(&[
        &format!("log.snapshot={}", folder.path().join("log").display()),
        &format!("drain.window={}ms", plan.window.as_millis()),
        "log.max_events=100000",
    ]);
    check(&faults_of(plan, server, restart));
}

#[test]
fn nobody_notices_a_rolling_deploy_over_a_shared_store() {
    let plan = Plan::asked_for().unwrap_or(Plan::small());
    let Some(store) = SharedStore::start() else {
        return;
    };
    let settings = [
        "drain.mode=rolling",
        &format!("drain.window={}ms", plan.window.as_millis()),
        "log.max_events=100000",
        "stream.retry=200ms",
    ];
    let server = Server::over(&store, "127.0.0.1:0", &settings);
    let port = server.address().to_string();
    check(&faults_of(plan, server, |server| {
        let successor = Server::over(&store, &port, &settings);
        roll(server, successor, plan.window)
    }));
}

#[test]
fn two_servers_over_one_store_are_one_to_their_clients() {
    let Some(store) = SharedStore::start() else {
        return;
    };
    let servers = [(); 2].map(|()| Server::over(&store, "127.0.0.1:0", &[]));
    let mut streams = servers
        .each_ref()
        .map(|server| EventStream::follow(server, "/topics/a"));
    let mut seen = String::new();
    for (turn, server) in servers.iter().cycle().take(4).enumerate() {
        seen = server.publish("a", &turn.to_string());
        for stream in &mut streams {
            let event = stream.next_event();
            assert_eq!(event.data.unwrap(), turn.to_string());
            assert_eq!(event.id.unwrap(), seen);
        }
    }
    // A position of the one is good at the other.
    servers[0].publish("a", "4");
    let mut stream = EventStream::resume(&servers[1], "/topics/a", &seen);
    let next = stream.next_block().unwrap();
    assert_eq!(next.data.as_deref(), Some("4"), "{next:?}");
}

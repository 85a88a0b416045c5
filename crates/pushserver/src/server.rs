//! The server as a whole: listeners, shards, the clock's tick, and leaving.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pushcore::Timestamp;
use socket2::{Domain, Protocol, Socket, Type};

use crate::app::App;
use crate::config::Config;
use crate::leaving::Phase;
use crate::shard::Shard;

/// A server that runs until it is told to leave
///
/// It owns its threads: one per shard and one that keeps the hub's time. Dropping it without
/// [`leave`](Server::leave) leaves them running until the process ends.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

/// Connections that the system holds for us until they are accepted; a deploy brings many at once
const BACKLOG: i32 = 4096;

/// Longest time between two ticks of the hub, when it has nothing due
const MAX_TICK: Duration = Duration::from_millis(500);

impl Server {
    /// Listens and starts serving
    ///
    /// # Errors
    /// When the address cannot be listened on or a thread cannot be started.
    pub fn start(config: Config) -> io::Result<Self> {
        let shards = config.server.shards.get();
        let wanted = config.server.listen;
        let first = listen(wanted, shards > 1)?;
        let address = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..shards {
            listeners.push(listen(address, true)?);
        }
        let app = App::new(config, None).map_err(io::Error::other)?;
        let mut threads = Vec::with_capacity(shards + 1);
        for (index, listener) in listeners.into_iter().enumerate() {
            let app = Arc::clone(&app);
            let run = move || {
                if let Err(error) = Shard::run(app, listener) {
                    tracing::error!(%error, "a shard could not start");
                }
            };
            threads.push(
                std::thread::Builder::new()
                    .name(format!("shard-{index}"))
                    .spawn(run)?,
            );
        }
        let ticking = Arc::clone(&app);
        threads.push(
            std::thread::Builder::new()
                .name("clock".to_owned())
                .spawn(move || tick(&ticking))?,
        );
        Ok(Self {
            app,
            address,
            threads,
        })
    }

    /// Where it listens; with port 0 in the configuration, the port the system chose
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leaves service: no new connections, every stream is sent away with its own time to return, requests under
    /// way are answered, and the threads end
    ///
    /// Returns once that is done or the configured deadline is over.
    pub fn leave(self) {
        self.app.leaving.enter(Phase::Leaving);
        let deadline = Instant::now() + self.app.config.drain.deadline;
        while self.app.admission.open() > 0 && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.app.leaving.enter(Phase::Gone);
        for thread in self.threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread ended by a panic");
            }
        }
    }
}

/// Keeps the hub's time: retention by age, grants that run out
fn tick(app: &App) {
    while app.leaving.phase() < Phase::Gone {
        let now = app.clock.now();
        app.hub.handle_tick(now);
        let due = app.hub.poll_timeout().unwrap_or(Timestamp(u64::MAX));
        std::thread::park_timeout(due.since(now).clamp(Duration::from_millis(1), MAX_TICK));
    }
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if shared {
        // Each shard has a listener of its own, and the system spreads connections over them.
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

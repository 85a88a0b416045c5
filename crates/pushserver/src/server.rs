//! The server as a whole: listeners, shards, the clock's tick, and leaving.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pushcore::Timestamp;
use pushcore::store::Store;
use socket2::{Domain, Protocol, Socket, Type};

use crate::app::{App, StartError};
use crate::auth::Authority;
use crate::config::{Config, DrainMode};
use crate::leaving::Phase;
use crate::operations;
use crate::shard::Shard;
use crate::snapshot;

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

/// Time between two lines about how far leaving has come
const PROGRESS: Duration = Duration::from_secs(1);

impl Server {
    /// Listens and starts serving
    ///
    /// # Errors
    /// When the address cannot be listened on, a key or the snapshot's place cannot be used, or a thread cannot be
    /// started.
    pub fn start(config: Config) -> io::Result<Self> {
        if let Some(path) = &config.log.snapshot {
            snapshot::check(path)?;
        }
        let listeners = Listeners::open(&config)?;
        Self::serve(App::new(config, None).map_err(io::Error::other)?, listeners)
    }

    /// The same over a log that `store` keeps, which other servers may share
    ///
    /// Blocks until what the store retains is read. The store brings whatever threads or tasks it needs.
    ///
    /// # Errors
    /// As [`start`](Server::start), and when the store cannot be read or followed.
    pub fn start_over(config: Config, store: Arc<dyn Store>) -> io::Result<Self> {
        let listeners = Listeners::open(&config)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let app = runtime.block_on(App::over(store, config, None));
        Self::serve(app.map_err(io::Error::other)?, listeners)
    }

    fn serve(app: Arc<App>, listeners: Listeners) -> io::Result<Self> {
        let (address, shards) = (listeners.address, listeners.of_shards.len());
        for warning in app.authority.warnings() {
            tracing::warn!("{warning}");
        }
        let mut threads = Vec::with_capacity(shards + 1);
        for (index, listener) in listeners.of_shards.into_iter().enumerate() {
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
        if let Some(listener) = listeners.of_operations {
            tracing::info!(address = %listener.local_addr()?, "listening for those who watch");
            threads.push(operations::spawn(Arc::clone(&app), listener)?);
        }
        let ticking = Arc::clone(&app);
        threads.push(
            std::thread::Builder::new()
                .name("clock".to_owned())
                .spawn(move || tick(&ticking))?,
        );
        tracing::info!(%address, shards, "listening");
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

    /// Whether it speaks TLS
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.app.tls.is_some()
    }

    /// What it was started with
    pub(crate) fn config(&self) -> &Config {
        &self.app.config
    }

    /// Whom it believes
    pub(crate) fn authority(&self) -> &Authority {
        &self.app.authority
    }

    /// Takes keys, certificates, hosts and origins from `config`, and reads their files again; nobody is disconnected
    ///
    /// A grant that was given stays as it is until it runs out or is revoked. Other settings wait for the next start.
    ///
    /// # Errors
    /// When a file cannot be read, or a host or origin is none. Then everything stays as it was.
    pub fn reload(&self, config: &Config) -> Result<(), StartError> {
        if let Some(tls) = &self.app.tls {
            tls.reload(config)?;
        }
        self.app.authority.reload(config)?;
        self.app.publish_rates.reload(&config.auth);
        let encrypted = self.is_encrypted();
        if settled(config, encrypted) != settled(&self.app.config, encrypted) {
            tracing::warn!(
                "keys, certificates, hosts and origins are in force; the other settings that differ wait for the next start"
            );
        }
        tracing::info!("the configuration was read again");
        Ok(())
    }

    /// Leaves service: no new connections, every stream is sent away with its own time to return, requests under
    /// way are answered, the threads end, and the log is written to its snapshot
    ///
    /// Returns once that is done; connections that are still there after the configured deadline are cut.
    ///
    /// # Errors
    /// When there is to be a snapshot and it cannot be written.
    pub fn leave(self) -> io::Result<()> {
        let Self { app, threads, .. } = self;
        let started = Instant::now();
        tracing::info!(connections = app.admission.open(), "leaving service");
        app.leaving.enter(Phase::Leaving);
        wait_for_the_last(&app, started);
        app.leaving.enter(Phase::Gone);
        for thread in threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread ended by a panic");
            }
        }
        if let Some(path) = &app.config.log.snapshot {
            let events = snapshot::save(&app.hub, path).inspect_err(|error| {
                tracing::error!(path = %path.display(), %error, "the snapshot was not written");
            })?;
            tracing::info!(path = %path.display(), events, "the log was written to its snapshot");
        }
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(seconds, "left service");
        Ok(())
    }
}

fn wait_for_the_last(app: &App, started: Instant) {
    let drain = &app.config.drain;
    let stays = match drain.mode {
        DrainMode::Restart => Duration::ZERO,
        DrainMode::Rolling => drain.window,
    };
    let deadline = started + stays + drain.deadline;
    let mut next_line = started + PROGRESS;
    loop {
        let (now, open) = (Instant::now(), app.admission.open());
        if open == 0 {
            return;
        }
        let sent_away = app.metrics.streams_sent_away();
        if now >= deadline {
            tracing::warn!(connections = open, sent_away, "cutting what has not ended");
            return;
        }
        if now >= next_line {
            tracing::info!(connections = open, sent_away, "leaving");
            next_line += PROGRESS;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A configuration without what a reload puts in force, to be compared
fn settled(config: &Config, encrypted: bool) -> String {
    let (mut config, defaults) = (config.clone(), Config::default());
    config.auth = defaults.auth;
    if encrypted {
        config.tls = defaults.tls;
    }
    config.server.allowed_hosts = defaults.server.allowed_hosts;
    config.server.allowed_origins = defaults.server.allowed_origins;
    format!("{config:?}")
}

/// Keeps the hub's time: retention by age, grants that run out; and looks after files that may change
fn tick(app: &App) {
    let interval = app.config.auth.reread_interval;
    let mut look = Instant::now() + interval;
    while app.leaving.phase() < Phase::Gone {
        app.clock.catch_up();
        let now = app.clock.now();
        app.hub.handle_tick(now);
        if Instant::now() >= look {
            look = Instant::now() + interval;
            if let Some(tls) = &app.tls {
                match tls.reread_changed() {
                    Ok(true) => tracing::info!("the certificate has changed and was read again"),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::error!(%error, "the certificate has changed and cannot be used; the old one stays");
                    }
                }
            }
            match app.authority.reread_changed() {
                Ok(true) => tracing::info!("key files have changed and were read again"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "key files have changed and cannot be used; the keys stay as they were");
                }
            }
        }
        let due = app.hub.poll_timeout().unwrap_or(Timestamp(u64::MAX));
        std::thread::park_timeout(due.since(now).clamp(Duration::from_millis(1), MAX_TICK));
    }
}

/// Where the server listens, before anybody is answered
struct Listeners {
    address: SocketAddr,
    /// One for each, all on one port
    of_shards: Vec<TcpListener>,
    of_operations: Option<TcpListener>,
}

impl Listeners {
    /// In rolling mode the next server may listen before this one has left, so that no port is ever closed. In the other
    /// mode two servers on a port would each get some of the clients, in two logs, and nobody would be told.
    fn open(config: &Config) -> io::Result<Self> {
        let shards = config.server.shards.get();
        let unsent = config.stream.send_buffer_bytes;
        let rolling = config.drain.mode == DrainMode::Rolling;
        if !rolling && shards > 1 {
            // Listeners that share a port with each other share it with another server's too; a socket that shares with
            // none cannot be bound beside them.
            drop(bind(config.server.listen, false)?);
        }
        let first = listen(config.server.listen, rolling || shards > 1, unsent)?;
        let address = first.local_addr()?;
        let mut of_shards = vec![first];
        for _ in 1..shards {
            of_shards.push(listen(address, true, unsent)?);
        }
        let of_operations = config.metrics.listen;
        Ok(Self {
            address,
            of_shards,
            of_operations: of_operations
                .map(|to| listen(to, rolling, unsent))
                .transpose()?,
        })
    }
}

/// `send_buffer_bytes` bounds what the system holds unsent for a connection too: by itself it buffers megabytes for a client
/// that reads nothing, and a write that it takes looks like one that was read
fn listen(address: SocketAddr, shared: bool, send_buffer_bytes: usize) -> io::Result<TcpListener> {
    let socket = bind(address, shared)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_notsent_lowat(u32::try_from(send_buffer_bytes).unwrap_or(u32::MAX))?;
    socket.set_nonblocking(true)?;
    socket
        .listen(BACKLOG)
        .map_err(|error| cannot_listen(address, &error))?;
    Ok(socket.into())
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if shared {
        // The system spreads connections over the listeners of one port.
        socket.set_reuse_port(true)?;
    }
    socket
        .bind(&address.into())
        .map_err(|error| cannot_listen(address, &error))?;
    Ok(socket)
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(shards: usize, listen: SocketAddr, mode: DrainMode) -> Config {
        let mut config = Config::default();
        config.server.shards = shards.try_into().unwrap();
        config.server.listen = listen;
        config.drain.mode = mode;
        config
    }

    /// Starts a second server where a first one is; says what becomes of it
    fn second(mode: DrainMode, shards: [usize; 2]) -> io::Result<()> {
        let first = Server::start(config(shards[0], ([127, 0, 0, 1], 0).into(), mode)).unwrap();
        let second = Server::start(config(shards[1], first.address(), mode));
        let told = second.and_then(Server::leave);
        first.leave().unwrap();
        told
    }

    #[test]
    fn a_second_server_on_a_port_is_told_and_takes_no_clients() {
        for shards in [[2, 2], [1, 2], [2, 1], [1, 1]] {
            let error = second(DrainMode::Restart, shards).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{shards:?}");
            let told = error.to_string();
            assert!(told.contains("cannot listen on 127.0.0.1:"), "{told}");
        }
    }

    #[test]
    fn in_rolling_mode_the_next_server_listens_before_this_one_has_left() {
        second(DrainMode::Rolling, [2, 2]).unwrap();
    }
}

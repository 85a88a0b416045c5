//! What each door costs the server beside the same door in clear text: memory of a connection that is idle, processor time
//! and bytes of a delivery.
//!
//! `cargo xtask doors` measures thousands of connections on the optimised server; here a few show that it measures.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::PATIENCE;
use crate::support::server::Server;

/// The byte that every event has once, and nothing around it
const MARKER: u8 = b'!';

/// A message as dashboards send them: keys that repeat, numbers that do not
const EVENT_BYTES: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    EventStream,
    EventStreamTls,
    EventStreamHttp2,
    WebSocket,
    WebSocketTls,
    WebSocketDeflate,
}

impl Door {
    /// Each behind the one it is compared with
    const ALL: [Self; 6] = [
        Self::EventStream,
        Self::EventStreamTls,
        Self::EventStreamHttp2,
        Self::WebSocket,
        Self::WebSocketTls,
        Self::WebSocketDeflate,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::EventStream => "sse",
            Self::EventStreamTls => "sse-tls",
            Self::EventStreamHttp2 => "sse-h2",
            Self::WebSocket => "ws",
            Self::WebSocketTls => "ws-tls",
            Self::WebSocketDeflate => "ws-deflate",
        }
    }

    fn is_encrypted(self) -> bool {
        matches!(self, Self::EventStreamTls | Self::WebSocketTls)
    }

    fn request(self) -> &'static str {
        match self {
            Self::EventStream | Self::EventStreamTls | Self::EventStreamHttp2 => {
                "GET /topics/t HTTP/1.1\r\nHost: localhost\r\n\r\n"
            }
            Self::WebSocket | Self::WebSocketTls => {
                "GET /topics/t HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
            Self::WebSocketDeflate => {
                "GET /topics/t HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            }
        }
    }
}

/// What the clients have got so far
#[derive(Default)]
struct Arrived {
    ready: AtomicUsize,
    events: AtomicU64,
    bytes: AtomicU64,
    looking: Mutex<()>,
    more: Condvar,
}

impl Arrived {
    fn add(&self, events: u64, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if events > 0 {
            self.events.fetch_add(events, Ordering::Relaxed);
            self.more.notify_all();
        }
    }

    #[track_caller]
    fn wait(&self, until: impl Fn(&Self) -> bool) {
        let mut looking = self.looking.lock().unwrap();
        let start = std::time::Instant::now();
        while !until(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "{} ready, {} events, {} bytes: nothing more comes",
                self.ready.load(Ordering::Relaxed),
                self.events.load(Ordering::Relaxed),
                self.bytes.load(Ordering::Relaxed)
            );
            // Notified without the lock, so that counting costs nothing; what is missed is seen at the next look.
            let moment = Duration::from_millis(1);
            looking = self.more.wait_timeout(looking, moment).unwrap().0;
        }
    }
}

/// Takes the number of complete events from what has come of a WebSocket that compresses: its frames.
fn take_frames(arrived: &mut Vec<u8>) -> u64 {
    let (mut at, mut frames) = (0, 0);
    loop {
        let (header, length) = match arrived[at..] {
            [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
            [_, length, ..] if length < 126 => (2, usize::from(length)),
            _ => break,
        };
        if arrived.len() < at + header + length {
            break;
        }
        assert_eq!(arrived[at] & 0x40, 0x40, "it is not compressed");
        at += header + length;
        frames += 1;
    }
    arrived.drain(..at);
    frames
}

async fn read(
    mut io: impl AsyncRead + AsyncWrite + Unpin,
    door: Door,
    arrived: Arc<Arrived>,
) -> std::io::Result<()> {
    io.write_all(door.request().as_bytes()).await?;
    let mut held = Vec::new();
    let end = match door {
        Door::EventStream | Door::EventStreamTls => &b"push.state"[..],
        _ => b"\r\n\r\n",
    };
    while !held.windows(end.len()).any(|window| window == end) {
        assert_ne!(io.read_buf(&mut held).await?, 0, "{door:?} is refused");
    }
    arrived.ready.fetch_add(1, Ordering::Relaxed);
    arrived.more.notify_all();
    held = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let n = io.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        let events = if door == Door::WebSocketDeflate {
            held.extend_from_slice(&buffer[..n]);
            take_frames(&mut held)
        } else {
            buffer[..n].iter().filter(|byte| **byte == MARKER).count() as u64
        };
        arrived.add(events, n);
    }
}

async fn read_http2(tcp: TcpStream, arrived: Arc<Arrived>) {
    let io = TokioIo::new(tcp);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get("http://localhost/topics/t")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    arrived.ready.fetch_add(1, Ordering::Relaxed);
    arrived.more.notify_all();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            let events = data.iter().filter(|byte| **byte == MARKER).count();
            arrived.add(events as u64, data.len());
        }
    }
}

/// Clients and a publisher of one server, on a thread of their own
struct Crowd {
    arrived: Arc<Arrived>,
    more: mpsc::UnboundedSender<usize>,
    publish: mpsc::UnboundedSender<String>,
    _stop: oneshot::Sender<()>,
}

impl Crowd {
    fn start(server: &Server, door: Door, trusted: Option<CertificateDer<'static>>) -> Self {
        let arrived = Arc::new(Arrived::default());
        let (more, mut wanted) = mpsc::unbounded_channel::<usize>();
        let (publish, mut events) = mpsc::unbounded_channel::<String>();
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, count) = (server.address(), Arc::clone(&arrived));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let tls = trusted.map(connector);
            let name = ServerName::try_from("localhost").unwrap();
            runtime.block_on(async {
                let (of_clients, names) = (tls.clone(), name.clone());
                tokio::spawn(async move {
                    while let Some(clients) = wanted.recv().await {
                        for _ in 0..clients {
                            let tcp = TcpStream::connect(address).await.unwrap();
                            let count = Arc::clone(&count);
                            match &of_clients {
                                _ if door == Door::EventStreamHttp2 => {
                                    tokio::spawn(read_http2(tcp, count));
                                }
                                Some(tls) => {
                                    let io = tls.connect(names.clone(), tcp).await.unwrap();
                                    tokio::spawn(read(io, door, count));
                                }
                                None => {
                                    tokio::spawn(read(tcp, door, count));
                                }
                            }
                        }
                    }
                });
                tokio::spawn(async move {
                    let tcp = TcpStream::connect(address).await.unwrap();
                    tcp.set_nodelay(true).unwrap();
                    match tls {
                        None => publish_all(tcp, &mut events).await,
                        Some(tls) => {
                            let io = tls.connect(name, tcp).await.unwrap();
                            publish_all(io, &mut events).await;
                        }
                    }
                });
                drop(stopped.await);
            });
        });
        Self {
            arrived,
            more,
            publish,
            _stop: stop,
        }
    }

    #[track_caller]
    fn connect(&self, clients: usize) {
        let ready = self.arrived.ready.load(Ordering::Relaxed) + clients;
        self.more.send(clients).unwrap();
        self.arrived
            .wait(|arrived| arrived.ready.load(Ordering::Relaxed) == ready);
    }

    /// One event to everybody
    #[track_caller]
    fn deliver(&self, number: usize, clients: usize) {
        let events = self.arrived.events.load(Ordering::Relaxed) + clients as u64;
        self.publish.send(event(number)).unwrap();
        self.arrived
            .wait(|arrived| arrived.events.load(Ordering::Relaxed) >= events);
    }
}

fn connector(trusted: CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn publish_all(
    mut io: impl AsyncRead + AsyncWrite + Unpin,
    events: &mut mpsc::UnboundedReceiver<String>,
) {
    let mut answer = Vec::new();
    while let Some(event) = events.recv().await {
        let head = format!(
            "POST /topics/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            event.len()
        );
        io.write_all((head + &event).as_bytes()).await.unwrap();
        io.flush().await.unwrap();
        answer.clear();
        while !answer.windows(2).any(|end| end == b"\"}") {
            assert_ne!(io.read_buf(&mut answer).await.unwrap(), 0);
        }
    }
}

fn event(number: usize) -> String {
    let mut event = format!("!{{\"number\":{number}");
    let mut digits = number as u64;
    while event.len() < EVENT_BYTES - 40 {
        digits = digits
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        event.push_str(&format!(",\"temperature\":{}", digits % 1000));
    }
    event.push('}');
    event
}

/// What one door costs
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// KiB of an idle connection
    memory: f64,
    /// Microseconds of the server's processor time a delivery
    time: f64,
    /// Bytes a delivery, inside of TLS and of HTTP/2's frames
    bytes: f64,
}

fn cost_of(door: Door, clients: usize, events: usize) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let certificate = format!("tls.certificate={}", cert.display());
    let private_key = format!("tls.private_key={}", key.display());
    let mut settings = vec![
        "shards=1",
        "websocket.ping_interval=1h",
        "stream.heartbeat=1h",
        "websocket.deflate=true",
    ];
    let trusted = door.is_encrypted().then(|| made.cert.der().clone());
    if trusted.is_some() {
        settings.extend([certificate.as_str(), &private_key]);
    }
    let server = Server::with(&settings);
    let crowd = Crowd::start(&server, door, trusted);
    // What the first connection and the first event bring in is not the price of the others.
    crowd.connect(1);
    crowd.deliver(0, 1);
    let before = server.resident_bytes();
    crowd.connect(clients - 1);
    let memory = server.resident_bytes().saturating_sub(before);
    crowd.deliver(0, clients);
    let bytes = crowd.arrived.bytes.load(Ordering::Relaxed);
    let begun = server.processor_time();
    for number in 1..=events {
        crowd.deliver(number, clients);
    }
    let time = server.processor_time() - begun;
    let bytes = crowd.arrived.bytes.load(Ordering::Relaxed) - bytes;
    let deliveries = (clients * events) as f64;
    Cost {
        memory: memory as f64 / 1024.0 / (clients - 1) as f64,
        time: time.as_secs_f64() * 1e6 / deliveries,
        bytes: bytes as f64 / deliveries,
    }
}

#[test]
fn each_door_delivers_and_its_cost_is_known() {
    let number = |name, otherwise| {
        let asked = std::env::var(name).ok();
        asked.map_or(otherwise, |text| text.parse().unwrap())
    };
    let clients = number("PUSHSERVER_DOORS_CLIENTS", 20);
    let events = number("PUSHSERVER_DOORS_EVENTS", 20);
    let mut costs: [Vec<Cost>; Door::ALL.len()] = Default::default();
    for _ in 0..number("PUSHSERVER_DOORS_ROUNDS", 1) {
        for (door, costs) in Door::ALL.into_iter().zip(&mut costs) {
            costs.push(cost_of(door, clients, events));
        }
    }
    let about = format!(
        "{clients} connections to one shard, {events} events of {EVENT_BYTES} B one at a time"
    );
    println!("{about}");
    print(&costs);
    if let Some(path) = std::env::var_os("PUSHSERVER_DOORS_OUTCOMES") {
        let path = std::path::PathBuf::from(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, outcomes(&costs, &about).to_string()).unwrap();
    }
    let [.., clear, _, deflated] = &costs;
    let (clear, deflated) = (median(clear), median(deflated));
    assert!(
        deflated.bytes < clear.bytes / 2.0,
        "{deflated:?} and {clear:?}"
    );
}

/// The middle of each figure
fn median(costs: &[Cost]) -> Cost {
    let middle = |figure: fn(&Cost) -> f64| {
        let mut figures: Vec<f64> = costs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Cost {
        memory: middle(|cost| cost.memory),
        time: middle(|cost| cost.time),
        bytes: middle(|cost| cost.bytes),
    }
}

fn print(costs: &[Vec<Cost>]) {
    println!("door         KiB a connection   us a delivery   bytes a delivery");
    let mut base = None;
    for (door, costs) in Door::ALL.into_iter().zip(costs) {
        let cost = median(costs);
        if matches!(door, Door::EventStream | Door::WebSocket) {
            base = Some(cost);
        }
        let base = base.unwrap();
        println!(
            "{:<12} {:8.1} ({:4.2}x)  {:8.2} ({:4.2}x)  {:8.0} ({:4.2}x)",
            door.name(),
            cost.memory,
            cost.memory / base.memory,
            cost.time,
            cost.time / base.time,
            cost.bytes,
            cost.bytes / base.bytes,
        );
    }
}

/// What the benchmark of servers keeps of a scenario, for its page
fn outcomes(costs: &[Vec<Cost>], about: &str) -> serde_json::Value {
    let row = |door: Door, costs: &[Cost]| {
        let samples = |figure: fn(&Cost) -> f64| costs.iter().map(figure).collect::<Vec<f64>>();
        serde_json::json!({
            "server": door.name(),
            "samples": {
                "rss": samples(|cost| cost.memory),
                "cpu": samples(|cost| cost.time),
                "bytes": samples(|cost| cost.bytes),
            },
            "verified": 0,
            "note": null,
        })
    };
    let rows: Vec<_> = Door::ALL
        .into_iter()
        .zip(costs)
        .map(|(door, costs)| row(door, costs))
        .collect();
    let (sse, ws) = rows.split_at(3);
    serde_json::json!({
        "doors-sse": {
            "title": format!("what TLS and HTTP/2 cost an event stream: {about}"),
            "base": Door::EventStream.name(),
            "rows": sse,
        },
        "doors-ws": {
            "title": format!("what TLS and shared compression cost a WebSocket: {about}"),
            "base": Door::WebSocket.name(),
            "rows": ws,
        },
    })
}

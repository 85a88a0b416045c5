//! Behind the proxies that people use, with the configurations that docs/OPERATING.md prints.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::driver::Killed;
use crate::support::event_stream::EventStream;
use crate::support::http::Request;
use crate::support::server::Server;
use crate::support::skip;
use crate::support::web_socket::{WebSocket, handshake};

const GUIDE: &str = include_str!("../docs/OPERATING.md");

/// A proxy in front of a server of its own.
struct Proxy {
    address: SocketAddr,
    server: Server,
    _process: Killed,
    _folder: TempDir,
}

#[derive(Clone, Copy)]
enum Kind {
    Nginx,
    HaProxy,
    Caddy,
}

impl Kind {
    /// The program, and the language of its block in the guide.
    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    /// What the guide prints, with a test's addresses and without certificates.
    fn configuration(self, listen: SocketAddr, server: SocketAddr, folder: &Path) -> String {
        let printed = printed(self.name());
        let folder = folder.display();
        let server = server.to_string();
        let with = |from: &str, to: &str| {
            assert!(printed.contains(from), "the guide says {from:?}");
            printed.replace(from, to).replace("127.0.0.1:8000", &server)
        };
        match self {
            Self::Nginx => {
                let site = with("listen 443 ssl http2;", &format!("listen {listen};"));
                let site: Vec<_> = site.lines().filter(|l| !l.contains("ssl_cert")).collect();
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|what| format!("{what}_temp_path {folder}/{what};\n"))
                    .concat();
                format!(
                    "daemon off; master_process off; pid {folder}/pid; error_log stderr;\nevents {{}}\n\
                     http {{\naccess_log off;\n{temporary}{}\n}}\n",
                    site.join("\n")
                )
            }
            Self::HaProxy => with(
                "bind :443 ssl crt /etc/ssl/push.example.com.pem alpn h2,http/1.1",
                &format!("bind {listen}"),
            ),
            Self::Caddy => format!(
                "{{\nadmin off\n}}\n{}",
                with("push.example.com {", &format!("http://{listen} {{"))
            ),
        }
    }

    fn command(self, program: &Path, file: &Path) -> Command {
        let mut command = Command::new(program);
        match self {
            Self::Nginx => command.arg("-c").arg(file),
            Self::HaProxy => command.arg("-db").arg("-f").arg(file),
            Self::Caddy => command
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(file),
        };
        command
    }
}

/// The block of the guide in this language.
fn printed(language: &str) -> &'static str {
    let (_, after) = GUIDE.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("```").unwrap().0
}

impl Proxy {
    fn start(kind: Kind) -> Option<Self> {
        Self::with(kind, &[])
    }

    /// The same with these settings of the server.
    fn with(kind: Kind, settings: &[&str]) -> Option<Self> {
        let program = skip::program(kind.name())?;
        let folder = tempfile::tempdir().unwrap();
        let server = Server::with(settings);
        let address = free_address();
        let file = folder.path().join("configuration");
        let text = kind.configuration(address, server.address(), folder.path());
        std::fs::write(&file, text).unwrap();
        let process = kind
            .command(&program, &file)
            .env("HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Self {
            address,
            server,
            _process: Killed(process),
            _folder: folder,
        };
        proxy.wait();
        Some(proxy)
    }

    /// Waits until it listens.
    fn wait(&self) {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(start.elapsed() < PATIENCE, "the proxy does not listen");
            std::thread::yield_now();
        }
    }

    fn stream(&self, request: &Request<'_>) -> EventStream {
        let mut stream = EventStream::open(self.address, request);
        let state = stream.next_block().unwrap();
        assert!(state.is_control("state"), "the first block is {state:?}");
        stream
    }
}

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Streams flow at once, and a client comes back to where it was.
#[track_caller]
fn streams_flow(kind: Kind) {
    let Some(proxy) = Proxy::start(kind) else {
        return;
    };
    let mut stream = proxy.stream(&Request::get("/topics/a"));
    for data in ["1", "2"] {
        let reply = Request::post("/topics/a", data.as_bytes()).send(proxy.address);
        assert!(reply.is_success(), "{reply:?}");
        // Nothing is published after it that could push it out of a buffer.
        assert_eq!(stream.next_data(1), [data]);
    }
    let seen = stream.last_id.take().unwrap();
    drop(stream);
    proxy.server.publish("a", "3");
    let back = Request::get("/topics/a").header("Last-Event-ID", &seen);
    assert_eq!(proxy.stream(&back).next_data(1), ["3"]);
}

/// WebSocket works in both directions.
#[track_caller]
fn web_socket_works(kind: Kind) {
    let Some(proxy) = Proxy::start(kind) else {
        return;
    };
    let request = handshake("/topics/a").header("Sec-WebSocket-Protocol", "push.v1");
    let answer = request.open(proxy.address);
    // Said here, because an event stream in its place would be read without end.
    assert_eq!(answer.status(), 101, "{:?}", answer.head);
    let mut socket = WebSocket::upgraded(answer);
    assert!(socket.next_json().get("state").is_some());
    let answer = socket.command("publish", &json!({"topic": "a", "data": "1"}));
    assert!(answer.get("result").is_some(), "{answer}");
    assert_eq!(socket.next_data(1), ["1"]);
    proxy.server.publish("a", "2");
    assert_eq!(socket.next_data(1), ["2"]);
}

/// Clients behind one proxy have their limits each, by the address that the proxy tells.
#[track_caller]
fn each_client_has_its_own_limit(kind: Kind) {
    let settings = ["connections.max_per_address=2"];
    let Some(proxy) = Proxy::with(kind, &settings) else {
        return;
    };
    // As a proxy before this one would say it; both are on this machine, and so believed.
    let from = |request: Request<'static>, client| request.header("X-Forwarded-For", client);
    let stream = |client| from(Request::get("/topics/a?errors=http"), client).open(proxy.address);
    let held = [stream("203.0.113.5"), stream("203.0.113.5")];
    assert!(held.iter().all(|answer| answer.status() == 200));
    assert_eq!(stream("203.0.113.5").status(), 429);
    assert_eq!(stream("203.0.113.6").status(), 200);
    let patient = from(Request::get("/topics/a"), "203.0.113.5").send(proxy.address);
    assert!(patient.text().starts_with("retry: "), "{patient:?}");
    let socket = from(handshake("/topics/a"), "203.0.113.5").open(proxy.address);
    assert_eq!(WebSocket::upgraded(socket).closed().0, 4004);
    let poll = from(Request::page("/topics/a?wait=1s"), "203.0.113.5").send(proxy.address);
    assert_eq!(poll.status(), 429);
    let publish = from(Request::post("/topics/a", b"x"), "203.0.113.5").send(proxy.address);
    assert_eq!(publish.status(), 200, "it takes up nothing");
    drop(held);
    let start = Instant::now();
    while stream("203.0.113.5").status() != 200 {
        assert!(start.elapsed() < PATIENCE, "what it had is not given back");
    }
}

#[test]
fn each_client_behind_nginx_has_its_own_limit() {
    each_client_has_its_own_limit(Kind::Nginx);
}

#[test]
fn each_client_behind_haproxy_has_its_own_limit() {
    each_client_has_its_own_limit(Kind::HaProxy);
}

#[test]
fn streams_flow_at_once_through_nginx() {
    streams_flow(Kind::Nginx);
}

#[test]
fn streams_flow_at_once_through_haproxy() {
    streams_flow(Kind::HaProxy);
}

#[test]
fn streams_flow_at_once_through_caddy() {
    streams_flow(Kind::Caddy);
}

#[test]
fn web_socket_works_through_nginx() {
    web_socket_works(Kind::Nginx);
}

#[test]
fn web_socket_works_through_haproxy() {
    web_socket_works(Kind::HaProxy);
}

#[test]
fn web_socket_works_through_caddy() {
    web_socket_works(Kind::Caddy);
}

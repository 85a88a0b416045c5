//! The clients that nobody here wrote, all driven alike.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, OpCode, handshake};
use http_body_util::Empty;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::browser::Page;
use super::driver::Driver;
use super::server::Server;
use super::skip;

/// A kind of client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Foreign {
    /// `curl -N`
    Curl,
    /// The Rust crate, over `push.v1`
    Fastwebsockets,
    /// npm's `eventsource`
    EventSource,
    /// npm's `ws`, over `push.v1`
    Ws,
    /// Python's `websockets`, over `push.v1`
    Websockets,
    /// Python's `httpx-sse`
    HttpxSse,
    /// Node's `http2`, an event stream
    NodeHttp2,
    /// Node's `http2`, over `push.v1` by extended CONNECT
    NodeHttp2Socket,
    /// Python's `h2`, an event stream
    PythonH2,
    /// Python's `h2`, over `push.v1` by extended CONNECT
    PythonH2Socket,
    /// Chromium's own `EventSource`
    ChromiumEventSource,
    /// Chromium's own `WebSocket`, over `push.v1`
    ChromiumWebSocket,
}

/// A client that follows a topic.
pub(crate) struct Follower {
    kind: Foreign,
    driver: Driver,
    /// The fields of an event stream's block that curl has shown
    block: Value,
}

/// What Node's modules and Python's are known by; the stamp is written when all of them are there
const NODE_MODULES: &str = "npm/brought-in";
const PYTHON_MODULES: &str = "venv/brought-in";

impl Foreign {
    /// Whether it is installed; nobody is told when it is not.
    pub(crate) fn is_here(self) -> bool {
        let brought_in = |stamp: &str| skip::tools().join(stamp).exists();
        match self {
            Self::Curl => skip::installed("curl").is_some(),
            Self::Fastwebsockets => true,
            Self::EventSource | Self::Ws => brought_in(NODE_MODULES),
            Self::NodeHttp2 | Self::NodeHttp2Socket => skip::installed("node").is_some(),
            Self::Websockets | Self::HttpxSse | Self::PythonH2 | Self::PythonH2Socket => {
                brought_in(PYTHON_MODULES)
            }
            Self::ChromiumEventSource | Self::ChromiumWebSocket => {
                skip::installed("chromium").is_some()
            }
        }
    }
}

/// A server and a page that may use it, which stands on another site.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) page: Page,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same with these settings of the server.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let page = Page::serve();
        let allowed = format!("allowed_origins={}", page.origin());
        let settings = [&[&allowed[..], "stream.retry=200ms"], settings].concat();
        let server = Server::with(&settings);
        Self { server, page }
    }

    /// Starts it on a topic, from a position or from now; `None` when it is not installed.
    pub(crate) fn follow(
        &self,
        kind: Foreign,
        topic: &str,
        after: Option<&str>,
    ) -> Option<Follower> {
        let server = &self.server;
        let stream = server.url(&format!("/topics/{topic}"));
        let starting = match after {
            Some(position) => format!("{stream}?after={position}"),
            None => stream.clone(),
        };
        let socket = server.ws_url("/topics");
        let driver = match kind {
            Foreign::Curl => {
                let mut curl = Command::new(skip::program("curl")?);
                curl.args(["--silent", "--no-buffer", "--noproxy", "*", &stream]);
                if let Some(position) = after {
                    curl.args(["--header", &format!("Last-Event-ID: {position}")]);
                }
                Driver::process(&mut curl)
            }
            Foreign::Fastwebsockets => fastwebsockets(server, topic, after),
            Foreign::EventSource => Driver::process(node("eventsource.cjs")?.arg(starting)),
            Foreign::Ws => Driver::process(node("ws.cjs")?.args([&socket, topic]).args(after)),
            Foreign::Websockets => Driver::process(
                python("websockets_client.py")?
                    .args([&socket, topic])
                    .args(after),
            ),
            Foreign::HttpxSse => {
                Driver::process(python("httpx_sse_client.py")?.arg(&stream).args(after))
            }
            Foreign::NodeHttp2 => node_http2(server, "stream", topic, after)?,
            Foreign::NodeHttp2Socket => node_http2(server, "socket", topic, after)?,
            Foreign::PythonH2 => python_h2(server, "stream", topic, after)?,
            Foreign::PythonH2Socket => python_h2(server, "socket", topic, after)?,
            Foreign::ChromiumEventSource => self
                .page
                .open(&[("with", "event-source"), ("url", &starting)])?,
            Foreign::ChromiumWebSocket => {
                let mut asked = vec![("with", "web-socket"), ("url", &socket), ("topic", topic)];
                asked.extend(after.map(|position| ("after", position)));
                self.page.open(&asked)?
            }
        };
        let mut follower = Follower {
            kind,
            driver,
            block: json!({}),
        };
        follower.next_named("open");
        Some(follower)
    }
}

impl Follower {
    /// The next event: its position and its data.
    #[track_caller]
    pub(crate) fn next_message(&mut self) -> (String, String) {
        let message = self.next();
        assert_eq!(message["event"], "message", "{:?} got {message}", self.kind);
        let text = |name: &str| message[name].as_str().unwrap().to_owned();
        (text("id"), text("data"))
    }

    /// The next thing of this name, others passed over.
    #[track_caller]
    pub(crate) fn next_named(&mut self, event: &str) -> Value {
        loop {
            let object = self.next();
            if object["event"] == event {
                return object;
            }
        }
    }

    /// The next thing, whatever it is.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        match self.kind {
            Foreign::Curl => self.next_block(),
            _ => self.driver.next(),
        }
    }

    /// curl shows the stream itself, line by line.
    #[track_caller]
    fn next_block(&mut self) -> Value {
        loop {
            let line = self.driver.next_line().expect("curl goes on");
            if let Some((name, value)) = line.split_once(": ")
                && !name.is_empty()
            {
                self.block[name] = Value::from(value);
            } else if line.is_empty() && self.block.get("data").is_some() {
                return told_of_block(std::mem::replace(&mut self.block, json!({})));
            }
        }
    }
}

/// A block of an event stream as the scripts tell it.
fn told_of_block(mut block: Value) -> Value {
    let control = block["event"]
        .as_str()
        .and_then(|e| e.strip_prefix("push."));
    let Some(control) = control.map(str::to_owned) else {
        block["event"] = Value::from("message");
        return block;
    };
    let mut told: Value = serde_json::from_str(block["data"].as_str().unwrap()).unwrap();
    told["id"] = block["id"].take();
    told["event"] = Value::from(if control == "state" { "open" } else { &control });
    told
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/clients")
        .join(name)
}

fn node(name: &str) -> Option<Command> {
    let mut command = Command::new(skip::program("node")?);
    skip::brought_in(NODE_MODULES)?;
    // Where modules are looked for from, as if a script stood there.
    command
        .arg(script(name))
        .arg(skip::tools().join("npm/script.cjs"));
    Some(command)
}

/// Node's own HTTP/2, which needs no module; `mode` is one of the script's.
pub(crate) fn node_http2(
    server: &Server,
    mode: &str,
    topic: &str,
    after: Option<&str>,
) -> Option<Driver> {
    let mut command = Command::new(skip::program("node")?);
    command
        .arg(script("http2.cjs"))
        .args([mode, &server.url(""), topic])
        .args(after);
    Some(Driver::process(&mut command))
}

fn python_h2(server: &Server, mode: &str, topic: &str, after: Option<&str>) -> Option<Driver> {
    let mut command = python("h2_client.py")?;
    command.args([mode, &server.url(""), topic]).args(after);
    Some(Driver::process(&mut command))
}

fn python(name: &str) -> Option<Command> {
    skip::brought_in(PYTHON_MODULES)?;
    let mut command = Command::new(skip::tools().join("venv/bin/python"));
    command.arg(script(name));
    Some(command)
}

fn fastwebsockets(server: &Server, topic: &str, after: Option<&str>) -> Driver {
    let (lines, heard) = channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let address = server.address();
    let mut subscribe = json!({"match": [topic]});
    if let Some(position) = after {
        subscribe["after"] = Value::from(position);
    }
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = read_with_fastwebsockets(address, subscribe, lines) => {}
                _ = stopped => {}
            }
        });
    });
    Driver::other(heard, stop)
}

async fn read_with_fastwebsockets(
    address: std::net::SocketAddr,
    subscribe: Value,
    lines: Sender<String>,
) {
    let request = hyper::Request::get("/topics")
        .header("Host", address.to_string())
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", handshake::generate_key())
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Protocol", "push.v1")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let (socket, _) = handshake::client(&executor, request, stream).await.unwrap();
    let mut socket = FragmentCollector::new(socket);
    let command = json!({"ref": 1, "subscribe": subscribe}).to_string();
    let frame = Frame::text(command.into_bytes().into());
    socket.write_frame(frame).await.unwrap();
    while let Ok(frame) = socket.read_frame().await {
        if frame.opcode != OpCode::Text {
            continue;
        }
        let push: Value = serde_json::from_slice(&frame.payload).unwrap();
        if let Some(told) = told(push)
            && lines.send(told.to_string()).is_err()
        {
            return;
        }
    }
}

/// A push of `push.v1` as the scripts tell it.
fn told(mut push: Value) -> Option<Value> {
    if push["ref"] == 1 {
        return match push.get("result") {
            Some(result) => Some(json!({"event": "open", "id": result["at"]})),
            None => Some(json!({"event": "error", "error": push["error"]})),
        };
    }
    let (name, event) = [("event", "message"), ("gap", "gap"), ("end", "end")]
        .into_iter()
        .find(|(name, _)| push.get(name).is_some())?;
    let mut told = push[name].take();
    told["event"] = Value::from(event);
    Some(told)
}

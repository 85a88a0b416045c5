//! Authority and presence as clients meet them: requests are answered and streams driven by hand, without sockets, at any
//! time a scenario likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use pushcore::Timestamp;
use pushcore::store::Store;
use serde_json::{Value, json};
use ws_codec::{Connection, Incoming, Message};

use crate::answer::{Answer, Carrier, answer};
use crate::app::App;
use crate::auth::{Secret, mint};
use crate::config::Config;
use crate::peer::Peer;
use crate::transport::{Door, Output};
use crate::web::body::Payload;

mod batches;
mod commands;
mod live_logs;
mod presence;
mod refresh;
mod refusals;
mod revocations;
mod tenants;
mod tickets;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A server with one secret, and time enough to wait for bodies
struct Site {
    app: Arc<App>,
    runtime: tokio::runtime::Runtime,
}

/// An answer that is not a stream
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
    /// The same, if it is JSON
    body: Value,
}

impl Site {
    fn new(settings: &[&str]) -> Self {
        Self {
            app: App::new(config(settings), None).unwrap(),
            runtime: runtime(),
        }
    }

    /// One whose log a store keeps
    fn over(store: Arc<dyn Store>) -> Self {
        let runtime = runtime();
        let app = runtime.block_on(App::over(store, config(&[]), None));
        Self {
            app: app.unwrap(),
            runtime,
        }
    }

    fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    fn after(&self, time: Duration) -> Timestamp {
        self.now().saturating_add(time)
    }

    /// A token for `subject` that reads and writes `pattern` for an hour, with an id
    fn token(&self, subject: &str, pattern: &str) -> String {
        self.token_of(&json!({
            "sub": subject, "jti": format!("token-of-{subject}"),
            "push": { "subscribe": [pattern], "publish": [pattern] },
        }))
    }

    fn admin(&self) -> String {
        self.token_of(&json!({ "sub": "root", "push": { "admin": true } }))
    }

    fn token_of(&self, claims: &Value) -> String {
        let mut claims = claims.clone();
        if claims.get("exp").is_none() {
            claims["exp"] = (self.now().0 / 1000 + 3600).into();
        }
        mint(&claims, &Secret::new(SECRET)).expose().to_owned()
    }

    fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        let body = Full::new(Bytes::from(body.to_owned()));
        self.ask_with(method, path, fields, body)
    }

    fn ask_with(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Payload,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "localhost");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let peer = Peer {
            addr: SocketAddr::from(([192, 0, 2, 1], 1)),
        };
        let request = request.body(body).unwrap();
        self.runtime
            .block_on(answer(&self.app, request, peer, Carrier::Body))
    }

    /// Sends a request; an empty `token` is none
    #[track_caller]
    fn send(&self, method: &str, path: &str, token: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let mut fields = vec![("accept", "application/json")];
        if !token.is_empty() {
            fields.push(("authorization", &bearer));
        }
        self.reply(self.ask(method, path, &fields, body))
    }

    /// Sends a body that comes by itself
    #[track_caller]
    fn upload(&self, path: &str, token: &str, body: impl Payload) -> Reply {
        let bearer = format!("Bearer {token}");
        let fields = [("authorization", bearer.as_str())];
        self.reply(self.ask_with("POST", path, &fields, body))
    }

    #[track_caller]
    fn reply(&self, answer: Answer) -> Reply {
        let Answer::Response(response) = answer else {
            panic!("it is answered by a stream");
        };
        let (parts, body) = response.into_parts();
        let Ok(body) = self.runtime.block_on(body.collect());
        let text = String::from_utf8(body.to_bytes().into()).unwrap();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    #[track_caller]
    fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.send("POST", path, token, &body.to_string())
    }

    #[track_caller]
    fn get(&self, path: &str, token: &str) -> Reply {
        self.send("GET", path, token, "")
    }

    /// Publishes as nobody could refuse to
    #[track_caller]
    fn publish(&self, topic: &str, data: &str) {
        let event = pushcore::NewEvent::new(pushcore::Topic::parse(topic).unwrap(), data);
        let published = self.app.hub.publish(vec![event], None, self.now());
        assert!(
            published
                .try_ready()
                .is_ok_and(|receipts| receipts[0].is_ok())
        );
    }

    /// Opens an event stream; an empty `token` is none
    #[track_caller]
    fn follow(&self, path: &str, token: &str) -> Stream<'_> {
        let bearer = format!("Bearer {token}");
        let mut fields = vec![("accept", "text/event-stream")];
        if !token.is_empty() {
            fields.push(("authorization", &bearer));
        }
        match self.ask("GET", path, &fields, "") {
            Answer::Stream(start) => Stream::new(self, start.door),
            Answer::Response(response) => panic!("{path} is answered by {}", response.status()),
        }
    }

    /// Opens a WebSocket; an empty `protocol` or `token` is none
    #[track_caller]
    fn socket(&self, path: &str, protocol: &str, token: &str) -> Client<'_> {
        let bearer = format!("Bearer {token}");
        let mut fields = vec![
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        if !protocol.is_empty() {
            fields.push(("sec-websocket-protocol", protocol));
        }
        if !token.is_empty() {
            fields.push(("authorization", &bearer));
        }
        match self.ask("GET", path, &fields, "") {
            Answer::Stream(start) => Client::new(self, start.door),
            Answer::Response(response) => panic!("{path} is answered by {}", response.status()),
        }
    }
}

fn config(settings: &[&str]) -> Config {
    let own = [format!("auth.secret={SECRET}")];
    let settings = settings.iter().map(|setting| (*setting).to_owned());
    let flags = own.into_iter().chain(settings).map(|setting| {
        let (name, value) = setting.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    Config::load(None, std::iter::empty(), flags).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// A stream that is read when the scenario says so, at the time it says
struct Stream<'s> {
    site: &'s Site,
    door: Door,
    alarm: Arc<Alarm>,
    over: bool,
}

/// Knows whether somebody was woken
#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<'s> Stream<'s> {
    fn new(site: &'s Site, door: Door) -> Self {
        Self {
            site,
            door,
            alarm: Arc::default(),
            over: false,
        }
    }

    /// Whether it was woken since this was asked before
    fn was_woken(&self) -> bool {
        self.alarm.0.swap(false, Ordering::SeqCst)
    }

    fn bytes(&mut self, now: Timestamp) -> Vec<u8> {
        let waker = Waker::from(Arc::clone(&self.alarm));
        let mut cx = Context::from_waker(&waker);
        let mut all = Vec::new();
        self.door.handle_time(now);
        while !self.over {
            match self.door.poll_output(&mut cx, &self.site.app, now) {
                Poll::Pending => break,
                Poll::Ready(Output::Bytes(bytes) | Output::Drained(bytes)) => {
                    all.extend_from_slice(&bytes);
                }
                Poll::Ready(Output::Last(bytes)) => {
                    all.extend_from_slice(&bytes);
                    self.over = true;
                }
            }
        }
        all
    }

    /// The names of the events that have come by `now`, `data:` after a colon for those of topics
    fn read_at(&mut self, now: Timestamp) -> String {
        let text = String::from_utf8(self.bytes(now)).unwrap();
        let mut words: Vec<_> = text.split("\n\n").filter_map(word).collect();
        if self.over {
            words.push("over".to_owned());
        }
        words.join(" ")
    }

    fn read(&mut self) -> String {
        self.read_at(self.site.now())
    }

    /// The data of the first event, which is `push.state`
    fn state(&mut self) -> Value {
        let text = String::from_utf8(self.bytes(self.site.now())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("data: "));
        serde_json::from_str(line.unwrap()).unwrap()
    }
}

/// An event of a stream in a word or two
fn word(block: &str) -> Option<String> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim_start_matches([':', ' ']))
    };
    let data = field("data")?;
    let Some(name) = field("event") else {
        return Some(data.to_owned());
    };
    let object: Value = serde_json::from_str(data).unwrap_or(Value::Null);
    let told = object["reason"]
        .as_str()
        .map(|reason| format!("({reason})"));
    Some(format!("{name}{}", told.unwrap_or_default()))
}

/// The other end of a WebSocket
struct Client<'s> {
    stream: Stream<'s>,
    connection: Connection,
}

impl<'s> Client<'s> {
    fn new(site: &'s Site, door: Door) -> Self {
        Self {
            stream: Stream::new(site, door),
            connection: Connection::client(Arc::default(), [7; 32], Duration::ZERO),
        }
    }

    fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string());
    }

    fn say_text(&mut self, text: &str) {
        self.say_all(&[Message::Text(text.into())]);
    }

    /// Sends commands that one read brings
    fn say_together(&mut self, commands: &[Value]) {
        let texts: Vec<String> = commands.iter().map(Value::to_string).collect();
        let messages = texts.iter().map(|text| Message::Text(text.as_str().into()));
        self.say_all(&messages.collect::<Vec<_>>());
    }

    /// Sends messages that one read brings
    fn say_all(&mut self, messages: &[Message<'_>]) {
        let mut bytes = Vec::new();
        for message in messages {
            self.connection.send(message, &mut bytes);
        }
        self.say_bytes(&mut bytes);
    }

    fn say_bytes(&mut self, bytes: &mut [u8]) {
        let site = self.stream.site;
        self.stream.door.handle_input(&site.app, site.now(), bytes);
    }

    /// What has come by `now`: messages, and `{"close":CODE}`
    fn hear_at(&mut self, now: Timestamp) -> Vec<Value> {
        let mut bytes = self.stream.bytes(now);
        let mut input = &mut bytes[..];
        let mut heard = Vec::new();
        while let Some(incoming) = self
            .connection
            .handle_input(&mut input, Duration::ZERO)
            .unwrap()
        {
            match incoming {
                Incoming::Message(Message::Text(text)) => {
                    heard.push(serde_json::from_str(&text).unwrap_or(text.into()));
                }
                Incoming::Close(Some(frame)) => {
                    heard.push(json!({ "close": u16::from(frame.code()) }));
                }
                _ => {}
            }
        }
        let mut answer = Vec::new();
        if self.connection.poll_transmit(&mut answer) {
            let app = &self.stream.site.app;
            self.stream.door.handle_input(app, now, &mut answer);
        }
        heard
    }

    fn hear(&mut self) -> Vec<Value> {
        self.hear_at(self.stream.site.now())
    }

    /// Sends a command and gives its answer, which must be the only message
    #[track_caller]
    fn ask(&mut self, command: &Value) -> Value {
        self.say(command);
        let mut heard = self.hear();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.remove(0)
    }
}

//! Several servers over one log: a store of one's own, and `pushserver` built with it.
//!
//! ```sh
//! cargo run --example shared_store -- store 127.0.0.1:8100
//! SHARED_STORE=127.0.0.1:8100 cargo run --example shared_store -- serve --listen 127.0.0.1:8001
//! SHARED_STORE=127.0.0.1:8100 cargo run --example shared_store -- serve --listen 127.0.0.1:8002
//! ```
//!
//! What is published to either server is read at both, and a position of the one is good at the other. The store keeps
//! its log in memory and speaks JSON lines: it stands in for a real one, in this example and in the tests of rolling
//! deploys. A store that matters also answers [`Health`] truly, and follows again when its connection breaks.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pushcore::store::{
    Health, MemoryStore, Sink, Store, StoreError, StoredEntry, StoredEvent, StoredPage,
};
use pushcore::{
    Budget, ContentType, Data, DataRef, Durability, EndReason, Epoch, EventType, IdempotencyKey,
    Key, NewEvent, PatternSet, Position, PublishError, Receipt, Receipts, Timestamp, Topic,
};
use pushserver::Server;
use pushserver::cli::{self, Command};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.as_slice() {
        [role, address] if role == "store" => keep(address),
        _ => serve(),
    };
    if let Err(error) = ended {
        eprintln!("shared_store: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The server as the `pushserver` command runs it, but for its log
fn serve() -> Result<(), Error> {
    let Command::Serve(source) = cli::parse() else {
        return Err("this example has `store ADDRESS` and `serve`".into());
    };
    let config = source.load()?;
    pushserver::logging::start(&config.logging);
    let address = std::env::var("SHARED_STORE").map_err(|_| "SHARED_STORE=ADDRESS is missing")?;
    let store = RemoteStore::connect(address.parse()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut terminate = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate())?
    };
    let server = Server::start_over(config, Arc::new(store))?;
    println!("listening on http://{}", server.address());
    runtime.block_on(terminate.recv());
    Ok(server.leave()?)
}

/// A store that is asked over a connection
struct RemoteStore {
    address: SocketAddr,
    asked: Arc<Mutex<VecDeque<oneshot::Sender<Value>>>>,
    to: Mutex<TcpStream>,
}

impl RemoteStore {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let asked = Arc::new(Mutex::new(VecDeque::<oneshot::Sender<Value>>::new()));
        let (from, waiting) = (stream.try_clone()?, Arc::clone(&asked));
        // Answers come in the order of the questions; those that wait when the connection ends are told by the end of
        // their channels.
        thread::spawn(move || {
            for answer in lines(from) {
                if let Some(who) = lock(&waiting).pop_front() {
                    let _ = who.send(answer);
                }
            }
            lock(&waiting).clear();
        });
        Ok(Self {
            address,
            asked,
            to: Mutex::new(stream),
        })
    }

    async fn ask(&self, question: &Value) -> Result<Value, StoreError> {
        let (tell, told) = oneshot::channel();
        {
            let mut to = lock(&self.to);
            lock(&self.asked).push_back(tell);
            to.write_all(format!("{question}\n").as_bytes())
                .map_err(|error| unavailable(&error))?;
        }
        told.await.map_err(|_| unavailable(&"it is gone"))
    }
}

#[async_trait]
impl Store for RemoteStore {
    async fn append(
        &self,
        batch: Vec<NewEvent>,
        subject: Option<String>,
        now: Timestamp,
    ) -> Receipts {
        let events: Vec<_> = batch.iter().map(event_to_json).collect();
        let question = json!({ "append": { "events": events, "subject": subject, "now": now.0 } });
        match self.ask(&question).await {
            Ok(answer) => list(&answer["receipts"], receipt_from_json),
            Err(error) => batch
                .iter()
                .map(|_| Err(PublishError::Unavailable(error.to_string())))
                .collect(),
        }
    }

    async fn read(
        &self,
        after: u64,
        _: &PatternSet,
        budget: Budget,
    ) -> Result<StoredPage, StoreError> {
        // It may give entries of other topics too, and this one does.
        let question = json!({ "read": { "after": after, "events": budget.events } });
        let page = self.ask(&question).await?;
        Ok(StoredPage {
            epoch: Epoch(number(&page["epoch"])),
            entries: list(&page["entries"], entry_from_json),
            read_through: number(&page["read_through"]),
            lost_through: number(&page["lost_through"]),
            is_last: page["is_last"] == true,
        })
    }

    async fn follow(&self, sink: Weak<dyn Sink>) -> Result<Position, StoreError> {
        let mut stream = TcpStream::connect(self.address).map_err(|error| unavailable(&error))?;
        stream
            .write_all(b"{\"follow\":{}}\n")
            .map_err(|error| unavailable(&error))?;
        let mut told = lines(stream);
        let head = told
            .next()
            .and_then(|head| position(&head["head"]))
            .ok_or_else(|| unavailable(&"it does not say where its log ends"))?;
        thread::spawn(move || {
            for committed in told {
                let Some(sink) = sink.upgrade() else { return };
                sink.handle_committed(&list(&committed["committed"], entry_from_json));
            }
        });
        Ok(head)
    }

    fn health(&self) -> Health {
        Health::Live
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn lines(from: TcpStream) -> impl Iterator<Item = Value> + Send {
    let lines = BufReader::new(from).lines().map_while(Result::ok);
    lines.map_while(|line| serde_json::from_str(&line).ok())
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The store itself: `MemoryStore` for whoever connects
fn keep(address: &str) -> Result<(), Error> {
    let seed = {
        use std::hash::{BuildHasher as _, Hasher as _};
        std::hash::RandomState::new().build_hasher().finish()
    };
    let store = MemoryStore::new(seed, 100_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        println!("keeping a log on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let store = store.clone();
            tokio::spawn(async move {
                // Whoever asks what cannot be answered is hung up on.
                let _ = answer_all(&store, stream).await;
            });
        }
    })
}

async fn answer_all(store: &MemoryStore, stream: tokio::net::TcpStream) -> Result<(), Error> {
    let (from, mut to) = stream.into_split();
    let mut questions = tokio::io::BufReader::new(from).lines();
    while let Some(question) = questions.next_line().await? {
        let question: Value = serde_json::from_str(&question)?;
        let answer = if let Some(append) = question.get("append") {
            let events = list(&append["events"], event_from_json);
            let subject = append["subject"].as_str().map(str::to_owned);
            let now = Timestamp(number(&append["now"]));
            let receipts = store.append(events, subject, now).await;
            json!({ "receipts": receipts.iter().map(receipt_to_json).collect::<Vec<_>>() })
        } else if let Some(read) = question.get("read") {
            let budget = Budget {
                events: number(&read["events"]) as usize,
                ..Budget::default()
            };
            let page = store
                .read(number(&read["after"]), &PatternSet::all(), budget)
                .await?;
            json!({
                "epoch": page.epoch.0, "lost_through": page.lost_through, "is_last": page.is_last,
                "read_through": page.read_through,
                "entries": page.entries.iter().map(entry_to_json).collect::<Vec<_>>(),
            })
        } else {
            let (tell, mut told) = mpsc::unbounded_channel();
            let sink: Arc<dyn Sink> = Arc::new(Lines(tell));
            let head = store.follow(Arc::downgrade(&sink)).await?;
            let head = json!({ "head": head.to_string() });
            to.write_all(format!("{head}\n").as_bytes()).await?;
            while let Some(line) = told.recv().await {
                to.write_all(line.as_bytes()).await?;
            }
            return Ok(());
        };
        to.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

/// What is committed, as lines for a follower
struct Lines(mpsc::UnboundedSender<String>);

impl Sink for Lines {
    fn handle_committed(&self, entries: &[StoredEvent]) {
        let entries: Vec<_> = entries.iter().map(entry_to_json).collect();
        let _ = self
            .0
            .send(format!("{}\n", json!({ "committed": entries })));
    }

    fn handle_restarted(&self, _epoch: Epoch) {
        unreachable!("this store loses nothing while it lives");
    }
}

fn entry_to_json(stored: &StoredEvent) -> Value {
    let mut object = match &stored.entry {
        StoredEntry::Event(event) => json!({ "event": event_to_json(event) }),
        StoredEntry::End(topic, reason) => {
            json!({ "ended": topic.as_str(), "reason": reason.as_str() })
        }
    };
    object["position"] = stored.position.to_string().into();
    object["previous"] = stored.previous.into();
    object["time"] = stored.time.0.into();
    object
}

fn entry_from_json(object: &Value) -> Option<StoredEvent> {
    let entry = match object.get("event") {
        Some(event) => StoredEntry::Event(Arc::new(event_from_json(event)?)),
        None => {
            let reason = match object["reason"].as_str()? {
                "deleted" => EndReason::Deleted,
                _ => EndReason::Ended,
            };
            StoredEntry::End(Topic::parse(object["ended"].as_str()?).ok()?, reason)
        }
    };
    Some(StoredEvent {
        position: position(&object["position"])?,
        previous: number(&object["previous"]),
        time: Timestamp(number(&object["time"])),
        entry,
    })
}

fn event_to_json(event: &NewEvent) -> Value {
    let mut object = json!({
        "topic": event.topic.as_str(),
        "type": event.event_type.as_ref().map(EventType::as_str),
        "key": event.key.as_ref().map(Key::as_str),
        "content_type": event.content_type.as_ref().map(ContentType::as_str),
        "idempotency": event.idempotency.as_ref().map(IdempotencyKey::as_str),
        "end": event.end,
    });
    match event.data.as_ref() {
        DataRef::Text(text) => object["text"] = text.into(),
        DataRef::Bytes(bytes) => object["base64"] = STANDARD.encode(bytes).into(),
    }
    object
}

fn event_from_json(object: &Value) -> Option<NewEvent> {
    let text = |name: &str| object[name].as_str();
    let data = match text("text") {
        Some(text) => Data::from(text),
        None => Data::bytes(STANDARD.decode(text("base64")?).ok()?),
    };
    Some(NewEvent {
        event_type: text("type").and_then(|text| EventType::parse(text).ok()),
        key: text("key").and_then(|text| Key::parse(text).ok()),
        content_type: text("content_type").and_then(|text| ContentType::parse(text).ok()),
        idempotency: text("idempotency").and_then(|text| IdempotencyKey::parse(text).ok()),
        end: object["end"] == true,
        ..NewEvent::new(Topic::parse(text("topic")?).ok()?, data)
    })
}

fn receipt_to_json(receipt: &Result<Receipt, PublishError>) -> Value {
    match receipt {
        Ok(receipt) => {
            json!({ "position": receipt.position.to_string(), "duplicate": receipt.duplicate })
        }
        Err(PublishError::Ended) => json!({ "refused": "ended" }),
        Err(PublishError::IdempotencyConflict) => json!({ "refused": "conflict" }),
        Err(other) => json!({ "refused": other.to_string() }),
    }
}

fn receipt_from_json(object: &Value) -> Option<Result<Receipt, PublishError>> {
    if let Some(refused) = object.get("refused") {
        return Some(Err(match refused.as_str()? {
            "ended" => PublishError::Ended,
            "conflict" => PublishError::IdempotencyConflict,
            other => PublishError::Unavailable(other.to_owned()),
        }));
    }
    Some(Ok(Receipt {
        position: position(&object["position"])?,
        duplicate: object["duplicate"] == true,
        durability: Durability::Volatile,
    }))
}

fn position(text: &Value) -> Option<Position> {
    text.as_str()?.parse().ok()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn list<T>(values: &Value, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(read).collect()
}

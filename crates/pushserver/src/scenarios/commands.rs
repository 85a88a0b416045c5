//! What is carried out of what a WebSocket client says, in which order it is answered, and what is no longer carried out.

use std::sync::Weak;

use async_trait::async_trait;
use pushcore::store::{Health, MemoryStore, Sink, StoreError, StoredPage};
use pushcore::{Budget, NewEvent, PatternSet, Position, Receipts};
use tokio::sync::Semaphore;
use ws_codec::ControlPayload;

use super::*;

fn publish(reference: u64, data: &str) -> Value {
    json!({ "ref": reference, "publish": { "topic": "a/b", "data": data } })
}

/// The data of what has been published to `a/b`
fn published(site: &Site) -> Vec<String> {
    let page = site.get("/topics/a/b?after=earliest", &site.token("bob", "a/*"));
    let events = page.body["events"].as_array().unwrap();
    let data = events.iter().map(|event| event["data"].as_str().unwrap());
    data.map(str::to_owned).collect()
}

#[test]
fn a_revoked_client_that_reads_nothing_publishes_nothing() {
    for protocol in ["push.v1", ""] {
        let site = Site::new(&[]);
        let mut client = site.socket("/topics/a/b", protocol, &site.token("ann", "a/*"));
        client.hear();
        let order = json!({ "subject": "ann" });
        let reply = site.post("/admin/revocations", &site.admin(), &order);
        assert_eq!(reply.status, 200, "{:?}", reply.body);
        client.say(&publish(1, "x"));
        assert_eq!(published(&site), [""; 0], "{protocol}");
        assert_eq!(client.hear(), [json!({ "close": 4507 })]);
    }
}

#[test]
fn what_comes_after_the_server_has_closed_is_not_carried_out() {
    for protocol in ["push.v1", ""] {
        let site = Site::new(&[]);
        let mut client = site.socket("/topics/a/b", protocol, &site.token("ann", "a/*"));
        client.hear();
        let delay = Duration::from_secs(1);
        client.stream.door.handle_leave(delay, site.now());
        client.say(&publish(1, "x"));
        client.hear();
        assert_eq!(published(&site), [""; 0], "{protocol}");
    }
}

#[test]
fn what_comes_behind_a_flood_of_pings_is_not_carried_out() {
    let site = Site::new(&["websocket.max_pings_per_second=3"]);
    let mut client = site.socket("/topics", "push.v1", &site.token("ann", "a/*"));
    client.hear();
    let mut bytes = Vec::new();
    for _ in 0..9 {
        client.connection.ping(ControlPayload::default());
        client.connection.poll_transmit(&mut bytes);
    }
    let message = publish(1, "x").to_string();
    let message = Message::Text(message.as_str().into());
    client.connection.send(&message, &mut bytes);
    client.say_bytes(&mut bytes);
    assert_eq!(client.hear(), [json!({ "close": 1008 })]);
    assert_eq!(published(&site), [""; 0]);
}

#[test]
fn answers_come_in_the_order_of_the_commands() {
    let site = Site::new(&[]);
    let mut client = site.socket("/topics", "push.v1", &site.token("ann", "a/*"));
    client.hear();
    let forbidden = json!({ "ref": 2, "publish": { "topic": "c", "data": "" } });
    let commands = [
        publish(1, "x"),
        forbidden,
        publish(3, "y"),
        json!({ "ref": 4 }),
        json!({ "ref": 5, "ping": {} }),
        publish(6, "z"),
    ];
    let texts = commands.map(|command| command.to_string());
    client.say_all(
        &texts
            .each_ref()
            .map(|text| Message::Text(text.as_str().into())),
    );
    let heard = client.hear();
    let references: Vec<_> = heard.iter().map(|answer| answer["ref"].as_u64()).collect();
    assert_eq!(references, (1..=6).map(Some).collect::<Vec<_>>());
    assert_eq!(published(&site), ["x", "y", "z"]);
}

/// A store that answers a publish as soon as it is let
struct Slow {
    store: MemoryStore,
    may_answer: Semaphore,
}

#[async_trait]
impl Store for Slow {
    async fn append(
        &self,
        batch: Vec<NewEvent>,
        subject: Option<String>,
        now: Timestamp,
    ) -> Receipts {
        self.may_answer.acquire().await.unwrap().forget();
        self.store.append(batch, subject, now).await
    }

    async fn read(
        &self,
        after: u64,
        patterns: &PatternSet,
        budget: Budget,
    ) -> Result<StoredPage, StoreError> {
        self.store.read(after, patterns, budget).await
    }

    async fn follow(&self, sink: Weak<dyn Sink>) -> Result<Position, StoreError> {
        self.store.follow(sink).await
    }

    fn health(&self) -> Health {
        self.store.health()
    }
}

#[test]
fn answers_come_in_the_order_of_the_commands_though_the_store_takes_its_time() {
    let store = Arc::new(Slow {
        store: MemoryStore::new(1, 100),
        may_answer: Semaphore::new(0),
    });
    let site = Site::over(Arc::clone(&store) as Arc<dyn Store>);
    let mut client = site.socket("/topics", "push.v1", &site.token("ann", "a/*"));
    client.hear();
    let commands = [publish(1, "x"), json!({ "ref": 2, "ping": {} })];
    let texts = commands.map(|command| command.to_string());
    let [first, second] = texts
        .each_ref()
        .map(|text| Message::Text(text.as_str().into()));
    client.say_all(&[first, second, Message::Binary(b"".into())]);
    assert_eq!(client.hear(), [json!(null); 0]);
    store.may_answer.add_permits(1);
    let heard = client.hear();
    let word = |message: &Value| message.get("ref").or(message.get("close")).cloned();
    let words: Vec<_> = heard.iter().filter_map(word).collect();
    assert_eq!(words, [1, 2, 4504], "{heard:?}");
}

//! axum with a broadcast channel a topic, its event streams and its WebSockets.

use std::convert::Infallible;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use bench_peers::{Topics, listen};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio_stream::wrappers::BroadcastStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let router = Router::new()
        .route("/sse/{topic}", get(stream))
        .route("/ws/{topic}", get(socket))
        .route("/publish", get(publisher))
        .route("/publish/{topic}", post(publish))
        .with_state(Topics::default());
    let listener = listen()?.tap_io(|socket| {
        let _unsupported = socket.set_nodelay(true);
    });
    axum::serve(listener, router).await
}

async fn stream(
    State(topics): State<Topics>,
    Path(topic): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = BroadcastStream::new(topics.subscribe(&topic));
    let mut number = 0_u64;
    Sse::new(events.filter_map(move |data| {
        number += 1;
        let event = data.ok().map(|data| {
            Ok(Event::default().id(number.to_string()).data(String::from_utf8_lossy(&data)))
        });
        async { event }
    }))
}

async fn socket(State(topics): State<Topics>, Path(topic): Path<String>, upgrade: WebSocketUpgrade) -> Response {
    let events = topics.subscribe(&topic);
    upgrade.on_upgrade(move |socket| follow(socket, events))
}

async fn follow(mut socket: WebSocket, mut events: tokio::sync::broadcast::Receiver<Bytes>) {
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(data) => {
                    let text = String::from_utf8_lossy(&data).into_owned();
                    if socket.send(Message::text(text)).await.is_err() { return }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            message = socket.recv() => match message {
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

async fn publisher(State(topics): State<Topics>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_)) {
                topics.publish_message(&message.into_data());
            }
        }
    })
}

async fn publish(State(topics): State<Topics>, Path(topic): Path<String>, data: Bytes) {
    topics.publish(&topic, data);
}

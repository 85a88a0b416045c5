//! fastwebsockets with a broadcast channel a topic and a task a connection.

use std::convert::Infallible;

use bench_peers::{Topics, listen};
use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::broadcast::error::RecvError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let (listener, topics) = (listen()?, Topics::default());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let topics = topics.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, topics.clone()));
            let http = hyper::server::conn::http1::Builder::new();
            let _ended = http.serve_connection(TokioIo::new(socket), service).with_upgrades().await;
        });
    }
}

async fn answer(mut request: Request<Incoming>, topics: Topics) -> Result<Response<Empty<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let Ok((response, upgrade)) = upgrade::upgrade(&mut request) else {
        let mut refusal = Response::new(Empty::new());
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refusal);
    };
    tokio::spawn(async move {
        let _ended = match path.strip_prefix("/ws/") {
            Some(topic) => follow(upgrade, topics, topic).await,
            None => publish(upgrade, topics).await,
        };
    });
    Ok(response)
}

async fn follow(upgrade: upgrade::UpgradeFut, topics: Topics, topic: &str) -> Result<(), WebSocketError> {
    let mut events = topics.subscribe(topic);
    let mut socket = upgrade.await?;
    socket.set_auto_apply_mask(true);
    let (mut reader, mut writer) = socket.split(tokio::io::split);
    let read = async {
        loop {
            let frame = reader.read_frame(&mut |_| async { Ok::<_, WebSocketError>(()) }).await?;
            if frame.opcode == OpCode::Close {
                return Ok(());
            }
        }
    };
    let write = async {
        loop {
            match events.recv().await {
                Ok(data) => writer.write_frame(Frame::text(Payload::Borrowed(&data))).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    };
    tokio::select! {
        ended = read => ended,
        ended = write => ended,
    }
}

async fn publish(upgrade: upgrade::UpgradeFut, topics: Topics) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgrade.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => topics.publish_message(&frame.payload),
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

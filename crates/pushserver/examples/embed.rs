//! A program of its own with the push server inside: axum routes beside topics.
//!
//! ```text
//! cargo run -p pushserver --example embed
//! curl -N localhost:8080/push/topics/clock        # follow, over SSE
//! curl    localhost:8080/hello                    # the program's own route
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use pushcore::{NewEvent, Topic};
use pushserver::config::Config;
use pushserver::{PeerAddr, PushService};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = program()?;
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .await?;
    Ok(())
}

/// Routes of its own, and the push server under `/push`
fn program() -> Result<Router, Box<dyn std::error::Error>> {
    let push = PushService::new(Config::default(), None)?;
    tokio::spawn(tell_the_time(push.clone()));

    let app = Router::new()
        .route(
            "/hello",
            get(|| async { "hello from the program around it\n" }),
        )
        .nest_service("/push", push)
        .layer(from_fn(tell_the_address));
    Ok(app)
}

/// Publishes from inside the program, without HTTP
async fn tell_the_time(push: PushService) {
    let topic = Topic::parse("clock").expect("a valid topic");
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    for second in 0u64.. {
        tick.tick().await;
        let event = NewEvent::new(topic.clone(), format!("{second} s since the start"));
        for result in push.hub().publish(vec![event], None, push.now()).await {
            if let Err(error) = result {
                eprintln!("not published: {error}");
            }
        }
    }
}

/// axum knows the client's address by another name
async fn tell_the_address(mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(address)) = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .copied()
    {
        request.extensions_mut().insert(PeerAddr(address));
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn topics_are_followed_beside_the_programs_own_routes() {
        let app = program().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        for (path, expect) in [
            ("/hello", "hello from the program around it"),
            ("/push/topics/clock?after=earliest", "s since the start"),
        ] {
            let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let mut piece = [0; 4096];
            while !answer.contains(expect) {
                let n = socket.read(&mut piece).await.unwrap();
                assert!(n > 0, "{answer}");
                answer.push_str(std::str::from_utf8(&piece[..n]).unwrap());
            }
        }
    }
}

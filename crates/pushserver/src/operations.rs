//! A listener for those who watch the server, apart from its clients: `/metrics`, `/health` and `/ready`.
//!
//! Clients can neither fill it nor slow it, and it outlasts them: how far leaving has come is seen here, when the server's
//! own port is closed already.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::answer::{Answer, Carrier, answer};
use crate::app::App;
use crate::peer::Peer;
use crate::web::body::Body;
use crate::web::problem::Problem;
use crate::web::route::Route;

/// Most connections at once; one scraper needs one, and each holds at most [`MAX_HEAD_BYTES`]
const MAX_CONNECTIONS: usize = 32;

/// Largest request head
const MAX_HEAD_BYTES: usize = 16 << 10;

/// How long a connection may say nothing: longer than a scraper's usual interval of a minute would only keep it busy
const IDLE: Duration = Duration::from_secs(30);

/// How long accepting rests when the process has run out of descriptors
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Serves `listener` on a thread of its own until the server has gone
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn spawn(app: Arc<App>, listener: TcpListener) -> io::Result<thread::JoinHandle<()>> {
    let run = move || {
        if let Err(error) = run(&app, listener) {
            tracing::error!(%error, "metrics.listen is not served");
        }
    };
    thread::Builder::new()
        .name("operations".to_owned())
        .spawn(run)
}

fn run(app: &Arc<App>, listener: TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(Default::default())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let open = Rc::new(Cell::new(0));
        let mut gone = std::pin::pin!(app.leaving.gone());
        loop {
            tokio::select! {
                () = &mut gone => return Ok(()),
                accepted = listener.accept(), if open.get() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, addr)) => {
                        open.set(open.get() + 1);
                        let (app, open) = (Arc::clone(app), Rc::clone(&open));
                        tokio::task::spawn_local(async move {
                            serve(&app, stream, addr).await;
                            open.set(open.get() - 1);
                        });
                    }
                    Err(_) => tokio::time::sleep(EXHAUSTED_PAUSE).await,
                },
                // A connection may have ended: look again whether there is room.
                () = tokio::time::sleep(EXHAUSTED_PAUSE), if open.get() >= MAX_CONNECTIONS => {}
            }
        }
    })
}

async fn serve(app: &Arc<App>, stream: TcpStream, addr: SocketAddr) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(respond(app, request, Peer { addr }).await)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to metrics.listen broke");
    }
}

async fn respond(app: &Arc<App>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
    let path = request.uri().path();
    let is_ours = matches!(
        Route::parse(path),
        Ok(Route::Health | Route::Ready | Route::Metrics)
    );
    if !is_ours {
        return Problem::not_found(path).into_response();
    }
    match answer(app, request, peer, Carrier::Body).await {
        Answer::Response(response) => response,
        Answer::Stream(_) => unreachable!("none of the three is a stream"),
    }
}

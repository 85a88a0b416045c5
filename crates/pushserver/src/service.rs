//! The server as a service, to be mounted in somebody else's hyper, axum or tower program.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use pushcore::store::Store;
use pushcore::{Hub, Timestamp};

use crate::answer::{Answer, Carrier, answer};
use crate::app::{App, StartError};
use crate::auth::Authorizer;
use crate::config::Config;
use crate::leaving::Phase;
use crate::peer::Peer;
use crate::web::body::{Body, Payload};

/// Everything the server does, as a `tower` and a `hyper` service
///
/// Clones share one log. Event streams are ordinary response bodies that pull from their cursors; WebSockets run as
/// tasks on the connection that `hyper::upgrade` hands over, so the program must serve HTTP/1 with upgrades (axum
/// does) and run on tokio. The paths are those of the server: mount it under a prefix with what your router calls
/// nesting.
///
/// Put the client's address into the request's extensions as [`PeerAddr`] if limits per address and the difference
/// between local and other clients matter; without it a client counts as a stranger.
///
/// ```
/// # async fn mount() -> Result<(), Box<dyn std::error::Error>> {
/// use pushserver::PushService;
/// use pushserver::config::Config;
///
/// let service = PushService::new(Config::default(), None)?;
/// let hub = service.hub().clone(); // publish from inside the program
/// # let _ = hub;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PushService {
    app: Arc<App>,
}

/// A client's address, for the extensions of a request
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// Longest time between two ticks of the hub, when it has nothing due
const MAX_TICK: Duration = Duration::from_millis(500);

impl PushService {
    /// Sets up the hub and what surrounds it; to be called on a tokio runtime, where a task keeps the hub's time
    ///
    /// `authorizer` decides who may do what; without one the configuration does. Settings about listening, shards,
    /// TLS and the snapshot are the surrounding program's own and not looked at.
    ///
    /// # Errors
    /// When a key file cannot be read, or a host or origin of the configuration is none.
    pub fn new(
        config: Config,
        authorizer: Option<Arc<dyn Authorizer>>,
    ) -> Result<Self, StartError> {
        Ok(Self::around(App::new(mounted(config), authorizer)?))
    }

    /// The same over a log that `store` keeps, which other programs may share
    ///
    /// # Errors
    /// As [`new`](PushService::new), and when the store cannot be read or followed.
    pub async fn over(
        store: Arc<dyn Store>,
        config: Config,
        authorizer: Option<Arc<dyn Authorizer>>,
    ) -> Result<Self, StartError> {
        let app = App::over(store, mounted(config), authorizer).await?;
        Ok(Self::around(app))
    }

    fn around(app: Arc<App>) -> Self {
        tokio::spawn(tick(Arc::downgrade(&app)));
        Self { app }
    }

    /// The hub behind the service, for publishing and subscribing from inside the program
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.app.hub
    }

    /// Now, as the hub counts time
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Sends every client away, each with its own time to come back; new streams are refused from now on
    pub fn leave(&self) {
        self.app.leaving.enter(Phase::Leaving);
    }

    async fn respond<B: Payload>(
        app: Arc<App>,
        mut request: Request<B>,
    ) -> Result<Response<Body>, Infallible> {
        let unknown = PeerAddr(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let PeerAddr(addr) = request.extensions().get().copied().unwrap_or(unknown);
        let upgrade = hyper::upgrade::on(&mut request);
        Ok(
            match answer(&app, request, Peer { addr }, Carrier::Body).await {
                Answer::Response(response) => response,
                Answer::Stream(start) => start.into_response(&app, upgrade, None),
            },
        )
    }
}

impl<B> tower_service::Service<Request<B>> for PushService
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(Self::respond(Arc::clone(&self.app), request))
    }
}

impl hyper::service::Service<Request<hyper::body::Incoming>> for PushService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<hyper::body::Incoming>) -> Self::Future {
        Box::pin(Self::respond(Arc::clone(&self.app), request))
    }
}

/// A configuration without what is the surrounding program's own
fn mounted(config: Config) -> Config {
    let mut config = config;
    config.log.snapshot = None;
    config.tls = Config::default().tls;
    config
}

/// Keeps the hub's time for as long as the service is there
async fn tick(app: Weak<App>) {
    loop {
        let wait = match app.upgrade() {
            None => return,
            Some(app) => {
                app.clock.catch_up();
                let now = app.clock.now();
                app.hub.handle_tick(now);
                let due = app.hub.poll_timeout().unwrap_or(Timestamp(u64::MAX));
                due.since(now).clamp(Duration::from_millis(1), MAX_TICK)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

impl std::fmt::Debug for PushService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushService").finish_non_exhaustive()
    }
}

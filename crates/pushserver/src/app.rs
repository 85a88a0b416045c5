//! What every part of the server shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pushcore::store::{Store, StoreError};
use pushcore::{Hub, HubConfig, LagAction, LagPolicy, MaxLag, Pattern, Retention, RetentionRule};

use crate::admission::Admission;
use crate::attendance::Attendance;
use crate::auth::{AuthError, Authority, Authorizer};
use crate::clock::Clock;
use crate::config::{self, Config, DrainMode};
use crate::connections::Connections;
use crate::leaving::Leaving;
use crate::metrics::Metrics;
use crate::page::Pages;
use crate::rates::PublishRates;
use crate::shard::MAX_RESERVED;
use crate::snapshot;
use crate::tls::{Tls, TlsError};

/// The hub and everything around it
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) hub: Hub,
    pub(crate) clock: Clock,
    pub(crate) leaving: Leaving,
    pub(crate) authority: Arc<Authority>,
    /// Who decides: the authority of the configuration, or what an embedding program brings
    pub(crate) authorizer: Arc<dyn Authorizer>,
    /// What connections are encrypted with, if they are
    pub(crate) tls: Option<Tls>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) publish_rates: PublishRates,
    pub(crate) connections: Arc<Connections>,
    pub(crate) attendance: Arc<Attendance>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) jitter: Jitter,
    moments: Moments,
    /// What ws-codec is told of the limits
    pub(crate) websocket: Arc<ws_codec::Config>,
    pub(crate) pages: Pages,
}

impl App {
    /// Everything around a log in memory, which is read from its snapshot if one is configured
    ///
    /// # Errors
    /// When a key file or a certificate cannot be read, or a host or origin of the configuration is none.
    pub(crate) fn new(
        config: Config,
        authorizer: Option<Arc<dyn Authorizer>>,
    ) -> Result<Arc<Self>, StartError> {
        let (clock, seed) = (Clock::start(), random_seed());
        let hub = match &config.log.snapshot {
            Some(path) => snapshot::restore(path, hub_config(&config), seed, clock.now()),
            None => Hub::new(hub_config(&config), seed, clock.now()),
        };
        Self::around(hub, clock, seed, config, authorizer)
    }

    /// Everything around a log that a store keeps
    ///
    /// # Errors
    /// As [`App::new`], and when the store cannot be read.
    pub(crate) async fn over(
        store: Arc<dyn Store>,
        config: Config,
        authorizer: Option<Arc<dyn Authorizer>>,
    ) -> Result<Arc<Self>, StartError> {
        if config.log.snapshot.is_some() {
            return Err(StartError::SnapshotOverStore);
        }
        let (clock, seed) = (Clock::start(), random_seed());
        let hub = Hub::open(store, hub_config(&config), seed, clock.now()).await?;
        Self::around(hub, clock, seed, config, authorizer)
    }

    fn around(
        hub: Hub,
        clock: Clock,
        seed: u64,
        config: Config,
        authorizer: Option<Arc<dyn Authorizer>>,
    ) -> Result<Arc<Self>, StartError> {
        let tls = Tls::from_config(&config)?;
        let authority = Arc::new(Authority::from_config(&config)?);
        let metrics = Arc::new(Metrics::default());
        Ok(Arc::new(Self {
            attendance: Attendance::new(&hub),
            hub,
            authorizer: authorizer.unwrap_or_else(|| Arc::clone(&authority) as _),
            authority,
            tls,
            clock,
            leaving: Leaving::new(),
            admission: Admission::new(&config),
            publish_rates: PublishRates::new(&config.rates, &config.auth),
            connections: Connections::new(
                &metrics,
                config.connections.max,
                config.connections.max_per_subject,
            ),
            metrics,
            jitter: Jitter::new(seed),
            moments: Moments::new(seed),
            websocket: Arc::new(websocket_config(&config)),
            pages: Pages::new(&config),
            config,
        }))
    }

    /// How one stream of a server that leaves is sent away, with a moment of its own
    ///
    /// The moments are spread over the window, so that whoever takes the clients over sees a flat arrival rate.
    pub(crate) fn farewell(&self) -> Farewell {
        let moment = self.config.drain.window.mul_f64(self.moments.draw());
        match self.config.drain.mode {
            DrainMode::Restart => Farewell {
                stays: Duration::ZERO,
                returns: moment,
            },
            DrainMode::Rolling => Farewell {
                stays: moment,
                returns: self.jitter.around(self.config.stream.retry, 0.5),
            },
        }
    }

    /// Resolves when a stream is to be sent away, with the time after which its client is to come back
    pub(crate) fn sent_away(self: &Arc<Self>) -> impl Future<Output = Duration> + Send + use<> {
        let (app, leaving) = (Arc::clone(self), self.leaving.started());
        async move {
            leaving.await;
            // Not before: streams that have ended by then would leave holes in the window.
            let farewell = app.farewell();
            tokio::time::sleep(farewell.stays).await;
            farewell.returns
        }
    }

    /// The lag policy by its configured name, with the configured bounds
    pub(crate) fn lag_policy(&self, policy: config::LagPolicy) -> LagPolicy {
        let lag = &self.config.lag;
        LagPolicy {
            action: match policy {
                config::LagPolicy::Replay => LagAction::Replay,
                config::LagPolicy::Newest => LagAction::Newest,
                config::LagPolicy::Conflate => LagAction::Conflate,
                config::LagPolicy::Disconnect => LagAction::Disconnect,
            },
            max_lag: MaxLag {
                events: lag.max_events.map(|max| max as u64),
                bytes: lag.max_bytes.map(|max| max as u64),
                age: lag.max_age,
            },
        }
    }
}

/// Why a server cannot start, or read its configuration again
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys, hosts or origins
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The certificate
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Two places for one log
    #[error("log.snapshot is for a log in memory, and this one is kept by a store: leave it out")]
    SnapshotOverStore,
}

/// How long a stream lives once the server leaves, and when its client is to come back after that
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    pub(crate) stays: Duration,
    pub(crate) returns: Duration,
}

fn hub_config(config: &Config) -> HubConfig {
    let log = &config.log;
    let of_all = Retention {
        max_events: Some(log.max_events as u64),
        max_bytes: Some(log.max_bytes as u64),
        max_age: Some(log.max_age),
    };
    let everything = Pattern::parse("**").expect("`**` is a pattern");
    let rules = log.retention.iter().map(|rule| RetentionRule {
        pattern: Pattern::parse(&rule.pattern)
            .expect("the configuration was checked when it was loaded"),
        retention: Retention {
            max_events: rule.events.map(|max| max as u64).or(of_all.max_events),
            max_bytes: rule.bytes.map(|max| max as u64).or(of_all.max_bytes),
            max_age: rule.age.or(of_all.max_age),
        },
    });
    let mut hub = HubConfig::default();
    hub.retention = rules
        .chain([RetentionRule {
            pattern: everything,
            retention: of_all,
        }])
        .collect();
    hub.max_bytes = log.ceiling_bytes;
    // A quarter of the log for encodings: the newest events in the two or three forms that are read.
    hub.max_form_bytes = log.ceiling_bytes / 4;
    hub.max_event_bytes = config.http.max_body_bytes + MAX_LABEL_BYTES;
    hub.max_batch_events = config.http.max_batch_events;
    hub.reserved_subscriptions = config.connections.max.min(MAX_RESERVED);
    hub.max_patterns = config.connections.max_patterns;
    hub.end_ttl = log.end_retention;
    hub.idempotency_ttl = log.idempotency_window;
    hub.max_idempotency_keys = log.max_idempotency_keys;
    hub
}

/// What an event may have besides its data: a type, a key and a content type of 255 bytes each
const MAX_LABEL_BYTES: usize = 3 * 255;

fn websocket_config(config: &Config) -> ws_codec::Config {
    let websocket = &config.websocket;
    let mut codec = ws_codec::Config::default();
    codec.limits.max_message = websocket.max_message_bytes;
    codec.limits.max_frame = websocket.max_message_bytes;
    codec.ping_after = Some(websocket.ping_interval);
    codec.max_silence = websocket.pong_timeout;
    codec.max_close_time = websocket.close_timeout;
    codec
}

/// Random numbers for spreading things in time; not for secrets
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number from 0 to 1
    pub(crate) fn draw(&self) -> f64 {
        // SplitMix64: a counter, and a mixing of its bits.
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A time within `share` of `middle`, to either side
    pub(crate) fn around(&self, middle: Duration, share: f64) -> Duration {
        middle.mul_f64(1.0 - share + 2.0 * share * self.draw())
    }
}

/// Moments of a window, each new one in the widest gap that those before have left
///
/// The multiples of the golden ratio, of which only the fraction counts: however many are drawn, no part of the window has
/// much more of them than another. Drawn by chance, the fullest second of twenty would have a fifth more than the mean.
#[derive(Debug)]
struct Moments(AtomicU64);

impl Moments {
    fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number from 0 to 1
    fn draw(&self) -> f64 {
        let at = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        (at >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A number that differs from one start to the next, from the operating system by way of the standard library
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_fill_every_part_of_the_window_alike() {
        for (seed, drawn) in [(1, 60), (u64::MAX, 500), (7, 5000)] {
            let moments = Moments::new(seed);
            let mut parts = [0_usize; 20];
            for _ in 0..drawn {
                parts[(moments.draw() * 20.0) as usize] += 1;
            }
            let mean = drawn / 20;
            assert!(
                parts.iter().all(|part| part.abs_diff(mean) <= 2),
                "{drawn}: {parts:?}"
            );
        }
    }

    #[test]
    fn jitter_stays_within_its_share_and_fills_it() {
        let jitter = Jitter::new(1);
        let drawn: Vec<_> = (0..1000)
            .map(|_| jitter.around(Duration::from_secs(10), 0.2))
            .collect();
        assert!(
            drawn
                .iter()
                .all(|d| (Duration::from_secs(8)..=Duration::from_secs(12)).contains(d))
        );
        assert!(drawn.iter().any(|d| *d < Duration::from_millis(8200)));
        assert!(drawn.iter().any(|d| *d > Duration::from_millis(11_800)));
    }
}

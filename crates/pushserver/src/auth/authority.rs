//! The authority that the configuration describes.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use http::request::Parts;
use pushcore::{Grant, Pattern, PatternSet, Timestamp};

use super::api_key::{self, ApiKeys};
use super::failures::Failures;
use super::keys::{KeyError, KeyRing};
use super::origin::{Cookies, OriginPolicy, PolicyError};
use super::recent::Recent;
use super::ticket::{Ticket, TicketError, TicketKey};
use super::token::{self, Demands};
use super::{Credentials, Refusal, patterns};
use crate::config::{Auth, Config};

/// Who may do what, by keys, tokens and tickets
///
/// Everything it needs is in memory: deciding takes microseconds and never waits. It may be shared between threads.
pub struct Authority {
    state: RwLock<Arc<State>>,
    failures: Mutex<Failures>,
    /// Signs tickets where no secret is configured
    fallback: [u8; 32],
    open: Open,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// What a reload replaces as a whole
struct State {
    config: Config,
    keys: KeyRing,
    api_keys: ApiKeys,
    tickets: TicketKey,
    anonymous: Arc<Grant>,
    origins: Arc<OriginPolicy>,
    demands: Demands,
    recent: Recent,
}

/// Why there is no authority
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A key file
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A host or an origin
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A pattern
    #[error("{0}")]
    Pattern(String),
}

impl Authority {
    /// Reads the keys that `config` names; blocks on small files
    pub fn from_config(config: &Config) -> Result<Self, AuthError> {
        let fallback = api_key::random();
        Ok(Self {
            state: RwLock::new(Arc::new(State::read(config, &fallback)?)),
            failures: Mutex::new(Failures::new(config.auth.max_failures)),
            fallback,
            open: Open::default(),
        })
    }

    /// The grant for what a client shows
    ///
    /// A client that shows nothing gets what everybody has, which may be nothing; whether that is enough is decided
    /// where it asks for something. While an address has failed too often, what comes from it is not looked at, good
    /// or bad, except for bearer tokens that were good a moment ago.
    pub fn authorize(
        &self,
        credentials: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Arc<Grant>, Refusal> {
        let state = self.state();
        if state.config.auth.is_open() {
            return Ok(self.open.grant(credentials.peer));
        }
        if credentials.is_anonymous() {
            return Ok(Arc::clone(&state.anonymous));
        }
        if let Some(grant) = state.recall(credentials, now) {
            return Ok(grant);
        }
        if let Some(retry_after) = self.failures().wait(credentials.peer, now) {
            return Err(Refusal::TooMany { retry_after });
        }
        let decided = state.decide(credentials, now);
        if matches!(decided, Err(Refusal::Invalid)) {
            self.failures().note(credentials.peer, now);
        }
        decided
    }

    /// What everybody may do who shows nothing, administering aside
    pub fn everybody(&self) -> Arc<Grant> {
        let state = self.state();
        Arc::clone(match state.config.auth.is_open() {
            true => &self.open.stranger,
            false => &state.anonymous,
        })
    }

    /// What the head of a request shows; `ticket` is its `?ticket=`, and `peer` the client's address
    ///
    /// # Errors
    ///
    /// See [`Credentials::of`].
    pub fn credentials<'a>(
        &self,
        request: &'a Parts,
        ticket: Option<&'a str>,
        peer: IpAddr,
    ) -> Result<Credentials<'a>, Refusal> {
        let state = self.state();
        Credentials::of(request, state.config.auth.cookie.as_deref(), ticket, peer)
    }

    /// Makes a ticket for some of what `grant` may read
    ///
    /// `lifetime` is what was asked for: never more than `auth.max_ticket_lifetime`, nor than the grant itself has.
    pub fn issue_ticket(
        &self,
        grant: &Grant,
        patterns: &[Pattern],
        lifetime: Option<Duration>,
        now: Timestamp,
    ) -> Result<Ticket, TicketError> {
        let state = self.state();
        let Auth {
            ticket_lifetime,
            max_ticket_lifetime,
            ..
        } = state.config.auth;
        let lifetime = lifetime.unwrap_or(ticket_lifetime).min(max_ticket_lifetime);
        state.tickets.issue(grant, patterns, lifetime, now)
    }

    /// The rules about hosts and origins now in force
    pub fn origins(&self) -> Arc<OriginPolicy> {
        Arc::clone(&self.state().origins)
    }

    /// Takes a new configuration and reads its key files; on an error everything stays as it was
    ///
    /// Grants already given are not touched.
    pub fn reload(&self, config: &Config) -> Result<(), AuthError> {
        let state = Arc::new(State::read(config, &self.fallback)?);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }

    /// Reads the key files again if one has changed; to be called every `auth.reread_interval`
    ///
    /// Says whether it did. On an error the keys stay as they were, so a file that is caught while it is being written
    /// does no harm.
    pub fn reread_changed(&self) -> Result<bool, AuthError> {
        let state = self.state();
        if !state.keys.is_stale() {
            return Ok(false);
        }
        self.reload(&state.config).map(|()| true)
    }

    /// What an operator should be told at the start
    pub fn warnings(&self) -> Vec<String> {
        let state = self.state();
        let auth = &state.config.auth;
        let mut warnings = Vec::new();
        if auth.has_keys() && auth.secret.is_none() && auth.ticket_secret.is_none() {
            warnings.push(
                "tickets will not be good after a restart: set auth.ticket_secret".to_owned(),
            );
        }
        warnings
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without keys everybody may do everything, and programs on this machine may administer
///
/// Made once, because every connection holds one.
struct Open {
    local: Arc<Grant>,
    stranger: Arc<Grant>,
}

impl Default for Open {
    fn default() -> Self {
        let stranger = Grant {
            admin: false,
            ..Grant::all()
        };
        Self {
            local: Arc::new(Grant::all()),
            stranger: Arc::new(stranger),
        }
    }
}

impl Open {
    fn grant(&self, peer: IpAddr) -> Arc<Grant> {
        let local = peer.to_canonical().is_loopback();
        Arc::clone(if local { &self.local } else { &self.stranger })
    }
}

impl State {
    fn read(config: &Config, fallback: &[u8]) -> Result<Self, AuthError> {
        let auth = &config.auth;
        let secret = auth.ticket_secret.as_ref().or(auth.secret.as_ref());
        let cookies = if auth.cookie.is_some() {
            Cookies::Accepted
        } else {
            Cookies::Ignored
        };
        let server = &config.server;
        let anonymous = Grant {
            subscribe: patterns("auth.anonymous_subscribe", &auth.anonymous_subscribe)
                .map_err(AuthError::Pattern)?,
            publish: patterns("auth.anonymous_publish", &auth.anonymous_publish)
                .map_err(AuthError::Pattern)?,
            ..Grant::default()
        };
        Ok(Self {
            keys: KeyRing::read(auth)?,
            api_keys: ApiKeys::new(&auth.api_keys).map_err(AuthError::Pattern)?,
            tickets: TicketKey::derive(
                secret.map_or(fallback, |secret| secret.expose().as_bytes()),
            ),
            anonymous: Arc::new(anonymous),
            origins: Arc::new(OriginPolicy::new(
                &server.allowed_hosts,
                &server.allowed_origins,
                cookies,
            )?),
            demands: Demands {
                max_bytes: auth.max_token_bytes,
                max_patterns: auth.max_grant_patterns,
                leeway: auth.leeway,
                allow_eternal: auth.allow_eternal_tokens,
            },
            recent: Recent::default(),
            config: config.clone(),
        })
    }

    fn decide(&self, credentials: &Credentials<'_>, now: Timestamp) -> Result<Arc<Grant>, Refusal> {
        if let Some(bearer) = credentials.bearer {
            // A token has dots and a key has none, so neither is ever tried as the other.
            return if bearer.contains('.') {
                self.token(bearer, now)
            } else {
                self.api_key(bearer)
            };
        }
        if let Some(key) = credentials.api_key {
            return self.api_key(key);
        }
        if let Some(ticket) = credentials.ticket {
            return self.ticket(ticket, now);
        }
        let Some(cookie) = credentials.cookie else {
            return Ok(Arc::clone(&self.anonymous));
        };
        let listed = credentials
            .origin
            .is_some_and(|origin| self.origins.admits_cookie_of(origin));
        let own = credentials
            .own_page
            .is_some_and(|host| self.origins.admits_cookie_of_own_page(host));
        if !listed && !own {
            return Err(Refusal::ForeignPage);
        }
        self.token(cookie, now)
    }

    fn recall(&self, credentials: &Credentials<'_>, now: Timestamp) -> Option<Arc<Grant>> {
        let token = credentials
            .bearer
            .filter(|token| token.len() <= self.demands.max_bytes)?;
        self.recent.recall(token, now)
    }

    fn token(&self, text: &str, now: Timestamp) -> Result<Arc<Grant>, Refusal> {
        let verified = token::verify(text, &self.keys, &self.demands, now);
        let mut grant = verified.map_err(|error| {
            tracing::debug!(reason = %error, "a token is not accepted");
            Refusal::Invalid
        })?;
        self.add_anonymous(&mut grant);
        let grant = Arc::new(grant);
        self.recent.remember(text, &grant, now);
        Ok(grant)
    }

    fn api_key(&self, key: &str) -> Result<Arc<Grant>, Refusal> {
        if key.len() > self.demands.max_bytes {
            return Err(Refusal::Invalid);
        }
        self.api_keys.grant(key).ok_or(Refusal::Invalid)
    }

    fn ticket(&self, ticket: &str, now: Timestamp) -> Result<Arc<Grant>, Refusal> {
        self.tickets
            .verify(ticket, now)
            .map(Arc::new)
            .ok_or(Refusal::Invalid)
    }

    /// Nobody sees less for having said who they are
    fn add_anonymous(&self, grant: &mut Grant) {
        add(&mut grant.subscribe, &self.anonymous.subscribe);
        add(&mut grant.publish, &self.anonymous.publish);
    }
}

fn add(own: &mut PatternSet, others: &PatternSet) {
    if others.iter().any(|other| !own.covers(other)) {
        *own = own.iter().chain(others).cloned().collect();
    }
}

//! Asks a backend over HTTP who may do what, remembers the answer for a stated time, and fails closed.
//!
//! For teams whose sessions live in their own backend: the client shows the session token it already has, and the backend says
//! what its bearer may read and publish. Run it with `cargo run -p pushserver --example backend_authorizer`: it plays the backend
//! too, and shows what is asked and what is remembered.
//!
//! ```text
//!   client --token--> pushserver --POST /authorize, Authorization: Bearer token--> backend
//!                         ^------- 200 {"subject","subscribe","publish"}, or 401 ----'
//! ```
//!
//! What is bounded: an answer is good for [`FRESH`] and so is the grant made from it, so a change of mind in the backend
//! reaches every open stream within that time; at most [`MAX_REMEMBERED`] answers are kept, by the digest of the token and never
//! the token; at most [`MAX_ASKING`] questions are under way; each may take [`DEADLINE`]; an answer has at most [`MAX_ANSWER`] bytes.
//! When the backend is down, slow or talks nonsense, nobody new gets in: the refusal says "unavailable", and clients come back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use pushcore::{Grant, Pattern, PatternSet, Timestamp};
use pushserver::auth::{Authorizer, Credentials, Refusal};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long an answer is good
const FRESH: Duration = Duration::from_secs(60);
/// Answers remembered: at about 300 bytes each, 3 MB
const MAX_REMEMBERED: usize = 10_000;
/// Questions under way at once: what a storm of reconnecting clients may cost the backend
const MAX_ASKING: usize = 32;
/// Time for a whole question, the wait for its turn included
const DEADLINE: Duration = Duration::from_secs(2);
/// Largest answer that is read
const MAX_ANSWER: usize = 16 * 1024;
/// Largest token that is passed on
const MAX_TOKEN: usize = 4 * 1024;
/// When clients are told to come back after a question that got no answer
const RETRY: Duration = Duration::from_secs(5);

/// An [`Authorizer`] that asks a backend
struct BackendAuthorizer {
    backend: SocketAddr,
    asking: Semaphore,
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
}

/// What the backend said about a token; a refusal is remembered too, so that a bad token is asked about once
struct Remembered {
    answer: Option<Arc<Grant>>,
    until: Timestamp,
}

/// What the backend answers with
#[derive(Deserialize)]
struct Answer {
    subject: Option<String>,
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    publish: Vec<String>,
}

impl BackendAuthorizer {
    fn new(backend: SocketAddr) -> Self {
        Self {
            backend,
            asking: Semaphore::new(MAX_ASKING),
            remembered: Mutex::default(),
        }
    }

    fn recall(&self, key: &[u8; 32], now: Timestamp) -> Option<Result<Arc<Grant>, Refusal>> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = remembered.get(key).filter(|known| known.until > now)?;
        Some(known.answer.clone().ok_or(Refusal::Invalid))
    }

    fn remember(&self, key: [u8; 32], answer: Option<Arc<Grant>>, now: Timestamp) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, known| known.until > now);
        }
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(
                key,
                Remembered {
                    answer,
                    until: now.saturating_add(FRESH),
                },
            );
        }
    }

    /// Asks about a token: a grant, a refusal, or an error if there was no answer
    async fn ask(&self, token: &str, now: Timestamp) -> Result<Option<Grant>, NoAnswer> {
        let _turn = self.asking.acquire().await?;
        let stream = TcpStream::connect(self.backend).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::post("/authorize")
            .header("host", self.backend.to_string())
            .header("authorization", format!("Bearer {token}"))
            .body(Empty::<Bytes>::new())?;
        // Dropped with this question, however it ends.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await?;
        read_answer(status, &body.to_bytes(), now)
    }
}

/// Anything that keeps the backend from answering
type NoAnswer = Box<dyn std::error::Error + Send + Sync>;

fn read_answer(status: StatusCode, body: &[u8], now: Timestamp) -> Result<Option<Grant>, NoAnswer> {
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Ok(None),
        other => return Err(format!("the backend answered {other}").into()),
    }
    let answer: Answer = serde_json::from_slice(body)?;
    let set = |texts: Vec<String>| {
        texts
            .iter()
            .map(|text| Pattern::parse(text))
            .collect::<Result<PatternSet, _>>()
    };
    Ok(Some(Grant {
        subject: answer.subject,
        subscribe: set(answer.subscribe)?,
        publish: set(answer.publish)?,
        expires: Some(now.saturating_add(FRESH)),
        ..Grant::default()
    }))
}

#[async_trait]
impl Authorizer for BackendAuthorizer {
    async fn authorize(
        &self,
        credentials: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Arc<Grant>, Refusal> {
        let Some(token) = credentials.bearer else {
            return if credentials.is_anonymous() {
                Ok(Arc::default())
            } else {
                Err(Refusal::Invalid)
            };
        };
        // What is passed on in a header field must be fit for one.
        if token.is_empty()
            || token.len() > MAX_TOKEN
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Refusal::Invalid);
        }
        let key = digest(token);
        if let Some(known) = self.recall(&key, now) {
            return known;
        }
        let asked = tokio::time::timeout(DEADLINE, self.ask(token, now)).await;
        let Ok(Ok(answer)) = asked else {
            return Err(Refusal::Unavailable { retry_after: RETRY });
        };
        let answer = answer.map(Arc::new);
        self.remember(key, answer.clone(), now);
        answer.ok_or(Refusal::Invalid)
    }
}

fn digest(token: &str) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A backend for the sake of the example, with one user, alice
struct Backend {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Backend {
    async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                let service = hyper::service::service_fn(move |request| {
                    count.fetch_add(1, Ordering::Relaxed);
                    std::future::ready(answer(&request))
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Ok(Self { address, asked })
    }
}

fn answer(request: &Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
    let token = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (status, body) = match token {
        "Bearer alices-session" => (
            200,
            r#"{"subject":"alice","subscribe":["news/**","users/alice"],"publish":["chat/*"]}"#,
        ),
        "Bearer nonsense" => (200, "<html>"),
        "Bearer trouble" => (500, ""),
        _ => (401, ""),
    };
    Response::builder().status(status).body(Full::from(body))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let backend = Backend::start().await?;
    let authorizer = BackendAuthorizer::new(backend.address);
    let peer = [127, 0, 0, 1].into();
    let now = Timestamp(1_800_000_000_000);
    for token in ["alices-session", "alices-session", "stolen", "trouble"] {
        let decided = authorizer
            .authorize(&Credentials::bearer(token, peer), now)
            .await;
        let asked = backend.asked.load(Ordering::Relaxed);
        println!("{token}: {decided:?} (the backend was asked {asked} times so far)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    async fn started() -> (Backend, BackendAuthorizer) {
        let backend = Backend::start().await.unwrap();
        let authorizer = BackendAuthorizer::new(backend.address);
        (backend, authorizer)
    }

    async fn ask(
        authorizer: &BackendAuthorizer,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<Grant>, Refusal> {
        authorizer
            .authorize(&Credentials::bearer(token, [127, 0, 0, 1].into()), now)
            .await
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_once_until_it_is_stale() {
        let (backend, authorizer) = started().await;
        let asked = || backend.asked.load(Ordering::Relaxed);
        for _ in 0..3 {
            let grant = ask(&authorizer, "alices-session", NOW).await.unwrap();
            assert_eq!(grant.subject.as_deref(), Some("alice"));
            assert_eq!(grant.expires, Some(NOW.saturating_add(FRESH)));
            assert_eq!(ask(&authorizer, "stolen", NOW).await, Err(Refusal::Invalid));
        }
        assert_eq!(asked(), 2);
        ask(&authorizer, "alices-session", NOW.saturating_add(FRESH))
            .await
            .unwrap();
        assert_eq!(asked(), 3);
    }

    #[tokio::test]
    async fn without_a_sound_answer_nobody_gets_in() {
        let (backend, authorizer) = started().await;
        let unavailable = Err(Refusal::Unavailable { retry_after: RETRY });
        for token in ["trouble", "nonsense", "trouble"] {
            assert_eq!(ask(&authorizer, token, NOW).await, unavailable);
        }
        assert_eq!(
            backend.asked.load(Ordering::Relaxed),
            3,
            "no answer is not remembered"
        );
        // Nobody listens there: the port was taken and given back.
        let gone = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        assert_eq!(
            ask(&BackendAuthorizer::new(gone), "alices-session", NOW).await,
            unavailable
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_never_answers_is_waited_for_no_longer_than_the_deadline() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authorizer = BackendAuthorizer::new(silent.local_addr().unwrap());
        let before = tokio::time::Instant::now();
        let answer = ask(&authorizer, "alices-session", NOW).await;
        assert_eq!(answer, Err(Refusal::Unavailable { retry_after: RETRY }));
        assert!(before.elapsed() <= DEADLINE + Duration::from_millis(10));
    }

    #[tokio::test]
    async fn what_does_not_fit_into_a_header_field_is_not_passed_on() {
        let (backend, authorizer) = started().await;
        for token in ["", "a b", "a\r\nx: y", "é", &"x".repeat(MAX_TOKEN + 1)] {
            assert_eq!(ask(&authorizer, token, NOW).await, Err(Refusal::Invalid));
        }
        assert_eq!(backend.asked.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn memory_is_bounded_and_makes_room_when_answers_are_stale() {
        let authorizer = BackendAuthorizer::new(([127, 0, 0, 1], 1).into());
        let count = || authorizer.remembered.lock().unwrap().len();
        for number in 0..MAX_REMEMBERED + 100 {
            authorizer.remember(digest(&number.to_string()), None, NOW);
        }
        assert_eq!(count(), MAX_REMEMBERED);
        authorizer.remember(digest("later"), None, NOW.saturating_add(FRESH));
        assert_eq!(count(), 1);
    }
}

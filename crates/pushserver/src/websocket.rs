//! Opening a WebSocket on a topic's URL (RFC 6455 section 4.2, RFC 8441).

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version, header};
use pushcore::{Grant, LagPolicy, Start, SubscribeOptions};
use ws_codec::handshake::{Deflate, DeflateConfig, Opening, Rejection, Via};

use crate::app::App;
use crate::close_codes::Closing;
use crate::connections::Listed;
use crate::follow::{Reading, subscribe_problem};
use crate::metrics::Transport;
use crate::stream_start::StreamStart;
use crate::transport::Door;
use crate::transport::closed::ClosedSocket;
use crate::transport::plain::PlainSocket;
use crate::transport::push::PushSocket;
use crate::transport::renewal::Awaited;
use crate::web::problem::Problem;

/// The subprotocol that carries JSON commands and events
const PUSH_V1: &str = "push.v1";

/// Whether a request asks for a WebSocket, rightly or not
pub(crate) fn is_asked_for(parts: &Parts) -> bool {
    if parts.method == Method::CONNECT {
        return true;
    }
    let upgrades = parts.headers.get_all(header::UPGRADE).iter();
    upgrades
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value
                .split(',')
                .any(|token| token.trim().eq_ignore_ascii_case("websocket"))
        })
}

/// Whether a client has shown what allows it to read what its URL names
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Showing {
    /// In its request, or nothing needs to be shown
    Done,
    /// In the first message, as `push.v1` allows
    ToCome,
}

/// A handshake that is right, before it is known what may be read
pub(crate) struct Handshake {
    status: StatusCode,
    headers: HeaderMap,
    speaks_push: bool,
    deflate: Option<Deflate>,
}

impl Handshake {
    /// Checks the handshake and chooses the subprotocol
    pub(crate) fn read(app: &App, parts: &Parts) -> Result<Self, Problem> {
        let via = match parts.version {
            Version::HTTP_2 => {
                let protocol = parts.extensions.get::<hyper::ext::Protocol>();
                Via::Http2 {
                    protocol: protocol.map_or("", hyper::ext::Protocol::as_str),
                }
            }
            Version::HTTP_10 | Version::HTTP_09 => Via::Http10,
            _ => Via::Http11,
        };
        let fields = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let opening = Opening::of_request(via, parts.method.as_str(), fields)
            .map_err(|error| rejected(&error))?;
        let protocol = opening.select_protocol(&[PUSH_V1]);
        let deflate = if app.config.websocket.deflate {
            opening.agree_deflate(&DeflateConfig::default())
        } else {
            None
        };
        let response = opening.accept(protocol, deflate.as_ref());
        let mut headers = HeaderMap::new();
        for (name, value) in &response.fields {
            let value = HeaderValue::from_str(value).expect("ws-codec writes tokens and base64");
            headers.append(HeaderName::from_static(name), value);
        }
        let status = StatusCode::from_u16(response.status).expect("101 or 200");
        Ok(Self {
            status,
            headers,
            speaks_push: protocol.is_some(),
            deflate,
        })
    }

    /// Which of the doors it asks for
    pub(crate) fn transport(&self) -> Transport {
        if self.speaks_push {
            Transport::Push
        } else {
            Transport::Plain
        }
    }

    /// Opens the door that the subprotocol asks for
    ///
    /// `reading` is what the URL names; without a subprotocol that must be one exact topic.
    pub(crate) fn open(
        self,
        app: &Arc<App>,
        reading: Option<Reading>,
        lag: LagPolicy,
        grant: Arc<Grant>,
        mut listed: Listed,
        showing: Showing,
    ) -> Result<StreamStart, Problem> {
        let now = app.clock.now();
        let topic = match reading.as_ref().map(|reading| &reading.patterns[..]) {
            Some([one]) => one.topic().cloned(),
            _ => None,
        };
        if !self.speaks_push && topic.is_none() {
            return Err(Problem::bad_handshake(
                "a WebSocket without a subprotocol is for one exact topic; offer `Sec-WebSocket-Protocol: push.v1` for several",
            ));
        }
        let resuming = reading.as_ref().is_some_and(Reading::is_resuming);
        let awaits = showing == Showing::ToCome;
        let awaited = reading.as_ref().filter(|_| awaits).cloned();
        let awaited = awaited.map(|reading| Awaited {
            reading,
            until: now.saturating_add(app.config.websocket.token_timeout),
        });
        let options = match reading {
            Some(reading) if awaits => SubscribeOptions {
                patterns: Vec::new(),
                start: Start::Now,
                ..reading.into_options(&grant)
            },
            Some(reading) => reading.into_options(&grant),
            None => SubscribeOptions {
                start: Start::Now,
                lag,
                grant: Some(Arc::clone(&grant)),
                ..Default::default()
            },
        };
        let subscription = match app.hub.subscribe(options, now) {
            Ok(subscription) => subscription,
            Err(error) => return Ok(self.refuse(app, &subscribe_problem(&error))),
        };
        listed.begins(app, subscription.id(), resuming);
        let door = match topic {
            Some(topic) if !self.speaks_push => Door::Plain(Box::new(PlainSocket::new(
                app,
                subscription,
                listed,
                topic,
                grant,
                self.deflate,
                now,
            ))),
            _ => Door::Push(Box::new(PushSocket::new(
                app,
                subscription,
                listed,
                grant,
                awaited,
                self.deflate,
                now,
            ))),
        };
        Ok(StreamStart {
            status: self.status,
            headers: self.headers,
            door,
        })
    }

    /// Opens the WebSocket only to close it: a browser can read a close code, but not a refused handshake
    pub(crate) fn refuse(self, app: &Arc<App>, problem: &Problem) -> StreamStart {
        let closing = Closing::of(problem);
        let door = ClosedSocket::new(app, closing, problem.detail(), app.clock.now());
        StreamStart {
            status: self.status,
            headers: self.headers,
            door: Door::Closed(Box::new(door)),
        }
    }
}

fn rejected(rejection: &Rejection) -> Problem {
    let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut problem = Problem::bad_handshake(rejection.to_string()).with_status(status);
    for (name, value) in rejection.fields() {
        problem = problem.with(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    // What follows a handshake that failed cannot be told from frames.
    problem.with(header::CONNECTION, HeaderValue::from_static("close"))
}

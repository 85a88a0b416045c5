//! A request and its answer: checks that hold for every path, then the capability the path names.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version, header};

use crate::access;
use crate::admin;
use crate::app::App;
use crate::batch;
use crate::follow::{self, Reading, Started};
use crate::health;
use crate::leaving::Phase;
use crate::metrics::Transport;
use crate::page;
use crate::pages;
use crate::peer::Peer;
use crate::presence;
use crate::publish;
use crate::refresh;
use crate::revocations;
use crate::stream_start::StreamStart;
use crate::tickets;
use crate::topic_admin;
use crate::transport::sse::Framing;
use crate::web::accept::{self, Form};
use crate::web::body::{Body, Incoming, Payload};
use crate::web::problem::Problem;
use crate::web::query::Query;
use crate::web::route::Route;
use crate::websocket::{self, Handshake, Showing};

/// How a request is answered
pub(crate) enum Answer {
    /// By a response
    Response(Response<Body>),
    /// By a stream that its carrier is to carry
    Stream(Box<StreamStart>),
}

/// Who carries a stream that a request asks for
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The socket itself, taken over from hyper: the stream writes HTTP/1's framing
    Socket,
    /// A body or an upgraded connection: a layer below does the framing
    Body,
}

/// Answers one request
pub(crate) async fn answer<B: Payload>(
    app: &Arc<App>,
    request: Request<B>,
    peer: Peer,
    carrier: Carrier,
) -> Answer {
    let (parts, body) = request.into_parts();
    let body = Incoming::new(body, &app.config.http);
    let cors = match access::check_origin(app, &parts) {
        Ok(cors) => cors,
        Err(problem) => return Answer::Response(refuse(app, problem)),
    };
    if parts.method == Method::OPTIONS {
        return Answer::Response(cors.preflight());
    }
    let mut answer = match dispatch(app, &parts, body, peer, carrier).await {
        Ok(answer) => answer,
        Err(problem) if problem.is_forbidden() && access::is_anonymous(app, &parts, peer) => {
            Answer::Response(refuse(app, access::show_something(&problem, &parts)))
        }
        Err(problem) => Answer::Response(refuse(app, problem)),
    };
    cors.apply(match &mut answer {
        Answer::Response(response) => response.headers_mut(),
        Answer::Stream(start) => &mut start.headers,
    });
    answer
}

fn refuse(app: &App, problem: Problem) -> Response<Body> {
    app.metrics.refused(problem.kind());
    problem.into_response()
}

async fn dispatch<B: Payload>(
    app: &Arc<App>,
    parts: &Parts,
    body: Incoming<B>,
    peer: Peer,
    carrier: Carrier,
) -> Result<Answer, Problem> {
    let grant = || access::authorize(app, parts, peer);
    let from = access::client(app, parts, peer);
    let method = &parts.method;
    let response = match Route::parse(parts.uri.path())? {
        Route::Topic(topic) => match *method {
            Method::GET | Method::CONNECT => {
                return read(app, Some(&topic), parts, peer, carrier).await;
            }
            Method::POST | Method::PUT => {
                publish::publish(app, &topic, parts, body, &*grant().await?, from).await?
            }
            Method::HEAD => topic_admin::head(app, &topic, parts, &*grant().await?)?,
            Method::DELETE => topic_admin::delete(app, &topic, parts, &*grant().await?)?,
            _ => {
                return Err(Problem::method_not_allowed(
                    method,
                    "GET, HEAD, POST, PUT, DELETE, OPTIONS",
                ));
            }
        },
        Route::Topics => match *method {
            Method::GET | Method::CONNECT => return read(app, None, parts, peer, carrier).await,
            _ => return Err(Problem::method_not_allowed(method, "GET, OPTIONS")),
        },
        Route::Publish => match *method {
            Method::POST => batch::publish(app, parts, body, &*grant().await?, from).await?,
            _ => return Err(Problem::method_not_allowed(method, "POST, OPTIONS")),
        },
        Route::Health => only_get(method, health::health())?,
        Route::Ready => only_get(method, health::ready(app))?,
        Route::Index => only_get(method, pages::index(app))?,
        Route::Console if app.config.console.enabled => {
            only_get(method, pages::html(pages::CONSOLE))?
        }
        Route::Console => return Err(Problem::not_found(parts.uri.path())),
        Route::PushJs => only_get(method, pages::script(pages::PUSH_JS))?,
        Route::Presence => match *method {
            Method::GET => presence::answer(app, parts, &*grant().await?)?,
            _ => return Err(Problem::method_not_allowed(method, "GET, OPTIONS")),
        },
        Route::Tickets => match *method {
            Method::POST => tickets::issue(app, parts, body, &*grant().await?).await?,
            _ => return Err(Problem::method_not_allowed(method, "POST, OPTIONS")),
        },
        Route::Refresh(id) => match *method {
            Method::POST => refresh::refresh(app, id, &grant().await?)?,
            _ => return Err(Problem::method_not_allowed(method, "POST, OPTIONS")),
        },
        Route::Admin("revocations") => match *method {
            Method::POST => revocations::revoke(app, parts, body, &*grant().await?).await?,
            _ => return Err(Problem::method_not_allowed(method, "POST, OPTIONS")),
        },
        Route::Admin(what) => admin::answer(app, what, parts, &*grant().await?)?,
        Route::Metrics => {
            let grant = grant().await;
            only_get(method, admin::metrics(app, parts, peer, grant)?)?
        }
    };
    Ok(Answer::Response(response))
}

/// `GET` of topics: a WebSocket, an event stream, a page of events, or a page for a person
async fn read(
    app: &Arc<App>,
    path: Option<&str>,
    parts: &Parts,
    peer: Peer,
    carrier: Carrier,
) -> Result<Answer, Problem> {
    if websocket::is_asked_for(parts) {
        return read_websocket(app, path, parts, peer).await;
    }
    let query = Query::parse(parts.uri.query(), follow::PARAMETERS)?;
    let accept = publish::single_header(&parts.headers, &header::ACCEPT)?;
    let form = accept::negotiate(accept);
    if form == Form::Html {
        return Ok(Answer::Response(pages::html(pages::FOLLOW)));
    }
    let patient = match query.one("errors")? {
        None => form == Form::EventStream,
        Some("http") => false,
        Some(other) => {
            return Err(Problem::bad_parameter(format!(
                "`errors={other}` is not known; `errors=http` is"
            )));
        }
    };
    match read_form(app, form, path, &query, parts, peer, carrier).await {
        Err(problem) if patient && problem.is_passing() => {
            app.metrics.refused(problem.kind());
            Ok(Answer::Response(follow::come_back(app)))
        }
        answer => answer,
    }
}

async fn read_form(
    app: &Arc<App>,
    form: Form,
    path: Option<&str>,
    query: &Query<'_>,
    parts: &Parts,
    peer: Peer,
    carrier: Carrier,
) -> Result<Answer, Problem> {
    if app.leaving.phase() > Phase::Serving {
        return Err(Problem::overloaded("the server is leaving service"));
    }
    let reading = Reading::read(app, path, query, &parts.headers, app.clock.now())?;
    let guest = access::guest(app, parts, peer)?;
    let grant = access::authorize(app, parts, peer).await?;
    reading.check(&grant)?;
    if form == Form::Json {
        let limit = query.count("limit", app.config.stream.max_page_events as u64)?;
        let wait = query.duration("wait")?;
        let polled = page::poll(app, reading, grant, wait, limit.map(|limit| limit as usize)).await;
        drop(guest);
        return polled.map(Answer::Response);
    }
    let framing = match (carrier, parts.version) {
        (Carrier::Socket, Version::HTTP_11) => Framing::Chunked,
        _ => Framing::Bare,
    };
    let (client, now) = (access::client(app, parts, peer), app.clock.now());
    let listed = app
        .connections
        .enter(Transport::EventStream, &grant, client, guest, now)?;
    match follow::event_stream(app, reading, &grant, listed, framing)? {
        Started::Stream(start) => Ok(Answer::Stream(Box::new(start))),
        Started::NothingMore => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(Answer::Response(response))
        }
    }
}

/// A handshake that is wrong is refused in HTTP; everything a client must understand is said by a close code
async fn read_websocket(
    app: &Arc<App>,
    path: Option<&str>,
    parts: &Parts,
    peer: Peer,
) -> Result<Answer, Problem> {
    let handshake = Handshake::read(app, parts)?;
    let anonymous = access::is_anonymous(app, parts, peer);
    let may_show_later = anonymous && handshake.transport() == Transport::Push;
    let opened = async {
        if app.leaving.phase() > Phase::Serving {
            return Err(Problem::overloaded("the server is leaving service"));
        }
        let query = Query::parse(parts.uri.query(), follow::PARAMETERS)?;
        let names_topics = path.is_some() || query.all("match").next().is_some();
        let reading = names_topics
            .then(|| Reading::read(app, path, &query, &parts.headers, app.clock.now()))
            .transpose()?;
        let lag = match &reading {
            Some(reading) => reading.lag,
            None => follow::lag_of_none(app, &query)?,
        };
        let guest = access::guest(app, parts, peer)?;
        let grant = match access::authorize(app, parts, peer).await {
            Err(problem) if may_show_later && problem.is_unauthorized() => Arc::default(),
            decided => decided?,
        };
        let covered = reading.as_ref().map_or(Ok(()), |own| own.check(&grant));
        let showing = match covered {
            Ok(()) => Showing::Done,
            Err(_) if may_show_later => Showing::ToCome,
            Err(problem) => return Err(problem),
        };
        let (client, now) = (access::client(app, parts, peer), app.clock.now());
        let transport = handshake.transport();
        let listed = app
            .connections
            .enter(transport, &grant, client, guest, now)?;
        Ok((reading, lag, grant, listed, showing))
    };
    let start = match opened.await {
        Ok((reading, lag, grant, listed, showing)) => {
            handshake.open(app, reading, lag, grant, listed, showing)?
        }
        Err(problem) => {
            let problem = match anonymous && problem.is_forbidden() {
                true => access::show_something(&problem, parts),
                false => problem,
            };
            app.metrics.refused(problem.kind());
            handshake.refuse(app, &problem)
        }
    };
    Ok(Answer::Stream(Box::new(start)))
}

fn only_get(method: &Method, response: Response<Body>) -> Result<Response<Body>, Problem> {
    match *method {
        Method::GET | Method::HEAD => Ok(response),
        _ => Err(Problem::method_not_allowed(method, "GET, HEAD, OPTIONS")),
    }
}

//! A WebSocket whose connection another layer owns: one stream of HTTP/2, or an upgrade in somebody else's program.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use pushcore::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::app::App;
use crate::stall::Watched;
use crate::transport::{Door, Output};

/// Bytes read at a time; the buffer lives as long as the connection, because there is no shard to lend one
const READ_BUFFER_BYTES: usize = 4096;

/// Drives `door` on the connection that `upgrade` resolves to; it counts as one of its connection's streams until it ends
pub(crate) fn spawn(app: &Arc<App>, door: Door, upgrade: OnUpgrade, watched: Option<Watched>) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let stream = Upgraded::new(&app, door, TokioIo::new(upgraded), watched);
                if let Err(error) = drive(stream).await {
                    tracing::debug!(%error, "an upgraded connection broke");
                }
            }
            Err(error) => tracing::debug!(%error, "an upgrade did not come about"),
        }
    });
}

/// A connection, a door, and what did not fit into the connection
struct Upgraded<IO> {
    app: Arc<App>,
    door: Door,
    io: IO,
    watched: Option<Watched>,
    stage: Stage,
    /// Bytes of the door's last output that the connection has not taken
    unsent: Bytes,
    /// Since when the connection has taken nothing, while something waits for it
    blocked_since: Option<Timestamp>,
    /// Whether the connection tells when there is input
    listening: bool,
    read_buffer: Box<[u8]>,
}

/// How far a connection is on its way to its end
///
/// ```text
///   Open --the door's last bytes--> Finishing --written, shut--> over
///     `-----------the client's end--> Ended ---------shut-------'
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The last bytes are committed; what the client still says is heard
    Finishing,
    /// The client has closed its side and expects nothing more
    Ended,
}

/// Visits the connection whenever something happens to it, until it ends
///
/// A visit leaves nothing that could be done at once. So what wakes the task comes after it: the connection and the door were asked to tell
/// by the visit, and the deadline is what stands after it.
async fn drive<IO: AsyncRead + AsyncWrite + Unpin>(mut stream: Upgraded<IO>) -> io::Result<()> {
    let app = Arc::clone(&stream.app);
    let mut sent_away = pin!(app.sent_away());
    let mut sleep = pin!(tokio::time::sleep_until(Instant::now()));
    let mut left = false;
    let ended = std::future::poll_fn(|cx| {
        loop {
            let now = app.clock.now();
            if !left && let Poll::Ready(returns) = sent_away.as_mut().poll(cx) {
                left = true;
                stream.door.handle_leave(returns, now);
            }
            if let Poll::Ready(ended) = stream.visit(cx, now) {
                return Poll::Ready(ended);
            }
            let due = stream.deadline().max(Timestamp(now.0 + 1));
            let deadline = Instant::from(app.clock.instant(due));
            if sleep.deadline() != deadline {
                sleep.as_mut().reset(deadline);
            }
            ready!(sleep.as_mut().poll(cx));
        }
    })
    .await;
    if ended.is_err()
        && let Some(watched) = stream.watched.take()
    {
        // What the connection has taken over would wait for the client's window for ever.
        watched.reset();
    }
    ended
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Upgraded<IO> {
    fn new(app: &Arc<App>, door: Door, io: IO, watched: Option<Watched>) -> Self {
        Self {
            app: Arc::clone(app),
            door,
            io,
            watched,
            stage: Stage::Open,
            unsent: Bytes::new(),
            blocked_since: None,
            listening: false,
            read_buffer: vec![0; READ_BUFFER_BYTES].into(),
        }
    }

    /// When time alone gives the connection something to do
    fn deadline(&self) -> Timestamp {
        let write_deadline = self.app.config.stream.write_deadline;
        match self.blocked_since {
            None => self.door.deadline(),
            Some(since) if self.unsent.is_empty() && self.stage == Stage::Open => {
                let cut = since.saturating_add(write_deadline);
                cut.min(self.door.deadline())
            }
            // Whatever else is due has to wait until the connection takes something again.
            Some(since) => since.saturating_add(write_deadline),
        }
    }

    /// Reads, lets time pass and sends, until all three have to wait; ready once the connection has ended
    fn visit(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Poll<io::Result<()>> {
        loop {
            self.receive(cx, now)?;
            self.door.handle_time(now);
            if let Poll::Ready(ended) = self.send(cx, now) {
                return Poll::Ready(ended);
            }
            // What was sent may have been all that input waited for, and then nobody was asked to tell when there is some.
            if self.listening || !self.wants_input() {
                return Poll::Pending;
            }
        }
    }

    fn wants_input(&self) -> bool {
        self.stage != Stage::Ended && self.door.wants_input(&self.app)
    }

    fn receive(&mut self, cx: &mut Context<'_>, now: Timestamp) -> io::Result<()> {
        self.listening = false;
        while self.wants_input() {
            let mut read = ReadBuf::new(&mut self.read_buffer);
            match Pin::new(&mut self.io).poll_read(cx, &mut read)? {
                Poll::Pending => {
                    self.listening = true;
                    return Ok(());
                }
                Poll::Ready(()) => match read.filled_mut() {
                    [] => {
                        self.stage = Stage::Ended;
                        self.unsent.clear();
                    }
                    bytes => self.door.handle_input(&self.app, now, bytes),
                },
            }
        }
        Ok(())
    }

    fn send(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Poll<io::Result<()>> {
        loop {
            while self.unsent.has_remaining() {
                match Pin::new(&mut self.io).poll_write(cx, &self.unsent)? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(n) => self.unsent.advance(n),
                    Poll::Pending => {
                        self.door.handle_blocked();
                        return self.blocked(now);
                    }
                }
                self.moved(false);
            }
            if self.stage != Stage::Open {
                return match Pin::new(&mut self.io).poll_shutdown(cx) {
                    Poll::Pending => self.blocked(now),
                    ended => ended,
                };
            }
            match self.door.poll_output(cx, &self.app, now) {
                Poll::Ready(Output::Bytes(bytes) | Output::Drained(bytes)) => self.unsent = bytes,
                Poll::Ready(Output::Last(bytes)) => {
                    self.unsent = bytes;
                    self.stage = Stage::Finishing;
                }
                Poll::Pending => {
                    return match Pin::new(&mut self.io).poll_flush(cx)? {
                        Poll::Pending => self.blocked(now),
                        Poll::Ready(()) => {
                            self.moved(true);
                            Poll::Pending
                        }
                    };
                }
            }
        }
    }

    /// The connection has taken something, and perhaps all there was
    fn moved(&mut self, is_all: bool) {
        self.blocked_since = None;
        if let Some(watched) = &mut self.watched {
            watched.polled(is_all);
        }
    }

    /// The connection takes nothing of what waits for it; an error once it has not for too long
    fn blocked(&mut self, now: Timestamp) -> Poll<io::Result<()>> {
        if let Some(watched) = &mut self.watched {
            watched.blocked();
        }
        let since = *self.blocked_since.get_or_insert(now);
        if now < since.saturating_add(self.app.config.stream.write_deadline) {
            return Poll::Pending;
        }
        self.app.metrics.closed("write-deadline");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::Ipv4Addr;
    use std::sync::Mutex;
    use std::time::Duration;

    use http::Request;
    use http_body_util::Full;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;
    use ws_codec::{Connection, Incoming, Message};

    use super::*;
    use crate::answer::{Answer, Carrier, answer};
    use crate::config::Config;
    use crate::peer::Peer;

    /// Longer than anything here takes, and shorter than any other deadline of a stream
    const PATIENCE: Duration = Duration::from_secs(10);

    fn run(settings: &[&str], test: impl AsyncFnOnce(Arc<App>)) {
        let flags = settings.iter().map(|setting| {
            let (name, value) = setting.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        let config = Config::load(None, std::iter::empty(), flags).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async { test(App::new(config, None).unwrap()).await });
    }

    async fn ask(app: &Arc<App>, request: http::request::Builder, body: &str) -> Answer {
        let peer = Peer {
            addr: (Ipv4Addr::LOCALHOST, 1).into(),
        };
        let body = Full::new(Bytes::from(body.to_owned()));
        let request = request.header("host", "localhost").body(body).unwrap();
        answer(app, request, peer, Carrier::Body).await
    }

    async fn publish(app: &Arc<App>, target: &str, data: &str) {
        match ask(app, Request::post(target), data).await {
            Answer::Response(response) => assert!(response.status().is_success()),
            Answer::Stream(_) => panic!("{target} is a stream"),
        }
    }

    async fn door(app: &Arc<App>, target: &str, protocol: Option<&str>) -> Door {
        let mut request = Request::get(target)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        if let Some(protocol) = protocol {
            request = request.header("sec-websocket-protocol", protocol);
        }
        match ask(app, request, "").await {
            Answer::Stream(start) => start.door,
            Answer::Response(response) => panic!("{target} is answered {}", response.status()),
        }
    }

    /// The other end of a connection
    struct Client {
        io: DuplexStream,
        connection: Connection,
        heard: VecDeque<Value>,
    }

    impl Client {
        fn new(io: DuplexStream) -> Self {
            Self {
                io,
                connection: Connection::client(Arc::default(), [7; 32], Duration::ZERO),
                heard: VecDeque::new(),
            }
        }

        async fn say(&mut self, message: &Value) {
            let mut bytes = Vec::new();
            let message = Message::Text(message.to_string().into());
            self.connection.send(&message, &mut bytes);
            self.io.write_all(&bytes).await.unwrap();
        }

        /// The next message
        async fn hear(&mut self) -> Value {
            let mut buffer = [0; 4096];
            loop {
                if let Some(message) = self.heard.pop_front() {
                    return message;
                }
                let n = self.io.read(&mut buffer).await.unwrap();
                assert_ne!(n, 0, "the connection has ended");
                let mut input = &mut buffer[..n];
                while let Some(incoming) = self
                    .connection
                    .handle_input(&mut input, Duration::ZERO)
                    .unwrap()
                {
                    if let Incoming::Message(Message::Text(text)) = incoming {
                        self.heard.push_back(serde_json::from_str(&text).unwrap());
                    }
                }
            }
        }
    }

    #[test]
    fn a_client_is_heard_again_once_it_has_taken_a_long_answer() {
        run(&[], async |app| {
            for _ in 0..3 {
                publish(&app, "/topics/a", &"x".repeat(3000)).await;
            }
            let (client, io) = duplex(64 * 1024);
            let door = door(&app, "/topics", Some("push.v1")).await;
            let driven = tokio::spawn(drive(Upgraded::new(&app, door, io, None)));
            let mut client = Client::new(client);
            assert!(client.hear().await["state"].is_object());
            let history = json!({ "match": ["a"], "after": "earliest" });
            client.say(&json!({ "ref": 1, "history": history })).await;
            let answer = client.hear().await;
            assert_eq!(
                answer["result"]["events"].as_array().map(Vec::len),
                Some(3),
                "{answer}"
            );
            client.say(&json!({ "ref": 2, "ping": {} })).await;
            let answer = timeout(PATIENCE, client.hear()).await;
            assert_eq!(answer.expect("it is read at once")["ref"], 2);
            drop(client);
            let ended = timeout(PATIENCE, driven).await;
            ended.expect("the end is seen at once").unwrap().unwrap();
        });
    }

    #[test]
    fn a_close_that_begins_with_an_event_ends_within_its_own_time() {
        run(&["websocket.close_timeout=100ms"], async |app| {
            let (_client, io) = duplex(64 * 1024);
            let door = door(&app, "/topics/a", None).await;
            let driven = tokio::spawn(drive(Upgraded::new(&app, door, io, None)));
            publish(&app, "/topics/a?end=true", "the last").await;
            let ended = timeout(PATIENCE, driven).await;
            ended.expect("nobody waits for its answer").unwrap().ok();
        });
    }

    #[test]
    fn the_write_deadline_begins_with_the_first_byte_that_waits() {
        run(&["stream.write_deadline=100ms"], async |app| {
            let (_client, io) = duplex(64);
            let door = door(&app, "/topics/a", None).await;
            let driven = tokio::spawn(drive(Upgraded::new(&app, door, io, None)));
            publish(&app, "/topics/a", &"x".repeat(1000)).await;
            let ended = timeout(PATIENCE, driven).await;
            let error = ended.expect("it is cut").unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_connection_that_does_not_shut_is_cut_too() {
        run(&["stream.write_deadline=100ms"], async |app| {
            let (client, io) = duplex(64);
            let door = door(&app, "/topics/a", None).await;
            let io = Narrow {
                io,
                offered: Arc::default(),
            };
            let driven = tokio::spawn(drive(Upgraded::new(&app, door, io, None)));
            drop(client);
            let ended = timeout(PATIENCE, driven).await;
            let error = ended.expect("it is cut").unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    /// Notes how much it is offered at a time, and is never done with shutting
    struct Narrow {
        io: DuplexStream,
        offered: Arc<Mutex<Vec<usize>>>,
    }

    impl AsyncRead for Narrow {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let written = Pin::new(&mut self.io).poll_write(cx, buf);
            if written.is_ready() {
                self.offered.lock().unwrap().push(buf.len());
            }
            written
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn who_takes_less_than_it_is_sent_is_kept_little_for() {
        const EVENT_BYTES: usize = 4000;
        const EVENTS: usize = 64;
        const BLOCKED_BYTES: usize = 16 * 1024;
        run(&[], async |app| {
            let (mut client, io) = duplex(1000);
            let door = door(&app, "/topics/a", None).await;
            let offered = Arc::new(Mutex::new(Vec::new()));
            let io = Narrow {
                io,
                offered: Arc::clone(&offered),
            };
            let driven = tokio::spawn(drive(Upgraded::new(&app, door, io, None)));
            for _ in 0..EVENTS {
                publish(&app, "/topics/a", &"x".repeat(EVENT_BYTES)).await;
            }
            let mut all = vec![0; EVENTS * EVENT_BYTES];
            let read = timeout(PATIENCE, client.read_exact(&mut all)).await;
            read.expect("it goes on").unwrap();
            let offered = offered.lock().unwrap();
            // What is offered shrinks until the next output.
            let outputs = offered.windows(2).filter(|two| two[1] > two[0]);
            let outputs: Vec<_> = outputs.map(|two| two[1]).collect();
            assert!(!outputs.is_empty());
            let most = BLOCKED_BYTES + EVENT_BYTES;
            assert!(outputs.iter().all(|len| *len <= most), "{outputs:?}");
            driven.abort();
        });
    }
}

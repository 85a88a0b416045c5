//! Every setting, once: name, type, default, documentation.
//!
//! The lines below are the configuration. A setting's documentation is what the reader of `docs/configuration.md` and
//! of `pushserver default-config` reads, so it is written for them: what it bounds, what it costs, when to change it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::{
    Address, Cores, Count, File, List, Maybe, Size, Span, SpanOrZero, Switch, Tables, Text, Topics,
    choice,
};
use super::network::Network;
use super::section::section;
use crate::auth::{Algorithm, Secret};

section! {
    /// The server itself: these stand at the top of the file, before any section
    Server {
        /// Address and port to listen on.
        ///
        /// Beyond loopback the server refuses to start without a key (`auth.secret`, `auth.keys` or `auth.api_keys`),
        /// unless it is told `insecure`.
        listen: SocketAddr = "127.0.0.1:8000" as Address,
        /// Threads that serve connections: `auto` is one per core.
        ///
        /// Each owns its connections; more of them than cores only adds switching.
        shards: NonZeroUsize = "auto" as Cores,
        /// Listen beyond loopback, or under a public name, although no key is configured.
        ///
        /// Everybody who can reach the port may then read and publish everything.
        insecure: bool = "false" as Switch,
        /// Names under which clients reach the server, as they stand in the `Host` header: `push.example.com`.
        ///
        /// `localhost`, names under it and plain IP addresses are always accepted. Everything else is refused unless it
        /// is listed, because a website could otherwise point a name of its own at this server and read it through a
        /// visitor's browser (DNS rebinding). A name without a port is accepted on every port.
        allowed_hosts: Vec<String> = "[]" as List<Text>,
        /// Origins of the web pages that may use the server, such as `https://app.example.com`.
        ///
        /// Scheme, host and port are compared exactly. Pages of the server's own origin need no entry. `*` admits every
        /// page, and cannot be combined with cookies.
        allowed_origins: Vec<String> = "[]" as List<Text>,
        /// Proxies whose `X-Forwarded-For` is believed, as addresses or networks (`10.0.0.0/8`).
        ///
        /// Limits per address count the last address of that header which is not one of these. By default a proxy
        /// on the same machine is believed: a local program could at most count itself as somebody else.
        trusted_proxies: Vec<Network> = "127.0.0.0/8, ::1" as List<Network>,
    }

    /// Requests: their sizes and the time they may take
    Http {
        /// Largest request head: request line and header fields.
        ///
        /// A connection that is still sending its head holds at most this and 16 KiB of the parser's, so 1,000 of them
        /// hold 32 MiB. Browsers send 1 to 4 KiB; a token in a cookie fits. Larger heads are answered 431.
        max_head_bytes: usize = "16KiB" as Size,
        /// Most header fields in a request.
        max_head_fields: usize = "100" as Count,
        /// Time in which the head of a request must be complete.
        head_timeout: Duration = "10s" as Span,
        /// Largest event, and largest body of any other request.
        ///
        /// Each publisher that is sending holds at most this. An event is kept in the log as well, so keep it a small
        /// part of `log.ceiling_bytes`. Larger bodies are answered 413.
        max_body_bytes: usize = "1MiB" as Size,
        /// Most events in one `POST /publish` or one `publish` command.
        ///
        /// While a batch goes into the log nothing else does: 10,000 events at a microsecond each are 10 ms. Until it is
        /// answered an event of a batch takes some 400 bytes besides its own, so a full one 4 MB. Larger batches are
        /// refused whole, with 413. Of a body of `?each=line`, which may have any number of lines, as many go into the log
        /// at a time.
        max_batch_events: usize = "10000" as Count,
        /// Longest pause within a body.
        body_idle_timeout: Duration = "30s" as Span,
        /// Time in which a body must be complete; `?each=line` has only the limit on pauses.
        ///
        /// Otherwise a client that sends a byte now and then would hold its request for ever. `max_body_bytes` in this
        /// time are 17 KiB per second; raise both together. Later bodies are answered 408.
        body_timeout: Duration = "60s" as Span,
        /// How long a connection is kept between requests.
        ///
        /// Longer than a proxy keeps its own (nginx: 60 s), so that it is the proxy that closes and no request meets a
        /// connection that is just ending.
        idle_timeout: Duration = "75s" as Span,
    }

    /// HTTP/2: what one connection may hold
    Http2 {
        /// Speak HTTP/2, with prior knowledge in cleartext and by ALPN over TLS.
        enabled: bool = "true" as Switch,
        /// Streams that one connection may have open; each event stream of a browser tab is one.
        max_streams: usize = "256" as Count,
        /// What a client may send ahead on one stream.
        ///
        /// The most that a stream which nobody reads can make the server hold.
        stream_window_bytes: usize = "64KiB" as Size,
        /// What a client may send ahead on one connection, over all of its streams.
        connection_window_bytes: usize = "1MiB" as Size,
        /// What may wait unsent on one stream.
        ///
        /// With `max_streams` this bounds a connection that reads nothing: 256 x 64 KiB = 16 MiB.
        send_buffer_bytes: usize = "64KiB" as Size,
        /// Streams that a client may reset before the server has accepted them, until the connection is ended.
        max_pending_resets: usize = "20" as Count,
        /// Streams that a client may make the server reset, until the connection is ended.
        max_local_resets: usize = "200" as Count,
        /// PING, SETTINGS, PRIORITY, WINDOW_UPDATE and RST_STREAM frames that a client may send per second beyond one for each 32
        /// bytes it is sent, until the connection is ended.
        ///
        /// A reader acknowledges what it is sent, and that is free. What is counted here costs us a few microseconds a
        /// frame: 1,000 a second are under 1 % of a core. Bursts of two seconds' worth are let through.
        max_control_frames_per_second: usize = "1000" as Count,
        /// Idle time after which the peer is asked whether it is there.
        ping_interval: Duration = "30s" as Span,
        /// Time in which it must answer.
        ping_timeout: Duration = "10s" as Span,
    }

    /// Event streams and polling
    Stream {
        /// Silence after which a stream is sent a comment line, give or take a fifth.
        ///
        /// Shorter than the shortest idle timeout between server and client: nginx ends a silent response after 60 s,
        /// some mobile networks after 30.
        heartbeat: Duration = "15s" as Span,
        /// Time that clients are told to wait before they reconnect, give or take a half.
        retry: Duration = "2s" as Span,
        /// Time in which a client must take what it is sent; then the connection is closed.
        ///
        /// Nothing is lost by it: the client resumes where it was. It holds for every response, so that pages which
        /// nobody reads are not kept. Over HTTP/2 it holds for each stream by itself: one of which the client does not make
        /// room for another 16 KiB, while that much waits, is reset (`RST_STREAM`) and the others go on; when it is so with
        /// all of them, the connection is closed.
        write_deadline: Duration = "30s" as Span,
        /// What may wait unsent for one connection.
        ///
        /// All that a slow reader costs beyond its cursor: 1,000 of them cost 64 MiB. The kernel is told to hold no more of
        /// it unsent either (`TCP_NOTSENT_LOWAT`), because it would otherwise buffer megabytes for each.
        send_buffer_bytes: usize = "64KiB" as Size,
        /// Longest wait of one poll (`?wait=`).
        max_poll_wait: Duration = "60s" as Span,
        /// Most events in one page of a poll or of history.
        max_page_events: usize = "1000" as Count,
        /// Largest page of a poll or of history; a page holds at least one event, whatever its size.
        max_page_bytes: usize = "1MiB" as Size,
        /// Most pages of more than 64 KiB that may be on their way at a time, over all connections and streams.
        ///
        /// Each keeps its events until its client has taken them, even those that the log drops meanwhile, and over a
        /// WebSocket as much JSON: 64 x 2 x `max_page_bytes` 1 MiB = 128 MiB. While there are as many, a page holds 64 KiB and its
        /// reader goes on with the next one; a single event that is larger is answered 503.
        max_large_pages: usize = "64" as Count,
    }

    /// WebSocket connections
    WebSocket {
        /// Largest message accepted from a client, inflated if it was compressed.
        ///
        /// A connection holds at most this and one frame's head while a message arrives. 64 KiB holds any chat line
        /// or dashboard update with room to spare. Larger messages close the connection with 1009.
        max_message_bytes: usize = "64KiB" as Size,
        /// Pings and pongs that a client may send per second; beyond them it is closed with 1008.
        ///
        /// Bursts of two seconds' worth are let through. Clients that ping do so every few seconds.
        max_pings_per_second: usize = "20" as Count,
        /// Silence after which a client is sent a ping.
        ping_interval: Duration = "25s" as Span,
        /// Time in which it must answer.
        pong_timeout: Duration = "10s" as Span,
        /// Time that a closing handshake may take.
        close_timeout: Duration = "5s" as Span,
        /// Time in which a client that connects without a token must send it in its first message.
        token_timeout: Duration = "10s" as Span,
        /// Offer permessage-deflate.
        ///
        /// Compressed once for all subscribers, so it costs CPU per event and not per delivery; what it costs is a
        /// window of up to 32 KiB for each client that sends compressed messages.
        deflate: bool = "false" as Switch,
        /// Smallest message worth compressing.
        deflate_min_bytes: usize = "256" as Size,
    }

    /// What is kept, and for how long
    Log {
        /// Most memory for all events of all topics together, their encodings included.
        ///
        /// When it is reached the oldest events go first, wherever they are. A quarter is for encodings; the rest of 256 MiB
        /// holds about 600,000 events of 200 bytes, 328 bytes each with position and index.
        ceiling_bytes: usize = "256MiB" as Size,
        /// Most events kept per topic.
        ///
        /// A topic with one event per second can be caught up with for a quarter of an hour, one with an event a
        /// minute for most of a day. At 200 bytes each a full topic takes about 0.33 MB, so the ceiling holds 600 of them.
        max_events: usize = "1000" as Count,
        /// Most bytes kept per topic.
        ///
        /// One topic with large events may not drive out more than a 64th of the ceiling.
        max_bytes: usize = "4MiB" as Size,
        /// Longest time an event is kept.
        max_age: Duration = "24h" as Span,
        /// Other bounds for some topics; where several patterns match one, the closest decides, whatever their order.
        retention: Vec<Retention> = "[]" as Tables<Retention>,
        /// How long the end of a topic is remembered after its last event.
        ///
        /// Within this time late readers are told that it ended, and publishing to it is refused.
        end_retention: Duration = "1h" as Span,
        /// How long an `Idempotency-Key` is remembered.
        idempotency_window: Duration = "10m" as Span,
        /// Most such keys remembered; the oldest are forgotten first.
        ///
        /// About 150 bytes each, so 15 MB when full. Publishing with keys at more than this number per window shortens
        /// the window.
        max_idempotency_keys: usize = "100000" as Count,
        /// File that the log is written to when the server is stopped, and read from when it starts.
        ///
        /// With it a restart keeps every position valid; without it, or after a crash, clients are told of a gap.
        snapshot: Option<PathBuf> = "none" as Maybe<File>,
    }

    /// One entry of `[[log.retention]]`: what is kept of the topics that match a pattern
    Retention {
        /// The topics: an exact name, or a pattern with `*` (one segment) or a final `**` (any number of them).
        pattern: String = "**" as Topics,
        /// Most events kept per topic; `none` keeps `log.max_events`.
        events: Option<usize> = "none" as Maybe<Count>,
        /// Most bytes kept per topic; `none` keeps `log.max_bytes`.
        bytes: Option<usize> = "none" as Maybe<Size>,
        /// Longest time an event is kept; `none` keeps `log.max_age`.
        age: Option<Duration> = "none" as Maybe<Span>,
    }

    /// What happens to readers that fall behind
    Lag {
        /// What a lagging reader gets unless it asks for something else (`?lag=`).
        ///
        /// `replay` reads on until retention takes what it has not read; `newest` skips to the newest event; `conflate`
        /// skips events that a newer one with the same key replaces; `disconnect` ends the connection.
        policy: LagPolicy = "replay" as LagPolicy,
        /// Policies that readers may choose.
        allowed: Vec<LagPolicy> = "replay, newest, conflate, disconnect" as List<LagPolicy>,
        /// Events behind the head at which a reader lags.
        max_events: Option<usize> = "1000" as Maybe<Count>,
        /// Bytes behind the head at which a reader lags.
        max_bytes: Option<usize> = "1MiB" as Maybe<Size>,
        /// Age of its next event at which a reader lags.
        max_age: Option<Duration> = "none" as Maybe<Span>,
    }

    /// How many may connect, and what each may ask for
    Connections {
        /// Most connections at once.
        ///
        /// An idle event stream takes about 1 KiB here (9 with TLS, 31 alone on a connection of HTTP/2) and about 5 in the
        /// kernel, so 50,000 of them about 300 MB. The limit on open files (`ulimit -n`) must be higher.
        max: usize = "50000" as Count,
        /// Most connections from one address, or from one /64 network of IPv6.
        ///
        /// An office or a mobile network may share one address. Behind a proxy, see `trusted_proxies`.
        max_per_address: usize = "1000" as Count,
        /// Most connections of one subject, whatever its tokens.
        ///
        /// A person with ten tabs on three devices has 30.
        max_per_subject: usize = "100" as Count,
        /// Most topics and patterns that one connection may read.
        ///
        /// A pattern has at most 255 bytes, so a connection names at most 64 KiB of them.
        max_patterns: usize = "256" as Count,
    }

    /// How often something may be done; short bursts of up to two seconds' worth are let through
    Rates {
        /// Events per second from one subject, or from one address where there is no subject.
        ///
        /// Where neither a key nor an anonymous grant is configured, nobody can be told apart and no rate of publishing or
        /// of commands applies: programs of this machine publish as fast as they like.
        subject_publishes_per_second: Option<usize> = "100" as Maybe<Count>,
        /// Events per second with one API key; your own backends, so the default only stops a loop gone wild.
        key_publishes_per_second: Option<usize> = "100000" as Maybe<Count>,
        /// New connections per second from one address, or from one /64 network of IPv6.
        address_connects_per_second: Option<usize> = "500" as Maybe<Count>,
        /// Commands per second on one WebSocket connection.
        connection_commands_per_second: Option<usize> = "100" as Maybe<Count>,
    }

    /// Who may read and publish; see AUTH.md
    Auth {
        /// Secret with which your backend signs tokens by HS256, and from which tickets are signed.
        ///
        /// At least 32 bytes: `openssl rand -base64 32` makes one. Its tokens may grant anything, administration included.
        secret: Option<Secret> = "none" as Maybe<Secret>,
        /// Audience that tokens must name in `aud`; with several entries, one of them.
        ///
        /// When this is empty, tokens that name an audience are refused: they were made for somebody else.
        audience: Vec<String> = "[]" as List<Text>,
        /// Other keys that tokens may be signed with: an identity provider's, or several tenants'.
        keys: Vec<TokenKey> = "[]" as Tables<TokenKey>,
        /// Keys for backends that send them as they are, in `X-API-Key` or as a bearer.
        api_keys: Vec<ApiKey> = "[]" as Tables<ApiKey>,
        /// What everybody may read, without any token.
        anonymous_subscribe: Vec<String> = "[]" as List<Topics>,
        /// What everybody may publish to, without any token.
        anonymous_publish: Vec<String> = "[]" as List<Topics>,
        /// Cookie to read the token from, for pages on `allowed_origins`; `none` reads no cookie.
        cookie: Option<String> = "none" as Maybe<Text>,
        /// Accept tokens without `exp`, which then last until they are revoked.
        allow_eternal_tokens: bool = "false" as Switch,
        /// How far apart clocks may be when `exp` and `nbf` are checked.
        leeway: Duration = "30s" as SpanOrZero,
        /// Largest token, ticket or API key looked at.
        max_token_bytes: usize = "8KiB" as Size,
        /// Most patterns in one grant.
        ///
        /// A grant is kept for as long as its connections: at most 255 bytes for each pattern.
        max_grant_patterns: usize = "256" as Count,
        /// Secret that tickets are signed with; without one it is derived from `auth.secret`.
        ///
        /// Needed only where there is no `auth.secret`: a ticket is then good across restarts.
        ticket_secret: Option<Secret> = "none" as Maybe<Secret>,
        /// Lifetime of a ticket that asks for none.
        ticket_lifetime: Duration = "15m" as Span,
        /// Longest lifetime of a ticket; it never outlives the grant it was made from.
        max_ticket_lifetime: Duration = "12h" as Span,
        /// Failed attempts from one address, or from one /64 network of IPv6, after which it is refused for a while.
        ///
        /// One attempt is forgiven every three seconds. What a storm of bad tokens costs is then a table look-up each.
        max_failures: usize = "20" as Count,
        /// How often key files are looked at for changes, besides on SIGHUP.
        reread_interval: Duration = "30s" as Span,
    }

    /// One entry of `[[auth.keys]]`: exactly one of `secret`, `secret_file`, `public_key` and `jwks`
    TokenKey {
        /// What `iss` must say in tokens signed with this key; `none` accepts only tokens without `iss`.
        issuer: Option<String> = "none" as Maybe<Text>,
        /// What `kid` must say in the head of the token; `none` accepts any. Keys of a JWKS file bring their own.
        kid: Option<String> = "none" as Maybe<Text>,
        /// The one algorithm this key is for; for a JWKS file, what its RSA keys without `alg` are for.
        algorithm: Option<Algorithm> = "none" as Maybe<Algorithm>,
        /// Shared secret, for HS256, HS384 and HS512: at least 32, 48 or 64 bytes.
        secret: Option<Secret> = "none" as Maybe<Secret>,
        /// File that holds the shared secret; a line end at its end is not part of it.
        secret_file: Option<PathBuf> = "none" as Maybe<File>,
        /// PEM file with a public key, for RS, PS and ES algorithms and EdDSA.
        public_key: Option<PathBuf> = "none" as Maybe<File>,
        /// JWKS file with public keys.
        jwks: Option<PathBuf> = "none" as Maybe<File>,
        /// Audience for this key's tokens, instead of `auth.audience`.
        audience: Vec<String> = "[]" as List<Text>,
        /// Put before `sub`, so that subjects of several issuers stay apart: `acme:` makes `acme:alice`.
        subject_prefix: Option<String> = "none" as Maybe<Text>,
        /// The most that this key's tokens may subscribe to; what they claim beyond it is not granted.
        subscribe: Vec<String> = "**" as List<Topics>,
        /// The most that this key's tokens may publish to; what they claim beyond it is not granted.
        publish: Vec<String> = "**" as List<Topics>,
        /// Whether this key's tokens may make administrators.
        admin: bool = "false" as Switch,
    }

    /// One entry of `[[auth.api_keys]]`: exactly one of `key` and `hash`
    ApiKey {
        /// Name for logs and limits: the subject of what is done with the key is `key:` and this name.
        name: String = "backend" as Text,
        /// The key itself: at least 20 characters, letters, digits, `-` and `_`.
        key: Option<Secret> = "none" as Maybe<Secret>,
        /// SHA-256 of the key in hexadecimal, for a configuration that may be read: `printf %s "$KEY" | sha256sum`.
        hash: Option<Secret> = "none" as Maybe<Secret>,
        /// What the key may subscribe to.
        subscribe: Vec<String> = "**" as List<Topics>,
        /// What the key may publish to.
        publish: Vec<String> = "**" as List<Topics>,
        /// Whether the key is an administrator's.
        admin: bool = "false" as Switch,
    }

    /// TLS; without it the server speaks cleartext, on loopback or behind a proxy
    Tls {
        /// PEM file with the certificate and its chain; reread when it changes.
        certificate: Option<PathBuf> = "none" as Maybe<File>,
        /// PEM file with the private key.
        private_key: Option<PathBuf> = "none" as Maybe<File>,
    }

    /// Leaving service
    Drain {
        /// What becomes of open streams on SIGTERM.
        ///
        /// `restart` ends them at once, each with its own moment to come back; `rolling`, for several nodes over a
        /// shared store, lets each live until its slot in the window.
        mode: DrainMode = "restart" as DrainMode,
        /// Time over which clients are spread as they come back.
        ///
        /// 5,000 clients over 30 s are 167 new connections per second for the successor.
        window: Duration = "30s" as Span,
        /// Time that requests under way are given to be answered before the process ends.
        deadline: Duration = "10s" as Span,
    }

    /// Figures for Prometheus
    Metrics {
        /// Who may read `/metrics`.
        ///
        /// `admin` asks for an administrator's authority; `loopback` also lets in programs on this machine that come
        /// without a proxy; `everyone` asks for nothing.
        access: Access = "loopback" as Access,
        /// Another address to listen on, for `/metrics`, `/health` and `/ready` alone; `none` listens nowhere else.
        ///
        /// It is there until the process ends, and whatever the clients do: while the server leaves, and when
        /// `connections.max` is reached. Clear text, HTTP/1.1, at most 32 connections. `metrics.access` holds here too.
        listen: Option<SocketAddr> = "none" as Maybe<Address>,
    }

    /// The page at `/console`
    Console {
        /// Serve it. The page holds nothing itself: what it shows, it asks for with the authority of who looks at it.
        enabled: bool = "true" as Switch,
    }

    /// What the server says about itself on standard error
    Logging {
        /// The least important messages to write.
        level: Level = "info" as Level,
        /// Lines for people, or one JSON object per line.
        format: Format = "text" as Format,
    }
}

choice! {
    /// What becomes of a reader that has fallen behind
    LagPolicy {
        /// Read on until retention takes what it has not read
        Replay = "replay",
        /// Skip to the newest event
        Newest = "newest",
        /// Skip what a newer event with the same key replaces
        Conflate = "conflate",
        /// End the connection
        Disconnect = "disconnect",
    }

    /// How a node leaves service
    DrainMode {
        /// End every stream at once, each with its own time to return
        Restart = "restart",
        /// Let each stream live until its slot in the window
        Rolling = "rolling",
    }

    /// Who may read `/metrics`
    Access {
        /// Administrators
        Admin = "admin",
        /// Administrators, and programs on this machine that come without a proxy
        Loopback = "loopback",
        /// Everyone who can reach the port
        Everyone = "everyone",
    }

    /// How important a log message is
    Level {
        /// Something failed that somebody should look at
        Error = "error",
        /// Something is odd and was dealt with
        Warn = "warn",
        /// Starting, stopping, rereading
        Info = "info",
        /// Each connection
        Debug = "debug",
        /// Everything
        Trace = "trace",
    }

    /// How log messages are written
    Format {
        /// For people
        Text = "text",
        /// One JSON object per line
        Json = "json",
    }
}

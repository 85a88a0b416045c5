//! TLS, spoken by rustls on both sides.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::http::connect;
use crate::support::server::Server;

/// A server with a certificate of its own, and what its clients trust.
struct Site {
    server: Server,
    certificate: CertificateDer<'static>,
    _folder: TempDir,
}

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let server = Server::with(&[
            &format!("tls.certificate={}", cert.display()),
            &format!("tls.private_key={}", key.display()),
            "stream.heartbeat=1h",
            // All that a reader at rest has before it: what falls off the log never comes.
            "log.max_bytes=16MiB",
        ]);
        Self {
            server,
            certificate: made.cert.der().clone(),
            _folder: folder,
        }
    }

    fn connect(&self, protocols: &[&str]) -> Encrypted {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(client, connect(self.server.address()))
    }

    fn ask(&self, head: &str) -> Encrypted {
        let mut stream = self.connect(&[]);
        let request = format!("{head}\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    #[track_caller]
    fn publish(&self, body: &str) {
        let mut stream = self.ask(&format!(
            "POST /topics/a HTTP/1.1\r\nConnection: close\r\nContent-Length: {}",
            body.len()
        ));
        stream.write_all(body.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
}

/// Reads until `count` times `mark` has come.
#[track_caller]
fn read_until(stream: &mut Encrypted, mark: &str, count: usize) -> String {
    let (mut text, mut buffer) = (String::new(), vec![0; 64 * 1024]);
    while text.matches(mark).count() < count {
        let n = stream.read(&mut buffer).unwrap();
        assert_ne!(n, 0, "the stream ended after {} bytes", text.len());
        text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        assert!(!text.contains("event: push.gap"), "the log was too short");
    }
    text
}

#[test]
fn a_stream_flows_and_ends_as_without_tls() {
    let mut site = Site::start();
    let mut stream = site.ask("GET /topics/a HTTP/1.1");
    read_until(&mut stream, "push.state", 1);
    site.publish("one");
    read_until(&mut stream, "data: one\n", 1);
    site.server.signal("TERM");
    let mut rest = String::new();
    // It ends by TLS's own word for it: nothing was cut off.
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("push.reconnect"), "{rest}");
    assert!(site.server.wait().success());
}

#[test]
fn a_reader_that_rests_gets_everything_when_it_goes_on() {
    let site = Site::start();
    let mut stream = site.ask("GET /topics/a HTTP/1.1");
    read_until(&mut stream, "push.state", 1);
    let event = "x".repeat(500_000);
    for _ in 0..16 {
        site.publish(&event);
    }
    // 8 MB are more than sockets and TLS hold, but not than the log does: the server has waited for room, and resumed.
    // The last of it is not pushed out by anything that follows: heartbeats are far between.
    let all = read_until(&mut stream, "x\n\n", 16);
    assert!(all.len() > 7_000_000, "{}", all.len());
    site.publish("the end");
    read_until(&mut stream, "data: the end\n", 1);
}

/// What the system may take to move bytes from one socket of this machine to another
const MOMENTS: Duration = Duration::from_millis(500);

/// Bytes of one direction that the system holds between two ports of loopback: not yet sent, and not yet read.
fn held_between(from: u16, to: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let number = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
    let rows = table.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |field: &str| number(field.split_once(':').unwrap().1);
        let (unsent, unread) = fields[4].split_once(':').unwrap();
        let ports = (port(fields[1]), port(fields[2]));
        (ports, number(unsent), number(unread))
    });
    let (from, to) = (u64::from(from), u64::from(to));
    rows.map(|(ports, unsent, unread)| match ports {
        ports if ports == (from, to) => unsent,
        ports if ports == (to, from) => unread,
        _ => 0,
    })
    .sum()
}

#[test]
fn what_tls_holds_back_is_pushed_out_when_there_is_room() {
    let site = Site::start();
    let mut stream = site.ask("GET /topics/a HTTP/1.1");
    read_until(&mut stream, "push.state", 1);
    let client = stream.sock.local_addr().unwrap().port();
    let server = site.server.address().port();
    // Until the sockets are full, and one event more: TLS has taken it, and there is nothing behind it that would push.
    let event = "x".repeat(8_000);
    site.publish(&event);
    let within_moments = |holds: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !holds() {
            if start.elapsed() > MOMENTS {
                return false;
            }
        }
        true
    };
    // What one event is on the wire; those that follow are no smaller.
    within_moments(&|| false);
    let on_the_wire = held_between(server, client);
    assert!(on_the_wire > 8_000, "{on_the_wire}");
    let mut published = 1;
    let arrives = |published: usize| {
        let all = published as u64 * on_the_wire;
        within_moments(&|| held_between(server, client) >= all)
    };
    while arrives(published) {
        site.publish(&event);
        published += 1;
    }
    read_until(&mut stream, "x\n\n", published);
}

#[test]
fn a_web_socket_is_taken_over_under_tls_too() {
    let site = Site::start();
    let mut socket = site.ask(
        "GET /topics/a HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    );
    read_until(&mut socket, "\r\n\r\n", 1);
    site.publish("one");
    let mut frame = [0; 5];
    socket.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, b"\x81\x03one");
}

#[test]
fn http2_is_agreed_on_where_both_speak_it() {
    let site = Site::start();
    for (offered, expect) in [
        (&["h2", "http/1.1"][..], "h2"),
        (&["http/1.1"][..], "http/1.1"),
    ] {
        let mut stream = site.connect(offered);
        stream.flush().unwrap();
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        assert_eq!(stream.conn.alpn_protocol(), Some(expect.as_bytes()));
    }
}

#[test]
fn who_speaks_no_tls_is_closed_and_disturbs_nobody() {
    let site = Site::start();
    let mut plain = connect(site.server.address());
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    site.publish("one");
}

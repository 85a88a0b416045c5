//! The client of the README, against a server made of this crate.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ws_codec::handshake::{Opening, Via};
use ws_codec::{Config, Connection, Incoming};

#[allow(
    dead_code,
    unreachable_pub,
    reason = "an example with a main of its own"
)]
#[path = "../../examples/client.rs"]
mod client;

#[test]
fn the_readme_shows_the_client_that_is_tested() {
    let (_, code) = include_str!("../../examples/client.rs")
        .split_once("\n\n")
        .unwrap();
    assert!(
        include_str!("../../README.md").contains(code.trim_end()),
        "README.md and examples/client.rs differ"
    );
}

#[test]
fn the_client_of_the_readme_gets_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || serve(&listener));
    assert_eq!(
        client::ask(&address, "/chat", "wie geht's?").unwrap(),
        "WIE GEHT'S?"
    );
    server.join().unwrap();
}

/// Answers one client in capitals. The first bytes go out together with the response, as a fast server's do.
fn serve(listener: &TcpListener) {
    let (mut socket, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let read = socket.read(&mut buffer[..1]).unwrap();
        assert_eq!(read, 1);
        head.push(buffer[0]);
    }
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head).unwrap();
    assert_eq!(request.path, Some("/chat"));
    let fields = request
        .headers
        .iter()
        .map(|header| (header.name, header.value));
    let opening = Opening::of_request(Via::Http11, request.method.unwrap(), fields).unwrap();
    let mut out = Vec::from(*b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in opening.accept(None, None).fields {
        write!(out, "{name}: {value}\r\n").unwrap();
    }
    out.extend_from_slice(b"\r\n");
    let mut connection = Connection::server(Arc::new(Config::default()), Duration::ZERO);
    connection.ping(ws_codec::ControlPayload::EMPTY);
    while !connection.is_finished() {
        connection.poll_transmit(&mut out);
        socket.write_all(&out).unwrap();
        out.clear();
        let read = socket.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "the client closes only after the server");
        let mut input = &mut buffer[..read];
        while let Some(incoming) = connection.handle_input(&mut input, Duration::ZERO).unwrap() {
            if let Incoming::Message(message) = incoming {
                let loud = String::from_utf8_lossy(message.as_bytes()).to_uppercase();
                connection.send(&ws_codec::Message::Text(loud.into()), &mut out);
            }
        }
        connection.poll_transmit(&mut out);
        socket.write_all(&out).unwrap();
        out.clear();
    }
}

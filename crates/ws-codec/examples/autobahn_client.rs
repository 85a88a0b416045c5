//! The client that the Autobahn test suite's server tests: `autobahn_client 127.0.0.1:9001 AGENT`.
//!
//! Asks how many cases there are, echoes through each, and has the report written.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;

use ws_codec::handshake::{DeflateConfig, Offer, Via};
use ws_codec::{Config, Connection, Message};

#[path = "support/driver.rs"]
mod driver;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let agent = args.next().unwrap_or_else(|| "ws-codec".to_owned());
    let config = Arc::new(driver::config());

    let mut count = String::new();
    run(&address, "/getCaseCount", &config, |_, message, _| {
        count = String::from_utf8_lossy(message.as_bytes()).into_owned();
    })?;
    let count: u32 = count.parse().map_err(io::Error::other)?;
    for case in 1..=count {
        let path = format!("/runCase?case={case}&agent={agent}");
        let echoed = run(&address, &path, &config, |connection, message, out| {
            connection.send(&message, out);
        });
        if let Err(error) = echoed {
            eprintln!("case {case}: {error}");
        }
    }
    let path = format!("/updateReports?agent={agent}");
    run(&address, &path, &config, |_, _, _| {})
}

fn run(
    address: &str,
    path: &str,
    config: &Arc<Config>,
    on_message: impl FnMut(&mut Connection, Message<'_>, &mut Vec<u8>),
) -> io::Result<()> {
    let mut socket = &TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    // Nothing is served here whose proxies a fixed nonce and mask could confuse.
    let offer = Offer::new(*b"the sample nonce").deflate(DeflateConfig {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        ..DeflateConfig::default()
    });
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in offer.fields(Via::Http11) {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    socket.write_all(request.as_bytes())?;

    let (head, rest) = driver::read_head(socket)?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).map_err(io::Error::other)?;
    let fields = response
        .headers
        .iter()
        .map(|header| (header.name, header.value));
    let status = response.code.unwrap_or_default();
    let agreed = offer
        .check_response(Via::Http11, status, fields)
        .map_err(io::Error::other)?;

    let clock = driver::Clock::start();
    let mut connection = Connection::client(Arc::clone(config), [7; 32], clock.now());
    if let Some(agreed) = agreed.deflate {
        connection = connection.with_deflate(agreed);
    }
    driver::drive(socket, &mut connection, &clock, rest, on_message)
}

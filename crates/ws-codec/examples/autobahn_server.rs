//! An echo server on blocking sockets, for the Autobahn test suite: `autobahn_server 127.0.0.1:9001`.
//!
//! Port 0 takes any; the address is the first line of the output. It ends with its standard input.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use ws_codec::handshake::{DeflateConfig, Opening, Via};
use ws_codec::{Config, Connection};

#[path = "support/driver.rs"]
mod driver;

fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?);
    thread::spawn(|| {
        // Whoever started this holds the other end, so nothing is left running when it is gone.
        io::stdin().lock().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    let config = Arc::new(driver::config());
    for socket in listener.incoming() {
        let (socket, config) = (socket?, Arc::clone(&config));
        thread::spawn(move || {
            if let Err(error) = serve(&socket, config) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(mut socket: &TcpStream, config: Arc<Config>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (head, rest) = driver::read_head(socket)?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head).map_err(io::Error::other)?;
    let via = if request.version == Some(1) {
        Via::Http11
    } else {
        Via::Http10
    };
    let fields = request
        .headers
        .iter()
        .map(|header| (header.name, header.value));
    let opening = match Opening::of_request(via, request.method.unwrap_or_default(), fields) {
        Ok(opening) => opening,
        Err(rejection) => {
            let status = rejection.status();
            return write!(
                socket,
                "HTTP/1.1 {status} {rejection}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
        }
    };
    // Whatever the client asks for is agreed to, so that every combination is tested.
    let deflate = opening.agree_deflate(&DeflateConfig {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        ..DeflateConfig::default()
    });
    let mut response = Vec::from(*b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in opening.accept(None, deflate.as_ref()).fields {
        write!(response, "{name}: {value}\r\n")?;
    }
    response.extend_from_slice(b"\r\n");
    socket.write_all(&response)?;

    let clock = driver::Clock::start();
    let mut connection = Connection::server(config, clock.now());
    if let Some(agreed) = deflate {
        connection = connection.with_deflate(agreed);
    }
    driver::drive(
        socket,
        &mut connection,
        &clock,
        rest,
        |connection, message, out| {
            connection.send(&message, out);
        },
    )
}

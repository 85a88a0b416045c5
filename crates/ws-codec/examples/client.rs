//! A WebSocket client on a raw socket: `client 127.0.0.1:9001 /path hello`.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ws_codec::handshake::{Offer, Via};
use ws_codec::{CloseCode, Config, Connection, Incoming, Message};

/// Sends one message, waits for the answer and closes.
pub fn ask(address: &str, path: &str, question: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;

    // The opening handshake: HTTP is yours to write and to parse, what stands in it is checked here.
    let offer = Offer::new(random()?);
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in offer.fields(Via::Http11) {
        request += &format!("{name}: {value}\r\n");
    }
    socket.write_all((request + "\r\n").as_bytes())?;
    let head = loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response
            .parse(&buffer[..filled])
            .map_err(io::Error::other)?;
        if let httparse::Status::Complete(head) = parsed {
            let fields = response
                .headers
                .iter()
                .map(|header| (header.name, header.value));
            let status = response.code.unwrap_or_default();
            offer
                .check_response(Via::Http11, status, fields)
                .map_err(io::Error::other)?;
            break head;
        }
        match socket.read(&mut buffer[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    };

    // From here on the connection says what to do. What was read behind the head is its first input.
    let clock = Instant::now();
    let mut connection =
        Connection::client(Arc::new(Config::default()), random()?, clock.elapsed());
    let mut input = &mut buffer[head..filled];
    let mut out = Vec::new();
    let mut answer = None;
    connection.send(&Message::Text(question.into()), &mut out);
    loop {
        loop {
            match connection.handle_input(&mut input, clock.elapsed()) {
                Ok(Some(Incoming::Message(Message::Text(text)))) => {
                    answer = Some(text.into_owned());
                    connection.close(CloseCode::NORMAL, clock.elapsed());
                }
                Ok(Some(_)) => {}
                // All is taken; or the server broke the protocol, and a close frame that tells it so is queued.
                Ok(None) | Err(_) => break,
            }
        }
        connection.poll_transmit(&mut out);
        socket.write_all(&out)?;
        out.clear();
        if connection.is_finished() {
            return answer
                .ok_or_else(|| io::Error::other(format!("no answer: {:?}", connection.ended())));
        }
        let wait = connection
            .poll_timeout()
            .map(|due| due.saturating_sub(clock.elapsed()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let read = match socket.read(&mut buffer) {
            Ok(0) => {
                connection.handle_eof();
                0
            }
            Ok(read) => read,
            Err(error) if is_timeout(&error) => {
                connection.handle_timeout(clock.elapsed());
                0
            }
            Err(error) => return Err(error),
        };
        input = &mut buffer[..read];
    }
}

/// The read took as long as it was allowed to: systems differ in what they call that.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Bytes nobody can predict, from the operating system.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, address, path, question] = &args[..] else {
        return Err(io::Error::other("usage: client ADDRESS PATH QUESTION"));
    };
    println!("{}", ask(address, path, question)?);
    Ok(())
}

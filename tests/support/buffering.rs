//! A proxy that keeps every answer back until it has all of it, as some of companies and some virus scanners do.

use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The proxy; an event stream through it never begins, and a WebSocket is not let through.
pub(crate) struct BufferingProxy {
    address: SocketAddr,
    is_aside: Arc<AtomicBool>,
}

impl BufferingProxy {
    /// Proxies to this server until the test ends.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_aside = Arc::<AtomicBool>::default();
        let aside = Arc::clone(&is_aside);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let is_aside = aside.load(Ordering::SeqCst);
                // Whoever goes away first ends a connection, and nobody is left to be told.
                thread::spawn(move || match is_aside {
                    true => tunnel(client, server),
                    false => forward(client, server),
                });
            }
        });
        Self { address, is_aside }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets everything through from the next connection on.
    pub(crate) fn step_aside(&self) {
        self.is_aside.store(true, Ordering::SeqCst);
    }
}

/// One request and its whole answer.
fn forward(client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut from = BufReader::new(client);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        let name = line
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if name == "content-length" {
            length = line
                .split(':')
                .nth(1)
                .unwrap_or_default()
                .trim()
                .parse()
                .unwrap_or(0);
        }
        // Hop by hop: what an old proxy does not know it does not pass on.
        if name != "connection" && name != "upgrade" {
            head.extend_from_slice(line.as_bytes());
        }
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(&[head, body].concat())?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    from.get_mut().write_all(&answer)
}

/// Everything, both ways, as it comes.
fn tunnel(client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let upstream = TcpStream::connect(server)?;
    let (mut up, mut down) = (upstream.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        let copied = copy(&mut up, &mut down);
        // It may be closed already.
        let _ = down.shutdown(Shutdown::Both);
        copied
    });
    let (mut client, mut upstream) = (client, upstream);
    let copied = copy(&mut client, &mut upstream);
    let _ = upstream.shutdown(Shutdown::Both);
    drop(back.join());
    copied.map(drop)
}

//! What both servers share: topics as broadcast channels, and a listener with a deep queue.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::broadcast;

/// Topics by name, each a channel of 4,096 slots.
#[derive(Clone, Default)]
pub struct Topics(Arc<Mutex<HashMap<String, broadcast::Sender<Bytes>>>>);

impl Topics {
    /// A receiver of what is published to a topic from now on.
    pub fn subscribe(&self, topic: &str) -> broadcast::Receiver<Bytes> {
        let mut topics = self.0.lock().expect("no holder panics");
        let sender = topics.entry(topic.to_owned()).or_insert_with(|| broadcast::channel(4096).0);
        sender.subscribe()
    }

    /// Publishes a message of the form `topic SP data`.
    pub fn publish_message(&self, message: &[u8]) {
        let Some(space) = message.iter().position(|&b| b == b' ') else { return };
        let topic = String::from_utf8_lossy(&message[..space]);
        self.publish(&topic, Bytes::copy_from_slice(&message[space + 1..]));
    }

    /// Publishes to a topic.
    pub fn publish(&self, topic: &str, data: Bytes) {
        if let Some(sender) = self.0.lock().expect("no holder panics").get(topic) {
            // Nobody listening is no error.
            let _count = sender.send(data);
        }
    }
}

/// Listens on the address given as the first argument.
pub fn listen() -> std::io::Result<tokio::net::TcpListener> {
    let address: SocketAddr = std::env::args()
        .nth(1)
        .and_then(|a| a.parse().ok())
        .ok_or_else(|| std::io::Error::other("the first argument is the address to listen on"))?;
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

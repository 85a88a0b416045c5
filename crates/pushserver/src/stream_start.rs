//! The start of a stream: a response head, and the door behind it.

use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Version};

use crate::app::App;
use crate::stall::Watched;
use crate::stream_body::StreamBody;
use crate::transport::Door;
use crate::upgraded;
use crate::web::body::Body;

/// A stream that has been agreed on and not begun
pub(crate) struct StreamStart {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) door: Door,
}

impl StreamStart {
    /// The response head as HTTP/1 writes it (RFC 9112 section 3), and what the stream begins with: one write for both
    pub(crate) fn head(&mut self, version: Version) -> Bytes {
        let version = if version == Version::HTTP_10 {
            "HTTP/1.0"
        } else {
            "HTTP/1.1"
        };
        let reason = self.status.canonical_reason().unwrap_or("");
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(version.as_bytes());
        head.push(b' ');
        head.extend_from_slice(self.status.as_str().as_bytes());
        head.push(b' ');
        head.extend_from_slice(reason.as_bytes());
        head.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        let date = httpdate::HttpDate::from(SystemTime::now());
        write!(head, "date: {date}\r\n\r\n").expect("a list takes everything");
        if let Door::Sse(stream) = &mut self.door {
            head.extend_from_slice(&stream.take_opening());
        }
        head.into()
    }

    /// The response where another layer frames the stream: as a body, or as an upgraded connection
    ///
    /// `upgrade` resolves to the connection once the response is out; only a WebSocket uses it, and has its own deadline
    /// for what is not taken.
    pub(crate) fn into_response(
        self,
        app: &Arc<App>,
        upgrade: hyper::upgrade::OnUpgrade,
        watched: Option<Watched>,
    ) -> Response<Body> {
        let body = match self.door {
            Door::Sse(_) => Body::stream(StreamBody::new(app, self.door))
                .watched(watched.map(Watched::answered)),
            _ => {
                upgraded::spawn(app, self.door, upgrade, watched);
                Body::empty()
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

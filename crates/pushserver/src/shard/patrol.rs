//! What passes between a socket and the HTTP/2 above it.
//!
//! The layer above answers each PING and each SETTINGS, and counts neither. So the frames are counted on their way in, and
//! who sends too many of those that cost work and bring nothing is told to calm down (RFC 9113 section 10.5).

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::sock::Sock;
use crate::app::App;
use crate::rates::Allowance;

/// A socket whose frames are counted, and what was read from it before its protocol was known
pub(super) struct Patrol {
    early: Bytes,
    sock: Sock,
    app: Arc<App>,
    frames: Frames,
    allowance: Allowance,
    /// Control frames that were earned by what the client was sent
    earned: f64,
    passed: Rc<Passed>,
    /// Once too many have come: until when what still comes is thrown away
    ///
    /// Closing a socket with unread bytes resets the connection and may destroy the farewell on its way.
    calming: Option<Pin<Box<Sleep>>>,
}

/// What has passed, for whoever watches the connection
#[derive(Debug, Default)]
pub(super) struct Passed {
    requests: Cell<u64>,
}

impl Passed {
    /// Frames that belong to requests
    pub(super) fn requests(&self) -> u64 {
        self.requests.get()
    }
}

/// Bytes sent to a client that earn it one control frame
///
/// A reader acknowledges a DATA frame with one WINDOW_UPDATE for the stream and one for the connection; an event is sent in 60
/// bytes at least.
const BYTES_PER_FRAME: f64 = 32.0;

/// How long what a flood still brings is thrown away
const CALMING: Duration = Duration::from_secs(1);

/// GOAWAY on stream 0: no stream was looked at beyond those that were answered, ENHANCE_YOUR_CALM (RFC 9113 sections 6.8 and 7)
const GOAWAY: [u8; 17] = [
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11,
];

impl Patrol {
    pub(super) fn new(early: Bytes, sock: Sock, app: &Arc<App>, passed: Rc<Passed>) -> Self {
        let per_second = app.config.http2.max_control_frames_per_second;
        Self {
            early,
            sock,
            frames: Frames::default(),
            allowance: Allowance::full(per_second, app.clock.now()),
            earned: 0.0,
            app: Arc::clone(app),
            passed,
            calming: None,
        }
    }

    /// Whether what has come is within the limit
    fn admit(&mut self, bytes: &[u8]) -> bool {
        let mut control = 0_usize;
        self.frames.feed(bytes, |kind| match kind {
            // DATA, HEADERS and CONTINUATION are bounded by windows and by what h2 counts.
            0 | 1 | 9 => self.passed.requests.set(self.passed.requests.get() + 1),
            _ => control += 1,
        });
        let free = self.earned.min(control as f64).floor();
        self.earned -= free;
        let charged = control - free as usize;
        let per_second = self.app.config.http2.max_control_frames_per_second;
        charged == 0
            || self
                .allowance
                .take(per_second, charged, self.app.clock.now())
                .is_ok()
    }

    /// What comes next, uncounted
    fn poll_more(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.sock).poll_read(cx, buf);
        }
        buf.put_slice(&self.early.split_to(self.early.len().min(buf.remaining())));
        Poll::Ready(Ok(()))
    }

    fn note_sent(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(n)) = written {
            let most = self.app.config.http2.max_control_frames_per_second as f64;
            self.earned = (self.earned + *n as f64 / BYTES_PER_FRAME).min(most);
        }
    }

    /// Says farewell, as far as there is room for it
    fn calm_down(&mut self, cx: &mut Context<'_>) {
        self.app.metrics.refused("http2-control-frames");
        // Who does not read misses it, and is closed all the same.
        let _ = Pin::new(&mut self.sock).poll_write(cx, &GOAWAY);
        let _ = Pin::new(&mut self.sock).poll_shutdown(cx);
        self.calming = Some(Box::pin(tokio::time::sleep(CALMING)));
    }
}

impl AsyncRead for Patrol {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(calming) = &mut this.calming
                && calming.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            let before = buf.filled().len();
            ready!(this.poll_more(cx, buf))?;
            let is_end = buf.filled().len() == before;
            if this.calming.is_none() {
                if is_end || this.admit(&buf.filled()[before..]) {
                    return Poll::Ready(Ok(()));
                }
                this.calm_down(cx);
            } else if is_end {
                return Poll::Ready(Ok(()));
            }
            buf.set_filled(before);
        }
    }
}

impl AsyncWrite for Patrol {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.calming.is_some() {
            // Nothing may follow the farewell.
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut this.sock).poll_write(cx, buf);
        this.note_sent(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.calming.is_some() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let written = Pin::new(&mut this.sock).poll_write_vectored(cx, bufs);
        this.note_sent(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.sock.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().sock).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().sock).poll_shutdown(cx)
    }
}

/// Finds the frames in what a client sends, wherever it is cut
#[derive(Debug)]
struct Frames {
    /// Bytes to pass over: the preface, then each frame's payload
    skip: usize,
    head: [u8; FRAME_HEAD],
    have: usize,
}

/// RFC 9113 section 4.1
const FRAME_HEAD: usize = 9;

/// RFC 9113 section 3.4
const PREFACE: usize = 24;

impl Default for Frames {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            head: [0; FRAME_HEAD],
            have: 0,
        }
    }
}

impl Frames {
    /// Hands on the type of each frame whose head is complete
    fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(u8)) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(FRAME_HEAD - self.have);
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == FRAME_HEAD {
                self.have = 0;
                self.skip =
                    u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]) as usize;
                each(self.head[3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_wherever_reads_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for (kind, len) in [(4, 6), (6, 8), (0, 300), (9, 0), (8, 4)] {
            bytes.extend([0, (len >> 8) as u8, len as u8, kind, 0, 0, 0, 0, 1]);
            bytes.extend(vec![0xee; len]);
        }
        for cut in 0..bytes.len() {
            let (mut frames, mut kinds) = (Frames::default(), Vec::new());
            for part in [&bytes[..cut], &bytes[cut..]] {
                frames.feed(part, |kind| kinds.push(kind));
            }
            assert_eq!(kinds, [4, 6, 0, 9, 8], "cut at {cut}");
        }
    }
}

//! The answer to `history` over `push.v1`, which may be long.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde_json::Value;

use super::socket::{FRAME_ROOM, Socket};
use crate::app::App;
use crate::page::{Admitted, PageText, Pages, Place, Slice, Writing};

/// An answer that is written in slices, and then taken by the client
///
/// Until it is taken nothing else is carried out on its connection, and its page keeps its place.
pub(super) struct History {
    pages: Pages,
    stage: Stage,
    _place: Option<Place>,
}

enum Stage {
    Writing(Writing),
    /// It waits for the client to take it
    Said,
}

impl History {
    /// Begins the answer to the command of this reference; `None` if it was so short that it is said already
    pub(super) fn answer(
        app: &App,
        admitted: Admitted,
        reference: Option<&Value>,
        socket: &mut Socket,
    ) -> Option<Box<Self>> {
        let is_quick = admitted.is_quick();
        let (page, place) = match admitted {
            Admitted::Small(page) => (page, None),
            Admitted::Large(page, place) => (page, Some(place)),
        };
        let mut text = PageText::new(page);
        let start = match reference {
            Some(reference) => format!("{{\"ref\":{reference},\"result\":"),
            None => "{\"result\":".to_owned(),
        };
        let mut out = Vec::with_capacity(FRAME_ROOM + start.len() + text.len_hint());
        out.resize(FRAME_ROOM, 0);
        out.extend_from_slice(start.as_bytes());
        if is_quick {
            text.write(&mut out);
            say(socket, out);
            return None;
        }
        Some(Box::new(Self {
            stage: Stage::Writing(app.pages.write(text, out)),
            pages: app.pages.clone(),
            _place: place,
        }))
    }

    /// Goes on writing; ready once the client has taken the answer
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<()> {
        while let Stage::Writing(writing) = &mut self.stage {
            let written = ready!(Pin::new(writing).poll(cx));
            self.stage = match written.slice {
                Slice::More => Stage::Writing(self.pages.write(written.text, written.out)),
                Slice::Last => {
                    say(socket, written.out);
                    Stage::Said
                }
            };
        }
        // What is queued is asked for again and again until it is on its way, and we with it.
        match socket.queued() {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

fn say(socket: &mut Socket, mut out: Vec<u8>) {
    out.push(b'}');
    socket.say_in_place(out);
}

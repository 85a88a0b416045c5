//! Small stories, each a promise of the crate, told in a line of text.
//!
//! A story is a list of steps; what a reader is given is written as a list too: `a1` is the first event published to `a`
//! (events are called by their topic and the number of the step that published them), `gap(a:1-2)` a gap in pattern `a`
//! over offsets 1 to 2, with `=2` behind it where the number missed is known.

// Everything here is a test, also what is not marked as one.
#![allow(clippy::unwrap_used)]

mod authority;
mod ends;
mod gaps;
mod lag;
mod lives;
mod presence;
mod publishing;
mod reading;
mod story;

//! How much a stream may make its reader keep.

use core::time::Duration;

/// Bounds on what one stream can make a [`Decoder`](crate::Decoder) keep
///
/// The most that a decoder ever allocates is `max_event` for the data, `max_line` more if comments are asked for, and
/// ten times `max_id` (the id twice, the type and the line it came in; U+FFFD takes three bytes for one). It allocates
/// in proportion to what has arrived, and what it keeps for the next event is at most 128 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest line, of whatever field, in bytes without its end: 8 MiB
    ///
    /// A line that needs no room is held to it as well: an endless line is an endless wait.
    pub max_line: usize,
    /// Most data in one event, in bytes, the line feeds between its lines included: 8 MiB
    ///
    /// An image of 4 megapixels fits as base64, the largest thing that is seen in streams.
    pub max_event: usize,
    /// Longest `id` or `event` value, in bytes: 1 KiB
    ///
    /// The id travels in a request header, where servers rarely accept more than 8 KiB for all headers.
    pub max_id: usize,
    /// Longest reconnection time; more is taken as this: 24 hours
    ///
    /// Otherwise one line could keep a client away for five hundred million years.
    pub max_retry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_line: 8 << 20,
            max_event: 8 << 20,
            max_id: 1 << 10,
            max_retry: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// What a decoder does with a block that exceeds its [`Limits`]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOversized {
    /// Returns the error, now and at every later call, until [`finish`](crate::Decoder::finish)
    #[default]
    Stop,
    /// Reports [`Item::Skipped`](crate::Item::Skipped) once, drops the block's data and goes on after its blank line
    ///
    /// The block's `retry` and `id` (if not oversized itself) take effect as if its event had been delivered.
    Skip,
}

/// Something in the stream exceeds the reader's [`Limits`]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oversized {
    /// A line is longer than `max_line`
    #[error("a line is longer than {max} bytes")]
    Line {
        /// The limit
        max: usize,
    },
    /// An event has more data than `max_event`
    #[error("an event has more than {max} bytes of data")]
    Event {
        /// The limit
        max: usize,
    },
    /// An `id` or `event` value is longer than `max_id`
    #[error("an id or event type is longer than {max} bytes")]
    Id {
        /// The limit
        max: usize,
    },
}

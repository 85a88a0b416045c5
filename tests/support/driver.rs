//! Something that follows a topic elsewhere, in a process or a thread, and tells what it gets one JSON object a line.

use std::any::Any;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use serde_json::Value;

use super::PATIENCE;

/// A running client; it is ended when this is dropped.
pub(crate) struct Driver {
    lines: Receiver<String>,
    /// Ends the client by being dropped
    _alive: Box<dyn Any + Send>,
}

/// A process that does not outlive its owner.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Driver {
    /// A process and the lines it prints.
    pub(crate) fn process(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (lines, heard) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Self::other(heard, Killed(process))
    }

    /// Anything else that tells lines and ends when `alive` is dropped.
    pub(crate) fn other(lines: Receiver<String>, alive: impl Any + Send) -> Self {
        Self {
            lines,
            _alive: Box::new(alive),
        }
    }

    /// The next line; `None` once the client has ended.
    #[track_caller]
    pub(crate) fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the client tells nothing"),
        }
    }

    /// The next JSON object.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let line = self.next_line().expect("a client that goes on");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?} is not JSON: {e}"))
    }
}

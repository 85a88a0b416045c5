//! How to run a server and how to speak to it: one small TOML file each.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A server's profile.
///
/// Every string may hold `{port}`, `{host}`, `{dir}` (a directory of the run's own), `{target}` (Cargo's target
/// directory), `{work}` (the benchmark's directory in it), `{root}` (the workspace) and `{self}` (this program).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// What `--servers` and the tables call it
    #[serde(skip)]
    pub(crate) name: String,
    /// One line for the report: what it is, in which version and setting
    pub(crate) about: String,
    /// The program and its arguments
    pub(crate) command: Vec<String>,
    /// Programs and files without which the server cannot run here
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    /// Brings in what it needs; run only with `--install`
    #[serde(default)]
    pub(crate) install: Option<String>,
    /// Builds it; run before every measurement, and cheap when nothing changed
    #[serde(default)]
    pub(crate) build: Option<String>,
    /// Takes part only when it is named
    #[serde(default)]
    pub(crate) on_request: bool,
    /// Environment variables
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Files written into `{dir}` before the start
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// Subscribing by WebSocket
    pub(crate) ws: Option<Reader>,
    /// Subscribing by event stream
    pub(crate) sse: Option<Reader>,
    /// Subscribing by lines on a bare socket (Redis, NATS)
    pub(crate) line: Option<Reader>,
    /// Ways to publish, by name: `ws`, `push` (any topic over one WebSocket), `line`, `batch`, `post`
    #[serde(default)]
    pub(crate) publish: BTreeMap<String, Door>,
    /// One process of compiled code, whose instructions can be counted
    #[serde(default)]
    pub(crate) native: bool,
    /// It keeps a log and honours `Last-Event-ID`
    #[serde(default)]
    pub(crate) replays: bool,
}

/// How to subscribe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reader {
    /// Path and query; `{topic}` is the topic
    #[serde(default)]
    pub(crate) path: String,
    /// `Sec-WebSocket-Protocol`
    #[serde(default)]
    pub(crate) protocol: Option<String>,
    /// Sent once the connection is open; a frame over WebSocket, bytes on a bare socket
    #[serde(default)]
    pub(crate) hello: Option<String>,
    /// What must have come before the subscription counts as made
    #[serde(default)]
    pub(crate) expect: Option<String>,
}

/// A way to publish.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Door {
    /// What carries the events
    pub(crate) by: Carrier,
    /// Path and query; may hold `{topic}`
    #[serde(default)]
    pub(crate) path: String,
    /// `Sec-WebSocket-Protocol`
    #[serde(default)]
    pub(crate) protocol: Option<String>,
    /// Request headers of a POST, each a whole line
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    /// Sent once after opening
    #[serde(default)]
    pub(crate) hello: Option<String>,
    /// What must have come before the first event may leave
    #[serde(default)]
    pub(crate) expect: Option<String>,
    /// One event; `{topic}`, `{data}` and `{len}` (of the data) are replaced
    pub(crate) event: String,
}

/// What carries published events to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carrier {
    /// One WebSocket message an event, all on one connection
    Ws,
    /// One request an event, as many connections as events in flight
    Post,
    /// One request for all events in flight, an event a line
    Batch,
    /// Bytes on a bare socket
    Line,
}

/// The transports a subscriber may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    /// WebSocket
    Ws,
    /// Server-Sent Events
    Sse,
    /// A protocol of lines on a bare socket
    Line,
}

impl Transport {
    /// Its name in scenario names and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Transport::Ws => "ws",
            Transport::Sse => "sse",
            Transport::Line => "line",
        }
    }
}

impl Profile {
    /// How to subscribe by `transport`, if the server offers it.
    pub(crate) fn reader(&self, transport: Transport) -> Option<&Reader> {
        match transport {
            Transport::Ws => self.ws.as_ref(),
            Transport::Sse => self.sse.as_ref(),
            Transport::Line => self.line.as_ref(),
        }
    }

    /// The transport to use where `wanted` is asked for: WebSocket stands in for a line protocol, so that
    /// brokers of the backend can be set beside servers of the web.
    pub(crate) fn transport(&self, wanted: Transport) -> Transport {
        match wanted {
            Transport::Line if self.line.is_none() => Transport::Ws,
            other => other,
        }
    }

    /// The cheapest way to publish that can reach any topic.
    pub(crate) fn cheapest_door(&self, topics: usize) -> Result<&Door> {
        let any_topic = |door: &&Door| {
            topics == 1 || !door.path.contains("{topic}") || door.by == Carrier::Post
        };
        ["ws", "push", "line", "batch", "post"]
            .iter()
            .filter_map(|name| self.publish.get(*name))
            .chain(self.publish.values())
            .find(any_topic)
            .with_context(|| format!("the profile {} has no way to publish", self.name))
    }

    /// What is missing to run it here.
    pub(crate) fn missing(&self, fill: impl Fn(&str) -> String) -> Option<String> {
        self.needs
            .iter()
            .map(|n| fill(n))
            .find(|need| !present(need))
    }
}

/// Whether a program is on the path, or a file exists.
fn present(need: &str) -> bool {
    if need.contains('/') {
        return Path::new(need).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path)
        .chain(system)
        .any(|dir| dir.join(need).exists())
}

/// Reads every profile of a directory, in the order of their file names.
pub(crate) fn load(dir: &Path) -> Result<Vec<Profile>> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .with_context(|| format!("no profiles in {}", dir.display()))?
        .collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut profiles = Vec::new();
    for file in files {
        let path = file.path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let mut profile: Profile =
            toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        profile.name = path
            .file_stem()
            .and_then(|s| s.to_str())
            .context("a profile's file name is not UTF-8")?
            .to_owned();
        if profile.command.is_empty() {
            bail!("{} has no command", path.display());
        }
        profiles.push(profile);
    }
    Ok(profiles)
}

//! Configuration: one TOML file, then `PUSH_…` variables, then flags, all read by one table.
//!
//! ```text
//!   settings.rs --> Config, its defaults, and its documentation (document.rs)
//!                     ^
//!   file < variables < flags, each by way of kind.rs; then check.rs asks whether the whole makes sense
//! ```
//!
//! A setting has one name, `stream.heartbeat`, which in the environment is `PUSH_STREAM_HEARTBEAT` and on the command
//! line `--set stream.heartbeat=30s`. A name that does not exist is an error that tells the nearest one that does.

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use kind::{Raw, Wrong};
use section::{Defaults, Section};

mod bounds;
mod check;
mod document;
mod error;
pub(crate) mod kind;
mod network;
pub(crate) mod section;
mod settings;

pub use document::{default_config, reference};
pub use error::{ConfigError, Nearest, Origin, Problem};
pub use network::Network;
pub use section::Row;
pub use settings::{
    Access, ApiKey, Auth, Connections, Console, Drain, DrainMode, Format, Http, Http2, Lag,
    LagPolicy, Level, Log, Logging, Metrics, Rates, Retention, Server, Stream, Tls, TokenKey,
    WebSocket,
};

/// Names the sections once: the struct, its defaults and the list of all sections follow
macro_rules! config {
    ($($field:ident: $section:ident = $path:literal,)+) => {
        /// The whole configuration, each section a field
        #[derive(Clone, Debug)]
        pub struct Config {
            $(
                #[doc = concat!("Section `[", $path, "]` of the file")]
                pub $field: $section,
            )+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $section::defaults(),)+ }
            }
        }

        impl Config {
            /// The sections in the order in which they are documented, each with its name in the file
            fn sections(&mut self) -> Vec<(&'static str, &mut dyn Section)> {
                vec![$(($path, &mut self.$field),)+]
            }
        }
    };
}

config! {
    server: Server = "",
    http: Http = "http",
    http2: Http2 = "http2",
    stream: Stream = "stream",
    websocket: WebSocket = "websocket",
    log: Log = "log",
    lag: Lag = "lag",
    connections: Connections = "connections",
    rates: Rates = "rates",
    auth: Auth = "auth",
    tls: Tls = "tls",
    drain: Drain = "drain",
    metrics: Metrics = "metrics",
    console: Console = "console",
    logging: Logging = "logging",
}

impl Config {
    /// Reads `file`, then the variables among `env` that begin with `PUSH_`, then `flags` (setting and value)
    ///
    /// What comes later wins, setting by setting; a list replaces the list before it. Other variables are ignored, and so
    /// are `PUSH_CONFIG`, which names the file, and those that Kubernetes makes for a service called `push`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once: a file that cannot be read, unknown settings, values of the wrong
    /// kind, and settings that contradict each other, such as an address beyond loopback without a key.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut problems = Vec::new();
        if let Some(path) = file {
            config.read_file(path, &mut problems)?;
        }
        config.read_variables(env, &mut problems);
        config.read_flags(flags, &mut problems);
        if problems.is_empty() {
            problems = check::conflicts(&config);
        }
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::new(problems))
        }
    }

    fn read_file(&mut self, path: &Path, problems: &mut Vec<Problem>) -> Result<(), Problem> {
        let text = fs::read_to_string(path).map_err(|reason| Problem::Unreadable {
            path: path.to_owned(),
            reason,
        })?;
        let document = File { path, text: &text };
        let table = DeTable::parse(&text).map_err(|error| Problem::Syntax {
            origin: document.origin(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            match value.get_ref() {
                DeValue::Table(section) if self.has_section(name) => {
                    for (key, value) in section {
                        let full = format!("{name}.{}", key.get_ref());
                        let origin = document.origin(key.span().start);
                        self.set(&full, Raw::Toml(value.get_ref()), origin, problems);
                    }
                }
                value if self.has_section(name) => problems.push(Problem::BadValue {
                    origin: document.origin(key.span().start),
                    key: name.to_owned(),
                    value: Some(shown(Raw::Toml(value))),
                    wants: "a section, which is its name in brackets on a line of its own",
                }),
                value => {
                    let origin = document.origin(key.span().start);
                    self.set(name, Raw::Toml(value), origin, problems);
                }
            }
        }
        Ok(())
    }

    fn read_variables(
        &mut self,
        env: impl Iterator<Item = (String, String)>,
        problems: &mut Vec<Problem>,
    ) {
        let names = self.names();
        // Sorted, so that the same mistakes are told in the same order each time.
        let mut variables: Vec<_> = env
            .filter(|(name, _)| name.starts_with("PUSH_") && !is_somebody_elses(name))
            .collect();
        variables.sort();
        for (variable, value) in variables {
            let origin = Origin::Variable(variable.clone());
            match names.iter().find(|name| variable_of(name) == variable) {
                Some(name) => self.set(name, Raw::Text(&value), origin, problems),
                None => problems.push(Problem::UnknownKey {
                    nearest: Nearest::among(&variable, names.iter().map(|name| variable_of(name))),
                    key: variable,
                    origin,
                }),
            }
        }
    }

    fn read_flags(
        &mut self,
        flags: impl Iterator<Item = (String, String)>,
        problems: &mut Vec<Problem>,
    ) {
        for (key, value) in flags {
            self.set(&key, Raw::Text(&value), Origin::CommandLine, problems);
        }
    }

    fn set(&mut self, key: &str, raw: Raw<'_>, origin: Origin, problems: &mut Vec<Problem>) {
        let (path, name) = key.rsplit_once('.').unwrap_or(("", key));
        let found = self.sections().into_iter().find_map(|(own, section)| {
            let row = section.rows().iter().find(|row| row.name == name)?;
            (own == path).then_some((section, row))
        });
        let Some((section, row)) = found else {
            let sections = self.sections();
            let sections: Vec<_> = sections
                .iter()
                .map(|(path, _)| (*path).to_owned())
                .collect();
            problems.push(Problem::UnknownKey {
                origin,
                key: key.to_owned(),
                nearest: Nearest::among(key, self.names().into_iter().chain(sections)),
            });
            return;
        };
        let Err(wrong) = section.set(name, raw) else {
            return;
        };
        problems.push(match wrong {
            Wrong::Value { at, wants } => Problem::BadValue {
                origin,
                key: format!("{key}{at}"),
                value: (!row.secret).then(|| shown(raw)),
                wants,
            },
            Wrong::Key { at, nearest } => Problem::UnknownKey {
                origin,
                key: format!("{key}{at}"),
                nearest,
            },
        });
    }

    fn has_section(&mut self, name: &str) -> bool {
        self.sections().iter().any(|(path, _)| *path == name)
    }

    /// The full name of every setting
    fn names(&mut self) -> Vec<String> {
        self.sections()
            .into_iter()
            .flat_map(|(path, section)| {
                let rows = section.rows().iter();
                rows.map(move |row| full_name(path, row.name))
            })
            .collect()
    }
}

/// The configuration file while it is read
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        Origin::File {
            path: PathBuf::from(self.path),
            line: 1 + before.bytes().filter(|&byte| byte == b'\n').count(),
        }
    }
}

fn full_name(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// The environment variable of a setting: `PUSH_STREAM_HEARTBEAT` for `stream.heartbeat`
fn variable_of(name: &str) -> String {
    format!("PUSH_{}", name.replace('.', "_").to_uppercase())
}

/// Variables that begin with `PUSH_` and are not settings
///
/// For a service called `push` Kubernetes gives every container PUSH_SERVICE_HOST, PUSH_PORT_80_TCP_ADDR and the like; a
/// server that would not start because of its own service's name would be a bad neighbour.
fn is_somebody_elses(name: &str) -> bool {
    let of_a_service = ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_UDP", "_SCTP"];
    name == "PUSH_CONFIG"
        || name.ends_with("_PORT")
        || of_a_service.into_iter().any(|part| name.contains(part))
}

/// A value as an error message repeats it: on one line, and not endlessly
fn shown(raw: Raw<'_>) -> String {
    let text = match raw {
        Raw::Text(text) => format!("{text:?}"),
        Raw::Toml(DeValue::String(text)) => format!("{text:?}"),
        Raw::Toml(DeValue::Integer(integer)) => integer.to_string(),
        Raw::Toml(DeValue::Float(float)) => float.to_string(),
        Raw::Toml(DeValue::Boolean(value)) => value.to_string(),
        Raw::Toml(DeValue::Datetime(value)) => value.to_string(),
        Raw::Toml(DeValue::Array(_)) => "a list".to_owned(),
        Raw::Toml(DeValue::Table(_)) => "a table".to_owned(),
    };
    match text.char_indices().nth(MAX_SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// Characters of a wrong value that are repeated
const MAX_SHOWN: usize = 60;

#[cfg(test)]
mod tests;

//! The command line: what to do, and where the configuration comes from.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError};

/// Reads the command line of this process; prints help, or what is wrong with it, and ends the process if asked to
pub fn parse() -> Command {
    Cli::parse().into()
}

/// What the command line asks for
#[derive(Debug)]
pub enum Command {
    /// Start the server
    Serve(Source),
    /// Read the configuration, say what is wrong with it, and start nothing
    CheckConfig(Source),
    /// Print the default configuration
    DefaultConfig(Form),
    /// Make a token for trying things
    Token(Source, Token),
}

/// Where the configuration comes from: a file and flags, and the environment between them
#[derive(Args, Clone, Debug, Default)]
pub struct Source {
    /// Configuration file (or PUSH_CONFIG)
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:8000]
    #[arg(long, short, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Listen beyond loopback without a key
    #[arg(long, global = true)]
    insecure: bool,
    /// Set one setting, such as stream.heartbeat=30s; may be repeated
    #[arg(long, short, global = true, value_name = "SETTING=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

impl Source {
    /// Reads the whole configuration: file, environment of this process, flags
    ///
    /// Called again on SIGHUP it reads what the file says then.
    pub fn load(&self) -> Result<Config, ConfigError> {
        // Variables that are not UTF-8 cannot be ours.
        let env = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let file = self.file();
        Config::load(file.as_deref(), env, self.flags().into_iter())
    }

    /// The configuration file, if one is named
    pub fn file(&self) -> Option<PathBuf> {
        let named = self.config.clone();
        named.or_else(|| std::env::var_os("PUSH_CONFIG").map(PathBuf::from))
    }

    fn flags(&self) -> Vec<(String, String)> {
        let mut flags = self.set.clone();
        flags.extend(
            self.listen
                .clone()
                .map(|listen| ("listen".to_owned(), listen)),
        );
        if self.insecure {
            flags.push(("insecure".to_owned(), "true".to_owned()));
        }
        flags
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("expected SETTING=VALUE, such as stream.heartbeat=30s")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// How the default configuration is printed
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Form {
    /// Print the reference of all settings as Markdown instead of a configuration file
    #[arg(long)]
    pub markdown: bool,
}

/// What a token made by `pushserver token` says
///
/// It is signed with `auth.secret`.
#[derive(Args, Clone, Debug, Default)]
pub struct Token {
    /// Who it is for
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
    /// A topic or pattern it may read; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub subscribe: Vec<String>,
    /// A topic or pattern it may publish to; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub publish: Vec<String>,
    /// Make its bearer an administrator
    #[arg(long)]
    pub admin: bool,
    /// How long it is good, such as 15m or 12h
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub lifetime: std::time::Duration,
}

/// Real-time push: publish to a topic, and everyone who follows it gets the event
#[derive(Parser)]
#[command(name = "pushserver", version)]
struct Cli {
    #[command(flatten)]
    source: Source,
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Start the server; what happens when no command is given
    Serve,
    /// Read the configuration, say what is wrong with it, and start nothing
    CheckConfig,
    /// Print a configuration file with every setting, its default and what it is for
    DefaultConfig(Form),
    /// Make a token for trying things, signed with auth.secret
    Token(Token),
}

impl From<Cli> for Command {
    fn from(cli: Cli) -> Self {
        match cli.command {
            None | Some(Verb::Serve) => Self::Serve(cli.source),
            Some(Verb::CheckConfig) => Self::CheckConfig(cli.source),
            Some(Verb::DefaultConfig(form)) => Self::DefaultConfig(form),
            Some(Verb::Token(token)) => Self::Token(cli.source, token),
        }
    }
}

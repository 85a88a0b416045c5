//! The command line: what to do, and where the configuration comes from.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use pushcore::{Pattern, PatternError, Timestamp};

use crate::auth::{AuthError, Authority, Secret, mint};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::snapshot;
use crate::tls::{Tls, TlsError};

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
#[command(next_help_heading = "Configuration")]
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

    /// Reads everything that a start would read, keys and certificates included, sees whether the snapshot could be
    /// written, and starts nothing
    ///
    /// Whether the address is free is not looked at: the server that is to be replaced may be on it.
    ///
    /// # Errors
    ///
    /// What would keep the server from starting. What is merely unwise is returned.
    pub fn check(&self) -> Result<Vec<String>, CheckError> {
        let config = self.load()?;
        let authority = Authority::from_config(&config)?;
        Tls::from_config(&config)?;
        if let Some(path) = &config.log.snapshot {
            snapshot::check(path)?;
        }
        Ok(authority.warnings())
    }

    /// The configuration file, if one is named
    pub fn file(&self) -> Option<PathBuf> {
        let named = self.config.clone();
        named.or_else(|| std::env::var_os("PUSH_CONFIG").map(PathBuf::from))
    }

    /// The flags that name the configuration file, for a command that is to read the same one; quoted for a shell
    pub fn options(&self) -> String {
        let Some(file) = &self.config else {
            return String::new();
        };
        let file = file.display().to_string();
        format!("--config '{}'", file.replace('\'', r"'\''"))
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

/// What would keep the server from starting
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A setting
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key file
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The certificate
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The place of the snapshot
    #[error(transparent)]
    Snapshot(#[from] std::io::Error),
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

impl Token {
    /// Makes the token, signed with `auth.secret` and good from now on
    ///
    /// # Errors
    ///
    /// Where it would not be accepted: without a secret, with a pattern that is none, or without its end.
    pub fn mint(&self, config: &Config) -> Result<Secret, MintError> {
        self.mint_at(config, Clock::start().wall())
    }

    fn mint_at(&self, config: &Config, now: Timestamp) -> Result<Secret, MintError> {
        let secret = config.auth.secret.as_ref().ok_or(MintError::NoSecret)?;
        for text in self.subscribe.iter().chain(&self.publish) {
            Pattern::parse(text).map_err(|reason| MintError::Pattern {
                text: text.clone(),
                reason,
            })?;
        }
        let expires = now.saturating_add(self.lifetime);
        let mut claims = serde_json::json!({
            "exp": expires.0 / 1000,
            "push": { "subscribe": self.subscribe, "publish": self.publish, "admin": self.admin },
        });
        if let Some(subject) = &self.subject {
            claims["sub"] = subject.as_str().into();
        }
        if let Some(audience) = config.auth.audience.first() {
            claims["aud"] = audience.as_str().into();
        }
        Ok(mint(&claims, secret))
    }
}

/// Why no token is made
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is nothing to sign it with
    #[error(
        "a token is signed with auth.secret, and none is configured: set PUSH_AUTH_SECRET to the output of \
         `openssl rand -base64 32`, for the server and for this command"
    )]
    NoSecret,
    /// It would name a pattern that is none
    #[error("{text:?} is no pattern: {reason}")]
    Pattern {
        /// As it was given
        text: String,
        /// What is wrong with it
        reason: PatternError,
    },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Credentials;

    fn parsed(line: &str) -> Command {
        Cli::try_parse_from(line.split(' ')).unwrap().into()
    }

    fn flags(line: &str) -> Vec<(String, String)> {
        match parsed(line) {
            Command::Serve(source) | Command::CheckConfig(source) | Command::Token(source, _) => {
                source.flags()
            }
            Command::DefaultConfig(_) => Vec::new(),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn serving_is_what_happens_unless_something_else_is_asked_for() {
        assert!(matches!(parsed("pushserver"), Command::Serve(_)));
        assert!(matches!(parsed("pushserver --insecure"), Command::Serve(_)));
        assert!(matches!(parsed("pushserver serve"), Command::Serve(_)));
        assert!(matches!(
            parsed("pushserver check-config"),
            Command::CheckConfig(_)
        ));
        assert!(matches!(
            parsed("pushserver default-config"),
            Command::DefaultConfig(Form { markdown: false })
        ));
        assert!(matches!(
            parsed("pushserver token --subject a"),
            Command::Token(..)
        ));
        assert!(Cli::try_parse_from(["pushserver", "--set", "x"]).is_err());
        assert!(Cli::try_parse_from(["pushserver", "frobnicate"]).is_err());
    }

    #[test]
    fn flags_may_stand_on_either_side_of_the_command() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expect = [
            pair("stream.retry", "3s"),
            pair("listen", "127.0.0.1:1"),
            pair("insecure", "true"),
        ];
        for line in [
            "pushserver --set stream.retry=3s --listen 127.0.0.1:1 --insecure",
            "pushserver --set stream.retry=3s --listen 127.0.0.1:1 --insecure serve",
            "pushserver serve --set stream.retry=3s --listen 127.0.0.1:1 --insecure",
            "pushserver check-config -s stream.retry=3s -l 127.0.0.1:1 --insecure",
        ] {
            assert_eq!(flags(line), expect, "{line}");
        }
    }

    #[track_caller]
    fn check(settings: &[String], problem: Option<&str>) {
        let flags = settings.iter().map(|setting| format!(" --set {setting}"));
        let line = format!("pushserver check-config{}", flags.collect::<String>());
        let Command::CheckConfig(source) = parsed(&line) else {
            panic!("that is the command that checks");
        };
        let told = source.check().err().map(|error| error.to_string());
        match (&told, problem) {
            (Some(told), Some(problem)) => assert!(told.contains(problem), "{line}: {told}"),
            _ => assert_eq!(told.as_deref(), problem, "{line}"),
        }
    }

    #[test]
    fn what_would_keep_the_server_from_starting_is_found_by_the_check() {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = |name: &str| folder.path().join(name).display().to_string();
        let snapshot = |name| vec![format!("log.snapshot={}", in_folder(name))];
        check(&snapshot("log"), None);
        check(&snapshot("no/such/folder/log"), Some("log.snapshot"));
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "it leaves nothing behind");

        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(in_folder("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(in_folder("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let tls = |certificate, key| {
            let files = [("certificate", certificate), ("private_key", key)];
            files
                .map(|(name, file)| format!("tls.{name}={}", in_folder(file)))
                .to_vec()
        };
        check(&tls("cert.pem", "key.pem"), None);
        check(&tls("cert.pem", "missing.pem"), Some("missing.pem"));
        check(&tls("key.pem", "key.pem"), Some("key.pem"));
    }

    #[test]
    fn a_token_made_here_is_accepted_here() {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let settings = [
            setting("auth.secret", "0123456789abcdef0123456789abcdef"),
            setting("auth.audience", "push"),
        ];
        let config = Config::load(None, std::iter::empty(), settings.into_iter()).unwrap();
        let Command::Token(_, token) = parsed(
            "pushserver token --subject alice --subscribe a/** --publish b --admin --lifetime 5m",
        ) else {
            panic!("that is the token command");
        };
        let now = Timestamp(1_800_000_000_000);
        let minted = token.mint_at(&config, now).unwrap();
        let authority = Authority::from_config(&config).unwrap();
        let peer = [127, 0, 0, 1].into();
        let grant = authority
            .authorize(&Credentials::bearer(minted.expose(), peer), now)
            .unwrap();
        assert_eq!(grant.subject.as_deref(), Some("alice"));
        assert!(grant.admin && grant.may_subscribe(&Pattern::parse("a/b").unwrap()));
        let late = now.saturating_add(std::time::Duration::from_secs(331));
        assert!(
            authority
                .authorize(&Credentials::bearer(minted.expose(), peer), late)
                .is_err()
        );

        assert!(matches!(
            token.mint_at(&Config::default(), now),
            Err(MintError::NoSecret)
        ));
        let wrong = Token {
            subscribe: vec!["a**".into()],
            ..token
        };
        assert!(matches!(
            wrong.mint_at(&config, now),
            Err(MintError::Pattern { .. })
        ));
    }
}

//! The `pushserver` command.

use std::io::{self, Write as _};
use std::process::ExitCode;

use pushserver::Server;
use pushserver::cli::{self, Command, Source};
use pushserver::config::{self, Config};
use pushserver::logging;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Sizes apart: what a handshake needs for a moment and what a connection keeps for hours do not share pages, so that ten
/// thousand connections cost what they hold and not a multiple of it
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::parse() {
        Command::Serve(source) => match source.load() {
            Ok(config) => serve(&source, config),
            Err(error) => fail(&error),
        },
        Command::CheckConfig(source) => match source.check() {
            Ok(warnings) => {
                for warning in warnings {
                    println!("warning: {warning}");
                }
                println!("the configuration is valid");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Command::DefaultConfig(form) => {
            print!(
                "{}",
                if form.markdown {
                    config::reference()
                } else {
                    config::default_config()
                }
            );
            ExitCode::SUCCESS
        }
        Command::Token(source, token) => match source.load() {
            Ok(config) => match token.mint(&config) {
                Ok(token) => {
                    println!("{}", token.expose());
                    ExitCode::SUCCESS
                }
                Err(error) => fail(&error),
            },
            Err(error) => fail(&error),
        },
    }
}

fn serve(source: &Source, config: Config) -> ExitCode {
    logging::start(&config.logging);
    let started = Signals::catch().and_then(|signals| Ok((signals, Server::start(config)?)));
    let (signals, server) = match started {
        Ok(started) => started,
        Err(error) => return fail(&error),
    };
    announce(&server.first_steps(&source.options()));
    signals.obey(|| reload(source, &server));
    match server.leave() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Says where it listens and what to try
///
/// Whoever reads this may stop reading after the first line, so a closed pipe is not an error.
fn announce(text: &str) {
    let mut out = io::stdout().lock();
    if out
        .write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        tracing::debug!("nobody reads where the server listens");
    }
}

/// Puts in force what the configuration says now; a mistake in it changes nothing
fn reload(source: &Source, server: &Server) {
    let reloaded = match source.load() {
        Ok(config) => server.reload(&config).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = reloaded {
        tracing::error!(%error, "the configuration was not read again; everything stays as it was");
    }
}

/// What the system may tell the process
struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on signals wait here, and none ends the process
    fn catch() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hangup = signal(SignalKind::hangup())?;
        drop(inside);
        Ok(Self {
            runtime,
            terminate,
            interrupt,
            hangup,
        })
    }

    /// Returns when the process is asked to end (SIGTERM, or SIGINT from a terminal); calls `reload` for each SIGHUP
    fn obey(mut self, reload: impl Fn()) {
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = self.terminate.recv() => return,
                    _ = self.interrupt.recv() => return,
                    _ = self.hangup.recv() => reload(),
                }
            }
        });
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("pushserver: {error}");
    ExitCode::FAILURE
}

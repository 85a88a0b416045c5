//! The `pushserver` command.

use std::process::ExitCode;

use pushserver::Server;
use pushserver::cli::{self, Command};
use pushserver::config::{self, Config};

fn main() -> ExitCode {
    match cli::parse() {
        Command::Serve(source) => match source.load() {
            Ok(config) => serve(config),
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

fn serve(config: Config) -> ExitCode {
    let server = match Server::start(config) {
        Ok(server) => server,
        Err(error) => return fail(&error),
    };
    let url = format!("http://{}", server.address());
    println!("pushserver is listening on {url}");
    println!();
    println!("  follow a topic    curl -N {url}/topics/news");
    println!("  publish to it     curl -d hello {url}/topics/news");
    println!("  in a browser      {url}/topics/news");
    match wait_for_signal() {
        Ok(()) => {
            eprintln!("leaving");
            server.leave();
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// Returns when the process is asked to end (SIGTERM, or SIGINT from a terminal)
fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("pushserver: {error}");
    ExitCode::FAILURE
}

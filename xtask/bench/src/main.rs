//! The load generator and harness behind `cargo xtask bench server`.
//!
//! One thread drives every subscriber and publisher of every server; servers run on one core and this on another.
//! Servers are compared in interleaved rounds, and a ratio is taken within its round, because the same machine
//! differs from itself by more than servers differ from one another.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use profile::Profile;
use results::Results;
use scenario::{Effort, Scenario};
use server::Places;

mod contest;
mod fleet;
mod floor;
mod gate;
mod judge;
mod poller;
mod profile;
mod publisher;
mod report;
mod results;
mod scenario;
mod server;
mod wire;

#[derive(Parser)]
#[command(
    name = "cargo xtask bench server",
    about = "Measures push servers beside the bare send loop"
)]
struct Args {
    #[command(subcommand)]
    floor: Option<Floor>,
    /// Only this scenario, or those whose name begins so (repeat or separate by commas)
    #[arg(long, value_delimiter = ',')]
    scenario: Vec<String>,
    /// Only these servers (the floor always takes part)
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// Rounds a scenario
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// A server's time in a round, in milliseconds
    #[arg(long, default_value_t = 250)]
    slice: u64,
    /// A small selection in under two minutes, for CI; fails if a bound is missed by more than the noise
    #[arg(long)]
    quick: bool,
    /// Fail if a bound is missed
    #[arg(long)]
    gate: bool,
    /// Check that the harness finds mistakes planted in the floor
    #[arg(long)]
    planted: bool,
    /// Bring in what is missing by the package manager
    #[arg(long)]
    install: bool,
    /// Take the programs as they are
    #[arg(long)]
    no_build: bool,
    /// Cores for the servers
    #[arg(long, value_delimiter = ',', default_value = "0")]
    server_cores: Vec<usize>,
    /// The generator's core
    #[arg(long, default_value_t = 1)]
    client_core: usize,
    /// Write docs/PERFORMANCE.md, and the results beside it, from all runs so far
    #[arg(long)]
    report: bool,
    /// Tell the scenarios and servers and do nothing
    #[arg(long)]
    list: bool,
}

#[derive(clap::Subcommand)]
enum Floor {
    /// Serve as the floor
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        listen: std::net::SocketAddr,
        #[arg(long, value_enum, default_value_t = floor::Mode::Write)]
        mode: floor::Mode,
    },
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(Floor::Floor { listen, mode }) = args.floor {
        return floor::serve(listen, mode);
    }
    let root = workspace()?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let places = Places {
        root,
        target,
        server_cores: args.server_cores.clone(),
        client_core: args.client_core,
    };
    let bench = places.root.join("xtask/bench");
    let profiles = profile::load(&bench.join("profiles"))?;
    if args.list {
        return list(&profiles, &places);
    }
    let mut bounds = gate::load(&bench.join("gate.toml"))?;
    if args.quick {
        bounds = gate::quick(&bounds);
    }
    let file = places.work().join("results.json");
    if args.report {
        let mut results = Results::read(&file)?;
        results.add_doors(&places.work().join("doors.json"))?;
        return report::write(&results, &bounds, &places.root);
    }
    std::fs::create_dir_all(places.work())?;
    if args.planted {
        return planted(&profiles, &places);
    }
    let chosen = choose(&args, &profiles, &places)?;
    let scenarios = select(&args)?;
    // A quick run is a check, not a publication.
    let mut results = if args.quick {
        Results::default()
    } else {
        Results::read(&file)?
    };
    results.machine = report::machine();
    for profile in &chosen {
        results
            .about
            .insert(profile.name.clone(), profile.about.clone());
    }
    let effort = Effort {
        rounds: if args.quick {
            args.rounds.min(6)
        } else {
            args.rounds
        },
        slice: std::time::Duration::from_millis(if args.quick {
            args.slice.min(150)
        } else {
            args.slice
        }),
        percent: if args.quick { 20 } else { 100 },
    };
    let mut measured = Results::default();
    for scenario in &scenarios {
        let profiles = contestants(scenario, &chosen);
        if profiles.is_empty() {
            continue;
        }
        println!("\n{} ({})", scenario.title, scenario.name);
        let outcome = scenario.run(&profiles, &places, &effort)?;
        report::print(&outcome);
        measured
            .outcomes
            .insert(scenario.name.clone(), outcome.clone());
        results.outcomes.insert(scenario.name.clone(), outcome);
        if !args.quick {
            results.write(&file)?;
        }
    }
    let verdicts = gate::judge(&bounds, &measured);
    let missed = report::print_verdicts(&verdicts);
    if (args.gate || args.quick) && missed > 0 {
        bail!("{missed} bounds are missed by more than the noise");
    }
    Ok(())
}

/// The selection that a change is held against.
const QUICK: [&str; 7] = [
    "ws-1000-128-w1",
    "ws-1000-128-w16",
    "sse-1000-128-w1",
    "sse-1000-128-w16",
    "topics-ws",
    "idle-",
    "counted-",
];

/// The servers a quick run measures.
const QUICK_SERVERS: [&str; 2] = ["floor-batch", "pushserver"];

fn select(args: &Args) -> Result<Vec<Scenario>> {
    let quick = QUICK.map(str::to_owned);
    let wanted = match args.scenario.is_empty() {
        true if args.quick => &quick[..],
        _ => &args.scenario[..],
    };
    let mut all = scenario::all();
    for name in wanted {
        ensure!(
            all.iter().any(|s| s.name.starts_with(name.as_str())),
            "no scenario begins with {name:?}"
        );
    }
    // A whole name is that scenario alone, although others may begin with it.
    let names: Vec<String> = all.iter().map(|s| s.name.clone()).collect();
    let is_meant = |name: &str, wanted: &String| match names.contains(wanted) {
        true => name == wanted,
        false => name.starts_with(wanted.as_str()),
    };
    all.retain(|s| wanted.is_empty() || wanted.iter().any(|wanted| is_meant(&s.name, wanted)));
    Ok(all)
}

/// The servers to measure, built and present.
fn choose(args: &Args, profiles: &[Profile], places: &Places) -> Result<Vec<Profile>> {
    for name in &args.servers {
        ensure!(
            profiles.iter().any(|p| p.name == *name),
            "no profile is called {name:?}"
        );
    }
    let mut chosen = Vec::new();
    for profile in profiles {
        let named = args.servers.contains(&profile.name);
        let wanted = match args.servers.is_empty() {
            _ if profile.name == "floor" => true,
            true if args.quick => QUICK_SERVERS.contains(&profile.name.as_str()),
            true => !profile.on_request,
            false => named,
        };
        if !wanted {
            continue;
        }
        if let Some(need) = profile.missing(|n| places.fill(n)) {
            match &profile.install {
                Some(install) if args.install => {
                    server::shell(&places.fill(install), &places.root)?;
                }
                Some(install) => {
                    println!(
                        "{} is skipped: {need} is missing; --install runs: {install}",
                        profile.name
                    );
                    continue;
                }
                None => {
                    println!("{} is skipped: {need} is missing", profile.name);
                    continue;
                }
            }
        }
        if let (Some(build), false) = (&profile.build, args.no_build) {
            server::shell(&places.fill(build), &places.root)
                .with_context(|| format!("{} cannot be built", profile.name))?;
        }
        chosen.push(profile.clone());
    }
    // The floor first: it is what the others are divided by.
    chosen.sort_by_key(|p| p.name != "floor");
    Ok(chosen)
}

/// Those that suit a scenario and fit into the limit of open files together.
fn contestants(scenario: &Scenario, chosen: &[Profile]) -> Vec<Profile> {
    let mut suited: Vec<Profile> = chosen
        .iter()
        .filter(|p| scenario.suits(p))
        .cloned()
        .collect();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let open = usize::try_from(limit.current.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let room = open
        .saturating_sub(500)
        .checked_div(scenario.connections())
        .unwrap_or(usize::MAX);
    if suited.len() > room {
        const FIRST: [&str; 4] = ["floor", "pushserver", "floor-batch", "nchan"];
        suited.sort_by_key(|p| {
            FIRST
                .iter()
                .position(|f| *f == p.name)
                .unwrap_or(FIRST.len())
        });
        for left_out in suited.drain(room..) {
            println!(
                "{} is left out of {}: only {open} files may be open",
                left_out.name, scenario.name
            );
        }
    }
    suited
}

/// Shows that a copy for each subscriber and a write for each event are found.
fn planted(profiles: &[Profile], places: &Places) -> Result<()> {
    let named = |names: &[&str]| -> Vec<Profile> {
        let found = names
            .iter()
            .filter_map(|name| profiles.iter().find(|p| p.name == *name));
        found.cloned().collect()
    };
    let servers = named(&["floor-batch", "floor", "floor-clone", "floor-encode"]);
    let scenarios = scenario::all();
    let counted = scenarios
        .iter()
        .find(|s| s.name == "counted-ws-w16")
        .context("it is in the list")?;
    let effort = Effort {
        rounds: 10,
        slice: std::time::Duration::from_millis(150),
        percent: 100,
    };
    let counts = counted.run(&servers, places, &effort)?;
    report::print(&counts);
    let fan_out = scenarios
        .iter()
        .find(|s| s.name == "ws-1000-128-w16")
        .context("it is in the list")?;
    let times = fan_out.run(&servers, places, &effort)?;
    report::print(&times);
    let mut found = 0;
    for (mistake, server, outcome, metric) in [
        ("a write for each event", "floor", &times, "cpu"),
        ("a write for each event", "floor", &counts, "syscalls"),
        (
            "a copy for each subscriber",
            "floor-clone",
            &counts,
            "instructions",
        ),
        (
            "an encoding for each subscriber",
            "floor-encode",
            &counts,
            "instructions",
        ),
    ] {
        let bound = gate::Bound {
            scenario: "planted".to_owned(),
            metric: metric.to_owned(),
            server: server.to_owned(),
            versus: Some("floor-batch".to_owned()),
            at_most: Some(1.08),
            at_least: None,
            quick: None,
        };
        let mut results = Results::default();
        results
            .outcomes
            .insert("planted".to_owned(), outcome.clone());
        let verdict = gate::judge(&[bound], &results).remove(0);
        let is_found = verdict.standing() == gate::Standing::Missed;
        let ratio = verdict.measured.map_or(f64::NAN, |m| m.median);
        println!(
            "{mistake}: {metric} {ratio:.2} x, {}",
            if is_found { "found" } else { "NOT FOUND" }
        );
        found += usize::from(is_found);
    }
    ensure!(found == 4, "the gate misses a planted mistake");
    Ok(())
}

fn list(profiles: &[Profile], places: &Places) -> Result<()> {
    println!("scenarios:");
    for scenario in scenario::all() {
        println!("  {:<20} {}", scenario.name, scenario.title);
    }
    println!("servers:");
    for profile in profiles {
        let missing = profile.missing(|n| places.fill(n));
        let state = missing.map_or_else(String::new, |need| format!(" (here {need} is missing)"));
        println!("  {:<20} {}{state}", profile.name, profile.about);
    }
    Ok(())
}

/// The directory above that holds the workspace.
fn workspace() -> Result<PathBuf> {
    let start = std::env::current_dir()?;
    let found = start
        .ancestors()
        .find(|dir| dir.join("xtask/bench/profiles").is_dir());
    Ok(found.context("run this inside the workspace")?.to_owned())
}

//! The attacker behind `cargo xtask attack`.
//!
//! Each attack meets a server of its own, on a core of its own, with 100 honest clients connected. Quiet time and attack are
//! taken in turn; then the judge is asked what the offender was told, what memory it cost, and what the honest noticed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::attacks::Attack;
use crate::crowd::Crowd;
use crate::judge::{Seen, Told};
use crate::siege::Field;
use crate::victim::Victim;

mod answers;
mod attacks;
mod crowd;
mod frames;
mod judge;
mod machine;
mod peer;
mod report;
mod siege;
mod token;
mod victim;

#[derive(Parser)]
#[command(about = "Attack a release binary of pushserver and tell what it did about it")]
struct Args {
    /// The binary
    #[arg(long)]
    server: PathBuf,
    /// Where files of a run may be put
    #[arg(long)]
    work: PathBuf,
    /// Only these attacks
    #[arg(long)]
    only: Vec<String>,
    /// Tell what there is, and attack nothing
    #[arg(long)]
    list: bool,
    /// Length of each window; every attack has three, and three of quiet time
    #[arg(long, default_value_t = 2.5)]
    seconds: f64,
}

/// Windows of quiet time, and as many of attack
const WINDOWS: usize = 3;

/// The shortest window in which every time limit of the server's can be reached
const MIN_SECONDS: f64 = 2.0;

/// What the first quiet window waits for: connections, first pages, the CPU's clock
const WARM_UP: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let attacks = chosen(&args.only)?;
    if args.list {
        report::print_list(&attacks);
        return Ok(true);
    }
    if args.seconds < MIN_SECONDS {
        bail!(
            "a window must have {MIN_SECONDS} s: the server's time limits are configured to be reached in it"
        );
    }
    let files = machine::raise_open_files()?;
    if files < 6000 {
        bail!(
            "{files} open files are too few for 5,000 connections; `ulimit -n 20000` allows more"
        );
    }
    let cores = match machine::cores() {
        1 => "one core for the server, the clients and the attacker".to_owned(),
        n => format!(
            "the server on core 0, clients and attacker on core {}",
            n - 1
        ),
    };
    push_process::pin(&[machine::cores() - 1])?;
    report::print_head(&release(&args.server)?, &cores, WINDOWS, args.seconds);
    let mut failed = 0;
    for attack in &attacks {
        failed += usize::from(!withstood(attack, args)?);
    }
    println!("\n{} attacks, {failed} not withstood", attacks.len());
    Ok(failed == 0)
}

fn chosen(only: &[String]) -> Result<Vec<Attack>> {
    let all = attacks::all();
    if let Some(unknown) = only
        .iter()
        .find(|name| !all.iter().any(|a| a.name == **name))
    {
        bail!("there is no attack {unknown:?}; --list names them");
    }
    let is_chosen = |a: &Attack| only.is_empty() || only.iter().any(|name| name == a.name);
    Ok(all.into_iter().filter(is_chosen).collect())
}

fn release(server: &Path) -> Result<String> {
    let output = std::process::Command::new(server).arg("--version").output();
    let output = output.with_context(|| format!("{} does not run", server.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Lets the attack happen and prints its row.
///
/// Where nothing but the latency is against the server there is a second look: on a machine with other work a neighbour can
/// take a core for as long as all windows last. A server that is slowed down by the attack is slow in both.
fn withstood(attack: &Attack, args: &Args) -> Result<bool> {
    let (mut seen, mut cpu) = look(attack, args).with_context(|| attack.name)?;
    let mut faults = judge::faults(&seen, attack.told, attack.bound);
    let is_second_look = faults.len() == 1 && !judge::is_in_time(&seen);
    if is_second_look {
        (seen, cpu) = look(attack, args).with_context(|| attack.name)?;
        faults = judge::faults(&seen, attack.told, attack.bound);
    }
    report::print_row(attack, &seen, cpu, &faults, is_second_look);
    Ok(faults.is_empty())
}

/// One server, attacked; also the share of its core that it used meanwhile.
fn look(attack: &Attack, args: &Args) -> Result<(Seen, f64)> {
    let mut victim = Victim::start(&args.server, &args.work, attack.name, 0)?;
    let crowd = Crowd::gather(victim.address)?;
    (attack.prepare)(victim.address)?;
    std::thread::sleep(WARM_UP);
    let length = Duration::from_secs_f64(args.seconds);
    let before = victim.resident()?;
    let (mut told, mut missing, mut busy) = (Told::default(), 0, 0.0);
    let (mut quiet, mut attacked) = (Vec::new(), Vec::new());
    victim.reset_peak()?;
    for window in 0..WINDOWS {
        let calm = crowd.open_window();
        std::thread::sleep(length);
        let calm = crowd.close_window(calm)?;
        let (storm, began, cpu) = (crowd.open_window(), Instant::now(), victim.cpu());
        let field = Field {
            address: victim.address,
            until: began + length,
            window,
        };
        told.add(strike(attack, field)?);
        busy += (victim.cpu() - cpu).as_secs_f64() / began.elapsed().as_secs_f64() / WINDOWS as f64;
        let storm = crowd.close_window(storm)?;
        missing += calm.missing + storm.missing;
        quiet.push(calm.p99);
        attacked.push(storm.p99);
    }
    let is_alive = victim.is_alive();
    let seen = Seen {
        told,
        growth: victim.peak().unwrap_or(0).saturating_sub(before),
        quiet,
        attacked,
        missing,
        lost: crowd.lost(),
        is_alive,
    };
    Ok((seen, busy))
}

/// The attack, on a thread that lets the honest go first.
fn strike(attack: &Attack, field: Field) -> Result<Told> {
    let strike = attack.strike;
    let attacker = std::thread::spawn(move || {
        machine::step_back()?;
        strike(&field)
    });
    attacker
        .join()
        .map_err(|_| anyhow::anyhow!("the attacker panicked"))?
}

//! A server process that is measured or attacked: its start, its end, and what it costs meanwhile.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

/// A running server; dropping it ends it and removes its directory.
#[derive(Debug)]
pub struct Process {
    child: Child,
    dir: PathBuf,
}

/// What a server is started with.
#[derive(Debug)]
pub struct Plan<'a> {
    /// What it is called in errors
    pub name: &'a str,
    /// Its program and arguments
    pub command: Command,
    /// Where it will listen
    pub address: SocketAddr,
    /// Its own directory, which is there already; its output goes there
    pub dir: PathBuf,
    /// Cores it runs on
    pub cores: &'a [usize],
    /// Cores of the thread that starts it, once it is started
    pub own_cores: &'a [usize],
}

/// How long a server may take until it accepts
const START: Duration = Duration::from_secs(30);

/// How long a server may take to end before it is killed
const STOP: Duration = Duration::from_secs(5);

/// File in a server's directory that holds what it wrote
const OUTPUT: &str = "output.log";

impl Process {
    /// Starts a server and waits until it accepts.
    ///
    /// # Errors
    /// When it does not start, ends by itself, or does not accept within 30 s; with the last lines it wrote.
    pub fn start(mut plan: Plan<'_>) -> Result<Self> {
        let log = File::create(plan.dir.join(OUTPUT))?;
        plan.command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A child inherits the affinity of the thread that makes it, so no code need run in between.
        pin(plan.cores)?;
        let child = plan.command.spawn();
        pin(plan.own_cores)?;
        let child = child.with_context(|| format!("{} does not start", plan.name))?;
        let mut process = Self {
            child,
            dir: plan.dir,
        };
        process.wait_until_it_accepts(plan.name, plan.address)?;
        Ok(process)
    }

    fn wait_until_it_accepts(&mut self, name: &str, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended with {status}: {}", self.output());
            }
            if Instant::now() > deadline {
                bail!("{name} does not listen on {address}: {}", self.output());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The last lines it wrote.
    #[must_use]
    pub fn output(&self) -> String {
        let text = fs::read_to_string(self.dir.join(OUTPUT)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Its process id, for tools that attach.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is still there.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// CPU time all threads of it and of its children have had, as the scheduler counted it.
    ///
    /// The scheduler's clock, not ticks: a slice of a quarter second would be 25 ticks.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        let mut nanos = 0;
        for pid in self.tree() {
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
                continue;
            };
            for task in tasks.flatten() {
                let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let run = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
                nanos += run.unwrap_or(0);
            }
        }
        Duration::from_nanos(nanos)
    }

    /// Pages of memory that the kernel has had to give it or its children while they ran.
    #[must_use]
    pub fn page_faults(&self) -> u64 {
        self.tree().into_iter().map(minor_faults).sum()
    }

    /// The process and everything below it, parents first.
    #[must_use]
    pub fn tree(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let mut at = 0;
        while let Some(&pid) = all.get(at) {
            at += 1;
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
                continue;
            };
            for task in tasks.flatten() {
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                let children = children.split_whitespace();
                all.extend(children.filter_map(|c| c.parse::<u32>().ok()));
            }
        }
        all
    }

    /// Asks it to end and waits; returns what it wrote.
    pub fn stop(&mut self) -> String {
        for pid in self.tree().into_iter().rev() {
            signal(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if !self.is_alive() {
                return self.output();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for pid in self.tree().into_iter().rev() {
            signal(pid, Signal::KILL);
        }
        let _ended = self.child.wait();
        self.output()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        let _leftover = fs::remove_dir_all(&self.dir);
    }
}

/// An address of this machine where nobody listens.
///
/// # Errors
/// When there is no free port.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Faults that were served without a disk: `minflt`, field 10 of proc_pid_stat(5).
fn minor_faults(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the program's name, which may hold spaces and parentheses.
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let field = fields.split(' ').nth(7);
    field.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Binds the calling thread, and what it starts, to these cores.
///
/// # Errors
/// When there are no such cores.
pub fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("no cores {cores:?} on this machine"))
}

/// Interrupts a process of the caller's own, as Ctrl-C would.
pub fn interrupt(pid: u32) {
    signal(pid, Signal::INT);
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself in between.
        let _gone = kill_process(pid, signal);
    }
}

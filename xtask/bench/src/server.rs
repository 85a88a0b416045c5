//! A server process under measurement: its start, its end, and what it costs meanwhile.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::profile::Profile;

/// Where things are on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The workspace
    pub(crate) root: PathBuf,
    /// Cargo's target directory
    pub(crate) target: PathBuf,
    /// Cores the servers run on
    pub(crate) server_cores: Vec<usize>,
    /// The core the generator runs on
    pub(crate) client_core: usize,
}

impl Places {
    /// The directory for everything the benchmark makes.
    pub(crate) fn work(&self) -> PathBuf {
        self.target.join("bench")
    }

    /// Replaces the names of places in a profile's string.
    pub(crate) fn fill(&self, text: &str) -> String {
        let program = std::env::current_exe().unwrap_or_default();
        text.replace("{root}", &self.root.display().to_string())
            .replace("{target}", &self.target.display().to_string())
            .replace("{work}", &self.work().display().to_string())
            .replace("{self}", &program.display().to_string())
    }
}

/// A running server; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    /// Where it listens
    pub(crate) address: SocketAddr,
    dir: PathBuf,
}

impl Server {
    /// Starts the server of a profile on a free port, on the server cores, and waits until it accepts.
    ///
    /// `wrapper` is put in front of its command (a tracer, say).
    pub(crate) fn start(profile: &Profile, places: &Places, wrapper: &[String]) -> Result<Server> {
        let address = free_address()?;
        let dir = places
            .work()
            .join(format!("{}-{}", profile.name, address.port()));
        fs::create_dir_all(&dir)?;
        let fill = |text: &str| {
            places
                .fill(text)
                .replace("{port}", &address.port().to_string())
                .replace("{host}", &address.ip().to_string())
                .replace("{dir}", &dir.display().to_string())
        };
        for (name, text) in &profile.files {
            fs::write(dir.join(name), fill(text))?;
        }
        let words: Vec<String> = wrapper
            .iter()
            .chain(&profile.command)
            .map(|w| fill(w))
            .collect();
        let log = File::create(dir.join("output.log"))?;
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .envs(profile.env.iter().map(|(k, v)| (k, fill(v))))
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A child inherits the affinity of the thread that makes it, so no code need run in between.
        pin(&places.server_cores)?;
        let child = command.spawn();
        pin(&[places.client_core])?;
        let child = child.with_context(|| format!("{} does not start", words[0]))?;
        let mut server = Server {
            child,
            address,
            dir,
        };
        server.wait_until_it_accepts(&profile.name)?;
        Ok(server)
    }

    fn wait_until_it_accepts(&mut self, name: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended with {status}: {}", self.output());
            }
            if Instant::now() > deadline {
                bail!(
                    "{name} does not listen on {}: {}",
                    self.address,
                    self.output()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The last lines it wrote.
    pub(crate) fn output(&self) -> String {
        let text = fs::read_to_string(self.dir.join("output.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// CPU time all its threads and child processes have had, as the scheduler counted it.
    ///
    /// The scheduler's clock, not ticks: a slice of a quarter second would be 25 ticks.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut total = 0;
        for pid in tree(self.child.id()) {
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
                continue;
            };
            for task in tasks.flatten() {
                let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let run = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
                total += run.unwrap_or(0);
            }
        }
        Ok(Duration::from_nanos(total))
    }

    /// Resident memory of the process and its children, in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        tree(self.child.id()).into_iter().map(resident_kib).sum()
    }

    /// Its process id, for tools that attach.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end and waits; returns what it wrote.
    pub(crate) fn stop(&mut self) -> String {
        for pid in tree(self.child.id()).into_iter().rev() {
            signal(pid, Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return self.output();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for pid in tree(self.child.id()).into_iter().rev() {
            signal(pid, Signal::KILL);
        }
        let _ended = self.child.wait();
        self.output()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _leftover = fs::remove_dir_all(&self.dir);
    }
}

/// Binds the calling thread, and what it starts, to these cores.
pub(crate) fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("no cores {cores:?} on this machine"))
}

/// Runs a shell command of a profile to its end.
pub(crate) fn shell(command: &str, dir: &Path) -> Result<()> {
    let status = Command::new("sh")
        .args(["-ec", command])
        .current_dir(dir)
        .stdout(std::io::stderr())
        .status()?;
    if !status.success() {
        bail!("{command:?} failed with {status}");
    }
    Ok(())
}

/// Interrupts a process of the harness's own, as Ctrl-C would.
pub(crate) fn interrupt(pid: u32) {
    signal(pid, Signal::INT);
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself in between.
        let _gone = kill_process(pid, signal);
    }
}

/// The process and everything below it, parents first.
fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(&pid) = all.get(at) {
        at += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|c| c.parse::<u32>().ok()),
            );
        }
    }
    all
}

fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0)
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

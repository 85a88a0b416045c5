//! A server process under measurement: its start, its end, and what it costs meanwhile.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use push_process::{Plan, Process, free_address};

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
    process: Process,
    /// Where it listens
    pub(crate) address: SocketAddr,
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
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .envs(profile.env.iter().map(|(k, v)| (k, fill(v))))
            .current_dir(&dir);
        let process = Process::start(Plan {
            name: &profile.name,
            command,
            address,
            dir,
            cores: &places.server_cores,
            own_cores: &[places.client_core],
        })?;
        Ok(Server { process, address })
    }

    /// The last lines it wrote.
    pub(crate) fn output(&self) -> String {
        self.process.output()
    }

    /// CPU time all its threads and child processes have had, as the scheduler counted it.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        Ok(self.process.cpu())
    }

    /// Pages of memory that the kernel has had to give all of them.
    pub(crate) fn page_faults(&self) -> u64 {
        self.process.page_faults()
    }

    /// Resident memory of the process and its children, in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        self.process.tree().into_iter().map(resident_kib).sum()
    }

    /// Its process id, for tools that attach.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Asks it to end and waits; returns what it wrote.
    pub(crate) fn stop(&mut self) -> String {
        self.process.stop()
    }
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

fn resident_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0)
}

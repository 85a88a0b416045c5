//! The server that is attacked: the release binary, configured for the purpose.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use push_process::{Plan, Process, free_address};

use crate::{machine, token};

/// The API key of the honest publisher.
pub(crate) const PUBLISHER_KEY: &str = "honest-publisher-0123456789";

/// The topic that the honest clients read.
pub(crate) const HONEST_TOPIC: &str = "honest/feed";

/// A topic with a megabyte and more of history, which the offender may read.
pub(crate) const BIG_TOPIC: &str = "offender/big";

/// A running server; dropping it ends it.
pub(crate) struct Victim {
    process: Process,
    pub(crate) address: SocketAddr,
}

/// Everything that an operator could set shorter is short, so that each limit is reached while we look; the sizes and
/// counts are the defaults, but for the connections of one subject, which the offender's are.
fn configuration(address: SocketAddr, dir: &Path) -> String {
    format!(
        r#"listen = "{address}"
shards = 1
allowed_hosts = ["push.example.com"]
allowed_origins = ["https://app.example.com"]
[http]
head_timeout = "1s"
body_idle_timeout = "1s"
body_timeout = "1500ms"
idle_timeout = "2s"
[http2]
ping_interval = "700ms"
ping_timeout = "300ms"
[stream]
write_deadline = "1s"
[websocket]
deflate = true
close_timeout = "500ms"
token_timeout = "1s"
[log]
max_events = 200
ceiling_bytes = "64MiB"
[connections]
max = 8000
max_per_subject = 1000
[auth]
secret = "{secret}"
cookie = "push"
anonymous_subscribe = ["honest/**"]
[[auth.keys]]
issuer = "https://id.example.com"
kid = "main"
algorithm = "RS256"
public_key = "{rsa}"
[[auth.api_keys]]
name = "publisher"
key = "{PUBLISHER_KEY}"
admin = true
"#,
        secret = token::SECRET,
        rsa = dir.join("rsa.pem").display(),
    )
}

impl Victim {
    /// Starts the server on a free port and on `core`, and waits until it accepts.
    pub(crate) fn start(program: &Path, work: &Path, name: &str, core: usize) -> Result<Victim> {
        let address = free_address()?;
        let dir = work.join(format!("{name}-{}", address.port()));
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("rsa.pem"), token::rsa_public_key())?;
        fs::write(dir.join("push.toml"), configuration(address, &dir))?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--config"])
            .arg(dir.join("push.toml"));
        let process = Process::start(Plan {
            name: "the server",
            command,
            address,
            dir,
            cores: &[core],
            own_cores: &[machine::cores() - 1],
        })?;
        Ok(Victim { process, address })
    }

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Forgets the highest resident memory so far.
    pub(crate) fn reset_peak(&self) -> Result<()> {
        let path = format!("/proc/{}/clear_refs", self.process.pid());
        // proc(5): "5: Reset the peak resident set size ("high water mark") to the process's current".
        fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
    }

    /// The highest resident memory since [`Victim::reset_peak`], in bytes.
    pub(crate) fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// CPU time its threads have had.
    pub(crate) fn cpu(&self) -> Duration {
        self.process.cpu()
    }

    fn status(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.pid());
        let text = fs::read_to_string(&path)
            .with_context(|| format!("the server is gone: {}", self.process.output()))?;
        text.lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .with_context(|| format!("{path} has no {field}"))
    }
}

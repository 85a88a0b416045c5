//! The server that is attacked: the release binary, configured for the purpose.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{machine, token};

/// The API key of the honest publisher.
pub(crate) const PUBLISHER_KEY: &str = "honest-publisher-0123456789";

/// The topic that the honest clients read.
pub(crate) const HONEST_TOPIC: &str = "honest/feed";

/// A topic with a megabyte and more of history, which the offender may read.
pub(crate) const BIG_TOPIC: &str = "offender/big";

/// A running server; dropping it ends it.
pub(crate) struct Victim {
    child: Child,
    pub(crate) address: SocketAddr,
    dir: PathBuf,
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
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let dir = work.join(format!("{name}-{}", address.port()));
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("rsa.pem"), token::rsa_public_key())?;
        fs::write(dir.join("push.toml"), configuration(address, &dir))?;
        let log = File::create(dir.join("output.log"))?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--config"])
            .arg(dir.join("push.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // A child inherits the affinity of the thread that makes it, so no code need run in between.
        machine::pin(core)?;
        let child = command.spawn();
        machine::pin(machine::cores() - 1)?;
        let child = child.with_context(|| format!("{} does not start", program.display()))?;
        let mut victim = Victim {
            child,
            address,
            dir,
        };
        victim.wait_until_it_accepts()?;
        Ok(victim)
    }

    fn wait_until_it_accepts(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}: {}", self.output());
            }
            if Instant::now() > deadline {
                bail!(
                    "the server does not listen on {}: {}",
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

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Forgets the highest resident memory so far.
    pub(crate) fn reset_peak(&self) -> Result<()> {
        let path = format!("/proc/{}/clear_refs", self.child.id());
        // proc(5): "5: Reset the peak resident set size ("high water mark") to the process's current".
        fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
    }

    /// The highest resident memory since [`Victim::reset_peak`], in bytes.
    pub(crate) fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// CPU time its threads have had.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let of = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|n| n.parse::<u64>().ok())
        };
        let nanos = tasks.map_or(0, |tasks| tasks.flatten().filter_map(of).sum());
        Duration::from_nanos(nanos)
    }

    fn status(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path)
            .with_context(|| format!("the server is gone: {}", self.output()))?;
        text.lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .with_context(|| format!("{path} has no {field}"))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have ended by itself, which `is_alive` has told.
        let _gone = self.child.kill();
        let _ended = self.child.wait();
        let _leftover = fs::remove_dir_all(&self.dir);
    }
}

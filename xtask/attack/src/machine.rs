//! Cores, niceness and open files.

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setpriority_process, setrlimit};

/// How many cores there are.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Lets the honest clients on the same core run before the calling thread.
///
/// Without it the attacker's own work would delay the clocks that judge the server.
pub(crate) fn step_back() -> Result<()> {
    setpriority_process(None, 15).context("a thread may always make itself nicer")?;
    Ok(())
}

/// Raises the limit of open files to what the system allows, for this process and those it starts.
pub(crate) fn raise_open_files() -> Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("the limit of open files cannot be raised")?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

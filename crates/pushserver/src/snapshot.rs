//! The log over a restart: written to a file when the server leaves, read from it when it starts.
//!
//! A file is read once. It is then moved aside, because a second start from it, after a crash, would give the positions
//! that the first one gave to other events.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use pushcore::{Hub, HubConfig, RestoreError, Timestamp};

/// Whether a snapshot could be written when the time comes; better told at the start than at the end
///
/// A configuration may be checked while a server writes the very snapshot, so the probe is a file of its own.
///
/// # Errors
/// When a file cannot be made beside `path`.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        let error = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(named("log.snapshot names a file", path, &error));
    }
    let probe = beside(path, &format!(".probe-{}", std::process::id()));
    File::create(&probe)
        .and_then(|_| fs::remove_file(&probe))
        .map_err(|error| named("log.snapshot cannot be written", path, &error))
}

/// The hub that a snapshot holds; an empty one if there is none or it is of no use, which is then said
pub(crate) fn restore(path: &Path, config: HubConfig, seed: u64, now: Timestamp) -> Hub {
    match read(path, config.clone(), seed, now) {
        Ok(Some(hub)) => {
            let stats = hub.stats();
            tracing::info!(path = %path.display(), events = stats.events, topics = stats.topics, "the log was read from its snapshot");
            hub
        }
        Ok(None) => {
            tracing::info!(path = %path.display(), "there is no snapshot: the log starts empty");
            Hub::new(config, seed, now)
        }
        Err(error) => {
            let kept = match move_aside(path, ".damaged") {
                Ok(aside) => format!("kept as {}", aside.display()),
                Err(error) => format!("left where it is: {error}"),
            };
            tracing::error!(path = %path.display(), %error, file = kept, "the log starts empty, and clients will be told of a gap");
            Hub::new(config, seed, now)
        }
    }
}

fn read(
    path: &Path,
    config: HubConfig,
    seed: u64,
    now: Timestamp,
) -> Result<Option<Hub>, RestoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let hub = Hub::restore(&mut BufReader::new(file), config, seed, now)?;
    move_aside(path, ".read")?;
    Ok(Some(hub))
}

/// Writes the log; either the whole file is there afterwards, under its name, or none
///
/// # Errors
/// When it cannot be written; what was there before is then still there.
pub(crate) fn save(hub: &Hub, path: &Path) -> io::Result<usize> {
    let snapshot = hub.snapshot();
    let new = beside(path, ".new");
    let mut out = BufWriter::new(File::create(&new)?);
    snapshot.write_to(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path)?;
    Ok(snapshot.events())
}

fn move_aside(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let aside = beside(path, suffix);
    fs::rename(path, &aside)?;
    sync_directory(path)?;
    Ok(aside)
}

/// A name is only as durable as the directory that holds it
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use pushcore::{NewEvent, Topic};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn publish(hub: &Hub) {
        let event = NewEvent::new(Topic::parse("a").unwrap(), "x");
        let published = hub.publish(vec![event], None, NOW).try_ready();
        assert!(published.is_ok_and(|results| results.iter().all(Result::is_ok)));
    }

    fn empty(seed: u64) -> Hub {
        Hub::new(HubConfig::default(), seed, NOW)
    }

    fn restored(path: &Path) -> Hub {
        restore(path, HubConfig::default(), 99, NOW)
    }

    #[test]
    fn a_log_that_was_saved_goes_on_in_its_epoch_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let hub = empty(1);
        publish(&hub);
        assert_eq!(save(&hub, &path).unwrap(), 1);
        assert_eq!(restored(&path).head(), hub.head());
        // As after a crash: the positions that were given since are not given again.
        assert_ne!(restored(&path).head().epoch, hub.head().epoch);
    }

    #[test]
    fn a_damaged_file_is_kept_and_the_log_starts_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let hub = empty(1);
        publish(&hub);
        save(&hub, &path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(restored(&path).stats().events, 0);
        assert_eq!(fs::read(beside(&path, ".damaged")).unwrap(), bytes);
        assert!(!path.exists());
    }

    #[test]
    fn nothing_but_the_file_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        check(&path).unwrap();
        save(&empty(1), &path).unwrap();
        check(&path).unwrap();
        let names = fs::read_dir(folder.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["log"]);
        assert!(check(&folder.path().join("no/such/folder")).is_err());
        assert!(check(folder.path()).is_err(), "a folder is no file");
    }
}

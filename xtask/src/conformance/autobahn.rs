//! The Autobahn WebSocket test suite against ws-codec, in both roles.
//!
//! `wstest` exits with 0 whatever happens, so the verdict is read from its `index.json`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Outcome, python};

/// What `cargo xtask conformance autobahn` is asked to do.
#[derive(clap::Args, Clone, Copy, Default)]
pub(crate) struct Args {
    /// All 517 cases; otherwise three of each group of the slow sections 12 and 13, which test compression
    #[arg(long)]
    full: bool,
}

/// Runs the suite in both roles.
pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let target =
        PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let target = std::path::absolute(target)?;
    let dir = target.join("autobahn");
    let wstest = match python::wstest(&dir)? {
        Ok(wstest) => wstest,
        Err(why) => return Ok(Outcome::Skipped { why }),
    };
    let build = Command::new("cargo")
        // The profile of the tests, because a machine that runs all of them has built this already.
        .args(["build", "--profile", "test", "--package", "ws-codec"])
        .args([
            "--example",
            "autobahn_server",
            "--example",
            "autobahn_client",
        ])
        .status()?;
    if !build.success() {
        bail!("the echo server and client do not build");
    }
    let examples = target.join("debug/examples");

    // The suite is one Python process that computes; two roles on two cores take half the time.
    let (server, client) = std::thread::scope(|scope| {
        let server = scope.spawn(|| test_server(args, &wstest, &dir.join("server"), &examples));
        let client = scope.spawn(|| test_client(args, &wstest, &dir.join("client"), &examples));
        (server.join(), client.join())
    });
    let server = server.expect("the thread does not panic")?;
    let client = client.expect("the thread does not panic")?;

    let mut what = Vec::new();
    let mut counts = Vec::new();
    for (role, report) in [("server", server), ("client", client)] {
        counts.push(report.summary(role));
        if args.full {
            println!("{role}\n\n{}", report.table());
        }
        what.extend(report.complaints(role, args.full));
    }
    let counts = counts.join("\n");
    if what.is_empty() {
        return Ok(Outcome::Passed { counts });
    }
    println!("{counts}");
    Ok(Outcome::Failed { what })
}

/// The suite as a client of our echo server.
fn test_server(args: &Args, wstest: &Path, dir: &Path, examples: &Path) -> Result<Report> {
    fresh(dir)?;
    let started = Instant::now();
    let mut server = Running(
        Command::new(examples.join("autobahn_server"))
            .arg("127.0.0.1:0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let mut address = String::new();
    BufReader::new(server.0.stdout.take().context("its output is piped")?)
        .read_line(&mut address)?;
    let spec = json!({
        "outdir": dir,
        "servers": [{"agent": AGENT, "url": format!("ws://{}", address.trim()), "options": {"version": 18}}],
        "cases": cases(args.full), "exclude-cases": [], "exclude-agent-cases": {},
    });
    let log = start_wstest(wstest, "fuzzingclient", dir, &spec)?
        .0
        .wait()?;
    if !log.success() {
        bail!("wstest failed: see {}", dir.join("wstest.log").display());
    }
    Report::read(dir, started.elapsed())
}

/// The suite as the server of our echo client.
fn test_client(args: &Args, wstest: &Path, dir: &Path, examples: &Path) -> Result<Report> {
    fresh(dir)?;
    let started = Instant::now();
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let spec = json!({
        "outdir": dir, "url": format!("ws://{address}"),
        "cases": cases(args.full), "exclude-cases": [], "exclude-agent-cases": {},
    });
    let _suite = start_wstest(wstest, "fuzzingserver", dir, &spec)?;
    let patience = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(address).is_err() {
        if Instant::now() > patience {
            bail!(
                "wstest does not listen: see {}",
                dir.join("wstest.log").display()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let status = Command::new(examples.join("autobahn_client"))
        .args([&address.to_string(), AGENT])
        .status()?;
    if !status.success() {
        bail!("the echo client failed");
    }
    Report::read(dir, started.elapsed())
}

const AGENT: &str = "ws-codec";

/// Every case of the quick sections; of the slow ones all, or three of each group: short, long and fragmented messages.
fn cases(full: bool) -> Vec<String> {
    if full {
        return vec!["*".to_owned()];
    }
    let quick = [1, 2, 3, 4, 5, 6, 7, 9, 10].map(|section| format!("{section}.*"));
    let groups = (1..=5)
        .map(|group| (12, group))
        .chain((1..=7).map(|group| (13, group)));
    let slow = groups
        .flat_map(|(section, group)| [1, 4, 11].map(|case| format!("{section}.{group}.{case}")));
    quick.into_iter().chain(slow).collect()
}

fn fresh(dir: &Path) -> Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir)?;
    Ok(())
}

fn start_wstest(wstest: &Path, mode: &str, dir: &Path, spec: &Value) -> Result<Running> {
    let file = dir.join("spec.json");
    std::fs::write(&file, spec.to_string())?;
    let log = std::fs::File::create(dir.join("wstest.log"))?;
    let child = Command::new(wstest)
        .args(["-m", mode, "-u", "0", "-s"])
        .arg(&file)
        .current_dir(dir)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(Running(child))
}

/// A process that does not outlive us
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What the suite wrote about one role
struct Report {
    cases: BTreeMap<CaseId, Case>,
    took: Duration,
}

/// 12.3.11 as numbers, so that it sorts after 12.3.2
type CaseId = Vec<u32>;

struct Case {
    behavior: String,
    behavior_close: String,
    close_code: Option<u64>,
}

impl Report {
    fn read(dir: &Path, took: Duration) -> Result<Report> {
        let file = dir.join("index.json");
        let text = std::fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        let index: Value = serde_json::from_str(&text)?;
        let mut cases = BTreeMap::new();
        for (id, case) in index[AGENT]
            .as_object()
            .context("the report has our agent")?
        {
            let id = id
                .split('.')
                .map(str::parse)
                .collect::<std::result::Result<CaseId, _>>()?;
            let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
            let case = Case {
                behavior: text("behavior"),
                behavior_close: text("behaviorClose"),
                close_code: case["remoteCloseCode"].as_u64(),
            };
            cases.insert(id, case);
        }
        Ok(Report { cases, took })
    }

    /// One line a role: how many cases behaved how.
    fn summary(&self, role: &str) -> String {
        let mut behaviors = BTreeMap::<&str, u32>::new();
        for case in self.cases.values() {
            *behaviors.entry(&case.behavior).or_default() += 1;
        }
        let behaviors: Vec<String> = behaviors
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        format!(
            "{role}: {} cases in {} s: {}",
            self.cases.len(),
            self.took.as_secs(),
            behaviors.join(", ")
        )
    }

    /// A row of Markdown for each section of the suite: how many cases, and how they behaved.
    fn table(&self) -> String {
        let mut sections = BTreeMap::<u32, [u32; 3]>::new();
        for (id, case) in &self.cases {
            let [cases, ok, informational] = sections.entry(id[0]).or_default();
            *cases += 1;
            *ok += u32::from(case.behavior == "OK");
            *informational += u32::from(case.behavior == "INFORMATIONAL");
        }
        let mut table =
            "| section | cases | OK | INFORMATIONAL | other |\n| --- | --- | --- | --- | --- |\n"
                .to_owned();
        for (section, [cases, ok, informational]) in sections {
            let other = cases - ok - informational;
            table += &format!("| {section} | {cases} | {ok} | {informational} | {other} |\n");
        }
        table
    }

    /// Everything that is not as it should be.
    fn complaints(&self, role: &str, full: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        let expected = if full { 517 } else { 301 + 36 };
        if self.cases.len() != expected {
            complaints.push(format!(
                "{role}: {} cases were run, not {expected}",
                self.cases.len()
            ));
        }
        for (id, case) in &self.cases {
            let id = id.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            let fine = |behavior: &str| matches!(behavior, "OK" | "INFORMATIONAL");
            if !fine(&case.behavior) || !fine(&case.behavior_close) {
                complaints.push(format!(
                    "{role}: {id}: {}, closing {}",
                    case.behavior, case.behavior_close
                ));
            }
            // The suite is content with a dropped connection; we are not.
            let wanted = required_close_code(&id);
            if wanted.is_some() && case.close_code != wanted {
                complaints.push(format!(
                    "{role}: {id}: close code {:?}, not {wanted:?}",
                    case.close_code
                ));
            }
        }
        complaints
    }
}

/// The close code we have to send, for the cases in which the suite breaks the protocol.
fn required_close_code(id: &str) -> Option<u64> {
    let is_one_of = |list: &str| {
        list.split(' ')
            .any(|listed| id == listed || listed.ends_with('.') && id.starts_with(listed))
    };
    if is_one_of(PROTOCOL_ERRORS) {
        Some(1002)
    } else if is_one_of(INVALID_TEXT) {
        Some(1007)
    } else {
        None
    }
}

/// Reserved bits and opcodes, long or fragmented control frames, broken fragmentation, invalid close frames. A final dot means all of the group.
const PROTOCOL_ERRORS: &str =
    "2.5 3. 4. 5.1 5.2 5.9 5.10 5.11 5.12 5.13 5.14 5.15 5.16 5.17 5.18 7.3.2 7.3.6 7.9.";

/// Everything that is not UTF-8
const INVALID_TEXT: &str = "6.3. 6.4. 6.6.1 6.6.3 6.6.4 6.6.6 6.6.8 6.6.10 6.8. 6.10. 6.11.5 6.12. 6.13. 6.14. 6.15. 6.16. \
                            6.17. 6.18. 6.19. 6.20. 6.21. 7.5.1";

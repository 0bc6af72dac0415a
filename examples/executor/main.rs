//! A small executor: a queue of builds, some at a time, each of the phases pre, run and post, each of which runs in a sandbox of its
//! own, as Zuul's executor has it ([`bwrap_launch::profile::zuul`]).
//!
//! ```text
//! cargo run --example executor -- examples/executor/builds.json
//! cargo run --example executor --features tokio -- --tokio examples/executor/builds.json
//! ```
//!
//! SIGINT and SIGTERM cancel what runs and what waits. If it is killed, nothing of it runs on; what lies in its directory is removed when
//! it starts again. It exits with 0 if all builds succeeded, 1 if a job failed, 2 if a sandbox did, which is nothing that
//! the author of a job can mend, and 130 if it was cancelled.

mod builds;
mod cancel;
mod phases;
mod report;
#[cfg(feature = "tokio")]
mod tasks;
mod threads;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::{fs, io};

use builds::Build;
use bwrap_launch::profile::zuul::Driver;
use bwrap_launch::{Bwrap, adopt_orphans};
use cancel::Cancel;
use report::Report;

const USAGE: &str =
    "usage: executor [--at-a-time N] [--state DIRECTORY] [--report FILE] [--tokio] BUILDS.json";

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    ExitCode::from(run_with(std::env::args_os().skip(1)))
}

/// Shows a line. Builds go on where nobody reads it any more.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The whole program.
pub(crate) fn run_with(words: impl Iterator<Item = OsString>) -> u8 {
    match run(words) {
        Ok(reports) => report::exit_status(&reports),
        Err(error) => {
            eprintln!("executor: {error}");
            report::NOT_RUN
        }
    }
}

fn run(words: impl Iterator<Item = OsString>) -> Result<Vec<Report>, Failed> {
    let arguments = Arguments::read(words)?;
    let builds = Build::read(&arguments.builds)?;
    let cancel = Arc::new(Cancel::default());
    cancel::on_signals(&cancel)?;
    // what ends in a container whose process 1 reaps nobody is reaped here; and who is our child tells what it used
    adopt_orphans()?;
    let state = State::take(&arguments.state)?;
    let driver = Driver::new(&Bwrap::find()?)?;
    driver.check().map_err(|error| match error {
        bwrap_launch::profile::zuul::Error::Launch(error) => error.report(),
        other => other.to_string(),
    })?;
    let executor = Executor { driver, jobs: state.jobs.clone(), cancel };
    let reports = if arguments.tokio {
        run_tasks(executor, builds, arguments.at_a_time)?
    } else {
        threads::run(&executor, builds, arguments.at_a_time)
    };
    say("");
    for report in &reports {
        say(&report.to_string());
    }
    if let Some(file) = &arguments.report {
        let all: Vec<_> = reports.iter().map(Report::to_json).collect();
        fs::write(file, serde_json::to_string_pretty(&all)?)?;
    }
    Ok(reports)
}

#[cfg(feature = "tokio")]
fn run_tasks(executor: Executor, builds: Vec<Build>, at_a_time: usize) -> Result<Vec<Report>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(tasks::run(Arc::new(executor), builds, at_a_time)))
}

#[cfg(not(feature = "tokio"))]
fn run_tasks(_: Executor, _: Vec<Build>, _: usize) -> Result<Vec<Report>, Failed> {
    Err("this was built without the feature tokio".into())
}

/// What all builds share.
struct Executor {
    driver: Driver,
    /// Where their directories are.
    jobs: PathBuf,
    cancel: Arc<Cancel>,
}

/// The executor's own directory. Nobody else works there while this lives.
struct State {
    jobs: PathBuf,
    _lock: fs::File,
}

impl State {
    /// Removes what an executor has left that was killed.
    fn take(directory: &Path) -> Result<Self, Failed> {
        fs::create_dir_all(directory)?;
        let lock = fs::File::create(directory.join("lock"))?;
        let exclusive = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(&lock, exclusive)
            .map_err(|error| format!("{}: another executor works here ({error})", directory.display()))?;
        let jobs = fs::canonicalize(directory)?.join("jobs");
        match fs::remove_dir_all(&jobs) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir(&jobs)?,
        }
        Ok(Self { jobs, _lock: lock })
    }
}

struct Arguments {
    at_a_time: usize,
    state: PathBuf,
    report: Option<PathBuf>,
    tokio: bool,
    builds: PathBuf,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = OsString>) -> Result<Self, Failed> {
        let (mut at_a_time, mut report, mut tokio, mut builds) = (2, None, false, None);
        let mut state = std::env::temp_dir().join("bwrap-launch-executor");
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(USAGE);
            match word.to_str() {
                Some("--at-a-time") => at_a_time = value()?.to_string_lossy().parse()?,
                Some("--state") => state = value()?.into(),
                Some("--report") => report = Some(value()?.into()),
                Some("--tokio") => tokio = true,
                Some(option) if option.starts_with('-') => return Err(USAGE.into()),
                _ => builds = Some(word.into()),
            }
        }
        let builds = builds.ok_or(USAGE)?;
        Ok(Self { at_a_time: usize::max(at_a_time, 1), state, report, tokio, builds })
    }
}

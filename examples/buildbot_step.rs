//! Runs one step of Buildbot's in a sandbox ([`bwrap_launch::profile::ci`]), for the worker's plugin `buildbot_sandbox.py`, which calls it as
//!
//! ```text
//! buildbot_step --work DIRECTORY --failed FILE [--env NAME ...] -- COMMAND [ARGUMENT ...]
//! ```
//!
//! It exits with the command's own status. If the sandbox did not start, the file says why and what to change, and the plugin makes an
//! exception of that, for which Buildbot does not blame the job. The command sees the directory (its builder's), where it may write, the
//! variables that are named, and the host's `/usr`.
//!
//! The operator says with `BWRAP_LAUNCH_BUILDBOT_RO_PATHS` (with colons between) what else steps see, and gives them the host's network,
//! which they need to fetch sources, with `BWRAP_LAUNCH_BUILDBOT_NETWORK=true`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bwrap_launch::profile::ci;
use bwrap_launch::{Child, Command, Error, Explain};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

/// Who gives a step less time to end (`sigtermTime`), kills us earlier.
const GRACE: Duration = Duration::from_secs(600);

/// As in `env(1)` and `timeout(1)`: what was to be run was not.
const NOT_RUN: u8 = 125;

fn main() -> ExitCode {
    ExitCode::from(run_with(env::args_os().skip(1)))
}

/// The whole program.
pub(crate) fn run_with(words: impl Iterator<Item = OsString>) -> u8 {
    let Some(step) = Step::read(words) else {
        eprintln!(
            "usage: buildbot_step --work DIRECTORY --failed FILE [--env NAME ...] -- COMMAND [ARGUMENT ...]"
        );
        return NOT_RUN;
    };
    match step.run() {
        Ok(status) => status,
        Err((why, report)) => {
            eprintln!("{report}");
            if let Err(error) = fs::write(&step.failed, why) {
                eprintln!("buildbot-step: {}: {error}", step.failed.display());
            }
            NOT_RUN
        }
    }
}

struct Step {
    work: PathBuf,
    failed: PathBuf,
    variables: Vec<OsString>,
    words: Vec<OsString>,
}

impl Step {
    fn read(mut words: impl Iterator<Item = OsString>) -> Option<Self> {
        let (mut work, mut failed, mut variables) = (None, None, Vec::new());
        while let Some(word) = words.next() {
            match word.to_str()? {
                "--work" => work = words.next(),
                "--failed" => failed = words.next(),
                "--env" => variables.extend(words.next()),
                "--" => break,
                _ => return None,
            }
        }
        let words: Vec<_> = words.collect();
        (!words.is_empty()).then_some(())?;
        Some(Self { work: work?.into(), failed: failed?.into(), variables, words })
    }

    /// What the command exits with, or why there was no sandbox for it, in a line and in full.
    fn run(&self) -> Result<u8, (String, String)> {
        let system = |error: io::Error| (error.to_string(), error.to_string());
        let full = |error: Error| (error.to_string(), error.report());
        let cancelled = on_cancel().map_err(system)?;
        let mut child = self.command().map_err(system)?.spawn().map_err(full)?;
        cancelled(&child).map_err(system)?;
        match child.wait() {
            Ok(status) => {
                if status.signal().is_some() {
                    eprintln!("{}", status.ending());
                }
                Ok(status.raw())
            }
            // that is the step's own
            Err(error @ Error::NotExecuted(_)) => {
                eprintln!("{}", error.report());
                Ok(error.exit_status())
            }
            // cancelled before it ran
            Err(Error::Stopped { why, .. }) => {
                eprintln!("{why}");
                Ok(NOT_RUN)
            }
            Err(error) => Err(full(error)),
        }
    }

    fn command(&self) -> io::Result<Command> {
        let mut sandbox = ci::on_host(&self.work)?.current_dir(env::current_dir()?);
        for path in env::split_paths(&env::var_os("BWRAP_LAUNCH_BUILDBOT_RO_PATHS").unwrap_or_default()) {
            if !path.as_os_str().is_empty() {
                sandbox = sandbox.ro_bind(path.clone(), path);
            }
        }
        for name in &self.variables {
            if let Some(value) = env::var_os(name) {
                sandbox = sandbox.env(name, value);
            }
        }
        if env::var("BWRAP_LAUNCH_BUILDBOT_NETWORK").is_ok_and(|wish| wish == "true") {
            sandbox = sandbox.share_net();
        }
        let mut words = self.words.iter();
        let mut command = sandbox.command(words.next().cloned().unwrap_or_default());
        command.args(words).setsid(true).die_with_caller(true).explain(Explain::AskAgain);
        Ok(command)
    }
}

/// A worker asks with SIGTERM, where a step has `sigtermTime`, and kills otherwise; with us, and with a worker that dies, the sandbox goes.
fn on_cancel() -> io::Result<impl FnOnce(&Child) -> io::Result<()>> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    // before the launch, so that none comes too early; the sandbox does not inherit that
    signals.thread_block()?;
    Ok(move |child: &Child| {
        let killer = child.killer();
        let wait = move || {
            while signals.wait().is_ok() {
                if let Err(error) = killer.terminate(GRACE) {
                    eprintln!("buildbot-step: {error}");
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
    })
}

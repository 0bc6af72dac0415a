//! A driver for the [custom executor](https://docs.gitlab.com/runner/executors/custom/) of GitLab Runner: each script of a job runs in a
//! sandbox of its own ([`bwrap_launch::profile::ci`]), with the job's directory writable.
//!
//! ```toml
//! [runners.custom]
//! config_exec = "/usr/local/bin/gitlab_executor"
//! config_args = ["config"]
//! prepare_exec = "/usr/local/bin/gitlab_executor"
//! prepare_args = ["prepare"]
//! run_exec = "/usr/local/bin/gitlab_executor"
//! run_args = ["run"]
//! cleanup_exec = "/usr/local/bin/gitlab_executor"
//! cleanup_args = ["cleanup"]
//! ```
//!
//! A script that fails is the job's failure (`BUILD_FAILURE_EXIT_CODE`); a sandbox that does not start is the system's
//! (`SYSTEM_FAILURE_EXIT_CODE`), which the runner does not blame the job for, and the log says why and what to change.
//!
//! The operator says with `BWRAP_LAUNCH_GITLAB_DIR` where jobs have their directories, and with `BWRAP_LAUNCH_GITLAB_RO_PATHS` (with
//! colons between) what they see besides the host's `/usr`. Scripts of the runner itself, which fetch sources and store artifacts, have
//! the host's network; those of the job, if it sets `SANDBOX_NETWORK` to `true`.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bwrap_launch::profile::ci;
use bwrap_launch::{Child, Error, Explain, Sandbox};
use nix::sys::signal::{SigSet, Signal};
use serde_json::json;

/// How long a script has to end when the job is cancelled. The runner gives us ten minutes.
const GRACE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    ExitCode::from(run_with(env::args_os().skip(1)))
}

/// The whole program.
pub(crate) fn run_with(words: impl Iterator<Item = OsString>) -> u8 {
    match run(words) {
        Ok(()) => 0,
        Err(failed) => {
            let _ = writeln!(io::stderr(), "gitlab-executor: {failed}");
            let (variable, otherwise) = match failed {
                Failed::Job(_) => ("BUILD_FAILURE_EXIT_CODE", 1),
                Failed::Sandbox(_) | Failed::Usage(_) | Failed::System(_) => ("SYSTEM_FAILURE_EXIT_CODE", 2),
            };
            // 0 would be a success
            env::var(variable)
                .ok()
                .and_then(|code| code.parse().ok())
                .filter(|code| *code != 0)
                .unwrap_or(otherwise)
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    /// The script had its say.
    #[error("the script failed: {0}")]
    Job(String),
    #[error("{0}")]
    Sandbox(String),
    #[error("{0}")]
    Usage(&'static str),
    #[error(transparent)]
    System(#[from] io::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Sandbox(error.report())
    }
}

fn run(words: impl Iterator<Item = OsString>) -> Result<(), Failed> {
    let words: Vec<OsString> = words.collect();
    let text: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let text: Vec<&str> = text.iter().map(AsRef::as_ref).collect();
    match (text.as_slice(), words.as_slice()) {
        (["config"], _) => config(),
        (["prepare"], _) => prepare(),
        // the last word is the script's name
        (["run", _, stage], [_, script, _]) => run_script(Path::new(script), stage),
        (["cleanup"], _) => cleanup(),
        _ => Err(Failed::Usage("usage: gitlab_executor config | prepare | run SCRIPT STAGE | cleanup")),
    }
}

/// The job's directory.
fn directory() -> Result<PathBuf, Failed> {
    let job = env::var("CUSTOM_ENV_CI_JOB_ID").ok();
    let job = job.filter(|job| !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit()));
    let job = job.ok_or(Failed::Usage("CUSTOM_ENV_CI_JOB_ID does not say which job this is"))?;
    let all = env::var_os("BWRAP_LAUNCH_GITLAB_DIR").unwrap_or_else(|| "/var/lib/bwrap-launch-gitlab".into());
    Ok(PathBuf::from(all).join(job))
}

/// Tells the runner where jobs work.
fn config() -> Result<(), Failed> {
    let directory = directory()?;
    let told = json!({
        "builds_dir": directory.join("builds"),
        "cache_dir": directory.join("cache"),
        "builds_dir_is_shared": false,
        "driver": {"name": "bwrap-launch", "version": env!("CARGO_PKG_VERSION")},
    });
    writeln!(io::stdout(), "{told}")?;
    Ok(())
}

/// Makes the job's directory, and sees whether its sandbox starts before anything depends on it.
fn prepare() -> Result<(), Failed> {
    let directory = directory()?;
    for name in ["builds", "cache"] {
        fs::create_dir_all(directory.join(name))?;
    }
    for network in [false, true] {
        sandbox(&directory, network)?.command("true").status()?;
    }
    writeln!(io::stdout(), "Prepared a sandbox in {}", directory.display())?;
    Ok(())
}

fn sandbox(directory: &Path, network: bool) -> Result<Sandbox, Failed> {
    let mut sandbox = ci::on_host(directory)?;
    for path in env::split_paths(&env::var_os("BWRAP_LAUNCH_GITLAB_RO_PATHS").unwrap_or_default()) {
        if !path.as_os_str().is_empty() {
            sandbox = sandbox.ro_bind(path.clone(), path);
        }
    }
    Ok(if network { sandbox.share_net() } else { sandbox })
}

/// Runs a script, which the shell reads from its standard input: it is somewhere where the sandbox sees nothing.
fn run_script(script: &Path, stage: &str) -> Result<(), Failed> {
    let cancelled = on_cancel()?;
    let of_the_job = stage.starts_with("step_") || ["build_script", "after_script"].contains(&stage);
    let network = !of_the_job || env::var("CUSTOM_ENV_SANDBOX_NETWORK").is_ok_and(|wish| wish == "true");
    let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
    let mut command = sandbox(&directory()?, network)?.command(shell);
    command.stdin(File::open(script)?).setsid(true).die_with_caller(true).explain(Explain::AskAgain);
    let mut child = command.spawn()?;
    cancelled(&child)?;
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            // for `allow_failure:exit_codes`
            if let Some(file) = env::var_os("BUILD_EXIT_CODE_FILE") {
                fs::write(file, status.raw().to_string())?;
            }
            Err(Failed::Job(status.ending().to_string()))
        }
        Err(Error::Stopped { why, .. }) => Err(Failed::Job(why.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The runner sends SIGTERM when the job is cancelled or takes too long.
fn on_cancel() -> io::Result<impl FnOnce(&Child) -> io::Result<()>> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    // before the launch, so that none comes too early; the sandbox does not inherit that
    signals.thread_block()?;
    Ok(move |child: &Child| {
        let killer = child.killer();
        let wait = move || {
            while signals.wait().is_ok() {
                if let Err(error) = killer.terminate(GRACE) {
                    eprintln!("gitlab-executor: {error}");
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
    })
}

fn cleanup() -> Result<(), Failed> {
    match fs::remove_dir_all(directory()?) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

//! A build on its way through its phases. Nothing here waits: that is what the two fronts, threads and tasks, do.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bwrap_launch::{
    Command, Ending, ExitStatus, Explain, Limit, Limits, Resource, Result, Results, Stdio, Stop, Unapplied,
    Usage,
};

use super::builds::Build;
use super::cancel::GRACE;
use super::report::{Ended, Outcome, Report};
use super::{Executor, Failed};

/// How long a line of output may be before it is cut in pieces.
pub(crate) const LINE: usize = 16 << 10;
/// When it is told that a phase is still there, if it says nothing itself.
pub(crate) const TICK: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Pre,
    Run,
    Post,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pre => "pre",
            Self::Run => "run",
            Self::Post => "post",
        })
    }
}

/// A build that has begun.
pub(crate) struct Job {
    pub(crate) build: Build,
    /// It is there as long as the build.
    directory: PathBuf,
    last: Option<Phase>,
    outcome: Outcome,
    ended: Vec<Ended>,
}

impl Job {
    /// Makes its directory.
    pub(crate) fn begin(executor: &Executor, build: Build) -> Self {
        let directory = executor.jobs.join(&build.name);
        let made = ["work/tmp", "home"].iter().try_for_each(|name| fs::create_dir_all(directory.join(name)));
        let outcome = match made {
            _ if executor.cancel.is_cancelled() => Outcome::Cancelled,
            Ok(()) => Outcome::Success,
            Err(error) => Outcome::NotLaunched(format!("{}: {error}", directory.display())),
        };
        Self { build, directory, last: None, outcome, ended: Vec::new() }
    }

    /// What is to be launched next: `post` whatever became of the phases before, unless nobody wants it or there are no sandboxes.
    pub(crate) fn next(&mut self) -> Option<Phase> {
        let phase = [Phase::Pre, Phase::Run, Phase::Post].into_iter().find(|phase| {
            let due = match self.outcome {
                Outcome::Success => true,
                Outcome::JobFailed { .. } | Outcome::TimedOut { .. } => *phase == Phase::Post,
                _ => false,
            };
            due && Some(*phase) > self.last && !self.words(*phase).is_empty()
        })?;
        self.last = Some(phase);
        Some(phase)
    }

    fn words(&self, phase: Phase) -> &[String] {
        match phase {
            Phase::Pre => &self.build.pre,
            Phase::Run => &self.build.run,
            Phase::Post => &self.build.post,
        }
    }

    /// What is launched for a phase.
    pub(crate) fn command(&self, executor: &Executor, phase: Phase) -> std::result::Result<Command, Failed> {
        let build = &self.build;
        let [work, home, secrets] = ["work", "home", "secrets"].map(|name| self.directory.join(name));
        let mut context = executor.driver.context();
        for path in build.project().into_iter().chain(build.ro_paths.iter().map(PathBuf::as_path)) {
            context = context.ro_path(path);
        }
        for (name, text) in &build.secrets {
            context = context.secret(secrets.join(name), text.as_str());
        }
        let mut launcher = context.launcher(&work, &home).share_net(build.network);
        let agent = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).filter(|socket| socket.exists());
        if let Some(socket) = &agent {
            launcher = launcher.ssh_auth_sock(socket);
        }
        let mut command = launcher.command(self.words(phase))?;
        command
            .env("PATH", "/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", home)
            .env("TMPDIR", "/tmp")
            .env("SECRETS", secrets)
            .envs(build.project().map(|project| ("PROJECT", project)))
            .envs(agent.map(|socket| ("SSH_AUTH_SOCK", socket)))
            .envs(&build.env);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::merged())
            .limits(&self.limits(executor.driver.oom_score_adj()?))
            .timeout(build.timeout())
            .grace(GRACE)
            // a Ctrl-C is for us, and we are asked before anything ends
            .setsid(true)
            .die_with_caller(true)
            .kill_on_drop(true)
            .explain(Explain::AskAgain);
        Ok(command)
    }

    fn limits(&self, oom_score_adj: i32) -> Limits {
        let maxima = self.build.limits;
        let mut limits = Limits::new()
            .oom_score_adj(oom_score_adj)
            .rlimit(Resource::Core, 0, 0)
            .optional(Limit::Accounting);
        if let Some(bytes) = maxima.memory {
            limits = limits.optional(Limit::MemoryMax(bytes));
        }
        if let Some(processes) = maxima.processes {
            limits = limits.optional(Limit::PidsMax(processes));
        }
        if let Some(files) = maxima.open_files {
            limits = limits.rlimit(Resource::OpenFiles, files, files);
        }
        if let Some(bytes) = maxima.file_size {
            limits = limits.rlimit(Resource::FileSize, bytes, bytes);
        }
        limits
    }

    /// What became of a phase.
    pub(crate) fn ended(&mut self, phase: Phase, started: Instant, launched: Launched) {
        let (outcome, usage, unapplied) = match launched {
            Ok(launched) => launched,
            Err(error) => {
                self.outcome = Outcome::NotLaunched(error.to_string());
                return;
            }
        };
        let ending = Ending::of(&outcome);
        // what happened first is what the build ends with
        if self.outcome == Outcome::Success {
            self.outcome = Outcome::of(phase, &outcome);
        } else if ending == Ending::Stopped(Stop::Cancel) {
            self.outcome = Outcome::Cancelled;
        }
        let unapplied = unapplied.iter().map(|missing| missing.limit().to_string()).collect();
        self.ended.push(Ended { phase, ending, took: started.elapsed(), usage, unapplied });
    }

    /// The report. Removes the build's directory.
    pub(crate) fn finish(mut self) -> Report {
        let mut results = Vec::new();
        if self.outcome == Outcome::Success {
            results = self.results();
        }
        if let Err(error) = fs::remove_dir_all(&self.directory)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("executor: {}: {error}", self.directory.display());
        }
        self.ended.sort_by_key(|ended| ended.phase);
        Report { build: self.build.name, outcome: self.outcome, phases: self.ended, results }
    }

    /// What it has left for us. It may be anything: nothing is followed out of the directory.
    fn results(&mut self) -> Vec<(PathBuf, String)> {
        let read = |results: &Results, path: &PathBuf| {
            results.read(path, 1 << 20).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let all = Results::below(self.directory.join("work")).and_then(|results| {
            self.build.results.iter().map(|path| Ok((path.clone(), read(&results, path)?))).collect()
        });
        all.unwrap_or_else(|error| {
            self.outcome = Outcome::JobFailed { phase: Phase::Post, why: error.to_string() };
            Vec::new()
        })
    }
}

/// How a phase ended, what it used, and which limits could not be set.
pub(crate) type Fate = (Result<ExitStatus>, Usage, Vec<Unapplied>);

/// The same, or why nothing was launched.
pub(crate) type Launched = std::result::Result<Fate, Failed>;

/// What failed before there was a child.
pub(crate) fn not_spawned(error: bwrap_launch::Error) -> Fate {
    (Err(error), Usage::default(), Vec::new())
}

/// Shows a line of output.
pub(crate) fn show(job: &Job, phase: Phase, text: &str) {
    super::say(&format!("{} | {phase} | {text}", job.build.name));
}

/// Says that it is still there.
pub(crate) fn show_progress(job: &Job, phase: Phase, started: Instant, processes: usize) {
    let seconds = started.elapsed().as_secs();
    super::say(&format!("{} | {phase} : {seconds} s, {processes} processes", job.build.name));
}

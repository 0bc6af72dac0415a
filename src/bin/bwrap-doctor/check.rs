//! `bwrap-doctor check`: can this machine run sandboxes, or one?

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bwrap_launch::diagnosis::{Cause, Diagnosis, Finding, Outlook, Prediction};
use bwrap_launch::doctor::{self, Probe, Trial, TrialOutcome, TrialReport};
use bwrap_launch::{Bwrap, Error, Sandbox, Stage};
use serde::Serialize;

use crate::Result;
use crate::cli::{Check, Depth, Format};
use crate::line;
use crate::output::{self, BAD, Envelope, GOOD, Tool, styled};
use crate::surroundings;

/// The machine does not run sandboxes.
const NO: u8 = 1;

#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "answers to independent questions")]
struct Report<'a> {
    /// What the exit status says.
    works: bool,
    works_with_network_namespace: Option<bool>,
    works_without_network_namespace: Option<bool>,
    works_only_without_user_namespace: Option<bool>,
    bwrap: Option<Tool>,
    /// Why nothing could be tried.
    error: Option<String>,
    /// Why that is so.
    diagnosis: Option<Diagnosis>,
    trials: Vec<Tried<'a>>,
    prediction: Option<&'a Prediction>,
}

#[derive(Serialize)]
struct Tried<'a> {
    /// `None`: the sandbox of a line.
    trial: Option<Trial>,
    network: Option<bool>,
    user_namespace: Option<bool>,
    outcome: &'static str,
    sandbox: String,
    diagnosis: Option<&'a Diagnosis>,
    error: Option<String>,
}

pub(crate) fn run(task: Check, format: Format) -> Result {
    // what one trial leaves to be reaped counts against RLIMIT_NPROC in the next; where this is denied, it still does
    let _ = bwrap_launch::adopt_orphans();
    let depth = task.depth;
    if !task.line.is_empty() {
        return own_line(task.line, task.bwrap, format, &depth);
    }
    let bwrap = match output::bwrap(task.bwrap.as_deref()) {
        Ok(bwrap) => bwrap,
        Err(error) => return nothing(&Error::from(error).explain_here(), None, format, &depth),
    };
    surroundings::tell(&bwrap);
    match doctor::probe(&bwrap) {
        Ok(probe) => tell(task.no_network, &bwrap, &probe, format, &depth),
        Err(error) => nothing(&error, Some(&bwrap), format, &depth),
    }
}

fn status(works: bool) -> ExitCode {
    if works { ExitCode::SUCCESS } else { ExitCode::from(NO) }
}

/// Nothing could be tried.
fn nothing(error: &Error, bwrap: Option<&Bwrap>, format: Format, depth: &Depth) -> Result {
    let diagnosis = error.diagnosis();
    let report = match diagnosis {
        Some(diagnosis) if !depth.long => {
            format!("{error}\nNothing was launched.\n{}{}", diagnosis.brief(), output::rest(diagnosis, depth))
        }
        _ => error.report(),
    };
    let written = output::write_diagnosed(diagnosis, depth)?;
    untried(error.to_string(), &(report + &written), diagnosis.cloned(), bwrap, format)
}

fn untried(
    error: String,
    report: &str,
    diagnosis: Option<Diagnosis>,
    bwrap: Option<&Bwrap>,
    format: Format,
) -> Result {
    if format == Format::Json {
        let report = Report {
            works: false,
            works_with_network_namespace: None,
            works_without_network_namespace: None,
            works_only_without_user_namespace: None,
            bwrap: bwrap.map(Tool::from),
            error: Some(error),
            diagnosis,
            trials: Vec::new(),
            prediction: None,
        };
        output::print_json(&Envelope::new("check", report))?;
    } else {
        output::print(&format!("{} {report}", styled(BAD, "no sandboxes:")))?;
    }
    Ok(status(false))
}

fn tell(no_network: bool, bwrap: &Bwrap, probe: &Probe, format: Format, depth: &Depth) -> Result {
    let with = probe.works_with_network_namespace();
    let without = probe.works_without_network_namespace();
    let works = without == Some(true) && (no_network || with == Some(true));
    let counts = |report: &&TrialReport| !no_network || !report.trial.has_network_namespace();
    let failed = probe.failure().filter(|_| !works);
    // the prediction tells most where nothing was said: of a bwrap that hung
    let judged = failed.or_else(|| probe.trials.iter().rfind(counts));
    let predict = || judged.map(|report| doctor::predict(bwrap, &report.sandbox));
    let without_user = probe.trials.iter().filter(counts).any(|report| !report.outcome.works());
    let without_user = works && without_user;
    if format == Format::Json {
        let prediction = predict();
        let report = Report {
            works,
            works_with_network_namespace: with,
            works_without_network_namespace: without,
            works_only_without_user_namespace: works.then_some(without_user),
            bwrap: Some(bwrap.into()),
            error: None,
            diagnosis: None,
            trials: probe.trials.iter().map(Tried::from).collect(),
            prediction: prediction.as_ref(),
        };
        output::print_json(&Envelope::new("check", report))?;
    } else if works {
        output::print(&success(bwrap, with == Some(true), without_user))?;
    } else {
        let diagnosis = failed.and_then(|failed| failed.outcome.diagnosis());
        let text = failure(probe, failed, predict, depth);
        let written = output::write_diagnosed(diagnosis, depth)?;
        let rest = diagnosis.map_or_else(String::new, |diagnosis| output::rest(diagnosis, depth));
        output::print(&(text + &written + &rest))?;
    }
    Ok(status(works))
}

fn success(bwrap: &Bwrap, with_network: bool, without_user: bool) -> String {
    let mut network = if with_network {
        "with and without a network of their own"
    } else {
        "without a network of their own; with one they fail (see bwrap-doctor check)"
    }
    .to_owned();
    if without_user {
        network.push_str(
            "; but only without a user namespace: name the namespaces (--unshare-pid ...) instead of --unshare-all, \
             and leave --unshare-user out",
        );
    }
    let (version, path) = (bwrap.version_text(), bwrap.path().display());
    format!("{} bwrap {version} ({path}) makes sandboxes, {network}\n", styled(GOOD, "ok:"))
}

fn failure(
    probe: &Probe,
    failed: Option<&TrialReport>,
    predict: impl FnOnce() -> Option<Prediction>,
    depth: &Depth,
) -> String {
    let said = if depth.long { probe.to_string() } else { probe.brief() };
    let shared = failed.is_some_and(|failed| failed.trial.has_network_namespace())
        && probe.works_without_network_namespace() == Some(true);
    let kind = if shared { "no sandboxes with a network of their own on" } else { "no sandboxes on" };
    let mut text = format!("{} this machine\n\n{said}", styled(BAD, kind));
    if failed.is_none_or(|failed| failed.outcome.diagnosis().is_none()) {
        foretell(&mut text, predict(), depth);
    }
    if shared {
        text.push_str(
            "\nSandboxes that share the host's network work: without --unshare-net, or with --share-net after \
             --unshare-all. If that is enough for you: bwrap-doctor check --no-network\n",
        );
    }
    text
}

fn foretell(text: &mut String, prediction: Option<Prediction>, depth: &Depth) {
    if let Some(prediction) = prediction.filter(|prediction| prediction.outlook != Outlook::Starts) {
        let said = if depth.long { prediction.to_string() } else { prediction.brief() };
        let _ = write!(text, "\n{said}");
    }
}

/// The sandbox of a bwrap line.
fn own_line(line: Vec<OsString>, path: Option<std::path::PathBuf>, format: Format, depth: &Depth) -> Result {
    // first of all, while nothing of ours is open
    let descriptors = line::inherited();
    let (named, line) = line::without_name(line);
    let line = line::with_args_of_descriptors(line)?;
    let line = line::read(line).map_err(|error| format!("cannot read the bwrap line: {error}"))?;
    let sandbox = &line.sandbox;
    let bwrap = match output::bwrap(path.or(named).as_deref()) {
        Ok(bwrap) => bwrap,
        Err(error) => return nothing(&Error::from(error).explain_here(), None, format, depth),
    };
    if let Err(error) = line::all_open(sandbox, &descriptors) {
        let report = format!("{error}\n");
        return untried(error, &report, None, Some(&bwrap), format);
    }
    surroundings::tell(&bwrap);
    let prediction = line.predict(&bwrap);
    let mut command = line.command.clone().unwrap_or_else(|| sandbox.command("/"));
    line::hand_on(&mut command, &descriptors);
    let outcome = doctor::try_command(&bwrap, &command);
    // the trial ends before the command: what is wrong with that, and beside it, its files say
    let after = prediction.obstacles.iter().any(is_after);
    let works = outcome.works() && !after;
    if format == Format::Json {
        let report = Report {
            works,
            works_with_network_namespace: None,
            works_without_network_namespace: None,
            works_only_without_user_namespace: None,
            bwrap: Some((&bwrap).into()),
            error: None,
            diagnosis: None,
            trials: vec![Tried::new(sandbox, &outcome)],
            prediction: Some(&prediction),
        };
        output::print_json(&Envelope::new("check", report))?;
    } else if works {
        let (version, path) = (bwrap.version_text(), bwrap.path().display());
        let ok = styled(GOOD, "ok:");
        let rest = match &line.command {
            Some(_) => "its command was not run",
            None => line::NO_COMMAND,
        };
        output::print(&format!("{ok} bwrap {version} ({path}) sets this sandbox up; {rest}\n"))?;
    } else {
        let said = if depth.long { outcome.to_string() } else { outcome.brief() };
        let mut text = format!("{} {sandbox}\n\n{said}", styled(BAD, "no sandbox:"));
        let late = matches!(outcome, TrialOutcome::TimedOut);
        match (outcome.diagnosis(), late.then(|| pipe(sandbox)).flatten()) {
            // whether the trial came as far as that is chance: the first process locks files beside the command
            _ if after && is_set_up(&outcome) => {
                text = format!("{} {sandbox}\n\n", styled(BAD, "sets up, but will not run its command:"));
                text.push_str(&if depth.long { prediction.to_string() } else { prediction.brief() });
            }
            (Some(diagnosis), _) => {
                text.push_str(&output::write_diagnosed(Some(diagnosis), depth)?);
                text.push_str(&output::rest(diagnosis, depth));
            }
            // what we may not do ourselves says nothing of bwrap
            (None, _) if is_ours(&outcome) => text.push_str(OURS),
            (None, Some(path)) => {
                let path = path.to_string_lossy();
                text = format!(
                    "{} {sandbox}\n\nbwrap waits for {path:?}, a named pipe (FIFO), until somebody opens its other end. Name a \
                     regular file instead.\n",
                    styled(BAD, "no sandbox yet:")
                );
            }
            (None, None) => foretell(&mut text, Some(prediction), depth),
        }
        output::print(&text)?;
    }
    Ok(status(works))
}

/// Whether the sandbox was set up, and the trial knows of nothing that keeps a command from running in it.
fn is_set_up(outcome: &TrialOutcome) -> bool {
    match outcome {
        TrialOutcome::Failed { error: Error::NotExecuted(_), diagnosis } => {
            let cause = diagnosis.as_ref().and_then(|diagnosis| diagnosis.cause());
            cause.is_none_or(|cause| cause == Cause::Unexplained)
        }
        outcome => outcome.works(),
    }
}

/// The lock file that is a named pipe, at which bwrap waits.
fn pipe(sandbox: &Sandbox) -> Option<&Path> {
    let is_pipe = |path: &&Path| std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo());
    sandbox.get_lock_files().iter().map(PathBuf::as_path).find(is_pipe)
}

const OURS: &str = "\nThat was bwrap-doctor's own, and bwrap was not started: started by itself, it may well make this sandbox.\n";

/// Whether the system refused something to us before bwrap was started.
fn is_ours(outcome: &TrialOutcome) -> bool {
    matches!(outcome, TrialOutcome::Failed { error: Error::System { step, .. }, .. } if !step.launched())
}

/// Whether it stops a sandbox that could be set up.
fn is_after(finding: &Finding) -> bool {
    matches!(finding.cause.stage(), Stage::Exec | Stage::Reaper)
}

impl<'a> Tried<'a> {
    fn new(sandbox: &Sandbox, outcome: &'a TrialOutcome) -> Self {
        let (name, diagnosis, error) = match outcome {
            TrialOutcome::Works => ("works", None, None),
            TrialOutcome::Failed { error, diagnosis } => {
                ("failed", diagnosis.as_deref(), Some(error.to_string()))
            }
            TrialOutcome::TimedOut => ("timed-out", None, None),
            // whatever comes: not that it works
            _ => ("failed", None, None),
        };
        let sandbox = sandbox.to_string();
        Self { trial: None, network: None, user_namespace: None, outcome: name, sandbox, diagnosis, error }
    }
}

impl<'a> From<&'a TrialReport> for Tried<'a> {
    fn from(report: &'a TrialReport) -> Self {
        Self {
            trial: Some(report.trial),
            network: Some(report.trial.has_network_namespace()),
            user_namespace: Some(report.user_namespace),
            ..Self::new(&report.sandbox, &report.outcome)
        }
    }
}

//! `bwrap-doctor run`: an existing bwrap line, and why it fails if it does.

use std::fs;
use std::process::ExitCode;

use bwrap_launch::diagnosis::{Cause, Diagnosis};
use bwrap_launch::{Command, Descriptor, Error, Failure, ProgramProblem};
use serde::Serialize;

use crate::Result;
use crate::cli::{Format, Run};
use crate::line;
use crate::output::{self, Envelope};

/// Nobody can know whether the command ran.
const UNDECIDED: u8 = 124;
/// There was no sandbox.
pub(crate) const NOT_LAUNCHED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

#[derive(Serialize)]
struct Report<'a> {
    outcome: &'static str,
    exit_status: u8,
    error: String,
    command_line: Option<&'a str>,
    stderr: Option<String>,
    diagnosis: Option<&'a Diagnosis>,
}

pub(crate) fn run(task: Run, format: Format) -> ExitCode {
    // first of all, while nothing of ours is open
    let descriptors = inherited();
    let error = match command(task, &descriptors) {
        Ok(mut command) => match command.status() {
            Ok(status) => return ExitCode::from(status.raw()),
            Err(error) => Ok(error),
        },
        Err(trouble) => Err(trouble),
    };
    let (outcome, exit_status) = match &error {
        Ok(Error::Refused(_)) => ("refused", NOT_LAUNCHED),
        Ok(Error::SetupFailed(_)) => ("setup-failed", NOT_LAUNCHED),
        Ok(Error::NotExecuted(failure)) => ("not-executed", not_executed(failure)),
        Ok(Error::Undecided(_)) => ("undecided", UNDECIDED),
        Ok(_) | Err(_) => ("not-launched", NOT_LAUNCHED),
    };
    let text = match &error {
        Ok(error) => error.to_string(),
        Err(trouble) => trouble.clone(),
    };
    let failure = error.as_ref().ok().and_then(Error::failure);
    let diagnosis = failure.and_then(Failure::diagnosis);
    if format == Format::Json {
        let mut report = Report {
            outcome,
            exit_status,
            error: text,
            command_line: failure.map(Failure::command_line),
            stderr: failure.map(|failure| String::from_utf8_lossy(failure.stderr()).into_owned()),
            diagnosis,
        };
        // a path that is not UTF-8 has no JSON; the rest of the report has
        while !output::report_json(&Envelope::new("run", &report)) && report.diagnosis.take().is_some() {}
    } else {
        match diagnosis {
            Some(diagnosis) => output::report(&format!("\n{diagnosis}")),
            None => output::complain(&text),
        }
    }
    ExitCode::from(exit_status)
}

fn command(task: Run, descriptors: &[i32]) -> Result<Command> {
    let (named, words) = line::without_name(task.line);
    let words = line::with_args_of_descriptors(words)?;
    let mut command =
        Command::from_args(words.clone()).map_err(|error| format!("cannot read the bwrap line: {error}"))?;
    let path = task.bwrap.or(named);
    let bwrap = output::bwrap(path.as_deref()).map_err(|error| error.to_string())?;
    command.bwrap(&bwrap);
    for number in descriptors {
        // bwrap itself reads and closes those that its options name
        if !words.iter().any(|word| *word == *number.to_string()) {
            command.fd(*number, Descriptor::number(*number));
        }
    }
    Ok(command)
}

/// A bwrap line's command has every descriptor that its caller left open; a launched one only what it is given.
fn inherited() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let numbers: Vec<i32> = numbers.filter(|number| (3..=1023).contains(number)).collect();
    // the one that listed them is gone by now
    numbers.into_iter().filter(|number| fs::read_link(format!("/proc/self/fd/{number}")).is_ok()).collect()
}

/// As a shell tells them apart.
fn not_executed(failure: &Failure) -> u8 {
    let missing = match failure.program() {
        Some(problem) => matches!(problem, ProgramProblem::NotFound { .. }),
        None => failure.diagnosis().and_then(Diagnosis::cause) == Some(Cause::ProgramMissing),
    };
    if missing { NOT_FOUND } else { NOT_EXECUTABLE }
}

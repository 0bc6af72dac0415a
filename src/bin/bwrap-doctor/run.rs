//! `bwrap-doctor run`: an existing bwrap line, and why it fails if it does.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use bwrap_launch::diagnosis::Diagnosis;
use bwrap_launch::{Command, Ending, Error, Failure, Heard};
use serde::Serialize;

use crate::Result;
use crate::cli::{Format, Run};
use crate::line;
use crate::output::{self, Envelope};
use crate::surroundings;

/// There was no sandbox.
pub(crate) const NOT_LAUNCHED: u8 = 125;

#[derive(Serialize)]
struct Report<'a> {
    outcome: &'static str,
    exit_status: u8,
    error: String,
    command_line: Option<&'a str>,
    stderr: Option<String>,
    diagnosis: Option<Diagnosis>,
}

pub(crate) fn run(task: Run, format: Format) -> ExitCode {
    // first of all, while nothing of ours is open
    let descriptors = line::inherited();
    // there before the command runs: a report of an earlier time is none of this one's
    let depth = task.depth.clone();
    let mut file = match task.report.as_ref().map(|path| (path, File::create(path))).map(opened).transpose() {
        Ok(file) => file,
        Err(trouble) => {
            output::complain(&trouble);
            return ExitCode::from(NOT_LAUNCHED);
        }
    };
    let trouble = match command(task, &descriptors) {
        Ok(mut command) => match command.status() {
            Ok(status) => return ExitCode::from(status.raw()),
            Err(error) => Trouble::Launch(error),
        },
        Err(trouble) => trouble,
    };
    let error = match &trouble {
        Trouble::Launch(error) => Some(error),
        Trouble::Line(_) => None,
    };
    let outcome = match error {
        Some(Error::Refused(_)) => "refused",
        Some(Error::SetupFailed(_)) => "setup-failed",
        Some(Error::NotExecuted(_)) => "not-executed",
        Some(Error::Undecided(_)) => "undecided",
        // watching it failed, and it may have run
        Some(error) if error.ending() == Ending::Unknown => "undecided",
        Some(_) | None => "not-launched",
    };
    let exit_status = error.map_or(NOT_LAUNCHED, Error::exit_status);
    let text = match &trouble {
        Trouble::Launch(error) => error.to_string(),
        Trouble::Line(what) => what.clone(),
    };
    let failure = error.and_then(Error::failure);
    let mut diagnosis = error.and_then(Error::diagnosis).cloned();
    let files = diagnosis
        .as_ref()
        .map_or_else(|| Ok(String::new()), |diagnosis| output::write_diagnosed(Some(diagnosis), &depth));
    let report = if format == Format::Json {
        let mut report = Report {
            outcome,
            exit_status,
            error: text,
            command_line: failure.map(Failure::command_line),
            stderr: failure.map(|failure| String::from_utf8_lossy(failure.stderr()).into_owned()),
            diagnosis: diagnosis.take(),
        };
        let line = output::json_line(&Envelope::new("run", &report));
        // a path that is not UTF-8 has no JSON; the rest of the report has
        let line = line.or_else(|| {
            report.diagnosis = None;
            output::json_line(&Envelope::new("run", &report))
        });
        line.unwrap_or_default()
    } else {
        match (error, &diagnosis) {
            (Some(error), Some(_)) if depth.long => error.report(),
            (Some(error), Some(diagnosis)) => {
                let before = if failure.is_some() { String::new() } else { format!("{error}\n\n") };
                format!("{before}{}{}", diagnosis.brief(), output::rest(diagnosis, &depth))
            }
            _ => format!("bwrap-doctor: {}\n{}", text.trim_end(), unread(error)),
        }
    };
    match (&mut file, format) {
        (Some(file), _) => {
            if let Err(error) = file.write_all(report.as_bytes()) {
                output::complain(&format!("cannot write the report: {error}"));
            }
        }
        (None, Format::Json) => output::raw(&report),
        (None, Format::Human) if diagnosis.is_some() => output::report(&format!("\n{report}")),
        (None, Format::Human) => output::complain(report.trim_start_matches("bwrap-doctor: ")),
    }
    match files {
        Ok(written) if format == Format::Human && !written.is_empty() => output::report(&written),
        Ok(_) => {}
        Err(trouble) => output::complain(&trouble),
    }
    ExitCode::from(exit_status)
}

/// What to type where bwrap's words went to a pipe or a terminal, were seen there by the caller, and could not be read here.
fn unread(error: Option<&Error>) -> &'static str {
    match error {
        Some(Error::Undecided(failure)) if failure.heard() == Heard::Lost => {
            "If bwrap's own line stands above, have it explained (or run this with 2>FILE, where it can be read):\n    \
             bwrap-doctor explain --message 'bwrap: ...'\n"
        }
        _ => "",
    }
}

fn opened((path, file): (&PathBuf, io::Result<File>)) -> Result<File> {
    file.map_err(|error| format!("cannot write the report to {}: {error}", path.display()))
}

/// Why the command did not run.
enum Trouble {
    /// What the library says.
    Launch(Error),
    /// The bwrap line cannot be read.
    Line(String),
}

fn command(task: Run, descriptors: &[i32]) -> Result<Command, Trouble> {
    let (named, words) = line::without_name(task.line);
    let words = line::with_args_of_descriptors(words).map_err(Trouble::Line)?;
    let mut command = Command::from_args(words)
        .map_err(|error| Trouble::Line(format!("cannot read the bwrap line: {error}")))?;
    let path = task.bwrap.or(named);
    let bwrap =
        output::bwrap(path.as_deref()).map_err(|error| Trouble::Launch(Error::from(error).explain_here()))?;
    command.bwrap(&bwrap);
    surroundings::tell(&bwrap);
    line::all_open(command.get_sandbox(), descriptors).map_err(Trouble::Line)?;
    line::hand_on(&mut command, descriptors);
    Ok(command)
}

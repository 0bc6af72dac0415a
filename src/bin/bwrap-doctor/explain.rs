//! `bwrap-doctor explain`: causes, messages from elsewhere, predictions. Offline unless told otherwise.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use bwrap_launch::diagnosis::{self, Cause, Diagnosis, Outlook, Prediction, Symptom};
use bwrap_launch::host::Host;
use bwrap_launch::{Bwrap, BwrapError, Command, Error, Sandbox, doctor};
use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::cli::{Explain, Format};
use crate::output::{self, Envelope, note};
use crate::{given, line};

#[derive(Serialize)]
struct Known {
    code: &'static str,
    name: &'static str,
    title: &'static str,
    stage: String,
}

impl From<Cause> for Known {
    fn from(cause: Cause) -> Self {
        Self {
            code: cause.code(),
            name: cause.name(),
            title: cause.title(),
            stage: cause.stage().to_string(),
        }
    }
}

#[derive(Serialize)]
struct Explained {
    cause: Known,
    explanation: &'static str,
}

#[derive(Serialize)]
struct Causes {
    causes: Vec<Known>,
}

#[derive(Serialize)]
struct Diagnosed<T> {
    diagnosis: T,
}

#[derive(Serialize)]
struct Predicted<T> {
    prediction: T,
}

/// What is to be explained.
enum Asked<'a> {
    Code(&'a str),
    Message(Vec<u8>),
}

/// A code, a message, or where that stands. One soon forgets an option.
fn asked(task: &Explain) -> Result<Option<Asked<'_>>> {
    let file = |path: &str| {
        given::bytes(Path::new(path)).map(Asked::Message).map_err(|what| match path {
            "-" => format!("standard input: {what}"),
            path => format!("{path}: {what}"),
        })
    };
    Ok(match (task.code.as_deref(), &task.message) {
        (Some("-"), _) => Some(file("-")?),
        (None, Some(text)) if text == "-" => Some(file("-")?),
        (None, Some(text)) => Some(Asked::Message(text.as_bytes().to_vec())),
        // no code has words
        (Some(text), _) if text.contains(char::is_whitespace) && !Path::new(text).is_file() => {
            Some(Asked::Message(text.as_bytes().to_vec()))
        }
        (Some(text), _) if text.parse::<Cause>().is_err() && Path::new(text).is_file() => Some(file(text)?),
        (Some(code), _) => Some(Asked::Code(code)),
        (None, None) => None,
    })
}

pub(crate) fn run(task: &Explain, format: Format) -> Result {
    let looks = task.here || task.host.is_some();
    match asked(task)? {
        Some(Asked::Code(_)) if looks || task.args.is_some() => {
            return Err("a cause is the same everywhere: leave out --host, --here and --args".to_owned());
        }
        Some(Asked::Code(code)) => one(code, format)?,
        Some(Asked::Message(text)) => diagnose(task, &text, format)?,
        None if task.args.is_some() => predict(task, format)?,
        None if looks => {
            return Err("say what failed (--message TEXT) or what is to be run (--args FILE)".to_owned());
        }
        None => all(format)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn all(format: Format) -> Result<()> {
    if format == Format::Json {
        let causes = Cause::ALL.iter().copied().map(Known::from).collect();
        return output::print_json(&Envelope::new("causes", Causes { causes }));
    }
    let mut text = String::new();
    let mut stage = None;
    for cause in Cause::ALL {
        if stage.replace(cause.stage()) != Some(cause.stage()) {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{}:", cause.stage());
        }
        let _ = writeln!(text, "  {}  {}", cause.code(), cause.title());
    }
    output::print(&text)
}

fn one(code: &str, format: Format) -> Result<()> {
    let cause: Cause = code.parse().map_err(|error: diagnosis::UnknownCause| error.to_string())?;
    let explanation = cause.explanation();
    if format == Format::Json {
        return output::print_json(&Envelope::new("cause", Explained { cause: cause.into(), explanation }));
    }
    let mut text = format!("{} {}: {}\n", cause.code(), cause.name(), cause.title());
    if explanation != cause.title() {
        let _ = writeln!(text, "\n{}", explanation.trim_end());
    }
    output::print(&text)
}

fn diagnose(task: &Explain, message: &[u8], format: Format) -> Result<()> {
    let symptom = Symptom::from_text(message);
    if symptom.messages.is_empty() {
        return Err("the message is empty".to_owned());
    }
    let line = task.args.as_deref().map(line::of_file).transpose()?;
    let host = host(task)?;
    let look = |sandbox: Option<&Sandbox>, program: Option<&OsStr>| {
        let symptom = symptom.clone();
        if task.here { doctor::look(symptom, sandbox, program) } else { symptom }
    };
    let diagnosis = match &line {
        Some(line) => {
            // what its unknown words stand for may be what was there
            let known = line.unknown.is_empty();
            let program = line.command.as_ref().map(Command::get_program).filter(|_| known);
            let symptom = look(Some(&line.sandbox).filter(|_| known), program);
            diagnosis::diagnose_pasted(&symptom, &host, Some(&line.sandbox))
        }
        None => with_line_of(message, look, &host),
    };
    let written = output::write_diagnosed(Some(&diagnosis), &task.depth)?;
    if format == Format::Json {
        return output::print_json(&Envelope::new("explain", Diagnosed { diagnosis }));
    }
    let text = if task.depth.long { diagnosis.to_string() } else { diagnosis.brief() };
    output::print(&(text + &written + &output::rest(&diagnosis, &task.depth)))
}

/// By the line that stands beside the message, if that can have failed so.
fn with_line_of(
    text: &[u8],
    look: impl Fn(Option<&Sandbox>, Option<&OsStr>) -> Symptom,
    host: &Host,
) -> Diagnosis {
    let symptom = look(None, None);
    let alone = diagnosis::diagnose_pasted(&symptom, host, None);
    let Some(message) = symptom.message() else { return alone };
    let Some((sandbox, program)) = line::in_text(text) else { return alone };
    // bwrap prints the word that it was to execute: another line started another program
    let executed = message.subject().filter(|_| message.pattern() == Some("execvp %s"));
    if executed.zip(program.as_deref()).is_some_and(|(executed, program)| executed != program) {
        return alone;
    }
    let symptom = look(Some(&sandbox), program.as_deref());
    let mut diagnosis = diagnosis::diagnose_pasted(&symptom, host, Some(&sandbox));
    // one that is left aside has a note of its own
    if diagnosis.notes.len() > alone.notes.len() {
        return alone;
    }
    let taken =
        "the bwrap line that stands in the text is taken for the one that failed (--args FILE names another)";
    diagnosis.notes.push(taken.to_owned());
    diagnosis
}

fn predict(task: &Explain, format: Format) -> Result<()> {
    let Some(path) = &task.args else { return Ok(()) };
    let line = line::of_file(path)?;
    if line.command.is_none() && task.here && format == Format::Human {
        note(line::NO_COMMAND);
    }
    let (prediction, missing) = match task.here.then(Bwrap::find) {
        Some(Ok(bwrap)) => (line.predict(&bwrap), None),
        Some(Err(error)) => without_bwrap(error, &host(task)?, &line.sandbox),
        None => (line.as_far_as_known(diagnosis::predict(&host(task)?, &line.sandbox)), None),
    };
    let missing = missing.or_else(|| line.not_known(&prediction));
    let written = output::write_files(prediction.obstacles.iter(), &task.depth)?;
    if format == Format::Json {
        return output::print_json(&Envelope::new("explain", Predicted { prediction }));
    }
    let text = if task.depth.long { prediction.to_string() } else { prediction.brief() };
    let text = match missing {
        Some(missing) if prediction.obstacles.is_empty() => missing + "\n",
        Some(missing) => format!("{missing}\n\n{text}"),
        None => text,
    };
    let cause = prediction.obstacles.first().map(|finding| finding.cause);
    output::print(&(text + &written + &output::rest_of(cause, &task.depth)))
}

/// Nothing starts without a bwrap: what is wrong with it comes first.
fn without_bwrap(error: BwrapError, host: &Host, sandbox: &Sandbox) -> (Prediction, Option<String>) {
    let mut prediction = diagnosis::predict(host, sandbox);
    prediction.outlook = Outlook::Fails;
    let error = Error::from(error).explain_here();
    if let Some(first) = error.diagnosis().and_then(|diagnosis| diagnosis.causes.first()) {
        prediction.obstacles.insert(0, first.clone());
    }
    (prediction, Some(error.to_string()))
}

fn host(task: &Explain) -> Result<Host> {
    if task.here {
        return Ok(match Bwrap::find() {
            Ok(bwrap) => Host::snapshot_for(bwrap.path(), bwrap.version_text()),
            Err(_) => Host::snapshot(),
        });
    }
    task.host.as_deref().map_or_else(|| Ok(Host::default()), read_host)
}

/// Facts from a file.
pub(crate) fn read_host(path: &Path) -> Result<Host> {
    let said = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = fs::read(path).map_err(|error| said(&error))?;
    let other = |error| {
        said(&format!("no facts of a machine, which `bwrap-doctor host --format json` prints: {error}"))
    };
    let host: Host = serde_json::from_slice(&bytes).map_err(other)?;
    // what is misspelt would be overlooked silently
    let given = serde_json::from_slice(&bytes).map_err(|error| said(&error))?;
    let taken = serde_json::to_value(&host).map_err(|error| said(&error))?;
    for name in overlooked(&given, &taken, "") {
        if name.is_empty() {
            return Err(said(&"there is no JSON object in it"));
        }
        note(&said(&format!("{name} is not read: there is no such fact, or not in this form")));
    }
    Ok(host)
}

/// The names of what says nothing. A list may stand for an object, which is then empty.
fn overlooked(given: &Value, taken: &Value, name: &str) -> Vec<String> {
    let (given, taken) = match (given, taken) {
        (Value::Object(given), Value::Object(taken)) => (given, taken),
        (Value::Array(_), Value::Object(_)) => return vec![name.to_owned()],
        _ => return Vec::new(),
    };
    let names = given.iter().flat_map(|(part, value)| {
        let name = if name.is_empty() { part.clone() } else { format!("{name}.{part}") };
        match taken.get(part) {
            Some(known) => overlooked(value, known, &name),
            None => vec![name],
        }
    });
    names.collect()
}

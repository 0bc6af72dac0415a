//! `bwrap-doctor explain`: causes, messages from elsewhere, predictions. Offline unless told otherwise.

use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use bwrap_launch::diagnosis::{self, Cause, Symptom};
use bwrap_launch::host::Host;
use bwrap_launch::{Bwrap, Message};
use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::cli::{Explain, Format};
use crate::line;
use crate::output::{self, Envelope, note};

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

pub(crate) fn run(task: &Explain, format: Format) -> Result {
    match &task.code {
        // as with --message -
        Some(code) if code == "-" => diagnose(task, &standard_input()?, format)?,
        Some(code) => one(code, format)?,
        None => match &task.message {
            Some(text) if text == "-" => diagnose(task, &standard_input()?, format)?,
            Some(text) => diagnose(task, text.as_bytes(), format)?,
            None if task.args.is_some() => predict(task, format)?,
            None if task.here || task.host.is_some() => {
                return Err("say what failed (--message TEXT) or what is to be run (--args FILE)".to_owned());
            }
            None => all(format)?,
        },
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
    let symptom = pasted(message);
    if symptom.messages.is_empty() {
        return Err("the message is empty".to_owned());
    }
    let sandbox = task.args.as_deref().map(line::sandbox_of_file).transpose()?;
    let diagnosis = diagnosis::diagnose(&symptom, &host(task)?, sandbox.as_ref());
    if format == Format::Json {
        return output::print_json(&Envelope::new("explain", Diagnosed { diagnosis }));
    }
    output::print(&diagnosis.to_string())
}

fn predict(task: &Explain, format: Format) -> Result<()> {
    let Some(path) = &task.args else { return Ok(()) };
    let prediction = diagnosis::predict(&host(task)?, &line::sandbox_of_file(path)?);
    if format == Format::Json {
        return output::print_json(&Envelope::new("explain", Predicted { prediction }));
    }
    output::print(&prediction.to_string())
}

fn standard_input() -> Result<Vec<u8>> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text).map_err(|error| format!("cannot read standard input: {error}"))?;
    Ok(text)
}

/// The messages in what was pasted. What a log or a terminal puts around them is left out: other lines, and what stands
/// before `bwrap: `.
fn pasted(text: &[u8]) -> Symptom {
    const NAME: &[u8] = b"bwrap: ";
    // each with the lines after it, which may be its own or not
    let mut messages: Vec<Vec<&[u8]>> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = line.windows(NAME.len()).position(|window| window == NAME);
        match (start.and_then(|start| line.get(start..)), messages.last_mut()) {
            (Some(words), _) => messages.push(vec![words]),
            (None, Some(message)) => message.push(line),
            (None, None) => {}
        }
    }
    if messages.is_empty() {
        return Symptom::from_text(text);
    }
    let mut symptom = Symptom::default();
    symptom.messages = messages.iter().map(|lines| message(lines)).collect();
    symptom
}

/// Reads the first line alone, or, if nothing is known like that, with as many more as make a known message: a path may have
/// newlines in it.
fn message(lines: &[&[u8]]) -> Message {
    /// A message has two paths at most.
    const LONGEST: usize = 10_000;
    let (mut text, mut first) = (Vec::new(), None);
    for line in lines {
        text.extend_from_slice(line);
        let message = Message::parse(&text);
        if message.pattern().is_some() {
            return message;
        }
        first.get_or_insert(message);
        if text.len() > LONGEST {
            break;
        }
        text.push(b'\n');
    }
    first.unwrap_or_else(|| Message::parse(&text))
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

fn read_host(path: &Path) -> Result<Host> {
    let said = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let bytes = fs::read(path).map_err(|error| said(&error))?;
    let host: Host = serde_json::from_slice(&bytes).map_err(|error| said(&error))?;
    // a misspelt fact would be overlooked silently
    if let (Ok(given), Ok(taken)) = (serde_json::from_slice(&bytes), serde_json::to_value(&host)) {
        for name in overlooked(&given, &taken, "") {
            note(&said(&format!("no fact is called {name}")));
        }
    }
    Ok(host)
}

fn overlooked(given: &Value, taken: &Value, prefix: &str) -> Vec<String> {
    let (Value::Object(given), Value::Object(taken)) = (given, taken) else { return Vec::new() };
    let names = given.iter().flat_map(|(name, value)| match taken.get(name) {
        Some(known) => overlooked(value, known, &format!("{prefix}{name}.")),
        None => vec![format!("{prefix}{name}")],
    });
    names.collect()
}

//! Writing: never a panic, colours on terminals only.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anstream::AutoStream;
use bwrap_launch::diagnosis::{Action, Cause, Diagnosis, Finding, Remedy};
use bwrap_launch::{Bwrap, BwrapError};
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::cli::Depth;
use crate::{Result, visible};

/// The version of the JSON interface (`docs/diagnosis.schema.json`). Fields are added without changing it.
const SCHEMA: u32 = 1;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
const HEADING: Style = Style::new().bold();

/// What all JSON objects begin with.
#[derive(Serialize)]
pub(crate) struct Envelope<T> {
    schema: u32,
    kind: &'static str,
    #[serde(flatten)]
    content: T,
}

impl<T> Envelope<T> {
    pub(crate) fn new(kind: &'static str, content: T) -> Self {
        Self { schema: SCHEMA, kind, content }
    }
}

/// The bwrap that was used, in JSON.
#[derive(Serialize)]
pub(crate) struct Tool {
    path: String,
    version: String,
}

impl From<&Bwrap> for Tool {
    fn from(bwrap: &Bwrap) -> Self {
        Self { path: bwrap.path().to_string_lossy().into_owned(), version: bwrap.version_text().to_owned() }
    }
}

/// The bwrap that was named, or the one that is found.
pub(crate) fn bwrap(path: Option<&std::path::Path>) -> Result<Bwrap, BwrapError> {
    match path {
        Some(path) => Bwrap::at(path),
        None => Bwrap::find(),
    }
}

/// Prints a report with its headings in bold.
pub(crate) fn print(text: &str) -> crate::Result<()> {
    print_bytes(with_headings(text).as_bytes())
}

pub(crate) fn print_bytes(bytes: &[u8]) -> crate::Result<()> {
    let mut stdout = AutoStream::auto(io::stdout().lock());
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // whoever read has seen enough
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("cannot write to standard output: {error}")),
        Ok(()) => Ok(()),
    }
}

pub(crate) fn print_json(value: &impl Serialize) -> crate::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    print_bytes(format!("{text}\n").as_bytes())
}

/// A report on standard error. If that cannot be written to, there is nobody to tell.
pub(crate) fn report(text: &str) {
    let mut stderr = AutoStream::auto(io::stderr().lock());
    let _ = stderr.write_all(with_headings(text).as_bytes());
}

/// Text on standard error as it is.
pub(crate) fn raw(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// JSON in one line, since others may write there. `None` if the value has none.
pub(crate) fn json_line(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok().map(|text| text + "\n")
}

/// Our own trouble, in a line.
pub(crate) fn complain(text: &str) {
    let lines: Vec<_> = text.trim_end().lines().map(visible::line).collect();
    report(&format!("bwrap-doctor: {}\n", lines.join("\n    ")));
}

/// Something to know, in a line.
pub(crate) fn note(text: &str) {
    complain(&format!("note: {text}"));
}

pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// What is said below a report that is not all.
pub(crate) fn rest(diagnosis: &Diagnosis, depth: &Depth) -> String {
    rest_of(diagnosis.cause(), depth)
}

/// The same of a prediction.
pub(crate) fn rest_of(cause: Option<Cause>, depth: &Depth) -> String {
    let Some(cause) = cause.filter(|_| !depth.long) else { return String::new() };
    format!(
        "\nAll of it, with commands and files: the same with --long. About the cause: bwrap-doctor explain {}\n",
        cause.code()
    )
}

/// Writes the files that go with remedies, if somewhere is named for them; says which.
pub(crate) fn write_files<'a>(findings: impl Iterator<Item = &'a Finding>, depth: &Depth) -> Result<String> {
    write_remedies(findings.flat_map(|finding| &finding.remedies), depth.write.as_deref())
}

/// The same of all that a diagnosis names; nothing but the directory without one.
pub(crate) fn write_diagnosed(diagnosis: Option<&Diagnosis>, depth: &Depth) -> Result<String> {
    let findings =
        diagnosis.into_iter().flat_map(|diagnosis| diagnosis.causes.iter().chain(&diagnosis.foreseen));
    write_files(findings, depth)
}

/// The same of remedies.
pub(crate) fn write_remedies<'a>(
    remedies: impl Iterator<Item = &'a Remedy>,
    directory: Option<&Path>,
) -> Result<String> {
    let Some(directory) = directory else { return Ok(String::new()) };
    let said = |path: &Path, error: &io::Error| format!("cannot write {}: {error}", path.display());
    fs::create_dir_all(directory).map_err(|error| said(directory, &error))?;
    let mut text = String::new();
    let mut written: Vec<(PathBuf, String)> = Vec::new();
    for remedy in remedies {
        for (path, content) in files(remedy) {
            if written.iter().any(|(known, other)| *known == path && *other == content) {
                continue;
            }
            let mut name = path.file_name().unwrap_or_default().to_owned();
            // two that differ under one name
            let alike = written.iter().filter(|(known, _)| known.file_name() == path.file_name()).count();
            if alike > 0 {
                name.push(format!(".{}", alike + 1));
            }
            let target = directory.join(name);
            fs::write(&target, &content).map_err(|error| said(&target, &error))?;
            let _ =
                writeln!(text, "written: {} (for {}: {})", target.display(), path.display(), remedy.summary);
            written.push((path, content));
        }
    }
    if text.is_empty() {
        text.push_str("no file goes with these remedies: none is written\n");
    }
    Ok(format!("\n{text}"))
}

/// Where each file of a remedy goes, and what is in it.
fn files(remedy: &Remedy) -> Vec<(PathBuf, String)> {
    let mut files: Vec<_> =
        remedy.files.iter().map(|file| (file.path.clone(), file.content.clone())).collect();
    match &remedy.action {
        Action::AppArmor(profile) => files.push((profile.path.clone(), profile.text.clone())),
        Action::Selinux(module) => files.push((format!("{}.cil", module.name).into(), module.cil())),
        _ => {}
    }
    files
}

/// How the library's reports begin their parts.
const HEADINGS: &[&str] =
    &["Cause:", "Or:", "Then:", "After that, expect:", "And then:", "One change for all of it", "What to do"];

fn with_headings(text: &str) -> String {
    let mut styled_text = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let heading = HEADINGS.iter().find_map(|heading| Some((heading, line.strip_prefix(heading)?)));
        match heading {
            Some((heading, rest)) => {
                styled_text.push_str(&styled(HEADING, heading));
                styled_text.push_str(rest);
            }
            None => styled_text.push_str(line),
        }
    }
    styled_text
}

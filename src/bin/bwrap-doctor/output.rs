//! Writing: never a panic, colours on terminals only.

use std::io::{self, ErrorKind, Write};

use anstream::AutoStream;
use bwrap_launch::{Bwrap, BwrapError};
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::Result;

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

/// JSON on standard error, in one line, since others have written there. `false` if the value has no JSON.
pub(crate) fn report_json(value: &impl Serialize) -> bool {
    let text = serde_json::to_string(value);
    if let Ok(text) = &text {
        let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
    }
    text.is_ok()
}

/// Our own trouble, in a line.
pub(crate) fn complain(text: &str) {
    report(&format!("bwrap-doctor: {}\n", text.trim_end().replace('\n', "\n    ")));
}

/// Something to know, in a line.
pub(crate) fn note(text: &str) {
    complain(&format!("note: {text}"));
}

pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// How the library's reports begin their parts.
const HEADINGS: &[&str] = &["Cause:", "Or:", "Then:", "After that, expect:", "And then:", "What to do"];

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

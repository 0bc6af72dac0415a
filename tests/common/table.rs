//! The tables in `docs` of what was proven: written from a run, and compared with every later run.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use crate::trying::Step;

/// Set, a run writes its tables into `docs` instead of comparing them.
const WRITE: &str = "BWRAP_LAUNCH_WRITE_DOCS";

/// What was met on the way to each sandbox's start, by the fault's name.
pub(crate) type Rows = BTreeMap<String, Vec<Step>>;

const HEAD: &str = "| fault | message | cause | first remedy | proven |\n|---|---|---|---|---|\n";

fn line(name: &str, step: Option<&Step>) -> String {
    let mut line = String::new();
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    match step {
        Some(step) => {
            let message = if step.message.is_empty() { &step.error } else { &step.message };
            let (message, remedy) = (cell(message), cell(&step.remedy));
            let foretold = step.outlook;
            let _ = writeln!(
                line,
                "| {name} | `{message}` | {} (foretold: {foretold}) | {remedy} | yes |",
                step.cause
            );
        }
        None => {
            let _ = writeln!(line, "| {name} | | none: it starts, and was not foretold to fail | | yes |");
        }
    }
    line
}

fn lines(name: &str, steps: &[Step]) -> Vec<String> {
    if steps.is_empty() {
        vec![line(name, None)]
    } else {
        steps.iter().map(|step| line(name, Some(step))).collect()
    }
}

/// Compares the rows with those in a page of `docs`; says which differ. Rows that did not run here stay as they are.
pub(crate) fn check(page: &str, introduction: &str, rows: &Rows) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    if env::var_os(WRITE).is_some() {
        let body: String = rows.iter().flat_map(|(name, steps)| lines(name, steps)).collect();
        return fs::write(&path, format!("{introduction}\n{HEAD}{body}")).map_err(|error| error.to_string());
    }
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let written = |name: &str| -> Vec<String> {
        let begin = format!("| {name} |");
        text.lines().filter(|line| line.starts_with(&begin)).map(|line| format!("{line}\n")).collect()
    };
    let differ = rows.iter().filter(|(name, steps)| written(name) != lines(name, steps));
    let differ: Vec<String> = differ.map(|(name, steps)| lines(name, steps).concat()).collect();
    if differ.is_empty() {
        return Ok(());
    }
    Err(format!(
        "docs/{page} does not say what was seen; with {WRITE}=1 the run writes it:\n{}",
        differ.concat()
    ))
}

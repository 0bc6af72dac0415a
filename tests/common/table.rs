//! The tables in `docs` of what was proven: written from a run, and compared with every later run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs};

use bwrap_launch::diagnosis::Outlook;

use crate::trying::{Applied, Step};

/// Set, a run writes its rows into `docs` instead of comparing them.
const WRITE: &str = "BWRAP_LAUNCH_WRITE_DOCS";

/// What was proven about a fault.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was met on the way to the sandbox's start.
    pub(crate) steps: Vec<Step>,
    /// What was foretold of that start.
    pub(crate) outlook: Outlook,
}

/// By the fault's name.
pub(crate) type Rows = BTreeMap<String, Row>;

const HEAD: &str = "| fault | message | cause | remedy | proven |\n|---|---|---|---|---|\n";

/// How the last cell of a remedy's row ends.
const AS_WRITTEN: &str = "| yes |";
const BY_HAND: &str = "| yes, by hand |";

/// How the cells of a fault that is none begin.
const NOTHING: &str = "| | none: it starts";

fn line(name: &str, step: &Step) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    let message = cell(if step.message.is_empty() { &step.error } else { &step.message });
    let Step { cause, outlook, .. } = step;
    let remedy = cell(&step.remedy);
    let note = match step.choice.as_str() {
        "" => "",
        "sandbox" => " (the first change of the sandbox)",
        "pod" => " (the change of the pod, for which Kubernetes wants a newer kernel)",
        "app-armor" => " (the first profile of bwrap's own)",
        other => panic!("no words for the choice {other}"),
    };
    let proven = match step.applied {
        Applied::AsWritten => AS_WRITTEN,
        Applied::ByHand => BY_HAND,
    };
    format!("| {name} | `{message}` | {cause} (foretold: {outlook}) | {remedy}{note} {proven}")
}

fn lines(name: &str, row: &Row) -> Vec<String> {
    if row.steps.is_empty() {
        return vec![format!("| {name} {NOTHING} (foretold: {}) | {AS_WRITTEN}", row.outlook)];
    }
    row.steps.iter().map(|step| line(name, step)).collect()
}

/// A page: its lines, by the fault's name.
type Page = BTreeMap<String, Vec<String>>;

fn parse(text: &str) -> Page {
    let mut page = Page::new();
    let body = text.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    for line in body.filter(|line| line.starts_with("| ")) {
        let name = line.split(" | ").next().unwrap_or_default().trim_start_matches("| ");
        page.entry(name.to_owned()).or_default().push(line.to_owned());
    }
    page
}

fn render(introduction: &str, page: &Page) -> String {
    let lines: Vec<&String> = page.values().flatten().collect();
    let none = lines.iter().filter(|line| line.contains(NOTHING)).count();
    let by_hand = lines.iter().filter(|line| line.ends_with(BY_HAND)).count();
    let as_written = lines.len() - none - by_hand;
    let counts = format!(
        "{as_written} remedies were applied as they are written (`yes`): the sandbox changed, commands run, lines and values set, \
         files loaded. {by_hand} are not of that kind, and the test did what they say (`yes, by hand`). {none} places need none."
    );
    let body = lines.iter().fold(String::new(), |body, line| body + line + "\n");
    format!("{introduction}\n{counts}\n\n{HEAD}{body}")
}

/// Compares the rows with those in a page of `docs`, or writes them; says which differ. Rows that did not run here stay as they
/// are, but names that nobody knows must not be there. `all_passed`: only then the page may be written.
pub(crate) fn check(
    page: &str,
    introduction: &str,
    known: &BTreeSet<String>,
    rows: &Rows,
    all_passed: bool,
) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let written = parse(&text);
    let new: Page = rows.iter().map(|(name, row)| (name.clone(), lines(name, row))).collect();
    let mut merged = written.clone();
    merged.retain(|name, _| known.contains(name));
    merged.extend(new.clone());
    let merged = render(introduction, &merged);
    if env::var_os(WRITE).is_some() {
        if !all_passed {
            return Err(format!("docs/{page} was not written: not everything passed"));
        }
        return fs::write(&path, merged).map_err(|error| error.to_string());
    }
    let how = format!("; with {WRITE}=1 the run writes it");
    let unknown: Vec<&str> =
        written.keys().filter(|name| !known.contains(*name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        return Err(format!("docs/{page} has rows that no test knows: {}{how}", unknown.join(", ")));
    }
    let differ: Vec<String> = new
        .iter()
        .filter(|(name, lines)| written.get(*name) != Some(lines))
        .flat_map(|(_, lines)| lines.clone())
        .collect();
    if !differ.is_empty() {
        return Err(format!("docs/{page} does not say what was seen{how}:\n{}", differ.join("\n")));
    }
    if text != merged {
        return Err(format!("the introduction of docs/{page} is not what the tests say{how}"));
    }
    Ok(())
}

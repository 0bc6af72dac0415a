//! What tests outside of this machine have in common: guests and clusters are built and started by a script, run this program,
//! and leave reports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::Arguments;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn wanted(arguments: &Arguments, title: &str) -> bool {
    // none of ours is marked as ignored, or measures
    if arguments.ignored && !arguments.include_ignored || arguments.bench {
        return false;
    }
    let fits = |filter: &str| if arguments.exact { title == filter } else { title.contains(filter) };
    arguments.filter.as_deref().is_none_or(fits) && !arguments.skip.iter().any(|skip| fits(skip))
}

/// A directory of ours alone. What others left there who were killed is removed.
pub(crate) fn scratch(all: &str) -> std::io::Result<tempfile::TempDir> {
    let all = root().join(all);
    fs::create_dir_all(&all)?;
    for entry in fs::read_dir(&all)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('.').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(&format!("{}.", std::process::id())).tempdir_in(all)
}

/// Why nothing is started.
#[derive(Debug, Clone)]
pub(crate) enum Missing {
    /// The machine cannot.
    Skip(String),
    /// It should, but something is wrong.
    Broken(String),
}

/// Has a script install what is needed, and build it.
pub(crate) fn tools(script: &str) -> Result<(), Missing> {
    let path = root().join(script);
    let broken = |error: std::io::Error| Missing::Broken(format!("{}: {error}", path.display()));
    let output = Command::new(&path).arg("deps").stderr(Stdio::inherit()).output().map_err(broken)?;
    match output.status.code() {
        Some(0) => {}
        Some(77) => return Err(Missing::Skip(String::from_utf8_lossy(&output.stdout).trim().to_owned())),
        _ => return Err(Missing::Broken(format!("{script} deps: {}", output.status))),
    }
    let build = Command::new(&path).arg("build").status().map_err(broken)?;
    if build.success() { Ok(()) } else { Err(Missing::Broken(format!("{script} build: {build}"))) }
}

/// How a script ended, and the ends of what it said.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.get(text.len().saturating_sub(4000)..).map(str::to_owned).unwrap_or(text)
    };
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Keeps what was left in a directory, below `target`. Says where.
pub(crate) fn keep(results: &Path, place: &str) -> PathBuf {
    let logs = root().join(place);
    let _ = fs::remove_dir_all(&logs);
    let _ = logs.parent().map(fs::create_dir_all);
    let _ = Command::new("cp").arg("-r").arg(results).arg(&logs).status();
    logs
}

/// A program without its debug information: it travels.
pub(crate) fn strip(from: &Path, to: &Path) -> std::io::Result<()> {
    let stripped = Command::new("strip").args(["--strip-debug", "-o"]).arg(to).arg(from).status();
    if stripped.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    fs::copy(from, to).map(|_| ())
}

/// Programs of this package (`--test` or `--example`), by their names; cargo builds them and says where they are.
pub(crate) fn built(
    action: &[&str],
    kind: &str,
    names: &[&str],
) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(action).args(["--all-features", "--message-format=json", "--quiet"]).current_dir(root());
    for name in names {
        cargo.args([kind, name]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("building {}: {}", names.join(", "), output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    Ok(programs.collect())
}

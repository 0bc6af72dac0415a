//! On the host: builds and starts the clusters, and reports their cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::cases::{Runtime, cases};
use crate::node::Report;

/// Programs of ours that come into the image of the pods.
const EXAMPLES: &[&str] = &["ps_afx", "why", "zuul_bwrap"];

/// A cluster is ended after so many seconds.
const LIMIT: &str = "900";

/// What became of a case.
type Outcome = Result<Report, String>;
type Outcomes = Arc<Mutex<BTreeMap<String, Outcome>>>;

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut plan: Vec<(Runtime, Vec<String>)> = Vec::new();
    for runtime in Runtime::ALL {
        let names = cases(runtime).into_iter().map(|(name, _)| name);
        let names: Vec<String> = names.filter(|name| wanted(&arguments, &title(runtime, name))).collect();
        if !names.is_empty() {
            plan.push((runtime, names));
        }
    }
    let outcomes = Outcomes::default();
    let titles: Vec<String> =
        plan.iter().flat_map(|(runtime, names)| names.iter().map(|name| title(*runtime, name))).collect();
    let missing = if arguments.list { None } else { tools().err() };
    if !arguments.list && missing.is_none() && !plan.is_empty() {
        run_all(&plan, &outcomes);
    }
    let trials = titles.into_iter().map(|title| {
        let (outcomes, missing) = (Arc::clone(&outcomes), missing.clone());
        Trial::ignorable_test(title.clone(), move || match missing {
            Some(Missing::Skip(reason)) => Ok(Completion::ignored_with(reason)),
            Some(Missing::Broken(reason)) => Err(reason.into()),
            None => match outcomes.lock().unwrap().get(&title) {
                Some(Ok(Report { error: None, skipped: None, .. })) => Ok(Completion::Completed),
                Some(Ok(Report { error: None, skipped: Some(reason), .. })) => {
                    Ok(Completion::ignored_with(reason.clone()))
                }
                Some(Ok(Report { error: Some(error), .. }) | Err(error)) => Err(error.clone().into()),
                None => Err("its cluster did not report it".into()),
            },
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn title(runtime: Runtime, case: &str) -> String {
    format!("{}::{case}", runtime.name())
}

fn wanted(arguments: &Arguments, title: &str) -> bool {
    // none of ours is marked as ignored, or measures
    if arguments.ignored && !arguments.include_ignored || arguments.bench {
        return false;
    }
    let fits = |filter: &str| if arguments.exact { title == filter } else { title.contains(filter) };
    arguments.filter.as_deref().is_none_or(fits) && !arguments.skip.iter().any(|skip| fits(skip))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script() -> PathBuf {
    root().join("tests/cluster/cluster")
}

/// A directory of ours alone. What others left there who were killed is removed.
fn scratch() -> std::io::Result<tempfile::TempDir> {
    let all = root().join("target/cluster-running");
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

/// Why no cluster runs.
#[derive(Debug, Clone)]
enum Missing {
    /// The machine cannot.
    Skip(String),
    /// It should, but something is wrong.
    Broken(String),
}

/// Installs what clusters need, and builds them.
fn tools() -> Result<(), Missing> {
    let broken = |error: std::io::Error| Missing::Broken(format!("{}: {error}", script().display()));
    let output = Command::new(script()).arg("deps").stderr(Stdio::inherit()).output().map_err(broken)?;
    match output.status.code() {
        Some(0) => {}
        Some(77) => return Err(Missing::Skip(String::from_utf8_lossy(&output.stdout).trim().to_owned())),
        _ => return Err(Missing::Broken(format!("tests/cluster/cluster deps: {}", output.status))),
    }
    let build = Command::new(script()).arg("build").status().map_err(broken)?;
    if build.success() {
        Ok(())
    } else {
        Err(Missing::Broken(format!("tests/cluster/cluster build: {build}")))
    }
}

/// One cluster after the other: a node takes both cores.
fn run_all(plan: &[(Runtime, Vec<String>)], outcomes: &Outcomes) {
    let directory = scratch().map_err(|error| error.to_string());
    let payload = directory.as_ref().map_err(Clone::clone).and_then(|directory| {
        let payload = directory.path().join("payload");
        prepare(&payload).map(|()| payload)
    });
    for (runtime, names) in plan {
        let reports =
            payload.as_ref().map_err(Clone::clone).and_then(|payload| run_cluster(*runtime, names, payload));
        let of_case = |name: &String| match &reports {
            Ok(reports) => reports.get(name).cloned().unwrap_or_else(|| Err("not reported".to_owned())),
            Err(error) => Err(error.clone()),
        };
        let of_cases = names.iter().map(|name| (title(*runtime, name), of_case(name)));
        outcomes.lock().unwrap().extend(of_cases);
    }
}

/// What comes to the node, and from there into the image.
fn prepare(payload: &Path) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    fs::create_dir_all(payload).map_err(said)?;
    // now, since whoever builds meanwhile replaces it
    strip(&std::env::current_exe().map_err(said)?, &payload.join("main")).map_err(said)?;
    strip(Path::new(env!("CARGO_BIN_EXE_bwrap-doctor")), &payload.join("bwrap-doctor")).map_err(said)?;
    let mut image = "main\nbwrap-doctor\n".to_owned();
    for (name, path) in examples()? {
        strip(&path, &payload.join(&name)).map_err(said)?;
        image.push_str(&name);
        image.push('\n');
    }
    fs::write(payload.join("image"), image).map_err(said)
}

/// Starts a cluster and reads what it reports of each case; an error is one of all its cases.
fn run_cluster(
    runtime: Runtime,
    names: &[String],
    payload: &Path,
) -> Result<BTreeMap<String, Outcome>, String> {
    let said = |error: std::io::Error| format!("{}: {error}", runtime.name());
    let directory = scratch().map_err(said)?;
    let results = directory.path().join("results");
    fs::write(payload.join("boot"), format!("{} {}\n", runtime.name(), names.join(" "))).map_err(said)?;
    let began = std::time::Instant::now();
    // whose end, whatever it is, is the cluster's: it sees its input end
    let cluster = Command::new(script())
        .args(["run", "--runtime", runtime.started_as(), "--timeout", LIMIT, "--watch-stdin"])
        .arg("--payload")
        .arg(payload)
        .arg("--out")
        .arg(&results)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut cluster = cluster.map_err(said)?;
    let input = cluster.stdin.take();
    let output = cluster.wait_with_output().map_err(said)?;
    drop(input);
    eprintln!("{}: {}, {} s", runtime.name(), output.status, began.elapsed().as_secs());
    let said = || {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.get(text.len().saturating_sub(4000)..).map(str::to_owned).unwrap_or(text)
        };
        format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
    };
    let read = |name: &String| {
        let report = fs::read_to_string(results.join(format!("{name}.json")));
        let outcome = report
            .map_err(|error| format!("its node left no report ({error}): {}", said()))
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
        (name.clone(), outcome)
    };
    let outcomes = names.iter().map(read).collect();
    let logs = root().join("target/cluster-results").join(runtime.name());
    let _ = fs::remove_dir_all(&logs);
    let _ = logs.parent().map(fs::create_dir_all);
    let _ = Command::new("cp").arg("-r").arg(&results).arg(&logs).status();
    let _ = fs::write(logs.join("output"), said());
    Ok(outcomes)
}

/// A program without its debug information: it comes into an image.
fn strip(from: &Path, to: &Path) -> std::io::Result<()> {
    let stripped = Command::new("strip").args(["--strip-debug", "-o"]).arg(to).arg(from).status();
    if stripped.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    fs::copy(from, to).map(|_| ())
}

/// Examples, by their names; cargo builds them and says where they are.
fn examples() -> Result<BTreeMap<String, PathBuf>, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--all-features", "--message-format=json", "--quiet"]).current_dir(root());
    for name in EXAMPLES {
        cargo.args(["--example", name]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("building the examples: {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    Ok(programs.collect())
}

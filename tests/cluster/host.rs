//! On the host: builds and starts the clusters, and reports their cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::cases::{Runtime, cases};
use crate::machines::{Missing, built, keep, root, said, scratch, strip, tools, wanted};
use crate::node::Report;

/// Programs of ours that come into the image of the pods.
const EXAMPLES: &[&str] = &["ps_afx", "why", "zuul_bwrap"];

const SCRIPT: &str = "tests/cluster/cluster";
const RUNNING: &str = "target/cluster-running";

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
    let missing = if arguments.list { None } else { tools(SCRIPT).err() };
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

/// One cluster after the other: a node takes both cores.
fn run_all(plan: &[(Runtime, Vec<String>)], outcomes: &Outcomes) {
    let directory = scratch(RUNNING).map_err(|error| error.to_string());
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
    for (name, path) in built(&["build"], "--example", EXAMPLES)? {
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
    let failed = |error: std::io::Error| format!("{}: {error}", runtime.name());
    let directory = scratch(RUNNING).map_err(failed)?;
    let results = directory.path().join("results");
    fs::write(payload.join("boot"), format!("{} {}\n", runtime.name(), names.join(" "))).map_err(failed)?;
    let began = std::time::Instant::now();
    // whose end, whatever it is, is the cluster's: it gets a signal then, or sees its input end
    let cluster = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--"])
        .arg(root().join(SCRIPT))
        .args(runtime.started_by())
        .args(["--timeout", LIMIT, "--payload"])
        .arg(payload)
        .arg("--out")
        .arg(&results)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut cluster = cluster.map_err(failed)?;
    let input = cluster.stdin.take();
    let output = cluster.wait_with_output().map_err(failed)?;
    drop(input);
    eprintln!("{}: {}, {} s", runtime.name(), output.status, began.elapsed().as_secs());
    let skipped =
        (output.status.code() == Some(77)).then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let read = |name: &String| {
        if skipped.is_some() {
            return (name.clone(), Ok(Report { skipped: skipped.clone(), ..Report::default() }));
        }
        let report = fs::read_to_string(results.join(format!("{name}.json")));
        let outcome = report
            .map_err(|error| format!("its node left no report ({error}): {}", said(&output)))
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
        (name.clone(), outcome)
    };
    let outcomes = names.iter().map(read).collect();
    let logs = keep(&results, &format!("target/cluster-results/{}", runtime.name()));
    let _ = fs::write(logs.join("output"), said(&output));
    Ok(outcomes)
}

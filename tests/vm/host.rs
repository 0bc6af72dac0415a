//! On the host: builds and boots the guests, and reports their cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::cases::{CASES, Case, Lsm, PROFILES, SUITE_PROFILES, SUITES};
use crate::guest::Report;
use crate::table::{Row, check};

/// A guest to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Boot {
    profile: &'static str,
    lsm: &'static str,
    /// The suites have a boot of their own: they take longest.
    suites: bool,
}

impl Boot {
    fn name(&self) -> String {
        format!("{}-{}{}", self.profile, self.lsm, if self.suites { "-suites" } else { "" })
    }
}

/// The cases of every boot.
fn plan() -> BTreeMap<Boot, Vec<&'static str>> {
    let mut plan: BTreeMap<Boot, Vec<&'static str>> = BTreeMap::new();
    for profile in PROFILES {
        if SUITE_PROFILES.contains(profile) {
            plan.insert(Boot { profile, lsm: "none", suites: true }, SUITES.to_vec());
        }
        for lsm in Lsm::ALL {
            let cases = CASES.iter().filter(|case| case.lsm == lsm && case.runs_on(profile));
            plan.insert(
                Boot { profile, lsm: lsm.name(), suites: false },
                cases.map(|case| case.name).collect(),
            );
        }
    }
    plan
}

/// What became of a case on a machine.
type Outcome = Result<Report, String>;
type Outcomes = Arc<Mutex<BTreeMap<String, Outcome>>>;

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut plan = plan();
    for (boot, cases) in &mut plan {
        cases.retain(|case| wanted(&arguments, &title(boot, case)));
    }
    plan.retain(|_, cases| !cases.is_empty());
    let outcomes = Outcomes::default();
    let titles: Vec<String> =
        plan.iter().flat_map(|(boot, cases)| cases.iter().map(|case| title(boot, case))).collect();
    let missing = if arguments.list { None } else { tools().err() };
    if !arguments.list && missing.is_none() && !plan.is_empty() {
        run_all(plan, &outcomes);
    }
    let trials = titles.into_iter().map(|title| {
        let (outcomes, missing) = (Arc::clone(&outcomes), missing.clone());
        Trial::ignorable_test(title.clone(), move || match missing {
            Some(Missing::Skip(reason)) => Ok(Completion::ignored_with(reason)),
            Some(Missing::Broken(reason)) => Err(reason.into()),
            None => match outcomes.lock().unwrap().get(&title) {
                Some(Ok(Report { error: None, .. })) => Ok(Completion::Completed),
                Some(Ok(Report { error: Some(error), .. }) | Err(error)) => Err(error.clone().into()),
                None => Err("its guest did not report it".into()),
            },
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    let outcomes = outcomes.lock().unwrap();
    for (title, outcome) in outcomes.iter() {
        if let Ok(Report { counts: Some(counts), .. }) = outcome {
            println!(
                "{title}: {} passed, {} failed, {} skipped",
                counts.passed, counts.failed, counts.skipped
            );
        }
    }
    if let Err(error) = compare(&outcomes, !conclusion.has_failed()) {
        println!("{error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn title(boot: &Boot, case: &str) -> String {
    format!("{}::{}::{case}", boot.profile, boot.lsm)
}

fn wanted(arguments: &Arguments, title: &str) -> bool {
    // none of ours is marked as ignored, or measures
    if arguments.ignored && !arguments.include_ignored || arguments.bench {
        return false;
    }
    let fits = |filter: &str| if arguments.exact { title == filter } else { title.contains(filter) };
    arguments.filter.as_deref().is_none_or(fits) && !arguments.skip.iter().any(|skip| fits(skip))
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/vm")
}

/// A directory of ours alone. What others left there who were killed is removed.
fn scratch() -> std::io::Result<tempfile::TempDir> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm-running");
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

/// Why no guest runs.
#[derive(Debug, Clone)]
enum Missing {
    /// The machine cannot.
    Skip(String),
    /// It should, but something is wrong.
    Broken(String),
}

/// Installs what the guests need, and builds them.
fn tools() -> Result<(), Missing> {
    let broken = |error: std::io::Error| Missing::Broken(format!("{}: {error}", script().display()));
    let output = Command::new(script()).arg("deps").stderr(Stdio::inherit()).output().map_err(broken)?;
    match output.status.code() {
        Some(0) => {}
        Some(77) => return Err(Missing::Skip(String::from_utf8_lossy(&output.stdout).trim().to_owned())),
        _ => return Err(Missing::Broken(format!("tests/vm/vm deps: {}", output.status))),
    }
    let build = Command::new(script()).arg("build").status().map_err(broken)?;
    if build.success() { Ok(()) } else { Err(Missing::Broken(format!("tests/vm/vm build: {build}"))) }
}

/// Two guests at a time; those with suites first, since they take longest.
fn run_all(plan: BTreeMap<Boot, Vec<&'static str>>, outcomes: &Outcomes) {
    let suites = plan.keys().any(|boot| boot.suites);
    let directory = scratch();
    // now, since whoever builds meanwhile replaces it
    let main = directory.as_ref().map_err(ToString::to_string).and_then(|directory| {
        let main = directory.path().join("main");
        let own = std::env::current_exe().and_then(|own| strip(&own, &main));
        own.map(|()| main).map_err(|error| error.to_string())
    });
    let suites = if suites { programs() } else { Ok(BTreeMap::new()) };
    let programs = Programs { main, suites };
    let mut queue: Vec<_> = plan.into_iter().collect();
    queue.sort_by_key(|(boot, _)| boot.suites);
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some((boot, cases)) = next else { break };
                    let reports = run_guest(&boot, &cases, &programs);
                    let of_case = |case: &&str| match &reports {
                        Ok(reports) => {
                            reports.get(*case).cloned().unwrap_or_else(|| Err("not reported".to_owned()))
                        }
                        Err(error) => Err(error.clone()),
                    };
                    let of_cases = cases.iter().map(|case| (title(&boot, case), of_case(case)));
                    outcomes.lock().unwrap().extend(of_cases);
                }
            });
        }
    });
}

/// What guests run: this program, and the suites by their names.
struct Programs {
    main: Result<PathBuf, String>,
    suites: Result<BTreeMap<String, PathBuf>, String>,
}

/// Runs a guest and reads what it reports of each case; an error is one of all its cases.
fn run_guest(
    boot: &Boot,
    cases: &[&'static str],
    programs: &Programs,
) -> Result<BTreeMap<&'static str, Outcome>, String> {
    let said = |error: std::io::Error| format!("{}: {error}", boot.name());
    let directory = scratch().map_err(said)?;
    let (payload, results) = (directory.path().join("payload"), directory.path().join("results"));
    fs::create_dir(&payload).map_err(said)?;
    let what = format!("{} {} {}\n", boot.profile, boot.lsm, cases.join(" "));
    fs::write(payload.join("boot"), what).map_err(said)?;
    fs::copy(programs.main.as_ref().map_err(Clone::clone)?, payload.join("main")).map_err(said)?;
    for suite in cases.iter().filter(|case| boot.suites && SUITES.contains(case)) {
        let program = programs.suites.as_ref().map_err(Clone::clone)?.get(*suite);
        let program = program.ok_or_else(|| format!("cargo built no {suite}"))?;
        strip(program, &payload.join(suite)).map_err(said)?;
    }
    let began = std::time::Instant::now();
    let output = Command::new(script())
        .args(["run", "--profile", boot.profile, "--lsm", boot.lsm, "--timeout", "900"])
        .arg("--payload")
        .arg(&payload)
        .arg("--out")
        .arg(&results)
        .output()
        .map_err(said)?;
    eprintln!("{}: {}, {} s", boot.name(), output.status, began.elapsed().as_secs());
    let said = || {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.get(text.len().saturating_sub(4000)..).map(str::to_owned).unwrap_or(text)
        };
        format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
    };
    let read = |case: &&'static str| {
        let report = fs::read_to_string(results.join(format!("{case}.json")));
        let outcome = report
            .map_err(|error| format!("its guest left no report ({error}): {}", said()))
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
        (*case, outcome)
    };
    let outcomes = cases.iter().map(read).collect();
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm-results").join(boot.name());
    let _ = fs::remove_dir_all(&logs);
    let _ = logs.parent().map(fs::create_dir_all);
    let _ = Command::new("cp").arg("-r").arg(&results).arg(&logs).status();
    Ok(outcomes)
}

/// A program without its debug information: it travels through an emulated disk.
fn strip(from: &Path, to: &Path) -> std::io::Result<()> {
    let stripped = Command::new("strip").args(["--strip-debug", "-o"]).arg(to).arg(from).status();
    if stripped.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    fs::copy(from, to).map(|_| ())
}

/// The other test programs, by their names; cargo builds them and says where they are.
fn programs() -> Result<BTreeMap<String, PathBuf>, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--all-features", "--no-run", "--message-format=json", "--quiet"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    for suite in SUITES {
        cargo.args(["--test", suite]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("building the suites: {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    Ok(programs.collect())
}

const INTRODUCTION: &str = "\
# What was proven in virtual machines

The cases of a kernel (Debian's, from 5.10 to 7) and a security module (SELinux enforcing or without a policy, AppArmor, none) run one
after the other in one virtual machine; what a case changed there is undone before the next. Each row is a place in it in which the
sandbox of the README or a smaller one was launched, failed with this message, was diagnosed, and then started once the remedy was
applied: the module that the crate generates was compiled and loaded, its profile loaded, its kernel parameter set. Faults that stand
in several rows are stacked. The remedy is the first one, unless the row says which one was taken instead. `make test-vm` runs
every row, and fails if this page says something else.

The SELinux domain `container_t` is declared here with all that bwrap needs before it mounts procfs, since Debian's policy has no
usable one; its refusal of procfs and devpts is container-selinux's. AppArmor's profiles imitate Docker's, and what Ubuntu 24.04 does
to new user namespaces: no Debian kernel has Ubuntu's switch.
";

/// Compares what was shown with the page in `docs`.
fn compare(outcomes: &BTreeMap<String, Outcome>, all_passed: bool) -> Result<(), String> {
    let mut known = BTreeSet::new();
    for (boot, cases) in plan() {
        let names = cases.into_iter().filter(|name| Case::find(name, boot.profile).is_some());
        known.extend(names.map(|name| title(&boot, name)));
    }
    let proven = outcomes.iter().filter_map(|(title, outcome)| {
        let report = outcome.as_ref().ok().filter(|report| report.error.is_none())?;
        let row = Row { steps: report.steps.clone(), outlook: report.outlook? };
        known.contains(title).then(|| (title.clone(), row))
    });
    check("proven-in-virtual-machines.md", INTRODUCTION, &known, &proven.collect(), all_passed)
}

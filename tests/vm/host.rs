//! On the host: builds and boots the guests, and reports their cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::cases::{CASES, Lsm, PROFILES, SUITE_PROFILES, SUITES};
use crate::guest::Report;
use crate::table::check;

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
    if !arguments.list && missing.is_none() {
        run_all(plan, &outcomes);
    }
    let trials = titles.into_iter().map(|title| {
        let (outcomes, missing) = (Arc::clone(&outcomes), missing.clone());
        Trial::ignorable_test(title.clone(), move || {
            if let Some(missing) = missing {
                return Ok(Completion::ignored_with(missing));
            }
            match outcomes.lock().unwrap().get(&title) {
                Some(Ok(Report { error: None, .. })) => Ok(Completion::Completed),
                Some(Ok(Report { error: Some(error), .. }) | Err(error)) => Err(error.clone().into()),
                None => Err("its guest did not report it".into()),
            }
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Err(error) = compare(&outcomes.lock().unwrap()) {
        println!("{error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn title(boot: &Boot, case: &str) -> String {
    format!("{}::{}::{case}", boot.profile, boot.lsm)
}

fn wanted(arguments: &Arguments, title: &str) -> bool {
    let fits = |filter: &str| if arguments.exact { title == filter } else { title.contains(filter) };
    arguments.filter.as_deref().is_none_or(fits) && !arguments.skip.iter().any(|skip| fits(skip))
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/vm")
}

/// Installs what the guests need; what is missing, if they cannot be had.
fn tools() -> Result<(), String> {
    let output = Command::new(script()).arg("deps").stderr(Stdio::inherit()).output().unwrap();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(77) => Err(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        _ => panic!("tests/vm/vm deps: {}", output.status),
    }
}

/// Two guests at a time; those with suites first, since they take longest.
fn run_all(plan: BTreeMap<Boot, Vec<&'static str>>, outcomes: &Outcomes) {
    let build = Command::new(script()).arg("build").status().unwrap();
    assert!(build.success(), "tests/vm/vm build: {build}");
    let programs = programs();
    let mut queue: Vec<_> = plan.into_iter().collect();
    queue.sort_by_key(|(boot, _)| boot.suites);
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some((boot, cases)) = next else { break };
                    run_guest(&boot, &cases, &programs, outcomes);
                }
            });
        }
    });
}

fn run_guest(boot: &Boot, cases: &[&str], programs: &BTreeMap<String, PathBuf>, outcomes: &Outcomes) {
    let directory = tempfile::Builder::new().prefix("bwrap-launch-vm.").tempdir().unwrap();
    let (payload, results) = (directory.path().join("payload"), directory.path().join("results"));
    fs::create_dir(&payload).unwrap();
    fs::write(payload.join("boot"), format!("{} {} {}\n", boot.profile, boot.lsm, cases.join(" "))).unwrap();
    strip(&std::env::current_exe().unwrap(), &payload.join("main"));
    for suite in cases.iter().filter(|case| boot.suites && SUITES.contains(case)) {
        strip(&programs[*suite], &payload.join(suite));
    }
    let began = std::time::Instant::now();
    let output = Command::new(script())
        .args(["run", "--profile", boot.profile, "--lsm", boot.lsm, "--timeout", "900"])
        .arg("--payload")
        .arg(&payload)
        .arg("--out")
        .arg(&results)
        .output()
        .unwrap();
    eprintln!("{}: {}, {} s", boot.name(), output.status, began.elapsed().as_secs());
    let said = || {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.get(text.len().saturating_sub(4000)..).map(str::to_owned).unwrap_or(text)
        };
        format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
    };
    for case in cases {
        let report = fs::read_to_string(results.join(format!("{case}.json")));
        let outcome = report
            .map_err(|error| format!("its guest left no report ({error}): {}", said()))
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
        outcomes.lock().unwrap().insert(title(boot, case), outcome);
    }
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm-results").join(boot.name());
    let _ = fs::remove_dir_all(&logs);
    let _ = fs::create_dir_all(logs.parent().unwrap());
    let _ = Command::new("cp").arg("-r").arg(&results).arg(&logs).status();
}

/// A program without its debug information: it travels through an emulated disk.
fn strip(from: &Path, to: &Path) {
    let stripped = Command::new("strip").args(["--strip-debug", "-o"]).arg(to).arg(from).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(from, to).unwrap();
    }
}

/// The other test programs, by their names; cargo builds them and says where they are.
fn programs() -> BTreeMap<String, PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--all-features", "--no-run", "--message-format=json", "--quiet"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    for suite in SUITES {
        cargo.args(["--test", suite]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "building the suites: {}", output.status);
    let messages = String::from_utf8(output.stdout).unwrap();
    let programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    });
    programs.collect()
}

const INTRODUCTION: &str = "\
# What was proven in virtual machines

Each row is a machine of its own (Debian kernels from 5.10 to 7, with SELinux enforcing, with AppArmor, with neither) in which
the sandbox of the README was launched in the place that the row names, failed with this message, was diagnosed, and then
started once the remedy was applied: the module that the crate generates was compiled and loaded, its profile loaded, its
kernel parameter set. Faults that stand in several rows are stacked. The remedy is the first one, or where the case is named
`-but-to-bwrap` or `-but-for-bwrap`, the second. `make test-vm` runs every row, and fails if this page says something else.

The SELinux domain `container_t` is declared here with all that bwrap needs before it mounts procfs, since Debian's policy has no
usable one; its refusal of procfs and devpts is container-selinux's. AppArmor's profiles imitate Docker's, and what Ubuntu 24.04 does
to new user namespaces: no Debian kernel has Ubuntu's switch.
";

/// Compares what was shown with the page in `docs`.
fn compare(outcomes: &BTreeMap<String, Outcome>) -> Result<(), String> {
    let proven = outcomes.iter().filter_map(|(title, outcome)| {
        let report = outcome.as_ref().ok().filter(|report| report.error.is_none())?;
        let case = title.rsplit("::").next().unwrap_or_default();
        (!SUITES.contains(&case)).then(|| (title.clone(), report.steps.clone()))
    });
    check("proven-in-virtual-machines.md", INTRODUCTION, &proven.collect())
}

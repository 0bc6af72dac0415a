//! On the host: builds and boots the guests, and reports their cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::cases::{CASES, Case, Lsm, PROFILES, SUITES, suites_on};
use crate::guest::Report;
use crate::machines::{Missing, built, keep, root, said, scratch, strip, tools, wanted};
use crate::table::{Row, check};

const SCRIPT: &str = "tests/vm/vm";
const RUNNING: &str = "target/vm-running";

/// A guest to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Boot {
    profile: &'static str,
    lsm: &'static str,
    /// Each suite has a boot of its own: they take longest.
    suite: Option<&'static str>,
}

impl Boot {
    fn name(&self) -> String {
        let suite = self.suite.map(|suite| format!("-{suite}")).unwrap_or_default();
        format!("{}-{}{suite}", self.profile, self.lsm)
    }
}

/// The cases of every boot.
fn plan() -> BTreeMap<Boot, Vec<&'static str>> {
    let mut plan: BTreeMap<Boot, Vec<&'static str>> = BTreeMap::new();
    for profile in PROFILES {
        for suite in suites_on(profile) {
            plan.insert(Boot { profile, lsm: "none", suite: Some(suite) }, vec![suite]);
        }
        for lsm in Lsm::ALL {
            let cases = CASES.iter().filter(|case| case.lsm == lsm && case.runs_on(profile));
            plan.insert(
                Boot { profile, lsm: lsm.name(), suite: None },
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
    let missing = if arguments.list { None } else { tools(SCRIPT).err() };
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

/// Two guests at a time; those with suites first, since they take longest.
fn run_all(plan: BTreeMap<Boot, Vec<&'static str>>, outcomes: &Outcomes) {
    let suites = plan.keys().any(|boot| boot.suite.is_some());
    let directory = scratch(RUNNING);
    // now, since whoever builds meanwhile replaces it
    let main = directory.as_ref().map_err(ToString::to_string).and_then(|directory| {
        let main = directory.path().join("main");
        let own = std::env::current_exe().and_then(|own| strip(&own, &main));
        own.map(|()| main).map_err(|error| error.to_string())
    });
    let names: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
    let suites = if suites { built(&["test", "--no-run"], "--test", &names) } else { Ok(BTreeMap::new()) };
    let programs = Programs { main, suites };
    let mut queue: Vec<_> = plan.into_iter().collect();
    queue.sort_by_key(|(boot, _)| boot.suite.is_some());
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
    let failed = |error: std::io::Error| format!("{}: {error}", boot.name());
    let directory = scratch(RUNNING).map_err(failed)?;
    let (payload, results) = (directory.path().join("payload"), directory.path().join("results"));
    fs::create_dir(&payload).map_err(failed)?;
    let what = format!("{} {} {}\n", boot.profile, boot.lsm, cases.join(" "));
    fs::write(payload.join("boot"), what).map_err(failed)?;
    fs::copy(programs.main.as_ref().map_err(Clone::clone)?, payload.join("main")).map_err(failed)?;
    if let Some(suite) = boot.suite {
        let program = programs.suites.as_ref().map_err(Clone::clone)?.get(suite);
        let program = program.ok_or_else(|| format!("cargo built no {suite}"))?;
        strip(program, &payload.join(suite)).map_err(failed)?;
    }
    let began = std::time::Instant::now();
    // the guest ends with us, however that comes about
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--"])
        .arg(root().join(SCRIPT))
        .args(["run", "--profile", boot.profile, "--lsm", boot.lsm, "--timeout", "1500"])
        .arg("--payload")
        .arg(&payload)
        .arg("--out")
        .arg(&results)
        .output()
        .map_err(failed)?;
    eprintln!("{}: {}, {} s", boot.name(), output.status, began.elapsed().as_secs());
    let read = |case: &&'static str| {
        let report = fs::read_to_string(results.join(format!("{case}.json")));
        let outcome = report
            .map_err(|error| format!("its guest left no report ({error}): {}", said(&output)))
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
        (*case, outcome)
    };
    let outcomes = cases.iter().map(read).collect();
    keep(&results, &format!("target/vm-results/{}", boot.name()));
    Ok(outcomes)
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

//! In the guest: makes the faults, tries the sandboxes, applies the remedies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cases::{CASES, Case, Expect, SUITES};
use crate::trying::{Step, Tried, World, follow};
use bwrap_launch::diagnosis::Outlook;

/// What tells a guest which it is: profile, security module and the names of its cases.
pub(crate) const BOOT: &str = "/payload/boot";

const RESULTS: &str = "/results";

/// What became of a case.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    /// What was met on the way.
    pub(crate) steps: Vec<Step>,
    /// Why it failed, or nothing.
    pub(crate) error: Option<String>,
}

pub(crate) fn main() -> ExitCode {
    let boot = fs::read_to_string(BOOT).unwrap();
    let mut words = boot.split_whitespace();
    let (profile, lsm) = (words.next().unwrap(), words.next().unwrap());
    let wanted: Vec<&str> = words.collect();
    println!("guest {profile} {lsm}");
    for case in CASES.iter().filter(|case| case.lsm.name() == lsm && case.runs_on(profile)) {
        if wanted.contains(&case.name) {
            report(&run(case));
        }
    }
    for suite in SUITES.iter().filter(|suite| wanted.contains(suite)) {
        report(&run_suite(suite));
    }
    ExitCode::SUCCESS
}

fn report(report: &Report) {
    println!("{}: {}", report.name, report.error.as_deref().unwrap_or("ok"));
    let path = Path::new(RESULTS).join(format!("{}.json", report.name));
    fs::write(path, serde_json::to_string(report).unwrap()).unwrap();
}

fn run(case: &Case) -> Report {
    let mut steps = Vec::new();
    let result = case.before.iter().try_for_each(|words| command(words)).and_then(|()| {
        let mut guest = Guest::new(case);
        let (met, tried) = follow(&mut guest, case.choice)?;
        let verdict = judge(case, &met, &tried);
        steps = met;
        verdict
    });
    let undone = case.after.iter().try_for_each(|words| command(words));
    Report { name: case.name.to_owned(), steps, error: result.and(undone).err() }
}

fn judge(case: &Case, met: &[Step], tried: &Tried) -> Result<(), String> {
    let Expect::Leads(causes) = case.expect else {
        if !met.is_empty() {
            return Err(format!("it should start at once: {met:#?}"));
        }
        // enforcing and permissive look alike from inside
        return match tried.outlook {
            Outlook::Fails => Err(format!("it starts, and was foretold to fail: {:?}", tried.obstacles)),
            _ => Ok(()),
        };
    };
    let found: Vec<&str> = met.iter().map(|step| step.cause.as_str()).collect();
    if found != causes {
        return Err(format!("expected {causes:?}: {met:#?}"));
    }
    match met.iter().find(|step| step.outlook == Outlook::Starts) {
        Some(step) if !case.unforeseeable => Err(format!("{} was not foretold: {step:#?}", step.cause)),
        _ => Ok(()),
    }
}

fn command(words: &[&str]) -> Result<(), String> {
    let output = Command::new(words[0]).args(&words[1..]).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{words:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The machine that a case runs on, and where on it.
struct Guest {
    place: Vec<String>,
    line: Vec<String>,
}

impl Guest {
    fn new(case: &Case) -> Self {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self { place: own(case.place), line: own(case.line) }
    }

    /// Sets a key of the container's, such as `userns=yes`.
    fn set(&mut self, key: &str, value: &str) {
        self.place.retain(|word| !word.starts_with(&format!("{key}=")));
        self.place.insert(1, format!("{key}={value}"));
    }

    fn pod(&mut self, pod: &Value) -> Result<(), String> {
        let mut applied = false;
        let mut set = |key: &str, value: &str| {
            self.set(key, value);
            applied = true;
        };
        if pod["host_users"] == false {
            set("userns", "yes");
        }
        if pod["unmasked_proc"] == true {
            set("unmasked", "yes");
        }
        if let Some(uid) = pod["run_as_user"].as_u64() {
            set("uid", &uid.to_string());
        }
        if let Some(profile) = pod["apparmor"]["localhost"].as_str() {
            set("apparmor", profile);
        }
        if applied { Ok(()) } else { Err(format!("nothing to do in {pod}")) }
    }

    /// Adds rules to the profile that confines the place, as its administrator would.
    fn add_rules(&self, text: &str) -> Result<(), String> {
        let profile = self.place[0].strip_prefix("apparmor:").ok_or("no profile confines this place")?;
        let rules = match text.split_once("apparmor_parser -r FILE:\n") {
            Some((_, rules)) => rules,
            None => "  userns,",
        };
        let old = fs::read_to_string(format!("/usr/local/share/vm/apparmor/{profile}")).unwrap();
        let (body, end) = old.rsplit_once('}').ok_or("no profile in the file")?;
        let file = format!("/etc/apparmor.d/bwrap-test-{profile}");
        fs::write(&file, format!("{body}{rules}\n}}{end}")).unwrap();
        command(&["load-apparmor", &file])
    }

    fn kernel_parameter(parameter: &Value) -> Result<(), String> {
        let text = |key: &str| parameter[key].as_str().unwrap_or_default().to_owned();
        command(&["sysctl", "-qw", &format!("{}={}", text("name"), text("value"))])
    }
}

impl World for Guest {
    fn attempt(&mut self, changes: &[Value]) -> Result<Tried, String> {
        let program = std::env::current_exe().unwrap();
        let output = Command::new("in-place")
            .args(&self.place)
            .arg(&program)
            .args(["--try", &serde_json::to_string(changes).unwrap()])
            .args(&self.line)
            .output()
            .map_err(|error| error.to_string())?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        Tried::read(&stdout).ok_or_else(|| format!("{}: {stdout}\n{stderr}", output.status))
    }

    fn apply(&mut self, remedy: &Value) -> Result<(), String> {
        // profiles and modules that go with it: what an administrator copies to the machine
        let mut files: Vec<PathBuf> = Vec::new();
        for file in remedy["files"].as_array().into_iter().flatten() {
            let path = PathBuf::from(file["path"].as_str().unwrap_or_default());
            let path = if path.is_absolute() { path } else { Path::new("/root").join(path) };
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, file["content"].as_str().unwrap_or_default()).unwrap();
            files.push(path);
        }
        let load = |program: &str, wanted: &dyn Fn(&Path) -> bool| {
            let file = files.iter().find(|path| wanted(path)).ok_or("it brings no file to load")?;
            command(&[program, file.to_str().unwrap()])
        };
        let action = &remedy["action"];
        let text = |kind: &str, key: &str| action[kind][key].as_str().map(str::to_owned);
        if let (Some(name), Some(cil)) = (text("selinux", "name"), text("selinux", "cil")) {
            let file = format!("/root/{name}.cil");
            fs::write(&file, cil).unwrap();
            return command(&["load-selinux", &file]);
        }
        if let (Some(path), Some(profile)) = (text("app-armor", "path"), text("app-armor", "text")) {
            fs::write(&path, profile).unwrap();
            return command(&["load-apparmor", &path]);
        }
        if let Some(rules) = action["manual"]
            .as_str()
            .filter(|text| text.contains("`userns,`") || text.contains("add these rules"))
        {
            return self.add_rules(rules);
        }
        if !action["pod"].is_null() {
            if !action["pod"]["apparmor"].is_null() {
                load("load-apparmor", &|path| path.starts_with("/etc/apparmor.d"))?;
            }
            return self.pod(&action["pod"]);
        }
        if !action["sysctl"].is_null() {
            return Self::kernel_parameter(&action["sysctl"]);
        }
        Err(format!("nobody applies this here: {action}"))
    }
}

/// Runs one of the crate's other test programs.
fn run_suite(name: &str) -> Report {
    let program = Path::new("/payload").join(name);
    let output = Command::new(&program).env("BWRAP_LAUNCH_TEST_BWRAPS", "/usr/bin/bwrap").output();
    let error = match output {
        Err(error) => Some(error.to_string()),
        Ok(output) => {
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            fs::write(Path::new(RESULTS).join(format!("{name}.log")), &stdout).unwrap();
            let failures = stdout.split_once("\nfailures:\n").map(|(_, failures)| failures.to_owned());
            (!output.status.success()).then(|| failures.unwrap_or(stdout))
        }
    };
    Report { name: name.to_owned(), steps: Vec::new(), error }
}

//! In the guest: makes the faults, tries the sandboxes, applies the remedies.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cases::{Case, suites_on};
use crate::trying::{Applied, Pod, Profile, Step, Tried, World, follow, judge, parameter};
use bwrap_launch::diagnosis::Outlook;

/// What tells a guest which it is: profile, security module and the names of its cases.
pub(crate) const BOOT: &str = "/payload/boot";

const RESULTS: &str = "/results";

/// Repetitions in the suites are divided by this: one emulated processor is some twenty times slower than a machine's two.
const SHARE: &str = "10";

/// What a suite may take before it is said where it stands. It takes half of that beside another guest and nothing else, and the
/// guest is ended after 1500 s.
const LIMIT: Duration = Duration::from_secs(1300);

/// What became of a case.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    /// What was met on the way.
    pub(crate) steps: Vec<Step>,
    /// What was foretold of the start in the end.
    pub(crate) outlook: Option<Outlook>,
    /// Of a suite.
    pub(crate) counts: Option<Counts>,
    /// Why it failed, or nothing.
    pub(crate) error: Option<String>,
}

/// How the tests of a suite ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Counts {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn read(stdout: &str) -> Option<Self> {
        let line = stdout.lines().rev().find(|line| line.starts_with("test result:"))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let before = |word: &str| {
            let at = words.iter().position(|other| *other == word)?;
            words.get(at.checked_sub(1)?)?.parse().ok()
        };
        Some(Self { passed: before("passed;")?, failed: before("failed;")?, skipped: before("ignored;")? })
    }
}

pub(crate) fn main() -> ExitCode {
    let boot = fs::read_to_string(BOOT).unwrap();
    let mut words = boot.split_whitespace();
    let (profile, lsm) = (words.next().unwrap(), words.next().unwrap());
    let wanted: Vec<&str> = words.collect();
    println!("guest {profile} {lsm}");
    let suites = suites_on(profile);
    for name in wanted.iter().filter(|name| !suites.contains(name)) {
        let case = Case::find(name, profile).filter(|case| case.lsm.name() == lsm);
        report(&run(case.unwrap_or_else(|| panic!("no case {name}"))));
    }
    for suite in suites.iter().filter(|suite| wanted.contains(suite)) {
        report(&run_suite(suite));
    }
    ExitCode::SUCCESS
}

fn report(report: &Report) {
    let counts = report.counts.map(|counts| format!(" {counts:?}")).unwrap_or_default();
    println!("{}: {}{counts}", report.name, report.error.as_deref().unwrap_or("ok"));
    let path = Path::new(RESULTS).join(format!("{}.json", report.name));
    fs::write(path, serde_json::to_string(report).unwrap()).unwrap();
}

fn run(case: &Case) -> Report {
    let mut report = Report { name: case.name.to_owned(), ..Report::default() };
    let mut guest = Guest::new(case);
    let result = attempt(case, &mut guest, &mut report);
    let mut results = vec![result, guest.parameters.restore()];
    // all of it, whatever fails
    results.extend(case.after.iter().map(|words| command(words)));
    report.error = results.into_iter().find_map(Result::err);
    report
}

fn attempt(case: &Case, guest: &mut Guest, report: &mut Report) -> Result<(), String> {
    for (name, value) in case.sysctls {
        guest.parameters.set(name, value)?;
    }
    case.before.iter().try_for_each(|words| command(words))?;
    let (steps, tried) = follow(guest, case.choice)?;
    let verdict = judge(case.leads, case.foretold, &steps, &tried);
    report.steps = steps;
    report.outlook = Some(tried.outlook);
    verdict
}

/// Kernel parameters that were set, and their values before that, in order.
#[derive(Default)]
struct Parameters(Vec<(PathBuf, String)>);

impl Parameters {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        let old = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        self.0.push((path, old));
        command(&["sysctl", "-qw", &format!("{name}={value}")])
    }

    fn restore(&mut self) -> Result<(), String> {
        let mut results = Vec::new();
        while let Some((path, old)) = self.0.pop() {
            results.push(fs::write(&path, old).map_err(|error| format!("{}: {error}", path.display())));
        }
        results.into_iter().collect()
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
    parameters: Parameters,
}

impl Guest {
    fn new(case: &Case) -> Self {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let line = [case.sandbox, case.also, case.command].concat();
        Self { place: own(case.place), line: own(&line), parameters: Parameters::default() }
    }

    /// The value of a key of the container's.
    fn get(&self, key: &str) -> Option<&str> {
        self.place.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Sets a key of the container's, such as `userns=yes`.
    fn set(&mut self, key: &str, value: &str) {
        self.place.retain(|word| !word.starts_with(&format!("{key}=")));
        self.place.insert(1, format!("{key}={value}"));
    }

    fn pod(&mut self, wanted: Pod) -> Result<(), String> {
        let Pod {
            host_users,
            unmasked_proc,
            run_as_user,
            add_capabilities,
            apparmor,
            selinux_type,
            // these containers have no filter, and a /tmp; and nothing admits them
            seccomp: None,
            empty_dir: None,
            required_scc: None,
        } = wanted
        else {
            return Err(format!("nobody applies this to a pod here: {wanted:?}"));
        };
        if !self.place[0].starts_with("selinux:") && self.place[0] != "container" {
            return Err(format!("{} is no pod", self.place[0]));
        }
        if let Some(shared) = host_users {
            self.set("userns", if shared { "no" } else { "yes" });
        }
        if unmasked_proc {
            // the API server refuses one without the other
            if self.get("userns") == Some("no") {
                return Err("unmasked, but without a user namespace".to_owned());
            }
            self.set("unmasked", "yes");
        }
        if let Some(uid) = run_as_user {
            self.set("uid", &uid.to_string());
        }
        if !add_capabilities.is_empty() {
            let old = self.get("caps").unwrap_or("setfcap").to_owned();
            self.set("caps", &format!("{old},{}", add_capabilities.join(",")));
        }
        match apparmor {
            None => {}
            Some(Profile::Localhost(profile)) => self.set("apparmor", &profile),
            Some(Profile::Unconfined) => self.set("apparmor", ""),
        }
        if let Some(domain) = selinux_type {
            let (place, _) = self.place[0].split_once(':').ok_or("no SELinux domain here")?;
            self.place[0] = format!("{place}:{domain}");
        }
        Ok(())
    }

    /// Adds rules to the profile that confines the place, as its administrator would.
    fn add_rules(&self, text: &str) -> Result<(), String> {
        let profile = self.place[0].strip_prefix("apparmor:").ok_or("no profile confines this place")?;
        let quoted = || text.split_once("the line `")?.1.split_once('`').map(|(line, _)| line);
        let rules = match text.split_once("apparmor_parser -r FILE:\n") {
            Some((_, rules)) => rules,
            None => quoted().ok_or("no rules in it")?,
        };
        let old = fs::read_to_string(format!("/usr/local/share/vm/apparmor/{profile}")).unwrap();
        let (body, end) = old.rsplit_once('}').ok_or("no profile in the file")?;
        let denies = |line: &&str| line.trim_start().trim_start_matches("audit ").starts_with("deny ");
        let body: String = body.split_inclusive('\n').filter(|line| !denies(line)).collect();
        let file = format!("/etc/apparmor.d/bwrap-test-{profile}");
        fs::write(&file, format!("{body}{rules}\n}}{end}")).unwrap();
        command(&["load-apparmor", &file])
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

    /// On a node whose kernel is too old for pods with user namespaces, what changes the pod comes last. Here a pod is only imitated,
    /// and it is that change which is to be proven.
    fn instead(&self, tried: &Tried) -> &'static str {
        let release = tried.host["kernel"]["release"]["present"].as_str().unwrap_or_default();
        let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
        let old = numbers.next().zip(numbers.next()).is_some_and(|version| version < (6, 3));
        if old && tried.cause() == "PR01" && !tried.remedy("pod").is_null() { "pod" } else { "" }
    }

    fn apply(&mut self, remedy: &Value) -> Result<Applied, String> {
        self.carry_out(remedy)?;
        Ok(Applied::AsWritten)
    }
}

impl Guest {
    fn carry_out(&mut self, remedy: &Value) -> Result<(), String> {
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
        if let Some(pod) = Pod::read(remedy)? {
            if let Some(Profile::Localhost(_)) = pod.apparmor {
                load("load-apparmor", &|path| path.starts_with("/etc/apparmor.d"))?;
            }
            return self.pod(pod);
        }
        if let Some((name, value)) = parameter(remedy) {
            return self.parameters.set(name, value);
        }
        if let Some(lines) = action["commands"].as_array() {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            return command(&["sh", "-ec", &lines.join("\n")]);
        }
        Err(format!("nobody applies this here: {action}"))
    }
}

/// Runs one of the crate's other test programs. One in which nothing ran has not passed.
fn run_suite(name: &str) -> Report {
    let program = Path::new("/payload").join(name);
    let mut command = Command::new(&program);
    command.env("BWRAP_LAUNCH_TEST_BWRAPS", "/usr/bin/bwrap").env("BWRAP_LAUNCH_TEST_SHARE", SHARE);
    let mut report = Report { name: name.to_owned(), ..Report::default() };
    let log = Path::new(RESULTS).join(format!("{name}.log"));
    let mut run = || {
        let file = fs::File::create(&log)?;
        let mut suite = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        let began = Instant::now();
        loop {
            if let Some(status) = suite.try_wait()? {
                return Ok((status, String::new()));
            }
            if began.elapsed() > LIMIT {
                let processes = processes();
                suite.kill()?;
                let late = format!("not over after {} s\n{processes}", LIMIT.as_secs());
                return Ok((suite.wait()?, late));
            }
            sleep(Duration::from_millis(50));
        }
    };
    let (status, late) = match run() {
        Ok(ended) => ended,
        Err::<_, std::io::Error>(error) => return Report { error: Some(error.to_string()), ..report },
    };
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    report.counts = Counts::read(&said);
    report.error = match report.counts {
        _ if !status.success() => {
            let failures = said.split_once("\nfailures:\n").map(|(_, failures)| failures.to_owned());
            Some(failures.unwrap_or_else(|| format!("{status}\n{said}{late}")))
        }
        Some(Counts { passed: 1.., failed: 0, .. }) => None,
        _ => Some(format!("nothing in it passed:\n{said}")),
    };
    report
}

/// What runs, and what it waits for.
fn processes() -> String {
    let read = |directory: &Path, file: &str| {
        let bytes = fs::read(directory.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
    };
    let threads = numbered("/proc").into_iter().flat_map(|process| numbered(process.join("task")));
    let mut lines = String::new();
    for thread in threads {
        let command = read(&thread, "cmdline");
        if !command.is_empty() {
            let (stat, stack) = (read(&thread, "stat"), read(&thread, "stack"));
            let _ = write!(lines, "{stat:.80}\n    {command:.200}\n    {}\n", stack.replace('\n', " "));
        }
    }
    lines
}

/// The entries of a directory of `/proc` that are numbers.
fn numbered(directory: impl AsRef<Path>) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .filter(|path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
        })
        .collect()
}

//! On the node: applies manifests, tries sandboxes in the pods, applies what is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use bwrap_launch::diagnosis::{Cause, Outlook};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cases::{LINE, PODS, Row, Runtime, What, cases, rows};
use crate::forms::unchanged;
use crate::kubectl::{Ended, NOT_IN_ITS_PLACE, Pod, json, run, shell, written};
use crate::trying::{Applied, Foretold, Tried, World, follow, judge};

/// What tells a node which it is: the runtime, and the names of its cases.
pub(crate) const BOOT: &str = "/run/cluster/payload/boot";

const RESULTS: &str = "/run/cluster/results";

/// `bwrap-doctor` on the node, and what it has read there.
pub(crate) const DOCTOR: &str = "/run/cluster/payload/bwrap-doctor";
pub(crate) const NODE: &str = "/run/cluster/home/node.json";

/// The version that is built here.
pub(crate) const KUBERNETES: &str = "1.37";

/// So many cases at a time: with more, the processors are what all wait for.
const AT_ONCE: usize = 5;

/// What became of a case.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    /// What was done and seen, in lines.
    pub(crate) notes: Vec<String>,
    /// Why it failed, or nothing.
    pub(crate) error: Option<String>,
    /// Why there was nothing to do, if that is so.
    pub(crate) skipped: Option<String>,
    pub(crate) milliseconds: u128,
}

pub(crate) fn main() -> ExitCode {
    let boot = fs::read_to_string(BOOT).unwrap();
    let mut words = boot.split_whitespace();
    let runtime = Runtime::find(words.next().unwrap()).unwrap();
    let wanted: BTreeSet<&str> = words.collect();
    let host = run(&[DOCTOR, "host", "--format", "json"]);
    fs::write(NODE, &host.stdout).unwrap();
    let mut queue: Vec<(String, What)> = cases(runtime);
    queue.retain(|(name, _)| wanted.contains(name.as_str()));
    // the filter that a pod of the table names: a node's owner puts it there
    if let Some(restricted) = rows(runtime).into_iter().find(|row| row.pod == "restricted") {
        let file = written(restricted.manifest, restricted.pod, "filtered");
        if let Err(error) = (Node { runtime }).printed_patch(&file) {
            println!("{error}");
        }
    }
    if queue.iter().any(|(_, what)| matches!(what, What::Pod(_))) {
        let at_once = PODS.replace("\nspec:\n", "\nspec:\n  terminationGracePeriodSeconds: 0\n");
        fs::write("/run/cluster/home/pods.yaml", at_once).unwrap();
        if let Err(error) = shell("kubectl apply -f /run/cluster/home/pods.yaml") {
            println!("{error}");
        }
    }
    queue.reverse();
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some((name, what)) = next else { break };
                    report(runtime, name, what);
                }
            });
        }
    });
    ExitCode::SUCCESS
}

fn report(runtime: Runtime, name: String, what: What) {
    let began = std::time::Instant::now();
    let mut report = Report { name, ..Report::default() };
    let node = Node { runtime };
    let attempt = std::panic::AssertUnwindSafe(|| node.attempt(what, &mut report));
    report.error = match std::panic::catch_unwind(attempt) {
        Ok(result) => result.err(),
        Err(panic) => {
            Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned()))
        }
    };
    report.milliseconds = began.elapsed().as_millis();
    println!("{}: {} ({} ms)", report.name, report.error.as_deref().unwrap_or("ok"), report.milliseconds);
    let path = Path::new(RESULTS).join(format!("{}.json", report.name));
    fs::write(path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
}

pub(crate) fn line() -> Vec<&'static str> {
    LINE.split_whitespace().collect()
}

/// An error unless it is so.
pub(crate) fn ensure(right: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(otherwise()) }
}

/// A sandbox with a `/proc` of its own: nothing else can be seen in it.
pub(crate) fn is_alone(ended: &Ended) -> bool {
    ended.status == Some(0) && ended.stdout.contains("ps afx") && !ended.stdout.contains("sleep infinity")
}

pub(crate) fn tried(pod: &Pod, changes: &[Value], line: &[&str]) -> Result<Tried, String> {
    let changes = serde_json::to_string(changes).unwrap();
    let ended = pod.exec(&[&["main", "--try", &changes], line].concat());
    Tried::read(&ended.stdout).ok_or_else(|| format!("{ended:?}"))
}

/// The cause that a pod of the table has, as far as bwrap's words and the manifest tell.
fn expected(runtime: Runtime, row: &Row) -> &'static str {
    let words = row.said.trim_start_matches("bwrap: ");
    let cause = if words.starts_with("setting up uid map") {
        Cause::MissingSetfcap
    } else if words.starts_with("No permissions") {
        Cause::SeccompDeniesNamespaces
    } else if words.starts_with("pivot_root") {
        Cause::SeccompDeniesPivotRoot
    } else if runtime == Runtime::CriO && row.manifest.contains("Unmasked") {
        Cause::UnmaskedProcMasked
    } else {
        Cause::MaskedProc
    };
    cause.code()
}

pub(crate) struct Node {
    pub(crate) runtime: Runtime,
}

#[allow(clippy::unused_self, reason = "every case is one of the node")]
impl Node {
    fn attempt(&self, what: What, report: &mut Report) -> Result<(), String> {
        let row = |pod: &str| rows(self.runtime).into_iter().find(|row| row.pod == pod).unwrap();
        match what {
            What::Story => self.story(report),
            What::Pod(name) => self.pod(&row(name), report),
            What::Patch(name) => self.patch(&row(name), report),
            What::Remedies(name) => self.remedies(&row(name), report),
            What::Alternatives(name) => self.alternatives(&row(name), report),
            What::Forms(name) => self.forms(&row(name), report),
            What::Deployment => self.deployment(report),
            What::Custom => self.custom(report),
            What::Standards => self.standards(report),
            What::Programs => self.programs(report),
            What::Generated => self.generated(report),
        }
    }

    /// What is foretold of a manifest's pods, by their names.
    pub(crate) fn foretold(&self, file: &Path) -> Result<BTreeMap<String, Value>, String> {
        let file = file.to_str().unwrap();
        // (the image says nothing of a user: root)
        let of_image = ["--image-user", "0"];
        let options = ["--runtime", self.runtime.versioned(), "--kubernetes", KUBERNETES, "--node", NODE];
        let ended =
            run(&[&[DOCTOR, "pod", "--format", "json"], &of_image[..], &options[..], &[file]].concat());
        let report = json(&ended.stdout).map_err(|error| format!("{error} {ended:?}"))?;
        let pods = report["containers"].as_array().into_iter().flatten().map(|one| {
            let name = one["workload"].as_str().unwrap_or_default().trim_start_matches("Pod/").to_owned();
            (name, one["forecasts"][0].clone())
        });
        Ok(pods.collect())
    }

    /// Holds a forecast against what was seen.
    pub(crate) fn hold(&self, forecast: &Value, tried: &Tried) -> Result<(), String> {
        let wrong = || format!("foretold {forecast:#}, but {} {:?}", tried.verdict, tried.error);
        let first = forecast["obstacles"][0]["code"].as_str();
        if tried.started() {
            ensure(forecast["answer"] == "starts" && first.is_none(), wrong)?;
        } else {
            ensure(forecast["answer"] == "fails" && first == Some(tried.cause()), wrong)?;
        }
        let facts = |host: &Value| Facts::read(host);
        let (foretold, read) = (facts(&forecast["host"]), facts(&tried.host));
        ensure(foretold == read, || format!("foretold facts {foretold:#?}, read {read:#?}"))
    }

    fn pod(&self, row: &Row, report: &mut Report) -> Result<(), String> {
        // all of the table were applied at once
        let file = written(row.manifest, row.pod, row.pod);
        let pod = Pod { name: row.pod.to_owned(), file };
        let forecast = self.foretold(&pod.file)?.remove(row.pod).ok_or("not foretold")?;
        if let Some(reason) = row.said.strip_prefix("not started: ") {
            pod.not_started(reason)?;
            report.notes.push(row.said.to_owned());
            return ensure(forecast["answer"] == "not-started", || format!("{forecast:#}"));
        }
        pod.ready()?;
        let starts = row.said == "starts";
        let literal = pod.exec(&[&["bwrap"], &line()[..]].concat());
        let first = literal.stderr.lines().next().unwrap_or_default();
        report.notes.push(format!("{:?} {first}", literal.status));
        let right = if starts {
            is_alone(&literal) || row.pod == "privileged" && literal.status == Some(0)
        } else {
            first.starts_with(row.said)
        };
        ensure(right, || format!("the table says {}: {literal:?}", row.said))?;

        let tried = tried(&pod, &[], &line())?;
        let cause = tried.cause();
        report
            .notes
            .push(format!("{} {cause}, foretold {} {:?}", tried.verdict, tried.outlook, tried.obstacles));
        let platforms = tried.host["platforms"].to_string().to_lowercase();
        ensure(platforms.contains(&format!("\"{}\"", self.runtime.name())), || {
            format!("the engine: {platforms}")
        })?;
        let said = tried.diagnosis["causes"].to_string();
        let summary = tried.diagnosis["causes"][0]["summary"].to_string().to_lowercase();
        let stranger =
            ["podman", "docker"].into_iter().find(|name| platforms.contains(name) || summary.contains(name));
        ensure(stranger.is_none(), || format!("{stranger:?}: {platforms} {summary}"))?;
        let first = tried.obstacles.first().map(String::as_str);
        if starts {
            ensure(tried.started(), || format!("bwrap starts, we do not: {tried:#?}"))?;
            // (nobody can read a filter from inside, so one leaves it open)
            let filtered = tried.host["process"]["seccomp"]["present"] == 2;
            let right = match tried.outlook {
                Outlook::Starts => first.is_none(),
                outlook => filtered && outlook == Outlook::Uncertain,
            };
            ensure(right, || format!("a false alarm: {} {:?}", tried.outlook, tried.obstacles))?;
        } else {
            let expected = expected(self.runtime, row);
            ensure(!tried.started() && cause == expected, || format!("{expected} was expected: {said}"))?;
            // (of a filter one may not be sure)
            let sure = tried.outlook == Outlook::Fails
                || tried.outlook == Outlook::Uncertain && cause == Cause::SeccompDeniesNamespaces.code();
            let filter = Some(Cause::SeccompDeniesNamespaces.code());
            let told =
                first == Some(cause) || first == filter && tried.obstacles.iter().any(|code| code == cause);
            ensure(sure && told, || {
                format!("{cause} was foretold as {} {:?}", tried.outlook, tried.obstacles)
            })?;
        }
        let checked = pod.exec(&[&["bwrap-doctor", "check", "--format", "json", "--"], &line()[..]].concat());
        let told = json(&checked.stdout)?;
        let found = told["trials"][0]["diagnosis"]["causes"][0]["code"].as_str();
        let found = (told["works"].as_bool(), found, checked.status);
        let right = if starts { (Some(true), None, Some(0)) } else { (Some(false), Some(cause), Some(1)) };
        ensure(found == right, || format!("check says {found:?}, not {right:?}: {checked:?}"))?;
        let ran = pod.exec(&[&["bwrap-doctor", "run", "--"], &line()[..]].concat());
        let right = if starts { Some(0) } else { Some(125) };
        ensure(ran.status == right && (starts || ran.stderr.contains(cause)), || format!("run: {ran:?}"))?;
        self.hold(&forecast, &tried)
    }

    /// The printed patch of a manifest, in a file, and what is written for the node, put where it belongs.
    pub(crate) fn printed_patch(&self, file: &Path) -> Result<(String, std::path::PathBuf), String> {
        let (patch, files) = (file.with_extension("patch.yaml"), file.with_extension("files"));
        let options = ["--runtime", self.runtime.versioned(), "--kubernetes", KUBERNETES, "--node", NODE];
        let paths = ["--node-files", files.to_str().unwrap(), file.to_str().unwrap()];
        let ended = run(&[&[DOCTOR, "pod", "--patch"], &options[..], &paths].concat());
        fs::write(&patch, &ended.stdout).unwrap();
        ensure(ended.stderr.is_empty(), || format!("{ended:?}"))?;
        // as it says: what was written, and where it belongs
        for line in ended.stdout.lines().filter_map(|line| line.strip_prefix("# written: ")) {
            let (written, rest) = line.split_once(" (for ").ok_or(line)?;
            let (place, _) = rest.split_once(": ").ok_or(line)?;
            shell(&format!("install -D -m 644 {written} {place}"))?;
        }
        Ok((ended.stdout, patch))
    }

    fn patch(&self, row: &Row, report: &mut Report) -> Result<(), String> {
        let mut pod = Pod::applied(row.manifest, row.pod, &format!("patch-{}", row.pod))?;
        let (text, patch) = self.printed_patch(&pod.file)?;
        report.notes.push(text.clone());
        let forecast =
            |file: &Path| Ok::<_, String>(self.foretold(file)?.remove(&pod.name).unwrap_or_default());
        let unmasked = Cause::UnmaskedProcMasked.code();
        if !text.contains("nothing in it is to be changed") {
            ensure(text.contains(NOT_IN_ITS_PLACE), || format!("it is applied otherwise: {text}"))?;
            let before = forecast(&pod.file)?;
            ensure(before["answer"] == "fails", || format!("{before:#}"))?;
            pod.patch(&patch, "strategic")?;
        }
        let after = self.foretold(&pod.file)?.remove(&pod.name).unwrap_or_default();
        let ended = pod.exec(&[&["bwrap"], &line()[..]].concat());
        let now = tried(&pod, &[], &line())?;
        match self.runtime {
            Runtime::Containerd | Runtime::Selinux => {
                ensure(is_alone(&ended) && now.started(), || format!("{text}{ended:?}"))?;
            }
            // masks stay, which is said; and the line that is proposed starts
            Runtime::CriO => {
                ensure(now.cause() == unmasked && text.contains("# no field of the pod helps: "), || {
                    format!("{text}{ended:?}{}", now.cause())
                })?;
                let change = now.remedy("sandbox")["action"]["sandbox"].clone();
                let other = tried(&pod, &[change], &line_of("true"))?;
                ensure(other.started(), || format!("{other:?}"))?;
            }
        }
        self.hold(&after, &now)?;
        // applied twice it changes nothing
        if !text.contains("nothing in it is to be changed") {
            unchanged("pod", &pod.name, "strategic", &patch)?;
        }
        let (again, _) = self.printed_patch(&pod.file)?;
        ensure(again.contains("nothing in it is to be changed"), || format!("again: {again}"))
    }

    fn remedies(&self, row: &Row, report: &mut Report) -> Result<(), String> {
        let pod = Pod::applied(row.manifest, row.pod, &format!("remedies-{}", row.pod))?;
        // (with the outer /proc ps finds no process of its own, and says so)
        let line = if self.runtime == Runtime::CriO { line_of("true") } else { line() };
        let mut world = InPod { pod, line };
        let (steps, tried) = follow(&mut world, "")?;
        report.notes = steps.iter().map(|step| format!("{}: {}", step.cause, step.remedy)).collect();
        let causes: Vec<&str> = steps.iter().map(|step| step.cause.as_str()).collect();
        let filter = Cause::SeccompDeniesNamespaces.code();
        let unsure =
            steps.first().is_some_and(|step| step.cause == filter && step.outlook == Outlook::Uncertain);
        let foretold = if unsure { Foretold::Perhaps } else { Foretold::Surely };
        judge(&causes, foretold, &steps, &tried)
    }

    fn alternatives(&self, row: &Row, report: &mut Report) -> Result<(), String> {
        let pod = Pod::applied(row.manifest, row.pod, &format!("first-{}", row.pod))?;
        let first = tried(&pod, &[], &line())?;
        let remedies = first.diagnosis["causes"][0]["remedies"].as_array().cloned().unwrap_or_default();
        let others = remedies.iter().skip(1).filter(|remedy| !remedy["action"]["pod"].is_null());
        let mut failures = Vec::new();
        for (index, remedy) in others.enumerate() {
            let summary = remedy["summary"].as_str().unwrap_or_default();
            if row.manifest.contains("drop: [SETFCAP]") && summary.contains("SETFCAP") {
                report.skipped =
                    Some("what a manifest drops by name stays dropped, whoever adds it".to_owned());
                continue;
            }
            report.notes.push(format!("{}: {summary}", first.cause()));
            let mut other = Pod::applied(row.manifest, row.pod, &format!("other{index}-{}", row.pod))?;
            let applied = other.apply_printed(remedy["instructions"].as_str().unwrap_or_default());
            let now = applied.and_then(|()| tried(&other, &[], &line()));
            match now {
                Ok(now) if now.started() || now.cause() != first.cause() => {}
                Ok(now) => failures.push(format!("{summary}: {} all the same", now.error)),
                Err(error) => failures.push(format!("{summary}: {error}")),
            }
        }
        if report.notes.is_empty() {
            report.skipped = Some("no other remedy of its first cause is one of Kubernetes".to_owned());
        }
        ensure(failures.is_empty(), || failures.join("\n"))
    }
}

/// The line with another command.
pub(crate) fn line_of(command: &'static str) -> Vec<&'static str> {
    let mut words = line();
    words.truncate(words.len() - 2);
    words.push(command);
    words
}

/// A pod in which a sandbox is tried, and to which remedies are applied.
struct InPod {
    pod: Pod,
    line: Vec<&'static str>,
}

impl World for InPod {
    fn attempt(&mut self, changes: &[Value]) -> Result<Tried, String> {
        tried(&self.pod, changes, &self.line)
    }

    fn apply(&mut self, remedy: &Value) -> Result<Applied, String> {
        ensure(!remedy["action"]["pod"].is_null(), || format!("nobody applies this here: {remedy:#}"))?;
        self.pod.apply_printed(remedy["instructions"].as_str().unwrap_or_default())?;
        Ok(Applied::AsWritten)
    }

    /// Nobody updates CRI-O here: there is no other to be had.
    fn instead(&self, tried: &Tried) -> &'static str {
        if tried.cause() == Cause::UnmaskedProcMasked.code() { "sandbox" } else { "" }
    }
}

/// What decides, of a host's facts. (Not the group: the image gives that.)
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    process: BTreeMap<&'static str, Value>,
    /// How many ids its user namespace has.
    ids: Value,
    /// Whether files of /proc are covered, and whether some of it is read-only.
    masked: bool,
    read_only: bool,
    root_read_only: bool,
}

impl Facts {
    fn read(host: &Value) -> Self {
        let names = [
            "uid",
            "real_uid",
            "effective",
            "permitted",
            "inheritable",
            "bounding",
            "ambient",
            "no_new_privs",
            "seccomp",
        ];
        let process = names.iter().map(|name| (*name, host["process"][*name].clone())).collect();
        let mounts: Vec<&Value> = host["mounts"]["present"].as_array().into_iter().flatten().collect();
        let point = |mount: &Value| mount["point"].as_str().unwrap_or_default().to_owned();
        let has = |mount: &Value, option: &str| {
            mount["options"].as_array().is_some_and(|options| options.iter().any(|one| one == option))
        };
        let below = |mount: &&&Value| point(mount).starts_with("/proc/");
        Self {
            process,
            ids: host["user_namespace"]["uid_map"]["present"][0]["count"].clone(),
            masked: mounts.iter().filter(below).any(|mount| mount["filesystem"] != "proc"),
            read_only: mounts
                .iter()
                .filter(below)
                .any(|mount| mount["filesystem"] == "proc" && has(mount, "ro")),
            root_read_only: mounts.iter().any(|mount| point(mount) == "/" && has(mount, "ro")),
        }
    }
}

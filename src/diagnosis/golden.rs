//! Every word that a diagnosis can say, in files that a change of words shows in: `tests/data/words`.
//!
//! Each cause has a file: what is found of it on which hosts and of which messages, and what helps in which settings. The
//! README's report and whole reports of telling hosts are held as well; help and manual pages in `tests/doctor`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../tests/common/golden.rs"]
mod files;
mod harm;
mod hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::case::Case;
use super::fixtures::{docker, machine, mounts, pod, whole, without_user};
use super::weigh::{ANY, Rule};
use super::{
    Action, Bearing, Cause, Finding, ProgramProblem, Remedy, Symptom, Verdict, causes, diagnose, explain,
    obstacles, predict,
};
use crate::Sandbox;
use crate::bwrap::Message;
use crate::host::{CapabilitySet, Fact, Host, Sighting};
use hosts::{hosts, mistakes, policies, sandboxes, settings};

/// Every message of bwrap's, first on each line.
const MESSAGES: &str = include_str!("../../tests/data/bwrap-messages.tsv");

/// What Kubernetes says, next to bwrap's messages in a log.
const CLUSTER: &[&str] = &[
    "Pod \"p\" is invalid: spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": \
     `hostUsers` must be false to use `Unmasked`",
    "Error: failed to start noop process for unshare: fork/exec /proc/self/exe: no space left on device",
    "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": procMount (container \"c\" must not set \
     securityContext.procMount to \"Unmasked\")",
    "can't set spec.hostUsers: false, runtime does not support user namespaces",
    "cannot load seccomp profile \"/var/lib/kubelet/seccomp/profiles/bwrap.json\": no such file or directory",
    "Cannot enforce AppArmor: profile \"bwrap-nested\" is not loaded",
    "Cannot enforce AppArmor: AppArmor is not enabled on the host",
    "failed to set MOUNT_ATTR_IDMAP on /var/lib/kubelet/pods/x/volumes/kubernetes.io~nfs/data: invalid argument",
    "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": seccompProfile (pod must not set \
     securityContext.seccompProfile.type to \"Unconfined\")",
    "Error: container has runAsNonRoot and image has non-numeric user (zuul), cannot verify user is non-root",
    "The Pod \"x\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
    "The Pod \"x\" is invalid: spec.hostNetwork: Forbidden: when `hostUsers` is false",
    "failed to create containerd container: container ID 6553600 cannot be mapped to a host ID",
    "failed to get sandbox runtime: no runtime for \"gvisor\" is configured",
    "can't allocate user namespace: could not find an empty slot to allocate a user namespace",
    "OCI runtime create failed: runc create failed: unable to start container process: unable to init seccomp: unknown",
];

/// What launchers, their helpers and commands say.
const OTHERS: &[&str] = &[
    "bash: line 1: bwrap: command not found",
    "Error: spawn bwrap ENOENT",
    "Codex could not find bubblewrap on PATH. Install bubblewrap with your OS package manager.",
    "Codex could not find bubblewrap on PATH.\n$ command -v bwrap\n/usr/bin/bwrap",
    "error building bubblewrap command: app-server socket directory has an unsupported host mount at /mnt/wslg/distro",
    "apply-seccomp: write /proc/self/setgroups (nested userns is capability-restricted; caller must provide \
     CAP_SYS_ADMIN): Permission denied",
    "bash: /dev/null: Permission denied",
    "Loader process exited early with status '1'Command: \"bwrap\" \"--unshare-all\" \"/usr/libexec/x\"",
];

const COMMAND: &str = "cargo test --all-features --lib diagnosis::golden";

fn text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap().to_owned()
}

fn parse(text: &str) -> Symptom {
    Symptom::from_text(format!("bwrap: {}\n", text.trim_start_matches("bwrap: ")).as_bytes())
}

fn key(message: &Message) -> String {
    let errno = message.errno().and_then(crate::bwrap::message::Errno::code);
    format!("{:?} {:?} {errno:?}", message.pattern(), message.reason())
}

/// Each kind of message once, with each error number that a rule is for.
fn messages() -> Vec<String> {
    let listed = MESSAGES.lines().filter(|line| !line.starts_with('#'));
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    let mut add = |text: String| {
        if parse(&text).message().is_some_and(|message| seen.insert(key(message))) {
            found.push(text);
        }
    };
    let listed: Vec<&str> = listed.filter_map(|line| line.split('\t').next()).collect();
    for text in &listed {
        add((*text).to_owned());
    }
    let mut stages = BTreeSet::new();
    for said in &listed {
        let symptom = parse(said);
        let Some(message) = symptom.message() else { continue };
        let Some(errno) = message.errno() else { continue };
        let Some(head) = said.strip_suffix(errno.text()) else { continue };
        // what one number means wherever it stands is held once a stage
        let first = stages.insert(message.stage());
        let fits = |pattern: &str| {
            [message.pattern(), message.reason(), Some(ANY).filter(|_| first)].contains(&Some(pattern))
        };
        let fit = |patterns: &[&str]| patterns.iter().any(|pattern| fits(pattern));
        let numbers = causes::all().flat_map(|rule| rule.messages).filter(|(patterns, _)| fit(patterns));
        numbers.flat_map(|(_, numbers)| *numbers).for_each(|number| add(format!("{head}{}", text(*number))));
    }
    found.extend(CLUSTER.iter().map(|text| (*text).to_owned()));
    found
}

/// What failed, by a name.
fn symptoms() -> Vec<(String, Symptom)> {
    let mut found: Vec<(String, Symptom)> =
        messages().into_iter().map(|text| (text.clone(), parse(&text))).collect();
    found.extend(
        OTHERS.iter().map(|text| (text.replace('\n', "\u{23ce}"), Symptom::from_text(text.as_bytes()))),
    );
    for errno in [libc::EPERM, libc::EACCES, libc::EAGAIN, libc::EMFILE, libc::ENOENT, libc::ENOMEM] {
        let symptom = Symptom { verdict: Verdict::Refused, errno: Some(errno), ..Symptom::default() };
        found.push((format!("bwrap could not be started: {}", text(errno)), symptom));
    }
    found.push(("signal 9".into(), Symptom { signal: Some(9), ..Symptom::default() }));
    found.push(("nothing".into(), Symptom::default()));
    found.push(("nothing that can be read back".into(), Symptom { unheard: true, ..Symptom::default() }));
    let path = || "/usr/bin/x".into();
    for problem in [
        ProgramProblem::LoaderMissing {
            path: path(),
            interpreter: "/lib64/ld-linux-x86-64.so.2".into(),
            bind: Some("/lib64".into()),
        },
        ProgramProblem::LoaderMissing {
            path: path(),
            interpreter: "/usr/lib/ld-musl.so.1".into(),
            bind: None,
        },
        ProgramProblem::InterpreterMissing {
            path: path(),
            interpreter: "/opt/py/bin/python".into(),
            bind: Some("/opt/py/bin".into()),
        },
        ProgramProblem::InterpreterMissing { path: path(), interpreter: "sh".into(), bind: None },
        ProgramProblem::BadInterpreter { path: path(), interpreter: "/etc/passwd".into() },
        ProgramProblem::CarriageReturn { path: path(), interpreter: "/bin/sh\r".into() },
        ProgramProblem::ShellMissing(path()),
        ProgramProblem::NotFound { program: "x".into(), searched: vec![path()] },
        ProgramProblem::DanglingLink { path: path(), link: path(), target: "/opt/x".into(), broken: false },
        ProgramProblem::DanglingLink { path: path(), link: path(), target: "/opt/x".into(), broken: true },
        ProgramProblem::LinkLoop(path()),
        ProgramProblem::NameTooLong(path()),
        ProgramProblem::NotSearchable { path: path(), directory: "/usr/bin".into(), mode: 0o600 },
        ProgramProblem::NotSearchable { path: path(), directory: "/d".into(), mode: 0o600 },
        ProgramProblem::NotAFile(path()),
        ProgramProblem::TrailingSlash(path()),
        ProgramProblem::Busy(path()),
        ProgramProblem::InterpreterLoop(path()),
        ProgramProblem::NotExecutable { path: path(), mode: 0o644 },
        ProgramProblem::IsDirectory(path()),
        ProgramProblem::Noexec(path()),
        ProgramProblem::WrongArchitecture { path: path(), machine: 183 },
        ProgramProblem::BadLoader { path: path(), interpreter: "/usr/bin/y".into() },
    ] {
        let name = format!("the launcher found: {problem}");
        let symptom = parse("execvp /usr/bin/x: No such file or directory");
        found.push((name, Symptom { verdict: Verdict::NotExecuted, program: Some(problem), ..symptom }));
    }
    found
}

/// Names of two kinds: what was met, and where.
type Places = BTreeMap<String, BTreeSet<String>>;

/// The hosts that all sandboxes are tried on.
const PLAIN: [&str; 5] = ["nothing known", "machine", "machine's root", "docker", "docker on selinux"];

/// Causes that say little more than the message.
const QUOTING: [Cause; 2] = [Cause::Unexplained, Cause::BindDenied];

/// By what is said.
type Said = BTreeMap<String, Places>;

/// What is held of a cause.
#[derive(Default)]
struct Words {
    found: Said,
    /// The summaries of what helps, in order, and where.
    order: Said,
    /// What each of them says, and where.
    remedies: Said,
}

type Book = BTreeMap<Cause, Words>;

fn add(said: &mut Said, text: String, what: &str, place: &str) {
    said.entry(text).or_default().entry(what.to_owned()).or_default().insert(place.to_owned());
}

fn finding(found: &Finding) -> String {
    let mut text = format!("{}: {}\n", found.confidence, found.summary);
    for evidence in &found.evidence {
        let bearing = match evidence.bearing {
            Bearing::For => "seen:      ",
            Bearing::Against => "against:   ",
            Bearing::Unknown => "not known: ",
        };
        let _ = writeln!(text, "    {bearing}{}", evidence.text);
    }
    for refuted in &found.refuted_by {
        let _ = writeln!(text, "    wrong if:  {refuted}");
    }
    if let Some(operation) = found.operation {
        let _ = writeln!(text, "    about:     operation {operation}");
    }
    text
}

/// Long files, by their names, each told once.
#[derive(Default)]
struct Files(BTreeMap<String, String>);

impl Files {
    fn name(&mut self, path: &std::path::Path, content: &str) -> String {
        let known = self.0.iter().find(|(_, text)| *text == content).map(|(name, _)| name.clone());
        known.unwrap_or_else(|| {
            let name = path.file_name().unwrap().to_string_lossy();
            let number = self.0.keys().filter(|other| other.starts_with(&*name)).count() + 1;
            let name = format!("{name}.{number}");
            self.0.insert(name.clone(), content.to_owned());
            name
        })
    }

    fn remedy(&mut self, remedy: &Remedy) -> String {
        let mut instructions = remedy.instructions();
        let mut long: Vec<_> = remedy.files.iter().map(|file| (&file.path, &file.content)).collect();
        if let Action::AppArmor(profile) = &remedy.action {
            long.push((&profile.path, &profile.text));
        }
        for (path, content) in long {
            if content.lines().count() > 12 && instructions.contains(content.as_str()) {
                let name = self.name(path, content);
                instructions = instructions.replace(content, &format!("[files/{name}]\n"));
            }
        }
        let mut text = format!("{}\n    price: {}\n", remedy.summary, remedy.opens);
        for what in &remedy.requires {
            let _ = writeln!(text, "    needs: {what}");
        }
        for line in instructions.lines() {
            let _ = writeln!(text, "    | {line}");
        }
        text
    }
}

/// What is said of every failure, and foretold, on every host; and by message the causes, the likeliest first.
fn look(book: &mut Book, answers: &mut BTreeMap<String, Said>) {
    let symptoms = symptoms();
    let mistakes: Vec<(Symptom, &str, Sandbox)> =
        mistakes().into_iter().map(|(text, sandbox)| (parse(text), text, sandbox)).collect();
    for (host_name, host) in hosts() {
        let plain = PLAIN.contains(&host_name);
        let mut note = |found: &[Finding], what: &str, sandbox: &str| {
            let codes = found.iter().map(|found| format!("{} {}", found.cause.code(), found.confidence));
            let codes = codes.collect::<Vec<_>>().join(", ");
            add(answers.entry(what.to_owned()).or_default(), codes, host_name, sandbox);
            let told = |found: &&Finding| plain && sandbox == "whole" || !QUOTING.contains(&found.cause);
            for found in found.iter().filter(told) {
                let words = book.entry(found.cause).or_default();
                add(&mut words.found, finding(found), what, &format!("{host_name}\t{sandbox}"));
            }
        };
        for (name, sandbox) in sandboxes() {
            note(&obstacles(&host, sandbox.as_ref(), None), "foretold", name);
            let failed = symptoms.iter().filter(|_| plain || ["whole", "as root"].contains(&name));
            for (what, symptom) in failed {
                note(&explain(&Case::new(Some(symptom), &host, sandbox.as_ref())), what, name);
            }
        }
        for (symptom, text, sandbox) in &mistakes {
            note(&explain(&Case::new(Some(symptom), &host, Some(sandbox))), text, &sandbox.to_string());
        }
    }
}

/// What helps in every setting, whether the cause is likely there or not.
fn advise(book: &mut Book, files: &mut Files) {
    let (symptoms, nowhere) = (symptoms(), Host::default());
    let (whole, as_root, strict) = (whole(), without_user(&whole()), whole().disable_userns());
    // a rule, what failed, and what was asked for: all sandboxes for the first message of each error number
    let mut asked: Vec<(&Rule, Option<&Symptom>, &Sandbox)> = Vec::new();
    let mut rules: Vec<&Rule> = causes::all().collect();
    rules.sort_by_key(|rule| rule.cause);
    for rule in rules {
        asked.extend([&whole, &as_root, &strict].map(|sandbox| (rule, None, sandbox)));
        let mut numbers = BTreeSet::new();
        for (_, symptom) in &symptoms {
            let case = Case::new(Some(symptom), &nowhere, None);
            if rule.explains(&case) {
                asked.push((rule, Some(symptom), &whole));
                if numbers.insert(case.errno()) {
                    asked.extend([&as_root, &strict].map(|sandbox| (rule, Some(symptom), sandbox)));
                }
            }
        }
    }
    // those that no rule is for
    let others = symptoms.iter().filter(|(what, symptom)| {
        let foreign = symptom.messages.iter().any(|message| !message.is_own());
        symptom.program.is_some() || CLUSTER.contains(&what.as_str()) || what == "nothing" || foreign
    });
    let others: Vec<(Symptom, Sandbox)> = mistakes()
        .into_iter()
        .map(|(text, sandbox)| (parse(text), sandbox))
        .chain(others.map(|(_, symptom)| (symptom.clone(), whole.clone())))
        .collect();
    for (setting, platforms) in settings() {
        for (policy, mut host) in policies() {
            host.platforms = match &platforms {
                Fact::Present(platforms) => {
                    Fact::Present(platforms.iter().map(|platform| Sighting::new(*platform, "test")).collect())
                }
                Fact::Absent => Fact::Absent,
                _ => Fact::Unknown,
            };
            let mut seen: BTreeMap<Cause, Vec<Vec<Remedy>>> = BTreeMap::new();
            let mut note = |cause: Cause, remedies: Vec<Remedy>| {
                let seen = seen.entry(cause).or_default();
                if seen.contains(&remedies) {
                    return;
                }
                let words = book.entry(cause).or_default();
                let mut order = String::new();
                for (index, remedy) in remedies.iter().enumerate() {
                    let _ = writeln!(order, "    {}. {}", index + 1, remedy.summary);
                    add(&mut words.remedies, files.remedy(remedy), setting, policy);
                }
                add(&mut words.order, order, setting, policy);
                seen.push(remedies);
            };
            for (rule, symptom, sandbox) in &asked {
                note(rule.cause, rule.remedies(&Case::new(*symptom, &host, Some(sandbox))));
            }
            for (symptom, sandbox) in &others {
                for found in explain(&Case::new(Some(symptom), &host, Some(sandbox))) {
                    note(found.cause, found.remedies);
                }
            }
        }
    }
}

/// `what (where, where)`, and what is met in all places without these.
fn told(places: &Places, all: usize) -> String {
    let parts: Vec<String> = places
        .iter()
        .map(|(what, places)| {
            let places: Vec<&str> = places.iter().map(String::as_str).collect();
            if places.len() == all { what.clone() } else { format!("{what} ({})", places.join(", ")) }
        })
        .collect();
    parts.join("; ")
}

/// Messages that are answered alike on the same hosts, together.
fn alike(places: &Places) -> String {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let (variants, all) = (sandboxes().len(), hosts().len());
    for (what, places) in places {
        let mut by_host = Places::new();
        for place in places {
            let (host, sandbox) = place.split_once('\t').unwrap();
            let sandbox = sandbox.strip_prefix("bwrap ").unwrap_or(sandbox);
            by_host.entry(host.to_owned()).or_default().insert(sandbox.to_owned());
        }
        // a host more must not change every page
        let everywhere = by_host.len() == all;
        let told = if everywhere { "every host".to_owned() } else { told(&by_host, variants) };
        groups.entry(told).or_default().push(what);
    }
    groups.into_iter().fold(String::new(), |mut text, (hosts, messages)| {
        for message in messages {
            let _ = writeln!(text, "  {}", message.replace('\n', "\n  "));
        }
        let _ = writeln!(text, "    on {hosts}");
        text
    })
}

fn page(cause: Cause, words: &Words) -> String {
    let mut text = format!("{cause}\n{}, at the stage: {}\n", cause.name(), cause.stage());
    for (finding, places) in &words.found {
        let _ = write!(text, "\n{finding}{}", alike(places));
    }
    let policies = policies().len();
    let _ = writeln!(text, "\n---- what to do");
    for (order, places) in &words.order {
        let order = if order.is_empty() { "    nothing\n" } else { order };
        let _ = write!(text, "\nin {}:\n{order}", told(places, policies));
    }
    let _ = writeln!(text, "\n---- how");
    for (remedy, places) in &words.remedies {
        let _ = write!(text, "\n{remedy}  in {}\n", told(places, policies));
    }
    text
}

#[test]
fn what_is_said_of_each_cause() {
    let (mut seen, mut advised, mut files, mut answers) =
        (Book::new(), Book::new(), Files::default(), BTreeMap::new());
    std::thread::scope(|scope| {
        scope.spawn(|| look(&mut seen, &mut answers));
        advise(&mut advised, &mut files);
    });
    for (cause, words) in advised {
        let entry = seen.entry(cause).or_default();
        (entry.order, entry.remedies) = (words.order, words.remedies);
    }
    let unseen: Vec<&Cause> = Cause::ALL.iter().filter(|cause| !seen.contains_key(cause)).collect();
    assert!(unseen.is_empty(), "no host here has {unseen:?}");
    let pages = seen.iter().map(|(cause, words)| (format!("{}.txt", cause.code()), page(*cause, words)));
    files::check("causes", &pages.collect(), COMMAND);
    files::check("files", &files.0, COMMAND);
    files::check("answers", &[("messages.txt".to_owned(), index(&answers))].into(), COMMAND);
}

/// By messages: their causes, the likeliest first; before a launch, in the order in which bwrap will meet them.
fn index(answers: &BTreeMap<String, Said>) -> String {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (what, said) in answers {
        // where nothing else is said, only the place's name
        let mut all = Places::new();
        for (place, names) in said.values().flatten() {
            all.entry(place.clone()).or_default().extend(names.clone());
        }
        let alone = |places: &Places| places.iter().filter(|(place, names)| all[*place] == **names).count();
        let most = said.values().map(alone).max().unwrap_or_default();
        let mut told = String::new();
        for (codes, places) in said {
            let others = most > 20 && alone(places) == most;
            let mut parts = if others { vec!["all others".to_owned()] } else { Vec::new() };
            for (place, names) in places {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                match all[place].len() == names.len() {
                    true if others => {}
                    true => parts.push(place.clone()),
                    false => parts.push(format!("{place} ({})", names.join(", "))),
                }
            }
            let codes = if codes.is_empty() { "nothing" } else { codes };
            let _ = writeln!(told, "    {codes}\n        on {}", parts.join("; "));
        }
        groups.entry(told).or_default().push(what);
    }
    let mut groups: Vec<(Vec<&str>, String)> = groups.into_iter().map(|(told, what)| (what, told)).collect();
    groups.sort();
    groups
        .into_iter()
        .fold(String::new(), |text, (what, told)| format!("{text}{}\n{told}\n", what.join("\n")))
}

/// A failed launch on a host, and what is foretold of it.
fn report(message: &str, host: &Host, sandbox: &Sandbox) -> String {
    let mut symptom = parse(message);
    symptom.verdict = Verdict::SetupFailed;
    format!("{}\n==== foretold\n\n{}", diagnose(&symptom, host, Some(sandbox)), predict(host, sandbox))
}

/// The host of the README's report.
fn readme_host() -> Host {
    let mut host = pod();
    host.process.effective = Fact::Present(CapabilitySet(0));
    host.mounts = Fact::Present(mounts(&[
        "1 0 0:1 / / rw,relatime - overlay overlay rw",
        "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
        "3 2 0:3 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw",
        "4 2 0:3 /null /proc/keys rw,nosuid - tmpfs tmpfs rw",
    ]));
    host
}

#[test]
fn whole_reports() {
    const CLONE: &str = "No permissions to create a new namespace, likely because the kernel does not allow non-privileged user \
                         namespaces. On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'.";
    const UID_MAP: &str = "setting up uid map: Permission denied";
    const ROOT: &str = "setting up uid map: Operation not permitted";
    const PROC: &str = "Can't mount proc on /newroot/proc: Operation not permitted";
    const LOOPBACK: &str = "loopback: Failed RTM_NEWADDR: Operation not permitted";
    let named: BTreeMap<&str, Host> = hosts().into_iter().collect();
    let host = |name: &str| named[name].clone();
    let everything = whole();
    let broken = Sandbox::new().ro_bind("/usr", "/usr").ro_bind("/opt/tools", "/opt/tools");
    let reports = [
        ("docker", report(CLONE, &docker(), &everything)),
        (
            "docker, root without a user namespace",
            report(
                "Creating new namespace failed: Operation not permitted",
                &docker(),
                &without_user(&everything),
            ),
        ),
        ("nothing known", report(PROC, &Host::default(), &everything)),
        ("pod, proc", report(PROC, &pod(), &everything)),
        ("pod, id map", report(ROOT, &readme_host(), &everything)),
        ("ubuntu", report(LOOPBACK, &host("ubuntu, no profiles"), &everything)),
        (
            "ubuntu, shared network",
            report(UID_MAP, &host("ubuntu, no profiles"), &everything.clone().share_net()),
        ),
        (
            "selinux",
            report(
                "Can't mount proc on /newroot/proc: Permission denied",
                &host("docker on selinux"),
                &everything,
            ),
        ),
        ("switched off", report(CLONE, &host("switched off"), &everything)),
        ("unit", report(CLONE, &host("unit"), &everything)),
        ("landlock", report(UID_MAP, &host("landlocked"), &everything)),
        (
            "full control group",
            report(
                "Creating new namespace failed: Resource temporarily unavailable",
                &host("full control group"),
                &everything,
            ),
        ),
        ("old bwrap", report("Unknown option --overlay", &host("old bwrap"), &broken)),
        (
            "missing source",
            report("Can't find source path /opt/tools: No such file or directory", &machine(), &broken),
        ),
        ("a message nobody knows", report("the moon is full", &machine(), &everything)),
    ];
    let reports = reports
        .into_iter()
        .map(|(name, text)| (format!("{}.txt", name.replace(", ", "-").replace(' ', "-")), text));
    files::check("reports", &reports.collect(), COMMAND);
}

/// What `bwrap-doctor run` prints, but for its last line.
#[test]
fn the_report_in_the_readme() {
    let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all().proc("/proc").dev("/dev");
    let mut symptom = parse("setting up uid map: Operation not permitted");
    symptom.verdict = Verdict::SetupFailed;
    let block = format!("{}...\n", diagnose(&symptom, &readme_host(), Some(&sandbox)).brief());
    let after = "$ bwrap-doctor run -- --ro-bind / / --unshare-all --proc /proc --dev /dev make\n";
    files::check_block("README.md", after, "```", &block, COMMAND);
}

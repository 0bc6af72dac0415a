//! Names that mean harm, in every field that comes from elsewhere: of a host, of a message, of a sandbox. What is said of them is
//! text, and what is to be typed runs nothing else, has no line of theirs, and takes none of them for an option: pasted into dash,
//! bash and busybox, in a sandbox whose commands are stubs.
//!
//! `BWRAP_LAUNCH_FUZZ` multiplies the number of cases, `BWRAP_LAUNCH_SEED` changes them: see `make fuzz`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use bwrap_launch::diagnosis::{Action, Symptom, Verdict, diagnose, predict};
use bwrap_launch::host::Host;
use bwrap_launch::{Bwrap, ProgramProblem, Sandbox};
use serde_json::{Value, json};

mod seeded;
#[path = "hostile/shells.rs"]
mod shells;

use seeded::{Numbers, factor};
use shells::{SHELLS, paste};

/// What creates this file was not quoted; an argument that begins with a dash and holds EVIL was taken for an option.
const PAYLOADS: &[&str] = &[
    "a';>/canary/x;'",
    "a\";>/canary/x;\"",
    "$(>/canary/x)",
    "`>/canary/x`",
    "a\n>/canary/x\n",
    "a\r\n>/canary/x",
    "EOF\n>/canary/x\nEOF",
    "a;>/canary/x",
    "a|>/canary/x",
    "a&>/canary/x",
    "-EVIL",
    "--EVIL",
    "-rEVIL ;>/canary/x",
    "a\u{2028}>/canary/x",
    "a\u{85}>/canary/x",
    "\\';>/canary/x;\\'",
    "'$(>/canary/x)'",
    "\u{202e}>/canary/x",
    "\u{2066}x\u{2069}",
    "a\u{1b}]0;x\u{7}",
    "a\u{1}';>/canary/x;'",
    "a\u{1}$(>/canary/x)",
    "a\u{1}`>/canary/x`",
    "a\\\u{1}'\";>/canary/x;\"",
    "%s%n\u{1}';>/canary/x;'",
    "# \n>/canary/x",
    "{a,b}",
    "*",
    "~",
    "a b",
    "\t>/canary/x",
    "x\\\n>/canary/x",
    "é\n>/canary/x",
    "$IFS>/canary/x",
    "\u{200b}",
    ")>/canary/x;(",
    "\"\n>/canary/x\n\"",
    "'\n>/canary/x\n'",
    "",
];

const PLATFORMS: &[&str] = &[
    "kubernetes",
    "open-shift",
    "docker",
    "podman",
    "containerd",
    "cri-o",
    "lxc",
    "nspawn",
    "flatpak",
    "git-hub-actions",
    "git-lab-ci",
    "systemd-unit",
    "chroot",
    "bubblewrap",
    "container",
    "wsl2",
    "",
    "unknown",
];

/// Every message that bwrap has.
fn messages() -> Vec<String> {
    let table = include_str!("data/bwrap-messages.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// A host whose every name is the payload.
fn host(base: &Value, payload: &str, platform: &str, path: &str, numbers: &mut Numbers) -> Option<Host> {
    let p = payload;
    let mut v = base.clone();
    v["platforms"] = match platform {
        "" => "absent".into(),
        "unknown" => "unknown".into(),
        _ => json!({ "present": [{ "platform": platform, "evidence": p }] }),
    };
    let label = match numbers.below(4) {
        0 => format!("{p} (enforce)"),
        1 => format!("system_u:system_r:{p}:s0"),
        2 => "unprivileged_userns (enforce)".into(),
        _ => "system_u:system_r:container_t:s0".to_owned(),
    };
    v["security"]["label"] = json!({ "present": label });
    v["security"]["apparmor_label"] = json!({ "present": format!("{p} (enforce)") });
    let group = match numbers.below(3) {
        0 => format!("/system.slice/{p}.service"),
        1 => format!("/user.slice/user@1000.service/app.slice/{p}.service"),
        _ => format!("/{p}"),
    };
    v["cgroup"]["paths"] = json!({ "present": [group] });
    v["cgroup"]["pids"] =
        json!({ "present": { "directory": format!("/sys/fs/cgroup/{p}.service"), "max": 2, "current": 2 } });
    v["distribution"] = json!({ "present": { "id": "ubuntu", "version": p } });
    let coin = |numbers: &mut Numbers| numbers.below(2) == 0;
    if coin(numbers) {
        v["bwrap"]["present"]["path"] = path.into();
        v["bwrap"]["present"]["real_path"] = path.into();
    }
    v["bwrap"]["present"]["file_capabilities"] = coin(numbers).into();
    v["bwrap"]["present"]["setuid"] = coin(numbers).into();
    v["bwrap"]["present"]["version"] = if coin(numbers) { p.into() } else { "0.8.0".into() };
    v["process"]["uid"] = json!({ "present": numbers.below(2) * 1000 });
    v["process"]["real_uid"] = v["process"]["uid"].clone();
    if coin(numbers) {
        v["process"]["effective"] = json!({ "present": "0000000000000000" });
        v["process"]["ambient"] = json!({ "present": "00000000000000ff" });
    }
    if let Some(mounts) = v["mounts"]["present"].as_array_mut() {
        let points = [format!("/proc/{p}"), path.to_owned(), format!("/proc/sys/{p}"), "/proc/kcore".into()];
        for (index, point) in points.into_iter().enumerate() {
            let mut mount = mounts[0].clone();
            mount["id"] = (900 + index).into();
            mount["parent"] = mounts[0]["id"].clone();
            mount["point"] = point.into();
            let filesystem = ["proc", "tmpfs", "fuse.lxcfs", "nfs", p][numbers.index(5)];
            mount["filesystem"] = filesystem.into();
            mount["source"] = p.into();
            mount["root"] = "/".into();
            mount["options"] = json!(["ro", "noexec", p]);
            mounts.push(mount);
        }
    }
    for (name, value) in [
        ("kernel.unprivileged_userns_clone", "0"),
        ("user.max_user_namespaces", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
    ] {
        v["sysctls"][name] = json!({ "present": if coin(numbers) { value } else { p } });
    }
    serde_json::from_value(v).ok()
}

/// A sandbox whose every path is the payload.
fn sandbox(path: &str) -> Option<Sandbox> {
    let destination = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let (q, d) = (path, destination.as_str());
    let below = format!("{d}/sub");
    let words = [
        "--unshare-all",
        "--ro-bind",
        q,
        d,
        "--proc",
        d,
        "--dev",
        d,
        "--tmpfs",
        d,
        "--bind",
        q,
        d,
        "--dir",
        d,
        "--symlink",
        q,
        d,
        "--chdir",
        q,
        "--exec-label",
        q,
        "--file-label",
        q,
        "--lock-file",
        q,
        "--bind",
        q,
        &below,
        "--ro-bind",
        "/",
        "/",
        "--setenv",
        "PATH",
        q,
        "--chmod",
        "0700",
        d,
        "--remount-ro",
        d,
    ];
    Sandbox::from_args(words).ok()
}

fn symptoms(path: &str, all: &[String], numbers: &mut Numbers) -> Vec<Symptom> {
    let mut symptoms = Vec::new();
    for message in all {
        if numbers.below(6) > 0 {
            continue;
        }
        // every path in it becomes ours
        let mut hostile = String::new();
        let mut rest = message.as_str();
        while let Some(at) = rest.find(['/', '%']) {
            hostile.push_str(&rest[..at]);
            hostile.push_str(path);
            let end = rest[at..].find([' ', ':', '"', '\'']).map_or(rest.len(), |end| at + end);
            rest = &rest[end..];
        }
        hostile.push_str(rest);
        symptoms.push(Symptom::from_text(format!("bwrap: {hostile}\n").as_bytes()));
    }
    let q = || std::path::PathBuf::from(path);
    for problem in [
        ProgramProblem::NotFound { program: q(), searched: vec![q()] },
        ProgramProblem::NotExecutable { path: q(), mode: 0o644 },
        ProgramProblem::IsDirectory(q()),
        ProgramProblem::Noexec(q()),
        ProgramProblem::LoaderMissing { path: q(), interpreter: q(), bind: Some(q()) },
        ProgramProblem::InterpreterMissing { path: q(), interpreter: q(), bind: None },
        ProgramProblem::CarriageReturn { path: q(), interpreter: q() },
        ProgramProblem::DanglingLink { path: q(), link: q(), target: q(), broken: true },
        ProgramProblem::NotSearchable { path: q(), directory: q(), mode: 0 },
        ProgramProblem::Busy(q()),
        ProgramProblem::ShellMissing(q()),
    ] {
        let mut symptom = Symptom::default();
        symptom.verdict = Verdict::NotExecuted;
        symptom.program = Some(problem);
        symptoms.push(symptom);
    }
    symptoms
}

/// What a terminal obeys, or nobody sees.
fn hides(text: &str) -> bool {
    text.chars().any(|c| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    })
}

/// A line that begins as a payload's does.
fn has_foreign_line(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with(">/canary"))
}

/// What was wrong, by cause and kind of action: an example of each.
type Wrong = BTreeMap<String, String>;

/// All that is said in so many cases: what is wrong with it, and the blocks to type.
fn said(rounds: usize) -> (Wrong, BTreeMap<String, String>) {
    let bwrap = Bwrap::find().expect("bwrap is installed; `make test` does that");
    let base = serde_json::to_value(Host::snapshot_for(bwrap.path(), bwrap.version_text())).unwrap();
    let (all, mut numbers) = (messages(), Numbers::seeded(7));
    let (mut wrong, mut blocks) = (Wrong::new(), BTreeMap::new());
    let mut reports = 0;
    for round in 0..rounds {
        let (payload, platform) =
            (PAYLOADS[round % PAYLOADS.len()], PLATFORMS[numbers.index(PLATFORMS.len())]);
        let path = match numbers.below(3) {
            0 => format!("/{payload}"),
            1 => payload.to_owned(),
            _ => format!("/opt/{payload}/x"),
        };
        let path = if path.is_empty() { "/e".to_owned() } else { path };
        let Some(host) = host(&base, payload, platform, &path, &mut numbers) else { continue };
        let sandbox = sandbox(&path);
        let mut check =
            |report: String, findings: &mut dyn Iterator<Item = &bwrap_launch::diagnosis::Finding>| {
                reports += 1;
                if hides(&report) {
                    wrong.entry("a report hides something".into()).or_insert_with(|| report.clone());
                }
                if has_foreign_line(&report) {
                    wrong.entry("a report has a foreign line".into()).or_insert_with(|| report.clone());
                }
                for finding in findings {
                    for remedy in &finding.remedies {
                        let instructions = remedy.instructions();
                        let kind = format!("{:?}", remedy.action);
                        let kind = kind.split(['(', ' ', '{']).next().unwrap();
                        let place = format!("{} {kind}", finding.cause.code());
                        if hides(&instructions) || hides(&remedy.summary) {
                            wrong
                                .entry(format!("{place}: hides something"))
                                .or_insert_with(|| instructions.clone());
                        }
                        if has_foreign_line(&instructions) || remedy.summary.contains('\n') {
                            wrong
                                .entry(format!("{place}: has a foreign line"))
                                .or_insert_with(|| instructions.clone());
                        }
                        if !matches!(remedy.action, Action::Sandbox(_) | Action::Manual(_)) {
                            blocks.entry(instructions).or_insert(place);
                        }
                    }
                }
            };
        for symptom in symptoms(&path, &all, &mut numbers) {
            let with = if numbers.below(2) == 0 { sandbox.as_ref() } else { None };
            let diagnosis = diagnose(&symptom, &host, with);
            check(diagnosis.to_string(), &mut diagnosis.causes.iter().chain(&diagnosis.foreseen));
        }
        if let Some(sandbox) = &sandbox {
            let prediction = predict(&host, sandbox);
            check(prediction.to_string(), &mut prediction.obstacles.iter());
            let line = sandbox.to_string();
            if hides(&line) || line.contains('\n') {
                wrong.entry("Display of a sandbox: hides something".into()).or_insert_with(|| line.clone());
            }
            blocks.entry(line).or_insert("Display of a sandbox".into());
        }
    }
    println!("{reports} reports, {} different blocks to type", blocks.len());
    assert!(
        reports > rounds && blocks.len() > 50,
        "{reports} reports of {rounds} rounds, {} blocks",
        blocks.len()
    );
    (wrong, blocks)
}

/// A block that runs something is found: the trap works.
#[test]
fn the_trap_catches() {
    // no applet of busybox, which may prefer its own to what is in PATH
    let blocks = ["docker -EVIL", "docker -- -EVIL", "docker a';>/canary/x;'", "docker a;>/canary/x"];
    for shell in SHELLS {
        let caught = paste(shell, &blocks);
        assert_eq!(caught, [(0, "/canary/option".into()), (3, "/canary/x".into())], "{shell}");
    }
}

#[test]
fn names_are_no_lines_no_commands_and_no_options() {
    let (mut wrong, blocks) = said(60 * factor());
    let texts: Vec<&str> = blocks.keys().map(String::as_str).collect();
    let most = 300 * factor();
    let step = (texts.len() / most).max(1);
    let texts: Vec<&str> = texts.into_iter().step_by(step).collect();
    for shell in SHELLS {
        if !std::path::Path::new(shell.split(' ').next().unwrap()).exists() {
            println!("{shell} is not here");
            continue;
        }
        for (number, found) in paste(shell, &texts) {
            let (text, place) = (texts[number], &blocks[texts[number]]);
            wrong
                .entry(format!("{place}: pasted into {shell} makes {found}"))
                .or_insert_with(|| text.to_owned());
        }
    }
    let list: Vec<String> = wrong.iter().map(|(what, example)| format!("{what}\n{example:?}")).collect();
    assert!(wrong.is_empty(), "{} kinds of faults:\n{}", list.len(), list.join("\n\n"));
}

/// What is on the way of a launch, and of who looks at its results, says so in one visible line, whatever the names are that it
/// met: a file's that a command made, a bwrap's, and what that prints.
#[test]
fn errors_are_one_visible_line() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use bwrap_launch::{Results, profile};

    let mut wrong = Vec::new();
    let mut count = 0;
    let mut check = |what: &str, error: &dyn std::fmt::Display| {
        let text = error.to_string();
        count += 1;
        if hides(&text) || text.contains('\n') {
            wrong.push(format!("{what}: {text:?}"));
        }
    };
    let names = PAYLOADS.iter().filter(|name| !name.is_empty() && !name.contains(['\0', '/']));
    for name in names.copied().chain(["a\x1b[2Jb", "a\nb", "a\u{202e}b", "a\u{9b}b\u{7}"]) {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join(name);
        let results = Results::below(directory.path()).unwrap();
        check("a result that is not there", &results.open(name).unwrap_err());
        check("results that are not there", &Results::below(&at).unwrap_err());
        check("a bwrap that is not there", &Bwrap::at(&at).unwrap_err());
        check("a relative bwrap", &Bwrap::at(name).unwrap_err());
        check("a project that is not there", &profile::agent::in_project(&at).unwrap_err());
        check("a rootfs that is not there", &profile::ci::on_rootfs(&at, &at).unwrap_err());
        symlink("/etc/passwd", &at).unwrap();
        check("a result that is a link", &results.open(name).unwrap_err());
        std::fs::remove_file(&at).unwrap();
        std::fs::create_dir(&at).unwrap();
        check("a result that is a directory", &results.open(name).unwrap_err());
        check("a project without .git", &profile::agent::in_project(&at).unwrap_err());
        check("a rootfs without anything", &profile::ci::on_rootfs(&at, &at).unwrap_err());
        symlink("/", at.join(".git")).unwrap();
        check("a project with a link", &profile::agent::in_project(&at).unwrap_err());
        std::fs::remove_dir_all(&at).unwrap();
        std::fs::write(&at, "two").unwrap();
        check("a result that is too large", &results.read(name, 1).unwrap_err());
        check("a result that is no directory", &results.directory(name).unwrap_err());
        check("a bwrap that is not executable", &Bwrap::at(&at).unwrap_err());
        for body in [
            "printf '%s' \"$0\"",
            "printf 'bwrap: %s: Operation not permitted\\n' \"$0\" >&2; exit 1",
            "[ \"$1\" = --version ] && yes \"bubblewrap $0\" | head -n 100000 || bwrap --help | grep -v level-prefix",
            "[ \"$1\" = --version ] && echo bubblewrap \"$0\" || bwrap --help | grep -v level-prefix",
        ] {
            std::fs::write(&at, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o755)).unwrap();
            match Bwrap::at(&at) {
                Err(error) => check("no bwrap", &error),
                Ok(bwrap) => {
                    check("a version", &bwrap.version_text());
                    assert!(
                        bwrap.version_text().len() < 1000,
                        "a version of {} bytes",
                        bwrap.version_text().len()
                    );
                    let mut command = Sandbox::new().ro_bind("/", "/").level_prefix().command("true");
                    check("an old bwrap", &command.bwrap(&bwrap).status().unwrap_err());
                }
            }
        }
        for sandbox in [
            Sandbox::new().ro_bind("", at.join("sub")),
            Sandbox::new().ro_bind("/", "/").env(format!("{name}="), name),
            Sandbox::new().ro_bind("/", "/").tmpfs(at.join("..")).symlink("", &at),
        ] {
            if let Err(error) = sandbox.check() {
                check("what cannot be said to bwrap", &error);
            }
        }
        check("what bwrap does not know", &Sandbox::from_args([format!("--{name}")]).unwrap_err());
    }
    assert!(count > 250, "only {count}");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

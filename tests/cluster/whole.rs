//! On the node: what is about more than one pod of the table.

use std::collections::BTreeMap;
use std::fs;

use bwrap_launch::diagnosis::Cause;
use serde_json::Value;

use crate::cases::{Runtime, rows};
use crate::generated;
use crate::kubectl::{Ended, Pod, json, run, shell, written};
use crate::node::{DOCTOR, NODE, Node, Report, ensure, is_alone, line, tried};
use crate::seeded::Numbers;

/// The pod of the first brief, whose image is not fetched here; CONTEXT is its security context.
const STORY: &str = r#"apiVersion: v1
kind: Pod
metadata:
  name: test-bwrap
spec:
  containers:
  - name: test
    image: quay.io/zuul-ci/zuul-executor
    imagePullPolicy: Never
    command: ["/bin/sleep", "infinity"]
    securityContext: CONTEXT
"#;

/// The pod that it ends with.
const END: &str = r#"apiVersion: v1
kind: Pod
metadata:
  name: test-end
spec:
  hostUsers: false
  containers:
  - name: test
    image: quay.io/zuul-ci/zuul-executor
    imagePullPolicy: Never
    command: ["/bin/sleep", "infinity"]
    securityContext:
      procMount: Unmasked
      capabilities:
        add: ["SETFCAP"]
"#;

const UID_MAP: &str = "bwrap: setting up uid map: Operation not permitted";
const PROC: &str = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted";
const PROC_DENIED: &str = "bwrap: Can't mount proc on /newroot/proc: Permission denied";

/// So many security contexts are generated.
const GENERATED: usize = 50;

/// Loads a module of SELinux's that is printed for the node: what `semodule -i` comes to, which takes minutes in a guest.
fn load(module: &str) -> Result<(), String> {
    let file = "/run/cluster/home/bwrap-printed.cil";
    fs::write(file, module).unwrap();
    shell(&format!("load-selinux {file}")).map(drop)
}

impl Node {
    /// What bwrap says, step by step, where each step changes what our report printed and nothing else.
    pub(crate) fn story(&self, report: &mut Report) -> Result<(), String> {
        let context = match self.runtime {
            // as CRI-O has it by itself
            Runtime::Containerd | Runtime::Selinux => r#"{capabilities: {drop: ["SETFCAP"]}}"#,
            Runtime::CriO => "{}",
        };
        let mut pod = Pod::applied(&STORY.replace("CONTEXT", context), "test-bwrap", "test-bwrap")?;
        let run_line = |pod: &Pod, line: &[&str]| pod.exec(&[&["bwrap"], line].concat());
        let printed = |pod: &Pod| {
            let words = [&["bwrap-doctor", "run", "--format", "json", "--"], &line()[..]].concat();
            json(&pod.exec(&words).stderr)
        };
        let causes = |report: &Value| report["diagnosis"]["causes"][0].clone();
        // SELinux is asked before the kernel looks at masks
        let denied = (self.runtime == Runtime::Selinux).then_some((PROC_DENIED, Cause::SelinuxDeniesProc));
        let steps = [Some((UID_MAP, Cause::MissingSetfcap)), denied, Some((PROC, Cause::MaskedProc))];
        for (said, code) in steps.into_iter().flatten() {
            let ended = run_line(&pod, &line());
            report.notes.push(ended.stderr.trim_end().to_owned());
            ensure(ended.status == Some(1) && ended.stderr.starts_with(said), || {
                format!("{said}: {ended:?}")
            })?;
            let cause = causes(&printed(&pod)?);
            ensure(cause["code"] == code.code(), || format!("{code} was expected: {cause:#}"))?;
            let remedy = &cause["remedies"][0];
            report.notes.push(remedy["summary"].to_string());
            match remedy["action"]["selinux"]["cil"].as_str() {
                Some(module) => load(module)?,
                None => pod.apply_printed(remedy["instructions"].as_str().unwrap_or_default())?,
            }
        }
        let ended = run_line(&pod, &line());
        if self.runtime != Runtime::CriO {
            report.notes.push(ended.stdout.clone());
            ensure(is_alone(&ended), || format!("{ended:?}"))?;
            let end = Pod::applied(END, "test-end", "test-end")?;
            let ended = run_line(&end, &line());
            return ensure(is_alone(&ended), || format!("as the brief ends: {ended:?}"));
        }
        // masks that no pod lifts are named as CRI-O's own fault, and what is printed for them works
        ensure(ended.stderr.starts_with(PROC), || format!("{ended:?}"))?;
        let cause = causes(&printed(&pod)?);
        report.notes.push(cause["summary"].to_string());
        ensure(cause["code"] == Cause::UnmaskedProcMasked.code(), || format!("{cause:#}"))?;
        let remedies = cause["remedies"].as_array().cloned().unwrap_or_default();
        ensure(remedies[0]["instructions"].to_string().contains("1.33.2"), || format!("{cause:#}"))?;
        let mut shown = false;
        for remedy in &remedies[1..] {
            let instructions = remedy["instructions"].as_str().unwrap_or_default();
            let changed =
                as_printed(instructions).ok_or_else(|| format!("no change of the line: {remedy:#}"))?;
            let words: Vec<&str> = changed.iter().map(String::as_str).collect();
            let ended = run_line(&pod, &words);
            report.notes.push(format!("{} -> {} {}", remedy["summary"], ended.stdout, ended.stderr));
            ensure(!ended.stderr.contains("bwrap: "), || format!("{changed:?}: {ended:?}"))?;
            shown |= ended.status == Some(0) && ended.stdout.contains("ps afx");
            // with the outer /proc ps finds nothing about itself: that is its price
            if ended.status != Some(0) {
                let price = remedy["opens"].as_str().unwrap_or_default();
                ensure(price.contains("ps"), || format!("the price does not say that ps fails: {price}"))?;
            }
        }
        ensure(shown, || format!("ps shows nothing with any of them: {:#?}", report.notes))
    }

    /// What the API server admits under each level, by a dry run, is what we say.
    pub(crate) fn standards(&self, report: &mut Report) -> Result<(), String> {
        let mut pods: BTreeMap<String, String> = BTreeMap::new();
        for row in rows(self.runtime) {
            pods.insert(row.pod.to_owned(), row.manifest.to_owned());
            // and with our patch
            let name = format!("patched-{}", row.pod);
            let file = written(row.manifest, row.pod, &name);
            let (text, patch) = self.printed_patch(&file)?;
            if !text.contains("nothing in it is to be changed") {
                let (from, patch) = (file.display(), patch.display());
                let changed = shell(&format!(
                    "kubectl patch --local -f {from} --type strategic --patch-file {patch} -o yaml"
                ))?;
                pods.insert(name.clone(), changed);
            }
        }
        let mut numbers = Numbers::seeded(0x7073);
        for number in 0..GENERATED {
            let name = format!("generated-{number}");
            let pod = generated::pod(&name, &mut numbers);
            // what the API server refuses everywhere says nothing of a level
            let spec = &pod["spec"];
            let context = &spec["containers"][0]["securityContext"];
            if context["procMount"].is_null() || spec["hostUsers"] == false {
                pods.insert(name, pod.to_string());
            }
        }
        let file = "/run/cluster/home/standards.yaml";
        let all: Vec<&str> = pods.values().map(String::as_str).collect();
        fs::write(file, all.join("\n---\n")).unwrap();
        let mut wrong = Vec::new();
        for version in ["1.34", "1.35", "latest"] {
            let kubernetes = if version == "latest" { "1.37" } else { version };
            let options =
                ["--runtime", self.runtime.versioned(), "--kubernetes", kubernetes, "--node", NODE, file];
            let said = run(&[&[DOCTOR, "pod", "--format", "json"], &options[..]].concat());
            let said = json(&said.stdout)?;
            let said: BTreeMap<&str, &str> = said["containers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| {
                    Some((one["workload"].as_str()?.strip_prefix("Pod/")?, one["standard"].as_str()?))
                })
                .collect();
            for level in ["baseline", "restricted"] {
                let labels = format!(
                    "pod-security.kubernetes.io/enforce={level} pod-security.kubernetes.io/enforce-version="
                );
                let number = if version == "latest" { version.to_owned() } else { format!("v{version}") };
                let space = format!("{level}-{}", version.replace('.', "-"));
                shell(&format!(
                    "kubectl create namespace {space}; kubectl label namespace {space} {labels}{number}"
                ))?;
                let ended = admitted(&space, file)?;
                for name in pods.keys() {
                    let real = ended.stdout.contains(&format!("pod/{name} created"));
                    let ours = match said.get(name.as_str()) {
                        Some(&"restricted") => true,
                        Some(&"baseline") => level == "baseline",
                        Some(&"privileged") => false,
                        other => return Err(format!("{name}: {other:?}")),
                    };
                    if real != ours {
                        let why = ended.stderr.lines().find(|line| line.contains(&format!("\"{name}\"")));
                        wrong.push(format!("{name}, {level} {version}: {real}, and we say {ours}: {why:?}"));
                    }
                }
                report.notes.push(format!("{space}: {} of {}", ended.stdout.lines().count(), pods.len()));
            }
        }
        ensure(wrong.is_empty(), || wrong.join("\n"))
    }

    /// The programs of this crate, in a pod that lets sandboxes be.
    pub(crate) fn programs(&self, report: &mut Report) -> Result<(), String> {
        let name = if self.runtime == Runtime::Containerd { "userns-unmasked-user" } else { "user" };
        let row = rows(self.runtime).into_iter().find(|row| row.pod == name).unwrap();
        let pod = Pod::applied(row.manifest, row.pod, "programs")?;
        let mut run = |words: &[&str]| {
            let ended = pod.exec(words);
            report.notes.push(format!("{words:?}: {ended:?}"));
            ended
        };
        let said = |words: &[&str], ended: &Ended| format!("{words:?}: {ended:?}");
        for words in [
            &["bwrap-doctor", "--version"][..],
            &["bwrap-doctor", "host"],
            &["bwrap-doctor", "explain", "PR01"],
            &["why"],
        ] {
            let ended = run(words);
            ensure(ended.status == Some(0), || said(words, &ended))?;
        }
        let ended = run(&["ps_afx"]);
        let ran = match self.runtime {
            Runtime::Containerd | Runtime::Selinux => is_alone(&ended),
            // our report, with the cause
            Runtime::CriO => ended.status == Some(125) && ended.stderr.contains(Cause::MaskedProc.code()),
        };
        ensure(ran, || said(&["ps_afx"], &ended))?;
        // as an executor of Zuul runs a playbook; it takes an ssh-agent's socket only if there is one
        run(&["sh", "-c", "mkdir -p /tmp/work /tmp/home"]);
        let words = ["zuul_bwrap", "--", "/tmp/work", "/tmp/home", "sh", "-c", "exit 7"];
        let ended = run(&words);
        let wanted = if self.runtime == Runtime::Containerd { 7 } else { 125 };
        ensure(ended.status == Some(wanted), || said(&words, &ended))
    }

    /// Foretold of security contexts that nobody wrote, and seen.
    pub(crate) fn generated(&self, report: &mut Report) -> Result<(), String> {
        let mut numbers = Numbers::seeded(0x706f_6473);
        let (mut wrong, mut counts) = (Vec::new(), BTreeMap::<String, usize>::new());
        let numbers: Vec<Value> =
            (0..GENERATED).map(|number| generated::pod(&format!("made-{number}"), &mut numbers)).collect();
        // a few at a time: nodes have room for 110
        for some in numbers.chunks(10) {
            let file = std::path::Path::new("/run/cluster/home/generated.json");
            let all: Vec<String> = some.iter().map(Value::to_string).collect();
            fs::write(file, all.join("\n---\n")).unwrap();
            let foretold = self.foretold(file)?;
            let ended = run(&["kubectl", "apply", "-f", file.to_str().unwrap()]);
            for pod in some {
                let name = pod["metadata"]["name"].as_str().unwrap();
                let forecast = foretold.get(name).ok_or("not foretold")?;
                let answer = forecast["answer"].as_str().unwrap_or_default();
                let pod_here = Pod { name: name.to_owned(), file: file.to_owned() };
                let (seen, right) = if !ended.stdout.contains(&format!("pod/{name} created")) {
                    ("refused".to_owned(), answer == "not-started")
                } else if answer == "not-started" {
                    let reason = pod_here.not_started("CreateContainerConfigError");
                    let right = reason.is_ok() || pod_here.not_started("CreateContainerError").is_ok();
                    ("not started".to_owned(), right)
                } else {
                    match pod_here.ready().and_then(|()| tried(&pod_here, &[], &line())) {
                        Ok(now) => {
                            let held = self.hold(forecast, &now);
                            let seen = if now.started() { "starts" } else { now.cause() };
                            (format!("{seen} {}", held.clone().err().unwrap_or_default()), held.is_ok())
                        }
                        Err(error) => (error, false),
                    }
                };
                if right {
                    *counts.entry(seen.trim_end().to_owned()).or_default() += 1;
                } else {
                    wrong.push(format!("{pod}: foretold {answer}, seen {seen}"));
                }
            }
        }
        report.notes = counts.iter().map(|(seen, count)| format!("{seen}: {count}")).collect();
        ensure(wrong.is_empty(), || wrong.join("\n"))
    }
}

/// What a namespace lets in.
fn admitted(space: &str, file: &str) -> Result<Ended, String> {
    let ended = run(&["kubectl", "apply", "--dry-run=server", "--namespace", space, "-f", file]);
    // what is refused is said; anything else is an error of ours
    let strange = |line: &&str| {
        !line.trim().is_empty()
            && !line.contains("is forbidden: violates PodSecurity")
            && !line.starts_with("Warning:")
    };
    match ended.stderr.lines().find(strange) {
        Some(line) => Err(format!("{space}: {line}")),
        None => Ok(ended),
    }
}

/// The line, changed as a remedy prints it: `bwrap: NEW instead of OLD`, and perhaps `, and no WORD`.
fn as_printed(instructions: &str) -> Option<Vec<String>> {
    let change = instructions.lines().find_map(|line| line.strip_prefix("bwrap: "))?;
    let (new, old) = change.split_once(" instead of ")?;
    let (old, without) = old.split_once(", and no ").unwrap_or((old, ""));
    let line = line().join(" ");
    if !line.contains(old) {
        return None;
    }
    let changed = line.replacen(old, new, 1);
    Some(changed.split_whitespace().filter(|word| *word != without).map(str::to_owned).collect())
}

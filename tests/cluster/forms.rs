//! On the node: the change of a manifest in its other forms (JSON Patch, kustomize, the file itself), applied as they say.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cases::{Row, Runtime};
use crate::kubectl::{Ended, HOME, NOT_IN_ITS_PLACE, Pod, run, shell, written};
use crate::node::{DOCTOR, KUBERNETES, NODE, Node, Report, ensure, is_alone, line, line_of};

/// What makes pods; NAME is its own.
const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
spec:
  selector:
    matchLabels: {app: NAME}
  template:
    metadata:
      labels: {app: NAME}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: test
        image: localhost/executor:local
        command: [/bin/sleep, infinity]
";

/// Resources of others: kind, group and version, and what Kubernetes calls several of them.
const CUSTOM: &[(&str, &str, &str)] = &[
    ("AutoscalingRunnerSet", "actions.github.com/v1alpha1", "autoscalingrunnersets"),
    ("Rollout", "argoproj.io/v1alpha1", "rollouts"),
];

const NOTHING: &str = "nothing in it is to be changed";

impl Node {
    /// A line that a change of the pod can make start with this runtime.
    fn startable(&self) -> Vec<&'static str> {
        if self.runtime != Runtime::CriO {
            return line();
        }
        // masks stay there
        let mut words = line_of("true");
        let proc = words.iter().position(|word| *word == "--proc").unwrap();
        words.splice(proc..=proc, ["--ro-bind", "/proc"]);
        words
    }

    fn ran(&self, ended: &Ended) -> Result<(), String> {
        let right = if self.runtime == Runtime::CriO { ended.status == Some(0) } else { is_alone(ended) };
        ensure(right, || format!("{ended:?}"))
    }

    fn starts(&self, pod: &Pod) -> Result<(), String> {
        self.ran(&pod.exec(&[&["bwrap"], &self.startable()[..]].concat()))
    }

    fn doctor(&self, what: &[&str], file: &Path, line: &[&str]) -> Ended {
        let options = ["--runtime", self.runtime.versioned(), "--kubernetes", KUBERNETES, "--node", NODE];
        let file = [file.to_str().unwrap(), "--"];
        run(&[&[DOCTOR, "pod"], what, &options[..], &file, line].concat())
    }

    /// What `bwrap-doctor pod --patch` prints in a form, beside the manifest.
    fn printed(&self, form: &str, file: &Path) -> Result<(String, std::path::PathBuf), String> {
        let ended = self.doctor(&["--patch", "--patch-type", form], file, &self.startable());
        ensure(ended.status == Some(0) && ended.stderr.is_empty(), || format!("{ended:?}"))?;
        let patch = file.with_extension(form);
        fs::write(&patch, &ended.stdout).unwrap();
        Ok((ended.stdout, patch))
    }

    /// A pod of the table, by each form.
    pub(crate) fn forms(&self, row: &Row, report: &mut Report) -> Result<(), String> {
        let manifest = |form: &str| written(row.manifest, row.pod, &format!("{form}-{}", row.pod));
        let pod = |form: &str| Pod { name: format!("{form}-{}", row.pod), file: manifest(form) };

        let mut by_json = pod("json");
        let (text, patch) = self.printed("json", &by_json.file)?;
        ensure(text.contains(NOT_IN_ITS_PLACE), || format!("it is applied otherwise: {text}"))?;
        by_json.patch(&patch, "json")?;
        self.starts(&by_json)?;
        self.is_whole("json", &by_json.file)?;
        unchanged("pod", &by_json.name, "json", &patch)?;
        report.notes.push(text);

        let kustomized = pod("kustomize");
        report.notes.push(self.kustomized(&kustomized.file, "pod", &kustomized.name)?);
        kustomized.ready()?;
        self.starts(&kustomized)?;

        // what is there, and what is made once more from how it is there
        let whole = pod("whole");
        shell(&format!("kubectl apply -f {}", whole.file.display()))?;
        whole.ready()?;
        let live = whole.file.with_extension("live.yaml");
        shell(&format!("kubectl get pod {} -o yaml >{}", whole.name, live.display()))?;
        let (text, patch) = self.printed("whole", &live)?;
        as_printed(&text, &patch)?;
        whole.ready()?;
        self.starts(&whole)?;
        shell(&format!("kubectl get pod {} -o yaml >{}", whole.name, live.display()))?;
        self.is_whole("whole", &live)?;
        report.notes.push(text);

        let edited = pod("write");
        let before = fs::read_to_string(&edited.file).unwrap();
        let ended = self.doctor(&["--write"], &edited.file, &self.startable());
        let after = fs::read_to_string(&edited.file).unwrap();
        ensure(ended.status == Some(0) && after != before, || format!("{ended:?}"))?;
        shell(&format!("kubectl apply -f {}", edited.file.display()))?;
        edited.ready()?;
        self.starts(&edited)?;
        let ended = self.doctor(&["--write"], &edited.file, &self.startable());
        let same = fs::read_to_string(&edited.file).unwrap() == after;
        ensure(same && ended.stdout.contains(NOTHING), || format!("again: {ended:?}"))?;
        report.notes.push(after);

        if self.runtime == Runtime::CriO {
            // what no change of the manifest makes start is left alone
            let file = manifest("left");
            let before = fs::read_to_string(&file).unwrap();
            let ended = self.doctor(&["--write"], &file, &line());
            let same = fs::read_to_string(&file).unwrap() == before;
            ensure(same && ended.status == Some(1), || format!("{ended:?}"))?;
        }
        Ok(())
    }

    /// What makes pods, changed in its place.
    pub(crate) fn deployment(&self, report: &mut Report) -> Result<(), String> {
        for form in ["strategic", "json"] {
            let name = format!("fleet-{form}");
            let file = Path::new(HOME).join(format!("{name}.yaml"));
            fs::write(&file, DEPLOYMENT.replace("NAME", &name)).unwrap();
            shell(&format!("kubectl apply -f {}", file.display()))?;
            let (text, patch) = self.printed(form, &file)?;
            as_printed(&text, &patch)?;
            shell(&format!("kubectl rollout status deployment/{name} --timeout=90s"))?;
            let target = format!("deployment/{name}");
            let words = ["kubectl", "exec", &target, "--", "bwrap"];
            self.ran(&run(&[&words, &self.startable()[..]].concat()))?;
            unchanged("deployment", &name, form, &patch)?;
            report.notes.push(text);
            shell(&format!("kubectl delete {target} --wait=false"))?;
        }
        Ok(())
    }

    /// Custom resources, without their controllers: what the API server makes of the change, and a pod of their template.
    pub(crate) fn custom(&self, report: &mut Report) -> Result<(), String> {
        for (kind, version, plural) in CUSTOM {
            let lower = kind.to_lowercase();
            let (group, number) = version.split_once('/').unwrap();
            let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
            let definition = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": { "name": format!("{plural}.{group}") },
                "spec": {
                    "group": group, "scope": "Namespaced",
                    "names": { "plural": plural, "singular": lower, "kind": kind },
                    "versions": [{ "name": number, "served": true, "storage": true, "schema": schema }],
                },
            });
            let file = Path::new(HOME).join(format!("{lower}.definition.json"));
            fs::write(&file, definition.to_string()).unwrap();
            let file = file.display();
            shell(&format!(
                "kubectl apply -f {file}; kubectl wait --for=condition=Established crd/{plural}.{group} --timeout=90s"
            ))?;
            for form in ["json", "kustomize"] {
                let name = format!("{lower}-{form}");
                let manifest = DEPLOYMENT.replace("NAME", &name).replace("Deployment", kind);
                let file = Path::new(HOME).join(format!("{name}.yaml"));
                fs::write(&file, manifest.replace("apps/v1", version)).unwrap();
                if form == "json" {
                    shell(&format!("kubectl apply -f {}", file.display()))?;
                    let (text, patch) = self.printed(form, &file)?;
                    as_printed(&text, &patch)?;
                    unchanged(&lower, &name, form, &patch)?;
                    report.notes.push(text);
                } else {
                    report.notes.push(self.kustomized(&file, &lower, &name)?);
                }
                let made = shell(&format!("kubectl get {lower} {name} -o json"))?;
                let made: Value = serde_json::from_str(&made).map_err(|error| error.to_string())?;
                let template = &made["spec"]["template"]["spec"];
                let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": template });
                let pod = Pod::applied(&pod.to_string(), &name, &name)?;
                self.starts(&pod)?;
            }
            // which is why we do not print any
            let merged = run(&[
                "kubectl",
                "patch",
                &lower,
                &format!("{lower}-json"),
                "--type",
                "strategic",
                "-p",
                "{}",
            ]);
            ensure(merged.status != Some(0), || format!("{kind} is merged: {merged:?}"))?;
        }
        Ok(())
    }

    /// Applies the change by the command that is printed, and once more.
    fn kustomized(&self, file: &Path, kind: &str, name: &str) -> Result<String, String> {
        let (text, _) = self.printed("kustomize", file)?;
        let printed = text.lines().find_map(|line| line.strip_prefix("# in kustomization.yaml; then: "));
        let printed = printed.ok_or_else(|| format!("it is applied otherwise: {text}"))?;
        let directory = file.with_extension("d");
        fs::create_dir(&directory).unwrap();
        fs::copy(file, directory.join("manifest.yaml")).unwrap();
        let resources = "resources: [manifest.yaml]\n";
        fs::write(directory.join("kustomization.yaml"), format!("{resources}{text}")).unwrap();
        // a pod that is there takes no other user namespace
        let anew = printed.starts_with("kubectl delete ");
        ensure(anew == (kind == "pod"), || format!("it is applied otherwise: {text}"))?;
        if anew {
            shell(&format!("kubectl apply -f {}", file.display()))?;
        }
        shell(&printed.replace("DIRECTORY", &directory.to_string_lossy()))?;
        let again = shell(&format!("kubectl apply -k {}", directory.display()))?;
        ensure(again.contains(" unchanged"), || format!("again: {again}"))?;
        let live = file.with_extension("live.yaml");
        shell(&format!("kubectl get {kind} {name} -o yaml >{}", live.display()))?;
        self.is_whole("kustomize", &live)?;
        Ok(text)
    }

    /// Nothing is left to change.
    fn is_whole(&self, form: &str, file: &Path) -> Result<(), String> {
        let (again, _) = self.printed(form, file)?;
        ensure(again.contains(NOTHING), || format!("again: {again}"))
    }
}

/// Runs the command that what is printed names.
fn as_printed(text: &str, patch: &Path) -> Result<String, String> {
    let command =
        text.lines().find_map(|line| line.strip_prefix("# ").filter(|line| line.starts_with("kubectl ")));
    let command = command.ok_or_else(|| format!("no command: {text}"))?;
    shell(&command.replace("PATCH", patch.to_str().unwrap()))
}

/// Applied once more, a patch changes nothing.
pub(crate) fn unchanged(kind: &str, name: &str, form: &str, patch: &Path) -> Result<(), String> {
    let again =
        run(&["kubectl", "patch", kind, name, "--type", form, "--patch-file", patch.to_str().unwrap()]);
    let right = again.status == Some(0) && again.stdout.trim_end().ends_with("(no change)");
    ensure(right, || format!("applied twice: {again:?}"))
}

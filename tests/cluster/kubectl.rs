//! On the node: pods, by kubectl alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What a command said and came to.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// Runs a command to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(words: &[S]) -> Ended {
    Command::new(&words[0]).args(&words[1..]).output().unwrap().into()
}

/// Runs lines of a shell, each of which must succeed.
pub(crate) fn shell(lines: &str) -> Result<String, String> {
    let ended = run(&["sh", "-ec", lines]);
    if ended.status == Some(0) { Ok(ended.stdout) } else { Err(format!("{lines}: {ended:?}")) }
}

/// Where files of the cases are.
pub(crate) const HOME: &str = "/run/cluster/home";

/// A pod, which is deleted in the end, and its manifest.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    /// As it was last applied.
    pub(crate) file: PathBuf,
}

/// What `bwrap-doctor pod --patch` says of a pod's patch: kubectl patches none in its place.
pub(crate) const NOT_IN_ITS_PLACE: &str =
    "# no Pod is patched in its place: --patch-type whole prints all of it, to be made anew\n";

/// How a patch of a pod is applied here all the same: its manifest has nothing else.
fn apply(form: &str) -> String {
    format!(
        "kubectl patch --local -f FILE --type {form} --patch-file PATCH -o yaml >NEW && kubectl replace --force -f NEW"
    )
}

/// A manifest whose pod is called `old`, in a file, as `name`.
pub(crate) fn written(manifest: &str, old: &str, name: &str) -> PathBuf {
    let file = Path::new(HOME).join(format!("{name}.yaml"));
    let (old, new) = (format!("\n  name: {old}\n"), format!("\n  name: {name}\n"));
    // `sleep` as process 1 hears no SIGTERM: each change of a pod would take half a minute
    let spec = "\nspec:\n";
    let at_once = format!("{spec}  terminationGracePeriodSeconds: 0\n");
    fs::write(&file, manifest.replace(&old, &new).replacen(spec, &at_once, 1)).unwrap();
    file
}

impl Pod {
    /// Applies a manifest whose pod is called `old`, as `name`, and waits until it runs.
    pub(crate) fn applied(manifest: &str, old: &str, name: &str) -> Result<Self, String> {
        let pod = Self { name: name.to_owned(), file: written(manifest, old, name) };
        shell(&format!("kubectl apply -f {}", pod.file.display()))?;
        pod.ready()?;
        Ok(pod)
    }

    /// Waits until it runs.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let wait = format!("kubectl wait --for=condition=Ready pod/{} --timeout=90s", self.name);
        shell(&wait).map(drop).map_err(|error| {
            let pod = run(&["kubectl", "describe", "pod", &self.name]);
            format!("{error}\n{}", pod.stdout)
        })
    }

    /// Waits until its container is not started, for this reason.
    pub(crate) fn not_started(&self, reason: &str) -> Result<(), String> {
        let field = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
        shell(&format!("kubectl wait --for='{field}'={reason} pod/{} --timeout=90s", self.name)).map(drop)
    }

    pub(crate) fn exec(&self, words: &[&str]) -> Ended {
        run(&[&["kubectl", "exec", &self.name, "--"], words].concat())
    }

    /// Applies a patch in the words of [`apply`].
    pub(crate) fn patch(&mut self, patch: &Path, form: &str) -> Result<(), String> {
        let new = self.file.with_extension("new.yaml");
        let words = apply(form)
            .replace("FILE", &self.file.display().to_string())
            .replace("PATCH", &patch.display().to_string())
            .replace("NEW", &new.display().to_string());
        shell(&words)?;
        fs::rename(&new, &self.file).map_err(|error| error.to_string())?;
        self.ready()
    }

    /// Applies what a remedy has printed: lines of a shell for the node, then fields for the manifest.
    pub(crate) fn apply_printed(&mut self, instructions: &str) -> Result<(), String> {
        let begin = "# in the pod's manifest";
        let (node, pod) = instructions.split_once(begin).ok_or("it prints nothing for a manifest")?;
        shell(node)?;
        let (_, fields) = pod.split_once('\n').ok_or("it prints no fields")?;
        let patch = self.file.with_extension("patch.yaml");
        fs::write(&patch, fields.replace("CONTAINER", "test")).unwrap();
        self.patch(&patch, "strategic")
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        run(&["kubectl", "delete", "pod", &self.name, "--force", "--wait=false", "--ignore-not-found"]);
    }
}

/// The last line that is a JSON object.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let line = text.lines().rev().find(|line| line.starts_with('{')).ok_or(format!("no JSON: {text}"))?;
    serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))
}

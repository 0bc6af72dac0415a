//! What is to be changed in manifests: printed as patches, or written into the files.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;
use std::process::ExitCode;

use bwrap_launch::diagnosis::{Action, Confidence, Remedy};
use bwrap_launch::kubernetes::{Answer, Cluster, Cure, Workload, edited, read, standard};

use super::{Wish, helps, status, tell, whole};
use crate::Result;
use crate::cli::{PatchType, Pod};
use crate::output;

/// The change of a workload, and what is to be said of it.
struct Change {
    title: String,
    cure: Cure,
    /// Prices, needs, and what no change of it does.
    notes: Vec<String>,
    /// All that were asked for, those for the nodes included.
    remedies: Vec<Remedy>,
}

impl Change {
    /// None if no container of the workload is meant.
    fn of(wish: &Wish<'_>, workload: &Workload) -> Result<Option<Self>> {
        let Some(container) = meant(workload, wish.wanted)? else { return Ok(None) };
        let cure = Cure::of(wish.clusters, workload, container, wish.sandbox);
        let cure = cure.map_err(|error| error.to_string())?;
        let title = format!("{}, container {container}", workload.title());
        let left = cure.left.iter().filter_map(|finding| finding.remedies.first());
        // a change of the pod that was left undone needs no files
        let left = left.filter(|remedy| !matches!(remedy.action, Action::Pod(_)));
        let remedies = left.chain(&cure.remedies).cloned().collect();
        let mut notes = notes(&cure, wish.clusters);
        if cure.changed.keeps_its_pods() && !cure.is_empty() && cure.changed.owner().is_none() {
            let kind = cure.changed.kind();
            notes.insert(
                0,
                format!(
                    "pods that this {kind} has made stay as they are: delete them, then it makes new ones"
                ),
            );
        }
        if cure.changed.is_paused() && !cure.is_empty() {
            let object = cure.changed.kubectl_name().unwrap_or_else(|| "Deployment/NAME".into());
            notes.insert(
                0,
                format!("it is paused: no pod has the change before kubectl rollout resume {object}"),
            );
        }
        Ok(Some(Self { title, cure, notes, remedies }))
    }

    fn all<'a>(wish: &Wish<'_>, workloads: impl Iterator<Item = &'a Workload>) -> Result<Vec<Self>> {
        workloads.filter_map(|workload| Self::of(wish, workload).transpose()).collect()
    }

    /// What it is printed as: nobody merges custom resources, and of others the merge keeps most of what they have in the cluster.
    fn kind(&self, task: &Pod) -> PatchType {
        let usual = if self.cure.changed.is_custom() { PatchType::Json } else { PatchType::Strategic };
        task.patch_type.unwrap_or(usual)
    }

    /// How what is printed is applied from a file of this name. No command has more than this object changed or deleted: what FILE has
    /// besides, `kubectl patch --local` would patch as well.
    fn how(&self, kind: PatchType, file: &str) -> String {
        let changed = &self.cure.changed;
        if changed.is_part() {
            return PART.to_owned();
        }
        if let Some(owner) = changed.owner() {
            return format!(
                "{owner} has made it, and would undo the change: it belongs there, or in what has made that: kubectl get {owner} -o \
                 jsonpath={{.metadata.ownerReferences}}"
            );
        }
        // what there is of these keeps its pod for ever
        let anew = changed.is_immutable();
        let merged = match kind {
            PatchType::Strategic => "strategic",
            PatchType::Json => "json",
            PatchType::Kustomize => {
                let gone = changed.kubectl_name().filter(|_| anew);
                let gone = gone.map_or_else(String::new, |object| format!("kubectl delete {object} && "));
                return format!("in kustomization.yaml; then: {gone}kubectl apply -k DIRECTORY");
            }
            PatchType::Whole => {
                let verb = match changed.kubectl_name() {
                    None => "create",
                    Some(_) if anew => "replace --force",
                    Some(_) => "apply",
                };
                return format!("kubectl {verb} -f {file}");
            }
        };
        match changed.kubectl_name() {
            Some(object) if !anew => format!("kubectl patch {object} --type {merged} --patch-file {file}"),
            Some(_) => format!(
                "no {} is patched in its place: --patch-type whole prints all of it, to be made anew",
                changed.kind()
            ),
            None => {
                "without a metadata.name nothing is patched: --patch-type whole prints all of it, to be created"
                    .to_owned()
            }
        }
    }

    /// What stands in the file, below the comments.
    fn text(&self, kind: PatchType) -> String {
        match kind {
            _ if self.cure.is_empty() => String::new(),
            PatchType::Strategic => self.cure.patch(),
            PatchType::Json => self.cure.json_patch(),
            PatchType::Kustomize => self.cure.kustomize(),
            PatchType::Whole => self.cure.anew(),
        }
    }
}

/// What is said of what no cluster has by this name.
const PART: &str = "no cluster has this by itself: change it where it stands (--write changes a file), be that a ConfigMap, a Helm value or \
                    the configuration of what makes pods of it";

/// What is said before several changes, each of which has a command of its own.
const SEVERAL: &str = "\
# Of a file with several patches kubectl takes the first for all of them. With ALL, a file of what is printed here,
#   csplit -sz -f PATCH- ALL '/^---$/' '{*}'
# makes the files that the commands below name: PATCH-00, PATCH-01 and so on.
#
";

/// The container that runs bwrap: the one that was named, or the only one that stays.
fn meant<'a>(workload: &'a Workload, wanted: &dyn Fn(&str) -> bool) -> Result<Option<&'a str>> {
    let mut all: Vec<&str> = workload.containers().filter(|name| wanted(name)).collect();
    // where another is meant, these need not be named
    if all.len() > 1 {
        all.retain(|name| !workload.is_ephemeral(name));
    }
    let mut stay = all.iter().filter(|name| !workload.starts_up(name));
    match (all.as_slice(), stay.next(), stay.next()) {
        ([], ..) => Ok(None),
        ([only], ..) | (_, Some(only), None) => Ok(Some(only)),
        (all, ..) => Err(format!(
            "{} has several containers, {}: say by --container which of them runs bwrap",
            workload.title(),
            all.join(", ")
        )),
    }
}

fn notes(cure: &Cure, clusters: &[Cluster]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for refused in &cure.mended {
        notes.extend([refused.remedy.clone(), format!("  because {}", refused.text)]);
    }
    for remedy in &cure.remedies {
        notes.push(remedy.summary.clone());
        notes.push(format!("  price: {}", remedy.opens));
        notes.extend(remedy.requires.iter().map(|needs| format!("  needs: {needs}")));
    }
    let level = clusters.first().filter(|_| !cure.is_empty());
    if let Some((level, why)) = level.map(|cluster| standard(&cure.changed, cluster)) {
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(", ")) };
        notes.push(format!("Pod Security that lets it in: {level}{why}"));
    }
    for finding in &cure.left {
        let sure = finding.confidence == Confidence::High;
        let what = if sure { "no field of the pod helps" } else { "may stand in the way" };
        notes.push(format!("{what}: {} [{}]", finding.summary, finding.cause.code()));
        notes.extend(helps(finding).iter().map(|line| format!("  {line}")));
    }
    let mut asked = Vec::new();
    for forecast in &cure.forecasts {
        for refused in &forecast.refused {
            let note = format!("{}: {}; {}", forecast.runtime, refused.text, refused.remedy);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        asked.extend(forecast.assumed.iter().map(|assumed| format!("taken for granted: {assumed}")));
        for question in forecast.ask.iter().map(|question| format!("not known: {question}")) {
            if !asked.contains(&question) {
                asked.push(question);
            }
        }
    }
    notes.extend(asked);
    notes
}

/// What the nodes must have, in a directory if one is named; and a line each.
fn files_of_nodes(task: &Pod, changes: &[Change]) -> Result<Vec<String>> {
    let remedies = || changes.iter().flat_map(|change| &change.remedies);
    let written = output::write_remedies(remedies(), task.node_files.as_deref())?;
    let mut lines: Vec<String> = written.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if task.node_files.is_none() && remedies().any(|remedy| !remedy.files.is_empty()) {
        lines.push("--node-files DIR writes the files that the nodes must have".to_owned());
    }
    Ok(lines)
}

fn say<'a>(text: &mut String, before: &str, lines: impl IntoIterator<Item = &'a String>) {
    for line in lines {
        let _ = writeln!(text, "{before}{line}");
    }
}

/// Those of one object as one: each alone would print it with the other pods as they were, and take back what the one before did.
fn joined(changes: Vec<Change>) -> Vec<Change> {
    let mut joined: Vec<Change> = Vec::new();
    for change in changes {
        let same = joined.iter_mut().position(|other| {
            !other.cure.is_empty() && !change.cure.is_empty() && other.cure.take_up(&change.cure)
        });
        match same.and_then(|at| joined.get_mut(at)) {
            Some(whole) => {
                whole.notes.push(change.title);
                whole.notes.extend(change.notes);
                whole.remedies.extend(change.remedies);
                whole.cure.forecasts.extend(change.cure.forecasts);
            }
            None => joined.push(change),
        }
    }
    joined
}

/// Prints one change a workload, with what it costs and needs.
pub(super) fn patch(task: &Pod, wish: &Wish<'_>, workloads: &[&Workload]) -> Result {
    let mut changes = Change::all(wish, workloads.iter().copied())?;
    if task.patch_type == Some(PatchType::Whole) {
        changes = joined(changes);
    }
    let kustomize = task.patch_type == Some(PatchType::Kustomize);
    let custom = changes.iter().find(|change| change.cure.changed.is_custom() && !change.cure.is_empty());
    if let (Some(PatchType::Strategic), Some(change)) = (task.patch_type, custom) {
        let title = change.cure.changed.title();
        return Err(format!(
            "{title}: kubectl merges no custom resources; print the change with --patch-type json"
        ));
    }
    let part = |change: &&Change| change.cure.changed.is_part() && !change.cure.is_empty();
    if let (true, Some(change)) = (kustomize, changes.iter().find(part)) {
        return Err(format!("{}: {PART}", change.title));
    }
    let nameless = |change: &&Change| change.cure.changed.kubectl_name().is_none() && !change.cure.is_empty();
    if let (true, Some(change)) = (kustomize, changes.iter().find(nameless)) {
        return Err(format!(
            "{}: it has no metadata.name, and kustomize would change all of its kind; give it one, or print the change with \
             --patch-type json",
            change.title
        ));
    }
    let mut text = String::new();
    if kustomize && changes.iter().any(|change| !change.cure.is_empty()) {
        text.push_str("patches:\n");
    }
    let several = changes.len() > 1;
    for (number, change) in changes.iter().enumerate() {
        let kind = change.kind(task);
        if !kustomize {
            text.push_str("---\n");
        }
        if !kustomize && number == 0 && several {
            text.push_str(SEVERAL);
        }
        let file = if several { format!("PATCH-{number:02}") } else { "PATCH".to_owned() };
        let how = if change.cure.is_empty() {
            "nothing in it is to be changed".to_owned()
        } else {
            change.how(kind, &file)
        };
        say(&mut text, "# ", [&change.title, &how].into_iter().chain(&change.notes));
        text.push_str(&change.text(kind));
    }
    say(&mut text, "# ", &files_of_nodes(task, &changes)?);
    output::print(&text)?;
    Ok(status(whole(changes.iter().flat_map(|change| &change.cure.forecasts))))
}

/// Changes the files, all or none of them.
pub(super) fn write(task: &Pod, wish: &Wish<'_>, files: &[(&Path, String, Vec<Workload>)]) -> Result {
    let mut written = Vec::new();
    let mut text = String::new();
    let mut answers = Vec::new();
    for (path, old, workloads) in files {
        let shown = path.display();
        writable(path).map_err(|what| format!("{shown}: {what}; --patch prints the change"))?;
        let changes = Change::all(wish, workloads.iter())?;
        let cures: Vec<Cure> = changes.iter().map(|change| change.cure.clone()).collect();
        let new =
            edited(old, &cures).map_err(|error| format!("{shown}: {error}; --patch prints the change"))?;
        // what counts is what will be read
        let again = read(&new).map_err(|error| format!("{shown}: {error}"))?;
        let again = Change::all(wish, again.iter())?;
        if again.iter().any(|change| !change.cure.is_empty()) {
            return Err(format!("{shown}: the change would not be whole; --patch prints it"));
        }
        let answer = whole(again.iter().flat_map(|change| &change.cure.forecasts));
        let same = new == *old;
        for change in again.iter().filter(|change| whole(change.cure.forecasts.iter()) != Answer::Starts) {
            let _ =
                writeln!(text, "{shown}: {}{}", change.title, if same { "" } else { ", with the change" });
            change.cure.forecasts.iter().for_each(|forecast| tell(&mut text, forecast));
        }
        if !again.is_empty() {
            answers.push(answer);
        }
        written.push((path, new, same, changes));
    }
    if answers.iter().any(|answer| *answer != Answer::Starts) {
        let unknown = !answers.iter().any(|answer| matches!(answer, Answer::Fails | Answer::NotStarted));
        text.push_str(if unknown && task.node.is_some() {
            "Nothing is written: what the nodes say decides, see above. --probe prints a job that tries.\n"
        } else if unknown {
            "Nothing is written: what the nodes say decides. `bwrap-doctor host --format json >node.json` on one, outside of\n\
             containers, then the same with --node node.json, and the --runtime that they have.\n"
        } else {
            "Nothing is written: no change of the manifest is enough. What can be had, and what is left: the same with --patch.\n"
        });
        output::print(&text)?;
        return Ok(status(if unknown { Answer::DependsOnNode } else { Answer::Fails }));
    }
    for (path, new, same, changes) in &written {
        let nodes = files_of_nodes(task, changes)?;
        if !same {
            replace(path, new).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        let done = if *same { "nothing in it is to be changed" } else { "changed" };
        let _ = writeln!(text, "{}: {done}", path.display());
        for change in changes.iter().filter(|change| !change.cure.is_empty()) {
            say(&mut text, "  ", [&change.title]);
            say(&mut text, "    ", &change.notes);
        }
        say(&mut text, "  ", &nodes);
    }
    let changed = written.iter().flat_map(|(.., changes)| changes).filter(|change| !change.cure.is_empty());
    if task.container.is_none() && changed.count() > 1 {
        text.push_str("Several were changed: --container NAME changes those alone that have a container of this name.\n");
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a manifest is a file that may be changed.
fn writable(path: &Path) -> Result<(), String> {
    if path.as_os_str() == "-" {
        return Err("standard input cannot be written to".to_owned());
    }
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("is no file that can be written to".to_owned());
    }
    // it would come back as UTF-8, which who wrote it may not expect
    let mut mark = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut mark));
    if read.is_ok() && [[0xff, 0xfe], [0xfe, 0xff]].contains(&mark) {
        return Err("is UTF-16: save it as UTF-8 first, as by `iconv -f UTF-16 -t UTF-8`".to_owned());
    }
    // what is replaced by its name would never be asked
    File::options().write(true).open(path).map_err(|error| error.to_string())?;
    Ok(())
}

/// Replaces what a file has at once, or not at all. Links to it, mode and owner stay.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let old = fs::metadata(&path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut new = tempfile::Builder::new().prefix(".bwrap-doctor-").tempfile_in(directory)?;
    new.write_all(text.as_bytes())?;
    let file = new.as_file();
    // another's file can be given back by root alone, but its group must stay: the mode speaks of it
    if fchown(file, Some(old.uid()), Some(old.gid())).is_err() {
        fchown(file, None, Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())?;
    file.sync_all()?;
    new.persist(&path)?;
    Ok(())
}

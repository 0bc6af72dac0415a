//! What Kubernetes says about a pod that was to make bwrap work: not bwrap's messages, but next to them in a log.

mod about;
mod engine;

use super::ns::limits::USER;
use super::pr::PROC;
use super::pr::hidden::{Seen, drops_fields, look};
use super::pr::remedies::{bind_proc, honour_pod_fields};
use super::prelude::*;
use crate::diagnosis::cause::section;
use crate::diagnosis::remedy::{Action, Engine, PodPatch};

rules! {
    PodFieldsIgnored, Failed about proc, [PROC => (EPERM)],
        unless "`kubectl get pod POD -o yaml` shows that neither procMount nor hostUsers was ever set"
        => pod_fields_ignored, |case| honour_pod_fields(case).or(bind_proc(case));

    // what Kubernetes, not bwrap, says
    UnmaskedNeedsUserNamespace, Failed, [],
        unless "`kubectl get pod POD -o jsonpath={.spec.hostUsers}` prints false"
        => said, |_| {
            let patch = PodPatch { host_users: Some(false), unmasked_proc: true, ..PodPatch::default() };
            let remedy = told!(K801, "user-namespace-of-pod" => Action::Pod(patch));
            vec![remedy.needs(Need::Linux("nodes with ", (6, 3))).needs(RUNTIME)]
        };

    // its words are those of the next, with another error
    NoIdsForPod, Failed, [], unless "a pod with hostUsers: false starts on the same node when it is empty"
        => said, |case| {
            let nested = says(case, "operation not permitted");
            let ids = if nested {
                told!(K816, "ids-of-node")
            } else if says(case, "unused ids") || says(case, "enough available ids") {
                // of another range, by another program
                told!(K816, "range-of-crio")
            } else {
                told!(K816, "range-of-kubelet")
            };
            vec![ids, told!("without-host-users")]
        };

    NodeWithoutUserNamespaces, Failed, [],
        unless "`sysctl user.max_user_namespaces`, typed on the node, is above 0"
        => said, |case| {
            let opens = "every user of the node can make user namespaces";
            told!(K802, "node-user-namespaces").or(Wish::Sysctl(USER, "15000", opens).grant(case))
        };

    PodSecurityForbidsUnmasked, Failed, [],
        unless "`kubectl get ns NAMESPACE --show-labels` shows no pod-security.kubernetes.io/enforce"
        => said, |_| vec![told!(K804, "baseline-1.35"), told!("bind-proc-without-proc-mount")];

    RuntimeWithoutUserNamespaces, Failed, [],
        unless "`kubectl get node NODE -o jsonpath={.status.runtimeHandlers}` lists userNamespaces: true for the handler"
        => said, |case| {
            let gate = says(case, "feature gate");
            let nodes =
                if gate { told!(K805, "kubelet-with-the-gate") } else { told!(K805, "runtime-with-user-namespaces") };
            vec![nodes, told!("without-host-users")]
        };

    SeccompFileMissing, Failed, [], unless "the file of the message is on the node that the pod came to"
        => said, |case| {
            // what was read and is no filter was found
            let missing = says(case, "/seccomp/localhost/") && says(case, "no such file");
            let annotated = missing.then(|| told!(K806, "path-without-localhost"));
            annotated.into_iter().chain([told!(K806, "seccomp-file-on-nodes")]).collect()
        };

    AppArmorProfileNotLoaded, Failed, [],
        unless "`aa-status`, typed on the node as root, lists the profile of the message" => said, load_on_nodes;

    VolumeWithoutIdMapping, Failed, [],
        unless "the pod starts with the same volumes and without hostUsers: false, and for another reason with it"
        => said, |case| {
            let mut files = if says(case, SNAPSHOTTER) {
                vec![told!(K808, "image-that-maps-ids")]
            } else if STORE.iter().all(|words| says(case, words)) {
                vec![told!(K808, "store-that-maps-ids")]
            } else if says(case, TOKEN) {
                vec![told!(K808, "kernel-that-maps-the-token"), told!(K808, "no-token")]
            } else {
                vec![told!(K808, "volume-that-maps-ids")]
            };
            files.push(told!("without-host-users"));
            files
        };

    AdmissionRefuses, Failed, [],
        unless "the same manifest is created in another namespace of the same cluster, with the same labels"
        => said, what_is_admitted;

    RootNotWanted, Failed, [], unless "the pod's runAsUser is a number above 0"
        => said, |_| {
            let patch = PodPatch { run_as_user: Some(1000), ..PodPatch::default() };
            vec![told!(K811, "name-a-user" => Action::Pod(patch))]
        };

    PodCannotBeChanged, Failed, [], unless "the object of this name is gone when it is applied" => said, |case| {
        let selects = reason(case).is_some_and(|(_, text)| text.contains("spec.selector: ") || text.contains("updates to statefulset spec"));
        vec![if selects { told!(K812, "selector-as-it-was") } else { told!(K812, "make-it-anew") }]
    };

    PodFieldsRefused, Failed, [], unless "`kubectl apply --dry-run=server -f FILE` takes the manifest without a word"
        => said, |_| vec![told!(K813, "mend-the-field")];

    IdWithoutMapping, Failed, [],
        unless "the pod starts in the same way with ids below 65536, and fails without hostUsers: false"
        => said, |_| vec![told!(K814, "ids-that-fit"), told!("without-host-users")];

    RuntimeClassMissing, Failed, [],
        unless "`kubectl get node NODE -o jsonpath={.status.runtimeHandlers}` lists the handler of the RuntimeClass"
        => said;

    // what is everybody's is nobody's: it comes last
    PodNotStarted, Failed, [], unless "`kubectl get pod POD` says Running, and bwrap ran in it" => said, |case| {
        let hook = says(case, HOOK).then(|| told!(K810, "hook-of-kind"));
        let sysfs = SYSFS.iter().all(|words| says(case, words)).then(|| told!(K810, "sysfs-of-pod"));
        // which only a pod with a user namespace meets that has something of the node's, too
        let known = case.hinted(Hint::OwnUserNamespace) && !case.hinted(Hint::NothingOfNode);
        let (first, last) = if known { (sysfs, None) } else { (None, sysfs) };
        let look = [told!(K810, "ask-the-cluster"), told!(K810, "judge-the-manifest")];
        hook.into_iter().chain(first).chain(look).chain(last).collect()
    };
}

/// How titles begin that say so.
const NOT_STARTED: &str = "the pod was not started: ";

/// What mounts an image's own files.
const SNAPSHOTTER: &str = "snapshotter";

/// The store of images of what CRI-O and Podman are made of.
const STORE: &[&str] = &["create mapped mount for", "/containers/storage/"];

/// The volume of each pod's own that has the token of its service account.
const TOKEN: &str = "/kube-api-access-";

/// What kind's nodes run before a container starts.
const HOOK: &str = "/kind/bin/mount-product-files.sh: permission denied";

/// What a runtime says that may not mount a new sysfs: only who owns the network namespace may, and sees all of the old one.
const SYSFS: &[&str] = &["error mounting \"sysfs\" to rootfs", "operation not permitted"];

/// What can be said of a pod before anything is explained.
pub(in crate::diagnosis) fn headline(cause: Cause, text: Option<&str>) -> Option<&'static str> {
    let said = match cause {
        cause if !cause.is_before_bwrap() => return None,
        _ if text.is_some_and(about::is_warning) => {
            "Kubernetes made this, with a warning; it is no message of bwrap's."
        }
        Cause::PodCannotBeChanged => "Kubernetes refused the change; what was there runs on as it was.",
        _ if text.is_some_and(|text| engine::refused(text).is_some()) => {
            "The engine did not start the container; bwrap did not run."
        }
        _ => "Kubernetes did not start the pod; bwrap did not run.",
    };
    Some(said)
}

/// Whoever wrote the right YAML and still sees masks is told so; whether he did, only he knows.
fn pod_fields_ignored(case: &Case<'_>) -> Option<Judgement> {
    let namespace = &case.host.user_namespace;
    let pod = matches!(Setting::of(case), Setting::Kubernetes { .. });
    rule_out(!pod || namespace.is_initial() == Some(false))?;
    let ignores =
        "if the pod's YAML already says procMount: Unmasked or hostUsers: false, the cluster ignores it";
    let asked = case.told().is_some_and(|told| told.unmasked && !told.privileged);
    let (drops, fields) = (drops_fields(case), "the pod's YAML says procMount: Unmasked");
    let found = weigh(if asked && drops { Medium } else { Low });
    let found = if asked { found.pro(evidence::told(case, fields)) } else { found.summary(ignores) };
    let found = match look(case) {
        Seen::Hidden(hidden) if hidden.cause == Cause::MaskedProc => {
            found.seen(&case.host.mounts, hidden.evidence)
        }
        Seen::Unknown => found.unknown("what is mounted on /proc: /proc/self/mountinfo"),
        Seen::Whole | Seen::Hidden(_) => return None,
    };
    let none =
        namespace.is_initial().map(|_| "the pod has no user namespace of its own (/proc/self/uid_map)");
    let whether = "whether the pod has a user namespace of its own: /proc/self/uid_map";
    let found = found.seen_or(&namespace.uid_map, none, whether);
    Some(found.unknown((!asked).then_some("what the pod's YAML says")))
}

/// What bwrap says where the kernel has no user namespaces, in small letters: no runtime's handler is meant by that.
const OF_BWRAP: &str = "because the kernel does not support user namespaces";

/// The cause that a text of Kubernetes', of a runtime or of admission names, wherever in it: by the words below `== said` in the text
/// of that cause, in small letters, of which some have others between (` ... `). The first counts.
fn kubernetes_text(text: &str, engine: bool) -> Option<Cause> {
    if about::has_started_since(text) {
        return None;
    }
    let text: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let text = text.join(" ").replace(OF_BWRAP, "");
    let others = about::is_about_others(&text);
    // an engine's own, which starts containers and no pods
    // which Kubernetes alone says, whoever is spoken of beside it
    let passed_on = text.contains("failed to create pod sandbox");
    let engine = (engine || engine::is_engines(&text)) && !passed_on;
    let says = |cause: &Cause| {
        let kubernetes = cause.is_before_bwrap();
        let is_said = |words| evidence::is_said(&text, words) && !about::is_in_code(&text, words);
        !((engine || others) && kubernetes) && section(cause.text(), "said").lines().any(is_said)
    };
    RULES.iter().map(|rule| rule.cause).chain([Cause::ArgumentsTooLong]).find(says)
}

/// The first text of Kubernetes', and the cause that it names.
fn reason(case: &Case<'_>) -> Option<(Cause, String)> {
    let engine = matches!(Setting::of(case), Setting::Container(Engine::Docker | Engine::Podman))
        && case.told().is_some();
    case.symptom?.messages.iter().find_map(|message| {
        let text = message.text().to_string_lossy().into_owned();
        Some((kubernetes_text(&text, engine)?, text))
    })
}

/// What a text that is none of bwrap's says about the cluster.
pub(in crate::diagnosis) fn find(case: &Case<'_>) -> Option<Finding> {
    if let Some(finding) = engine::find(case) {
        return Some(finding);
    }
    let (reason, _) = reason(case)?;
    let Some(rule) = RULES.iter().find(|rule| rule.cause == reason) else {
        let found = said(case)?.refuted_by("a shorter line fails alike");
        return Some(found.finding(reason, wish::fit(case, vec![told!(AR04, "shorter-line")])));
    };
    rule.find(case)
}

fn said(case: &Case<'_>) -> Option<Judgement> {
    let (reason, text) = reason(case)?;
    let lower = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    // the runtime prints the same about other failures
    let limit = reason == Cause::NodeWithoutUserNamespaces;
    let sure = !limit || lower.contains("no space left on device");
    let who = if reason.code().starts_with("K8") { "Kubernetes says so" } else { "it was said" };
    let found = weigh(if sure { High } else { Low })
        .heard(case, format!("{who}: {}", about::decisive(reason, &text)));
    // what a standard for pods minds, and what bwrap needs of it
    let minded = section(reason.text(), "minded").lines().filter_map(|row| row.split_once('\t'));
    let minded: Vec<&str> = minded.filter(|(word, _)| lower.contains(word)).map(|(_, text)| text).collect();
    let fields = minded.iter().filter_map(|text| Some(text.split_once(": ")?.0));
    let fields: Vec<&str> = fields.filter(|field| !field.contains(' ')).collect();
    let title = reason.title();
    let warning = about::is_warning(&text).then(|| title.rsplit(NOT_STARTED).next().unwrap_or(title));
    let title = warning.map_or(title.to_owned(), |what| format!("a warning: {what}"));
    let found = match fields.as_slice() {
        [] => found.summary(title),
        fields => found.summary(format!("{title} ({})", fields.join(", "))),
    };
    Some(minded.into_iter().fold(found, |found, text| found.heard(case, text)))
}

/// Whether the text of the cause has these words, in small letters.
fn says(case: &Case<'_>, words: &str) -> bool {
    reason(case).is_some_and(|(_, text)| text.to_lowercase().contains(words))
}

/// Without procMount nobody minds it; one of OpenShift's constraints is there for it.
fn what_is_admitted(case: &Case<'_>) -> Vec<Remedy> {
    let nested = says(case, "nested-container").then(|| told!(K809, "nested-container"));
    let constraint = nested.is_none() && says(case, "security context constraint");
    let constraint = constraint.then(|| told!(K809, "what-the-constraint-chooses"));
    let without = says(case, "procmount").then(|| told!("bind-proc-without-proc-mount"));
    let others = [told!(K809, "ask-for-less"), told!(K809, "namespace-of-its-own")];
    nested.into_iter().chain(constraint).chain(without).chain(others).collect()
}

fn load_on_nodes(case: &Case<'_>) -> Vec<Remedy> {
    let (load, without) = (told!(K807, "apparmor-profile-on-nodes"), told!(K807, "no-apparmor-field"));
    let off = says(case, "not enabled");
    if off { without.or([load]) } else { load.or([without]) }
}

#[cfg(test)]
mod tests;

//! What Kubernetes says about a pod that was to make bwrap work: not bwrap's messages, but next to them in a log.

use super::ns::limits::USER;
use super::pr::PROC;
use super::pr::hidden::{Seen, look};
use super::pr::remedies::{bind_proc, honour_pod_fields};
use super::prelude::*;
use crate::diagnosis::cause::section;
use crate::diagnosis::remedy::{Action, PodPatch};

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

    NodeWithoutUserNamespaces, Failed, [],
        unless "`sysctl user.max_user_namespaces`, typed on the node, is above 0"
        => said, |case| {
            let opens = "every user of the node can make user namespaces";
            told!(K802, "node-user-namespaces").or(Wish::Sysctl(USER, "15000", opens).grant(case))
        };

    PodSecurityForbidsUnmasked, Failed, [],
        unless "`kubectl get ns NAMESPACE --show-labels` shows no pod-security.kubernetes.io/enforce"
        => said;

    RuntimeWithoutUserNamespaces, Failed, [],
        unless "`kubectl get node NODE -o jsonpath={.status.runtimeHandlers}` lists userNamespaces: true for the handler"
        => said, |_| vec![told!(K805, "runtime-with-user-namespaces"), told!("without-host-users")];

    SeccompFileMissing, Failed, [], unless "the file of the message is on the node that the pod came to"
        => said;

    AppArmorProfileNotLoaded, Failed, [],
        unless "`aa-status`, typed on the node as root, lists the profile of the message" => said, load_on_nodes;

    VolumeWithoutIdMapping, Failed, [],
        unless "the pod starts with the same volumes and without hostUsers: false, and for another reason with it"
        => said, |_| vec![told!(K808, "volume-that-maps-ids"), told!("without-host-users")];

    AdmissionRefuses, Failed, [],
        unless "the same manifest is created in another namespace of the same cluster, with the same labels"
        => said;
}

/// Whoever wrote the right YAML and still sees masks is told so; whether he did, only he knows.
fn pod_fields_ignored(case: &Case<'_>) -> Option<Judgement> {
    let namespace = &case.host.user_namespace;
    let pod = matches!(Setting::of(case), Setting::Kubernetes { .. });
    rule_out(!pod || namespace.is_initial() == Some(false))?;
    let ignores =
        "if the pod's YAML already says procMount: Unmasked or hostUsers: false, the cluster ignores it";
    let found = weigh(Low).summary(ignores);
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
    Some(found.seen_or(&namespace.uid_map, none, whether).unknown("what the pod's YAML says"))
}

/// The cause that a text of Kubernetes', of a runtime or of admission names, wherever in it: by the words below `== said` in the text
/// of that cause, in small letters. The first counts.
fn kubernetes_text(text: &str) -> Option<Cause> {
    let text: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let text = text.join(" ");
    let says = |cause: &Cause| section(cause.text(), "said").lines().any(|words| text.contains(words));
    RULES.iter().map(|rule| rule.cause).chain([Cause::ArgumentsTooLong]).find(says)
}

/// The first text of Kubernetes', and the cause that it names.
fn reason(case: &Case<'_>) -> Option<(Cause, String)> {
    case.symptom?.messages.iter().find_map(|message| {
        let text = message.text().to_string_lossy().into_owned();
        Some((kubernetes_text(&text)?, text))
    })
}

/// What a text that is none of bwrap's says about the cluster.
pub(in crate::diagnosis) fn find(case: &Case<'_>) -> Option<Finding> {
    let (reason, _) = reason(case)?;
    let Some(rule) = RULES.iter().find(|rule| rule.cause == reason) else {
        let found = said(case)?.refuted_by("a shorter line fails alike");
        return Some(found.finding(reason, wish::fit(case, vec![told!(AR04, "shorter-line")])));
    };
    rule.find(case)
}

fn said(case: &Case<'_>) -> Option<Judgement> {
    let (reason, text) = reason(case)?;
    let lower = text.to_lowercase();
    // the runtime prints the same about other failures
    let limit = reason == Cause::NodeWithoutUserNamespaces;
    let sure = !limit || lower.contains("no space left on device");
    let who = if reason.code().starts_with("K8") { "Kubernetes says so" } else { "it was said" };
    let found = weigh(if sure { High } else { Low }).heard(case, format!("{who}: {}", text.trim()));
    // what a standard for pods minds, and what bwrap needs of it
    let minded = section(reason.text(), "minded").lines().filter_map(|row| row.split_once('\t'));
    let minded = minded.filter(|(word, _)| lower.contains(word));
    Some(minded.fold(found, |found, (_, text)| found.heard(case, text)))
}

fn load_on_nodes(case: &Case<'_>) -> Vec<Remedy> {
    let (load, without) = (told!(K807, "apparmor-profile-on-nodes"), told!(K807, "no-apparmor-field"));
    let off = reason(case).is_some_and(|(_, text)| text.to_lowercase().contains("not enabled"));
    if off { without.or([load]) } else { load.or([without]) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::diagnosis::Confidence;
    use crate::diagnosis::fixtures::machine;
    use crate::diagnosis::{Symptom, diagnose};

    const API: &str = "The Pod \"p\" is invalid: spec.containers[0].securityContext.procMount: Invalid value: \
                       \"Unmasked\": `hostUsers` must be false to use `Unmasked`";
    const ADMISSION: &str = "pods \"p\" is forbidden: violates PodSecurity \"baseline:v1.34\": procMount (container \
                             \"c\" must not set securityContext.procMount to \"Unmasked\")";
    const RUNTIME: &str = "Failed to create pod sandbox: failed to start noop process for unshare: fork/exec \
                           /proc/self/exe: no space left on device";

    #[test]
    fn texts_of_kubernetes() {
        assert_eq!(kubernetes_text(API), Some(Cause::UnmaskedNeedsUserNamespace));
        assert_eq!(kubernetes_text(ADMISSION), Some(Cause::PodSecurityForbidsUnmasked));
        assert_eq!(kubernetes_text(&RUNTIME.replace(' ', "\n  ")), Some(Cause::NodeWithoutUserNamespaces));
        assert_eq!(kubernetes_text("bwrap: Can't mount proc on /proc: Operation not permitted"), None);
        assert_eq!(kubernetes_text("write /x: no space left on device"), None);
    }

    #[test]
    fn what_is_said_is_looked_for_in_small_letters() {
        let rows =
            |name: &'static str| Cause::ALL.iter().flat_map(move |cause| section(cause.text(), name).lines());
        assert!(rows("said").count() > 12 && rows("minded").count() > 5);
        for words in rows("said").chain(rows("minded").filter_map(|row| Some(row.split_once('\t')?.0))) {
            assert!(!words.is_empty() && words == words.to_lowercase(), "{words}");
        }
        assert!(rows("minded").all(|row| row.contains('\t')));
        let known = super::super::all().map(|rule| rule.cause);
        let looked: Vec<&str> = known.flat_map(|cause| section(cause.text(), "said").lines()).collect();
        assert_eq!(looked.len(), rows("said").count());
    }

    #[test]
    fn a_pasted_text_is_diagnosed() {
        for (text, code) in [(API, "K801"), (ADMISSION, "K804"), (RUNTIME, "K802")] {
            let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None);
            assert_eq!(diagnosis.cause().unwrap().code(), code);
            assert_eq!(diagnosis.causes[0].confidence, Confidence::High);
            assert!(!diagnosis.causes[0].remedies.is_empty());
        }
    }

    /// As kubelets, runtimes and API servers print them.
    const NOT_STARTED: &[(&str, &str)] = &[
        (
            "Failed to create pod sandbox: can't set `spec.hostUsers: false`, RuntimeClass handler \"sysbox-runc\" does not support user \
          namespaces",
            "K805",
        ),
        ("can't set spec.hostUsers: false, runtime does not support user namespaces", "K805"),
        (
            "failed to create containerd container: cannot load seccomp profile \"/var/lib/kubelet/seccomp/profiles/unshare.json\": open \
          /var/lib/kubelet/seccomp/profiles/unshare.json: no such file or directory",
            "K806",
        ),
        (
            "unable to load local profile \"/var/lib/kubelet/seccomp/x.json\": no such file or directory",
            "K806",
        ),
        ("Cannot enforce AppArmor: profile \"bwrap-nested\" is not loaded", "K807"),
        ("Cannot enforce AppArmor: AppArmor is not enabled on the host", "K807"),
        (
            "failed to set MOUNT_ATTR_IDMAP on /var/lib/kubelet/pods/x/volumes/kubernetes.io~nfs/data: invalid argument",
            "K808",
        ),
        (
            "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": seccompProfile (pod must not set \
          securityContext.seccompProfile.type to \"Unconfined\")",
            "K809",
        ),
        (
            "pods \"p\" is forbidden: unable to validate against any security context constraint: [provider restricted-v2]",
            "K809",
        ),
        (
            "admission webhook \"gkepolicy.common-webhooks.networking.gke.io\" denied the request: GKE Warden rejected the request",
            "K809",
        ),
    ];

    #[test]
    fn a_pod_that_was_not_started_is_none_of_bwraps_failures() {
        for (text, code) in NOT_STARTED {
            for text in [
                (*text).to_owned(),
                format!("Warning  FailedCreatePodSandBox  {text}"),
                format!("bwrap: {text}"),
            ] {
                let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None);
                assert_eq!(diagnosis.cause().unwrap().code(), *code, "{text}");
                let report = diagnosis.brief();
                assert!(
                    report.starts_with("Kubernetes did not start the pod; bwrap did not run.\n"),
                    "{report}"
                );
            }
        }
        let said = "violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set ...), \
                    runAsNonRoot != true (pod must set ...)";
        let diagnosis = diagnose(&Symptom::from_text(said.as_bytes()), &machine(), None);
        let minded =
            diagnosis.causes[0].evidence.iter().filter(|seen| seen.text.contains("suits bwrap")).count();
        assert_eq!(minded, 2, "{diagnosis}");
        // where it is off, there is nothing to load
        let of = |text: &str| {
            diagnose(&Symptom::from_text(text.as_bytes()), &machine(), None).causes[0].remedies[0]
                .summary
                .clone()
        };
        assert!(of("AppArmor is not enabled on the host").starts_with("Leave"));
        assert!(of("apparmor profile not found bwrap-nested").starts_with("Load"));
    }

    #[test]
    fn a_noop_process_can_fail_for_other_reasons() {
        let text = b"failed to start noop process for unshare: fork/exec /proc/self/exe: permission denied";
        let diagnosis = diagnose(&Symptom::from_text(text), &machine(), None);
        assert_eq!(diagnosis.causes[0].confidence, Confidence::Low);
    }
}

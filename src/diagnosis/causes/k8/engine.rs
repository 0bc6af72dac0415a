//! What a container's engine says, outside of Kubernetes, of a filter, a profile or an option with which it does not start a container:
//! often in the words in which Kubernetes passes that on, and another must do other things about it.

use super::super::prelude::*;
use super::about::is_in_code;
use crate::diagnosis::evidence::is_said;

/// What an engine could not do, and what helps.
pub(super) struct Refused {
    cause: Cause,
    /// In small letters; others may be between (` ... `).
    said: &'static [&'static str],
    summary: &'static str,
    remedies: fn() -> Vec<Remedy>,
}

/// The first counts.
const REFUSED: &[Refused] = &[
    Refused {
        cause: Cause::SeccompFileMissing,
        said: &["loading seccomp profile ... seccomp not enabled in this build"],
        summary: "the container was not started: its engine was built without system call filters, and can load none",
        remedies: || vec![told!(K806, "no-filter-option")],
    },
    Refused {
        cause: Cause::SeccompFileMissing,
        said: &["empty string is not a valid syscall"],
        summary: "the container was not started: its engine is older than the form of its system call filter",
        remedies: || vec![told!(K806, "engine-that-reads-it")],
    },
    Refused {
        cause: Cause::SeccompFileMissing,
        said: &["decoding seccomp profile failed"],
        summary: "the container was not started: what its engine got for a system call filter is none",
        remedies: || vec![told!(K806, "filter-for-engine")],
    },
    Refused {
        cause: Cause::SeccompFileMissing,
        said: &["opening seccomp profile ... failed: "],
        summary: "the container was not started: the file of its system call filter is not where its engine looks",
        remedies: || vec![told!(K806, "filter-for-engine")],
    },
    Refused {
        cause: Cause::AppArmorProfileNotLoaded,
        said: &["apparmor enabled on system but the ... profile could not be loaded"],
        summary: "the container was not started: its engine cannot load its own AppArmor profile on that machine",
        remedies: || vec![told!(K807, "profile-of-engine")],
    },
    Refused {
        cause: Cause::AppArmorProfileNotLoaded,
        said: &[
            "unable to apply apparmor profile",
            "apparmor failed to apply profile",
            "apparmor profile ... specified but not loaded",
            "write to `/proc/self/attr/apparmor/exec`: no such file or directory",
            "write to `/proc/thread-self/attr/apparmor/exec`: no such file or directory",
        ],
        summary: "the container was not started: the machine of its engine has not loaded the AppArmor profile, or has no AppArmor",
        remedies: || vec![told!(K807, "profile-for-engine"), told!(K807, "no-apparmor-option")],
    },
    Refused {
        cause: Cause::PodFieldsRefused,
        said: &["invalid --security-opt ... systempaths=unconfined"],
        summary: "the container was not started: its engine does not know systempaths=unconfined",
        remedies: || vec![told!(K813, "engine-that-unmasks")],
    },
    Refused {
        cause: Cause::PodFieldsRefused,
        said: &["privileged mode is incompatible with user namespaces"],
        summary: "the container was not started: its engine maps users, and starts none that is privileged as well",
        remedies: || vec![told!(K813, "one-of-the-two")],
    },
];

/// By which an engine is known, whatever else is told.
const ENGINES: &[&str] = &[
    "response from daemon",
    "nerdctl",
    "podman",
    "cannot start service",
    "docker.errors.",
    "http+docker://",
];

/// By which it is known that Kubernetes, or a runtime for it, passes on what an engine or a runtime says.
const KUBERNETES: &[&str] = &[
    "kubelet",
    "kubectl",
    "kubernetes",
    "k8s",
    "containerd container",
    "containerd task",
    "cri-o",
    "crio",
    "load local profile",
    "failed to start container \"",
    "pod",
    "daemonset",
    "deployment",
    "openshift",
    "runpodsandbox",
    "crictl",
    "containerd log",
    "containerd[",
    "ctr: ",
    " nodes",
];

/// What makes of such words a quotation, or bwrap's own matter.
const QUOTED: &[&str] =
    &["the docs", "documentation", "release notes", "fixed", "solved", "? ", "bwrap ", "--seccomp"];

/// Whether a text in small letters, on one line, is an engine's own.
pub(super) fn is_engines(text: &str) -> bool {
    // which kubelets wrote before what Docker said
    ENGINES.iter().any(|mark| text.contains(mark)) && !text.contains("failed to start container \"")
}

/// What an engine says there that it could not do.
pub(super) fn refused(text: &str) -> Option<&'static Refused> {
    let text = text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    if !is_engines(&text) && KUBERNETES.iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let says = |words: &&str| is_said(&text, words) && !is_in_code(&text, words);
    REFUSED.iter().find(|refused| refused.said.iter().any(says))
}

/// The line of a text in which an engine begins to say that.
fn line_of<'t>(text: &'t str, refused: &Refused) -> Option<&'t str> {
    text.lines().find(|line| {
        let line = line.to_lowercase();
        let begins = |words: &&str| line.contains(words.split(" ... ").next().unwrap_or(words));
        refused.said.iter().any(begins)
    })
}

/// Whether a line only quotes it.
fn is_quoted(line: &str) -> bool {
    let line = line.to_lowercase();
    QUOTED.iter().any(|words| line.contains(words))
}

/// The same of a text that is none of bwrap's, as a cause.
pub(super) fn find(case: &Case<'_>) -> Option<Finding> {
    if matches!(Setting::of(case), Setting::Kubernetes { .. }) {
        return None;
    }
    let (text, refused) = case.others().find_map(|text| {
        let refused = refused(&text)?;
        let quoted = !is_engines(&text.to_lowercase()) && line_of(&text, refused).is_some_and(is_quoted);
        (!quoted).then_some((text, refused))
    })?;
    let line = line_of(&text, refused);
    let found = weigh(High)
        .summary(refused.summary)
        .refuted_by("the same container is not started without that option either")
        .heard(case, line.map(|line| format!("the engine says so: {}", line.trim())));
    Some(found.finding(refused.cause, wish::fit(case, (refused.remedies)())))
}

#[cfg(test)]
mod tests;

//! The sandbox's own system call filters.

use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Confidence::{High, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::{Remedy, evidence};
rules! {
    FilterRejected, Anytime, [
        "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL.%s",
        "prctl(PR_SET_SECCOMP)", "Invalid seccomp data, must be multiple of 8", "Can't read seccomp data",
    ],
        unless "the sandbox fails in the same way without its filters"
        => filter, other_filter;
}

pub(in crate::diagnosis) fn filter(case: &Case<'_>) -> Option<Judgement> {
    let message = case.symptom?.message()?;
    let filters = case.sandbox.map_or(0, |sandbox| sandbox.privileges.filters.len());
    let (confidence, summary) = match (message.pattern(), case.errno()) {
        (Some("Can't read seccomp data"), _) => {
            (High, "bwrap cannot read the filter: its descriptor is closed, or was read by somebody else")
        }
        (Some("Invalid seccomp data, must be multiple of 8"), _) => {
            (High, "the filter is no classic BPF: its length is no multiple of 8 bytes")
        }
        (_, Some(libc::EINVAL)) => {
            (High, "the kernel rejects the filter: it is empty, too long (4096 instructions), or malformed")
        }
        (_, Some(libc::EPERM | libc::EACCES)) if filters > 1 => {
            (High, "a filter that was loaded before denies prctl, and so the next one")
        }
        (_, Some(libc::ENOMEM)) => (High, "all filters together are too long (32768 instructions)"),
        _ => (Medium, "the filter could not be loaded"),
    };
    let mut judgement = weigh(confidence).summary(summary).said(case);
    if filters > 0 {
        judgement = judgement.asked(case, format!("the sandbox has {filters} filters"));
    }
    if case.host.process.seccomp.is_absent() {
        judgement = judgement.seen(
            &case.host.process.seccomp,
            "the kernel has no system call filters (no Seccomp in /proc/self/status)",
        );
    }
    Some(judgement)
}

pub(in crate::diagnosis) fn other_filter(case: &Case<'_>) -> Vec<Remedy> {
    if case.host.process.seccomp.is_absent() {
        return vec![told!("kernel-with-filters")];
    }
    let mut remedies = vec![told!("compile-filter")];
    if matches!(case.errno(), Some(libc::EPERM | libc::EACCES)) {
        remedies.push(told!("strictest-filter-last"));
    }
    remedies
}

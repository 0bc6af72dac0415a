//! The sandbox's own system call filters.

use super::prelude::*;

rules! {
    FilterRejected, Failed, [
        "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL.%s",
        "prctl(PR_SET_SECCOMP)", UNEVEN, UNREADABLE,
    ],
        unless "the sandbox fails in the same way without its filters" => filter, other_filter;
}

const UNEVEN: &str = "Invalid seccomp data, must be multiple of 8";
const UNREADABLE: &str = "Can't read seccomp data";

fn filter(case: &Case<'_>) -> Option<Judgement> {
    let filters = case.sandbox.map_or(0, |sandbox| sandbox.privileges.filters.len());
    let (confidence, summary) = match case.errno() {
        _ if case.says(&[UNREADABLE]) => {
            (High, "bwrap cannot read the filter: its descriptor is closed, or was read by somebody else")
        }
        _ if case.says(&[UNEVEN]) => {
            (High, "the filter is no classic BPF: its length is no multiple of 8 bytes")
        }
        Some(libc::EINVAL) => {
            (High, "the kernel rejects the filter: it is empty, too long (4096 instructions), or malformed")
        }
        Some(libc::EPERM | libc::EACCES) if filters > 1 => {
            (High, "a filter that was loaded before denies prctl, and so the next one")
        }
        Some(libc::ENOMEM) => (High, "all filters together are too long (32768 instructions)"),
        _ => (Medium, "the filter could not be loaded"),
    };
    let seccomp = &case.host.process.seccomp;
    let none = "the kernel has no system call filters (no Seccomp in /proc/self/status)";
    weigh(confidence)
        .summary(summary)
        .said(case)
        .asked(case, (filters > 0).then(|| format!("the sandbox has {filters} filters")))
        .seen(seccomp, seccomp.is_absent().then_some(none))
        .into()
}

fn other_filter(case: &Case<'_>) -> Vec<Remedy> {
    if case.host.process.seccomp.is_absent() {
        return vec![told!("kernel-with-filters")];
    }
    let denied = matches!(case.errno(), Some(libc::EPERM | libc::EACCES));
    told!("compile-filter").or(denied.then(|| told!("strictest-filter-last")))
}

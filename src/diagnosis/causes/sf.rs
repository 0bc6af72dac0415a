//! The sandbox's own system call filters.

use super::prelude::*;

rules! {
    FilterRejected, Failed, [
        "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL.%s",
        "prctl(PR_SET_SECCOMP)", "Invalid seccomp data, must be multiple of 8", "Can't read seccomp data"
    ],
        unless "the sandbox fails in the same way without its filters" => filter, other_filter;
}

fn filter(case: &Case<'_>) -> Option<Judgement> {
    let filters = case.sandbox.map_or(0, |sandbox| sandbox.privileges.filters.len());
    let denied = filters > 1 && matches!(case.errno(), Some(libc::EPERM | libc::EACCES));
    let (confidence, summary) = match meaning(case, Cause::FilterRejected)? {
        _ if denied => (High, "a filter that was loaded before denies prctl, and so the next one"),
        otherwise => otherwise,
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
        return vec![told!(SF01, "kernel-with-filters")];
    }
    let denied = matches!(case.errno(), Some(libc::EPERM | libc::EACCES));
    told!(SF01, "compile-filter").or(denied.then(|| told!(SF01, "strictest-filter-last")))
}

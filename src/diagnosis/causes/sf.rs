//! The sandbox's own system call filters.

use super::prelude::*;
use crate::diagnosis::launcher::Launcher;

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
        _ if by_kernel(case) => (Medium, BY_KERNEL),
        _ if is_unseen(case) && filters == 0 => (Medium, EITHER),
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

const BY_KERNEL: &str = "the kernel takes no system call filter: it was built without them";
const EITHER: &str = "the kernel takes no system call filter at all, or not this one: empty, too long (4096 instructions) or malformed";

/// Whether the kernel answered that it does not take the filter.
fn is_refused(case: &Case<'_>) -> bool {
    case.errno() == Some(libc::EINVAL)
}

/// Whether nobody can tell whether the kernel takes any.
fn is_unseen(case: &Case<'_>) -> bool {
    is_refused(case) && case.host.process.seccomp.is_unknown() && !case.hinted(Hint::FilterOption)
}

/// Whether it is one of a launcher's that is the same everywhere, and loaded everywhere else.
fn is_proven(case: &Case<'_>) -> bool {
    let proven = [Launcher::Flatpak, Launcher::Steam, Launcher::Glycin, Launcher::WebKit];
    is_unseen(case) && Launcher::of(case).is_some_and(|launcher| proven.contains(&launcher))
}

/// Whether such a one is for the kernel, of which those of phones and boards are built so. On WSL 1 there is none, and qemu stands
/// before it.
fn by_kernel(case: &Case<'_>) -> bool {
    is_proven(case) && !case.on(Platform::Wsl1) && !case.hinted(Hint::Qemu)
}

fn other_filter(case: &Case<'_>) -> Vec<Remedy> {
    let kernel = || told!(SF01, "kernel-with-filters");
    if case.host.process.seccomp.is_absent() {
        return vec![kernel()];
    }
    if by_kernel(case) {
        return vec![told!(SF01, "look-at-kernel")];
    }
    if is_refused(case) && case.on(Platform::Wsl1) {
        return vec![told!("convert-to-wsl-2")];
    }
    if is_proven(case) {
        return told!(NS20, "own-processor").or([told!(SF01, "look-at-kernel")]);
    }
    if is_unseen(case) && case.sandbox.is_none() {
        return told!(SF01, "compile-filter").or([told!(SF01, "look-at-kernel")]);
    }
    let denied = matches!(case.errno(), Some(libc::EPERM | libc::EACCES));
    told!(SF01, "compile-filter").or(denied.then(|| told!(SF01, "strictest-filter-last")))
}

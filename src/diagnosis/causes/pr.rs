//! Mounting a procfs, and making a `/dev` with its devpts.

pub(super) mod hidden;
pub(super) mod incomplete;
pub(super) mod remedies;

use crate::diagnosis::case::Case;
use crate::diagnosis::confinement::{apparmor_denies, permit_in_profile, selinux_denies};
use crate::diagnosis::facts::enters_user_namespace;
use crate::diagnosis::finding::Confidence;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::Wish;
use crate::diagnosis::{Cause, Remedy, SandboxChange, evidence};
use hidden::{Hidden, Seen, doubtful, look};
use remedies::{another_kernel, outer_as_user, permit_mounts, uncover, unmask_or_bind, with_bind_proc};

pub(super) const PROC: &str = "Can't mount proc on %s";
// Security modules come first: they answer before the kernel looks at what is visible.
rules! {
    SelinuxDeniesProc, Anytime, [PROC => (EACCES)]
        => |case| {
            let operation = case.plan.as_ref().and_then(|plan| plan.proc);
            let wanted = case.failed() || operation.is_some();
            let found = wanted.then(|| selinux_denies(case, "proc_t:filesystem mount"))??;
            Some(found.operation(operation))
        }, |case| with_bind_proc(case, permit_mounts(case));

    AppArmorDeniesProc, Anytime about proc, [PROC => (EACCES)]
        => apparmor_denies_proc, |case| with_bind_proc(case, permit_in_profile(case));

    MaskedProc, Anytime, [PROC => (EPERM)]
        => |case| hidden_proc(case, Cause::MaskedProc), unmask_or_bind;

    CoveredProc, Anytime, [PROC => (EPERM)]
        => |case| hidden_proc(case, Cause::CoveredProc), |case| with_bind_proc(case, uncover(case));

    OuterBwrapCoversProc, Anytime, [PROC => (EPERM)]
        => |case| hidden_proc(case, Cause::OuterBwrapCoversProc), |case| with_bind_proc(case, vec![outer_as_user()]);

    ProcAtime, Anytime, [PROC => (EPERM)]
        => |case| hidden_proc(case, Cause::ProcAtime), |case| with_bind_proc(case, Wish::Relatime.grant(case));

    PidNamespaceNotOwned, Anytime about proc, [PROC => (EPERM)]
        => pid_namespace_not_owned, |case| with_bind_proc(case, vec![Remedy::change(SandboxChange::UnsharePid)]);

    EmulatedKernelDeniesProc, Anytime, [PROC => (EPERM)]
        => emulated_kernel, |case| with_bind_proc(case, vec![another_kernel()]);
}

/// The kernel's rule about whole procfs instances, if what breaks it is this cause.
fn hidden_proc(case: &Case<'_>, wanted: Cause) -> Option<Judgement> {
    let operation = case.plan.as_ref().and_then(|plan| plan.proc);
    // of a sandbox that nobody knows, after a failure at another stage
    let unknown = case.plan.is_none();
    if !case.failed() && operation.is_none() && !unknown {
        return None;
    }
    let found = |confidence| {
        let refuted = "`unshare -Urmpf mount -t proc proc /mnt` succeeds where bwrap is started";
        weigh(confidence).refuted_by(refuted).operation(operation)
    };
    let hidden = match look(case) {
        Seen::Unknown => {
            let likely = wanted == Cause::MaskedProc;
            let found = found(if likely { Medium } else { Low });
            return case.failed().then(|| found.unknown("what is mounted on /proc: /proc/self/mountinfo"));
        }
        Seen::Hidden(hidden) if hidden.cause == wanted => hidden,
        Seen::Whole if case.failed() && wanted == Cause::CoveredProc => doubtful(case)?,
        Seen::Whole | Seen::Hidden(_) => return None,
    };
    let confidence = confidence(case, &hidden)?;
    let mut found = found(confidence).seen(&case.host.mounts, &hidden.evidence);
    if unknown && !case.failed() {
        found.confidence = Medium;
        found = found.unknown("whether the sandbox mounts /proc in a PID namespace of its own");
    }
    if let Some(doubt) = &hidden.doubt {
        found.confidence = confidence.min(Medium);
        found = found.unknown(doubt);
    }
    let found = found.if_so(evidence::entered_namespace(case));
    Some(found.summary(hidden.summary))
}

fn confidence(case: &Case<'_>, hidden: &Hidden<'_>) -> Option<Confidence> {
    let initial = case.host.user_namespace.is_initial();
    if !case.failed() {
        // the id maps come first if it is read-only, and other kernels have other rules
        let other = hidden.read_only
            || case.emulated().is_some()
            || hidden.covers.is_empty() && hidden.cause == Cause::CoveredProc;
        return match enters_user_namespace(case) {
            _ if other => None,
            Some(true) => Some(High),
            Some(false) => None,
            None => Some(Medium),
        };
    }
    Some(match enters_user_namespace(case) {
        _ if case.emulated().is_some() => Low,
        Some(false) if initial == Some(true) => Low,
        // what was mounted before this namespace was made is locked, and the rest is not
        Some(false) => Medium,
        _ => High,
    })
}

fn apparmor_denies_proc(case: &Case<'_>) -> Option<Judgement> {
    // before a launch the rule about mounting as such speaks for it
    let found = case.failed().then(|| apparmor_denies(case, "mounting proc"))??;
    Some(found)
}

/// A procfs takes `CAP_SYS_ADMIN` where its PID namespace belongs; bwrap's own belongs to bwrap's user namespace.
fn pid_namespace_not_owned(case: &Case<'_>) -> Option<Judgement> {
    let found = |confidence| {
        let refuted = "the PID namespace that is joined was made in the user namespace that bwrap works in";
        weigh(confidence).refuted_by(refuted)
    };
    let joins = case.plan.as_ref().map(|plan| plan.join_pid && !plan.new_pid);
    let joined = || found(Medium).asked(case, "the sandbox joins a PID namespace instead of making one");
    match (joins, look(case)) {
        (Some(true), _) if !case.failed() => {
            (enters_user_namespace(case) == Some(true) && case.plans(|plan| plan.proc.is_some())).then(joined)
        }
        (Some(true), Seen::Whole) => {
            let mut found =
                joined().seen(&case.host.mounts, "a whole procfs is visible (/proc/self/mountinfo)");
            found.confidence = High;
            Some(found)
        }
        (Some(true), _) => Some(joined()),
        (Some(false), _) | (None, Seen::Hidden(_)) => None,
        (None, _) if !case.failed() => None,
        (None, Seen::Whole) => Some(
            found(Medium)
                .seen(&case.host.mounts, "a whole procfs is visible (/proc/self/mountinfo)")
                .unknown("whether the sandbox joins a PID namespace (--pidns)"),
        ),
        (None, Seen::Unknown) => {
            Some(found(Low).unknown("whether the sandbox joins a PID namespace (--pidns)"))
        }
    }
}

fn emulated_kernel(case: &Case<'_>) -> Option<Judgement> {
    let operation = case.plan.as_ref().and_then(|plan| plan.proc);
    let found = |confidence| {
        let refuted = "`unshare -Urmpf mount -t proc proc /mnt` succeeds where bwrap is started";
        weigh(confidence).refuted_by(refuted).operation(operation)
    };
    if let Some(platform) = case.emulated() {
        let found = found(if case.failed() { High } else { Medium })
            .summary(format!("{platform} does not mount a procfs in this sandbox"))
            .seen(&case.host.platforms, format!("the kernel is {platform}'s own"));
        let hidden = matches!(look(case), Seen::Hidden(_));
        return (case.failed() || hidden && operation.is_some()).then_some(found);
    }
    let unexplained = case.failed() && matches!(look(case), Seen::Whole);
    unexplained.then(|| {
        found(Low)
            .seen_against(
                &case.host.kernel.release,
                "nothing says that this kernel is none of Linux (uname -rv)",
            )
            .seen(
                &case.host.mounts,
                "a whole procfs is visible, and Linux would mount another (/proc/self/mountinfo)",
            )
    })
}

#[cfg(test)]
mod tests;

//! Mounting a procfs, and making a `/dev` with its devpts.

pub(super) mod hidden;
pub(super) mod incomplete;
pub(super) mod remedies;

use hidden::{Hidden, Seen, doubtful, look};
use remedies::{another_kernel, outer_as_user, permit_mounts, uncover, unmask_or_bind, with_bind_proc};

use crate::diagnosis::Cause;
use crate::diagnosis::Remedy;
use crate::diagnosis::SandboxChange;
use crate::diagnosis::case::Case;
use crate::diagnosis::confinement::permit_in_profile;
use crate::diagnosis::confinement::{apparmor_denies, selinux_denies};
use crate::diagnosis::finding::Confidence;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::weigh::{Judgement, Rule};
use crate::diagnosis::wish::Wish;

pub(super) const PROC: &str = "Can't mount proc on %s";
/// Security modules come first: they answer before the kernel looks at what is visible.
pub(in crate::diagnosis) const RULES: &[Rule] = &[
    Rule {
        cause: Cause::SelinuxDeniesProc,
        messages: &[(PROC, &[libc::EACCES])],
        judge: |case| {
            let operation = case.plan.as_ref().and_then(|plan| plan.proc);
            let wanted = case.failed() || operation.is_some();
            let found = wanted.then(|| selinux_denies(case, "proc_t:filesystem mount"))??;
            Some(found.operation(operation))
        },
        remedies: |case| with_bind_proc(case, permit_mounts(case)),
    },
    Rule {
        cause: Cause::AppArmorDeniesProc,
        messages: &[(PROC, &[libc::EACCES])],
        judge: apparmor_denies_proc,
        remedies: |case| with_bind_proc(case, permit_in_profile(case)),
    },
    Rule {
        cause: Cause::MaskedProc,
        messages: &[(PROC, &[libc::EPERM])],
        judge: |case| hidden_proc(case, Cause::MaskedProc),
        remedies: unmask_or_bind,
    },
    Rule {
        cause: Cause::CoveredProc,
        messages: &[(PROC, &[libc::EPERM])],
        judge: |case| hidden_proc(case, Cause::CoveredProc),
        remedies: |case| with_bind_proc(case, uncover(case)),
    },
    Rule {
        cause: Cause::OuterBwrapCoversProc,
        messages: &[(PROC, &[libc::EPERM])],
        judge: |case| hidden_proc(case, Cause::OuterBwrapCoversProc),
        remedies: |case| with_bind_proc(case, vec![outer_as_user()]),
    },
    Rule {
        cause: Cause::ProcAtime,
        messages: &[(PROC, &[libc::EPERM])],
        judge: |case| hidden_proc(case, Cause::ProcAtime),
        remedies: |case| with_bind_proc(case, Wish::Relatime.grant(case)),
    },
    Rule {
        cause: Cause::PidNamespaceNotOwned,
        messages: &[(PROC, &[libc::EPERM])],
        judge: pid_namespace_not_owned,
        remedies: |case| with_bind_proc(case, vec![Remedy::change(SandboxChange::UnsharePid)]),
    },
    Rule {
        cause: Cause::EmulatedKernelDeniesProc,
        messages: &[(PROC, &[libc::EPERM])],
        judge: emulated_kernel,
        remedies: |case| with_bind_proc(case, vec![another_kernel()]),
    },
];

/// Whether bwrap mounts in a user namespace other than ours, where everything that is mounted on /proc is locked.
fn enters_user_namespace(case: &Case<'_>) -> Option<bool> {
    let joins = case.sandbox.is_some_and(|sandbox| sandbox.namespaces.join_user.is_some());
    let asks = case.sandbox.is_some_and(|sandbox| sandbox.namespaces.any_user());
    match case.root() {
        _ if joins => Some(true),
        // whoever is not root gets one unasked
        None if !asks => None,
        _ => case.user_namespace(),
    }
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
        Judgement::new(confidence, refuted).operation(operation)
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
    let mut found = found(confidence).pro(&hidden.evidence);
    if unknown && !case.failed() {
        found.confidence = Medium;
        found = found.unknown("whether the sandbox mounts /proc in a PID namespace of its own");
    }
    if let Some(doubt) = &hidden.doubt {
        found.confidence = confidence.min(Medium);
        found = found.unknown(doubt);
    }
    let found = match enters_user_namespace(case) {
        Some(true) => found.pro("bwrap mounts in a user namespace of its own, for which the rule holds"),
        Some(false) => {
            found.contra("bwrap makes no user namespace, and the rule holds only in others than the first")
        }
        None => found.unknown("whether bwrap makes a user namespace, for which alone the rule holds"),
    };
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
    Some(found.operation(case.plan.as_ref().and_then(|plan| plan.proc)))
}

/// A procfs takes `CAP_SYS_ADMIN` where its PID namespace belongs; bwrap's own belongs to bwrap's user namespace.
fn pid_namespace_not_owned(case: &Case<'_>) -> Option<Judgement> {
    let found = |confidence| {
        let refuted = "the PID namespace that is joined was made in the user namespace that bwrap works in";
        Judgement::new(confidence, refuted).operation(case.plan.as_ref().and_then(|plan| plan.proc))
    };
    let joins = case.plan.as_ref().map(|plan| plan.join_pid && !plan.new_pid);
    let joined = || found(Medium).pro("the sandbox joins a PID namespace instead of making one");
    match (joins, look(case)) {
        (Some(true), _) if !case.failed() => {
            (enters_user_namespace(case) == Some(true) && case.plans(|plan| plan.proc.is_some())).then(joined)
        }
        (Some(true), Seen::Whole) => {
            let mut found = joined().pro("a whole procfs is visible (/proc/self/mountinfo)");
            found.confidence = High;
            Some(found)
        }
        (Some(true), _) => Some(joined()),
        (Some(false), _) | (None, Seen::Hidden(_)) => None,
        (None, _) if !case.failed() => None,
        (None, Seen::Whole) => Some(
            found(Medium)
                .pro("a whole procfs is visible (/proc/self/mountinfo)")
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
        Judgement::new(confidence, refuted).operation(operation)
    };
    if let Some(platform) = case.emulated() {
        let found = found(if case.failed() { High } else { Medium })
            .summary(format!("{platform} does not mount a procfs in this sandbox"))
            .pro(format!("the kernel is {platform}'s own"));
        let hidden = matches!(look(case), Seen::Hidden(_));
        return (case.failed() || hidden && operation.is_some()).then_some(found);
    }
    let unexplained = case.failed() && matches!(look(case), Seen::Whole);
    unexplained.then(|| {
        found(Low)
            .contra("nothing says that this kernel is none of Linux (uname -rv)")
            .pro("a whole procfs is visible, and Linux would mount another (/proc/self/mountinfo)")
    })
}

#[cfg(test)]
mod tests;

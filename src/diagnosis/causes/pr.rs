//! Mounting a procfs, and making a `/dev` with its devpts.

pub(super) mod hidden;
pub(super) mod incomplete;
pub(super) mod remedies;

use super::prelude::*;
use hidden::{COVERING, Hidden, Seen, doubtful, drops_fields, is_cri_o, look, told_hidden};
use remedies::{bind_proc, permit_mounts, uncover, unmask_by_update, unmask_or_bind};

pub(super) const PROC: &str = "Can't mount proc on %s";

// Security modules come first: they answer before the kernel looks at what is visible.
const MOUNTED_HERE: &str = "`unshare -Urmpf mount -t proc proc /mnt` succeeds where bwrap is started";

rules! {
    SelinuxDeniesProc, Anytime about proc if |plan| plan.proc.is_some(), [PROC => (EACCES)]
        => |case| beside_told(case, selinux_denies(case, &MOUNT_PROC)),
        |case| permit_mounts(case).or(bind_proc(case));

    // before a launch the rule about mounting as such speaks for it
    AppArmorDeniesProc, Failed about proc, [PROC => (EACCES)]
        => |case| beside_told(case, apparmor_denies(case, "mounting proc")),
        |case| permit_in_profile(case).or(bind_proc(case));

    MaskedProc, Anytime about proc, [PROC => (EPERM)], unless MOUNTED_HERE
        => |case| hidden_proc(case, Cause::MaskedProc), unmask_or_bind;

    UnmaskedProcMasked, Anytime about proc, [PROC => (EPERM)],
        unless "the pod's YAML does not say procMount: Unmasked, or `crio --version` on the node is none of 1.33.0 and 1.33.1"
        => |case| hidden_proc(case, Cause::UnmaskedProcMasked), unmask_by_update;

    CoveredProc, Anytime about proc, [PROC => (EPERM EACCES)], unless MOUNTED_HERE
        => |case| hidden_proc(case, Cause::CoveredProc), |case| uncover(case).or(bind_proc(case));

    OuterBwrapCoversProc, Anytime about proc, [PROC => (EPERM)], unless MOUNTED_HERE
        => |case| hidden_proc(case, Cause::OuterBwrapCoversProc),
        |case| told!(PR03, "outer-bwrap-as-user").or(bind_proc(case));

    ProcAtime, Anytime about proc, [PROC => (EPERM)], unless MOUNTED_HERE
        => |case| hidden_proc(case, Cause::ProcAtime), |case| Wish::Relatime.grant(case).or(bind_proc(case));

    PidNamespaceNotOwned, Anytime about proc, [PROC => (EPERM)],
        unless "the PID namespace that is joined was made in the user namespace that bwrap works in"
        => pid_namespace_not_owned, |case| Remedy::change(SandboxChange::UnsharePid).or(bind_proc(case));

    EmulatedKernelDeniesProc, Anytime about proc, [PROC => (EPERM)], unless MOUNTED_HERE
        => emulated_kernel, |case| told!(PR08, "linux-kernel").or(bind_proc(case));
}

/// What a module may have denied, where a text tells what covers /proc: that is likelier than what nobody saw.
fn beside_told(case: &Case<'_>, found: Option<Judgement>) -> Option<Judgement> {
    let mut found = found?;
    if found.confidence == Medium && told_hidden(case).is_some() {
        found.confidence = Low;
    }
    Some(found)
}

/// The kernel's rule about whole procfs instances, if what breaks it is this cause.
fn hidden_proc(case: &Case<'_>, wanted: Cause) -> Option<Judgement> {
    // where nobody looked at the mounts
    if let Some((cause, who, told)) = told_hidden(case) {
        let rule = "and the kernel mounts no procfs in a user namespace that sees no whole one";
        // by its name alone, a setting may be somebody else's
        let sure = !COVERING.contains(&told.as_str());
        let found = weigh(if sure { High } else { Medium })
            .summary(format!("{who}, {rule}"))
            .pro(evidence::told(case, told));
        return (cause == wanted).then_some(found);
    }
    // that is what security modules answer, and where there is none somebody's memory
    rule_out(case.errno() == Some(libc::EACCES) && !case.host.security.label.is_absent())?;
    // of a sandbox that nobody knows, after a failure at another stage
    let unknown = case.plan.is_none();
    rule_out(!case.failed() && case.is_planned(|plan| plan.proc.is_none()))?;
    let hidden = match look(case) {
        Seen::Unknown => {
            // without a container it is something else than its runtime that covers it
            let unmasked =
                case.told().is_some_and(|told| told.unmasked || told.nests && case.on(Platform::Lxc));
            rule_out(unmasked && wanted == Cause::MaskedProc)?;
            let usual = match Setting::of(case) {
                _ if unmasked && drops_fields(case) => Cause::PodFieldsIgnored,
                _ if unmasked && is_cri_o(case) && !case.told().is_some_and(|told| told.privileged) => {
                    Cause::UnmaskedProcMasked
                }
                _ if unmasked => Cause::CoveredProc,
                Setting::Machine | Setting::Unit => Cause::CoveredProc,
                _ => Cause::MaskedProc,
            };
            let likely = if wanted == usual { Medium } else { Low };
            let what = "what is mounted on /proc: /proc/self/mountinfo";
            rule_out(wanted == Cause::UnmaskedProcMasked && !is_cri_o(case))?;
            return open(case, likely, what);
        }
        Seen::Hidden(hidden) if hidden.cause == wanted => hidden,
        Seen::Whole if case.failed() && wanted == Cause::CoveredProc => doubtful(case)?,
        Seen::Whole | Seen::Hidden(_) => return None,
    };
    let confidence = confidence(case, &hidden)?;
    let unasked = unknown && !case.failed();
    let sure = hidden.doubt.is_none() && !unasked;
    let mounts = "whether the sandbox mounts /proc in a PID namespace of its own";
    weigh(if sure { confidence } else { confidence.min(Medium) })
        .seen(&case.host.mounts, hidden.evidence)
        .unknown(unasked.then_some(mounts))
        .unknown(hidden.doubt)
        .if_so(evidence::entered_namespace(case))
        .summary(hidden.summary)
        .into()
}

fn confidence(case: &Case<'_>, hidden: &Hidden<'_>) -> Option<Confidence> {
    let (enters, emulated) = (enters_user_namespace(case), case.emulated().is_some());
    if case.failed() {
        let initial = case.host.user_namespace.is_initial() == Some(true);
        return Some(match enters {
            _ if emulated => Low,
            Some(false) if initial => Low,
            // what was mounted before this namespace was made is locked, and the rest is not
            Some(false) => Medium,
            _ => High,
        });
    }
    // the id maps come first if it is read-only, and other kernels have other rules
    let bare = hidden.covers.is_empty() && hidden.cause == Cause::CoveredProc;
    rule_out(hidden.read_only || emulated || bare || enters == Some(false))?;
    Some(if enters.is_some() { High } else { Medium })
}

const WHOLE: &str = "a whole procfs is visible (/proc/self/mountinfo)";

/// A procfs takes `CAP_SYS_ADMIN` where its PID namespace belongs; bwrap's own belongs to bwrap's user namespace.
fn pid_namespace_not_owned(case: &Case<'_>) -> Option<Judgement> {
    let mounts = &case.host.mounts;
    let Some(plan) = &case.plan else {
        let joins = "whether the sandbox joins a PID namespace (--pidns)";
        rule_out(!case.failed())?;
        return match look(case) {
            Seen::Whole => Some(weigh(Medium).seen(mounts, WHOLE).unknown(joins)),
            Seen::Unknown => Some(weigh(Low).unknown(joins)),
            Seen::Hidden(_) => None,
        };
    };
    rule_out(!plan.join_pid || plan.new_pid)?;
    rule_out(!case.failed() && (enters_user_namespace(case) != Some(true) || plan.proc.is_none()))?;
    let sure = case.failed() && matches!(look(case), Seen::Whole);
    weigh(if sure { High } else { Medium })
        .asked(case, "the sandbox joins a PID namespace instead of making one")
        .seen(mounts, sure.then_some(WHOLE))
        .into()
}

fn emulated_kernel(case: &Case<'_>) -> Option<Judgement> {
    if let Some(platform) = case.emulated() {
        let mounts = case.is_planned(|plan| plan.proc.is_some());
        let stopped = case.failed() || mounts && matches!(look(case), Seen::Hidden(_));
        rule_out(!stopped)?;
        let found = weigh(if case.failed() { High } else { Medium })
            .summary(format!("{platform} does not mount a procfs in this sandbox"));
        return Some(found.seen(&case.host.platforms, format!("the kernel is {platform}'s own")));
    }
    rule_out(!case.failed() || !matches!(look(case), Seen::Whole))?;
    let linux = "nothing says that this kernel is none of Linux (uname -rv)";
    let whole = "a whole procfs is visible, and Linux would mount another (/proc/self/mountinfo)";
    Some(weigh(Low).seen_against(&case.host.kernel.release, linux).seen(&case.host.mounts, whole))
}

#[cfg(test)]
mod tests;

//! What root could do without.

use super::pr::PROC;
use super::pr::hidden::{Hidden, Seen, look};
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Confidence::Medium;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::{Remedy, SandboxChange, evidence};
use crate::sandbox::Capability;

rules! {
    NeedlessUserNamespace, Anytime about proc, [PROC => (EPERM)],
        unless "without --unshare-user and --unshare-all the same sandbox fails, too"
        => needless_user_namespace, |_| vec![Remedy::change(SandboxChange::KeepUserNamespace)];
}

/// What is mounted in our own user namespace is locked only in others.
fn needless_user_namespace(case: &Case<'_>) -> Option<Judgement> {
    let hidden = matches!(look(case), Seen::Hidden(Hidden { read_only: false, .. }));
    let possible = case.failed()
        && hidden
        && case.root() == Some(true)
        && case.has(Capability::CAP_SYS_ADMIN) == Some(true)
        && case.plan.as_ref().is_some_and(|plan| plan.user_namespace && !plan.disable_userns)
        && case.emulated().is_none();
    possible.then(|| {
        weigh(Medium)
            .seen(
                &case.host.process.effective,
                "the process is root and has CAP_SYS_ADMIN (CapEff in /proc/self/status)",
            )
            .asked(case, "the sandbox asks for a user namespace, which locks what is mounted on /proc")
    })
}

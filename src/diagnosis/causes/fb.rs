//! What root could do without.

use super::pr::PROC;
use super::pr::hidden::{Hidden, Seen, look};
use super::prelude::*;

rules! {
    NeedlessUserNamespace, Failed about proc, [PROC => (EPERM)],
        unless "without --unshare-user and --unshare-all the same sandbox fails, too"
        => needless_user_namespace, |_| vec![Remedy::change(SandboxChange::KeepUserNamespace)];
}

/// What is mounted in our own user namespace is locked only in others.
fn needless_user_namespace(case: &Case<'_>) -> Option<Judgement> {
    let plan = case.plan.as_ref()?;
    let needless = plan.user_namespace && !plan.disable_userns && case.is_admin();
    rule_out(!needless || case.emulated().is_some())?;
    rule_out(!matches!(look(case), Seen::Hidden(Hidden { read_only: false, .. })))?;
    let admin = "the process is root and has CAP_SYS_ADMIN (CapEff in /proc/self/status)";
    let asks = "the sandbox asks for a user namespace, which locks what is mounted on /proc";
    Some(weigh(Medium).seen(&case.host.process.effective, admin).asked(case, asks))
}

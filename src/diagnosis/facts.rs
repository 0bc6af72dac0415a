//! What several rules ask of the facts.

use crate::bwrap::Version;
use crate::diagnosis::case::Case;
use crate::diagnosis::visible_proc::Visibility;
pub(super) use crate::shell::path_word as word;

/// The price of user namespaces for everybody.
pub(super) const OPENS: &str =
    "every user of the machine can make user namespaces, which lets them reach more of the kernel's code";

/// Whether bwrap makes a user namespace first; `None` if nobody knows. One that is setuid root may do without.
pub(super) fn user_namespace(case: &Case<'_>) -> Option<bool> {
    if !case.failed() && case.host.bwrap_gets_root() != Some(false) {
        return None;
    }
    let namespaces = case.sandbox.map(|sandbox| &sandbox.namespaces);
    let asked = namespaces.is_some_and(|namespaces| namespaces.new_user() || namespaces.join_user.is_some());
    if namespaces.is_some() && !asked && case.root().is_none() {
        return None;
    }
    case.user_namespace()
}

/// Whether bwrap mounts in a user namespace other than ours, where everything that is mounted on /proc is locked.
pub(super) fn enters_user_namespace(case: &Case<'_>) -> Option<bool> {
    let joins = case.sandbox.is_some_and(|sandbox| sandbox.namespaces.join_user.is_some());
    let asks = case.sandbox.is_some_and(|sandbox| sandbox.namespaces.any_user());
    match case.root() {
        _ if joins => Some(true),
        // whoever is not root gets one unasked
        None if !asks => None,
        _ => case.user_namespace(),
    }
}

/// The value of a kernel parameter, if it is a number.
pub(super) fn number(case: &Case<'_>, name: &str) -> Option<u64> {
    case.host.sysctl(name).present()?.trim().parse().ok()
}

/// The version of bwrap, if it was looked at.
pub(super) fn version(case: &Case<'_>) -> Option<Version> {
    Version::parse(&case.host.bwrap.present()?.version)
}

/// Whether a masked /proc stops the sandbox anyway. Where it does, a container that looks like the engine's default can be
/// said to fail without knowing whether its system call filter is the default one, too.
pub(super) fn stopped_by_masks(case: &Case<'_>) -> bool {
    let hidden = case.visibility().is_some_and(|visibility| *visibility != Visibility::Whole);
    hidden
        && case.user_namespace() == Some(true)
        && case.plan.as_ref().is_some_and(|plan| plan.proc.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sandbox;
    use crate::diagnosis::fixtures::{machine, mounts};
    use crate::host::{Fact, Host, Program};

    fn is_setuid(host: &Host) -> Option<bool> {
        host.bwrap_gets_root()
    }

    #[test]
    fn a_setuid_file_is_not_enough() {
        let mut host = machine();
        assert_eq!(is_setuid(&host), Some(false));
        let mut program = Program::new("/usr/bin/bwrap", "0.8.0");
        program.setuid = true;
        host.bwrap = Fact::Present(program);
        assert_eq!(is_setuid(&host), Some(true));
        host.process.no_new_privs = Fact::Unknown;
        assert_eq!(is_setuid(&host), None);
        host.process.no_new_privs = Fact::Present(true);
        assert_eq!(is_setuid(&host), Some(false));
        host.process.no_new_privs = Fact::Present(false);
        host.mounts = Fact::Present(mounts(&["1 0 8:1 / / rw,nosuid,relatime - ext4 /dev/vda1 rw"]));
        assert_eq!(is_setuid(&host), Some(false));
    }

    #[test]
    fn nobody_knows_of_a_user_namespace_without_the_user() {
        let (mut host, sandbox) = (machine(), Sandbox::new());
        assert_eq!(user_namespace(&Case::new(None, &host, Some(&sandbox))), Some(true));
        host.process.uid = Fact::Present(0);
        assert_eq!(user_namespace(&Case::new(None, &host, Some(&sandbox))), Some(false));
        host.process.uid = Fact::Unknown;
        assert_eq!(user_namespace(&Case::new(None, &host, Some(&sandbox))), None);
        let asked = sandbox.unshare(crate::Namespaces::USER);
        assert_eq!(user_namespace(&Case::new(None, &host, Some(&asked))), Some(true));
    }
}

//! What several rules ask of the facts.

use std::collections::HashSet;
use std::path::Path;

use crate::bwrap::Version;
use crate::diagnosis::case::Case;
use crate::diagnosis::visible_proc::Visibility;
use crate::host::{Children, Mount};
pub(super) use crate::shell::path_word as word;

/// The price of user namespaces for everybody.
pub(super) const OPENS: &str =
    "every user of the machine can make user namespaces, which lets them reach more of the kernel's code";

/// Whether bwrap gets root's rights from its file; `None` if nobody knows. A bwrap that was not looked at counts as a
/// plain one: hardly any other is left.
pub(super) fn setuid(case: &Case<'_>) -> Option<bool> {
    let Some(program) = case.host.bwrap.present() else { return Some(false) };
    let no_new_privs = &case.host.process.no_new_privs;
    if !program.setuid || case.root() == Some(true) || no_new_privs.is(&true) {
        return Some(false);
    }
    let mount = mount_of(case.host.mounts.present()?, program.resolved())?;
    if mount.options.contains("nosuid") {
        return Some(false);
    }
    (case.root().is_some() && no_new_privs.present().is_some()).then_some(true)
}

/// Whether bwrap makes a user namespace first; `None` if nobody knows. One that is setuid root may do without.
pub(super) fn user_namespace(case: &Case<'_>) -> Option<bool> {
    if !case.failed() && setuid(case) != Some(false) {
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

/// The mount that a path is on: down from the root, through what is mounted over it on the way.
pub(super) fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let mut here = mounts.iter().find(|mount| mount.point == Path::new("/"))?;
    let children = Children::of(mounts.iter().filter(|mount| mount.rest(path).is_some()));
    // no kernel has mounts that lead round in a circle
    let mut seen = HashSet::from([here.id]);
    while let Some(on_it) = children.on(here.id).min_by_key(|mount| mount.point.as_os_str().len()) {
        if !seen.insert(on_it.id) {
            break;
        }
        here = on_it;
    }
    Some(here)
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
        setuid(&Case::new(None, host, None))
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

    #[test]
    fn a_path_is_on_what_is_mounted_last() {
        let mounts = mounts(&[
            "1 0 0:1 / / rw,relatime - overlay overlay rw",
            "2 1 0:2 / /proc rw,relatime - proc proc rw",
            "3 2 0:2 /sys /proc/sys ro,relatime - proc proc rw",
            "4 2 0:5 / /proc rw,relatime - proc proc rw",
        ]);
        let id = |path: &str| mount_of(&mounts, Path::new(path)).unwrap().id;
        assert_eq!((id("/etc"), id("/proc/sys/user"), id("/proc")), (1, 4, 4));
        assert_eq!(mount_of(&mounts[..3], Path::new("/proc/sys/user")).unwrap().id, 3);
        assert!(mount_of(&mounts[1..], Path::new("/etc")).is_none());
    }
}

//! What several rules ask of the facts.

use std::path::Path;

use crate::bwrap::Version;
use crate::bwrap::message::Errno;
use crate::diagnosis::case::Case;
use crate::diagnosis::cause::{Cause, section};
use crate::diagnosis::finding::Confidence::{self, High, Low, Medium};

use crate::host::Mount;
pub(super) use crate::shell::path_word as word;

/// The price of user namespaces for everybody.
pub(super) const OPENS: &str =
    "every user of the machine can make user namespaces, which lets them reach more of the kernel's code";

/// Whether bwrap makes a user namespace first; `None` if nobody knows. One that is setuid root may do without.
pub(super) fn user_namespace(case: &Case<'_>) -> Option<bool> {
    rule_out(!case.failed() && case.host.bwrap_gets_root() != Some(false))?;
    let namespaces = case.sandbox.map(|sandbox| &sandbox.namespaces);
    let asked = namespaces.is_some_and(|namespaces| namespaces.new_user() || namespaces.join_user.is_some());
    rule_out(namespaces.is_some() && !asked && case.root().is_none())?;
    case.user_namespace()
}

/// Whether bwrap mounts in a user namespace other than ours, where everything that is mounted on /proc is locked.
pub(super) fn enters_user_namespace(case: &Case<'_>) -> Option<bool> {
    let asks = case.sandbox.is_some_and(|sandbox| sandbox.namespaces.any_user());
    match case.root() {
        _ if case.joins_user_namespace() => Some(true),
        // whoever is not root gets one unasked
        None if !asks => None,
        _ => case.user_namespace(),
    }
}

/// The value of a kernel parameter, if it is a number.
pub(super) fn number(case: &Case<'_>, name: &str) -> Option<u64> {
    case.host.sysctl(name).present()?.trim().parse().ok()
}

/// What is mounted on a path: the last of several is on top.
pub(super) fn mounted_on<'a>(case: &Case<'a>, path: &Path) -> Option<&'a Mount> {
    case.host.mounts.present()?.iter().rfind(|mount| mount.point == path)
}

/// The version of bwrap, if it was looked at, or a text tells of one only.
pub(super) fn version(case: &Case<'_>) -> Option<Version> {
    match case.host.bwrap.present() {
        Some(program) => Version::parse(&program.version),
        None => Version::parse(case.told()?.version.as_deref()?),
    }
}

/// Whether a masked /proc stops the sandbox anyway. Where it does, a container that looks like the engine's default can be
/// said to fail without knowing whether its system call filter is the default one, too.
pub(super) fn stopped_by_masks(case: &Case<'_>) -> bool {
    let hidden = case.visibility().is_some_and(Result::is_err);
    hidden && case.user_namespace() == Some(true) && case.is_planned(|plan| plan.proc.is_some())
}

/// Ends a judge where something rules its cause out: `rule_out(case.filtered() == Some(false))?`.
pub(super) fn rule_out(so: bool) -> Option<()> {
    (!so).then_some(())
}

/// What the message and the answer with which it ends mean to a cause, and how sure it is then: the rows below `== answers` in its
/// text. A row: the message or the reason in it (any, if empty), the names of the answers (any, if empty), how sure (if it says
/// that), and what it means. Of two rows the first one counts.
pub(super) fn meaning(case: &Case<'_>, of: Cause) -> Option<(Confidence, &'static str)> {
    let message = case.message()?;
    let said = [message.pattern(), message.reason()];
    let answer = message.errno().and_then(Errno::name);
    section(of.text(), "answers").lines().find_map(|row| {
        let mut fields = row.split('\t');
        let (about, answers, sure, means) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        rule_out(!about.is_empty() && !said.contains(&Some(about)))?;
        rule_out(!answers.is_empty() && !answers.split(' ').any(|name| answer == Some(name)))?;
        let sure = [Low, High].into_iter().find(|one| one.to_string() == sure);
        Some((sure.unwrap_or(Medium), means))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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

    #[test]
    fn rows_are_read() {
        let texts: HashSet<&str> = crate::bwrap::message::texts().collect();
        let code =
            |name: &str| crate::bwrap::message::named_in(name.as_bytes()).and_then(|errno| errno.code());
        let rows = |cause: &Cause| section(cause.text(), "answers").lines();
        let rows: Vec<&str> = Cause::ALL.iter().flat_map(rows).collect();
        assert!(rows.len() > 60, "{}", rows.len());
        for row in rows {
            let fields: Vec<&str> = row.split('\t').collect();
            let [about, answers, sure, means] = fields[..] else { panic!("{row}") };
            assert!(!means.is_empty(), "{row}");
            assert!(about.is_empty() || texts.contains(about), "{row}");
            assert!(answers.split_terminator(' ').all(|name| code(name).is_some()), "{row}");
            assert!(["", "low", "medium", "high"].contains(&sure), "{row}");
        }
    }
}

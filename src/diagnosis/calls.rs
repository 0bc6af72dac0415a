//! The system calls that bwrap makes, by stage and version, and what a system call filter's answer to one looks like from outside.
//!
//! A filter answers with any error number that its author chose, or kills. What it cannot be told from is what the kernel itself
//! answers to the same call for reasons of its own: those numbers stand beside each call.

use std::path::Path;

use super::prelude::*;
use super::wish::{self, Calls, Wish};
use super::{Cause, Finding};
use crate::bwrap::Stage;
use crate::sandbox::Operation;

/// A system call at one step of bwrap's start.
pub(super) struct Call {
    pub(super) stage: Stage,
    pub(super) name: &'static str,
    /// Which versions make it there, if not every one.
    versions: &'static str,
    /// The messages, or reasons in messages, that its failure ends in.
    pub(super) messages: &'static [&'static str],
    /// What the kernel answers for reasons of its own.
    own: &'static [i32],
}

/// What filters answer; which of them is their author's choice.
pub(super) const ANSWERS: &[i32] =
    &[libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOTSUP, libc::EBADF];

/// A row: stage, call, versions, messages, the kernel's own answers.
macro_rules! calls {
    ($($stage:ident $name:literal $versions:literal [$($message:literal),+] ($($own:ident)*);)+) => {
        /// In the order in which bwrap makes them.
        pub(super) const CALLS: &[Call] = &[$(Call {
            stage: Stage::$stage,
            name: $name,
            versions: $versions,
            messages: &[$($message),+],
            own: &[$(libc::$own),*],
        }),+];
    };
}

calls! {
    Privileges "capget" "" ["capget failed", "capget (for uid == 0) failed"] ();
    Privileges "prctl" "" ["prctl(PR_SET_NO_NEW_PRIVS) failed", "can't set dumpable", "prctl(PR_SET_DUMPABLE) failed", "prctl(PR_SET_KEEPCAPS) failed"] ();
    Checks "eventfd2" "" ["eventfd()"] (EMFILE ENFILE ENOMEM ENODEV);
    Checks "pipe2" "" ["pipe2()"] (EMFILE ENFILE);
    Checks "rt_sigprocmask" "" ["sigprocmask"] ();
    Namespaces "clone" "" ["Creating new namespace failed", "No permissions to create a new namespace%s", "Creating new namespace failed, likely because the kernel does not support user namespaces.%s"] (EPERM ENOSPC EUSERS EAGAIN ENOMEM);
    Namespaces "setns" "since 0.4.0" ["Joining specified user namespace failed", "Setting userns2 failed", "Setting pidns failed"] (EPERM EINVAL EBADF);
    Monitor "signalfd4" "" ["Can't create signalfd"] (EMFILE ENFILE ENOMEM ENODEV);
    Monitor "poll" "" ["poll"] (ENOMEM);
    Loopback "socket" "" ["loopback: Failed to look up lo"] (EMFILE ENFILE ENODEV);
    Loopback "socket" "" ["loopback: Failed to create NETLINK_ROUTE socket"] (EMFILE ENFILE);
    Loopback "bind" "" ["loopback: Failed to bind NETLINK_ROUTE socket"] ();
    Sources "openat2" "since 0.12" ["Can't open source %s", "Can't open overlay source %s", "Can't open overlay workdir %s"] (ENOENT ENOTDIR EACCES EPERM ELOOP);
    Mounts "mount" "" ["Failed to make / slave"] (ENOSPC ENOMEM);
    Mounts "mount" "" ["Failed to mount tmpfs"] (ENOENT ENOTDIR ENOSPC ENOMEM);
    Mounts "chdir" "" ["chdir base_path"] ();
    Mounts "mkdir" "" ["Creating newroot failed", "Creating oldroot failed", "Creating proc failed"] (ENOSPC EOVERFLOW EROFS);
    Mounts "mount" "until 0.13" ["setting up newroot bind"] (ENOSPC ENOMEM);
    Pivot "pivot_root" "" ["pivot_root", "pivot_root(/newroot)"] (EINVAL EBUSY ENOMEM);
    Mounts "mount" "since 0.12" ["mounting proc"] (ENOSPC ENOMEM);
    Mounts "openat2" "since 0.12" ["Can't open %s", "Can't mkdir parents for %s", "Can't resolve %s"] (ENOENT ENOTDIR EACCES EPERM ELOOP);
    Mounts "mkdir" "until 0.12" ["Can't mkdir %s"] (EROFS EACCES EPERM ENOTDIR EEXIST ENOENT ENOSPC);
    Mounts "mkdirat" "since 0.12" ["Can't create file %s"] (EROFS EACCES EPERM EISDIR ENOTDIR EEXIST ENOENT ENOSPC);
    Mounts "mount" "" ["Unable to mount source on destination"] (EINVAL ENOENT ENOTDIR ENOSPC ELOOP EACCES EPERM ENOMEM);
    Mounts "mount" "until 0.12" ["Unable to apply mount flags: remount \"%s\"", "Unable to remount destination \"%s\" with correct flags"] (EPERM EACCES EINVAL EBUSY);
    Mounts "mount_setattr" "since 0.13" ["mount_setattr() failed at \"%s\""] (EINVAL);
    Mounts "faccessat2" "" ["realpath(destination)"] (ENOENT ENOTDIR EACCES ELOOP ESTALE);
    Mounts "mount" "" ["Can't mount proc on %s"] (EPERM EACCES ENOSPC ENOMEM EINVAL);
    Mounts "access" "until 0.12, faccessat2 since then," ["Can't access %s"] (EACCES EROFS ENOENT);
    Mounts "symlink" "until 0.12, symlinkat since then," ["Can't create symlink %s", "Can't create symlink %s/%s", "Can't make symlink at %s/ptmx"] (EROFS ENOSPC EEXIST);
    Mounts "symlink" "until 0.12, symlinkat since then," ["Can't make symlink at %s"] (EROFS EACCES EPERM ENOSPC EEXIST);
    Mounts "mount" "" ["Can't mount devpts on %s"] (ENOSPC ENOMEM);
    Mounts "mount" "" ["Can't mount tmpfs on %s"] (EACCES ENOENT ELOOP ENOSPC ENOMEM);
    Mounts "mount" "" ["Can't mount mqueue on %s"] (EACCES ENOENT ELOOP ENOSPC ENOMEM ENODEV);
    Mounts "chmod" "" ["Can't chmod %#o %s"] (EROFS EACCES EPERM ENOENT ENOTDIR ELOOP EOPNOTSUPP);
    Mounts "sethostname" "" ["Can't set hostname to %s"] ();
    Pivot "mount" "" ["Failed to make old root rprivate"] (ENOSPC ENOMEM);
    Pivot "umount2" "" ["umount old root", "unmount old root"] (EBUSY);
    Pivot "chdir" "" ["chdir /", "chdir / (base path)", "chdir /newroot"] ();
    Pivot "fchdir" "" ["fchdir to oldroot"] ();
    NestedUserNamespace "unshare" "since 0.8.0" ["unshare user ns"] (ENOSPC EUSERS ENOMEM);
    Capabilities "capset" "" ["capset failed"] (EPERM);
    Capabilities "prctl" "" ["Adding ambient capability %ld", "Dropping capability %ld from bounds"] (EPERM EINVAL);
    Environment "chdir" "" ["Can't chdir to %s"] (ENOENT ENOTDIR EACCES ELOOP);
    Environment "prctl" "" ["prctl"] ();
    Environment "setsid" "" ["setsid"] ();
    Environment "clone" "" ["Can't fork for pid 1"] (EAGAIN ENOMEM);
    Reaper "fcntl" "" ["Unable to lock file %s"] (EAGAIN EACCES EBADF ENOLCK EOPNOTSUPP);
    Seccomp "prctl" "" ["prctl(PR_SET_SECCOMP)"] (EINVAL EPERM EACCES ENOMEM);
    Exec "execve" "" ["execvp %s"] (ENOENT ENOTDIR EACCES EPERM ENOEXEC ELIBBAD EISDIR ETXTBSY E2BIG ENOMEM);
}

/// The causes that name the filter for some call of their own.
const NAMED: &[Cause] = &[
    Cause::SeccompDeniesNamespaces,
    Cause::NamespacesNotImplemented,
    Cause::JoinDenied,
    Cause::NetlinkDenied,
    Cause::Openat2Missing,
    Cause::SeccompDeniesMount,
    Cause::MountNotImplemented,
    Cause::SeccompDeniesTmpfs,
    Cause::SeccompDeniesPivotRoot,
    Cause::SeccompDeniesUmount,
    Cause::HostnameDenied,
    Cause::SeccompDeniesUnshare,
    Cause::FilterRejected,
    Cause::ExecDenied,
];

/// The call that failed, by what bwrap said.
pub(super) fn failed(case: &Case<'_>) -> Option<&'static Call> {
    let message = case.message()?;
    let said = |text: &&str| message.pattern() == Some(text) || message.reason() == Some(text);
    let mut here = CALLS.iter().filter(|call| call.stage == message.stage());
    here.find(|call| call.messages.iter().any(said))
}

/// Weighs whether a filter answered the call that failed: by whether one is on, and by what else answers so.
pub(super) fn denied(case: &Case<'_>) -> Option<Judgement> {
    if case.killed() {
        let what = match case.symptom.map(|symptom| symptom.verdict) {
            Some(Verdict::Refused) => "making namespaces",
            Some(Verdict::NotExecuted) => "a step before it executes the command",
            _ => "setting the sandbox up",
        };
        return (case.filtered() != Some(false)).then(|| {
            weigh(High)
                .summary(format!("a system call filter kills bwrap for {what}"))
                .refuted_by("the same sandbox ends by the same signal without a filter")
                .heard(case, "SIGSYS is what a system call filter ends a process with")
                .if_so(evidence::filter(case))
        });
    }
    let call = failed(case)?;
    if call.own.contains(&case.errno()?) {
        return None;
    }
    answered(case, call, High)
}

/// The same where the kernel has reasons of its own for that answer, but they do not hold here.
pub(super) fn denied_though(case: &Case<'_>) -> Option<Judgement> {
    let call = failed(case).filter(|_| case.filtered() == Some(true))?;
    answered(case, call, Medium)
}

/// That the filter answered, for a call that no cause names. Where the kernel has reasons of its own for that answer, whatever else
/// was found is likelier.
pub(super) fn denied_any(case: &Case<'_>, found: &[Finding]) -> Option<Finding> {
    if case.killed() {
        // what ends before is told by causes of its own
        rule_out(!found.is_empty() || case.filtered() != Some(true))?;
        return Some(denied(case)?.finding(Cause::SeccompDeniesCall, permit(case)));
    }
    let (call, answer) = (failed(case)?, case.errno()?);
    let own = call.own.contains(&answer) && kernel_may(case, call);
    let confidence = if own { Medium } else { High };
    let named = |finding: &Finding| NAMED.contains(&finding.cause) && finding.confidence >= confidence;
    let other = own && !found.is_empty() || found.iter().any(named);
    rule_out(other || case.filtered() != Some(true) || !ANSWERS.contains(&answer))?;
    let found = answered(case, call, confidence)?;
    let text = case.message().and_then(Message::errno).map_or("", Errno::text);
    let summary = format!("a system call filter answers {} with \"{text}\"", call.name);
    Some(found.summary(summary).finding(Cause::SeccompDeniesCall, permit(case)))
}

fn permit(case: &Case<'_>) -> Vec<Remedy> {
    wish::fit(case, Wish::Calls(Calls::Sandboxing).grant(case))
}

/// Whether the kernel itself can have a reason to deny this use of the call.
fn kernel_may(case: &Case<'_>, call: &Call) -> bool {
    let path = case.message().and_then(Message::path);
    match call.name {
        // the root of the sandbox is there, and open to everybody
        "openat2" | "mkdirat" | "faccessat2" if path == Some(Path::new("/")) => false,
        // only a setuid bwrap keeps some that it may not have
        "capset" => case.host.bwrap_gets_root() != Some(false),
        // it wants a mount, and a bind has just made one
        "mount_setattr" => !case.says(&["Can't bind mount %s on %s"]),
        "mkdirat" | "chmod" | "openat2" => !path.is_some_and(|path| in_tmpfs(case, path)),
        _ => true,
    }
}

/// Whether a path lies in a tmpfs of the sandbox's own, where its maker may do anything.
fn in_tmpfs(case: &Case<'_>, path: &Path) -> bool {
    let operations = case.sandbox.map_or(&[][..], |sandbox| &sandbox.operations);
    let above = operations.iter().rfind(|one| one.is_mount() && path.starts_with(one.destination()));
    matches!(above, Some(Operation::Tmpfs(_)))
}

fn answered(case: &Case<'_>, call: &Call, confidence: Confidence) -> Option<Judgement> {
    let answer = case.errno()?;
    let usual = matches!(answer, libc::EPERM | libc::ENOSYS);
    // a security module answers with this one
    let module = case.apparmor().profile().is_some() || case.selinux().domain().is_some();
    let confidence = match case.filtered() {
        Some(true) if answer != libc::EACCES || !module => confidence,
        None if usual => confidence.min(Medium),
        _ => return None,
    };
    let found = weigh(confidence)
        .if_so(evidence::filter(case))
        .refuted_by(format!("it fails alike without a filter, or the filter's profile allows {}", call.name));
    let versions = format!("bwrap calls {} here {}", call.name, call.versions);
    let text = case.message().and_then(Message::errno).map_or("", Errno::text);
    let summary = format!("a system call filter answers {} with \"{text}\"", call.name);
    found
        .heard(case, (!call.versions.is_empty()).then_some(versions))
        .summary((!usual).then_some(summary))
        .into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::diagnosis::fixtures::{explain, machine, whole};
    use crate::diagnosis::{Symptom, diagnose};
    use crate::host::{Fact, Host};

    fn filtered() -> Host {
        let mut host = machine();
        host.process.seccomp = Fact::Present(2);
        host
    }

    #[test]
    fn the_messages_of_calls_are_in_the_table() {
        let texts: HashSet<&str> = crate::bwrap::message::texts().collect();
        for call in CALLS {
            assert!(
                call.messages.iter().all(|text| texts.contains(text)),
                "{}: {:?}",
                call.name,
                call.messages
            );
        }
    }

    #[test]
    fn calls_are_in_the_order_of_start_up() {
        let begins = |stage| CALLS.iter().position(|call| call.stage == stage);
        let stages =
            [Stage::Namespaces, Stage::Loopback, Stage::Sources, Stage::Mounts, Stage::NestedUserNamespace];
        assert!(stages.map(begins).is_sorted());
    }

    /// Filters with other answers than EPERM, as a live one gave them.
    #[test]
    fn a_filter_may_answer_anything() {
        for (message, cause) in [
            ("Failed to make / slave: Permission denied", Cause::SeccompDeniesMount),
            ("Failed to make / slave: Operation not supported", Cause::SeccompDeniesMount),
            ("pivot_root: Function not implemented", Cause::SeccompDeniesPivotRoot),
            ("umount old root: Permission denied", Cause::SeccompDeniesUmount),
            ("Can't set hostname to ci: Permission denied", Cause::HostnameDenied),
            ("setting up newroot bind: Operation not permitted", Cause::SeccompDeniesMount),
            ("unshare user ns: Permission denied", Cause::SeccompDeniesUnshare),
            ("Creating new namespace failed: Invalid argument", Cause::NamespacesNotImplemented),
            (
                "Can't bind mount / on /: mount_setattr() failed at \"/newroot\": Operation not permitted",
                Cause::SeccompDeniesMount,
            ),
        ] {
            let found = explain(message, &filtered(), &whole());
            assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High), "{message}");
            let found = explain(message, &machine(), &whole());
            assert_ne!((found.cause(), found.causes[0].confidence), (Some(cause), High), "{message}");
        }
        // a security module answers so as well
        let mut confined = filtered();
        confined.security.label = Fact::Present("thing (enforce)".into());
        confined.security.apparmor_label = confined.security.label.clone();
        confined.security.apparmor_enabled = Fact::Present(true);
        let found = explain("Failed to make / slave: Permission denied", &confined, &whole());
        assert_eq!(found.cause(), Some(Cause::AppArmorDeniesMount));
    }

    #[test]
    fn a_filter_may_kill() {
        for (verdict, cause) in [
            (Verdict::Refused, Cause::SeccompDeniesNamespaces),
            (Verdict::SetupFailed, Cause::SeccompDeniesMount),
        ] {
            let symptom = Symptom { signal: Some(libc::SIGSYS), verdict, ..Symptom::default() };
            let found = diagnose(&symptom, &filtered(), Some(&whole()));
            assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
            let found = diagnose(&symptom, &machine(), Some(&whole()));
            assert_eq!(found.cause(), Some(Cause::Unexplained));
        }
    }
}

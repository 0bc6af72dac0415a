//! The system calls that bwrap makes, by stage and version, and what a system call filter's answer to one looks like from outside.
//!
//! A filter answers with any error number that its author chose, or kills. What it cannot be told from is what the kernel itself
//! answers to the same call for reasons of its own: those numbers stand beside each call.

use super::confinement::{AppArmor, Selinux};
use super::prelude::*;
use crate::bwrap::Stage;

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
    Namespaces "clone" "" ["Creating new namespace failed", "No permissions to create a new namespace%s"] (EPERM ENOSPC EUSERS EAGAIN ENOMEM);
    Namespaces "setns" "since 0.4.0" ["Joining specified user namespace failed", "Setting userns2 failed", "Setting pidns failed"] (EPERM EINVAL EBADF);
    Loopback "socket" "" ["loopback: Failed to create NETLINK_ROUTE socket"] (EMFILE ENFILE);
    Loopback "bind" "" ["loopback: Failed to bind NETLINK_ROUTE socket"] ();
    Sources "openat2" "since 0.12" ["Can't open source %s", "Can't open overlay source %s", "Can't open overlay workdir %s"] (ENOENT ENOTDIR EACCES EPERM ELOOP);
    Mounts "mount" "" ["Failed to make / slave"] (EINVAL ENOSPC ENOMEM);
    Mounts "mount" "" ["Failed to mount tmpfs"] (ENOENT ENOTDIR ENOSPC ENOMEM);
    Mounts "mount" "until 0.13" ["setting up newroot bind"] (EINVAL ENOSPC ENOMEM);
    Pivot "pivot_root" "" ["pivot_root", "pivot_root(/newroot)"] (EINVAL EBUSY ENOMEM);
    Mounts "mount" "since 0.12" ["mounting proc"] (ENOSPC ENOMEM);
    Mounts "openat2" "since 0.12" ["Can't open %s", "Can't mkdir parents for %s", "Can't resolve %s"] (ENOENT ENOTDIR EACCES EPERM ELOOP EBADF);
    Mounts "mkdirat" "since 0.12" ["Can't create file %s"] (EROFS EACCES EPERM EISDIR ENOTDIR EEXIST ENOENT ENOSPC);
    Mounts "mount" "" ["Unable to mount source on destination"] (EINVAL ENOENT ENOTDIR ENOSPC ELOOP EACCES EPERM ENOMEM);
    Mounts "mount" "until 0.12" ["Unable to apply mount flags: remount \"%s\"", "Unable to remount destination \"%s\" with correct flags"] (EPERM EACCES EINVAL EBUSY);
    Mounts "mount_setattr" "since 0.13" ["mount_setattr() failed at \"%s\""] (EINVAL);
    Mounts "mount" "" ["Can't mount proc on %s"] (EPERM EACCES ENOSPC ENOMEM EINVAL);
    Mounts "mount" "" ["Can't mount devpts on %s"] (EINVAL EACCES ENOSPC ENOMEM);
    Mounts "mount" "" ["Can't mount tmpfs on %s"] (EACCES ENOENT ELOOP ENOSPC ENOMEM);
    Mounts "mount" "" ["Can't mount mqueue on %s"] (EACCES ENOENT ELOOP ENOSPC ENOMEM ENODEV);
    Mounts "sethostname" "" ["Can't set hostname to %s"] ();
    Pivot "umount2" "" ["umount old root", "unmount old root"] (EINVAL EBUSY);
    NestedUserNamespace "unshare" "since 0.8.0" ["unshare user ns"] (ENOSPC EUSERS ENOMEM);
    Capabilities "capset" "" ["capset failed"] (EPERM);
    Capabilities "prctl" "" ["Adding ambient capability %ld", "Dropping capability %ld from bounds"] (EPERM EINVAL);
    Environment "chdir" "" ["Can't chdir to %s"] (ENOENT ENOTDIR EACCES ELOOP);
    Seccomp "prctl" "" ["prctl(PR_SET_SECCOMP)"] (EINVAL EPERM EACCES ENOMEM);
    Exec "execve" "" ["execvp %s"] (ENOENT ENOTDIR EACCES EPERM ENOEXEC ELIBBAD EISDIR ETXTBSY E2BIG ENOMEM);
}

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
        let refused = case.symptom.is_some_and(|symptom| symptom.verdict == Verdict::Refused);
        let what = if refused { "making namespaces" } else { "setting the sandbox up" };
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

fn answered(case: &Case<'_>, call: &Call, confidence: Confidence) -> Option<Judgement> {
    let answer = case.errno()?;
    let usual = matches!(answer, libc::EPERM | libc::ENOSYS);
    // a security module answers with this one
    let module = AppArmor::of(case).profile().is_some() || Selinux::of(case).domain().is_some();
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
    use crate::diagnosis::{Cause, Symptom, diagnose};
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

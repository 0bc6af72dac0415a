//! The system calls that bwrap makes, by stage and version, and what a system call filter's answer to one looks like from outside.
//!
//! A filter answers with any error number that its author chose, or kills. What it cannot be told from is what the kernel itself
//! answers to the same call for reasons of its own: those numbers stand beside each call.

use std::path::Path;
use std::sync::LazyLock;

use super::prelude::*;
use super::{Bearing, Cause, Finding, wish};
use crate::sandbox::Operation;

/// A system call at one step of bwrap's start: a row of `calls.tsv`.
pub(super) struct Call {
    pub(super) name: &'static str,
    /// Which versions make it there, if not every one.
    versions: &'static str,
    /// What the kernel answers for reasons of its own, by name.
    own: &'static str,
    /// The messages, or reasons in messages, that its failure ends in.
    messages: Vec<&'static str>,
}

/// In the order in which bwrap makes them.
static CALLS: LazyLock<Vec<Call>> =
    LazyLock::new(|| include_str!("calls.tsv").lines().filter_map(Call::read).collect());

impl Call {
    fn read(row: &'static str) -> Option<Self> {
        let mut fields = row.split('\t').skip(1);
        let (name, versions, own) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self { name, versions, own, messages: fields.collect() })
    }
}

/// What filters answer; which of them is their author's choice.
pub(super) const ANSWERS: &[i32] =
    &[libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOTSUP, libc::EBADF];

/// The causes that name the filter for some call of their own.
const NAMED: &str = "NS01 NS10 NS19 LO04 MT14 MT02 MT03 MT07 MT08 MT10 MT11 UM07 SF01 EX05";

/// The call that failed, by what bwrap said.
pub(super) fn failed(case: &Case<'_>) -> Option<&'static Call> {
    let message = case.message()?;
    let said = |text: &&str| message.pattern() == Some(text) || message.reason() == Some(text);
    CALLS.iter().find(|call| call.messages.iter().any(said))
}

/// Weighs whether a filter answered the call that failed: by whether one is on, and by what else answers so.
pub(super) fn denied(case: &Case<'_>) -> Option<Judgement> {
    if case.killed() {
        // before the sandbox is there it makes other calls, too, and which one it was nobody said
        let (sure, what) = match case.symptom.map(|symptom| symptom.verdict) {
            Some(Verdict::Refused) => (Medium, "as it begins, mostly for making namespaces"),
            Some(Verdict::NotExecuted) => (High, "for a step before it executes the command"),
            _ => (High, "for setting the sandbox up"),
        };
        rule_out(case.filtered() == Some(false))?;
        let unheard = "which call it was: `dmesg | grep type=1326` has its number (syscall=)";
        return weigh(sure)
            .summary(format!("a system call filter kills bwrap {what}"))
            .refuted_by("the same sandbox ends by the same signal without a filter")
            .unknown((sure == Medium).then_some(unheard))
            .heard(case, "SIGSYS is what a system call filter ends a process with")
            .if_so(evidence::filter(case))
            .into();
    }
    let call = failed(case)?;
    if case.cut_off() {
        rule_out(case.filtered() == Some(false))?;
        return Some(weigh(Low).if_so(evidence::filter(case)));
    }
    rule_out(is_own(case, call)?)?;
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
    if let Some(found) = no_socket(case, call, found) {
        return Some(found);
    }
    let own = is_own(case, call)? && kernel_may(case, call);
    let confidence = if own { Medium } else { High };
    let named = |finding: &Finding| NAMED.contains(finding.cause.code()) && finding.confidence >= confidence;
    let doubted = is_doubted(case, answer, found);
    let other = own && !found.is_empty() && !doubted || found.iter().any(named);
    rule_out(other || case.filtered() != Some(true) || !doubted && !ANSWERS.contains(&answer))?;
    let confidence = if doubted { Low } else { confidence };
    let found = answered(case, call, confidence)?;
    Some(found.summary(answers(case, call)).finding(Cause::SeccompDeniesCall, permit(case)))
}

/// After socket(2) was refused, glibc looks for a network device elsewhere, and says that there is no such file, whatever the answer was.
fn no_socket(case: &Case<'_>, call: &Call, found: &[Finding]) -> Option<Finding> {
    let lost = call.name == "socket or ioctl" && case.errno() == Some(libc::ENOENT);
    rule_out(!lost || !found.is_empty() || case.filtered() != Some(true))?;
    let judgement = weigh(Medium)
        .if_so(evidence::filter(case))
        .refuted_by("it fails alike without a filter, or the filter's profile allows socket")
        .heard(
            case,
            "no path is in the message: the C library says so of a device once socket(2) was refused",
        )
        .summary("a system call filter denies socket, which looking up the loopback device takes");
    Some(judgement.finding(Cause::SeccompDeniesCall, permit(case)))
}

/// Which call a message is about that nothing explains, and whether the kernel itself is known to answer so.
pub(super) fn unexplained(case: &Case<'_>) -> Option<String> {
    let call = failed(case)?;
    let own = if is_own(case, call)? {
        "which the kernel answers so for reasons of its own"
    } else {
        "and Linux is not known to answer so: a filter, a security module or another kernel may"
    };
    Some(format!("the call was {}(2), {own}", call.name))
}

/// Whether the kernel has reasons of its own for this answer; `None` if there was none.
fn is_own(case: &Case<'_>, call: &Call) -> Option<bool> {
    let name = case.message()?.errno()?.name();
    Some(call.own.split(' ').any(|own| name == Some(own)))
}

fn permit(case: &Case<'_>) -> Vec<Remedy> {
    wish::fit(case, wish::permit_calls(case))
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
        "mkdirat" | "mkdir" | "chmod" | "openat2" | "symlink" | "creat" => {
            !path.is_some_and(|path| in_tmpfs(case, path))
        }
        _ => true,
    }
}

/// Whether a path lies in a tmpfs of the sandbox's own, where its maker may do anything: its root is one, and a new /dev.
fn in_tmpfs(case: &Case<'_>, path: &Path) -> bool {
    let Some(sandbox) = case.sandbox else { return false };
    let mounts = sandbox.operations.iter().filter(|one| one.is_mount());
    let above = mounts.rev().find(|one| path.starts_with(one.destination()));
    matches!(above, None | Some(Operation::Tmpfs(_) | Operation::Dev(_)))
}

fn answers(case: &Case<'_>, call: &Call) -> String {
    format!("a system call filter answers {} with \"{}\"", call.name, case.answer())
}

/// Whether the facts speak against all that would make the kernel answer so by itself: limits that are far away, a root that nothing
/// shows to be a chroot's.
fn is_doubted(case: &Case<'_>, answer: i32, found: &[Finding]) -> bool {
    let against = |finding: &Finding| {
        let contra = finding.evidence.iter().any(|seen| seen.bearing == Bearing::Against);
        finding.confidence == Low && contra
    };
    let chroot =
        |finding: &Finding| finding.cause == Cause::ChrootBelowSharedMount && finding.confidence < High;
    let first = found.first();
    match answer {
        libc::ENOSPC => first.is_some_and(against),
        libc::EINVAL => case.host.mounts.present().is_some() && first.is_some_and(chroot),
        _ => false,
    }
}

fn answered(case: &Case<'_>, call: &Call, confidence: Confidence) -> Option<Judgement> {
    let answer = case.errno()?;
    let usual = matches!(answer, libc::EPERM | libc::ENOSYS);
    let confidence = match case.filtered() {
        // with that one security modules answer
        Some(true) if answer != libc::EACCES || !case.is_confined() => confidence,
        None if usual => confidence.min(Medium),
        // what was asked for need not have come to be: of what Linux itself does not answer so, a filter is left
        Some(false) if usual && case.is_shown_unfiltered() => Low,
        _ => return None,
    };
    let versions = format!("bwrap calls {} here {}", call.name, call.versions);
    weigh(confidence)
        .if_so(evidence::filter(case))
        .refuted_by(format!("it fails alike without a filter, or the filter's profile allows {}", call.name))
        .heard(case, (!call.versions.is_empty()).then_some(versions))
        .summary((!usual).then(|| answers(case, call)))
        .into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::diagnosis::fixtures::{explain, machine, whole};
    use crate::diagnosis::{Symptom, diagnose};
    use crate::host::{Fact, Host};
    use crate::sandbox::Sandbox;

    fn filtered() -> Host {
        let mut host = machine();
        host.process.seccomp = Fact::Present(2);
        host
    }

    #[test]
    fn the_messages_of_calls_are_in_the_table() {
        let texts: HashSet<&str> = crate::bwrap::message::texts().collect();
        let mut seen = HashSet::new();
        for Call { name, messages, .. } in &*CALLS {
            let known = messages.iter().all(|text| texts.contains(text) && seen.insert(*text));
            assert!(known && !messages.is_empty(), "{name}: {messages:?}");
        }
    }

    #[test]
    fn rows_of_calls_are_read() {
        let rows = || include_str!("calls.tsv").lines().filter(|row| !row.starts_with('#'));
        assert_eq!(CALLS.len(), rows().count());
        let code =
            |name: &str| crate::bwrap::message::named_in(name.as_bytes()).and_then(|errno| errno.code());
        for Call { name, own, .. } in &*CALLS {
            assert!(own.split_terminator(' ').all(|own| code(own).is_some()), "{name}: {own}");
        }
        assert!(NAMED.split(' ').all(|code| code.parse::<Cause>().is_ok()));
    }

    #[test]
    fn calls_are_in_the_order_of_start_up() {
        let rows: Vec<&str> = include_str!("calls.tsv").lines().collect();
        let begins =
            |stage: &str| rows.iter().position(|row| row.starts_with(&format!("{stage}\t"))).unwrap();
        let stages = ["Namespaces", "Loopback", "Sources", "Mounts", "NestedUserNamespace"];
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

    /// In a tmpfs of the sandbox's own nothing but a filter denies what its maker does.
    #[test]
    fn in_a_fresh_tmpfs_a_filter_answers() {
        let sandbox = Sandbox::new().ro_bind("/usr", "/usr").dev("/dev").tmpfs("/mnt").symlink("a", "/mnt/b");
        let first = |message: &str, host: &Host| {
            let found = explain(&format!("{message}: Operation not permitted"), host, &sandbox);
            (found.cause(), found.causes[0].summary.clone())
        };
        for (message, call) in [
            ("Can't make symlink at /mnt/b", "symlink"),
            ("Can't mkdir /mnt/c", "mkdir"),
            ("Can't create file at /mnt/d", "creat"),
            ("Can't create file at /own-root", "creat"),
            ("Can't create file /dev/null", "creat"),
            (
                "Can't bind mount /oldroot/ on /newroot/: readlink(/proc/self/fd/N) for \"/newroot\"",
                "readlink",
            ),
            ("loopback: Failed to look up lo", "socket or ioctl"),
        ] {
            let (cause, summary) = first(message, &filtered());
            assert_eq!(cause, Some(Cause::SeccompDeniesCall), "{message}: {summary}");
            assert!(summary.contains(&format!("answers {call} with")), "{message}: {summary}");
            assert_ne!(first(message, &machine()).0, Some(Cause::SeccompDeniesCall), "{message}");
        }
        // what the host has may be denied by it
        for message in ["Can't make symlink at /usr/b", "Can't mkdir /usr/c", "Can't create file at /usr/d"] {
            assert_eq!(first(message, &filtered()).0, Some(Cause::DestinationReadOnly), "{message}");
        }
    }

    /// What the kernel never says of a device, the C library says once socket(2) was refused.
    #[test]
    fn a_refused_socket_is_no_missing_file() {
        let lost = "loopback: Failed to look up lo: No such file or directory";
        let first = |message: &str, host: &Host| explain(message, host, &whole()).cause();
        assert_eq!(first(lost, &filtered()), Some(Cause::SeccompDeniesCall));
        assert_ne!(first(lost, &machine()), Some(Cause::SeccompDeniesCall));
        let device = "loopback: Failed to look up lo: No such device";
        assert_ne!(first(device, &filtered()), Some(Cause::SeccompDeniesCall));
        let other = "Failed to mount tmpfs: No such file or directory";
        assert_ne!(first(other, &filtered()), Some(Cause::SeccompDeniesCall));
    }

    /// Answers that the kernel has reasons of its own for, and none of them holds.
    #[test]
    fn what_speaks_against_the_kernel_speaks_for_a_filter() {
        let listed = |message: &str, host: &Host| {
            let found = explain(message, host, &whole());
            let filter = found.causes.iter().find(|found| found.cause == Cause::SeccompDeniesCall);
            (found.cause() == Some(Cause::SeccompDeniesCall), filter.map(|found| found.confidence))
        };
        let busy = "pivot_root: Invalid argument";
        assert_eq!(listed(busy, &filtered()), (false, Some(Low)));
        assert_eq!(listed(busy, &machine()), (false, None));
        let full = "Failed to make / slave: No space left on device";
        assert_eq!(listed(full, &machine()), (false, None));
        let memory = "Failed to make / slave: Cannot allocate memory";
        assert_eq!(listed(memory, &filtered()), (false, None));
    }

    /// Who has got as far as mounting has made namespaces, whatever the filter is.
    #[test]
    fn what_was_got_through_is_not_foretold() {
        let ahead = |message: &str| {
            let found = explain(message, &filtered(), &whole()).foreseen;
            found.iter().any(|finding| finding.cause == Cause::SeccompDeniesNamespaces)
        };
        assert!(!ahead("chdir base_path: Operation not permitted"));
        assert!(!ahead("loopback: Failed to look up lo: Operation not permitted"));
        // before that nothing is known
        assert!(ahead("prctl(PR_SET_NO_NEW_PRIVS) failed: Operation not permitted"));
    }

    #[test]
    fn a_filter_may_kill() {
        for (verdict, cause, sure) in [
            (Verdict::Refused, Cause::SeccompDeniesNamespaces, Medium),
            (Verdict::SetupFailed, Cause::SeccompDeniesMount, High),
        ] {
            let symptom = Symptom { signal: Some(libc::SIGSYS), verdict, ..Symptom::default() };
            let found = diagnose(&symptom, &filtered(), Some(&whole()));
            assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), sure));
            let log = found.causes[0].evidence.iter().any(|evidence| evidence.text.contains("type=1326"));
            assert_eq!(log, sure == Medium);
            let found = diagnose(&symptom, &machine(), Some(&whole()));
            assert_eq!(found.cause(), Some(Cause::Unexplained));
        }
    }
}

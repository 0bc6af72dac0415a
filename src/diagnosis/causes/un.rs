//! What is said if no rule has anything to say: as much as can be said without knowing.

use super::k8;
use super::prelude::*;

const NO_MOUNT: &str = "the root is the initramfs, or no mount of its own: start from a root that is a mount (mount --rbind / \
                        /x, then chroot into it)";

const UNMAPPED: &str = "our user id is not mapped in the user namespace: its id map was written wrongly, or not before bwrap went on";
const NO_CALL: &str = "a system call filter or emulated kernel lacks a call that bwrap needs; bwrap 0.12 builds for Linux 5.6 and \
                       newer need openat2, which systemd's RestrictSUIDSGID= and gVisor answer so";
const FULL: &str = "a limit of the kernel is reached (/proc/sys/user/max_*, fs.mount-max), or a disk is full";

/// What is known about messages that no rule is for: pattern (any, if empty), error number, what it mostly comes from.
const HINTS: &[(&str, i32, &str)] = &[
    (
        "open /proc/%s/ns failed",
        libc::ENOENT,
        "bwrap looks its child up in /proc, and this one is of another PID namespace than ours: mount one of our own \
         (unshare --mount-proc; bwrap --proc /proc)",
    ),
    ("pivot_root", libc::EINVAL, NO_MOUNT),
    ("pivot_root(/newroot)", libc::EINVAL, NO_MOUNT),
    ("Creating newroot failed", libc::EOVERFLOW, UNMAPPED),
    ("", libc::ENOSYS, NO_CALL),
    ("", libc::EPERM, "mostly a system call filter, a missing capability or Landlock"),
    ("", libc::EACCES, "mostly a security module, or the permissions of a file"),
    ("", libc::EROFS, "something that bwrap writes to is mounted read-only"),
    ("", libc::EMFILE, "too many open files (ulimit -n)"),
    ("", libc::EAGAIN, "mostly a limit on processes (ulimit -u, pids.max)"),
    ("", libc::ENOSPC, FULL),
    ("", libc::ENOMEM, "memory ran out, or a limit on it is reached"),
    ("", libc::E2BIG, "the arguments and the environment of the command are too long for the kernel"),
];

pub(in crate::diagnosis) fn unexplained(case: &Case<'_>) -> Finding {
    if let Some(finding) = k8::find(case) {
        return finding;
    }
    let found = weigh(Low).summary(summary(case)).refuted_by(
        "`bwrap-doctor check` finds the step that fails, with the same user and in the same place",
    );
    suspects(case, found).finding(Cause::Unexplained, wish::fit(case, remedies(case)))
}

fn summary(case: &Case<'_>) -> String {
    match (case.message(), case.symptom.and_then(|symptom| symptom.signal)) {
        (Some(message), _) if message.pattern().is_some() => {
            format!("nothing that is known explains \"{message}\" (stage: {}) on this host", message.stage())
        }
        (Some(message), _) => format!("\"{message}\" is no message that is known of bwrap"),
        (None, Some(signal)) => format!("signal {signal} ended bwrap before it said anything"),
        (None, None) => "bwrap said nothing that could be explained".to_owned(),
    }
}

/// What points somewhere, what speaks against the usual suspects, and what nobody could see.
fn suspects(case: &Case<'_>, mut found: Judgement) -> Judgement {
    let message = case.message();
    if let Some(errno) = message.and_then(Message::errno) {
        let fits = |(pattern, number, _): &&(&str, i32, &str)| {
            errno.code() == Some(*number) && (pattern.is_empty() || case.says(&[pattern]))
        };
        let answer = match HINTS.iter().find(fits) {
            Some((_, _, hint)) => format!("\"{}\": {hint}", errno.text()),
            None => format!("the kernel's answer was \"{}\"", errno.text()),
        };
        found = found.heard(case, answer);
    } else if let Some(stale) = message.and_then(Message::stale_errno).map(Errno::text) {
        found = found.unknown(format!("the kernel's answer: \"{stale}\" is left over from an earlier call"));
    }
    let killed = case.symptom.and_then(|symptom| symptom.signal) == Some(libc::SIGSYS);
    let sigsys = "SIGSYS is what a system call filter ends a process with";
    let landlock = "whether a Landlock domain is in force: nothing shows that";
    let found = found
        .heard(case, killed.then_some(sigsys))
        .if_so(evidence::filter(case))
        .if_so(evidence::label(case))
        .unknown((knows_landlock(case) == Some(true)).then_some(landlock));
    let platforms = case.platforms.present().into_iter().flatten();
    platforms.fold(found, |found, platform| found.pro(evidence::sighted(platform)))
}

fn remedies(case: &Case<'_>) -> Vec<Remedy> {
    let foreign = case.message().is_some_and(|message| message.pattern().is_none());
    let version = foreign.then(|| told!("look-at-version"));
    vec![told!("try-each-step"), told!("try-the-line"), told!("report-it")].or(version)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use crate::diagnosis::Bearing;
    use crate::diagnosis::Symptom;
    use crate::diagnosis::diagnose;
    use crate::diagnosis::fixtures::{docker, explain, machine, whole};
    use crate::host::Host;

    fn texts(finding: &Finding, bearing: Bearing) -> Vec<&str> {
        let evidence = finding.evidence.iter().filter(|evidence| evidence.bearing == bearing);
        evidence.map(|evidence| evidence.text.as_str()).collect()
    }

    #[test]
    fn it_says_what_was_said_and_what_is_suspicious() {
        let diagnosis = explain("something of the year 2030: Permission denied", &docker(), &whole());
        let finding = &diagnosis.causes[0];
        assert_eq!((diagnosis.causes.len(), finding.cause), (1, Cause::Unexplained));
        assert_eq!(
            finding.summary,
            "\"something of the year 2030: Permission denied\" is no message that is known of bwrap"
        );
        let pro = texts(finding, Bearing::For).join("\n");
        assert!(pro.contains("Seccomp: 2") && pro.contains("this is Docker: /.dockerenv"), "{pro}");
        assert!(pro.starts_with("\"Permission denied\": mostly a security module"), "{pro}");
        assert!(
            finding.remedies.len() >= 3
                && finding.remedies.iter().any(|remedy| remedy.summary.contains("Report"))
        );
    }

    #[test]
    fn what_is_ruled_out_is_said_as_well() {
        let finding = &explain("pivot_root: Invalid argument", &machine(), &whole()).causes[0];
        assert_eq!(finding.cause, Cause::Unexplained);
        assert!(finding.summary.contains("(stage: changing the root directory)"), "{}", finding.summary);
        assert!(texts(finding, Bearing::Against).iter().any(|text| text.contains("no system call filter")));
        assert!(texts(finding, Bearing::For)[0].contains("initramfs"));
    }

    #[test]
    fn facts_that_nobody_knows_stay_open() {
        let symptom = Symptom { signal: Some(libc::SIGSYS), ..Symptom::default() };
        let finding = &diagnose(&symptom, &Host::default(), None).causes[0];
        assert_eq!(finding.summary, "signal 31 ended bwrap before it said anything");
        assert!(texts(finding, Bearing::For)[0].starts_with("SIGSYS"));
        assert_eq!(texts(finding, Bearing::Unknown).len(), 2);
        assert!(texts(finding, Bearing::Against).is_empty());
    }
}

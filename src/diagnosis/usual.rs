//! Messages without the error that ends them, as people shorten what they paste: which causes come first then.

use std::cmp::Reverse;

use libc::{EACCES, EEXIST, EINVAL, EISDIR, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS};

use super::finding::Confidence;
use crate::bwrap::Message;

/// Why nothing is sure then.
pub(super) const MISSING: &str =
    "the error at the message's end, behind its last colon: it is missing here, and would decide";

/// The answers of the kernel with which these messages end most often, the commonest first: what is likeliest where that was left out.
#[rustfmt::skip]
const USUAL: &[(&str, &[i32])] = &[
    ("execvp %s", &[ENOENT]),
    ("Can't find source path %s", &[ENOENT]),
    ("Can't chdir to %s", &[ENOENT]),
    ("Creating new namespace failed", &[EPERM, ENOSPC, EACCES]),
    ("unshare user ns", &[ENOSPC]),
    ("setting up uid map", &[EPERM, EACCES]),
    ("Failed to make / slave", &[EACCES, EPERM]),
    ("Failed to mount tmpfs", &[EACCES, ENOENT]),
    ("pivot_root", &[EPERM, EACCES]),
    ("Can't mount proc on %s", &[EPERM, EACCES]),
    ("loopback: Failed RTM_NEWADDR", &[EPERM]),
    ("Can't make symlink at %s", &[EEXIST]),
    ("Can't create file at %s", &[EROFS, EACCES, EISDIR]),
    ("Can't mkdir %s", &[EROFS, EACCES, ENOTDIR]),
    ("Can't mkdir parents for %s", &[EROFS, EACCES, ENOTDIR]),
    ("cannot open /proc/sys/user/max_user_namespaces", &[EROFS]),
    ("Can't bind mount %s on %s", &[EPERM, EACCES]),
    ("Unable to mount source on destination", &[EPERM, EACCES]),
    ("Can't mount devpts on %s", &[EACCES]),
    ("Can't mount tmpfs on %s", &[ENOENT]),
    ("Can't mount mqueue on %s", &[ENOENT]),
    ("Can't make overlay mount on %s with options %s", &[EINVAL]),
    ("Can't create file %s", &[EROFS]),
    ("Can't create symlink %s", &[EEXIST]),
    ("Can't open /proc", &[ENOENT]),
    ("Can't get type of source %s", &[EACCES]),
    ("setting up gid map", &[EPERM]),
    ("prctl(PR_SET_SECCOMP)", &[EINVAL]),
];

/// Which comes first of causes that are equally sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// How many answers are more usual than those that it explains.
    usual: Reverse<usize>,
    /// How sure it would be with the answer.
    judged: Confidence,
}

impl Rank {
    /// Of a cause that explains these answers to a message.
    pub(super) fn of(message: &Message, answers: &[&[i32]], judged: Confidence) -> Self {
        let [pattern, reason] = [message.pattern(), message.reason()]
            .map(|text| USUAL.iter().find(|(usual, _)| Some(*usual) == text));
        let usual = reason.or(pattern).map_or(&[][..], |(_, numbers)| *numbers);
        let first = usual.iter().position(|number| answers.iter().any(|numbers| numbers.contains(number)));
        Self { usual: Reverse(first.unwrap_or(usize::MAX)), judged }
    }
}

/// Of a cause where nothing is missing.
impl Default for Rank {
    fn default() -> Self {
        Self { usual: Reverse(usize::MAX), judged: Confidence::Low }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::super::fixtures::machine;
    use super::super::{Bearing, Symptom, diagnose};
    use super::*;
    use crate::host::{Fact, Host};

    #[test]
    fn messages_are_of_the_table() {
        let texts: Vec<&str> = crate::bwrap::message::texts().collect();
        assert!(USUAL.iter().all(|(text, numbers)| texts.contains(text) && !numbers.is_empty()));
    }

    #[test]
    fn without_its_error_a_message_has_its_commonest_cause_and_nothing_is_sure() {
        for (message, code) in [
            ("Can't bind mount /oldroot/x on /newroot/x", "BD09"),
            ("Can't bind mount /oldroot/x on /newroot/x: Unable to mount source on destination", "BD09"),
            ("Can't mount devpts on /newroot/dev/pts", "DV01"),
            ("Can't mount tmpfs on /newroot/tmp", "BD04"),
            ("Can't mount proc on /newroot/proc", "PR01"),
            ("Can't find source path /x", "BD01"),
            ("Can't find source path /x: ...", "BD01"),
            ("Can't get type of source /x", "BD06"),
            ("Can't mkdir /x", "BD03"),
            ("Can't set hostname to x", "MT11"),
            ("umount old root", "MT10"),
            ("pivot_root", "MT08"),
            ("setting up uid map", "UM01"),
            ("execvp make", "EX02"),
        ] {
            let symptom = Symptom::from_text(format!("bwrap: {message}").as_bytes());
            let first = &diagnose(&symptom, &Host::default(), None).causes[0];
            assert_eq!((first.cause.code(), first.confidence), (code, Confidence::Low), "{message}");
            let missing =
                first.evidence.iter().any(|it| it.bearing == Bearing::Unknown && it.text == MISSING);
            assert!(missing, "{message}: {first:?}");
        }
    }

    /// What was seen counts for more than what is usual.
    #[test]
    fn facts_come_before_what_is_usual() {
        let mut host = machine();
        host.sysctls.insert("kernel.apparmor_restrict_unprivileged_userns".into(), Fact::Present("1".into()));
        let first = |text: &[u8]| diagnose(&Symptom::from_text(text), &host, None).causes[0].clone();
        let (cut, whole) =
            (first(b"bwrap: setting up uid map"), first(b"bwrap: setting up uid map: Permission denied"));
        assert_eq!((cut.cause.code(), whole.cause.code()), ("UM02", "UM02"));
        assert_eq!((cut.confidence, whole.confidence), (Confidence::Medium, Confidence::High));
    }
}

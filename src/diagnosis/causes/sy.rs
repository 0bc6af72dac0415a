//! Memory.

use crate::diagnosis::Cause;
use crate::diagnosis::case::Case;
use crate::diagnosis::evidence;
use crate::diagnosis::finding::Confidence;
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, Rule, weigh};

pub(in crate::diagnosis) const RULES: &[Rule] = &[Rule {
    cause: Cause::OutOfMemory,
    messages: &[
        ("Out of memory", &[]),
        ("clearenv failed", &[libc::ENOMEM]),
        ("Creating new namespace failed", &[libc::ENOMEM]),
        ("Can't fork for --pidns", &[libc::ENOMEM]),
        ("Can't fork for pid 1", &[libc::ENOMEM]),
        ("unshare user ns", &[libc::ENOMEM]),
        ("setting up uid map", &[libc::ENOMEM]),
        ("setting up gid map", &[libc::ENOMEM]),
        ("Failed to make / slave", &[libc::ENOMEM]),
        ("Failed to mount tmpfs", &[libc::ENOMEM]),
        ("setting up newroot bind", &[libc::ENOMEM]),
        ("Can't bind mount %s on %s", &[libc::ENOMEM]),
        ("Can't mount proc on %s", &[libc::ENOMEM]),
        ("Can't mount tmpfs on %s", &[libc::ENOMEM]),
        ("Can't mount devpts on %s", &[libc::ENOMEM]),
        ("pivot_root", &[libc::ENOMEM]),
        ("eventfd()", &[libc::ENOMEM]),
        ("prctl(PR_SET_SECCOMP)", &[libc::ENOMEM]),
        ("execvp %s", &[libc::ENOMEM]),
    ],
    judge: out_of_memory,
    remedies: |_| vec![told!("see-memory"), told!("raise-memory-limit")],
    ..Rule::BASE
}];

fn out_of_memory(case: &Case<'_>) -> Option<Judgement> {
    let message = case.symptom?.message()?;
    let judgement = weigh(Confidence::High)
        .refuted_by("the same fails alike with memory to spare (`free -m`, memory.max)");
    Some(match message.pattern() {
        // the kernel answers so as well if the namespace's first process has ended
        Some("Can't fork for --pidns") => weigh(Confidence::Medium)
            .refuted_by("process 1 of the PID namespace that is joined is alive")
            .unknown("whether the PID namespace that is joined still has a process 1"),
        _ => judgement.pro(evidence::heard(case, "the kernel or the C library refused memory (ENOMEM)")),
    })
}

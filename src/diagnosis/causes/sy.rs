//! Memory.

use crate::diagnosis::case::Case;
use crate::diagnosis::evidence;
use crate::diagnosis::finding::Confidence::{High, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, rules, weigh};

rules! {
    OutOfMemory, Anytime, [
        "Out of memory", "clearenv failed" => (ENOMEM), "Creating new namespace failed" => (ENOMEM),
        "Can't fork for --pidns" => (ENOMEM), "Can't fork for pid 1" => (ENOMEM), "unshare user ns" => (ENOMEM),
        "setting up uid map" => (ENOMEM), "setting up gid map" => (ENOMEM),
        "Failed to make / slave" => (ENOMEM), "Failed to mount tmpfs" => (ENOMEM),
        "setting up newroot bind" => (ENOMEM), "Can't bind mount %s on %s" => (ENOMEM),
        "Can't mount proc on %s" => (ENOMEM), "Can't mount tmpfs on %s" => (ENOMEM),
        "Can't mount devpts on %s" => (ENOMEM), "pivot_root" => (ENOMEM), "eventfd()" => (ENOMEM),
        "prctl(PR_SET_SECCOMP)" => (ENOMEM), "execvp %s" => (ENOMEM),
    ]
        => out_of_memory, |_| vec![told!("see-memory"), told!("raise-memory-limit")];
}

fn out_of_memory(case: &Case<'_>) -> Option<Judgement> {
    let message = case.symptom?.message()?;
    let judgement =
        weigh(High).refuted_by("the same fails alike with memory to spare (`free -m`, memory.max)");
    Some(match message.pattern() {
        // the kernel answers so as well if the namespace's first process has ended
        Some("Can't fork for --pidns") => weigh(Medium)
            .refuted_by("process 1 of the PID namespace that is joined is alive")
            .unknown("whether the PID namespace that is joined still has a process 1"),
        _ => judgement.heard(case, "the kernel or the C library refused memory (ENOMEM)"),
    })
}

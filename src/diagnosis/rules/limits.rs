//! Limits on processes, open files and memory.

use super::super::Remedy;
use super::super::case::Case;
use super::super::finding::Confidence;
use super::super::wish::{Limit, Wish, raise};
use super::{Cause, Judgement, LAUNCH, Rule};
use crate::diagnosis::remedy::told;
use crate::sandbox::Capability;

const EAGAIN: &[i32] = &[libc::EAGAIN];
const ENOMEM: &[i32] = &[libc::ENOMEM];
const FILES: &[i32] = &[libc::EMFILE, libc::ENFILE];

pub(super) const RULES: &[Rule] = &[
    Rule {
        cause: Cause::ProcessLimit,
        messages: &[
            (LAUNCH, EAGAIN),
            ("Creating new namespace failed", EAGAIN),
            ("Can't fork for --pidns", EAGAIN),
        ],
        judge: process_limit,
        remedies: more_processes,
    },
    Rule {
        cause: Cause::ProcessLimitLate,
        messages: &[("Can't fork for pid 1", EAGAIN), ("Can't fork unprivileged helper", EAGAIN)],
        judge: process_limit_late,
        remedies: more_processes,
    },
    Rule {
        cause: Cause::DescriptorLimit,
        messages: &[
            (LAUNCH, FILES),
            ("Can't read /proc/sys/kernel/overflowuid", FILES),
            ("Can't read /proc/sys/kernel/overflowgid", FILES),
            ("Can't open /proc", FILES),
            ("eventfd()", FILES),
            ("pipe2()", FILES),
            ("Can't create intermediate pids socket", FILES),
            ("Can't create privsep socket", FILES),
            ("loopback: Failed to create NETLINK_ROUTE socket", FILES),
            ("open /proc/%s failed", FILES),
            ("setting up uid map", FILES),
            ("setting up gid map", FILES),
            ("error writing to setgroups", FILES),
            ("Can't open source %s", FILES),
            ("Can't open /proc/self/mountinfo", FILES),
            ("Can't create file at %s", FILES),
            ("Can't create file %s", FILES),
            ("Can't create file %s/%s", FILES),
            ("Can't create tmpfile for %s", FILES),
            ("creating %s/console", FILES),
            ("Can't resolve %s", FILES),
            ("Can't bind mount %s on %s", FILES),
            ("Can't remount readonly on %s", FILES),
            ("Unable to open destination O_PATH fd \"%s\"", FILES),
            ("open(\"%s\", O_PATH)", FILES),
            ("can't open /", FILES),
            ("cannot open /proc/sys/user/max_user_namespaces", FILES),
            ("Unable to open lock file %s", FILES),
            ("Can't create signalfd", FILES),
            ("open /proc/%s/ns failed", FILES),
            ("execvp %s", FILES),
        ],
        judge: descriptor_limit,
        remedies: more_files,
    },
    Rule {
        cause: Cause::OutOfMemory,
        messages: &[
            ("Out of memory", &[]),
            ("clearenv failed", ENOMEM),
            ("Creating new namespace failed", ENOMEM),
            ("Can't fork for --pidns", ENOMEM),
            ("Can't fork for pid 1", ENOMEM),
            ("unshare user ns", ENOMEM),
            ("setting up uid map", ENOMEM),
            ("setting up gid map", ENOMEM),
            ("Failed to make / slave", ENOMEM),
            ("Failed to mount tmpfs", ENOMEM),
            ("setting up newroot bind", ENOMEM),
            ("Can't bind mount %s on %s", ENOMEM),
            ("Can't mount proc on %s", ENOMEM),
            ("Can't mount tmpfs on %s", ENOMEM),
            ("Can't mount devpts on %s", ENOMEM),
            ("pivot_root", ENOMEM),
            ("eventfd()", ENOMEM),
            ("prctl(PR_SET_SECCOMP)", ENOMEM),
            ("execvp %s", ENOMEM),
        ],
        judge: out_of_memory,
        remedies: |_| vec![told!("see-memory"), told!("raise-memory-limit")],
    },
];

/// A limit on processes that applies to bwrap, and how many are left below it.
struct Room {
    left: u64,
    /// It is the control group's.
    cgroup: bool,
    /// Where and how much, in words.
    text: String,
}

/// The tightest limit that is known.
fn room(case: &Case<'_>) -> Option<Room> {
    let group = case.host.cgroup.pids.present().map(|pids| Room {
        left: pids.left(),
        cgroup: true,
        text: format!(
            "{} of {} processes in the control group {}",
            pids.current,
            pids.max,
            pids.directory.display()
        ),
    });
    let process = &case.host.process;
    let user = process.process_limit.present().zip(process.processes.present());
    let user = user.filter(|_| exempt(case) == Some(false)).map(|(limit, count)| Room {
        left: limit.saturating_sub(*count),
        cgroup: false,
        text: format!("{count} of {limit} processes of this user (RLIMIT_NPROC: `ulimit -u`)"),
    });
    group.into_iter().chain(user).min_by_key(|room| room.left)
}

/// Whether `RLIMIT_NPROC` does not bind us: root of the machine, and who has one of two capabilities over it.
fn exempt(case: &Case<'_>) -> Option<bool> {
    let strong = || {
        let one = |capability| case.has(capability);
        match (one(Capability::CAP_SYS_ADMIN), one(Capability::CAP_SYS_RESOURCE)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    };
    let root = case.host.process.real_uid.present().map(|uid| *uid == 0).or(case.root());
    match (case.host.user_namespace.is_initial(), root) {
        (Some(false), _) => Some(false),
        (Some(true), Some(true)) => Some(true),
        (Some(true), Some(false)) => strong(),
        (None, Some(false)) if strong() == Some(false) => Some(false),
        _ => None,
    }
}

const PROVE: &str = "another program can start several processes at the same time, in the same place";

/// Judges what is left if `needed` processes must fit, bwrap's first one included.
fn judge_room(case: &Case<'_>, needed: u64) -> Option<Judgement> {
    let room = room(case);
    match room {
        Some(room) if room.left < needed => Some(
            Judgement::new(Confidence::High, PROVE)
                .summary(format!("{}: bwrap needs {needed} more at least", room.text))
                .pro(room.text),
        ),
        Some(room) if !case.failed() => (room.left < 4).then(|| {
            Judgement::new(Confidence::Medium, PROVE)
                .summary(format!("{}: that is tight for a sandbox of 2 to 4", room.text))
                .pro(room.text)
        }),
        None if !case.failed() => None,
        // the message says so much; which limit, nobody knows
        Some(room) => Some(
            Judgement::new(Confidence::Medium, PROVE)
                .pro("the kernel answered that it starts no more processes (EAGAIN)")
                .contra(format!("there is room now: {}", room.text))
                .unknown(
                    "a limit further up, and how many processes there were then: pids.events of the \
                 control groups",
                ),
        ),
        None => Some(
            Judgement::new(Confidence::Medium, PROVE)
                .pro("the kernel answered that it starts no more processes (EAGAIN)")
                .unknown("which limit: `ulimit -u`, or pids.max and pids.current of the control group"),
        ),
    }
}

/// bwrap itself, and what it clones.
fn process_limit(case: &Case<'_>) -> Option<Judgement> {
    judge_room(case, 2)
}

/// With a process 1 of bwrap's, the command is one more.
fn process_limit_late(case: &Case<'_>) -> Option<Judgement> {
    if !case.failed() {
        let lifetime = &case.sandbox?.lifetime;
        let forks = case.plan.as_ref().is_some_and(|plan| plan.new_pid) && !lifetime.as_pid_1;
        // with less room it does not get there
        if !forks || room(case).is_none_or(|room| room.left != 2) {
            return None;
        }
    }
    judge_room(case, 3)
}

fn more_processes(case: &Case<'_>) -> Vec<Remedy> {
    match room(case) {
        Some(room) => Wish::More(if room.cgroup { Limit::Pids } else { Limit::Processes }).grant(case),
        // a user who has no limit would only get one
        None if case.host.process.process_limit.is_absent() => Wish::More(Limit::Pids).grant(case),
        None => [Wish::More(Limit::Pids).grant(case), Wish::More(Limit::Processes).grant(case)].concat(),
    }
}

/// bwrap holds /proc and two event counters open beside standard input and output before it makes anything.
const DESCRIPTORS: u64 = 6;

fn descriptor_limit(case: &Case<'_>) -> Option<Judgement> {
    let process = &case.host.process;
    let (limit, open) = (process.descriptor_limit.present(), process.descriptors.present());
    let judgement = |confidence| {
        Judgement::new(
            confidence,
            "the same fails alike after `ulimit -n` was raised, in the process that starts bwrap",
        )
    };
    if case.errno() == Some(libc::ENFILE) {
        return Some(
            judgement(Confidence::High)
                .summary("the whole system may open no more files (fs.file-max)")
                .pro("the kernel answered ENFILE, which is about the system and not about this process"),
        );
    }
    let text = match (limit, open) {
        (Some(limit), Some(open)) => format!("{open} of {limit} open files (RLIMIT_NOFILE: `ulimit -n`)"),
        (Some(limit), None) => format!("a limit of {limit} open files (RLIMIT_NOFILE: `ulimit -n`)"),
        _ if case.failed() => {
            return Some(
                judgement(Confidence::High)
                    .pro("the kernel answered that this process opens no more files (EMFILE)")
                    .unknown("the limit: `ulimit -n`"),
            );
        }
        _ => return None,
    };
    if case.failed() {
        return Some(
            judgement(Confidence::High)
                .summary(format!("bwrap could open no more files: {text}"))
                .pro("the kernel answered that this process opens no more files (EMFILE)")
                .pro(text),
        );
    }
    if limit.is_some_and(|limit| *limit < DESCRIPTORS) {
        return Some(judgement(Confidence::High).summary(format!("{text}, and bwrap needs more")).pro(text));
    }
    // most of ours bwrap does not inherit, but a launch opens some of its own
    let left = limit.zip(open).map(|(limit, open)| limit.saturating_sub(*open));
    left.filter(|left| *left < DESCRIPTORS + 2).map(|_| {
        judgement(Confidence::Medium)
            .summary(format!("hardly any file can be opened any more: {text}"))
            .pro(text)
    })
}

fn more_files(case: &Case<'_>) -> Vec<Remedy> {
    if case.errno() == Some(libc::ENFILE) {
        return raise(case, "fs.file-max", 1_000_000, "programs can take more of the kernel's memory");
    }
    Wish::More(Limit::Files).grant(case)
}

fn out_of_memory(case: &Case<'_>) -> Option<Judgement> {
    let message = case.symptom?.message()?;
    let judgement =
        Judgement::new(Confidence::High, "the same fails alike with memory to spare (`free -m`, memory.max)");
    Some(match message.pattern() {
        // the kernel answers so as well if the namespace's first process has ended
        Some("Can't fork for --pidns") => {
            Judgement::new(Confidence::Medium, "process 1 of the PID namespace that is joined is alive")
                .unknown("whether the PID namespace that is joined still has a process 1")
        }
        _ => judgement.pro("the kernel or the C library refused memory (ENOMEM)"),
    })
}

#[cfg(test)]
mod tests;

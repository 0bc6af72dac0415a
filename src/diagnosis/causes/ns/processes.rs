//! Limits on processes, open files and memory.

use crate::diagnosis::Remedy;
use crate::diagnosis::case::Case;
use crate::diagnosis::evidence::{self, Seen};
use crate::diagnosis::finding::Confidence::{High, Medium};
use crate::diagnosis::weigh::{Judgement, LAUNCH, rules, weigh};
use crate::diagnosis::wish::{Limit, Wish};
use crate::sandbox::Capability;

rules! {
    ProcessLimit, Anytime, [
        LAUNCH => (EAGAIN), "Creating new namespace failed" => (EAGAIN), "Can't fork for --pidns" => (EAGAIN),
    ]
        => process_limit, more_processes;

    ProcessLimitLate, Anytime, [
        "Can't fork for pid 1" => (EAGAIN), "Can't fork unprivileged helper" => (EAGAIN),
    ]
        => process_limit_late, more_processes;
}

/// A limit on processes that applies to bwrap, and how many are left below it.
struct Room {
    left: u64,
    /// It is the control group's.
    cgroup: bool,
    /// Where and how much, in words.
    text: String,
}

impl Room {
    fn seen(self, case: &Case<'_>) -> Option<Seen> {
        if self.cgroup {
            evidence::seen(&case.host.cgroup.pids, self.text)
        } else {
            evidence::seen(&case.host.process.processes, self.text)
        }
    }
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
            weigh(High)
                .refuted_by(PROVE)
                .summary(format!("{}: bwrap needs {needed} more at least", room.text))
                .pro(room.seen(case)),
        ),
        Some(room) if !case.failed() => (room.left < 4).then(|| {
            weigh(Medium)
                .refuted_by(PROVE)
                .summary(format!("{}: that is tight for a sandbox of 2 to 4", room.text))
                .pro(room.seen(case))
        }),
        None if !case.failed() => None,
        // the message says so much; which limit, nobody knows
        Some(room) => Some(
            weigh(Medium)
                .refuted_by(PROVE)
                .pro(evidence::heard(case, "the kernel answered that it starts no more processes (EAGAIN)"))
                .contra(Room { text: format!("there is room now: {}", room.text), ..room }.seen(case))
                .unknown(
                    "a limit further up, and how many processes there were then: pids.events of the \
                 control groups",
                ),
        ),
        None => Some(
            weigh(Medium)
                .refuted_by(PROVE)
                .pro(evidence::heard(case, "the kernel answered that it starts no more processes (EAGAIN)"))
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

#[cfg(test)]
mod tests;

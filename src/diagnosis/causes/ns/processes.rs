//! Limits on processes, open files and memory.

use super::super::prelude::*;

rules! {
    // bwrap itself, and what it clones
    ProcessLimit, Anytime, [
        LAUNCH, "Creating new namespace failed", "Can't fork for --pidns" => (EAGAIN)
    ] => |case| judge_room(case, 2), more_processes;

    ProcessLimitLate, Anytime, [
        "Can't fork for pid 1", "Can't fork unprivileged helper" => (EAGAIN)
    ] => process_limit_late, more_processes;
}

/// A limit on processes that applies to bwrap, and how many are left below it.
struct Room {
    left: u64,
    limit: Limit,
    /// Where and how much, in words.
    text: String,
}

/// The tightest limit that is known.
fn room(case: &Case<'_>) -> Option<Room> {
    let group = case.host.cgroup.pids.present().map(|pids| {
        let (current, max, group) = (pids.current, pids.max, pids.directory.display());
        let text = format!("{current} of {max} processes in the control group {group}");
        Room { left: pids.left(), limit: Limit::Pids, text }
    });
    let process = &case.host.process;
    let user = process.process_limit.present().zip(process.processes.present());
    let user = user.filter(|_| exempt(case) == Some(false)).map(|(limit, count)| Room {
        left: limit.saturating_sub(*count),
        limit: Limit::Processes,
        text: format!("{count} of {limit} processes of this user (RLIMIT_NPROC: `ulimit -u`)"),
    });
    group.into_iter().chain(user).min_by_key(|room| room.left)
}

/// Whether `RLIMIT_NPROC` does not bind us: root of the machine, and who has one of two capabilities over it.
fn exempt(case: &Case<'_>) -> Option<bool> {
    let strong = match [Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_RESOURCE].map(|one| case.has(one)) {
        [Some(true), _] | [_, Some(true)] => Some(true),
        [Some(false), Some(false)] => Some(false),
        _ => None,
    };
    let root = case.host.process.real_uid.present().map(|uid| *uid == 0).or(case.root());
    match (case.host.user_namespace.is_initial(), root) {
        (Some(false), _) => Some(false),
        (Some(true), Some(true)) => Some(true),
        (Some(true), Some(false)) => strong,
        (None, Some(false)) if strong == Some(false) => Some(false),
        _ => None,
    }
}

/// Judges what is left if `needed` processes must fit, bwrap's first one included.
fn judge_room(case: &Case<'_>, needed: u64) -> Option<Judgement> {
    let room = room(case);
    let left = room.as_ref().map_or(u64::MAX, |room| room.left);
    rule_out(!case.failed() && left >= needed.max(4))?;
    let found = weigh(if left < needed { High } else { Medium })
        .refuted_by("another program can start several processes at the same time, in the same place");
    let answer = "the kernel answered that it starts no more processes (EAGAIN)";
    let which = "which limit: `ulimit -u`, or pids.max and pids.current of the control group";
    let Some(Room { text, limit, .. }) = room else {
        return Some(found.heard(case, answer).unknown(which));
    };
    let seen = |text| match limit {
        Limit::Pids => evidence::seen(&case.host.cgroup.pids, text),
        Limit::Processes | Limit::Files => evidence::seen(&case.host.process.processes, text),
    };
    Some(if left < needed || !case.failed() {
        let summary = if left < needed {
            format!("{text}: bwrap needs {needed} more at least")
        } else {
            format!("{text}: that is tight for a sandbox of 2 to 4")
        };
        found.summary(summary).pro(seen(text))
    } else {
        // the message says so much; which limit, nobody knows
        let further =
            "a limit further up, and how many processes there were then: pids.events of the control groups";
        found.heard(case, answer).contra(seen(format!("there is room now: {text}"))).unknown(further)
    })
}

/// With a process 1 of bwrap's, the command is one more.
fn process_limit_late(case: &Case<'_>) -> Option<Judgement> {
    if !case.failed() {
        let forks = case.plans(|plan| plan.new_pid) && !case.sandbox?.lifetime.as_pid_1;
        // with less room it does not get there
        rule_out(!forks || room(case).is_none_or(|room| room.left != 2))?;
    }
    judge_room(case, 3)
}

fn more_processes(case: &Case<'_>) -> Vec<Remedy> {
    match room(case) {
        Some(room) => Wish::More(room.limit).grant(case),
        // a user who has no limit would only get one
        None if case.host.process.process_limit.is_absent() => Wish::More(Limit::Pids).grant(case),
        None => [Wish::More(Limit::Pids).grant(case), Wish::More(Limit::Processes).grant(case)].concat(),
    }
}

#[cfg(test)]
mod tests;

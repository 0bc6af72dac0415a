//! Limits, set from outside on a process that waits at the gate.

use std::fs;
use std::io;
use std::sync::Arc;

use rustix::process::{Pid, Rlimit, prlimit, setpriority_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::cgroup::{Group, Refused};
use super::limits::{IoPriority, Limit, Limits, Resource, Scheduling, Unapplied};
use super::processes::status_of;
use super::spawn;
use crate::host;

/// What became of limits.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) group: Option<Group>,
    /// Optional ones that could not be set.
    pub(super) unapplied: Vec<Unapplied>,
}

/// Sets them all, as far as they are not optional.
///
/// # Errors
///
/// The first that must hold and could not be set. The group is gone again then.
pub(super) fn apply(limits: &Limits, pid: Option<Pid>) -> Result<Applied, Unapplied> {
    let Some(pid) = pid else {
        let gone = |(limit, _)| Unapplied::new(limit, io::Error::from_raw_os_error(libc::ESRCH), None);
        return limits.iter().next().map_or_else(|| Ok(Applied::default()), |first| Err(gone(first)));
    };
    let mut applied = Applied::default();
    let mut report = |limit: &Limit, optional: bool, source: io::Error, remedy: Option<Arc<str>>| {
        let unapplied = Unapplied::new(limit, source, remedy);
        if optional {
            log::warn!("{unapplied}");
            applied.unapplied.push(unapplied);
            Ok(())
        } else {
            Err(unapplied)
        }
    };
    for (limit, optional) in limits.iter().filter(|(limit, _)| !limit.needs_group()) {
        if let Err(error) = set(limit, pid) {
            let remedy = remedy_for(limit, &error);
            report(limit, optional, error, remedy.map(Arc::from))?;
        }
    }
    let grouped: Vec<(&Limit, bool)> = limits.iter().filter(|(limit, _)| limit.needs_group()).collect();
    if grouped.is_empty() {
        return Ok(applied);
    }
    match Group::make(&grouped, limits.get_below()) {
        Ok((group, refused)) => {
            for Refused { limit, optional, source, remedy } in refused {
                report(limit, optional, source, remedy)?;
            }
            match group.enter(pid) {
                Ok(()) => applied.group = Some(group),
                Err(error) => {
                    let (source, remedy) = error.into_parts();
                    for (limit, optional) in grouped {
                        report(limit, optional, copy(&source), remedy.clone())?;
                    }
                }
            }
        }
        Err(error) => {
            let (source, remedy) = error.into_parts();
            // the first that must hold, if any, is the one to tell
            for (limit, optional) in grouped {
                report(limit, optional, copy(&source), remedy.clone())?;
            }
        }
    }
    Ok(applied)
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn set(limit: &Limit, pid: Pid) -> io::Result<()> {
    match limit {
        Limit::Resource { resource, soft, hard } => {
            if *resource == Resource::Processes && soft.is_some() && is_root_of_machine(pid) {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the kernel exempts the machine's root from it, in a user namespace, too",
                ));
            }
            let new = Rlimit { current: *soft, maximum: *hard };
            prlimit(Some(pid), resource.number(), new)?;
        }
        Limit::OomScoreAdj(adjustment) => {
            let path = format!("/proc/{}/oom_score_adj", pid.as_raw_pid());
            // not created, where there is no /proc
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut file| io::Write::write_all(&mut file, adjustment.to_string().as_bytes()))?;
        }
        Limit::Nice(niceness) => setpriority_process(Some(pid), *niceness)?,
        Limit::Scheduling(scheduling) => {
            let (policy, priority) = match scheduling {
                Scheduling::Other => (libc::SCHED_OTHER, 0),
                Scheduling::Batch => (libc::SCHED_BATCH, 0),
                Scheduling::Idle => (libc::SCHED_IDLE, 0),
                Scheduling::Fifo(priority) => (libc::SCHED_FIFO, *priority),
                Scheduling::RoundRobin(priority) => (libc::SCHED_RR, *priority),
            };
            spawn::set_scheduling(pid, policy, priority.into())?;
        }
        Limit::Affinity(processors) => {
            let mut set = CpuSet::new();
            for processor in processors {
                set.set(*processor);
            }
            sched_setaffinity(Some(pid), &set)?;
        }
        Limit::IoPriority(priority) => {
            let (class, level) = match priority {
                IoPriority::RealTime(level) => (1, *level),
                IoPriority::BestEffort(level) => (2, *level),
                IoPriority::Idle => (3, 7),
            };
            spawn::set_io_priority(pid, class, level.into())?;
        }
        // those of a group are not set on a process
        _ => {}
    }
    Ok(())
}

/// Whether a process runs as user 0 of the first user namespace, as far as `/proc` tells: `fork(2)` asks for that one.
fn is_root_of_machine(pid: Pid) -> bool {
    let its = || status_of(&pid.as_raw_pid().to_string());
    host::in_initial_user_namespace() && its().is_some_and(|its| its.ruid == 0)
}

/// What to change for a limit of a process.
fn remedy_for(limit: &Limit, error: &io::Error) -> Option<&'static str> {
    let denied = matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES));
    Some(match limit {
        Limit::Resource { resource: Resource::Processes, .. }
            if error.kind() == io::ErrorKind::Unsupported =>
        {
            "limit them by a control group (`Limit::PidsMax`), or start the sandbox as another user"
        }
        Limit::Resource { .. } if denied => {
            "raising a hard limit needs CAP_SYS_RESOURCE; raise the caller's own (systemd `LimitNOFILE=` and the like, `ulimit -H`, Docker `--ulimit`), or ask for less"
        }
        Limit::OomScoreAdj(_) if denied => {
            "lowering it needs CAP_SYS_RESOURCE; start the caller with a lower one (systemd `OOMScoreAdjust=`) and raise it here"
        }
        Limit::Nice(_) if denied => {
            "lowering it needs CAP_SYS_NICE, or room in RLIMIT_NICE (systemd `LimitNICE=`)"
        }
        Limit::Scheduling(_) if denied => {
            "real time needs CAP_SYS_NICE, or room in RLIMIT_RTPRIO (systemd `LimitRTPRIO=`)"
        }
        Limit::IoPriority(_) if denied => "the real-time class needs CAP_SYS_ADMIN or CAP_SYS_NICE",
        Limit::Affinity(_) if error.raw_os_error() == Some(libc::EINVAL) => {
            "none of these processors is there for this process; see `nproc --all` and Cpus_allowed_list in /proc/self/status"
        }
        _ => return None,
    })
}

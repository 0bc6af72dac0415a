//! A /proc that bwrap cannot read or open: before it makes anything.

use crate::diagnosis::case::Case;
use crate::diagnosis::evidence;
use crate::diagnosis::facts::mount_of;
use crate::diagnosis::finding::Confidence::{High, Medium};
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::Wish;
use crate::host::Fact;
use std::path::Path;
rules! {
    ProcIncomplete, Anytime, [
        "Can't read /proc/sys/kernel/overflowuid" => (ENOENT EACCES EPERM ENOTDIR),
        "Can't read /proc/sys/kernel/overflowgid" => (ENOENT EACCES EPERM ENOTDIR),
        "Can't parse /proc/sys/kernel/overflowuid", "Can't parse /proc/sys/kernel/overflowgid",
    ],
        unless "`cat /proc/sys/kernel/overflowuid` where bwrap is started prints a number"
        => proc_incomplete, |case| Wish::AnyProc.grant(case);

    ProcUnavailable, Failed, ["Can't open /proc" => (ENOENT EACCES EPERM ENOTDIR)],
        unless "`ls -ld /proc` where bwrap is started shows a directory"
        => proc_unavailable, |case| Wish::AnyProc.grant(case);
}

/// Why `/proc/sys/kernel` cannot be read, as far as the mounts tell.
fn proc_mount(case: &Case<'_>) -> Option<String> {
    let mounts = case.host.mounts.present().filter(|mounts| !mounts.is_empty())?;
    if let Some(mount) = mount_of(mounts, Path::new("/proc/sys/kernel/overflowuid"))
        && mount.filesystem == "proc"
        && mount.super_options.contains("subset=pid")
    {
        return Some(format!("{} is mounted with subset=pid (/proc/self/mountinfo)", mount.point.display()));
    }
    let any = mounts.iter().any(|mount| mount.filesystem == "proc");
    (!any).then(|| "no proc is mounted (/proc/self/mountinfo)".to_owned())
}

fn proc_incomplete(case: &Case<'_>) -> Option<Judgement> {
    let value = case.host.sysctl("kernel.overflowuid");
    let with_mount = |judgement: Judgement| match proc_mount(case) {
        Some(reason) => judgement
            .summary(format!("bwrap cannot read the kernel's settings: {reason}"))
            .seen(&case.host.mounts, reason),
        None => judgement,
    };
    match value {
        Fact::Absent => {
            Some(with_mount(weigh(High)).seen(value, "/proc/sys/kernel/overflowuid does not exist"))
        }
        Fact::Unreadable(why) => Some(
            with_mount(weigh(High))
                .seen(value, format!("/proc/sys/kernel/overflowuid cannot be read: {why}")),
        ),
        Fact::Unknown if proc_mount(case).is_some() => Some(with_mount(weigh(High))),
        _ if !case.failed() => None,
        Fact::Present(number) => {
            Some(weigh(Medium).seen_against(
                value,
                format!("/proc/sys/kernel/overflowuid can be read now, and is {number}"),
            ))
        }
        // bwrap says this for no other reason
        Fact::Unknown => Some(
            weigh(High).unknown("how /proc is mounted, if at all: `grep ' /proc ' /proc/self/mountinfo`"),
        ),
    }
}

/// bwrap opens it as a path only, for which it need not be mounted.
fn proc_unavailable(case: &Case<'_>) -> Option<Judgement> {
    let judgement = weigh(High);
    Some(match proc_mount(case) {
        Some(reason) => judgement.seen(&case.host.mounts, reason),
        None => judgement,
    })
}

//! A /proc that bwrap cannot read or open: before it makes anything.

use super::super::prelude::*;

rules! {
    ProcIncomplete, Anytime, [
        "Can't read /proc/sys/kernel/overflowuid",
        "Can't read /proc/sys/kernel/overflowgid" => (ENOENT EACCES EPERM ENOTDIR);
        "Can't parse /proc/sys/kernel/overflowuid", "Can't parse /proc/sys/kernel/overflowgid"
    ],
        unless "`cat /proc/sys/kernel/overflowuid` where bwrap is started prints a number"
        => proc_incomplete, |case| {
            if confined(case).is_some() {
                let opens = "what the profile confines can read two numbers that everybody else can read";
                return Wish::AppArmorRule("/proc/sys/kernel/overflow{u,g}id r,", opens).grant(case);
            }
            if is_denied(case) {
                let snap = case.on(Platform::Snap).then(|| told!(NS06, "instead-of-snap"));
                return Vec::new().or(snap).or([told!(PR09, "permit-settings")]);
            }
            // whatever procfs is mounted in there is gVisor's
            if case.on(Platform::GVisor) && case.errno() == Some(libc::ENOENT) {
                return vec![told!(PR09, "newer-gvisor")];
            }
            let built = || told!(PR09, "kernel-with-proc-sysctl");
            // whoever chooses what a kernel has leaves that out as well, and a desktop does not start without /proc
            let chosen = case.host.mounts.is_unknown() && case.hinted(Hint::OwnKernel);
            let proc = || Wish::AnyProc.grant(case);
            if no_settings(case) { vec![built()] } else { Vec::new().or(chosen.then(built)).or(proc()) }
        };

    // bwrap opens it as a path only, for which it need not be mounted
    ProcUnavailable, Failed, ["Can't open /proc" => (ENOENT EACCES EPERM ENOTDIR)],
        unless "`ls -ld /proc` where bwrap is started shows a directory"
        => |case| Some(weigh(High).seen(&case.host.mounts, proc_mount(case))), |case| Wish::AnyProc.grant(case);

    ProcOfOtherNamespace, Failed, ["open /proc/%s/ns failed", "open /proc/%s failed" => (ENOENT)],
        unless "`grep NSpid /proc/self/status` where bwrap is started prints one number, and not two"
        => of_other_namespace, |_| vec![told!(PR12, "proc-of-own-namespace")];
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

fn of_other_namespace(case: &Case<'_>) -> Option<Judgement> {
    let own = &case.host.process.in_proc;
    rule_out(own.is(&true))?;
    let seen = weigh(if own.is(&false) { High } else { Medium });
    seen.seen(own, "/proc/self is another number than getpid(2)")
        .unknown(own.is_unknown().then_some("how many numbers `grep NSpid /proc/self/status` prints: two in a PID namespace whose /proc is another's"))
        .into()
}

/// Whether a whole procfs is there, and nothing over its settings, of which the kernel was built without any.
fn no_settings(case: &Case<'_>) -> bool {
    let path = Path::new("/proc/sys/kernel/overflowuid");
    let mount = case.host.mounts.present().and_then(|mounts| mount_of(mounts, path));
    let whole = mount.is_some_and(|mount| mount.filesystem == "proc" && mount.root == Path::new("/"));
    whole && proc_mount(case).is_none() && case.host.sysctl("kernel.overflowuid").is_absent()
}

/// The AppArmor profile that denies reading them: nothing that is missing does.
fn confined<'a>(case: &Case<'a>) -> Option<&'a str> {
    let label =
        case.host.security.label.present().filter(|_| case.host.security.apparmor_enabled.is(&true))?;
    label.strip_suffix(" (enforce)").filter(|_| case.errno() == Some(libc::EACCES))
}

/// Whether somebody answered that it may not be read, and no mount that was looked at explains it: everybody may, and what is missing
/// answers otherwise.
fn is_denied(case: &Case<'_>) -> bool {
    case.host.mounts.is_unknown() && matches!(case.errno(), Some(libc::EACCES | libc::EPERM))
}

fn proc_incomplete(case: &Case<'_>) -> Option<Judgement> {
    let value = case.host.sysctl("kernel.overflowuid");
    let path = "/proc/sys/kernel/overflowuid";
    if let Some(profile) = confined(case).filter(|_| proc_mount(case).is_none()) {
        let found = weigh(Medium)
            .summary(format!("the AppArmor profile {profile} denies bwrap the kernel's settings"));
        let found =
            found.seen(&case.host.security.label, format!("bwrap runs under {profile}, which is enforced"));
        return Some(found.unknown("whether it is that rule: `journalctl -k | grep DENIED`"));
    }
    if is_denied(case) && value.is_unknown() {
        let summary = "what confines bwrap denies it two of the kernel's settings, which everybody may read";
        let found = weigh(High).summary(summary).heard(case, "nothing that is missing answers so");
        return Some(found.unknown(
            "what confines it: /proc/self/attr/current where bwrap is started, and DENIED in dmesg",
        ));
    }
    if let Fact::Present(number) = value {
        let now = format!("{path} can be read now, and is {number}");
        return case.failed().then(|| weigh(Medium).seen_against(value, now));
    }
    let mount = proc_mount(case);
    let summary = mount.as_ref().map(|reason| format!("bwrap cannot read the kernel's settings: {reason}"));
    let built = "the kernel has no settings in /proc: it was built without CONFIG_PROC_SYSCTL";
    let summary = summary.or(no_settings(case).then(|| built.to_owned()));
    let found = weigh(High).summary(summary).seen(&case.host.mounts, mount.as_deref());
    match value {
        Fact::Absent => Some(found.seen(value, format!("{path} does not exist"))),
        Fact::Unreadable(why) => Some(found.seen(value, format!("{path} cannot be read: {why}"))),
        _ if mount.is_some() => Some(found),
        // bwrap says this for no other reason
        _ => case
            .failed()
            .then(|| found.unknown("how /proc is mounted, if at all: `grep ' /proc ' /proc/self/mountinfo`")),
    }
}

//! Making a `/dev`: its devpts, and the device nodes that are bound into it.

use super::pr::remedies::{bind_dev, permit_mounts};
use super::prelude::*;

const DEVPTS: &str = "Can't mount devpts on %s";

rules! {
    SelinuxDeniesDevpts, Anytime about dev if |plan| plan.dev.is_some(), [DEVPTS => (EACCES)]
        => |case| selinux_denies(case, &MOUNT_DEVPTS), |case| permit_mounts(case).or(bind_dev(case));

    DevptsInvalid, Failed about dev, [DEVPTS => (EINVAL)],
        unless "`unshare -Urm mount -t devpts -o newinstance devpts /mnt` works"
        => devpts_invalid, |case| told!(DV02, "map-user-0").or(bind_dev(case));

    DeviceMissing, Anytime about dev if |plan| plan.dev.is_some(), [
        "Can't bind mount %s on %s", "Can't open source %s" => (ENOENT)
    ]
        => device_missing, |case| {
            let missing: Vec<_> = missing_devices(case).copied().collect();
            Wish::Devices(&missing).grant(case).or(bind_dev(case))
        };
}

fn devpts_invalid(case: &Case<'_>) -> Option<Judgement> {
    Some(if case.joins_user_namespace() {
        weigh(Medium).asked(case, "the sandbox joins a user namespace, in whose map user 0 may be missing")
    } else {
        weigh(Low).unknown("whether user 0 is mapped in the user namespace that bwrap mounts in: its uid_map")
    })
}

/// The nodes that bwrap binds, with the numbers that they are made with.
type Device = (&'static str, &'static str);

const DEVICES: &[Device] = &[
    ("/dev/null", "c 1 3"),
    ("/dev/zero", "c 1 5"),
    ("/dev/full", "c 1 7"),
    ("/dev/random", "c 1 8"),
    ("/dev/urandom", "c 1 9"),
    ("/dev/tty", "c 5 0"),
];

fn missing_devices<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'static Device> + 'a {
    let absent = |path: &str| case.host.files.get(Path::new(path)).is_some_and(Fact::is_absent);
    let said = case.message().and_then(Message::source);
    DEVICES.iter().filter(move |(path, _)| absent(path) || said == Some(Path::new(path)))
}

/// Whether a message is about a node that only the new /dev binds: other binds fail alike.
pub(super) fn about_device(case: &Case<'_>) -> bool {
    let source = case.message().and_then(Message::source);
    let binds = |one: &Operation| one.as_bind().is_some_and(|bind| Some(bind.source.as_path()) == source);
    let asked = case.sandbox.is_some_and(|sandbox| sandbox.operations.iter().any(binds));
    !asked && DEVICES.iter().any(|(path, _)| source == Some(Path::new(path)))
}

fn device_missing(case: &Case<'_>) -> Option<Judgement> {
    let missing: Vec<&str> = missing_devices(case).map(|(path, _)| *path).collect();
    rule_out(missing.is_empty() || case.failed() && !about_device(case))?;
    let whole = case.told().is_some_and(|told| {
        let last = told.mounts.iter().rfind(|mount| mount.point == Path::new("/dev"));
        last.is_some_and(|mount| mount.filesystem == "devtmpfs")
    });
    let shown = whole.then_some("the machine's own devtmpfs is on /dev, which has all of them");
    weigh(if whole { Low } else { High })
        .contra(evidence::told(case, shown))
        .refuted_by(format!("`ls -l {}` shows what is missing", missing.join(" ")))
        .summary(format!("the new /dev needs {}, which is not there outside", missing.join(", ")))
        .said(case)
        .pro(evidence::not_there(case, &missing))
        .into()
}

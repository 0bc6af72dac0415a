//! Making a `/dev`: its devpts, and the device nodes that are bound into it.

use crate::diagnosis::case::Case;
use crate::diagnosis::confinement::selinux_denies;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::Wish;
use crate::diagnosis::{Remedy, evidence};
use std::path::Path;

use super::pr::remedies::{permit_mounts, with_bind_dev};
use crate::host::Fact;

const DEVPTS: &str = "Can't mount devpts on %s";

rules! {
    SelinuxDeniesDevpts, Anytime, [DEVPTS => (EACCES)]
        => |case| {
            let operation = case.plan.as_ref().and_then(|plan| plan.dev);
            let wanted = case.failed() || operation.is_some();
            let found = wanted.then(|| selinux_denies(case, "devpts_t:filesystem mount"))??;
            Some(found.operation(operation))
        }, |case| with_bind_dev(case, permit_mounts(case));

    DevptsInvalid, Failed about dev, [DEVPTS => (EINVAL)],
        unless "`unshare -Urm mount -t devpts -o newinstance devpts /mnt` works"
        => devpts_invalid, |case| with_bind_dev(case, vec![newer_bwrap()]);

    DeviceMissing, Anytime, ["Can't bind mount %s on %s" => (ENOENT)]
        => device_missing, |case| {
            let missing: Vec<_> = missing_devices(case).copied().collect();
            with_bind_dev(case, Wish::Devices(&missing).grant(case))
        };
}

pub(in crate::diagnosis) fn devpts_invalid(case: &Case<'_>) -> Option<Judgement> {
    let found = weigh(Low);
    let joins = case.sandbox.map(|sandbox| sandbox.namespaces.join_user.is_some());
    Some(match joins {
        Some(true) => {
            let mut found = found.pro(evidence::asked(
                case,
                "the sandbox joins a user namespace, in whose map user 0 may be missing",
            ));
            found.confidence = Medium;
            found
        }
        _ => {
            found.unknown("whether user 0 is mapped in the user namespace that bwrap mounts in: its uid_map")
        }
    })
}

pub(in crate::diagnosis) fn newer_bwrap() -> Remedy {
    told!("map-user-0")
}

/// The nodes that bwrap binds, with the numbers that they are made with.
const DEVICES: &[(&str, &str)] = &[
    ("/dev/null", "c 1 3"),
    ("/dev/zero", "c 1 5"),
    ("/dev/full", "c 1 7"),
    ("/dev/random", "c 1 8"),
    ("/dev/urandom", "c 1 9"),
    ("/dev/tty", "c 5 0"),
];

pub(in crate::diagnosis) fn missing_devices<'a>(
    case: &'a Case<'_>,
) -> impl Iterator<Item = &'static (&'static str, &'static str)> + 'a {
    let absent = |path: &str| case.host.files.get(Path::new(path)).is_some_and(Fact::is_absent);
    let said = case.symptom.and_then(|symptom| symptom.message()?.source());
    DEVICES.iter().filter(move |(path, _)| absent(path) || said == Some(Path::new(path)))
}

pub(in crate::diagnosis) fn device_missing(case: &Case<'_>) -> Option<Judgement> {
    let plan = case.plan.as_ref();
    let missing: Vec<&str> = missing_devices(case).map(|(path, _)| *path).collect();
    let source = case.symptom.and_then(|symptom| symptom.message()?.source());
    // other binds fail alike
    let about_device = DEVICES.iter().any(|(path, _)| source == Some(Path::new(path)));
    if missing.is_empty() || case.failed() && !about_device || !case.failed() && plan?.dev.is_none() {
        return None;
    }
    let list = missing.join(", ");
    let found = weigh(High)
        .refuted_by(format!("`ls -l {}` shows what is missing", missing.join(" ")))
        .summary(format!("the new /dev needs {list}, which is not there outside"))
        .operation(plan.and_then(|plan| plan.dev));
    Some(found.pro(evidence::not_there(case, &missing)))
}

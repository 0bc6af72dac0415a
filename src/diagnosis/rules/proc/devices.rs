//! Making a `/dev`: its devpts, and the device nodes that are bound into it.

use crate::diagnosis::remedy::told;
use std::path::Path;

use crate::diagnosis::Remedy;
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::rules::Judgement;
use crate::host::Fact;

pub(super) fn devpts_invalid(case: &Case<'_>) -> Option<Judgement> {
    if !case.failed() {
        return None;
    }
    let found = Judgement::new(Low, "`unshare -Urm mount -t devpts -o newinstance devpts /mnt` works")
        .operation(case.plan.as_ref().and_then(|plan| plan.dev));
    let joins = case.sandbox.map(|sandbox| sandbox.namespaces.join_user.is_some());
    Some(match joins {
        Some(true) => {
            let mut found =
                found.pro("the sandbox joins a user namespace, in whose map user 0 may be missing");
            found.confidence = Medium;
            found
        }
        _ => {
            found.unknown("whether user 0 is mapped in the user namespace that bwrap mounts in: its uid_map")
        }
    })
}

pub(super) fn newer_bwrap() -> Remedy {
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

pub(super) fn missing_devices<'a>(
    case: &'a Case<'_>,
) -> impl Iterator<Item = &'static (&'static str, &'static str)> + 'a {
    let absent = |path: &str| case.host.files.get(Path::new(path)).is_some_and(Fact::is_absent);
    let said = case.symptom.and_then(|symptom| symptom.message()?.source());
    DEVICES.iter().filter(move |(path, _)| absent(path) || said == Some(Path::new(path)))
}

pub(super) fn device_missing(case: &Case<'_>) -> Option<Judgement> {
    let plan = case.plan.as_ref();
    let missing: Vec<&str> = missing_devices(case).map(|(path, _)| *path).collect();
    let source = case.symptom.and_then(|symptom| symptom.message()?.source());
    // other binds fail alike
    let about_device = DEVICES.iter().any(|(path, _)| source == Some(Path::new(path)));
    if missing.is_empty() || case.failed() && !about_device || !case.failed() && plan?.dev.is_none() {
        return None;
    }
    let list = missing.join(", ");
    let found = Judgement::new(High, format!("`ls -l {}` shows what is missing", missing.join(" ")))
        .summary(format!("the new /dev needs {list}, which is not there outside"))
        .operation(plan.and_then(|plan| plan.dev));
    let looked = |path: &&str| case.host.files.get(Path::new(path)).is_some_and(Fact::is_absent);
    let seen: Vec<&str> = missing.iter().copied().filter(looked).collect();
    Some(if seen.is_empty() { found } else { found.pro(format!("{} does not exist", seen.join(", "))) })
}

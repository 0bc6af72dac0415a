//! bwrap's file and its privileges: what goes wrong before it reads its command line.

use crate::diagnosis::case::Case;
use crate::diagnosis::facts::{setuid, version, word};
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, LAUNCH, rules, weigh};
use crate::diagnosis::wish::Wish;
use crate::diagnosis::{Remedy, SandboxChange, evidence};
use std::path::Path;

use crate::bwrap::Version;
use crate::host::PACKAGED;
use crate::sandbox::{Capability, CapabilityChange};

rules! {
    // the kernel does not even execute it
    FileCapabilitiesOutsideBounds, Anytime, [LAUNCH => (EPERM)]
        => file_capabilities_outside_bounds, |case| vec![remove_file_capabilities(case)];

    UnexpectedCapabilities, Anytime, ["Unexpected capabilities but not setuid, old file caps config?"],
        unless "`capsh --print` in the same place shows no ambient set, and `getcap` on bwrap nothing"
        => unexpected_capabilities, drop_capabilities;

    SetuidWithoutBounds, Anytime, ["capset failed" => (EPERM)],
        unless "the same bwrap fails alike after `chmod u-s` on it, or all of those are in CapBnd"
        => setuid_without_bounds, |case| vec![remove_setuid(case)];

    SetuidUnsupported, Anytime, [
        "setuid use of bubblewrap is not supported", "Unexpected setuid user %d, should be 0",
    ],
        unless "`ls -l` shows no setuid bit on bwrap, and `id` one user id only"
        => setuid_unsupported, mend_setuid;

    // it says nothing any more
    SetuidHangs, Anytime, [],
        unless "the sandbox starts within seconds"
        => setuid_hangs, |case| vec![remove_setuid(case)];

    CapabilityUnavailable, Anytime, [
        "Adding ambient capability %ld", "Dropping capability %ld from bounds", "capset failed",
    ],
        unless "the same sandbox without capabilities for the command fails alike"
        => capability_unavailable, |_| vec![Remedy::change(SandboxChange::DropCapabilities), permit_capability_calls()];
}

/// Where bwrap is, for a command line.
pub(in crate::diagnosis) fn path(case: &Case<'_>) -> String {
    let path = case.host.bwrap.present().map(|program| program.path.as_path());
    word(path.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(PACKAGED)))
}

/// What bwrap with rights from its file keeps, and so must be able to get.
const REQUIRED: &[Capability] = &[
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_SYS_ADMIN,
];

/// Which of those are outside the bounding set, in words; `None` if nobody knows.
fn out_of_bounds(case: &Case<'_>) -> Option<String> {
    let bounding = case.host.process.bounding.present()?;
    let missing: Vec<String> =
        REQUIRED.iter().filter(|one| !bounding.has(**one)).map(ToString::to_string).collect();
    Some(missing.join(", "))
}

fn file_capabilities_outside_bounds(case: &Case<'_>) -> Option<Judgement> {
    const REFUSED: &str =
        "the kernel did not even execute bwrap (EPERM), so nothing here is bwrap's own word";
    let program = case.host.bwrap.present();
    let missing = out_of_bounds(case);
    if program.is_some_and(|program| !program.file_capabilities)
        || missing.as_ref().is_some_and(String::is_empty)
    {
        return None;
    }
    let file = path(case);
    let judgement = |confidence| {
        weigh(confidence)
            .refuted_by(format!("`{file} --version` prints a version: the kernel executes it after all"))
    };
    let capable = program.is_some();
    if !case.failed() && (!capable || missing.is_none()) {
        return None;
    }
    let confidence = if capable || missing.is_some() { Medium } else { Low };
    let mut found = judgement(confidence);
    if case.failed() {
        found = found.pro(evidence::heard(case, REFUSED));
    }
    if capable {
        found = found.pro(evidence::capable_file(case));
    }
    found = match &missing {
        Some(missing) => found.pro(evidence::seen(
            &case.host.process.bounding,
            format!("{missing}: not in the bounding set (CapBnd in /proc/self/status)"),
        )),
        None => found.unknown("the bounding set: CapBnd in /proc/self/status"),
    };
    if let (true, Some(missing)) = (capable, &missing) {
        found = found.summary(format!(
            "{file} carries file capabilities, and {missing} can be had by no program here"
        ));
    }
    Some(found.unknown(format!("which capabilities the file carries: `getcap {file}`")))
}

fn remove_file_capabilities(case: &Case<'_>) -> Remedy {
    told!("setcap-r", path = path(case))
}

fn unexpected_capabilities(case: &Case<'_>) -> Option<Judgement> {
    let process = &case.host.process;
    let by_file = case.host.bwrap.present().map(|program| program.file_capabilities);
    let ambient = process.ambient.present().copied().filter(|set| !set.is_empty());
    let root = process.real_uid.present().or(process.uid.present()).map(|uid| *uid == 0);
    let named = |judgement: Judgement| match ambient {
        Some(set) => judgement
            .summary(format!("bwrap would keep {set} as another user than root, and refuses to run so"))
            .pro(evidence::seen(
                &case.host.process.ambient,
                format!("{set}: ambient, so executing bwrap keeps it (CapAmb in /proc/self/status)"),
            )),
        None if by_file == Some(true) => judgement
            .summary(format!("{} gets capabilities from its file, and refuses to run so", path(case)))
            .pro(evidence::capable_file(case)),
        None => judgement,
    };
    let capable = ambient.is_some() || by_file == Some(true);
    if !case.failed() {
        // only a setuid file, and one with capabilities of its own, loses the ambient ones
        let kept = ambient.is_some() && by_file != Some(true) && setuid(case) == Some(false);
        return match root {
            Some(false) if kept => Some(named(weigh(High))),
            Some(false) if capable && setuid(case) != Some(true) => Some(named(weigh(Medium))),
            _ => None,
        };
    }
    // bwrap says this for no other reason
    Some(match (root, process.ambient.present()) {
        (Some(true), _) => named(weigh(Medium)).contra(evidence::seen(
            &case.host.process.uid,
            "the user is root (Uid in /proc/self/status), for whom bwrap does not ask this",
        )),
        _ if capable => named(weigh(High)),
        (_, Some(_)) if by_file == Some(false) => weigh(Medium).contra(evidence::seen(
            &case.host.process.ambient,
            "the ambient set is empty now (CapAmb in /proc/self/status), and bwrap's file carries none",
        )),
        _ => weigh(High)
            .unknown("where the capabilities come from: CapAmb in /proc/self/status, or `getcap` on bwrap"),
    })
}

fn drop_capabilities(case: &Case<'_>) -> Vec<Remedy> {
    let by_file = case.host.bwrap.present().map(|program| program.file_capabilities);
    let mut remedies = Vec::new();
    let ambient = case.host.process.ambient.present().map(|set| !set.is_empty());
    if ambient != Some(true) && by_file == Some(true) {
        remedies.push(remove_file_capabilities(case));
    } else {
        remedies.extend(Wish::NoAmbientCapabilities.grant(case));
        if by_file != Some(false) && ambient != Some(true) {
            remedies.push(remove_file_capabilities(case));
        }
    }
    remedies
}

fn remove_setuid(case: &Case<'_>) -> Remedy {
    told!("chmod-u-s", path = path(case))
}

fn setuid_without_bounds(case: &Case<'_>) -> Option<Judgement> {
    let setuid = setuid(case);
    // with the bit off nothing is asked of the bounding set
    if setuid == Some(false) && case.host.bwrap.present().is_some() {
        return None;
    }
    let missing = out_of_bounds(case);
    if missing.as_ref().is_some_and(String::is_empty) {
        return None;
    }
    let old = version(case).map(|version| version < SETUID_DROPPED);
    let seen = case.host.bwrap.present().is_some_and(|program| program.setuid);
    match missing {
        Some(missing) if seen => {
            let sure = setuid == Some(true) && (case.failed() || old == Some(true));
            if !case.failed() && (setuid.is_none() || old == Some(false)) {
                return None;
            }
            let confidence = if sure { High } else { Medium };
            Some(
                weigh(confidence)
                    .summary(format!("{} is setuid root, and {missing} cannot be had here", path(case)))
                    .pro(evidence::setuid_file(case))
                    .pro(evidence::seen(
                        &case.host.process.bounding,
                        format!("{missing}: not in the bounding set (CapBnd in /proc/self/status)"),
                    )),
            )
        }
        _ if case.failed() => {
            Some(weigh(Low).unknown("whether bwrap is setuid root: `ls -l` on it").unknown(
                "the bounding set, which must have CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_SYS_PTRACE: \
                 CapBnd in /proc/self/status",
            ))
        }
        _ => None,
    }
}

/// From here on bwrap is built without support for setuid unless its builder wants it; from 0.12 on always.
const SETUID_DROPPED: Version = Version::new(0, 11, 2);
const SETUID_GONE: Version = Version::new(0, 12, 0);

fn setuid_unsupported(case: &Case<'_>) -> Option<Judgement> {
    let (uid, real) = (case.host.process.uid.present(), case.host.process.real_uid.present());
    let differ = uid.zip(real).filter(|(uid, real)| uid != real);
    let seen = case.host.bwrap.present().is_some_and(|program| program.setuid);
    if !case.failed() {
        let version = version(case).filter(|version| seen && *version >= SETUID_DROPPED)?;
        let confidence = match setuid(case) {
            Some(true) if version >= SETUID_GONE => High,
            Some(false) => return None,
            _ => Medium,
        };
        return Some(
            weigh(confidence)
                .summary(format!("{} is setuid root, which bwrap {version} does not support", path(case)))
                .pro(evidence::seen(
                    &case.host.bwrap,
                    format!("{} has the setuid bit and is root's, and its version is {version}", path(case)),
                )),
        );
    }
    let judgement = weigh(High);
    Some(match differ {
        _ if seen => judgement.pro(evidence::setuid_file(case)),
        Some((uid, real)) => judgement
            .summary(format!(
                "bwrap is started with the real user id {real} and the effective one {uid}, as if setuid"
            ))
            .pro(evidence::seen(
                &case.host.process.uid,
                format!("real user id {real}, effective user id {uid} (Uid in /proc/self/status)"),
            )),
        None => judgement.unknown("whether bwrap's file is setuid: `ls -l` on it"),
    })
}

fn mend_setuid(case: &Case<'_>) -> Vec<Remedy> {
    let seen = case.host.bwrap.present().is_none_or(|program| program.setuid);
    let ids = told!("one-user-id");
    if seen { vec![remove_setuid(case), ids] } else { vec![ids] }
}

/// Seen with 0.8 only; nobody knows why.
fn setuid_hangs(case: &Case<'_>) -> Option<Judgement> {
    let namespaces = &case.sandbox?.namespaces;
    let version = version(case).filter(|version| (version.major, version.minor) == (0, 8))?;
    if case.failed() || setuid(case) != Some(true) || !namespaces.any_user() || namespaces.join_user.is_some()
    {
        return None;
    }
    Some(
        weigh(Medium)
            .summary(format!(
                "{} is setuid root: bwrap {version} was seen to hang then with a user namespace",
                path(case)
            ))
            .pro(evidence::seen(
                &case.host.bwrap,
                format!("{} has the setuid bit and is root's, and its version is {version}", path(case)),
            ))
            .pro(evidence::asked(case, "the sandbox asks for a user namespace")),
    )
}

/// bwrap passes over EPERM and EINVAL for the bounding and the ambient set: what it reports comes from elsewhere.
fn capability_unavailable(case: &Case<'_>) -> Option<Judgement> {
    let message = case.symptom?.message()?;
    let name = message.subject().and_then(|number| Capability::from_number(number.to_str()?.parse().ok()?));
    let given = case.sandbox.is_some_and(|sandbox| {
        let changes = &sandbox.privileges.capabilities;
        changes.iter().any(|change| matches!(change, CapabilityChange::Add(_) | CapabilityChange::AddAll))
    });
    let asked = given.then(|| evidence::asked(case, "the sandbox gives the command capabilities"));
    let what = match name {
        Some(name) => format!("the kernel refuses to give or take {name}"),
        None => "the kernel refuses to set the capabilities of the command".to_owned(),
    };
    let likely = case.filtered() == Some(true) || given;
    Some(
        weigh(if likely { Medium } else { Low })
            .summary(what)
            .pro(asked.flatten())
            .if_so(evidence::filter(case)),
    )
}

fn permit_capability_calls() -> Remedy {
    told!("permit-capset")
}

#[cfg(test)]
mod tests;

//! bwrap's file and its privileges: what goes wrong before it reads its command line.

use super::prelude::*;
use super::vr::install_bubblewrap;
use crate::bwrap::message::{Heard, NotStarted, is_program, not_started_in, path_shown};
use crate::diagnosis::evidence::Seen;
use crate::host::PACKAGED;
use crate::sandbox::CapabilityChange;
use Capability::{CAP_NET_ADMIN, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE};

rules! {
    // the kernel does not even execute it
    FileCapabilitiesOutsideBounds, Anytime, [LAUNCH => (EPERM)]
        => file_capabilities_outside_bounds, |case| vec![told!("setcap-r", path = path(case))];

    BwrapMissing, Failed, [LAUNCH => (ENOENT ENOTDIR)],
        unless "`command -v bwrap` by the same user, in the same place, prints a path"
        => bwrap_missing, |case| {
            let install = install_bubblewrap(case, "");
            if let Some(path) = of_application(case) {
                return vec![told!(CP07, "app-with-bwrap", path)];
            }
            if case.others().any(|text| text.contains("@BUBBLEWRAP_BIN@")) {
                return vec![told!(CP07, "built-without-path")];
            }
            match launchers_word(case) {
                Some(_) if seen_beside(case).is_some() => {
                    vec![told!(CP07, "launchers-path"), told!(CP07, "path-of-launcher"), install]
                }
                Some(NotStarted { heard: Heard::Launcher, .. }) => install.or([told!(CP07, "launchers-path")]),
                None if is_there(case) => told!(CP07, "what-it-needs", path = path(case)).or([install]),
                _ => vec![install],
            }
        };

    LauncherRefuses, Failed, [],
        unless "`bwrap --ro-bind / / true` by the same user, in the same place, says something of its own"
        => |case| {
            let line = evidence::others_line(case, Cause::LauncherRefuses)?;
            Some(weigh(High).heard(case, format!("the launcher says so: {line}")))
        }, |case| {
            let line = evidence::others_line(case, Cause::LauncherRefuses).unwrap_or_default();
            let reason = line.split_once("command: ").map_or("it is in its words", |(_, reason)| reason);
            vec![told!(CP09, "start-elsewhere", reason), told!(CP09, "other-release")]
        };

    BwrapNotExecutable, Failed, [LAUNCH => (EACCES ENOEXEC ELIBBAD ETXTBSY ELOOP)],
        unless "`bwrap --version` by the same user, in the same place, prints a version"
        => not_executable, |case| {
            let path = refused_path(case);
            match case.not_started {
                Some(libc::EACCES) if !path.contains("bwrap") => {
                    // under another name it can be bwrap all the same
                    vec![told!(CP08, "name-bwrap", path), told!(CP08, "let-execute", path).needs("a bwrap in that file")]
                }
                Some(libc::EACCES) => vec![told!(CP08, "let-execute", path), told!(CP08, "outer-sandbox", path)],
                Some(libc::ETXTBSY) => vec![told!(EX03, "finish-writing", host = path)],
                Some(libc::ELOOP) => vec![told!(EX12, "links", program = path)],
                _ => vec![told!(CP08, "other-machine", path)],
            }
        };

    UnexpectedCapabilities, Anytime, ["Unexpected capabilities but not setuid, old file caps config?"],
        unless "`capsh --print` in the same place shows no ambient set, and `getcap` on bwrap nothing"
        => unexpected_capabilities, drop_capabilities;

    SetuidWithoutBounds, Anytime, ["capset failed" => (EPERM)],
        unless "the same bwrap fails alike after `chmod u-s` on it, or all of those are in CapBnd"
        => setuid_without_bounds, |case| vec![told!("chmod-u-s", path = path(case))];

    SetuidUnsupported, Anytime, [
        "setuid use of bubblewrap is not supported", "Unexpected setuid user %d, should be 0"
    ],
        unless "`ls -l` shows no setuid bit on bwrap, and `id` one user id only"
        => setuid_unsupported, mend_setuid;

    // it says nothing any more
    SetuidHangs, Anytime, [],
        unless "the sandbox starts within seconds"
        => setuid_hangs, |case| vec![told!("chmod-u-s", path = path(case))];

    CapabilityUnavailable, Failed, [
        "Adding ambient capability %ld", "Dropping capability %ld from bounds", "capset failed"
    ],
        unless "the same sandbox without capabilities for the command fails alike"
        => capability_unavailable, |_| vec![Remedy::change(SandboxChange::DropCapabilities), told!(CP06, "permit-capset")];
}

/// Where bwrap is, for a command line.
pub(in crate::diagnosis) fn path(case: &Case<'_>) -> String {
    let path = case.host.bwrap.present().map(|program| program.path.as_path());
    word(path.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(PACKAGED)))
}

/// Where the bwrap is that the system did not execute: as whoever tried it names it, if nobody looked.
fn refused_path(case: &Case<'_>) -> String {
    let named = |text: &str| {
        let mut words = text.split(|c: char| c.is_whitespace() || "\"'`:,()".contains(c));
        words
            .find(|path| path.starts_with('/') && is_program(path.as_bytes()))
            .map(|path| word(Path::new(path)))
    };
    let seen = case.host.bwrap.present().is_some();
    case.others().filter(|_| !seen).find_map(|text| named(&text)).unwrap_or_else(|| path(case))
}

/// What bwrap with rights from its file keeps, and so must be able to get.
const REQUIRED: &[Capability] =
    &[CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE, CAP_SYS_ADMIN];

/// Which of those are outside the bounding set, in words; `None` if nobody knows.
fn out_of_bounds(case: &Case<'_>) -> Option<String> {
    let bounding = case.host.process.bounding.present()?;
    let missing = REQUIRED.iter().filter(|one| !bounding.has(**one)).map(ToString::to_string);
    Some(missing.collect::<Vec<_>>().join(", "))
}

fn not_in_bounds(missing: &String) -> String {
    format!("{missing}: not in the bounding set (CapBnd in /proc/self/status)")
}

/// What a shell or a launcher said of a bwrap that it did not start.
fn launchers_word(case: &Case<'_>) -> Option<NotStarted> {
    case.others().find_map(|text| not_started_in(text.as_bytes()))
}

/// Where a bwrap is all the same, as the same text or the host shows.
fn seen_beside(case: &Case<'_>) -> Option<String> {
    case.others()
        .find_map(|text| path_shown(text.as_bytes()))
        .or_else(|| case.host.bwrap.present().map(|_| path(case)))
}

/// Whether the file is there that could not be started.
fn is_there(case: &Case<'_>) -> bool {
    case.host.bwrap.present().is_some()
}

fn bwrap_missing(case: &Case<'_>) -> Option<Judgement> {
    const NO_FILE: &str = "the system found no program to start (ENOENT), or not its loader";
    const NO_DIRECTORY: &str = "a part of the path is no directory (ENOTDIR)";
    let there = is_there(case);
    let Some(NotStarted { line, heard }) = launchers_word(case) else {
        let part = case.not_started == Some(libc::ENOTDIR);
        let lacks =
            "is there, and what it needs to be started is not: its loader, or the interpreter of its #! line";
        return weigh(if there { Medium } else { High })
            .summary((there && !part).then(|| format!("{} {lacks}", path(case))))
            .heard(case, if part { NO_DIRECTORY } else { NO_FILE })
            .into();
    };
    let found = match heard {
        Heard::System => weigh(High).heard(case, NO_FILE),
        Heard::Shell => weigh(High).heard(case, format!("the shell says so: {line}")),
        Heard::Runtime => weigh(High).heard(case, format!("the container's runtime says so: {line}")),
        Heard::Launcher => weigh(Medium).heard(case, format!("the launcher says so: {line}")),
        Heard::Text => weigh(Medium).heard(case, format!("the text says so: {line}")),
    };
    let Some(path) = seen_beside(case) else {
        let whether = "whether bwrap is there, and fails where the launcher tries it: `command -v bwrap`";
        let word = "the launcher found no bwrap, or none that it could use";
        let launcher = matches!(heard, Heard::Launcher | Heard::Text);
        return Some(found.summary(launcher.then_some(word)).unknown(launcher.then_some(whether)));
    };
    let there_is =
        if path.contains('/') { format!("at {path}") } else { "there: it told its version".to_owned() };
    found
        .confidence(if there { Low } else { Medium })
        .summary(format!(
            "what was to start bwrap did not find it, or could not use it, and it is {there_is}"
        ))
        .heard(case, (!there).then(|| format!("the same text shows a bwrap: {path}")))
        .unknown("the launcher's own PATH, and what bwrap said if the launcher tried it")
        .refuted_by(format!("`{path} --version`, typed where the launcher runs, finds no program"))
        .into()
}

fn not_executable(case: &Case<'_>) -> Option<Judgement> {
    let path = refused_path(case);
    let (summary, heard) = match case.not_started? {
        libc::EACCES => {
            (None, "the system did not execute bwrap (EACCES), so nothing here is bwrap's own word")
        }
        libc::ETXTBSY => (
            Some(format!("{path} is open for writing, and is not executed meanwhile")),
            "the system does not execute what somebody is writing (ETXTBSY)",
        ),
        libc::ELOOP => (
            Some(format!("links lead to {path} in a circle, or too far")),
            "the system follows 40 links, and then gives up (ELOOP)",
        ),
        _ => (
            Some(format!(
                "{path} is no program for this machine: built for another processor, cut short or empty"
            )),
            "the system does not know the format of bwrap's file (ENOEXEC)",
        ),
    };
    let what = "which of its mode, a directory on the way, a mount with noexec or a profile around the launcher it is";
    let unknown = summary.is_none().then_some(what);
    weigh(High).summary(summary).heard(case, heard).unknown(unknown).into()
}

fn file_capabilities_outside_bounds(case: &Case<'_>) -> Option<Judgement> {
    const REFUSED: &str =
        "the kernel did not even execute bwrap (EPERM), so nothing here is bwrap's own word";
    let (program, missing) = (case.host.bwrap.present(), out_of_bounds(case));
    rule_out(program.is_some_and(|program| !program.file_capabilities) || missing.as_deref() == Some(""))?;
    let capable = program.is_some();
    rule_out(!case.failed() && (!capable || missing.is_none()))?;
    let (file, missing) = (path(case), missing.as_ref());
    let what =
        |missing| format!("{file} carries file capabilities, and {missing} can be had by no program here");
    let (seen, bounds) = (missing.map(not_in_bounds), "the bounding set: CapBnd in /proc/self/status");
    weigh(if capable || missing.is_some() { Medium } else { Low })
        .refuted_by(format!("`{file} --version` prints a version: the kernel executes it after all"))
        .heard(case, REFUSED)
        .pro(evidence::capable_file(case))
        .seen_or(&case.host.process.bounding, seen, bounds)
        .summary(missing.filter(|_| capable).map(what))
        .unknown(format!("which capabilities the file carries: `getcap {file}`"))
        .into()
}

fn unexpected_capabilities(case: &Case<'_>) -> Option<Judgement> {
    let process = &case.host.process;
    let by_file = case.host.bwrap.present().map(|program| program.file_capabilities);
    let ambient = process.ambient.present().copied().filter(|set| !set.is_empty());
    let root = process.real_uid.present().or(process.uid.present()).map(|uid| *uid == 0);
    let named = |found: Judgement| match ambient {
        Some(set) => found
            .summary(format!("bwrap would keep {set} as another user than root, and refuses to run so"))
            .seen(
                &process.ambient,
                format!("{set}: ambient, so executing bwrap keeps it (CapAmb in /proc/self/status)"),
            ),
        None if by_file == Some(true) => found
            .summary(format!("{} gets capabilities from its file, and refuses to run so", path(case)))
            .pro(evidence::capable_file(case)),
        None => found,
    };
    let capable = ambient.is_some() || by_file == Some(true);
    if !case.failed() {
        // only a setuid file, and one with capabilities of its own, loses the ambient ones
        let kept = ambient.is_some() && by_file != Some(true) && case.host.bwrap_gets_root() == Some(false);
        let refused = root == Some(false) && capable && case.host.bwrap_gets_root() != Some(true);
        return refused.then(|| named(weigh(if kept { High } else { Medium })));
    }
    // bwrap says this for no other reason
    let is_root = "the user is root (Uid in /proc/self/status), for whom bwrap does not ask this";
    let gone = "the ambient set is empty now (CapAmb in /proc/self/status), and bwrap's file carries none";
    let whence = "where the capabilities come from: CapAmb in /proc/self/status, or `getcap` on bwrap";
    Some(match (root, process.ambient.present()) {
        (Some(true), _) => named(weigh(Medium)).seen_against(&process.uid, is_root),
        _ if capable => named(weigh(High)),
        (_, Some(_)) if by_file == Some(false) => weigh(Medium).seen_against(&process.ambient, gone),
        _ => weigh(High).unknown(whence),
    })
}

fn drop_capabilities(case: &Case<'_>) -> Vec<Remedy> {
    let by_file = case.host.bwrap.present().map(|program| program.file_capabilities);
    let ambient = case.host.process.ambient.present().is_some_and(|set| !set.is_empty());
    let off_file = (!ambient && by_file != Some(false)).then(|| told!("setcap-r", path = path(case)));
    let only_file = by_file == Some(true) && !ambient;
    let compositor = case.told().is_some_and(|told| told.compositor).then(|| told!(CP01, "compositor"));
    let given = if only_file { Vec::new() } else { Wish::NoAmbientCapabilities.grant(case) };
    // which is what the text shows to have been put there
    let (first, last) = if case.hinted(Hint::FileCapabilities) { (off_file, None) } else { (None, off_file) };
    Vec::new().or(compositor).or(first).or(given).or(last)
}

fn setuid_without_bounds(case: &Case<'_>) -> Option<Judgement> {
    let (program, setuid, missing) =
        (case.host.bwrap.present(), case.host.bwrap_gets_root(), out_of_bounds(case));
    // with the bit off nothing is asked of the bounding set
    rule_out(program.is_some() && setuid == Some(false) || missing.as_deref() == Some(""))?;
    let old = version(case).map(|version| version < SETUID_DROPPED);
    let Some(missing) = missing.filter(|_| program.is_some_and(|program| program.setuid)) else {
        let bounds = "the bounding set, which must have CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_SYS_PTRACE: \
                      CapBnd in /proc/self/status";
        let found = weigh(Low).unknown("whether bwrap is setuid root: `ls -l` on it").unknown(bounds);
        return case.failed().then_some(found);
    };
    rule_out(!case.failed() && (setuid.is_none() || old == Some(false)))?;
    let sure = setuid == Some(true) && (case.failed() || old == Some(true));
    weigh(if sure { High } else { Medium })
        .summary(format!("{} is setuid root, and {missing} cannot be had here", path(case)))
        .pro(evidence::setuid_file(case))
        .seen(&case.host.process.bounding, not_in_bounds(&missing))
        .into()
}

/// From here on bwrap is built without support for setuid unless its builder wants it; from 0.12 on always.
const SETUID_DROPPED: Version = Version::new(0, 11, 2);
const SETUID_GONE: Version = Version::new(0, 12, 0);

fn setuid_at(case: &Case<'_>, version: Version) -> Option<Seen> {
    let text = format!("{} has the setuid bit and is root's, and its version is {version}", path(case));
    evidence::seen(&case.host.bwrap, text)
}

fn setuid_unsupported(case: &Case<'_>) -> Option<Judgement> {
    let seen = case.host.bwrap.present().is_some_and(|program| program.setuid);
    if !case.failed() {
        let version = version(case).filter(|version| seen && *version >= SETUID_DROPPED)?;
        let confidence = match case.host.bwrap_gets_root() {
            Some(true) if version >= SETUID_GONE => High,
            Some(false) => return None,
            _ => Medium,
        };
        let summary = format!("{} is setuid root, which bwrap {version} does not support", path(case));
        return Some(weigh(confidence).summary(summary).pro(setuid_at(case, version)));
    }
    let process = &case.host.process;
    Some(match process.uid.present().zip(process.real_uid.present()) {
        _ if seen => weigh(High).pro(evidence::setuid_file(case)),
        Some((uid, real)) if uid != real => {
            let started = "bwrap is started with the real user id";
            let seen = format!("real user id {real}, effective user id {uid} (Uid in /proc/self/status)");
            weigh(High)
                .summary(format!("{started} {real} and the effective one {uid}, as if setuid"))
                .seen(&process.uid, seen)
        }
        _ => weigh(High).unknown("whether bwrap's file is setuid: `ls -l` on it"),
    })
}

fn mend_setuid(case: &Case<'_>) -> Vec<Remedy> {
    let seen = case.host.bwrap.present().is_none_or(|program| program.setuid);
    if case.host.bwrap.is_unknown() && case.told().is_some_and(|told| told.nixos) {
        // whose programs lie where nobody changes them
        return vec![told!(CP04, "nixos")];
    }
    let bit = seen.then(|| told!("chmod-u-s", path = path(case)));
    Vec::new().or(bit).or([same_ids(case).unwrap_or_else(|| told!(CP04, "one-user-id"))])
}

/// By a program in front, if ids are known to differ: with those that the kernel goes by, but not root's.
pub(super) fn same_ids(case: &Case<'_>) -> Option<Remedy> {
    let process = &case.host.process;
    let wanted = |effective, real| {
        differing(effective, real).map(|(effective, real)| if effective == 0 { real } else { effective })
    };
    let user = wanted(&process.uid, &process.real_uid).map(|id| format!("--reuid={id}"));
    let group = wanted(&process.gid, &process.real_gid).map(|id| format!("--regid={id} --keep-groups"));
    let options: Vec<String> = user.into_iter().chain(group).collect();
    (!options.is_empty()).then(|| told!("same-ids-by-setpriv", options = options.join(" ")))
}

/// Seen with 0.8 only; nobody knows why.
fn setuid_hangs(case: &Case<'_>) -> Option<Judgement> {
    let namespaces = &case.sandbox?.namespaces;
    let version = version(case).filter(|version| (version.major, version.minor) == (0, 8))?;
    let made = namespaces.any_user() && namespaces.join_user.is_none();
    let file = path(case);
    let summary =
        format!("{file} is setuid root: bwrap {version} was seen to hang then with a user namespace");
    (made && case.host.bwrap_gets_root() == Some(true)).then(|| {
        let found = weigh(Medium).summary(summary).pro(setuid_at(case, version));
        found.asked(case, "the sandbox asks for a user namespace")
    })
}

/// bwrap passes over EPERM and EINVAL for the bounding and the ambient set: what it reports comes from elsewhere.
fn capability_unavailable(case: &Case<'_>) -> Option<Judgement> {
    let subject = case.message()?.subject();
    let name = subject.and_then(|number| Capability::from_number(number.to_str()?.parse().ok()?));
    let given = case.sandbox.is_some_and(|sandbox| {
        let changes = &sandbox.privileges.capabilities;
        changes.iter().any(|change| matches!(change, CapabilityChange::Add(_) | CapabilityChange::AddAll))
    });
    let what = match name {
        Some(name) => format!("the kernel refuses to give or take {name}"),
        None => "the kernel refuses to set the capabilities of the command".to_owned(),
    };
    weigh(if case.filtered() == Some(true) || given { Medium } else { Low })
        .summary(what)
        .asked(case, given.then_some("the sandbox gives the command capabilities"))
        .if_so(evidence::filter(case))
        .into()
}

/// The bwrap that an application of Flatpak's has in itself, as somebody names it who did not find it.
fn of_application(case: &Case<'_>) -> Option<String> {
    let named = |text: &str| {
        let mut words = text
            .split(|c: char| c.is_whitespace() || "\"'`\u{201c}\u{201d}\u{2018}\u{2019}()[],:;".contains(c));
        words.find(|word| word.starts_with("/app/") && is_program(word.as_bytes())).map(str::to_owned)
    };
    case.others().find_map(|text| named(&text))
}

#[cfg(test)]
mod tests;

//! Sources that are not there, or that bwrap may not reach.

use crate::diagnosis::causes::bd::lookup::{Found, by_source, message};
use crate::diagnosis::causes::prelude::*;
use crate::diagnosis::facts::mount_of;

/// bwrap says literally that it is not there.
pub(in crate::diagnosis) fn missing(case: &Case<'_>) -> Option<Judgement> {
    let path = message(case)?.source()?;
    let found = by_source(case);
    let what = part(found, path);
    let part_is_file = case.errno() == Some(libc::ENOTDIR);
    let state = if part_is_file { "leads through something that is no directory" } else { "does not exist" };
    let mut judgement = weigh(High)
        .refuted_by(format!("`ls -ld {}`, typed where bwrap is started, finds it", word(path)))
        .summary(format!("{what}: {} {state}", path.display()))
        .said(case);
    if path.is_relative() {
        judgement = judgement
            .asked(case, "the path is relative: bwrap looks for it in the directory that it is started in");
    }
    if path.starts_with("/proc/self/fd") {
        judgement = judgement
            .asked(case, "the path is a descriptor: what it stands for was deleted, or never had a name");
    } else if in_container(case) {
        judgement = judgement
            .seen(&case.host.platforms, "bwrap is in a container and looks there, not on the machine");
    }
    Some(judgement.operation(found.map(|found| found.index)))
}

pub(in crate::diagnosis) fn without_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(path) = message(case).and_then(Message::source) else { return Vec::new() };
    let found = by_source(case);
    let mut remedies = Vec::new();
    if path.starts_with("/proc/self/fd") {
        remedies.push(told!("descriptor-with-name"));
    } else if in_container(case) {
        remedies.push(told!("bring-into-container", path = shown(path)));
    } else {
        remedies.push(create(path));
    }
    let Some(found) = found else { return remedies };
    if matches!(found.operation, Operation::Bind(_)) {
        remedies.push(Remedy::change(SandboxChange::OptionalSource { operation: found.index }));
    }
    remedies.push(Remedy::leave_out(found.index));
    remedies
}

/// What is missing is made as what its name says that it is; what a service makes is nobody else's to make.
fn create(path: &Path) -> Remedy {
    if is_socket(path) {
        return told!("start-service", path = shown(path));
    }
    match (path.extension(), path.parent()) {
        (Some(_), Some(parent)) => told!("create-file", path = word(path), parent = word(parent)),
        _ => told!("create-source", path = word(path)),
    }
}

/// Whether a path is one at which a service listens, as far as its name tells.
pub(super) fn is_socket(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "sock" || kind == "socket")
}

/// It is there, or may be, and bwrap must not look.
pub(in crate::diagnosis) fn unreachable(case: &Case<'_>) -> Option<Judgement> {
    let path = message(case)?.source()?;
    let found = by_source(case);
    let errno = message(case).and_then(Message::errno).map_or("", Errno::text);
    let denied = matches!(case.errno(), Some(libc::EACCES | libc::EPERM));
    let mut judgement = weigh(High)
        .refuted_by(format!(
            "`namei -l {}`, typed as the user that bwrap runs as, gets to the end",
            word(path)
        ))
        .summary(format!("{}: {} may not be reached: {errno}", part(found, path), path.display()))
        .said(case);
    if !denied {
        return Some(judgement.operation(found.map(|found| found.index)));
    }
    if case.root() == Some(true) && case.user_namespace() == Some(true) {
        judgement = judgement.seen(&case.host.process.uid, "bwrap runs as root, but in its new user namespace root may reach only what uid 0 owns or everybody may");
    } else if let Some(uid) = case.host.process.uid.present() {
        judgement = judgement.seen(
            &case.host.process.uid,
            format!("bwrap runs as uid {uid}, and needs x on every directory of the path"),
        );
    } else {
        judgement = judgement.unknown("which user bwrap runs as: Uid in /proc/self/status");
    }
    if let Some(label) = case.host.security.label.present().filter(|label| *label != "unconfined") {
        judgement = judgement.unknown(format!(
            "whether the security label {label} is denied it: look for AVC or DENIED in dmesg"
        ));
    }
    Some(judgement.operation(found.map(|found| found.index)))
}

pub(in crate::diagnosis) fn reach_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(path) = message(case).and_then(Message::source) else { return Vec::new() };
    let mut remedies = Vec::new();
    match case.errno() {
        Some(libc::EACCES | libc::EPERM) => {
            let user = match case.host.process.uid.present() {
                Some(uid) => format!("u:{uid}:x"),
                None => "u:USER:x".to_owned(),
            };
            let mounts = case.host.mounts.present().map(Vec::as_slice).unwrap_or_default();
            let fuse = mount_of(mounts, path).is_some_and(|mount| mount.filesystem.starts_with("fuse"));
            remedies.push(match fuse || path.starts_with("/run/user") {
                true if path.components().any(|part| part.as_os_str() == "doc") => told!("document-portal"),
                _ if fuse => told!("fuse-allow-other", path = word(path)),
                _ => told!("search-directory", path = word(path), user),
            });
            let may = case.has(Capability::CAP_SYS_ADMIN) == Some(true);
            if may && case.root() == Some(true) && case.user_namespace() == Some(true) {
                remedies.push(Remedy::change(SandboxChange::KeepUserNamespace));
            }
        }
        _ => remedies.push(told!("repair", path = shown(path), path2 = word(path))),
    }
    // an optional source may be missing, but not refused
    remedies.extend(by_source(case).map(|found| Remedy::leave_out(found.index)));
    remedies
}

/// The operation, and what of it the path is, if that is not plain.
fn part(found: Option<Found<'_>>, path: &Path) -> String {
    match found {
        Some(found) if matches!(found.operation, Operation::Overlay(_)) => {
            format!("{} (a layer)", found.numbered())
        }
        Some(found) => found.numbered(),
        None => format!("the source {}", path.display()),
    }
}

fn in_container(case: &Case<'_>) -> bool {
    !matches!(Setting::of(case), Setting::Machine | Setting::Unit)
}

//! Destinations that cannot be made, or are not what they must be.

use crate::diagnosis::causes::bd::lookup::{Found, by_destination, message, name_of, says};
use crate::diagnosis::causes::bd::sources::is_socket;
use crate::diagnosis::causes::prelude::*;

use crate::sandbox::relative;

const SYMLINK: &str = "Can't mount on symlink destination %s";

/// The message says that it is one, or that a link leads nowhere.
pub(in crate::diagnosis) fn symlink(case: &Case<'_>) -> Option<Judgement> {
    let path = message(case)?.path()?;
    let found = by_destination(case);
    // what a /dev or /proc is made of is no destination of the caller's
    if found.is_some_and(|found| relative(found.operation.destination()) != relative(path)) {
        return None;
    }
    let told = says(case, &[SYMLINK]) || case.errno() == Some(libc::ELOOP);
    let link = found.and_then(Found::link);
    let confidence = match (told, &link) {
        (true, _) | (_, Some(_)) => High,
        _ if found.is_some_and(|found| found.mount().is_none()) => Low,
        _ => Medium,
    };
    let place = path.display();
    let mut judgement = weigh(confidence)
        .refuted_by(match found.and_then(Found::mount).and_then(|mount| mount.outside(path)) {
            Some(outside) => {
                format!("no part of {} is a symbolic link (`namei -l {})`", outside.display(), word(&outside))
            }
            None => format!("no part of {place} is a symbolic link inside the sandbox"),
        })
        .operation(found.map(|found| found.index));
    let name = name_of(found, case);
    if told {
        judgement = judgement
            .summary(format!("{name}: {place} is a symbolic link inside, and bwrap mounts on none"))
            .said(case);
    } else {
        judgement = judgement
            .summary(format!("{name}: {place} is, or lies below, a symbolic link that leads nowhere while bwrap mounts"))
            .heard(case, "bwrap before 0.12 follows links of the new root in the old one, where their targets are missing");
    }
    if let Some((link, target)) = &link {
        judgement = judgement
            .asked(case, format!("{} makes it: it stands for {}", link.numbered(), target.display()));
    } else if let Some(mount) = found.and_then(Found::mount) {
        judgement = judgement.unknown(format!("where it leads: it lies in {}", mount.numbered()));
        if !mount.is_read_only() {
            judgement = judgement.unknown(
                "who made it: a command of an earlier run can have left it there, to lead bwrap astray; look before you follow it",
            );
        }
    }
    Some(judgement)
}

pub(in crate::diagnosis) fn resolve_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(path) = message(case).and_then(Message::path) else { return Vec::new() };
    let found = by_destination(case);
    if let Some((found, (_, target))) = found.and_then(|found| Some((found, found.link()?))) {
        return vec![
            Remedy::change(SandboxChange::Destination { operation: found.index, path: target }),
            Remedy::leave_out(found.index),
        ];
    }
    let outside = found.and_then(Found::mount).and_then(|mount| mount.outside(path));
    let look = match outside {
        Some(outside) => format!("`readlink -f {}` tells where it leads on the host", word(&outside)),
        None => "`readlink -f`, on the tree that is bound there, tells where it leads".to_owned(),
    };
    let mut remedies = vec![told!("destination-of-link", look)];
    remedies.extend(found.map(|found| Remedy::leave_out(found.index)));
    remedies
}

/// A directory where a file must be, the reverse, or nothing.
pub(in crate::diagnosis) fn other_kind(case: &Case<'_>) -> Option<Judgement> {
    let message = message(case)?;
    let path = message.path()?;
    let found = by_destination(case);
    let place = path.display();
    let is = match (message.pattern()?, case.errno()) {
        ("Can't remount readonly on %s", _) => {
            // the other reasons are about the mount that is there
            if message.reason() != Some("Unable to find \"%s\" in mount table") {
                return None;
            }
            format!("nothing is mounted on {place}, and only mounts can be made read-only")
        }
        ("Can't chmod %#o %s", _) => format!("there is nothing at {place} yet whose mode could be set"),
        ("Destination is not a directory %s" | "Can't mkdir %s", _) => {
            format!("{place} is a file, and must be a directory")
        }
        ("Destination is not a file %s", _) | (_, Some(libc::EISDIR)) => {
            format!("{place} is a directory, and must be a file")
        }
        ("Can't mkdir parents for %s", _) | (_, Some(libc::ENOTDIR)) => {
            format!("a directory on the way to {place} is a file")
        }
        _ => format!("{place} is there, and is of another kind"),
    };
    let mut judgement = weigh(High)
        .refuted_by(match found.and_then(Found::mount).and_then(|mount| mount.outside(path)) {
            _ if message.reason().is_some() => {
                format!("`findmnt {}`, typed inside, finds a mount", word(path))
            }
            Some(outside) => format!("`ls -ld {}` shows something else", word(&outside)),
            None => format!("{place}, looked at in a sandbox without this operation, is something else"),
        })
        .summary(format!("{}: {is}", name_of(found, case)))
        .said(case)
        .operation(found.map(|found| found.index));
    if let Some(mount) = found.and_then(Found::mount) {
        judgement = judgement.asked(case, format!("what is there comes from {}", mount.numbered()));
    }
    Some(judgement)
}

pub(in crate::diagnosis) fn another_kind(case: &Case<'_>) -> Vec<Remedy> {
    let Some(found) = by_destination(case) else {
        return vec![told!("same-kind")];
    };
    let operation = found.index;
    let mut remedies = Vec::new();
    match found.operation {
        Operation::RemountRo(remount) => {
            let at = remount.destination.to_string_lossy();
            remedies.push(told!("mount-instead-of-remount", at = format!("{:?}", at)));
        }
        Operation::Chmod(_) => remedies.push(told!("make-before-mode")),
        // a file bound on a directory is mostly meant to lie in it
        Operation::Bind(bind)
            if says(case, &["Destination is not a file %s"]) || case.errno() == Some(libc::EISDIR) =>
        {
            remedies.extend(bind.source.file_name().map(|name| {
                let path = bind.destination.join(name);
                let summary = format!("Make {} the destination", shown(&path));
                let opens = "nothing; the file is found there".to_owned();
                Remedy { summary, opens, ..Remedy::change(SandboxChange::Destination { operation, path }) }
            }));
        }
        _ => remedies
            .push(told!("destination-of-same-kind", destination = shown(found.operation.destination()))),
    }
    remedies.push(Remedy::leave_out(operation));
    remedies
}

/// Why a destination cannot be made where it is.
enum Obstacle<'a> {
    /// A remount of the sandbox's own came first.
    Remounted(Found<'a>),
    /// It lies in something that the sandbox has read-only.
    ReadOnly(Found<'a>),
    /// It lies in a procfs.
    Proc(Found<'a>),
    /// It lies in something that the sandbox may write; the host may not.
    Writable(Found<'a>),
    /// Nobody knows where it lies, or in the sandbox's own root.
    Unknown,
}

impl<'a> Obstacle<'a> {
    fn of(found: Option<Found<'a>>) -> Self {
        let Some(found) = found else { return Self::Unknown };
        if let Some(remount) = found.remount() {
            return Self::Remounted(remount);
        }
        match found.mount() {
            Some(mount) if matches!(mount.operation, Operation::Proc(_)) => Self::Proc(mount),
            Some(mount) if mount.is_read_only() => Self::ReadOnly(mount),
            Some(mount) => Self::Writable(mount),
            None => Self::Unknown,
        }
    }
}

pub(in crate::diagnosis) fn read_only(case: &Case<'_>) -> Option<Judgement> {
    let message = message(case)?;
    let path = message.path()?;
    let found = by_destination(case);
    let (name, place) = (name_of(found, case), path.display());
    let read_only = case.errno() == Some(libc::EROFS);
    let sure = if read_only { High } else { Medium };
    let needs = if says(case, &["Can't chmod %#o %s"]) { "would change" } else { "needs" };
    let judgement = |confidence, refuted_by: String| {
        weigh(confidence).refuted_by(refuted_by).said(case).operation(found.map(|found| found.index))
    };
    let denied = |judgement: Judgement| match case.host.process.uid.present() {
        Some(uid) if !read_only => {
            judgement.seen(&case.host.process.uid, format!("bwrap writes there as uid {uid}"))
        }
        _ => judgement,
    };
    Some(match Obstacle::of(found) {
        Obstacle::Remounted(remount) => judgement(
            High,
            format!("it fails without {}, too", remount.numbered()),
        )
        .summary(format!("{name} {needs} {place}, which {} has made read-only before", remount.numbered())),
        Obstacle::ReadOnly(mount) => {
            let refuted_by = match mount.outside(path) {
                Some(outside) => format!("`ls -ld {}` shows that it is there already", word(&outside)),
                None => format!("{place} is there without this operation"),
            };
            judgement(High, refuted_by)
                .summary(format!("{name} {needs} {place}, and that lies in {}", mount.numbered()))
                .asked(case, "bwrap goes through the operations in order, and makes a missing mount point in what is there by then")
        }
        Obstacle::Proc(mount) => judgement(High, format!("{place} is outside of {}", mount.name()))
            .summary(format!("{name} {needs} {place}, and nothing can be made in {}", mount.numbered())),
        Obstacle::Writable(mount) => {
            let outside = mount.outside(path);
            let tried = outside.as_deref().map_or(format!("making {place} outside works"), |outside| {
                format!("`mkdir -p {}`, typed as the user that bwrap runs as, works", word(outside))
            });
            let summary = match (&outside, read_only) {
                (Some(outside), true) => {
                    format!("{name} {needs} {place}: {} lies on a read-only file system", outside.display())
                }
                (Some(outside), false) => {
                    format!("{name} {needs} {place}, and the user may not write {}", outside.display())
                }
                (None, _) => format!("{name} {needs} {place}, and {} cannot be written", mount.numbered()),
            };
            denied(judgement(if outside.is_some() { High } else { sure }, tried).summary(summary))
                .asked(case, format!("it lies in {}, which the sandbox may write", mount.numbered()))
        }
        Obstacle::Unknown => {
            let judgement = judgement(sure, format!("{place} can be made where it is"))
                .summary(format!("{name} {needs} {place}, and that cannot be made where it is"));
            let judgement = denied(judgement);
            if case.sandbox.is_none() {
                judgement
                    .unknown("which operation before it has mounted what is there: the sandbox is not known")
            } else {
                judgement
            }
        }
    })
}

pub(in crate::diagnosis) fn make_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(path) = message(case).and_then(Message::path) else { return Vec::new() };
    let found = by_destination(case);
    let mut remedies = match (Obstacle::of(found), found) {
        (Obstacle::Remounted(remount), Some(found)) => {
            vec![Remedy::change(SandboxChange::MoveBefore { operation: found.index, before: remount.index })]
        }
        (Obstacle::ReadOnly(mount), Some(found)) => in_read_only(case, path, found, mount),
        (Obstacle::Writable(mount), Some(found)) => {
            let mut remedies: Vec<Remedy> =
                mount.outside(path).map(|outside| mount_point(case, found, &outside)).into_iter().collect();
            remedies.push(told!("tmpfs-above", name = mount.name()));
            remedies
        }
        _ => vec![elsewhere(path)],
    };
    remedies.extend(found.map(|found| Remedy::leave_out(found.index)));
    remedies
}

/// The mount point has to be in the source, or another file system has to be over it.
fn in_read_only(case: &Case<'_>, path: &Path, found: Found<'_>, mount: Found<'_>) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    let outside = mount.outside(path);
    match found.operation {
        Operation::Chmod(_) => {}
        Operation::File(_) if outside.is_some() => {
            remedies
                .push(told!("bind-content-over-file", outside = word(outside.as_deref().unwrap_or(path))));
        }
        _ => {
            let made = outside.as_deref().filter(|outside| !is_socket(outside));
            remedies.extend(made.map(|outside| mount_point(case, found, outside)));
        }
    }
    remedies.push(elsewhere(path));
    if let Operation::Bind(bind) = mount.operation {
        let (source, at) = (bind.source.to_string_lossy(), bind.destination.to_string_lossy());
        if relative(&bind.destination).as_os_str().is_empty() {
            remedies.push(told!("tmpfs-below-root"));
        } else {
            let overlay = format!(
                "replace {} by add(Overlay::temporary({at:?}).layer({source:?})): what is written there is gone afterwards",
                mount.numbered()
            );
            remedies.push(
                Remedy::manual(
                    "Put a temporary overlay in place of the read-only bind",
                    &overlay,
                    "the command can write there, in memory",
                )
                .needs(Need::Bwrap("0.11"))
                .needs(Need::Linux("", (5, 11))),
            );
        }
    }
    remedies
}

/// What is to be made on the host: a directory, or a file for what binds one.
fn mount_point(case: &Case<'_>, found: Found<'_>, outside: &Path) -> Remedy {
    let file = says(case, &["Can't create file at %s", "Can't create file %s"])
        || matches!(found.operation, Operation::File(_) | Operation::BindData(_));
    let (place, parent) = (word(outside), word(outside.parent().unwrap_or(Path::new("/"))));
    let lines = match found.operation {
        _ if file => vec![format!("mkdir -p {parent}"), format!("touch {place}")],
        // bwrap failed before it came to the kind of the source
        Operation::Bind(bind) if says(case, &["Can't mkdir parents for %s"]) => {
            let source = word(&bind.source);
            vec![format!("mkdir -p {parent}"), format!("test -d {source} && mkdir {place} || touch {place}")]
        }
        _ => vec![format!("mkdir -p {place}")],
    };
    Remedy::commands(
        "Make the mount point in the source, once",
        lines,
        "nothing; an empty mount point stays there",
    )
}

fn elsewhere(path: &Path) -> Remedy {
    told!("other-destination", path = shown(path))
}

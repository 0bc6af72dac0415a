//! Files and links that bwrap makes: what is there already, what does not fit.

use super::lookup::{Found, Spot, is_of_system, keeps_data, lies_hidden};
use crate::diagnosis::causes::prelude::*;
use crate::sandbox::{BindData, File, Tmpfs};

/// With the link that cannot be made: of several on one path, the first that differs from what is there.
fn link<'a>(case: &Case<'a>) -> Option<Spot<'a>> {
    let mut spot = Spot::destination(case)?;
    if let Some((found, Operation::Symlink(first))) = spot.found.map(|found| (found, found.operation)) {
        let there = spot.message.source().unwrap_or(&first.target);
        let mut later = found.and_after().filter(|found| found.operation.is_on(&first.destination));
        spot.found = later
            .find(|found| matches!(found.operation, Operation::Symlink(link) if link.target != there))
            .or(spot.found);
    }
    Some(spot)
}

/// Whether an earlier operation of the sandbox's puts something on the same path.
fn made_twice(found: Found<'_>) -> Option<Found<'_>> {
    found.before().find(|other| other.operation.is_on(found.operation.destination()))
}

pub(super) fn exists(case: &Case<'_>) -> Option<Judgement> {
    let spot = link(case)?;
    let other = case.says(&["Can't make symlink at %s: destination exists and is not a symlink"]);
    let there = match spot.message.source() {
        Some(target) => format!("there is a link to {} already", target.display()),
        None if other => "a file or directory is there already".to_owned(),
        None => "something is there already".to_owned(),
    };
    let (twice, outside) = (spot.found.and_then(made_twice), spot.outside());
    let refuted_by = match &outside {
        Some(outside) if twice.is_none() => format!("`ls -ld {}` finds nothing", word(outside)),
        _ => "it fails without the operations before it, too".to_owned(),
    };
    let summary = format!("{} cannot be made: {there}", spot.name());
    let found = spot.weigh(High).refuted_by(refuted_by).summary(summary).said(case);
    let found = match (twice, spot.mount()) {
        (Some(twice), _) => found.asked(case, format!("{twice} puts it there")),
        (None, Some(mount)) => {
            let written = "that can be written: an earlier run can have left it there";
            let writable = !mount.is_read_only() && outside.is_some();
            found.asked(case, format!("it comes from {mount}")).asked(case, writable.then_some(written))
        }
        (None, None) => found,
    };
    let unknown = "whether it is the same link: bwrap before 0.9 refuses that, too, and later ones accept it";
    Some(found.unknown(case.says(&["Can't make symlink at %s"]).then_some(unknown)))
}

pub(super) fn leave_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(found) = link(case).and_then(|spot| spot.found) else {
        let there = case.message().and_then(Message::path).filter(|path| path.is_absolute());
        // what is in the way there is not what the host has by that name
        let there = there.filter(|path| !is_in_home_of_steam(case, path));
        let moved = there.and_then(out_of_the_way);
        return Vec::new().or(moved).or([told!(BD07, "link-elsewhere")]);
    };
    let outside = found.mount().and_then(|mount| mount.operation.outside(found.operation.destination()));
    Remedy::leave_out(found.index).or(match made_twice(found) {
        Some(twice) => {
            let summary = format!("Leave {twice} out instead");
            Some(Remedy { summary, ..Remedy::leave_out(twice.index) })
        }
        None => outside.as_deref().and_then(out_of_the_way),
    })
}

/// What is in the link's place is moved, unless the system needs it there; and what holds data or settings never is.
fn out_of_the_way(outside: &Path) -> Option<Remedy> {
    rule_out(is_of_system(outside))?;
    if keeps_data(outside) {
        return lies_hidden(outside).then(|| told!(BD07, "directory-for-link", outside = shown(outside)));
    }
    Some(told!(BD07, "move-away", outside = word(outside)))
}

pub(super) fn too_big(case: &Case<'_>) -> Option<Judgement> {
    let Some(spot) = Spot::destination(case) else {
        if case.not_started == Some(libc::EFBIG) {
            let few = "the launch writes bwrap's options to a file in memory, and files may not be so large (RLIMIT_FSIZE)";
            return Some(weigh(High).summary(few).heard(case, "the system wrote no more (EFBIG)"));
        }
        // it is the launcher that wrote
        let line = evidence::others_line(case, Cause::FileTooBig)?;
        let full = "a file that the launcher makes for the sandbox does not fit: the disk, or the memory behind it, is full";
        return Some(weigh(High).summary(full).heard(case, format!("the launcher says so: {line}")));
    };
    let (name, mount) = (spot.name(), spot.mount());
    let size = spot.found.and_then(|found| length(found.operation));
    let name = size.map_or_else(|| name.clone(), |bytes| format!("{name} ({bytes} bytes)"));
    let full = match mount.map(|mount| (mount, mount.operation)) {
        _ if case.says(&["Specified tmpfs size too large (%zu > %zu)"]) => {
            "the size of a tmpfs is more than this machine can address".to_owned()
        }
        _ if case.errno() == Some(libc::EFBIG) => {
            format!("{name} is larger than files may be (RLIMIT_FSIZE, or the file system)")
        }
        Some((mount, Operation::Tmpfs(Tmpfs { size: Some(size), .. }))) => {
            format!("{name} does not fit into {mount}, which may hold {size} bytes")
        }
        Some((mount, Operation::Bind(bind))) => {
            let disk = disk(case, &spot, &bind.source);
            format!("{name} does not fit into {mount}: the disk or quota of {} is full", disk.display())
        }
        Some((mount, _)) => format!("{name} does not fit into {mount}"),
        None => format!("{name} does not fit into the memory that a tmpfs may take"),
    };
    Some(spot.weigh(High).summary(full).said(case))
}

pub(super) fn more_room(case: &Case<'_>) -> Vec<Remedy> {
    let spot = Spot::destination(case);
    let mount = spot.as_ref().and_then(Spot::mount);
    let room = match mount.map(|mount| (mount, mount.operation)) {
        _ if [case.errno(), case.not_started].contains(&Some(libc::EFBIG)) => {
            told!(BD08, "allow-larger-files")
        }
        _ if spot.is_none() => told!(BD08, "make-room-for-launcher"),
        Some((mount, Operation::Tmpfs(Tmpfs { size: Some(_), .. }))) => {
            told!(BD08, "bigger-tmpfs", numbered = mount)
        }
        Some((_, Operation::Bind(bind))) => {
            let disk =
                spot.as_ref().map_or_else(|| bind.source.clone(), |spot| disk(case, spot, &bind.source));
            told!(BD08, "make-room-disk", source = word(&disk))
        }
        _ => told!(BD08, "make-room-memory"),
    };
    let file = spot.and_then(|spot| spot.found).filter(|found| matches!(found.operation, Operation::File(_)));
    room.or(file.map(|_| told!(BD08, "bind-file-from-host")))
}

/// What is full: the source of a bind, or what is mounted below it where the destination lies.
fn disk(case: &Case<'_>, spot: &Spot<'_>, source: &Path) -> PathBuf {
    let below = |point: &PathBuf| point.starts_with(source);
    let lies_in = |outside: PathBuf| Some(mount_of(case.host.mounts.present()?, &outside)?.point.clone());
    spot.outside().and_then(lies_in).filter(below).unwrap_or_else(|| source.to_owned())
}

/// How long a file is that the sandbox makes.
fn length(operation: &Operation) -> Option<usize> {
    match operation {
        Operation::File(File { content, .. }) | Operation::BindData(BindData { content, .. }) => {
            // what came from a descriptor is gone, and known as nothing
            content.as_bytes().map(<[u8]>::len).filter(|bytes| *bytes > 0)
        }
        _ => None,
    }
}

//! Files and links that bwrap makes: what is there already, what does not fit.

use crate::diagnosis::causes::bd::lookup::{Found, by_destination, message, name_of, says};
use crate::diagnosis::causes::prelude::*;
use crate::sandbox::{Content, ContentKind, relative};

/// The link that cannot be made: of several on one path, the first that differs from what is there.
fn link<'a>(case: &Case<'a>) -> Option<Found<'a>> {
    let found = by_destination(case)?;
    let Operation::Symlink(first) = found.operation else { return Some(found) };
    let there = message(case)?.source().unwrap_or(&first.target);
    let later = found.sandbox.operations.iter().enumerate().skip(found.index).find(|(_, operation)| {
        matches!(operation, Operation::Symlink(link)
            if relative(&link.destination) == relative(&first.destination) && link.target != there)
    });
    Some(later.map_or(found, |(index, operation)| Found { index, operation, sandbox: found.sandbox }))
}

/// Whether an earlier operation of the sandbox's puts something on the same path.
fn made_twice(found: Found<'_>) -> Option<Found<'_>> {
    let at = relative(found.operation.destination());
    let earlier = found.sandbox.operations.iter().enumerate().take(found.index);
    let mut earlier = earlier.filter(|(_, other)| relative(other.destination()) == at);
    earlier.next().map(|(index, operation)| Found { index, operation, sandbox: found.sandbox })
}

pub(in crate::diagnosis) fn exists(case: &Case<'_>) -> Option<Judgement> {
    let message = message(case)?;
    let path = message.path()?;
    let found = link(case);
    let there = match (
        message.source(),
        says(case, &["Can't make symlink at %s: destination exists and is not a symlink"]),
    ) {
        (Some(target), _) => format!("there is a link to {} already", target.display()),
        (None, true) => "a file or directory is there already".to_owned(),
        (None, false) => "something is there already".to_owned(),
    };
    let twice = found.and_then(made_twice);
    let mount = found.and_then(Found::mount);
    let refuted_by = match mount.and_then(|mount| mount.outside(path)) {
        Some(outside) if twice.is_none() => format!("`ls -ld {}` finds nothing", word(&outside)),
        _ => "it fails without the operations before it, too".to_owned(),
    };
    let mut judgement = weigh(High)
        .refuted_by(refuted_by)
        .summary(format!("{} cannot be made: {there}", name_of(found, case)))
        .said(case)
        .operation(found.map(|found| found.index));
    if let Some(twice) = twice {
        judgement = judgement.asked(case, format!("{} puts it there", twice.numbered()));
    } else if let Some(mount) = mount {
        judgement = judgement.asked(case, format!("it comes from {}", mount.numbered()));
        if !mount.is_read_only() && mount.outside(path).is_some() {
            judgement = judgement.asked(case, "that can be written: an earlier run can have left it there");
        }
    }
    if says(case, &["Can't make symlink at %s"]) {
        judgement = judgement.unknown(
            "whether it is the same link: bwrap before 0.9 refuses that, too, and later ones accept it",
        );
    }
    Some(judgement)
}

pub(in crate::diagnosis) fn leave_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(found) = link(case) else {
        return vec![told!("link-elsewhere")];
    };
    let mut remedies = vec![Remedy::leave_out(found.index)];
    if let Some(twice) = made_twice(found) {
        let remedy = Remedy::leave_out(twice.index);
        remedies.push(Remedy { summary: format!("Leave {} out instead", twice.numbered()), ..remedy });
    } else if let Some(outside) = found.mount().and_then(|mount| mount.outside(found.operation.destination()))
    {
        remedies.push(told!("move-away", outside = word(&outside)));
    }
    remedies
}

pub(in crate::diagnosis) fn too_big(case: &Case<'_>) -> Option<Judgement> {
    message(case)?;
    let found = by_destination(case);
    let name = name_of(found, case);
    let limit = case.errno() == Some(libc::EFBIG);
    let size = found.and_then(|found| content(found.operation)).and_then(length);
    let size = size.map_or_else(String::new, |bytes| format!(" ({bytes} bytes)"));
    let mount = found.and_then(Found::mount);
    let full = match mount.map(|mount| (mount, mount.operation)) {
        _ if says(case, &["Specified tmpfs size too large (%zu > %zu)"]) => {
            "the size of a tmpfs is more than this machine can address".to_owned()
        }
        _ if limit => format!("{name}{size} is larger than files may be (RLIMIT_FSIZE, or the file system)"),
        Some((mount, Operation::Tmpfs(tmpfs))) if tmpfs.size.is_some() => format!(
            "{name}{size} does not fit into {}, which may hold {} bytes",
            mount.numbered(),
            tmpfs.size.unwrap_or_default()
        ),
        Some((mount, Operation::Bind(bind))) => {
            format!(
                "{name}{size} does not fit into {}: the disk or quota of {} is full",
                mount.numbered(),
                bind.source.display()
            )
        }
        Some((mount, _)) => format!("{name}{size} does not fit into {}", mount.numbered()),
        None => format!("{name}{size} does not fit into the memory that a tmpfs may take"),
    };
    let judgement =
        weigh(High).refuted_by("it fails in the same way with an empty file").summary(full).said(case);
    Some(judgement.operation(found.map(|found| found.index)))
}

pub(in crate::diagnosis) fn more_room(case: &Case<'_>) -> Vec<Remedy> {
    let found = by_destination(case);
    let mut remedies = Vec::new();
    match found.and_then(Found::mount).map(|mount| (mount, mount.operation)) {
        _ if case.errno() == Some(libc::EFBIG) => remedies.push(told!("allow-larger-files")),
        Some((mount, Operation::Tmpfs(tmpfs))) if tmpfs.size.is_some() => {
            remedies.push(told!("bigger-tmpfs", numbered = mount.numbered()));
        }
        Some((_, Operation::Bind(bind))) => {
            remedies.push(told!("make-room-disk", source = word(&bind.source)));
        }
        _ => remedies.push(told!("make-room-memory")),
    }
    if found.is_some_and(|found| matches!(found.operation, Operation::File(_))) {
        remedies.push(told!("bind-file-from-host"));
    }
    remedies
}

fn content(operation: &Operation) -> Option<&Content> {
    match operation {
        Operation::File(file) => Some(&file.content),
        Operation::BindData(data) => Some(&data.content),
        _ => None,
    }
}

fn length(content: &Content) -> Option<usize> {
    match &content.0 {
        ContentKind::Bytes { bytes, .. } => Some(bytes.len()),
        ContentKind::Descriptor(_) => None,
    }
}

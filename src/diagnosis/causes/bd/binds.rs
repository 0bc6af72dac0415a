//! Binds that the kernel refuses.

use crate::diagnosis::causes::bd::lookup::{Found, by_destination, message, name_of, reasons};
use crate::diagnosis::causes::prelude::*;
use std::path::PathBuf;

use crate::host::Mount;

/// File systems whose mounts come, go and fail on their own.
const FRAGILE: &[&str] = &["autofs", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p"];
/// What a mount keeps if it was made outside of our user namespace.
const LOCKED: &[&str] = &["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"];

/// The mount that could not be changed, as the host sees it.
fn refused(case: &Case<'_>) -> Option<PathBuf> {
    let inside = message(case)?.failing_path().or(message(case)?.path())?;
    let found = by_destination(case)?;
    match found.operation {
        Operation::RemountRo(_) => found.mount()?.outside(inside),
        _ => found.outside(inside),
    }
}

fn mounted_on<'a>(case: &Case<'a>, path: &Path) -> Option<&'a Mount> {
    case.host.mounts.present()?.iter().rfind(|mount| mount.point == path)
}

fn is_fragile(mount: &Mount) -> bool {
    FRAGILE.contains(&mount.filesystem.as_str()) || mount.filesystem.starts_with("fuse")
}

/// Whether the mount that refuses has flags that could be locked; `None` if nobody knows.
pub(in crate::diagnosis) fn remount_locked(case: &Case<'_>) -> Option<bool> {
    let host = refused(case)?;
    let mount = mounted_on(case, &host)?;
    Some(mount.options.iter().any(|option| LOCKED.contains(&option.as_str())) || is_fragile(mount))
}

/// bwrap binds a tree with all that is mounted in it, and sets the flags of each mount.
pub(in crate::diagnosis) fn remount(case: &Case<'_>) -> Option<Judgement> {
    let message = message(case)?;
    let inside = message.failing_path().or(message.path())?.display().to_string();
    let found = by_destination(case);
    let errno = message.errno().map_or("", Errno::text);
    let host = refused(case);
    let place = host.as_ref().map_or(inside, |path| path.display().to_string());
    let label = case.host.security.label.present().filter(|label| *label != "unconfined");
    // a security module answers so, too
    let by_module =
        case.errno() == Some(libc::EACCES) && (label.is_some() || case.host.security.label.is_unknown());
    let by_filter = case.filtered() == Some(true)
        && case.errno() == Some(libc::EPERM)
        && (remount_locked(case) == Some(false)
            || message.reason() == Some("mount_setattr() failed at \"%s\""));
    let mut judgement = weigh(if by_module || by_filter { Medium } else { High })
        .refuted_by(format!("a sandbox that binds only {place} starts"))
        .summary(format!("{}: the mount on {place} does not take its flags: {errno}", name_of(found, case)))
        .said(case)
        .operation(found.map(|found| found.index));
    match host.as_deref().and_then(|path| mounted_on(case, path)) {
        Some(mount) => {
            let flags: Vec<&str> =
                mount.options.iter().map(String::as_str).filter(|option| LOCKED.contains(option)).collect();
            judgement = judgement.seen(
                &case.host.mounts,
                format!(
                    "it is a mount of {} ({}) with {} (/proc/self/mountinfo)",
                    mount.filesystem,
                    mount.source,
                    if flags.is_empty() {
                        "no flags that could be locked".to_owned()
                    } else {
                        flags.join(",")
                    }
                ),
            );
            if is_fragile(mount) {
                judgement = judgement.seen(
                    &case.host.mounts,
                    format!("mounts of {} can refuse to be remounted, or be gone", mount.filesystem),
                );
            }
        }
        None => {
            judgement =
                judgement.unknown(format!("what is mounted there: `findmnt -T {}`", word(Path::new(&place))));
        }
    }
    if by_module {
        judgement = judgement.unknown(denial_of(label.map_or("", String::as_str)));
    }
    Some(judgement)
}

pub(in crate::diagnosis) fn leave_mount_out(case: &Case<'_>) -> Vec<Remedy> {
    let found = by_destination(case);
    let host = refused(case);
    let place = host.as_ref().map_or("the mount".to_owned(), |path| shown(path));
    let mut remedies = vec![told!("bind-beside-mount", place)];
    if let Some(mount) = host.as_deref().and_then(|path| mounted_on(case, path))
        && is_fragile(mount)
    {
        remedies.push(told!("unmount", place, point = word(&mount.point)));
    }
    remedies.extend(found.map(|found| Remedy::leave_out(found.index)));
    remedies
}

/// The bind itself.
pub(in crate::diagnosis) fn denied(case: &Case<'_>) -> Option<Judgement> {
    let message = message(case)?;
    let path = message.path()?;
    let found = by_destination(case);
    if message.pattern() == Some("Can't remount readonly on %s")
        && reasons(case, &["Unable to find \"%s\" in mount table"])
    {
        // that is nothing that the kernel denies
        return None;
    }
    let source =
        message.source().map_or_else(|| "the source".to_owned(), |source| source.display().to_string());
    let errno = message.errno().map_or("", Errno::text);
    let colon = if errno.is_empty() { "" } else { ": " };
    let why = match (message.reason(), case.errno()) {
        (Some("Unable to find \"%s\" in mount table"), _) => {
            "bwrap does not find its own mount again; case-insensitive file systems and emulated kernels do that"
        }
        (Some("readlink(/proc/self/fd/N) for \"%s\""), _) => "bwrap needs a working /proc on the host",
        (
            Some(
                "open(\"%s\", O_PATH)"
                | "Unable to open destination O_PATH fd \"%s\""
                | "realpath(destination)",
            ),
            _,
        ) => {
            "what was mounted cannot be opened again: an automount, a link, or a directory that may not be searched"
        }
        (_, Some(libc::EINVAL)) => {
            "the source cannot be bound: a namespace file, or below a mount that is locked or unbindable"
        }
        (_, Some(libc::ENOENT)) => {
            "the source was there a moment before, or its destination is a dangling link"
        }
        (_, Some(libc::EACCES)) => "security modules answer so",
        (_, Some(libc::EPERM | libc::ENOSYS)) => "system call filters and security modules answer so",
        _ => "the kernel gives no other reason",
    };
    let vague = matches!(case.errno(), Some(libc::ENOENT)) || message.errno().is_none();
    let judgement = weigh(if vague { Low } else { Medium })
        .refuted_by(format!("`unshare -Urm mount --rbind {source} /mnt`, typed in the same place, works"))
        .summary(format!(
            "{}: {source} could not be bound on {}{colon}{errno}",
            name_of(found, case),
            path.display()
        ))
        .said(case)
        .heard(case, why)
        .operation(found.map(|found| found.index));
    Some(
        judgement
            .with(case.host.security.label.present(), |found, label| found.unknown(denial_of(label)))
            .when(case.filtered() == Some(true), |found| {
                found.unknown(
                    "whether the system call filter denies this kind of mount (Seccomp: 2 in /proc/self/status)",
                )
            }),
    )
}

fn denial_of(label: &str) -> String {
    format!("whether the security label {label} is denied it: AVC or DENIED in dmesg")
}

pub(in crate::diagnosis) fn bind_otherwise(case: &Case<'_>) -> Vec<Remedy> {
    let found = by_destination(case);
    let source = message(case).and_then(Message::source);
    let mut remedies = Vec::new();
    match source {
        Some(source) => remedies.push(told!("bind-above-or-below", source = word(source))),
        None => remedies.push(told!("bind-another-path")),
    }
    remedies.extend(found.map(|found: Found<'_>| Remedy::leave_out(found.index)));
    remedies
}

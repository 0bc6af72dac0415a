//! Destinations that cannot be made, or are not what they must be.

use super::binds::UNMOUNTED;
use super::lookup::{Found, Spot};
use super::sources::is_socket;
use crate::diagnosis::causes::prelude::*;
use crate::sandbox::relative;

const SYMLINK: &str = "Can't mount on symlink destination %s";
const CHMOD: &str = "Can't chmod %#o %s";
const MKDIR_PARENTS: &str = "Can't mkdir parents for %s";
const NOT_A_FILE: &str = "Destination is not a file %s";

/// The message says that it is one, or that a link leads nowhere.
pub(super) fn symlink(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::destination(case)?;
    // what a /dev or /proc is made of is no destination of the caller's
    if spot.found.is_some_and(|found| !found.is_on(spot.path)) {
        return None;
    }
    let told = case.says(&[SYMLINK]) || case.errno() == Some(libc::ELOOP);
    let link = spot.found.and_then(Found::link);
    let confidence = match spot.mount() {
        _ if told || link.is_some() => High,
        None if spot.found.is_some() => Low,
        _ => Medium,
    };
    let (name, place) = (spot.name(), spot.path.display());
    let found = spot.weigh(confidence).refuted_by(match spot.outside() {
        Some(outside) => {
            format!("no part of {} is a symbolic link (`namei -l {})`", outside.display(), word(&outside))
        }
        None => format!("no part of {place} is a symbolic link inside the sandbox"),
    });
    let found = if told {
        found
            .said(case)
            .summary(format!("{name}: {place} is a symbolic link inside, and bwrap mounts on none"))
    } else {
        let summary = "is, or lies below, a symbolic link that leads nowhere while bwrap mounts";
        found.summary(format!("{name}: {place} {summary}")).heard(
            case,
            "bwrap before 0.12 follows links of the new root in the old one, where their targets are missing",
        )
    };
    Some(match (link, spot.mount()) {
        (Some((link, target)), _) => {
            found.asked(case, format!("{link} makes it: it stands for {}", target.display()))
        }
        (None, Some(mount)) => found.unknown(format!("where it leads: it lies in {mount}")).when(
            !mount.is_read_only(),
            |found| {
                found.unknown(
                    "who made it: a command of an earlier run can have left it there, to lead bwrap astray; \
                     look before you follow it",
                )
            },
        ),
        (None, None) => found,
    })
}

pub(super) fn resolve_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::destination(case) else { return Vec::new() };
    let link = spot.found.and_then(|found| Some((found.index, found.link()?.1)));
    spot.or_leave_out(vec![match (link, spot.outside()) {
        (Some((operation, path)), _) => Remedy::change(SandboxChange::Destination { operation, path }),
        (None, Some(outside)) => {
            let look = format!("`readlink -f {}` tells where it leads on the host", word(&outside));
            told!("destination-of-link", look)
        }
        (None, None) => {
            let look = "`readlink -f`, on the tree that is bound there, tells where it leads";
            told!("destination-of-link", look)
        }
    }])
}

/// A directory where a file must be, the reverse, or nothing.
pub(super) fn other_kind(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::destination(case)?;
    let (reason, place) = (spot.message.reason(), spot.path.display());
    let is = match (spot.message.pattern()?, case.errno()) {
        // the other reasons are about the mount that is there
        ("Can't remount readonly on %s", _) if reason != Some(UNMOUNTED) => return None,
        ("Can't remount readonly on %s", _) => {
            format!("nothing is mounted on {place}, and only mounts can be made read-only")
        }
        (CHMOD, _) => format!("there is nothing at {place} yet whose mode could be set"),
        ("Destination is not a directory %s" | "Can't mkdir %s", _) => {
            format!("{place} is a file, and must be a directory")
        }
        (NOT_A_FILE, _) | (_, Some(libc::EISDIR)) => format!("{place} is a directory, and must be a file"),
        (MKDIR_PARENTS, _) | (_, Some(libc::ENOTDIR)) => {
            format!("a directory on the way to {place} is a file")
        }
        _ => format!("{place} is there, and is of another kind"),
    };
    let refuted_by = match spot.outside() {
        _ if reason.is_some() => format!("`findmnt {}`, typed inside, finds a mount", word(spot.path)),
        Some(outside) => format!("`ls -ld {}` shows something else", word(&outside)),
        None => format!("{place}, looked at in a sandbox without this operation, is something else"),
    };
    let found = spot.weigh(High).refuted_by(refuted_by).summary(format!("{}: {is}", spot.name())).said(case);
    Some(
        found.with(spot.mount(), |found, mount| {
            found.asked(case, format!("what is there comes from {mount}"))
        }),
    )
}

pub(super) fn another_kind(case: &Case<'_>) -> Vec<Remedy> {
    let spot = Spot::destination(case);
    let Some(found) = spot.as_ref().and_then(|spot| spot.found) else { return vec![told!("same-kind")] };
    let on_directory = case.says(&[NOT_A_FILE]) || case.errno() == Some(libc::EISDIR);
    let remedy = match found.operation {
        Operation::RemountRo(remount) => {
            let at = remount.destination.to_string_lossy();
            Some(told!("mount-instead-of-remount", at = format!("{at:?}")))
        }
        Operation::Chmod(_) => Some(told!("make-before-mode")),
        // a file bound on a directory is mostly meant to lie in it
        Operation::Bind(bind) if on_directory => bind.source.file_name().map(|name| {
            let path = bind.destination.join(name);
            let summary = format!("Make {} the destination", shown(&path));
            let opens = "nothing; the file is found there".to_owned();
            let change = SandboxChange::Destination { operation: found.index, path };
            Remedy { summary, opens, ..Remedy::change(change) }
        }),
        other => Some(told!("destination-of-same-kind", destination = shown(other.destination()))),
    };
    remedy.into_iter().chain([Remedy::leave_out(found.index)]).collect()
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
    fn of(spot: &Spot<'a>) -> Self {
        match (spot.found.and_then(Found::remount), spot.mount()) {
            (Some(remount), _) => Self::Remounted(remount),
            (None, Some(mount)) if matches!(mount.operation, Operation::Proc(_)) => Self::Proc(mount),
            (None, Some(mount)) if mount.is_read_only() => Self::ReadOnly(mount),
            (None, Some(mount)) => Self::Writable(mount),
            (None, None) => Self::Unknown,
        }
    }
}

pub(super) fn read_only(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::destination(case)?;
    let (place, outside, read_only) =
        (spot.path.display(), spot.outside(), case.errno() == Some(libc::EROFS));
    let needs = if case.says(&[CHMOD]) { "would change" } else { "needs" };
    let needs = format!("{} {needs} {place}", spot.name());
    let sure = if read_only { High } else { Medium };
    let obstacle = Obstacle::of(&spot);
    let (confidence, why, refuted_by) = match (&obstacle, outside.as_deref()) {
        (Obstacle::Remounted(remount), _) => {
            let why = format!(", which {remount} has made read-only before");
            (High, why, format!("it fails without {remount}, too"))
        }
        (Obstacle::ReadOnly(mount), outside) => {
            let refuted_by = match outside {
                Some(outside) => format!("`ls -ld {}` shows that it is there already", word(outside)),
                None => format!("{place} is there without this operation"),
            };
            (High, format!(", and that lies in {mount}"), refuted_by)
        }
        (Obstacle::Proc(mount), _) => {
            let why = format!(", and nothing can be made in {mount}");
            (High, why, format!("{place} is outside of {}", mount.name()))
        }
        (Obstacle::Writable(_), Some(outside)) => {
            let there = outside.display();
            let why = if read_only {
                format!(": {there} lies on a read-only file system")
            } else {
                format!(", and the user may not write {there}")
            };
            (High, why, format!("`mkdir -p {}`, typed as the user that bwrap runs as, works", word(outside)))
        }
        (Obstacle::Writable(mount), None) => {
            (sure, format!(", and {mount} cannot be written"), format!("making {place} outside works"))
        }
        (Obstacle::Unknown, _) => {
            let why = ", and that cannot be made where it is".to_owned();
            (sure, why, format!("{place} can be made where it is"))
        }
    };
    let uid = &case.host.process.uid;
    let as_user = |found: Judgement| {
        found.with(uid.present().filter(|_| !read_only), |found, user| {
            found.seen(uid, format!("bwrap writes there as uid {user}"))
        })
    };
    let found = spot.weigh(confidence).refuted_by(refuted_by).summary(needs + &why).said(case);
    Some(match obstacle {
        Obstacle::Remounted(_) | Obstacle::Proc(_) => found,
        Obstacle::ReadOnly(_) => found.asked(
            case,
            "bwrap goes through the operations in order, and makes a missing mount point in what is there by then",
        ),
        Obstacle::Writable(mount) => {
            as_user(found).asked(case, format!("it lies in {mount}, which the sandbox may write"))
        }
        Obstacle::Unknown => as_user(found).when(case.sandbox.is_none(), |found| {
            found.unknown("which operation before it has mounted what is there: the sandbox is not known")
        }),
    })
}

pub(super) fn make_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::destination(case) else { return Vec::new() };
    let remedies = match (Obstacle::of(&spot), spot.found) {
        (Obstacle::Remounted(remount), Some(found)) => {
            vec![Remedy::change(SandboxChange::MoveBefore { operation: found.index, before: remount.index })]
        }
        (Obstacle::ReadOnly(mount), Some(found)) => in_read_only(case, &spot, found, mount),
        (Obstacle::Writable(mount), Some(found)) => {
            let made = spot.outside().map(|outside| mount_point(case, found, &outside));
            made.into_iter().chain([told!("tmpfs-above", name = mount.name())]).collect()
        }
        _ => vec![told!("other-destination", path = shown(spot.path))],
    };
    spot.or_leave_out(remedies)
}

/// The mount point has to be in the source, or another file system has to be over it.
fn in_read_only(case: &Case<'_>, spot: &Spot<'_>, found: Found<'_>, mount: Found<'_>) -> Vec<Remedy> {
    let outside = spot.outside();
    let mut remedies: Vec<Remedy> = match (found.operation, &outside) {
        (Operation::Chmod(_), _) => None,
        (Operation::File(_), Some(outside)) => Some(told!("bind-content-over-file", outside = word(outside))),
        (_, Some(outside)) if !is_socket(outside) => Some(mount_point(case, found, outside)),
        _ => None,
    }
    .into_iter()
    .collect();
    remedies.push(told!("other-destination", path = shown(spot.path)));
    if let Operation::Bind(bind) = mount.operation {
        remedies.push(if relative(&bind.destination).as_os_str().is_empty() {
            told!("tmpfs-below-root")
        } else {
            let quoted = |path: &Path| format!("{:?}", path.to_string_lossy());
            let (source, at) = (quoted(&bind.source), quoted(&bind.destination));
            told!("overlay-in-place", mount, source, at)
                .needs(Need::Bwrap("0.11"))
                .needs(Need::Linux("", (5, 11)))
        });
    }
    remedies
}

/// What is to be made on the host: a directory, or a file for what binds one.
fn mount_point(case: &Case<'_>, found: Found<'_>, outside: &Path) -> Remedy {
    let file = case.says(&["Can't create file at %s", "Can't create file %s"])
        || matches!(found.operation, Operation::File(_) | Operation::BindData(_));
    let (place, parent) = (word(outside), word(outside.parent().unwrap_or(Path::new("/"))));
    match found.operation {
        _ if file => told!("make-file-for-mount", parent, place),
        // bwrap failed before it came to the kind of the source
        Operation::Bind(bind) if case.says(&[MKDIR_PARENTS]) => {
            told!("make-mount-point-of-kind", parent, place, source = word(&bind.source))
        }
        _ => told!("make-directory-for-mount", place),
    }
}

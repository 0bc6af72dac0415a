//! Destinations that cannot be made, or are not what they must be.

use super::lookup::{CREATE_FILE, Found, Spot, is_of_runtime, may_have_met_link};
use super::mount_points::{MKDIR_PARENTS, in_windows, mount_point};
use super::sources::is_socket;
use crate::diagnosis::causes::prelude::*;
use crate::diagnosis::launcher::Launcher;

/// Why a bind fails.
const MOUNT: &str = "Unable to mount source on destination";
const SYMLINK: &str = "Can't mount on symlink destination %s";
const BIND: &str = "Can't bind mount %s on %s";
/// Where it is bound in the end.
const OPEN_MOUNTED: &str = "Unable to open destination O_PATH fd \"%s\"";
const CHMOD: &str = "Can't chmod %#o %s";
/// What is opened for its mode, since 0.12.
const OPEN: &str = "Can't open %s";
const NOT_A_FILE: &str = "Destination is not a file %s";
/// How bwrap sets the flags of mounts since 0.13.
pub(super) const SETATTR: &str = "mount_setattr() failed at \"%s\"";
const REALPATH: &str = "realpath(destination)";
pub(super) const UNMOUNTED: &str = "Unable to find \"%s\" in mount table";

/// The message says that it is one, or that a link leads nowhere.
pub(super) fn symlink(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::destination(case)?;
    // what a /dev or /proc is made of is no destination of the caller's
    rule_out(spot.found.is_some_and(|found| !found.operation.is_on(spot.path)))?;
    let remount = spot.found.is_some_and(|found| matches!(found.operation, Operation::RemountRo(_)));
    // it makes nothing, and so misses what is not there
    let own_link = spot.found.and_then(Found::link).is_some();
    rule_out(remount && (case.says(&[CREATE_FILE]) || is_nothing_there(case) && !own_link))?;
    // in a procfs nobody can make anything, and that is its answer
    rule_out(in_proc(&spot) && case.errno() == Some(libc::ENOENT))?;
    let (modeless, round) = (case.says(&[CHMOD]), case.errno() == Some(libc::ELOOP));
    let told = modeless || case.says(&[SYMLINK]) || round;
    // a file or directory that was replaced is bound where it is, mostly; of a link to it the source is where it leads
    let elsewhere = spot.message.source().is_some_and(|source| source != spot.path);
    let link = spot.found.and_then(Found::link);
    let may_be = match spot.message.reason() {
        None => round || may_have_met_link(spot.message),
        Some(reason) => [MOUNT, REALPATH, OPEN_MOUNTED].contains(&reason),
    };
    rule_out(case.says(&[BIND]) && !may_be)?;
    let broken = case.broken_link().filter(|_| !told && link.is_none());
    let confidence = match spot.mount() {
        _ if told || link.is_some() || broken.is_some() => High,
        None if spot.found.is_some() => Low,
        // that is the answer to a file that was replaced, too, and of what a link leads to there is mostly another message
        _ if spot.message.reason() == Some(MOUNT) && !elsewhere => Low,
        _ => Medium,
    };
    let (name, place) = (spot.name(), spot.path.display());
    let found = spot.weigh(confidence).refuted_by(match spot.outside().filter(|_| link.is_none()) {
        Some(outside) => {
            format!("no part of {} is a symbolic link (`namei -l {})`", outside.display(), word(&outside))
        }
        None => format!("no part of {place} is a symbolic link inside the sandbox"),
    });
    let found = if told {
        found.said(case).summary(if modeless {
            format!("{name}: {place} is a symbolic link inside, and those have no mode")
        } else if round {
            format!("{name}: {place} is, or lies below, a symbolic link inside, and bwrap follows none there")
        } else {
            format!("{name}: {place} is a symbolic link inside, and bwrap mounts on none")
        })
    } else if let Some(broken) = broken {
        let found = found.summary(format!("{name}: {broken}, where nothing is while bwrap mounts"));
        found.said(case).heard(case, evidence::LOOKED)
    } else {
        let summary = "is, or lies below, a symbolic link that leads nowhere while bwrap mounts";
        found.summary(format!("{name}: {place} {summary}")).said(case)
    };
    Some(match (link, spot.mount()) {
        (Some((link, target)), _) => {
            found.asked(case, format!("{link} makes it: it stands for {}", target.display()))
        }
        (None, Some(mount)) => {
            let who = "who made it: a command of an earlier run can have left it there, to lead bwrap astray; \
                       look before you follow it";
            let where_to = broken.is_none().then(|| format!("where it leads: it lies in {mount}"));
            let found = found.unknown(where_to);
            found.unknown((!mount.is_read_only()).then_some(who))
        }
        (None, None) => found,
    })
}

pub(super) fn resolve_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::destination(case) else { return Vec::new() };
    let own = spot.found.and_then(|found| Some((found.index, found.link()?.1)));
    let link = own.or_else(|| Some((spot.found?.index, case.broken_link()?.end.clone())));
    // what the links of a new /dev stand for is nobody's to mount on
    let dev = spot.mount().is_some_and(|mount| matches!(mount.operation, Operation::Dev(_)));
    if dev && link.is_none() && spot.path != Path::new("/dev/shm") {
        return Vec::new().or(spot.leave_out());
    }
    let look = match spot.outside() {
        Some(outside) => format!("`readlink -f {}` tells where it leads on the host", word(&outside)),
        None => "`readlink -f`, on the tree that is bound there, tells where it leads".to_owned(),
    };
    // followed, a circle of links leads nowhere
    let round = "; where it prints nothing they lead in a circle, and one of them has to be removed";
    let look = if case.errno() == Some(libc::ELOOP) { look + round } else { look };
    // one that leads to another of the sandbox's own is no way out of the circle
    let made = spot.found.and_then(Found::link).filter(|_| case.errno() == Some(libc::ELOOP));
    let circle =
        made.filter(|(_, to)| spot.found.is_some_and(|found| found.before().any(|one| is_link_on(one, to))));
    if let Some((one, _)) = circle {
        return Remedy::leave_out(one.index).or(spot.leave_out());
    }
    let resolved = match link {
        None if spot.path == Path::new("/dev/shm") => told!(BD04, "shared-memory"),
        Some((operation, path)) => {
            let there = shown(&path);
            let mount = spot.found.and_then(|found| found.before().rev().find(|one| one.holds(&path)));
            let change = Remedy::change(SandboxChange::Destination { operation, path });
            match mount.filter(|mount| mount.is_read_only()) {
                Some(mount) => {
                    change.needs(format!("{there} to be there: it lies in {mount}, where none is made"))
                }
                None => change,
            }
        }
        None => told!(BD04, "destination-of-link", look),
    };
    named_by_link(case, spot.path).or([resolved]).or(spot.leave_out())
}

/// Whether an operation makes a link at a path, or above it.
fn is_link_on(found: Found<'_>, path: &Path) -> bool {
    matches!(found.operation, Operation::Symlink(_)) && path.starts_with(found.operation.destination())
}

/// Who named a path that leads through a link, where a launcher writes the line: a home, or a variable. Of a line that is known the
/// destination is changed.
fn named_by_link(case: &Case<'_>, path: &Path) -> Vec<Remedy> {
    if case.sandbox.is_some() || case.errno() != Some(libc::ENOENT) {
        return Vec::new();
    }
    let below = ["/home", "/var/home", "/Users"].iter().find_map(|homes| path.strip_prefix(homes).ok());
    // what lies elsewhere altogether is not there because of the home
    let source = case.message().and_then(Message::source);
    let home = below.is_some_and(|below| source.is_none_or(|source| source.ends_with(below)));
    let nix = path.starts_with("/run/current-system") || path.starts_with("/etc/profiles");
    // libraries and data are found through different ones
    let data = path.components().any(|part| part.as_os_str() == "share");
    let variable = if data { "XDG_DATA_DIRS" } else { "LD_LIBRARY_PATH" };
    let above = word(path.ancestors().nth(1).unwrap_or(path));
    let variable = nix.then(|| told!(BD04, "variable-that-names-it", path = above, variable));
    let home = home.then(|| told!(BD04, "home-without-link"));
    // of what Flatpak keeps in a home some have made a link
    let kept = path.to_string_lossy().contains("/.local/share/flatpak") && !case.says(&[MKDIR_PARENTS]);
    let kept = kept.then(|| told!(BD04, "directory-in-place-of-link", path = word(path)));
    Vec::new().or(kept).or(variable).or(home)
}

/// Whether a procfs of the sandbox's is to get something that it does not have.
fn in_proc(spot: &Spot<'_>) -> bool {
    spot.mount().is_some_and(|mount| matches!(mount.operation, Operation::Proc(_)))
}

/// Whether what is to be made read-only is not there at all: bwrap before 0.12 follows the path to it.
fn is_nothing_there(case: &Case<'_>) -> bool {
    let followed = case.message().and_then(Message::reason) == Some(REALPATH);
    case.says(&["Can't remount readonly on %s"]) && followed && case.errno() == Some(libc::ENOENT)
}

/// Whether what is to be made read-only is no mount: since 0.13 `mount_setattr` says so.
pub(super) fn unmounted(case: &Case<'_>) -> bool {
    let reason = case.message().and_then(Message::reason);
    let refused = reason == Some(SETATTR) && case.errno() == Some(libc::EINVAL);
    case.says(&["Can't remount readonly on %s"]) && (refused || reason == Some(UNMOUNTED))
}

/// A directory where a file must be, the reverse, or nothing.
pub(super) fn other_kind(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::destination(case)?;
    let (reason, place) = (spot.message.reason(), spot.path.display());
    let is_of = |kind: fn(&Operation) -> bool| spot.found.is_some_and(|found| kind(found.operation));
    let remounts = is_of(|one| matches!(one, Operation::RemountRo(_)));
    let missing = is_nothing_there(case);
    rule_out(case.says(&["Can't remount readonly on %s"]) && !unmounted(case) && !missing)?;
    // a bind has made its destination
    rule_out(reason == Some(REALPATH) && !missing)?;
    rule_out(missing && spot.found.and_then(Found::link).is_some())?;
    rule_out(case.says(&[OPEN]) && !is_of(|one| matches!(one, Operation::Chmod(_))))?;
    rule_out(case.says(&[CREATE_FILE]) && case.errno() == Some(libc::ENOENT) && !remounts)?;
    let (_, is) = meaning(case, Cause::DestinationOfOtherKind)?;
    let is = fill(is, &[("place", &place.to_string())]);
    let refuted_by = match spot.outside() {
        _ if reason.is_some() => format!("`findmnt {}`, typed inside, finds a mount", word(spot.path)),
        Some(outside) => format!("`ls -ld {}` shows something else", word(&outside)),
        None => format!("{place}, looked at in a sandbox without this operation, is something else"),
    };
    let found = spot.weigh(High).refuted_by(refuted_by).summary(format!("{}: {is}", spot.name())).said(case);
    Some(found.asked(case, spot.mount().map(|mount| format!("what is there comes from {mount}"))))
}

pub(super) fn another_kind(case: &Case<'_>) -> Vec<Remedy> {
    let spot = Spot::destination(case);
    let Some(found) = spot.as_ref().and_then(|spot| spot.found) else {
        return vec![told!(BD05, "same-kind")];
    };
    let masks = |bind: &crate::sandbox::Bind| bind.source == Path::new("/dev/null");
    let on_directory = case.says(&[NOT_A_FILE]) || case.errno() == Some(libc::EISDIR);
    let remedy = match found.operation {
        Operation::RemountRo(remount) => {
            let at = remount.destination.to_string_lossy();
            let of_host =
                spot.as_ref().is_some_and(|spot| spot.mount().is_none() || spot.outside().is_some());
            let missing = is_nothing_there(case) || case.says(&[CREATE_FILE]);
            // what the sandbox makes itself is not on the host
            let itself = (of_host && !missing)
                .then(|| told!(BD05, "mount-instead-of-remount", at = format!("{at:?}")));
            let over =
                (!of_host).then(|| told!(BD05, "remount-what-holds-it", at = shown(&remount.destination)));
            itself.or(over)
        }
        Operation::Chmod(_) => Some(told!(BD05, "make-before-mode")),
        Operation::Bind(bind) if on_directory && masks(bind) => {
            Some(told!(BD05, "mask-with-directory", destination = word(&bind.destination)))
        }
        // a file bound on a directory is mostly meant to lie in it
        Operation::Bind(bind) if on_directory => bind.source.file_name().map(|name| {
            let path = bind.destination.join(name);
            let summary = format!("Make {} the destination", shown(&path));
            let opens = "nothing; the file is found there".to_owned();
            let read_only = found.mount().filter(|mount| mount.is_read_only());
            let there = read_only.map(|mount| format!("{} to be there: it lies in {mount}", shown(&path)));
            let change = SandboxChange::Destination { operation: found.index, path };
            let remedy = Remedy { summary, opens, ..Remedy::change(change) };
            match there {
                Some(there) => remedy.needs(there),
                None => remedy,
            }
        }),
        Operation::Tmpfs(tmpfs) if case.says(&["Can't mkdir %s"]) => {
            Some(told!(BD05, "mask-with-file", destination = word(&tmpfs.destination)))
        }
        other => Some(told!(BD05, "destination-of-same-kind", destination = shown(other.destination()))),
    };
    let tmpfs = below_read_only(found).filter(|_| on_directory);
    Vec::new().or(remedy).or(tmpfs).or([Remedy::leave_out(found.index)])
}

/// What makes room for a file in a directory that is read-only, and that the system does not need.
fn below_read_only(found: Found<'_>) -> Option<Remedy> {
    let bind = found.operation.as_bind()?;
    let root = relative(&bind.destination).as_os_str().is_empty();
    rule_out(root || !found.mount()?.is_read_only() || is_of_runtime(&bind.destination))?;
    let path = bind.destination.join(bind.source.file_name()?);
    let (directory, source) = (word(&bind.destination), word(&bind.source));
    Some(told!(BD05, "file-in-tmpfs", directory, source, path = word(&path)))
}

pub(super) fn read_only(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::destination(case)?;
    rule_out(case.errno() == Some(libc::ENOENT) && !in_proc(&spot) || is_unsearchable(case, &spot))?;
    Some(obstacle(case, &spot).0)
}

/// Whether it is not for its mount that something cannot be made: of a read-only one the kernel says so before it asks who writes,
/// and only on the way there it says "Permission denied".
fn is_unsearchable(case: &Case<'_>, spot: &Spot<'_>) -> bool {
    let free = spot.found.is_some_and(|found| found.remount().is_none());
    case.errno() == Some(libc::EACCES) && free && spot.mount().is_some_and(Found::is_read_only)
}

pub(super) fn make_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::destination(case) else { return Vec::new() };
    let (leave_out, remedies) = (spot.leave_out(), obstacle(case, &spot).1);
    match spot.found {
        // mostly a mask over what the host does not have either
        _ if !is_socket(spot.path) => remedies.or(leave_out),
        Some(_) => Vec::new().or(leave_out).or(remedies),
        None if spot.path.starts_with("/tmp/.X11-unix") => told!(BD03, "make-x-directory").or(remedies),
        None => told!(BD03, "leave-mask-out", path = shown(spot.path)).or(remedies),
    }
}

/// Whether bwrap opens every directory on the way, for which it must be readable: since 0.12, and where its security fix was
/// brought to older ones.
fn opens_parents(case: &Case<'_>) -> Option<bool> {
    let patched = [Version::new(0, 9, 0), Version::new(0, 6, 1)];
    let told = case.hinted(Hint::OpeningBwrap).then_some(true);
    version(case).map(|version| version >= Version::new(0, 12, 0) || patched.contains(&version)).or(told)
}

pub(super) fn unreadable(case: &Case<'_>) -> Option<Judgement> {
    let opens = opens_parents(case);
    let spot = Spot::destination(case)?;
    if is_unsearchable(case, &spot) && !case.says(&[MKDIR_PARENTS]) {
        let (name, place, uid) = (spot.name(), spot.path.display(), &case.host.process.uid);
        let user = uid.present().map(|user| format!("bwrap looks there as uid {user}"));
        let found = spot.weigh(High).said(case).seen(uid, user);
        return Some(found.summary(format!(
            "{name}: the user may not search a directory on the way to {place}, and so can make nothing there"
        )));
    }
    rule_out(!case.says(&[MKDIR_PARENTS]) || opens == Some(false) || case.root() == Some(true))?;
    let why = "bwrap 0.12, and Ubuntu's 0.9.0 since 2026, open every directory on the way to a destination";
    let (name, place) = (spot.name(), spot.path.display());
    spot.weigh(if opens.is_some() { Medium } else { Low })
        .summary(format!("{name}: a directory above {place} may be searched but not read"))
        .said(case)
        .heard(case, why)
        .unknown("which directory has x but no r for the user: `namei -l` on the path")
        .into()
}

pub(super) fn let_read(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::destination(case) else { return Vec::new() };
    let outside = spot.outside();
    let unsearchable = is_unsearchable(case, &spot) && !case.says(&[MKDIR_PARENTS]);
    if unsearchable {
        // to open directories for this would open them for much else
        return Vec::new().or(spot.leave_out()).or([told!(
            BD03,
            "other-destination",
            path = shown(spot.path)
        )]);
    }
    let path = word(outside.as_deref().unwrap_or(spot.path));
    told!(BD10, "readable-parents", path).or(spot.leave_out())
}

/// Why a destination cannot be made where it is, and what helps.
fn obstacle(case: &Case<'_>, spot: &Spot<'_>) -> (Judgement, Vec<Remedy>) {
    let (place, outside) = (spot.path.display(), spot.outside());
    let read_only = case.errno() == Some(libc::EROFS);
    let sure = if read_only { High } else { Medium };
    let needs = if case.says(&[CHMOD]) { "would change" } else { "needs" };
    let found = |confidence, why: &str, refuted_by: String| {
        let summary = format!("{} {needs} {place}{why}", spot.name());
        spot.weigh(confidence).refuted_by(refuted_by).summary(summary).said(case)
    };
    let uid = &case.host.process.uid;
    let user = uid.present().filter(|_| !read_only).map(|user| format!("bwrap writes there as uid {user}"));
    let elsewhere = || vec![told!(BD03, "other-destination", path = shown(spot.path))];
    match (spot.found, spot.found.and_then(Found::remount), spot.mount()) {
        (Some(asked), Some(remount), _) => {
            let why = format!(", which {remount} has made read-only before");
            let earlier = SandboxChange::MoveBefore { operation: asked.index, before: remount.index };
            (found(High, &why, format!("it fails without {remount}, too")), vec![Remedy::change(earlier)])
        }
        (_, _, Some(mount)) if matches!(mount.operation, Operation::Proc(_)) => {
            let why = format!(", and nothing can be made in {mount}");
            (found(High, &why, format!("{place} is outside of {}", mount.name())), elsewhere())
        }
        (Some(asked), _, Some(mount)) if mount.is_read_only() => {
            let order = "bwrap goes through the operations in order, and makes a missing mount point in what is there by then";
            let refuted_by = match &outside {
                Some(outside) => format!("`ls -ld {}` shows that it is there already", word(outside)),
                None => format!("{place} is there without this operation"),
            };
            let why = format!(", and that lies in {mount}");
            (found(High, &why, refuted_by).asked(case, order), in_read_only(case, spot, asked, mount))
        }
        // the sandbox may write there, the host may not
        (Some(asked), _, Some(mount)) => {
            let doubtful =
                outside.is_none() || case.says(&[MKDIR_PARENTS]) && opens_parents(case) == Some(true);
            let (why, refuted_by) = match outside.as_deref() {
                Some(outside) => {
                    let works = "typed as the user that bwrap runs as, works";
                    let there = outside.display();
                    let why = if read_only {
                        format!(": {there} lies on a read-only file system")
                    } else {
                        format!(", and the user may not write {there}")
                    };
                    (why, format!("`mkdir -p {}`, {works}", word(outside)))
                }
                None => (format!(", and {mount} cannot be written"), format!("making {place} outside works")),
            };
            let confidence = if doubtful { sure } else { High };
            let found = found(confidence, &why, refuted_by)
                .seen(uid, user)
                .asked(case, format!("it lies in {mount}, which the sandbox may write"));
            let made = outside.and_then(|outside| made_for(case, asked, &outside));
            (found, Vec::new().or(made).or([told!(BD03, "tmpfs-above", name = mount.name())]))
        }
        // nobody knows where it lies, or in the sandbox's own root
        _ => {
            let before = "which operation before it has mounted what is there: the sandbox is not known";
            let why = ", and that cannot be made where it is";
            let found = found(sure, why, format!("{place} can be made where it is"))
                .seen(uid, user)
                .unknown(case.sandbox.is_none().then_some(before));
            // a launcher's line shows the host's own paths, but for those of a runtime that it brings along
            let own = case.sandbox.is_none()
                && spot.path.is_absolute()
                && !is_socket(spot.path)
                && !is_of_runtime(spot.path)
                && Launcher::of(case) != Some(Launcher::Flatpak);
            let made = own.then(|| {
                let same = "the sandbox to have there what the host has at the same path";
                mount_point(case, None, spot.path).needs(same)
            });
            let claude =
                Launcher::of(case) == Some(Launcher::ClaudeCode) && in_windows(case, spot.path).is_some();
            let unset = claude.then(|| told!(BD03, "without-scrub"));
            (found, Vec::new().or(made).or(unset).or(brought_along(case, spot.path)).or(elsewhere()))
        }
    }
}

/// What has to be made on the host where the user may make nothing: what root makes there, the user may not write, either.
fn made_for(case: &Case<'_>, asked: Found<'_>, outside: &Path) -> Option<Remedy> {
    match asked.operation {
        // a directory in its place would be refused ever after
        Operation::Symlink(link) => {
            let made = told!(BD03, "make-link", target = word(&link.target), place = word(outside));
            Some(made.needs(Need::Bwrap("0.9")))
        }
        Operation::Chmod(_) => None,
        Operation::File(_) => Some(told!(BD03, "bind-content-over-file", outside = word(outside))),
        _ => Some(mount_point(case, Some(asked), outside)),
    }
}

/// What there is to do about a path in the directories that Flatpak brings along, for whoever cannot edit its line.
fn brought_along(case: &Case<'_>, path: &Path) -> Option<Remedy> {
    let foreign = !matches!(Launcher::of(case), None | Some(Launcher::Flatpak));
    rule_out(case.sandbox.is_some() || foreign)?;
    let remedy = if path.starts_with("/run/host") {
        told!(BD03, "flatpak-whole-root")
    } else if is_home_in_usr(path) {
        told!(BD03, "flatpak-runtime", path = word(path))
    } else {
        return None;
    };
    Some(remedy.needs("Flatpak, which has a /usr and a /run/host of its own inside"))
}

/// Whether a path below /usr is one that people have put there: homes, for the most part.
fn is_home_in_usr(path: &Path) -> bool {
    let home = |part: &std::ffi::OsStr| {
        ["local", "home", "homes", "people", "users"].iter().any(|name| part == *name)
    };
    path.strip_prefix("/usr").is_ok_and(|rest| rest.iter().take(2).any(home))
}

/// The mount point has to be in the source, or another file system has to be over it.
fn in_read_only(case: &Case<'_>, spot: &Spot<'_>, found: Found<'_>, mount: Found<'_>) -> Vec<Remedy> {
    let outside = spot.outside();
    if matches!(found.operation, Operation::Chmod(_)) {
        return Vec::new();
    }
    let made = outside.and_then(|outside| match found.operation {
        // what is there already is refused, if it is no such link
        Operation::Symlink(_) => None,
        Operation::File(_) => Some(told!(BD03, "bind-content-over-file", outside = word(outside))),
        _ => (!is_socket(&outside)).then(|| mount_point(case, Some(found), &outside)),
    });
    let over = match mount.operation {
        // between the root and a name in it there is no directory
        Operation::Bind(bind) if relative(&bind.destination).as_os_str().is_empty() => {
            (relative(spot.path).components().count() > 1).then(|| told!(BD03, "tmpfs-below-root"))
        }
        Operation::Bind(bind) => {
            let quoted = |path: &Path| format!("{:?}", path.to_string_lossy());
            let (source, at) = (quoted(&bind.source), quoted(&bind.destination));
            let overlay = told!(BD03, "overlay-in-place", mount, source, at).needs(Need::Bwrap("0.11"));
            Some(overlay.needs(Need::Linux("", (5, 11))))
        }
        _ => None,
    };
    Vec::new().or(made).or([told!(BD03, "other-destination", path = shown(spot.path))]).or(over)
}

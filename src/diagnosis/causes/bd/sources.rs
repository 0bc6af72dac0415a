//! Sources that are not there, or that bwrap may not reach.

use super::lookup::Spot;
use crate::diagnosis::causes::dv::about_device;
use crate::diagnosis::causes::prelude::*;
use crate::diagnosis::launcher::Launcher;
use crate::host::inside::BrokenLink;

const RELATIVE: &str = "the path is relative: bwrap looks for it in the directory that it is started in";

/// bwrap says literally that it is not there.
pub(super) fn missing(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::source(case)?;
    let path = spot.path;
    rule_out(about_device(case))?;
    let part_is_file = case.errno() == Some(libc::ENOTDIR);
    let broken = case.broken_link();
    let state = match broken {
        Some(BrokenLink { link, target, .. }) if link == path => {
            format!("is a symbolic link to {}, where nothing is", target.display())
        }
        Some(BrokenLink { link, target, .. }) => {
            format!(
                "leads through the symbolic link {} to {}, where nothing is",
                link.display(),
                target.display()
            )
        }
        None if part_is_file => "leads through something that is no directory".to_owned(),
        None => "does not exist".to_owned(),
    };
    let found = spot
        .weigh(High)
        .refuted_by(format!("`ls -ldL {}`, typed where bwrap is started, finds it", word(path)))
        .summary(if path.as_os_str().is_empty() {
            format!("{}: the source has no name", part(&spot))
        } else {
            format!("{}: {} {state}", part(&spot), path.display())
        })
        .said(case)
        .heard(case, broken.map(|_| "on this machine, where the link leads"))
        .asked(case, path.is_relative().then_some(RELATIVE));
    Some(if is_descriptor(path) {
        found.asked(case, "the path is a descriptor: what it stands for was deleted, or never had a name")
    } else {
        let there = "bwrap is in a container and looks there, not on the machine";
        found.seen(&case.host.platforms, in_container(case).then_some(there))
    })
}

pub(super) fn without_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::source(case) else { return Vec::new() };
    // what a link leads to is made, and not the link
    let path = case.broken_link().map_or(spot.path, |link| &link.end);
    let brought = || told!(BD01, "bring-into-container", path = shown(path));
    let unknown = Setting::of(case) == Setting::Unknown;
    let there = match (path.extension(), path.parent()) {
        _ if is_descriptor(path) && case.hinted(Hint::FlatpakDescriptors) => {
            let with_name = told!(BD01, "descriptor-with-name");
            return told!(BD01, "flatpak-with-descriptors").or([with_name]);
        }
        _ if is_descriptor(path) => Some(told!(BD01, "descriptor-with-name")),
        _ if is_pattern(path) => {
            return told!(BD01, "unexpanded-pattern", path = shown(path)).or(spot.leave_out());
        }
        _ if is_of_windows(path) => return vec![told!(BD01, "path-of-wsl", path = word(path))],
        // whoever has the line may mean a directory of that name
        _ if is_of_macos(path) && case.sandbox.is_none() => {
            return told!(BD01, "path-of-macos", path = shown(path)).or(spot.leave_out());
        }
        _ if in_container(case) && !unknown => Some(brought()),
        // nobody makes a directory in the place of a disk, or of a session
        _ if ["/run/media", "/media"].iter().any(|top| path.starts_with(top)) => {
            return told!(BD01, "mount-disk", path = shown(path)).or(spot.leave_out());
        }
        _ if is_of_session(path) => return told!(BD01, "in-a-session").or(spot.leave_out()),
        // a directory in the place of a file mends nothing
        _ if case.errno() == Some(libc::ENOTDIR) => Some(told!(BD01, "part-is-file", path = word(path))),
        // what makes its line from the names in / did not quote one of them
        _ if is_cut(case, path) => {
            let look = told!(BD01, "cut-at-space", path = word(path), path2 = shown(path));
            return look.or([told!(BD01, "create-source", path = word(path))]).or(spot.leave_out());
        }
        _ if is_of_store(path) => return told!(BD01, "built-anew", path = shown(path)).or(spot.leave_out()),
        _ if is_old_bus(path) => {
            return told!(BD01, "bus-of-session", path = shown(path)).or(spot.leave_out());
        }
        _ if path.starts_with("/tmp/.X11-unix") => Some(told!(BD01, "x-server-socket", path = word(path))),
        // what a service makes is nobody else's to make
        _ if is_socket(path) => Some(told!(BD01, "start-service", path = shown(path))),
        // what is there are nodes, and a directory in the place of one breaks more
        _ if path.starts_with("/dev") => None,
        // what comes with the system is not made by hand
        _ if is_brought(path) => None,
        (_, Some(parent)) if is_file(path) => {
            Some(told!(BD01, "create-file", path = word(path), parent = word(parent)))
        }
        _ => Some(told!(BD01, "create-source", path = word(path))),
    };
    // of a line that is known the operation is made optional
    let optional =
        spot.found.is_none() && !is_socket(path) && (is_brought(path) || path.components().count() <= 2);
    let optional = optional.then(|| told!(BD01, "let-be-missing", path = shown(path)));
    let there =
        there.map(|there| if unknown { there.needs("a machine: in a container see below") } else { there });
    let there = there.into_iter().chain(optional);
    let there = there.chain((unknown && !is_descriptor(path)).then(brought)).collect::<Vec<_>>();
    let bind = spot.found.filter(|found| matches!(found.operation, Operation::Bind(_)));
    let optional = bind.map(|found| SandboxChange::OptionalSource { operation: found.index });
    there.or(optional.map(Remedy::change)).or(spot.leave_out())
}

/// Whether a path may be the beginning of one with a space in it: directly below the root, of a launcher of Nix's, which binds all that
/// is there.
fn is_cut(case: &Case<'_>, path: &Path) -> bool {
    let nix = Launcher::of(case) == Some(Launcher::NixFhs) || case.told().is_some_and(|told| told.nixos);
    nix && case.sandbox.is_none() && path.parent() == Some(Path::new("/")) && !is_brought(path)
}

/// Whether a path is where macOS keeps what Linux has without that first part: `/private/tmp`.
fn is_of_macos(path: &Path) -> bool {
    ["/private/etc", "/private/tmp", "/private/var"].iter().any(|top| path.starts_with(top))
}

/// Whether only a package manager writes there.
fn is_of_store(path: &Path) -> bool {
    ["/nix/store", "/gnu/store"].iter().any(|store| path.starts_with(store) && path != Path::new(store))
}

/// Whether a path is the socket that a message bus of a session had: `/tmp/dbus-idFP02J1Vi`.
fn is_old_bus(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.strip_prefix("/tmp/dbus-").is_some_and(|drawn| {
        (8..=10).contains(&drawn.len()) && drawn.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Whether a path is one of Windows': `C:\\Users\\me`.
fn is_of_windows(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let mut letters = text.chars();
    let drive = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic());
    drive && letters.next() == Some(':') && letters.next().is_some_and(|next| "\\/".contains(next))
}

/// Whether a path is the directory that a session has while it lasts: `/run/user/1000`.
fn is_of_session(path: &Path) -> bool {
    path.parent() == Some(Path::new("/run/user"))
}

/// Whether a path is one at which a service listens, as far as its name tells.
pub(super) fn is_socket(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.extension().is_some_and(|kind| kind == "sock" || kind == "socket")
        || path.ends_with("pulse/native")
        || path.starts_with("/tmp/.X11-unix")
        || path.starts_with("/run")
            && (name == "bus" || name == "system_bus_socket" || name.starts_with("wayland-"))
}

/// Whether what is at a path comes with the system, a package or the kernel.
fn is_brought(path: &Path) -> bool {
    let brought = ["/bin", "/boot", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"];
    let by_hand = ["/usr/local", "/usr/src"];
    // but for a file of settings
    path.starts_with("/etc") && !is_file(path)
        || brought.iter().any(|top| path.starts_with(top)) && !by_hand.iter().any(|top| path.starts_with(top))
}

/// Whether a path is a file's, as far as its name tells: with an extension, or hidden and none of the usual directories.
fn is_file(path: &Path) -> bool {
    const DIRECTORIES: [&str; 20] = [
        ".agents", ".aws", ".azure", ".cache", ".cargo", ".claude", ".codex", ".config", ".docker", ".git",
        ".gnupg", ".kube", ".local", ".mozilla", ".npm", ".nvm", ".rustup", ".ssh", ".var", ".venv",
    ];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.extension().is_some() || name.starts_with('.') && !DIRECTORIES.contains(&&*name)
}

/// Whether a shell was to make something else of a path: a pattern, a home directory, a variable.
fn is_pattern(path: &Path) -> bool {
    path.iter().any(|part| part == "~") || path.to_string_lossy().contains(['*', '$'])
}

fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/proc/self/fd")
}

/// It is there, or may be, and bwrap must not look.
pub(super) fn unreachable(case: &Case<'_>) -> Option<Judgement> {
    let spot = Spot::source(case)?;
    let (path, uid) = (spot.path, &case.host.process.uid);
    let namei = word(path);
    let found = spot
        .weigh(High)
        .refuted_by(format!("`namei -l {namei}`, typed as the user that bwrap runs as, gets to the end"))
        .summary(format!("{}: {} may not be reached: {}", part(&spot), path.display(), case.answer()))
        .said(case);
    if !is_denied(case) {
        return Some(found);
    }
    let root = "bwrap runs as root, but in its new user namespace root may reach only what uid 0 owns or everybody may";
    let user = uid.present().map(|uid| match uid {
        0 if case.user_namespace() == Some(true) => root.to_owned(),
        user => format!("bwrap runs as uid {user}, and needs x on every directory of the path"),
    });
    let found = found.seen_or(uid, user, "which user bwrap runs as: Uid in /proc/self/status");
    let denied =
        |label| format!("whether the security label {label} is denied it: look for AVC or DENIED in dmesg");
    Some(found.unknown(case.label().map(denied)))
}

fn is_denied(case: &Case<'_>) -> bool {
    matches!(case.errno(), Some(libc::EACCES | libc::EPERM))
}

pub(super) fn reach_it(case: &Case<'_>) -> Vec<Remedy> {
    let Some(spot) = Spot::source(case) else { return Vec::new() };
    let path = spot.path;
    // an optional source may be missing, but not refused
    if case.errno() == Some(libc::ELOOP) {
        return told!(BD06, "links-in-a-circle", path = word(path)).or(spot.leave_out());
    }
    if case.errno() == Some(libc::ENAMETOOLONG) {
        return told!(BD06, "shorter-name", path = shown(path)).or(spot.leave_out());
    }
    if !is_denied(case) {
        return told!(BD06, "repair", path = shown(path), path2 = word(path)).or(spot.leave_out());
    }
    let uid = case.host.process.uid.present();
    let mounts = case.host.mounts.present().map(Vec::as_slice).unwrap_or_default();
    let fuse = mount_of(mounts, path).is_some_and(|mount| mount.filesystem.starts_with("fuse"));
    let told = case.told().filter(|_| uid.is_none());
    let own = ["/run/user", "/home", "/var/home"].iter().any(|of_users| path.starts_with(of_users));
    if told.is_some_and(|told| told.sudo) && own {
        return vec![told!(BD06, "without-sudo")];
    }
    if is_of_builder(path) {
        return vec![told!(BD06, "build-without-rofiles")];
    }
    // what belongs to a session, or to root, is opened to nobody
    let portal = path.components().any(|part| part.as_os_str() == "doc");
    let stale = portal && (fuse || path.starts_with("/run/user"));
    let reach = if stale {
        told!(BD06, "document-portal")
    } else if uid.is_none() && path.starts_with("/run/user") {
        return vec![told!(BD06, "own-session", path = word(path))];
    } else if told.is_some() && path.starts_with("/root") {
        return vec![told!(BD06, "not-of-root", path = word(path))];
    } else if fuse {
        told!(BD06, "fuse-allow-other", path = word(path))
    } else if path.components().count() <= 2 {
        // everybody may search the root: it is the mount that refuses
        told!(BD06, "fuse-allow-other", path = word(path)).needs("a FUSE mount there, as `findmnt` shows")
    } else {
        let user = uid.map_or_else(|| "u:USER:x".to_owned(), |uid| format!("u:{uid}:x"));
        told!(BD06, "search-directory", path = word(path), user, above = directories_of(path))
    };
    // in its namespace root is nobody to what others own, whatever may be searched
    let own = case.user_namespace() == Some(true);
    let owner = (own && uid == Some(&0) && !fuse).then(|| told!(BD06, "as-owner", path = word(path)));
    let keep = (own && case.is_admin()).then(|| Remedy::change(SandboxChange::KeepUserNamespace));
    Vec::new()
        .or(owner)
        .or([reach])
        .or(stale.then(|| told!(BD06, "stale-portal")))
        .or(keep)
        .or(spot.leave_out())
}

/// Whether a path lies in what flatpak-builder mounts of its cache.
fn is_of_builder(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/.flatpak-builder/rofiles/") || text.starts_with(".flatpak-builder/rofiles/")
}

/// The directories on the way to a path, but for the root, as words of a shell.
pub(super) fn directories_of(path: &Path) -> String {
    let above = path.ancestors().skip(1).filter(|above| above.file_name().is_some());
    let mut words: Vec<String> = above.map(word).collect();
    words.reverse();
    if words.is_empty() { "/".to_owned() } else { words.join(" ") }
}

/// The operation, and what of it the path is, if that is not plain.
fn part(spot: &Spot<'_>) -> String {
    match spot.found {
        Some(found) if matches!(found.operation, Operation::Overlay(_)) => format!("{found} (a layer)"),
        Some(found) => found.to_string(),
        None => format!("the source {}", spot.path.display()),
    }
}

fn in_container(case: &Case<'_>) -> bool {
    !matches!(Setting::of(case), Setting::Machine | Setting::Unit)
}

//! What the command gets beside its program: a working directory, a label, filters.

use super::problem::made;
use crate::diagnosis::causes::prelude::*;
use crate::diagnosis::launcher::Launcher;

/// The one that bwrap names, or that the sandbox asks for.
fn directory<'a>(case: &Case<'a>) -> Option<&'a Path> {
    let asked = case.sandbox.and_then(|sandbox| sandbox.current_dir.as_deref());
    case.message().and_then(Message::path).or(asked)
}

/// The one thing here that can be foreseen: a directory that no operation makes.
pub(super) fn working_directory(case: &Case<'_>) -> Option<Judgement> {
    let directory = directory(case)?;
    let place = directory.display();
    let nothing = case.sandbox.is_some_and(|sandbox| !sandbox.reaches(directory))
        && matches!(case.errno(), None | Some(libc::ENOENT));
    let state = meaning(case, Cause::WorkingDirectoryMissing).filter(|_| !nothing);
    let state = match case.broken_link() {
        Some(broken) => format!("is not there inside: {broken}"),
        None => state.map_or("is not there inside", |(_, state)| state).to_owned(),
    };
    let looked = "typed in the same sandbox without a working directory, finds it";
    let found = weigh(High)
        .refuted_by(format!("`ls -ld {place}`, {looked}"))
        .summary(format!("the working directory {place} {state}"));
    if nothing {
        return Some(found.asked(case, format!("no operation puts anything at {place}, above or below it")));
    }
    case.message().map(|_| found.said(case))
}

pub(super) fn another_directory(case: &Case<'_>) -> Vec<Remedy> {
    let Some(directory) = directory(case) else { return Vec::new() };
    // who starts a ready launcher has no line to change
    let told = case.told().filter(|_| case.sandbox.is_none() && Launcher::protecting(directory).is_none());
    let theirs = told.is_some_and(|told| told.nixos || told.launcher.is_some_and(Launcher::is_of_desktops));
    // home again is no way out where that is what is missing
    let home = directory == Path::new("/root")
        || ["/home", "/var/home"].iter().any(|homes| directory.parent() == Some(Path::new(homes)));
    let elsewhere =
        theirs.then(|| if home { told!(EX08, "start-in-root") } else { told!(EX08, "start-elsewhere") });
    let root = (directory != Path::new("/")).then(|| SandboxChange::CurrentDir { path: "/".into() });
    let missing = matches!(case.errno(), None | Some(libc::ENOENT));
    // what a link leads to is made or bound, and not the link
    let directory = case.broken_link().map_or(directory, |link| &link.end);
    let there = match bound_from(case, directory) {
        Some(host) if missing => Some(told!(EX08, "create", host = word(&host))),
        None if directory.is_absolute() && case.errno() != Some(libc::EACCES) => {
            let needed = format!("{} on the host", shown(directory));
            Some(Remedy::ro_bind(directory).needs(needed))
        }
        _ => None,
    };
    Vec::new().or(elsewhere).or(root.map(Remedy::change)).or(there)
}

/// Where on the host a path inside would be, if a bind shows that place.
fn bound_from(case: &Case<'_>, path: &Path) -> Option<PathBuf> {
    let sandbox = case.sandbox?;
    sandbox.operations.get(sandbox.mount_above(path)?)?.outside(path)
}

/// The whole path of what is opened where the command starts, if the sandbox says where that is.
fn whole(case: &Case<'_>, path: &Path) -> PathBuf {
    let start = case.sandbox.and_then(|sandbox| sandbox.current_dir.as_deref());
    start.map_or_else(|| path.to_owned(), |start| Path::new("/").join(start).join(path))
}

pub(super) fn lock_file(case: &Case<'_>) -> Option<Judgement> {
    let place = case.message()?.path()?.display();
    let (sure, state) = meaning(case, Cause::LockFileFailed)?;
    Some(weigh(sure).summary(format!("the lock file {place} {state}")).said(case))
}

pub(super) fn lockable(case: &Case<'_>) -> Vec<Remedy> {
    let file = case.message().and_then(Message::path).unwrap_or(Path::new("FILE"));
    let lock = told!(EX11, "lock-file", file = word(file), place = format!("{:?}", shown(file)));
    let file = &whole(case, file);
    if let (Some(libc::EACCES), Some(option)) = (case.errno(), made(case, file)) {
        return vec![told!(EX11, "mode-of-content", option)];
    }
    // without --chdir it starts where it is typed, and so does what creates it
    let host = if file.is_relative() { Some(file.clone()) } else { bound_from(case, file) };
    // bwrap makes none, and nobody holds a lock on what is not there
    match (host, case.errno()) {
        (Some(host), Some(libc::ENOENT)) => vec![told!(EX11, "create", host = word(&host)), lock],
        // it is there, and bound once more it would be read by nobody else
        (Some(host), Some(libc::EACCES)) if case.says(&["Unable to open lock file %s"]) => {
            vec![told!(EX11, "readable", host = word(&host))]
        }
        _ => vec![lock],
    }
}

pub(super) fn label(case: &Case<'_>) -> Option<Judgement> {
    let privileges = case.sandbox.map(|sandbox| &sandbox.privileges);
    let asked = privileges.and_then(|all| all.exec_label.as_ref().or(all.file_label.as_ref()));
    let selinux = &case.host.security.selinux_filesystem;
    if selinux.is(&false) && (asked.is_some() || case.failed()) {
        let label = asked.map_or("a label".to_owned(), |asked| format!("the label {}", asked.display()));
        let found = weigh(High).summary(format!("{label} needs SELinux, which is not on here"));
        return Some(found.seen(selinux, "selinuxfs is not in /proc/filesystems"));
    }
    let message = case.message()?;
    Some(weigh(High).summary(format!("the security label was refused: {message}")).said(case))
}

/// Without SELinux there is no other one.
pub(super) fn other_label(case: &Case<'_>) -> Vec<Remedy> {
    let supported =
        case.message().and_then(Message::pattern) != Some("labeling not supported on this system");
    let may = supported && !case.host.security.selinux_filesystem.is(&false);
    Remedy::change(SandboxChange::DropLabels).or(may.then(|| told!(EX09, "other-label")))
}

//! What the command gets beside its program: a working directory, a label, filters.

use crate::diagnosis::causes::prelude::*;

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
    let state = state.map_or("is not there inside", |(_, state)| state);
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
    let place = shown(directory);
    let bind = || Remedy::ro_bind(directory).needs(format!("{place} on the host"));
    let bound = directory.is_absolute() && case.errno() != Some(libc::EACCES);
    told!(EX08, "another", directory = word(directory), place = format!("{place:?}")).or(bound.then(bind))
}

pub(super) fn lock_file(case: &Case<'_>) -> Option<Judgement> {
    let place = case.message()?.path()?.display();
    let (sure, state) = meaning(case, Cause::LockFileFailed)?;
    Some(weigh(sure).summary(format!("the lock file {place} {state}")).said(case))
}

pub(super) fn lockable(case: &Case<'_>) -> Vec<Remedy> {
    let file = case.message().and_then(Message::path).unwrap_or(Path::new("FILE"));
    vec![told!(EX11, "lock-file", file = word(file), place = format!("{:?}", shown(file)))]
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

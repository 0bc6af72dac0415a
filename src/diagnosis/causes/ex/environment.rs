//! What the command gets beside its program: a working directory, a label, filters.

use crate::diagnosis::Symptom;
use crate::diagnosis::causes::ex::paths::reachable;
use crate::diagnosis::causes::prelude::*;

/// The one thing here that can be foreseen: a directory that no operation makes.
pub(in crate::diagnosis) fn working_directory(case: &Case<'_>) -> Option<Judgement> {
    let said = case.symptom.and_then(Symptom::message);
    let asked = case.sandbox.and_then(|sandbox| sandbox.current_dir.as_deref());
    let directory = said.and_then(Message::path).or(asked)?;
    let place = directory.display();
    let judgement = || {
        weigh(High).refuted_by(format!(
            "`ls -ld {place}`, typed in the same sandbox without a working directory, finds it"
        ))
    };
    let nothing = case.sandbox.is_some_and(|sandbox| !reachable(sandbox, directory));
    if nothing && matches!(case.errno(), None | Some(libc::ENOENT)) {
        return Some(
            judgement()
                .summary(format!("the working directory {place} is not there inside"))
                .asked(case, format!("no operation puts anything at {place}, above or below it")),
        );
    }
    said.filter(|_| case.failed())?;
    let state = match case.errno() {
        Some(libc::EACCES) => "may not be entered by the command's user",
        Some(libc::ENOTDIR) => "is no directory",
        Some(libc::ENOENT) => "is not there inside",
        _ => "cannot be entered",
    };
    Some(judgement().summary(format!("the working directory {place} {state}")).said(case))
}

pub(in crate::diagnosis) fn another_directory(case: &Case<'_>) -> Vec<Remedy> {
    let said = case.symptom.and_then(Symptom::message).and_then(Message::path);
    let asked = case.sandbox.and_then(|sandbox| sandbox.current_dir.as_deref());
    let Some(directory) = said.or(asked) else { return Vec::new() };
    let place = shown(directory);
    let mut remedies =
        vec![told!("other-directory", directory = word(directory), place = format!("{:?}", place))];
    if directory.is_absolute() && case.errno() != Some(libc::EACCES) {
        let remedy = Remedy::change(SandboxChange::RoBind { path: directory.to_owned() });
        remedies.push(remedy.needs(format!("{place} on the host")));
    }
    remedies
}

pub(in crate::diagnosis) fn label(case: &Case<'_>) -> Option<Judgement> {
    let privileges = case.sandbox.map(|sandbox| &sandbox.privileges);
    let asked = privileges.and_then(|all| all.exec_label.as_ref().or(all.file_label.as_ref()));
    let without = case.host.security.selinux_filesystem.is(&false);
    let judgement = || {
        weigh(High).refuted_by("the sandbox starts in the same way without the label, or fails in another")
    };
    if without && (asked.is_some() || case.failed()) {
        return Some(
            judgement()
                .summary(match asked {
                    Some(asked) => {
                        format!("the label {} needs SELinux, which is not on here", asked.display())
                    }
                    None => "a label needs SELinux, which is not on here".to_owned(),
                })
                .seen(&case.host.security.selinux_filesystem, "selinuxfs is not in /proc/filesystems"),
        );
    }
    let message = case.symptom?.message()?;
    Some(judgement().summary(format!("the security label was refused: {message}")).said(case))
}

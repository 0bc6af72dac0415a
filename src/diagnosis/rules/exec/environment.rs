//! What the command gets beside its program: a working directory, a label, filters.

use super::super::super::Symptom;
use super::super::super::case::Case;
use super::super::super::finding::Confidence;
use super::super::super::remedy::{Remedy, SandboxChange};
use super::super::Judgement;
use super::paths::reachable;
use crate::bwrap::Message;
use crate::diagnosis::remedy::told;
use crate::diagnosis::rules::facts::word;
use crate::visible::path as shown;

/// The one thing here that can be foreseen: a directory that no operation makes.
pub(super) fn working_directory(case: &Case<'_>) -> Option<Judgement> {
    let said = case.symptom.and_then(Symptom::message);
    let asked = case.sandbox.and_then(|sandbox| sandbox.current_dir.as_deref());
    let directory = said.and_then(Message::path).or(asked)?;
    let place = directory.display();
    let judgement = || {
        Judgement::new(
            Confidence::High,
            format!("`ls -ld {place}`, typed in the same sandbox without a working directory, finds it"),
        )
    };
    let nothing = case.sandbox.is_some_and(|sandbox| !reachable(sandbox, directory));
    if nothing && matches!(case.errno(), None | Some(libc::ENOENT)) {
        return Some(
            judgement()
                .summary(format!("the working directory {place} is not there inside"))
                .pro(format!("no operation puts anything at {place}, above or below it")),
        );
    }
    let message = said.filter(|_| case.failed())?;
    let state = match case.errno() {
        Some(libc::EACCES) => "may not be entered by the command's user",
        Some(libc::ENOTDIR) => "is no directory",
        Some(libc::ENOENT) => "is not there inside",
        _ => "cannot be entered",
    };
    Some(
        judgement()
            .summary(format!("the working directory {place} {state}"))
            .pro(format!("bwrap says so: {message}")),
    )
}

pub(super) fn another_directory(case: &Case<'_>) -> Vec<Remedy> {
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

pub(super) fn label(case: &Case<'_>) -> Option<Judgement> {
    let privileges = case.sandbox.map(|sandbox| &sandbox.privileges);
    let asked = privileges.and_then(|all| all.exec_label.as_ref().or(all.file_label.as_ref()));
    let without = case.host.security.selinux_filesystem.is(&false);
    let judgement = || {
        Judgement::new(
            Confidence::High,
            "the sandbox starts in the same way without the label, or fails in another",
        )
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
                .pro("selinuxfs is not in /proc/filesystems"),
        );
    }
    let message = case.symptom?.message()?;
    Some(
        judgement()
            .summary(format!("the security label was refused: {message}"))
            .pro(format!("bwrap says so: {message}")),
    )
}

pub(super) fn filter(case: &Case<'_>) -> Option<Judgement> {
    let message = case.symptom?.message()?;
    let filters = case.sandbox.map_or(0, |sandbox| sandbox.privileges.filters.len());
    let (confidence, summary) = match (message.pattern(), case.errno()) {
        (Some("Can't read seccomp data"), _) => (
            Confidence::High,
            "bwrap cannot read the filter: its descriptor is closed, or was read by somebody else",
        ),
        (Some("Invalid seccomp data, must be multiple of 8"), _) => {
            (Confidence::High, "the filter is no classic BPF: its length is no multiple of 8 bytes")
        }
        (_, Some(libc::EINVAL)) => (
            Confidence::High,
            "the kernel rejects the filter: it is empty, too long (4096 instructions), or malformed",
        ),
        (_, Some(libc::EPERM | libc::EACCES)) if filters > 1 => {
            (Confidence::High, "a filter that was loaded before denies prctl, and so the next one")
        }
        (_, Some(libc::ENOMEM)) => {
            (Confidence::High, "all filters together are too long (32768 instructions)")
        }
        _ => (Confidence::Medium, "the filter could not be loaded"),
    };
    let mut judgement = Judgement::new(confidence, "the sandbox fails in the same way without its filters")
        .summary(summary)
        .pro(format!("bwrap says so: {message}"));
    if filters > 0 {
        judgement = judgement.pro(format!("the sandbox has {filters} filters"));
    }
    if case.host.process.seccomp.is_absent() {
        judgement = judgement.pro("the kernel has no system call filters (no Seccomp in /proc/self/status)");
    }
    Some(judgement)
}

pub(super) fn other_filter(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = vec![told!("compile-filter")];
    if matches!(case.errno(), Some(libc::EPERM | libc::EACCES)) {
        remedies.push(told!("strictest-filter-last"));
    }
    remedies
}

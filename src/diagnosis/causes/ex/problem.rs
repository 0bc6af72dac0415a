//! What the launcher found to be wrong with a program.

use crate::diagnosis::causes::ex::paths::program_remedies;
use crate::diagnosis::causes::ex::{executable, links, other_build, paths};
use crate::diagnosis::causes::prelude::*;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::{ProgramProblem, wish};

/// What the launcher found to be wrong with the program: it looked, so there is nothing to weigh.
pub(in crate::diagnosis) fn program(case: &Case<'_>) -> Option<Finding> {
    let problem = case.symptom?.program.as_ref()?;
    let (reason, remedies) = match problem {
        ProgramProblem::LoaderMissing { interpreter, .. }
        | ProgramProblem::InterpreterMissing { interpreter, .. } => {
            let elf = matches!(problem, ProgramProblem::LoaderMissing { .. });
            let mut remedies = vec![bind_or_install(case, interpreter)];
            remedies.extend(elf.then(links));
            (Cause::LoaderMissing, remedies)
        }
        ProgramProblem::CarriageReturn { path, .. } => {
            (Cause::LoaderMissing, vec![told!("no-carriage-returns", host = word(outside(case, path)))])
        }
        ProgramProblem::ShellMissing(path) => (Cause::LoaderMissing, shell(case, path)),
        ProgramProblem::NotFound { .. } => (Cause::ProgramMissing, program_remedies(case)),
        ProgramProblem::DanglingLink { link, target, .. } => {
            (Cause::ProgramMissing, vec![bind_target(case, link, target)])
        }
        ProgramProblem::LinkLoop(path) => {
            (Cause::ProgramMissing, vec![told!("correct-links", host = word(outside(case, path)))])
        }
        ProgramProblem::NameTooLong(_) => (Cause::ProgramMissing, vec![told!("shorter-path")]),
        ProgramProblem::NotSearchable { directory, .. } => {
            (Cause::ProgramNotExecutable, searchable(case, directory))
        }
        ProgramProblem::NotAFile(_) => (Cause::ProgramNotExecutable, vec![told!("name-regular-file")]),
        ProgramProblem::Busy(path) => {
            (Cause::ProgramNotExecutable, vec![told!("finish-writing", host = word(outside(case, path)))])
        }
        ProgramProblem::InterpreterLoop(path) => (
            Cause::ProgramNotExecutable,
            vec![told!("binary-as-interpreter", host = word(outside(case, path)))],
        ),
        ProgramProblem::NotExecutable { path, .. } => {
            (Cause::ProgramNotExecutable, vec![executable(&word(outside(case, path)))])
        }
        ProgramProblem::IsDirectory(path) => {
            (Cause::ProgramNotExecutable, vec![told!("program-in-directory", path = word(path))])
        }
        ProgramProblem::Noexec(path) => (Cause::ProgramNotExecutable, noexec(case, path)),
        ProgramProblem::WrongArchitecture { .. } | ProgramProblem::BadLoader { .. } => {
            (Cause::WrongArchitecture, vec![other_build()])
        }
    };
    let operation = match problem {
        ProgramProblem::NotExecutable { path, .. }
        | ProgramProblem::Noexec(path)
        | ProgramProblem::NotAFile(path)
        | ProgramProblem::Busy(path)
        | ProgramProblem::NotSearchable { directory: path, .. }
        | ProgramProblem::DanglingLink { link: path, .. } => paths::above(case, path),
        _ => None,
    };
    let judgement = weigh(High)
        .refuted_by(refutation(problem))
        .summary(problem.to_string())
        .heard(case, "the launcher looked at the files that the sandbox shows")
        .operation(operation);
    Some(judgement.finding(reason, wish::fit(case, remedies)))
}

fn refutation(problem: &ProgramProblem) -> String {
    match problem {
        ProgramProblem::NotFound { .. } => {
            "the program is at one of these paths inside, at the time of the launch".to_owned()
        }
        ProgramProblem::NotExecutable { path, .. } => {
            format!("`test -x {}` holds inside for the command's user", word(path))
        }
        ProgramProblem::IsDirectory(path) | ProgramProblem::NotAFile(path) => {
            format!("`test -f {}` holds inside", word(path))
        }
        ProgramProblem::Noexec(path) => format!("`findmnt -T {} -no OPTIONS` shows no noexec", word(path)),
        ProgramProblem::LoaderMissing { interpreter, .. }
        | ProgramProblem::InterpreterMissing { interpreter, .. } => {
            format!("`ls -l {}` finds it inside", word(interpreter))
        }
        ProgramProblem::CarriageReturn { path, .. } => {
            format!("`head -n 1 {} | od -c` shows no \\r", word(path))
        }
        ProgramProblem::ShellMissing(path) => {
            format!("`file {}` says that it is a binary, or /bin/sh is visible inside", word(path))
        }
        ProgramProblem::DanglingLink { target, .. } => format!("`ls -l {}` finds it inside", word(target)),
        ProgramProblem::LinkLoop(path) => format!("`namei {}` comes to an end inside", word(path)),
        ProgramProblem::NameTooLong(_) => "`getconf NAME_MAX` and PATH_MAX are larger there".to_owned(),
        ProgramProblem::NotSearchable { directory, .. } => {
            format!("`test -x {}` holds inside for the command's user", word(directory))
        }
        ProgramProblem::Busy(path) => {
            format!("`fuser -v {}` shows that nobody writes to it, nor to its interpreter", word(path))
        }
        ProgramProblem::InterpreterLoop(path) => {
            format!("`head -n 1 {}` names a binary", word(path))
        }
        ProgramProblem::WrongArchitecture { path, .. } | ProgramProblem::BadLoader { path, .. } => {
            format!(
                "`file {}` names the architecture of `uname -m`, or binfmt_misc has an emulator for the other",
                word(path)
            )
        }
    }
}

/// An interpreter that is missing where a bind shows the host's directory is missing on the host as well.
fn bind_or_install(case: &Case<'_>, interpreter: &Path) -> Remedy {
    let directory = interpreter.parent().filter(|parent| parent.parent().is_some()).unwrap_or(interpreter);
    match paths::outside(case, interpreter) {
        Some(host) => told!("install-interpreter", host = shown(&host)),
        None => Remedy::change(SandboxChange::RoBind { path: directory.to_owned() }),
    }
}

fn shell(case: &Case<'_>, path: &Path) -> Vec<Remedy> {
    vec![
        told!("name-interpreter", host = shown(&outside(case, path))),
        Remedy::change(SandboxChange::RoBind { path: "/bin".into() }),
    ]
}

/// The same path on the host, where the link is at the same place there.
fn bind_target(case: &Case<'_>, link: &Path, target: &Path) -> Remedy {
    let host = outside(case, link);
    if host == link {
        return Remedy::change(SandboxChange::RoBind { path: target.to_owned() });
    }
    told!("bind-target-of-link", target = shown(target), host = word(host))
}

fn searchable(case: &Case<'_>, directory: &Path) -> Vec<Remedy> {
    match paths::outside(case, directory) {
        Some(host) => vec![
            told!("make-searchable", directory = word(&host)),
            told!("bind-where-it-is-reached", directory = shown(&host)),
        ],
        None => vec![told!("directory-with-x", directory = shown(directory))],
    }
}

/// A path inside, on the host where it is bound.
fn outside(case: &Case<'_>, path: &Path) -> std::path::PathBuf {
    paths::outside(case, path).unwrap_or_else(|| path.to_owned())
}

fn noexec(case: &Case<'_>, path: &Path) -> Vec<Remedy> {
    let host = outside(case, path);
    vec![told!("bind-program-without-noexec", host = word(&host)), told!("remount-exec", host = word(&host))]
}

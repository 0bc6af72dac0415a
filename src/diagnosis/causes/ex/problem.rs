//! What the launcher found to be wrong with a program.

use std::path::PathBuf;

use super::paths::{self, program_remedies};
use crate::diagnosis::causes::prelude::*;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::{ProgramProblem as Problem, wish};
use Cause::{LoaderMissing, ProgramMissing, ProgramNotExecutable, WrongArchitecture};

/// What the launcher found to be wrong with the program: it looked, so there is nothing to weigh.
pub(in crate::diagnosis) fn program(case: &Case<'_>) -> Option<Finding> {
    let problem = case.symptom?.program.as_ref()?;
    let (reason, remedies) = remedies(case, problem);
    let operation = match problem {
        Problem::NotExecutable { path, .. }
        | Problem::Noexec(path)
        | Problem::NotAFile(path)
        | Problem::Busy(path)
        | Problem::NotSearchable { directory: path, .. }
        | Problem::DanglingLink { link: path, .. } => paths::above(case, path),
        _ => None,
    };
    let judgement = weigh(High)
        .refuted_by(refutation(problem))
        .summary(problem.to_string())
        .heard(case, "the launcher looked at the files that the sandbox shows")
        .operation(operation);
    Some(judgement.finding(reason, wish::fit(case, remedies)))
}

/// The cause that a problem is, and what helps.
fn remedies(case: &Case<'_>, problem: &Problem) -> (Cause, Vec<Remedy>) {
    let host = |path: &Path| word(outside(case, path));
    match problem {
        Problem::LoaderMissing { interpreter, .. } => {
            (LoaderMissing, vec![bind_or_install(case, interpreter), told!("links-of-merged-usr")])
        }
        Problem::InterpreterMissing { interpreter, .. } => {
            (LoaderMissing, vec![bind_or_install(case, interpreter)])
        }
        Problem::CarriageReturn { path, .. } => {
            (LoaderMissing, vec![told!("no-carriage-returns", host = host(path))])
        }
        Problem::ShellMissing(path) => {
            let named = told!("name-interpreter", host = shown(&outside(case, path)));
            (LoaderMissing, vec![named, Remedy::ro_bind("/bin")])
        }
        Problem::NotFound { .. } => (ProgramMissing, program_remedies(case)),
        Problem::DanglingLink { link, target, .. } => (ProgramMissing, vec![bind_target(case, link, target)]),
        Problem::LinkLoop(path) => (ProgramMissing, vec![told!("correct-links", host = host(path))]),
        Problem::NameTooLong(_) => (ProgramMissing, vec![told!("shorter-path")]),
        Problem::NotSearchable { directory, .. } => (ProgramNotExecutable, searchable(case, directory)),
        Problem::NotAFile(_) => (ProgramNotExecutable, vec![told!("name-regular-file")]),
        Problem::Busy(path) => (ProgramNotExecutable, vec![told!("finish-writing", host = host(path))]),
        Problem::InterpreterLoop(path) => {
            (ProgramNotExecutable, vec![told!("binary-as-interpreter", host = host(path))])
        }
        Problem::NotExecutable { path, .. } => {
            (ProgramNotExecutable, vec![told!("make-executable", program = host(path))])
        }
        Problem::IsDirectory(path) => {
            (ProgramNotExecutable, vec![told!("program-in-directory", path = word(path))])
        }
        Problem::Noexec(path) => {
            let elsewhere = told!("bind-program-without-noexec", host = host(path));
            (ProgramNotExecutable, vec![elsewhere, told!("remount-exec", host = host(path))])
        }
        Problem::WrongArchitecture { .. } | Problem::BadLoader { .. } => {
            (WrongArchitecture, vec![told!("other-build")])
        }
    }
}

/// What would show that it is not so, about a path.
fn refutation(problem: &Problem) -> String {
    let (text, path) = match problem {
        Problem::NotFound { program, .. } => {
            ("the program is at one of these paths inside, at the time of the launch", program)
        }
        Problem::NotExecutable { path, .. } | Problem::NotSearchable { directory: path, .. } => {
            ("`test -x {}` holds inside for the command's user", path)
        }
        Problem::IsDirectory(path) | Problem::NotAFile(path) => ("`test -f {}` holds inside", path),
        Problem::Noexec(path) => ("`findmnt -T {} -no OPTIONS` shows no noexec", path),
        Problem::LoaderMissing { interpreter: path, .. }
        | Problem::InterpreterMissing { interpreter: path, .. }
        | Problem::DanglingLink { target: path, .. } => ("`ls -l {}` finds it inside", path),
        Problem::CarriageReturn { path, .. } => ("`head -n 1 {} | od -c` shows no \\r", path),
        Problem::ShellMissing(path) => {
            ("`file {}` says that it is a binary, or /bin/sh is visible inside", path)
        }
        Problem::LinkLoop(path) => ("`namei {}` comes to an end inside", path),
        Problem::NameTooLong(path) => ("`getconf NAME_MAX` and PATH_MAX are larger there", path),
        Problem::Busy(path) => ("`fuser -v {}` shows that nobody writes to it, nor to its interpreter", path),
        Problem::InterpreterLoop(path) => ("`head -n 1 {}` names a binary", path),
        Problem::WrongArchitecture { path, .. } | Problem::BadLoader { path, .. } => (
            "`file {}` names the architecture of `uname -m`, or binfmt_misc has an emulator for the other",
            path,
        ),
    };
    text.replacen("{}", &word(path), 1)
}

/// An interpreter that is missing where a bind shows the host's directory is missing on the host as well.
fn bind_or_install(case: &Case<'_>, interpreter: &Path) -> Remedy {
    let directory = interpreter.parent().filter(|parent| parent.parent().is_some()).unwrap_or(interpreter);
    match paths::outside(case, interpreter) {
        Some(host) => told!("install-interpreter", host = shown(&host)),
        None => Remedy::ro_bind(directory),
    }
}

/// The same path on the host, where the link is at the same place there.
fn bind_target(case: &Case<'_>, link: &Path, target: &Path) -> Remedy {
    match outside(case, link) {
        host if host == link => Remedy::ro_bind(target),
        host => told!("bind-target-of-link", target = shown(target), host = word(host)),
    }
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
fn outside(case: &Case<'_>, path: &Path) -> PathBuf {
    paths::outside(case, path).unwrap_or_else(|| path.to_owned())
}

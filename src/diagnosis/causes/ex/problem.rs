//! What the launcher found to be wrong with a program.

use super::super::bd::lookup::is_kept_mounted;
use super::{above, outside, program_remedies};
use crate::diagnosis::ProgramProblem as Problem;
use crate::diagnosis::causes::prelude::*;
use Cause::{ExecLoop, LoaderMissing, ProgramMissing, ProgramNotExecutable, WrongArchitecture};

/// What the launcher found to be wrong with the program: it looked, so there is nothing to weigh.
pub(in crate::diagnosis) fn program(case: &Case<'_>) -> Option<Finding> {
    let problem = case.symptom?.program.as_ref()?;
    let misplaced = in_its_directory(case, problem);
    let (is, refutation, path, remedies) = row(case, problem, misplaced);
    let operation = match problem {
        Problem::NotExecutable { path, .. }
        | Problem::Noexec(path)
        | Problem::NotAFile(path)
        | Problem::Busy(path)
        | Problem::NotSearchable { directory: path, .. } => above(case, path),
        Problem::LinkLoop(path) => link_on_the_way(case, path),
        Problem::DanglingLink { link, .. } => own_link(case, link).or(above(case, link)),
        _ => None,
    };
    let operation = misplaced.or(operation);
    let judgement = weigh(High)
        .refuted_by(refutation.replacen("{}", &word(path), 1))
        .summary(match problem {
            Problem::NotExecutable { path, mode } if made(case, path).is_some() => format!(
                "{} is not executable (mode {mode:04o}): the sandbox makes that file, and gives it no x",
                shown(path)
            ),
            Problem::LoaderMissing { path, interpreter, .. } if misplaced.is_some() => format!(
                "{} is there, but its loader {} is not: that file is bound in the place of the directory that it lies in",
                shown(path),
                shown(interpreter)
            ),
            problem => problem.to_string(),
        })
        .heard(case, evidence::LOOKED)
        .operation(operation);
    Some(judgement.finding(is, wish::fit(case, remedies)))
}

/// The cause that a problem is, what would show that it is not so, about which path, and what helps. `misplaced` is the bind that a
/// loader has [in the place of its directory](in_its_directory).
fn row<'a>(
    case: &Case<'_>,
    problem: &'a Problem,
    misplaced: Option<usize>,
) -> (Cause, &'static str, &'a Path, Vec<Remedy>) {
    const FOUND: &str = "`ls -l {}` finds it inside";
    const EXECUTABLE: &str = "`test -x {}` holds inside for the command's user";
    const A_FILE: &str = "`test -f {}` holds inside";
    const OTHER_ELF: &str =
        "`file {}` names the architecture of `uname -m`, or binfmt_misc has an emulator for the other";
    let host = |path: &Path| word(bound(case, path));
    match problem {
        Problem::LoaderMissing { interpreter, .. } if misplaced.is_some() => {
            let change = misplaced.map(|operation| {
                Remedy::change(SandboxChange::Destination { operation, path: interpreter.clone() })
            });
            (LoaderMissing, FOUND, interpreter, Vec::new().or(change))
        }
        Problem::LoaderMissing { interpreter, bind, .. } => {
            let links = bind.as_ref().map(|_| told!(EX01, "links-of-merged-usr"));
            (LoaderMissing, FOUND, interpreter, bind_or_install(case, interpreter, bind.as_deref()).or(links))
        }
        // the kernel looks for it in the working directory
        Problem::InterpreterMissing { path, interpreter, bind: None } if interpreter.is_relative() => {
            (LoaderMissing, FOUND, interpreter, vec![told!(EX01, "whole-path", host = host(path))])
        }
        Problem::BadInterpreter { path, .. } => {
            let helps = told!(EX03, "correct-interpreter-line", host = host(path));
            (ProgramNotExecutable, "`head -n 1 {}` names a program that starts by itself", path, vec![helps])
        }
        Problem::InterpreterMissing { interpreter, bind, .. } => {
            (LoaderMissing, FOUND, interpreter, vec![bind_or_install(case, interpreter, bind.as_deref())])
        }
        Problem::CarriageReturn { path, .. } => {
            let helps = told!(EX01, "no-carriage-returns", host = host(path));
            (LoaderMissing, "`head -n 1 {} | od -c` shows no \\r", path, vec![helps])
        }
        Problem::ShellMissing(path) => {
            let named = told!(EX01, "name-interpreter", host = shown(&bound(case, path)));
            let refutation = "`file {}` says that it is a binary, or /bin/sh is visible inside";
            (LoaderMissing, refutation, path, named.or([Remedy::ro_bind("/bin")]))
        }
        Problem::NotFound { program, .. } => {
            let refutation = "the program is at one of these paths inside, at the time of the launch";
            (ProgramMissing, refutation, program, program_remedies(case))
        }
        Problem::DanglingLink { link, target, broken, .. } => {
            (ProgramMissing, FOUND, target, astray(case, link, target, *broken))
        }
        Problem::LinkLoop(path) => {
            let helps = match link_on_the_way(case, path) {
                Some(index) => told!(EX12, "own-link", number = index + 1),
                None => told!(EX12, "links", program = host(path)),
            };
            (ExecLoop, "`namei {}` comes to an end inside", path, vec![helps])
        }
        Problem::NameTooLong(path) => {
            let refutation = "`getconf NAME_MAX` and PATH_MAX are larger there";
            (ProgramMissing, refutation, path, vec![told!(EX02, "shorter-path")])
        }
        Problem::TrailingSlash(path) => {
            (ProgramMissing, "`test -d {}` holds inside", path, vec![told!(EX02, "without-slash")])
        }
        Problem::NotSearchable { directory, .. } => {
            (ProgramNotExecutable, EXECUTABLE, directory, searchable(case, directory))
        }
        Problem::NotAFile(path) => (ProgramNotExecutable, A_FILE, path, vec![told!(EX03, "regular-file")]),
        Problem::Busy(path) => {
            let refutation = "`fuser -v {}` shows that nobody writes to it, nor to its interpreter";
            (ProgramNotExecutable, refutation, path, vec![told!(EX03, "finish-writing", host = host(path))])
        }
        Problem::InterpreterLoop(path) => {
            let helps = told!(EX12, "interpreter", program = host(path));
            (ExecLoop, "`head -n 1 {}` names a binary", path, vec![helps])
        }
        // the mode is the sandbox's own to give, and what the host has at that path is another file
        Problem::NotExecutable { path, .. } if made(case, path).is_some() => {
            let option = made(case, path).unwrap_or_default();
            let helps = match changed(case, path) {
                Some(index) => told!(EX03, "mode-of-chmod", number = index + 1),
                None => told!(EX03, "mode-of-content", option),
            };
            (ProgramNotExecutable, EXECUTABLE, path, vec![helps])
        }
        // another file was bound over it
        Problem::NotExecutable { path, .. } if covered(case, path).is_some() => {
            let over = covered(case, path).map(Remedy::leave_out);
            let executable = told!(EX03, "executable", program = host(path));
            (ProgramNotExecutable, EXECUTABLE, path, Vec::new().or(over).or([executable]))
        }
        Problem::NotExecutable { path, .. } => {
            (ProgramNotExecutable, EXECUTABLE, path, vec![told!(EX03, "executable", program = host(path))])
        }
        Problem::IsDirectory(path) => {
            (ProgramNotExecutable, A_FILE, path, vec![told!(EX03, "program-in-directory", path = word(path))])
        }
        Problem::Noexec(path) => {
            let (bind, remount) =
                (told!(EX03, "bind-exec", host = host(path)), told!(EX03, "remount-exec", host = host(path)));
            let helps = bind.or([remount]);
            (ProgramNotExecutable, "`findmnt -T {} -no OPTIONS` shows no noexec", path, helps)
        }
        Problem::WrongArchitecture { path, .. } | Problem::BadLoader { path, .. } => {
            (WrongArchitecture, OTHER_ELF, path, vec![told!(EX04, "other-build")])
        }
    }
}

/// The link of the sandbox's own that a path is, or leads through.
fn link_on_the_way(case: &Case<'_>, path: &Path) -> Option<usize> {
    path.ancestors().find_map(|above| own_link(case, above))
}

/// The operation that takes x away from what the sandbox has made.
fn changed(case: &Case<'_>, path: &Path) -> Option<usize> {
    let last = case.sandbox?.operations.iter().rposition(|operation| operation.is_on(path))?;
    let operation = case.sandbox?.operations.get(last)?;
    matches!(operation, Operation::Chmod(change) if change.mode & 0o111 == 0).then_some(last)
}

/// The option with which the sandbox makes a file from content that it is given, if it makes this one.
pub(super) fn made(case: &Case<'_>, path: &Path) -> Option<&'static str> {
    let above = |operation: &&Operation| {
        path.starts_with(operation.destination()) && !matches!(operation, Operation::Chmod(_))
    };
    match case.sandbox?.operations.iter().rfind(above)? {
        Operation::File(file) if file.destination == path => Some("--file"),
        Operation::BindData(data) if data.destination == path => {
            Some(if data.read_only { "--ro-bind-data" } else { "--bind-data" })
        }
        _ => None,
    }
}

/// The operation that makes a link, if the sandbox does.
fn own_link(case: &Case<'_>, link: &Path) -> Option<usize> {
    case.sandbox?.own_link(link)
}

/// The bind that puts a loader where its directory has to be.
fn in_its_directory(case: &Case<'_>, problem: &Problem) -> Option<usize> {
    let Problem::LoaderMissing { interpreter, .. } = problem else { return None };
    case.sandbox?.operations.iter().rposition(|operation| {
        let named =
            operation.as_bind().is_some_and(|bind| bind.source.file_name() == interpreter.file_name());
        named && interpreter.parent().is_some_and(|directory| operation.is_on(directory))
    })
}

/// The bind that puts a file of the system's, of another name, just there: that is not to be made executable.
fn covered(case: &Case<'_>, path: &Path) -> Option<usize> {
    let sandbox = case.sandbox?;
    let index = sandbox.mount_above(path)?;
    let bind = sandbox.operations.get(index)?.as_bind()?;
    let other = bind.destination == path && bind.source.file_name() != path.file_name();
    (other && is_kept_mounted(&bind.source)).then_some(index)
}

fn bind_or_install(case: &Case<'_>, interpreter: &Path, bind: Option<&Path>) -> Remedy {
    match bind {
        Some(path) => Remedy::ro_bind(path),
        None => told!(EX01, "install-interpreter", host = shown(&bound(case, interpreter))),
    }
}

/// What helps where a link leads to something that is not inside.
fn astray(case: &Case<'_>, link: &Path, target: &Path, broken: bool) -> Vec<Remedy> {
    if broken {
        return vec![told!(EX02, "mend-link", host = word(bound(case, link)), target = shown(target))];
    }
    let own = own_link(case, link)
        .map(|index| told!(EX02, "correct-link", number = index + 1, target = word(target)));
    Vec::new().or(own).or([bind_target(case, link, target)])
}

/// The same path on the host, where the link is at the same place there.
fn bind_target(case: &Case<'_>, link: &Path, target: &Path) -> Remedy {
    match bound(case, link) {
        host if host == link => Remedy::ro_bind(target),
        host => told!(EX02, "bind-target-of-link", target = shown(target), host = word(host)),
    }
}

fn searchable(case: &Case<'_>, directory: &Path) -> Vec<Remedy> {
    match outside(case, directory) {
        Some(host) => vec![
            told!(EX03, "make-searchable", directory = word(&host)),
            told!(EX03, "bind-where-it-is-reached", directory = shown(&host)),
        ],
        None => vec![told!(EX03, "directory-with-x", directory = shown(directory))],
    }
}

/// A path inside, on the host where it is bound.
fn bound(case: &Case<'_>, path: &Path) -> PathBuf {
    outside(case, path).unwrap_or_else(|| path.to_owned())
}

//! What the launcher found to be wrong with a program.

use std::path::Path;

use super::super::super::ProgramProblem;
use super::super::super::case::Case;
use super::super::super::finding::{Confidence, Finding};
use super::super::super::remedies::{change, commands, manual};
use super::super::super::remedy::{Remedy, SandboxChange};
use super::super::{Cause, Judgement};
use super::paths::{self, program_remedies};
use super::{executable, links, other_build};
use crate::diagnosis::rules::facts::word;

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
        ProgramProblem::CarriageReturn { path, .. } => (Cause::LoaderMissing, vec![unix_lines(case, path)]),
        ProgramProblem::ShellMissing(path) => (Cause::LoaderMissing, shell(case, path)),
        ProgramProblem::NotFound { .. } => (Cause::ProgramMissing, program_remedies(case)),
        ProgramProblem::DanglingLink { link, target, .. } => {
            (Cause::ProgramMissing, vec![bind_target(case, link, target)])
        }
        ProgramProblem::LinkLoop(path) => (Cause::ProgramMissing, vec![untangle(case, path)]),
        ProgramProblem::NameTooLong(_) => (
            Cause::ProgramMissing,
            vec![manual(
                "Name the program by a shorter path",
                "bind its directory to a shorter one, or start it from where it is: .current_dir(..) and a relative name",
                "nothing",
            )],
        ),
        ProgramProblem::NotSearchable { directory, .. } => {
            (Cause::ProgramNotExecutable, searchable(case, directory))
        }
        ProgramProblem::NotAFile(_) => (Cause::ProgramNotExecutable, vec![another_program()]),
        ProgramProblem::Busy(path) => (Cause::ProgramNotExecutable, vec![finish_writing(case, path)]),
        ProgramProblem::InterpreterLoop(path) => (
            Cause::ProgramNotExecutable,
            vec![manual(
                "Name a binary in the #! line",
                &format!(
                    "`head -n 1 {}` shows the interpreter; a script as interpreter needs another line: #!/usr/bin/env -S INTERPRETER ARGUMENTS",
                    word(&outside(case, path))
                ),
                "nothing",
            )],
        ),
        ProgramProblem::NotExecutable { path, .. } => {
            (Cause::ProgramNotExecutable, vec![executable(&argument(&outside(case, path)))])
        }
        ProgramProblem::IsDirectory(path) => (
            Cause::ProgramNotExecutable,
            vec![manual(
                "Name the program in it",
                &format!("`ls {}` lists what is there", word(path)),
                "nothing",
            )],
        ),
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
    let judgement = Judgement::new(Confidence::High, refutation(problem))
        .summary(problem.to_string())
        .pro("the launcher looked at the files that the sandbox shows");
    Some(Finding {
        cause: reason,
        confidence: judgement.confidence,
        summary: judgement.summary.unwrap_or_default(),
        evidence: judgement.evidence,
        refuted_by: judgement.refuted_by,
        remedies,
        operation,
    })
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
        Some(host) => manual(
            "Install it, or take a program that needs what is there",
            &format!(
                "{} is missing on the host, too: install its package (of a loader: another C library), or correct the #! line",
                word(&host)
            ),
            "nothing",
        ),
        None => change(SandboxChange::RoBind { path: directory.to_owned() }),
    }
}

fn unix_lines(case: &Case<'_>, path: &Path) -> Remedy {
    commands(
        "Take the carriage returns out of the script",
        &[&format!("sed -i 's/\\r$//' {}", argument(&outside(case, path)))],
        "the file changes; in a git checkout, set the attribute eol=lf for it",
    )
}

fn shell(case: &Case<'_>, path: &Path) -> Vec<Remedy> {
    vec![
        manual(
            "Give the file a #! line",
            &format!("{} has none, and is no binary: name its interpreter in it", word(&outside(case, path))),
            "nothing",
        ),
        change(SandboxChange::RoBind { path: "/bin".into() }),
    ]
}

/// The same path on the host, where the link is at the same place there.
fn bind_target(case: &Case<'_>, link: &Path, target: &Path) -> Remedy {
    let host = outside(case, link);
    if host == link {
        return change(SandboxChange::RoBind { path: target.to_owned() });
    }
    manual(
        "Bind what the link leads to",
        &format!(
            "bind it read-only to {} inside: `ls -l {}` shows which file is meant on the host",
            word(target),
            word(&host)
        ),
        "the command can read what is bound",
    )
}

fn untangle(case: &Case<'_>, path: &Path) -> Remedy {
    manual(
        "Correct the links",
        &format!(
            "`namei {}` follows them one by one, and shows the one that leads back",
            word(&outside(case, path))
        ),
        "nothing",
    )
}

fn searchable(case: &Case<'_>, directory: &Path) -> Vec<Remedy> {
    match paths::outside(case, directory) {
        Some(host) => vec![
            commands(
                "Let the command's user search the directory",
                &[&format!("ls -ld {}", argument(&host)), &format!("chmod +x {}", argument(&host))],
                "everybody may reach what is in it by name",
            ),
            manual(
                "Bind what is needed of it to a path that can be reached",
                &format!("what is in {} can be bound elsewhere by who may search it", word(&host)),
                "the command can read what is bound",
            ),
        ],
        None => vec![manual(
            "Make the directory with x",
            &format!("give {} a mode such as 0755 in the sandbox", word(directory)),
            "nothing",
        )],
    }
}

fn another_program() -> Remedy {
    manual("Name a program", "devices, sockets and FIFOs are not executed; name a file", "nothing")
}

fn finish_writing(case: &Case<'_>, path: &Path) -> Remedy {
    let host = outside(case, path);
    manual(
        "Wait until it is written, and closed by every process",
        &format!(
            "`fuser -v {}` names who has it open: write to another file and rename(2) that, or close it (in a forked child, too) before the launch",
            word(&host)
        ),
        "nothing",
    )
}

/// A path as an argument that no program takes for an option.
fn argument(path: &Path) -> String {
    if path.is_absolute() { word(path) } else { word(&Path::new(".").join(path)) }
}

/// A path inside, on the host where it is bound.
fn outside(case: &Case<'_>, path: &Path) -> std::path::PathBuf {
    paths::outside(case, path).unwrap_or_else(|| path.to_owned())
}

fn noexec(case: &Case<'_>, path: &Path) -> Vec<Remedy> {
    let host = outside(case, path);
    vec![
        manual(
            "Bind the program from a file system that allows executing",
            &format!("copy {} to one without noexec (`findmnt -T`), and bind it from there", word(&host)),
            "nothing",
        ),
        commands(
            "Remount its file system with exec",
            &[&format!("mount -o remount,exec \"$(findmnt -nT {} -o TARGET)\"", word(&host))],
            "everybody may execute what lies on that file system",
        ),
    ]
}

//! Where a program is inside, as far as the sandbox's operations tell without looking at files.

use std::path::{Component, PathBuf};

use crate::diagnosis::ProgramProblem;
use crate::diagnosis::causes::bd::lookup;
use crate::diagnosis::causes::prelude::*;
use crate::sandbox::{Inherit, Sandbox, below, relative};

/// The program as bwrap named it; `None` if the launcher has looked and knows better.
pub(super) fn unseen<'a>(case: &Case<'a>) -> Option<&'a Path> {
    let unseen = case.symptom?.program.is_none();
    case.message()?.subject().filter(|_| unseen).map(Path::new)
}

/// What the operations say about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// None of them puts anything there.
    Nowhere,
    /// One shows it, or something above it.
    Bound,
    /// It is searched for, or the sandbox is not known.
    Unknown,
}

pub(super) fn place(case: &Case<'_>, program: &Path) -> Place {
    let plain = program.is_absolute() && !leads_back(program);
    let Some(sandbox) = case.sandbox.filter(|_| plain) else { return Place::Unknown };
    let shows = |operation: &Operation| match operation {
        // an empty directory shows nothing below it
        Operation::Dir(_) | Operation::Tmpfs(_) | Operation::RemountRo(_) | Operation::Chmod(_) => {
            relative(operation.destination()) == relative(program)
        }
        _ => below(program, operation.destination()),
    };
    if sandbox.operations.iter().any(shows) { Place::Bound } else { Place::Nowhere }
}

/// Where `..` leads behind a symbolic link, nobody knows from here.
fn leads_back(path: &Path) -> bool {
    path.components().any(|component| component == Component::ParentDir)
}

/// Whether an operation puts something at a path, above it, or below it. The root is always there.
pub(super) fn reachable(sandbox: &Sandbox, path: &Path) -> bool {
    leads_back(path)
        || relative(path).as_os_str().is_empty()
        || sandbox.operations.iter().any(|operation| match operation {
            // these make nothing, and a tmpfs or directory above is empty
            Operation::Chmod(_) | Operation::RemountRo(_) => false,
            Operation::Tmpfs(_) | Operation::Dir(_) | Operation::File(_) | Operation::Mqueue(_) => {
                below(operation.destination(), path)
            }
            _ => below(path, operation.destination()) || below(operation.destination(), path),
        })
}

/// Whether an operation makes one of the directories in which loaders are.
pub(super) fn loader_is_visible(sandbox: &Sandbox) -> bool {
    let mut made = sandbox.operations.iter().filter(|operation| {
        !matches!(operation, Operation::Tmpfs(_) | Operation::RemountRo(_) | Operation::Chmod(_))
    });
    made.any(|operation| {
        let at = operation.destination();
        ["/lib64", "/lib"].iter().map(Path::new).any(|loaders| below(loaders, at) || below(at, loaders))
    })
}

/// The last bind at a path or above it.
pub(super) fn above(case: &Case<'_>, path: &Path) -> Option<usize> {
    let operations = &case.sandbox?.operations;
    operations.iter().rposition(|operation| operation.is_mount() && below(path, operation.destination()))
}

/// Where on the host a path inside is.
pub(super) fn outside(case: &Case<'_>, path: &Path) -> Option<PathBuf> {
    lookup::outside(case.sandbox?.operations.get(above(case, path)?)?, path)
}

/// Bind the program's directory, or search in another.
pub(super) fn program_remedies(case: &Case<'_>) -> Vec<Remedy> {
    let problem = case.symptom.and_then(|symptom| symptom.program.as_ref());
    let program = match problem {
        Some(ProgramProblem::NotFound { program, .. }) => Some(program.as_path()),
        _ => unseen(case),
    };
    let inherited = match case.sandbox.map(|sandbox| &sandbox.environment.inherit) {
        Some(Inherit::Everything) => "the command inherits the caller's",
        Some(_) => "the command does not inherit the caller's",
        None => "the command inherits the caller's only where the environment is not cleared",
    };
    let directory = program.filter(|program| program.is_absolute()).and_then(Path::parent);
    let bind = match directory.filter(|directory| directory.parent().is_some()) {
        Some(directory) => Remedy::ro_bind(directory),
        None => told!("bind-program-directory"),
    };
    vec![told!("correct-program-name", inherited), bind]
}

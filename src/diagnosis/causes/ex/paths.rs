//! Where a program is inside, as far as the sandbox's operations tell without looking at files.

use crate::diagnosis::ProgramProblem;
use crate::diagnosis::causes::prelude::*;
use crate::sandbox::Inherit;

/// The program as bwrap named it; `None` if the launcher has looked and knows better.
pub(super) fn unseen<'a>(case: &Case<'a>) -> Option<&'a Path> {
    let unseen = case.symptom?.program.is_none();
    case.message()?.subject().filter(|_| unseen).map(Path::new)
}

/// The last mount at a path or above it.
pub(super) fn above(case: &Case<'_>, path: &Path) -> Option<usize> {
    case.sandbox?.mount_above(path)
}

/// Where on the host a path inside is.
pub(super) fn outside(case: &Case<'_>, path: &Path) -> Option<PathBuf> {
    case.sandbox?.operations.get(above(case, path)?)?.outside(path)
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
        None => told!(EX02, "bind-program-directory"),
    };
    let correct = told!(EX02, "correct-program-name", inherited);
    let proven = program.and_then(|program| case.sandbox?.shows(program)) == Some(false);
    if proven { bind.or([correct]) } else { correct.or([bind]) }
}

//! Executing the program: what is wrong with it, with its working directory, label and filters.

mod environment;
pub(super) mod loader;
mod paths;
mod problem;
#[cfg(test)]
mod tests;

use super::prelude::*;

use paths::{program_remedies, unseen};
pub(in crate::diagnosis) use problem::program;

const EXECVP: &str = "execvp %s";

rules! {
    LoaderFailed, Failed, [
        "error while loading shared libraries: %s", "symbol lookup error: %s",
        "%s: version `%s' not found (required by %s)"
    ],
        unless "`bwrap --version` in the same environment prints a version"
        => loader::loader_failed, loader::mend_libraries;

    WorkingDirectoryMissing, Anytime, ["Can't chdir to %s"]
        => environment::working_directory, environment::another_directory;

    LabelRefused, Anytime, [
        "label_exec %s", "--file-label setup failed", "invalid label %s",
        "labeling not supported on this system"
    ],
        unless "the sandbox starts in the same way without the label, or fails in another"
        => environment::label;

    ProgramMissing, Failed, [EXECVP => (ENOENT ENOTDIR EACCES)] => program_missing, program_remedies;

    LoaderMissing, Failed, [EXECVP => (ENOENT)]
        => loader_missing, |case| {
            let binds = vec![Remedy::ro_bind("/lib64"), Remedy::ro_bind("/lib")];
            let links = told!(EX01, "links-of-merged-usr");
            // of links that are there another is no help
            let there = case.sandbox.and_then(Sandbox::shows_loaders) == Some(false);
            if there { binds.or([links]) } else { links.or(binds) }
        };

    ProgramNotExecutable, Failed, [EXECVP => (EACCES EISDIR ETXTBSY)]
        => not_executable, |_| vec![told!(EX03, "make-executable", program = "PROGRAM")];

    WrongArchitecture, Failed, [EXECVP => (ENOEXEC ELIBBAD)],
        unless "`file` says that the program is built for this machine (`uname -m`)" => |case| {
            let name = unseen(case)?.display();
            let found = weigh(Medium).summary(format!("{name} is in no format that this machine executes"));
            Some(found.heard(case, "the kernel takes neither its ELF header nor a #! line"))
        };

    ExecDenied, Failed, [EXECVP => (EPERM EACCES)],
        unless "dmesg has no line with DENIED, avc: or type=1326 from that moment"
        => denied;

    LockFileFailed, Failed, ["Unable to open lock file %s", "Unable to lock file %s"],
        unless "the file is there inside, the command can read it, and `lsof` on the host names nobody who has it"
        => environment::lock_file, environment::lockable;
}

const NO_LOADERS: &str =
    "no operation makes /lib64 or /lib, where dynamically linked programs have their loader";
const LOADERS: &str = "operations make /lib64 or /lib, where loaders mostly are";

fn loader_missing(case: &Case<'_>) -> Option<Judgement> {
    let program = unseen(case)?;
    let name = program.display();
    let visible = "`, and its #! line, name what is visible inside";
    let found = |confidence| {
        weigh(confidence)
            .refuted_by(format!("`readelf -l {name} | grep interpreter{visible}"))
            .summary(format!("{name} may be there, but its loader or interpreter is not visible inside"))
            .heard(case, "the kernel says \"No such file or directory\" about a missing loader, too")
    };
    let shows = |sandbox: &Sandbox| (shown(sandbox, program), sandbox.shows_loaders());
    Some(match case.sandbox.map(shows) {
        // what is not there needs no loader
        Some((Some(false), _)) => return None,
        Some((_, None)) => found(High).asked(case, NO_LOADERS),
        Some((Some(true), Some(true))) => found(Low).contra(evidence::asked(case, LOADERS)),
        Some((Some(true), Some(false))) => {
            found(Medium).asked(case, "links stand for /lib64 or /lib, and may lead to nothing inside")
        }
        _ => found(Medium).unknown("the program itself, and what the sandbox shows"),
    })
}

/// Whether a sandbox shows a program, or what is searched for where most are.
fn shown(sandbox: &Sandbox, program: &Path) -> Option<bool> {
    let usual = Path::new("/usr/bin");
    let searched = program.components().count() == 1 && sandbox.shows(usual) == Some(true);
    if searched { Some(true) } else { sandbox.shows(program) }
}

fn program_missing(case: &Case<'_>) -> Option<Judgement> {
    let program = unseen(case)?;
    let name = program.display();
    let searched = program.components().count() == 1 && !program.is_absolute();
    if case.errno() == Some(libc::EACCES) {
        // execvp remembers the one directory of PATH that it may not search
        let or = "or lies in a directory of PATH that the user may not search";
        let wins =
            "\"Permission denied\" wins over \"No such file\" if one directory of PATH may not be searched";
        let found = weigh(Medium)
            .refuted_by("PATH inside has only directories that the user may search")
            .summary(format!("{name} is not there inside, {or}"))
            .heard(case, wins);
        return searched.then_some(found);
    }
    let shown = case.sandbox.and_then(|sandbox| sandbox.shows(program));
    let look = if searched && shown.is_none() { "command -v" } else { "ls -lL" };
    let usual = searched && case.sandbox.and_then(|sandbox| self::shown(sandbox, program)) == Some(true);
    let found = weigh(if shown == Some(false) {
        High
    } else if usual {
        Low
    } else {
        Medium
    })
    .refuted_by(format!("`{look} {name}`, typed in the same sandbox with a shell, finds it"))
    .summary(format!("{name} is not there inside"));
    Some(match shown {
        Some(false) => {
            found.asked(case, format!("no operation of the sandbox puts anything at {name} or above it"))
        }
        Some(true) => found.asked(
            case,
            "an operation of the sandbox shows the directory above it; the file may be missing there",
        ),
        None if searched => found
            .heard(case, "bwrap looked for it in the directories of PATH, as the command sees it")
            .unknown("PATH inside: a cleared environment has none, and then it is /bin:/usr/bin"),
        None => found.unknown("what the sandbox shows there"),
    })
}

fn not_executable(case: &Case<'_>) -> Option<Judgement> {
    let name = unseen(case)?.display();
    let found = weigh(Medium)
        .refuted_by(format!("`test -f {name} && test -x {name}` holds inside for the command's user"))
        .unknown("the file: `ls -lL` and `findmnt -T` on it, inside");
    Some(found.summary(if case.errno() == Some(libc::ETXTBSY) {
        format!("{name} is open for writing, and cannot be executed meanwhile")
    } else {
        format!("{name} has no x for the user, is a directory, or lies on a file system mounted noexec")
    }))
}

/// Everything else that makes a file executable was looked at, or cannot answer so.
fn denied(case: &Case<'_>) -> Option<Judgement> {
    let name = unseen(case)?.display();
    let not_permitted = case.errno() == Some(libc::EPERM);
    let own = &case.host.security.label;
    let label = own.present().filter(|label| *label != "unconfined" && *label != "kernel");
    let privileges = case.sandbox.map(|sandbox| &sandbox.privileges);
    let asked = privileges.and_then(|privileges| privileges.exec_label.as_ref());
    let filters = privileges.is_some_and(|privileges| !privileges.filters.is_empty());
    let suspects = label.is_some() || asked.is_some() || filters || case.filtered() == Some(true);
    let looked = case.symptom.is_some_and(|symptom| symptom.verdict == Verdict::NotExecuted);
    let confidence = match (not_permitted, suspects) {
        (true, true) => High,
        (true, false) => Medium,
        // the launcher saw nothing wrong with the file
        (false, true) if looked => Medium,
        _ => Low,
    };
    let others = "permissions and noexec give \"Permission denied\", not \"Operation not permitted\"";
    let confines = |label| format!("a security module confines us: {label} (/proc/self/attr/current)");
    let own_filter = "the sandbox has a system call filter of its own, in force by then";
    let landlock = "whether a Landlock domain is in force: nothing shows that";
    weigh(confidence)
        .summary(format!("a security module or system call filter denies executing {name}"))
        .heard(case, not_permitted.then_some(others))
        .seen(own, label.map(confines))
        .asked(case, asked.map(|asked| format!("the sandbox asks for the label {}", asked.display())))
        .asked(case, filters.then_some(own_filter))
        .pro(evidence::filter(case).so())
        .unknown((!suspects).then_some(landlock))
        .into()
}

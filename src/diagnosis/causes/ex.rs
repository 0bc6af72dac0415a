//! Executing the program: what is wrong with it, with its working directory, label and filters.

mod environment;
pub(super) mod loader;
mod paths;
mod problem;
#[cfg(test)]
mod tests;

use super::prelude::*;
use crate::diagnosis::Verdict;

use environment::{another_directory, label, working_directory};
use loader::{loader_failed, mend_libraries};
use paths::{Place, loader_is_visible, place, program_remedies, unseen};
pub(in crate::diagnosis) use problem::program;

const EXECVP: &str = "execvp %s";

rules! {
    LoaderFailed, Anytime, [
        "error while loading shared libraries: %s", "symbol lookup error: %s",
        "%s: version `%s' not found (required by %s)",
    ]
        => loader_failed, mend_libraries;

    WorkingDirectoryMissing, Anytime, ["Can't chdir to %s"]
        => working_directory, another_directory;

    LabelRefused, Anytime, [
        "label_exec %s", "--file-label setup failed", "invalid label %s",
        "labeling not supported on this system",
    ]
        => label, |_| vec![told!("other-label")];

    ProgramMissing, Anytime, [EXECVP => (ENOENT ENOTDIR EACCES)]
        => program_missing, program_remedies;

    LoaderMissing, Anytime, [EXECVP => (ENOENT)]
        => loader_missing, bind_loader;

    ProgramNotExecutable, Anytime, [EXECVP => (EACCES EISDIR ETXTBSY)]
        => not_executable, |_| vec![executable("PROGRAM")];

    WrongArchitecture, Anytime, [EXECVP => (ENOEXEC ELIBBAD)]
        => |case| {
            unseen(case)?;
            Some(
                weigh(Medium)
                    .refuted_by("`file` says that the program is built for this machine (`uname -m`)")
                    .summary(format!("{} is in no format that this machine executes", program_name(case)))
                    .heard(case, "the kernel takes neither its ELF header nor a #! line"),
            )
        }, |_| vec![other_build()];

    ExecDenied, Anytime, [EXECVP => (EPERM EACCES)],
        unless "dmesg has no line with DENIED, avc: or type=1326 from that moment"
        => denied, |_| vec![told!("allow-execution")];
}

fn executable(program: &str) -> Remedy {
    told!("make-executable", program)
}

fn other_build() -> Remedy {
    told!("other-build")
}

fn links() -> Remedy {
    told!("links-of-merged-usr")
}

fn program_name(case: &Case<'_>) -> String {
    unseen(case).map_or_else(|| "the program".to_owned(), |program| program.display().to_string())
}

fn loader_missing(case: &Case<'_>) -> Option<Judgement> {
    let program = unseen(case)?;
    let name = program.display();
    let judgement = |confidence| {
        weigh(confidence)
            .refuted_by(format!(
                "`readelf -l {name} | grep interpreter`, and its #! line, name what is visible inside"
            ))
            .summary(format!("{name} may be there, but its loader or interpreter is not visible inside"))
            .heard(case, "the kernel says \"No such file or directory\" about a missing loader, too")
    };
    let visible = case.sandbox.map(loader_is_visible);
    match (place(case, program), visible) {
        // what is not there needs no loader
        (Place::Nowhere, _) => None,
        (_, Some(false)) => Some(judgement(High).asked(
            case,
            "no operation makes /lib64 or /lib, where dynamically linked programs have their loader",
        )),
        (Place::Bound, Some(true)) => Some(
            judgement(Low)
                .contra(evidence::asked(case, "operations make /lib64 or /lib, where loaders mostly are")),
        ),
        _ => Some(judgement(Medium).unknown("the program itself, and what the sandbox shows")),
    }
}

fn bind_loader(_: &Case<'_>) -> Vec<Remedy> {
    vec![
        links(),
        Remedy::change(SandboxChange::RoBind { path: "/lib64".into() }),
        Remedy::change(SandboxChange::RoBind { path: "/lib".into() }),
    ]
}

fn program_missing(case: &Case<'_>) -> Option<Judgement> {
    let program = unseen(case)?;
    let name = program.display();
    let searched = program.components().count() == 1 && !program.is_absolute();
    let judgement = |confidence, refuted_by: String| {
        weigh(confidence).refuted_by(refuted_by).summary(format!("{name} is not there inside"))
    };
    let look = format!("`ls -lL {name}`, typed in the same sandbox with a shell, finds it");
    if case.errno() == Some(libc::EACCES) {
        // execvp remembers the one directory of PATH that it may not search
        return searched.then(|| {
            judgement(Medium, "PATH inside has only directories that the user may search".to_owned())
                .summary(format!("{name} is not there inside, or lies in a directory of PATH that the user may not search"))
                .heard(case, "\"Permission denied\" wins over \"No such file\" if one directory of PATH may not be searched")
        });
    }
    Some(match place(case, program) {
        Place::Nowhere => judgement(High, look)
            .asked(case, format!("no operation of the sandbox puts anything at {name} or above it")),
        Place::Bound => judgement(Medium, look).asked(
            case,
            "an operation of the sandbox shows the directory above it; the file may be missing there",
        ),
        Place::Unknown if searched => judgement(
            Medium,
            format!("`command -v {name}`, typed in the same sandbox with a shell, finds it"),
        )
        .heard(case, "bwrap looked for it in the directories of PATH, as the command sees it")
        .unknown("PATH inside: a cleared environment has none, and then it is /bin:/usr/bin"),
        Place::Unknown => judgement(Medium, look).unknown("what the sandbox shows there"),
    })
}

fn not_executable(case: &Case<'_>) -> Option<Judgement> {
    let name = unseen(case)?.display();
    Some(
        weigh(Medium)
            .refuted_by(format!("`test -f {name} && test -x {name}` holds inside for the command's user"))
            .summary(match case.errno() {
                Some(libc::ETXTBSY) => {
                    format!("{name} is open for writing, and cannot be executed meanwhile")
                }
                _ => format!(
                    "{name} has no x for the user, is a directory, or lies on a file system mounted noexec"
                ),
            })
            .unknown("the file: `ls -lL` and `findmnt -T` on it, inside"),
    )
}

/// Everything else that makes a file executable was looked at, or cannot answer so.
fn denied(case: &Case<'_>) -> Option<Judgement> {
    let name = unseen(case)?.display().to_string();
    let not_permitted = case.errno() == Some(libc::EPERM);
    let security = &case.host.security;
    let label = security.label.present().filter(|label| *label != "unconfined" && *label != "kernel");
    let asked = case.sandbox.and_then(|sandbox| sandbox.privileges.exec_label.as_ref());
    let filters = case.sandbox.is_some_and(|sandbox| !sandbox.privileges.filters.is_empty());
    let suspects = label.is_some() || asked.is_some() || filters || case.filtered() == Some(true);
    let looked = case.symptom.is_some_and(|symptom| symptom.verdict == Verdict::NotExecuted);
    let confidence = match (not_permitted, suspects) {
        (true, true) => High,
        (true, false) => Medium,
        // the launcher saw nothing wrong with the file
        (false, true) if looked => Medium,
        _ => Low,
    };
    let mut judgement =
        weigh(confidence).summary(format!("a security module or system call filter denies executing {name}"));
    if not_permitted {
        judgement = judgement.heard(
            case,
            "permissions and noexec give \"Permission denied\", not \"Operation not permitted\"",
        );
    }
    if let Some(label) = label {
        judgement = judgement.seen(
            &case.host.security.label,
            format!("a security module confines us: {label} (/proc/self/attr/current)"),
        );
    }
    if let Some(asked) = asked {
        judgement = judgement.asked(case, format!("the sandbox asks for the label {}", asked.display()));
    }
    if filters {
        judgement =
            judgement.asked(case, "the sandbox has a system call filter of its own, in force by then");
    }
    if case.filtered() == Some(true) {
        judgement = judgement.pro(evidence::filter(case).so());
    }
    if !suspects {
        judgement = judgement.unknown("whether a Landlock domain is in force: nothing shows that");
    }
    Some(judgement)
}

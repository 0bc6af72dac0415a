//! Executing bwrap and the program: what is wrong with them, with the working directory, label and filters.

mod environment;

mod problem;
#[cfg(test)]
mod tests;

use super::cp::path;
use super::prelude::*;
use crate::diagnosis::ProgramProblem;
use crate::diagnosis::launcher::Launcher;
use crate::sandbox::Inherit;

pub(in crate::diagnosis) use problem::program;

pub(super) const EXECVP: &str = "execvp %s";

rules! {
    LoaderFailed, Failed, [
        "error while loading shared libraries: %s", "symbol lookup error: %s",
        "%s: version `%s' not found (required by %s)"
    ],
        unless "`bwrap --version` in the same environment prints a version"
        => loader_failed, |case| vec![told!(EX10, "install-libraries", path = path(case)), told!(EX10, "no-library-path")];

    WorkingDirectoryMissing, Anytime, ["Can't chdir to %s"]
        => environment::working_directory, environment::another_directory;

    LabelRefused, Anytime, [
        "label_exec %s", "--file-label setup failed", "invalid label %s",
        "labeling not supported on this system"
    ],
        unless "the sandbox starts in the same way without the label, or fails in another"
        => environment::label, environment::other_label;

    ProgramMissing, Failed, [EXECVP => (ENOENT ENOTDIR EACCES)] => program_missing, program_remedies;

    LoaderMissing, Failed, [EXECVP => (ENOENT)]
        => loader_missing, |case| {
            let arm = case.host.kernel.release.present().is_some_and(|release| release.contains("aarch64"));
            let loaders = if arm { ["/lib", "/lib64"] } else { ["/lib64", "/lib"] };
            let binds = loaders.map(Remedy::ro_bind).to_vec();
            let links = told!(EX01, "links-of-merged-usr");
            // of links that are there another is no help
            let there = case.sandbox.and_then(Sandbox::shows_loaders) == Some(false);
            let store = case.told().is_some_and(|told| told.nixos).then(|| Remedy::ro_bind("/nix/store"));
            let others = if there { binds.or([links]) } else { links.or(binds) };
            // on NixOS every loader is in the store
            Vec::new().or(store).or(others)
        };

    ExecLoop, Failed, [EXECVP => (ELOOP)],
        unless "`namei` on the program, typed inside, comes to an end, and its #! line names a binary" => |case| {
            let name = unseen(case)?.display();
            let found = weigh(High).summary(format!("links or #! lines lead to {name} in a circle, or too far"));
            let found = found.heard(case, "the kernel follows 40 links and five #! lines, and then gives up (ELOOP)");
            Some(found.unknown("which of the two: `namei` and `head -n 1` on it, inside"))
        }, |case| {
            let program = word(unseen(case).unwrap_or(Path::new("PROGRAM")));
            vec![told!(EX12, "links", program), told!(EX12, "interpreter", program)]
        };

    ProgramNotExecutable, Failed, [EXECVP => (EACCES EISDIR ETXTBSY)]
        => not_executable, |case| match unseen(case).filter(|program| told_noexec(case, program).is_some()) {
            Some(program) => {
                let host = word(program);
                told!(EX03, "bind-exec", host).or([told!(EX03, "remount-exec", host = word(program)).for_root()])
            }
            None => make_executable(case),
        };

    WrongArchitecture, Failed, [EXECVP => (ENOEXEC ELIBBAD)],
        unless "`file` says that the program is built for this machine (`uname -m`)" => |case| {
            let name = unseen(case)?.display();
            let found = weigh(Medium).summary(format!("{name} is in no format that this machine executes"));
            Some(found.heard(case, "the kernel takes neither its ELF header nor a #! line"))
        }, |case| {
            let script = unseen(case).filter(|program| is_script(program)).map(word);
            let first = script.map(|program| told!(EX04, "interpreter-line", program));
            Vec::new().or(first).or([told!(EX04, "other-build")])
        };

    ExecDenied, Failed, [EXECVP => (EPERM EACCES)],
        unless "dmesg has no line with DENIED, avc: or type=1326 from that moment"
        => denied, |case| {
            let own = has_filters(case).then(|| told!(EX05, "own-filter"));
            Vec::new().or(own).or([told!(EX05, "allow-execution")])
        };

    LockFileFailed, Failed, ["Unable to open lock file %s", "Unable to lock file %s"],
        unless "the file is there inside, the command can read it, and `lsof` on the host names nobody who has it"
        => environment::lock_file, environment::lockable;
}

/// The file of which a name is, or the directory, where it ends like one.
fn make_executable(case: &Case<'_>) -> Vec<Remedy> {
    let program = unseen(case);
    if let Some(directory) = program.filter(|program| is_directory(program)) {
        return vec![told!(EX03, "program-in-directory", path = word(directory))];
    }
    let executable = told!(EX03, "executable", program = "PROGRAM");
    if Launcher::of(case) != Some(Launcher::Flatpak) {
        return vec![executable];
    }
    let name = program.map_or_else(|| "PROGRAM".to_owned(), word);
    let installed = told!(EX03, "files-of-flatpak", program = name);
    // the runtime's own are no matter of who builds an application
    if program.is_some_and(|program| is_everywhere(program) || program == Path::new("ldconfig")) {
        installed.or([executable])
    } else {
        executable.or([installed])
    }
}

/// Whether a path says by its end that it is a directory's.
fn is_directory(path: &Path) -> bool {
    path.as_os_str().len() > 1 && path.as_os_str().to_string_lossy().ends_with('/')
}

/// The program that the loader complains of, if it names one, and what about.
fn loader_complaint(message: &Message) -> (Option<String>, String) {
    let text = message.text().to_string_lossy();
    let marks = ["error while loading shared libraries: ", "symbol lookup error: "];
    if let Some((program, complaint)) = marks.iter().find_map(|mark| text.split_once(mark)) {
        let program = program.trim_end_matches([':', ' ']);
        return (Some(program.to_owned()).filter(|program| !program.is_empty()), complaint.to_owned());
    }
    (text.split_once(": version `").map(|(program, _)| program.to_owned()), text.into_owned())
}

fn loader_failed(case: &Case<'_>) -> Option<Judgement> {
    let (program, complaint) = loader_complaint(case.message()?);
    let other = program.filter(|program| !program.contains("bwrap"));
    let found = weigh(if other.is_some() { Low } else { High })
        .summary(format!("the dynamic loader cannot load bwrap: {complaint}"))
        .heard(case, "it is the loader's message: none of bwrap's own code ran");
    let names = |program| format!("the message names {program}, which may be the command instead of bwrap");
    Some(found.contra(evidence::heard(case, other.map(names))))
}

/// The program as bwrap named it; `None` if the launcher has looked and knows better.
fn unseen<'a>(case: &Case<'a>) -> Option<&'a Path> {
    let unseen = case.symptom?.program.is_none();
    case.message()?.subject().filter(|_| unseen).map(Path::new)
}

/// The last mount at a path or above it.
fn above(case: &Case<'_>, path: &Path) -> Option<usize> {
    case.sandbox?.mount_above(path)
}

/// Where on the host a path inside is.
fn outside(case: &Case<'_>, path: &Path) -> Option<PathBuf> {
    case.sandbox?.operations.get(above(case, path)?)?.outside(path)
}

/// Bind the program's directory, or search in another.
fn program_remedies(case: &Case<'_>) -> Vec<Remedy> {
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
    // who runs it has no line to bind anything in
    if Launcher::of(case) == Some(Launcher::Flatpak) {
        match program {
            _ if case.errno() == Some(libc::EACCES) => return vec![told!("flatpak-command")],
            Some(program) if Launcher::is_of_application(program) => return vec![correct],
            _ => {}
        }
    }
    let several = program.is_some_and(is_line).then(|| told!(EX02, "separate-words"));
    let proven = program.and_then(|program| case.sandbox?.shows(program)) == Some(false);
    let others = if proven { bind.or([correct]) } else { correct.or([bind]) };
    Vec::new().or(several).or(others)
}

/// Whether a name is a program with its arguments, taken for one word: no program's in PATH has a space.
fn is_line(program: &Path) -> bool {
    let text = program.to_string_lossy();
    text.contains(' ') && !text.contains('/')
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
    if let Some(option) = problem::made(case, program) {
        let made = format!("{option} makes {name}, so it is what that names");
        return Some(found(High).asked(case, made));
    }
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

/// Whether a program is a script, as far as its name tells.
fn is_script(program: &Path) -> bool {
    let kinds = ["bash", "js", "lua", "php", "pl", "py", "rb", "run", "sh", "zsh"];
    program.extension().is_some_and(|kind| kinds.iter().any(|script| kind == *script))
}

/// Whether every root file system has a program of this name.
fn is_everywhere(program: &Path) -> bool {
    let names = ["bash", "cat", "echo", "env", "id", "ls", "sh", "sleep", "true", "uname"];
    program.file_name().is_some_and(|name| names.iter().any(|usual| name == *usual))
}

/// Whether a program is where other distributions' packages have theirs: NixOS has nothing there but links to sh and env.
fn is_of_package(program: &Path) -> bool {
    ["/bin", "/opt", "/sbin", "/usr"].iter().any(|top| program.starts_with(top))
}

/// Whether a launcher brings a program along: where that is missing all is.
fn is_of_steam(program: &Path) -> bool {
    program.starts_with("/usr/lib/pressure-vessel")
}

fn program_missing(case: &Case<'_>) -> Option<Judgement> {
    let program = unseen(case)?;
    // what the sandbox makes there is there
    rule_out(case.errno() == Some(libc::ENOENT) && problem::made(case, program).is_some())?;
    let name = program.display();
    let searched = program.components().count() == 1 && !program.is_absolute();
    if case.errno() == Some(libc::EACCES) {
        rule_out(!searched)?;
        // execvp remembers the one directory of PATH that it may not search
        let or = "or lies in a directory of PATH that the user may not search";
        let wins =
            "\"Permission denied\" wins over \"No such file\" if one directory of PATH may not be searched";
        // of a sandbox that nobody knows a file without x is likelier than a directory of PATH that is closed
        let unlikely = by_own_filter(case) || case.sandbox.is_none() && !is_line(program);
        let found = weigh(if unlikely { Low } else { Medium });
        let found = found.refuted_by("PATH inside has only directories that the user may search");
        return Some(found.summary(format!("{name} is not there inside, {or}")).heard(case, wins));
    }
    let shown = case.sandbox.and_then(|sandbox| sandbox.shows(program));
    let look = if searched && shown.is_none() { "command -v" } else { "ls -lL" };
    let usual = searched && case.sandbox.and_then(|sandbox| self::shown(sandbox, program)) == Some(true);
    let told = case.told().filter(|_| shown.is_none() && program.is_absolute());
    // where its own system has no loader in /lib64 it is that which is missing, as a rule
    let other = told.is_some_and(|told| told.nixos && !is_of_package(program))
        || told.is_some() && case.hinted(Hint::FileThere);
    let listed = shown != Some(false) && case.told().is_some_and(|told| told.files.contains(program));
    let confidence = match shown {
        Some(false) => High,
        _ if listed || other => Low,
        _ if usual || shown.is_none() && (is_everywhere(program) || is_of_steam(program)) => Low,
        _ => Medium,
    };
    let found = weigh(confidence)
        .refuted_by(format!("`{look} {name}`, typed in the same sandbox with a shell, finds it"))
        .summary(format!("{name} is not there inside"))
        .contra(evidence::told(case, listed.then_some("ls shows the file, outside")));
    Some(match shown {
        Some(false) => {
            found.asked(case, format!("no operation of the sandbox puts anything at {name} or above it"))
        }
        Some(true) => {
            let above =
                "an operation of the sandbox shows the directory above it; the file may be missing there";
            found.asked(case, above)
        }
        None if searched => found
            .heard(case, "bwrap looked for it in the directories of PATH, as the command sees it")
            .unknown("PATH inside: a cleared environment has none, and then it is /bin:/usr/bin"),
        None => found.unknown("what the sandbox shows there"),
    })
}

/// The mount of which a text tells that a program lies on it, and that nothing may be executed there.
fn told_noexec<'a>(case: &Case<'a>, program: &Path) -> Option<&'a Mount> {
    let above = case.told()?.mounts.iter().filter(|mount| program.starts_with(&mount.point));
    let mount = above.max_by_key(|mount| mount.point.as_os_str().len())?;
    mount.options.contains("noexec").then_some(mount)
}

fn not_executable(case: &Case<'_>) -> Option<Judgement> {
    let name = unseen(case)?.display();
    if unseen(case).is_some_and(is_directory) && case.errno() == Some(libc::EACCES) {
        let found = weigh(High).summary(format!("{name} names a directory, and those are not executed"));
        let found = found.refuted_by(format!("`test -f {name}` holds inside"));
        return Some(found.said(case));
    }
    if let Some(mount) = told_noexec(case, unseen(case)?) {
        let point = mount.point.display();
        let summary = format!("{name} lies on {point}, which is mounted noexec");
        let seen = evidence::told(case, format!("{point} has the option noexec"));
        return Some(weigh(High).summary(summary).pro(seen));
    }
    let found = weigh(if by_own_filter(case) { Low } else { Medium })
        .refuted_by(format!("`test -f {name} && test -x {name}` holds inside for the command's user"))
        .unknown("the file: `ls -lL` and `findmnt -T` on it, inside");
    Some(found.summary(if case.errno() == Some(libc::ETXTBSY) {
        format!("{name} is open for writing, and cannot be executed meanwhile")
    } else {
        format!("{name} has no x for the user, is a directory, or lies on a file system mounted noexec")
    }))
}

/// Whether the sandbox has a system call filter of its own.
fn has_filters(case: &Case<'_>) -> bool {
    case.sandbox.is_some_and(|sandbox| !sandbox.privileges.filters.is_empty())
}

/// Whether the launcher has looked at the program and found it in order, and a filter of the sandbox's own may have answered.
fn by_own_filter(case: &Case<'_>) -> bool {
    let denied = case.errno() == Some(libc::EACCES);
    denied && case.ended(Verdict::NotExecuted) && has_filters(case)
}

/// Everything else that makes a file executable was looked at, or cannot answer so.
fn denied(case: &Case<'_>) -> Option<Judgement> {
    let name = unseen(case)?.display();
    let not_permitted = case.errno() == Some(libc::EPERM);
    let own = &case.host.security.label;
    let label = own.present().filter(|label| *label != "unconfined" && *label != "kernel");
    let privileges = case.sandbox.map(|sandbox| &sandbox.privileges);
    let asked = privileges.and_then(|privileges| privileges.exec_label.as_ref());
    let filters = has_filters(case);
    let suspects = label.is_some() || asked.is_some() || filters || case.filtered() == Some(true);

    let confidence = match (not_permitted, suspects) {
        (true, true) => High,
        (true, false) => Medium,
        // the launcher saw nothing wrong with the file
        (false, true) if case.ended(Verdict::NotExecuted) => Medium,
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

//! Why a program cannot be executed, as the finder sees it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Why a program cannot be executed in a sandbox.
///
/// It is found by looking for the program on the host, through the sandbox's operations, once `execve(2)` has
/// failed. `Display` says what to do about it, in one line: what files name is quoted, with escapes for everything that is no
/// visible character.
///
/// ```
/// use bwrap_launch::{Error, ProgramProblem, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/", "/").env("PATH", "/usr/bin");
/// let Err(Error::NotExecuted(failure)) = sandbox.command("no-such-program").output() else { panic!() };
/// let searched = vec!["/usr/bin/no-such-program".into()];
/// let problem = ProgramProblem::NotFound { program: "no-such-program".into(), searched };
/// assert_eq!(failure.program(), Some(&problem));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramProblem {
    /// It is in no directory of the `PATH` that the command sees, or not at the path given.
    #[error("{}", not_found(program, searched))]
    NotFound {
        /// The program as it was named.
        program: PathBuf,
        /// Where it was looked for, inside the sandbox.
        searched: Vec<PathBuf>,
    },
    /// A symbolic link that it is, or is reached through, leads to something that is not inside.
    #[error(
        "{} is not there: the symbolic link {} leads to {}, {}",
        shown(path),
        shown(link),
        shown(target),
        lost(*broken)
    )]
    DanglingLink {
        /// The program, inside the sandbox.
        path: PathBuf,
        /// The link, inside the sandbox.
        link: PathBuf,
        /// Where it leads, inside the sandbox.
        target: PathBuf,
        /// Whether it leads nowhere on the host, either.
        broken: bool,
    },
    /// A directory on the way has no execute permission for the command's user (EACCES).
    #[error(
        "{} cannot be reached: the command's user may not search the directory {} (mode {mode:04o}); give it x",
        shown(path),
        shown(directory)
    )]
    NotSearchable {
        /// The program, inside the sandbox.
        path: PathBuf,
        /// The directory, inside the sandbox.
        directory: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// More than 40 symbolic links lead to it, or they go round in a circle (ELOOP).
    #[error("{} leads through too many symbolic links, or round in a circle; `namei` shows them", shown(.0))]
    LinkLoop(PathBuf),
    /// A name in it has more than 255 bytes, or the whole path more than 4095 (ENAMETOOLONG).
    #[error("{} is too long ({} bytes): names have up to 255 bytes, paths up to 4095", shown(.0), .0.as_os_str().len())]
    NameTooLong(PathBuf),
    /// It has no execute permission.
    #[error("{} is not executable (mode {mode:04o}); chmod +x it", shown(path))]
    NotExecutable {
        /// The file, inside the sandbox.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is a directory.
    #[error("{} is a directory; name the program in it", shown(.0))]
    IsDirectory(PathBuf),
    /// Its name ends with a slash, as a directory's may, and it is none (ENOTDIR).
    #[error("{} ends with a slash, and what is there is no directory; take the slash off", shown(.0))]
    TrailingSlash(PathBuf),
    /// It is no regular file: a device, a socket, a FIFO.
    #[error("{} is no regular file, and no other is executed; name a program", shown(.0))]
    NotAFile(PathBuf),
    /// It lies on a file system that is mounted `noexec`.
    #[error("{} lies on a file system mounted noexec; remount that with exec, or bind the program from elsewhere", shown(.0))]
    Noexec(PathBuf),
    /// It, or its interpreter, is open for writing (ETXTBSY).
    #[error("{} is open for writing, by whoever makes or updates it, and cannot be executed meanwhile; close it first, `fuser -v` names who has it", shown(.0))]
    Busy(PathBuf),
    /// The ELF interpreter that it names, its dynamic loader, is not visible inside.
    #[error(
        "{} is there, but its loader {} is not visible in the sandbox; {}",
        shown(path),
        shown(interpreter),
        bind_it(bind.as_deref())
    )]
    LoaderMissing {
        /// The program, inside the sandbox.
        path: PathBuf,
        /// The loader that it names.
        interpreter: PathBuf,
        /// What of the host's shows it, bound to the same path; `None` if the host has it not, either.
        bind: Option<PathBuf>,
    },
    /// The ELF interpreter that it names is none for this machine (ELIBBAD).
    #[error(
        "{} names {} as its loader, which is no loader for this machine; use another build",
        shown(path),
        shown(interpreter)
    )]
    BadLoader {
        /// The program, inside the sandbox.
        path: PathBuf,
        /// The loader that it names.
        interpreter: PathBuf,
    },
    /// The interpreter in its `#!` line is not visible inside.
    #[error(
        "{} is there, but the interpreter {} of its #! line is not visible in the sandbox; {}",
        shown(path),
        shown(interpreter),
        bind_it(bind.as_deref())
    )]
    InterpreterMissing {
        /// The script, inside the sandbox.
        path: PathBuf,
        /// The interpreter that it names.
        interpreter: PathBuf,
        /// What of the host's shows it, bound to the same path; `None` if the host has it not, either.
        bind: Option<PathBuf>,
    },
    /// What its `#!` line names is no program: a directory, a device, a file that is neither executable nor fit to be executed.
    #[error(
        "the #! line of {} names {} as its interpreter, which is no program; correct that line",
        shown(path),
        shown(interpreter)
    )]
    BadInterpreter {
        /// The script, inside the sandbox.
        path: PathBuf,
        /// The interpreter that it names.
        interpreter: PathBuf,
    },
    /// Its `#!` line ends with a carriage return, which the kernel takes for a part of the interpreter's name.
    #[error(
        "the #! line of {} ends with a carriage return, as in files from Windows: the kernel looks for {}; remove it, `sed -i 's/\\r$//'` does",
        shown(path),
        shown(interpreter)
    )]
    CarriageReturn {
        /// The script, inside the sandbox.
        path: PathBuf,
        /// The interpreter as the kernel reads its name, with the carriage return.
        interpreter: PathBuf,
    },
    /// The interpreter in its `#!` line is a script in turn, and so on, in a circle or more than five deep (ELOOP).
    #[error("the #! line of {} leads from script to script, in a circle or more than five deep; name a binary as the interpreter", shown(.0))]
    InterpreterLoop(PathBuf),
    /// It is no binary and has no `#!` line. `execvp(3)` has `/bin/sh` execute such a file, and that is not inside.
    #[error("{} has no #! line and is no binary: it is for /bin/sh, which is not visible in the sandbox; bind that, or give it a #! line", shown(.0))]
    ShellMissing(PathBuf),
    /// It was built for another kind of machine. Found where the sandbox has no `/bin/sh` only: `execvp(3)` lets that try what
    /// the kernel does not execute, and the shell's status is then the command's.
    #[error(
        "{} is built for another architecture (ELF machine {machine}) than this {} machine",
        shown(path),
        std::env::consts::ARCH
    )]
    WrongArchitecture {
        /// The program, inside the sandbox.
        path: PathBuf,
        /// The ELF machine number (`e_machine`).
        machine: u16,
    },
}

impl ProgramProblem {
    /// The same, if it can be said without naming the directories of a secret `PATH`.
    pub(crate) fn without_search(self) -> Option<Self> {
        match self {
            Self::NotFound { program, .. } => {
                Some(Self::NotFound { program, searched: vec!["(a secret PATH)".into()] })
            }
            _ => None,
        }
    }

    /// Whether `execvp(3)` goes on to the next directory of `PATH` after it: it does for ENOENT, ENOTDIR and EACCES.
    pub(super) fn lets_search_go_on(&self) -> bool {
        !matches!(
            self,
            Self::LinkLoop(_)
                | Self::NameTooLong(_)
                | Self::InterpreterLoop(_)
                | Self::BadLoader { .. }
                | Self::Busy(_)
        )
    }
}

/// How much of a name is shown: one that is too long may have thousands of bytes.
const SHOWN_BYTES: usize = 512;

/// A path as one line of visible characters: quoted, with Rust's escapes. Files and callers choose names; a terminal obeys some
/// characters, and a reader is misled by others (bidirectional controls).
#[allow(clippy::unnecessary_debug_formatting, reason = "its quotes and escapes are what is wanted")]
fn shown(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    match bytes.get(..SHOWN_BYTES).filter(|start| start.len() < bytes.len()) {
        Some(start) => format!("{:?}...", OsStr::from_bytes(start)),
        None => format!("{:?}", path.as_os_str()),
    }
}

fn lost(broken: bool) -> &'static str {
    if broken {
        "and nothing is there, on the host or inside; correct the link, or install what it leads to"
    } else {
        "which is not visible in the sandbox; bind that, too"
    }
}

fn bind_it(bind: Option<&Path>) -> String {
    match bind {
        Some(path) => format!("bind {} read-only", shown(path)),
        None => {
            "nor has the host it there: install it, or take a program that needs what is there".to_owned()
        }
    }
}

fn not_found(program: &Path, searched: &[PathBuf]) -> String {
    if program.as_os_str().is_empty() {
        return "the command's name is empty, as of a variable that is not set; name a program".to_owned();
    }
    let paths: Vec<_> = searched.iter().map(|path| shown(path)).collect();
    let paths = if paths.is_empty() { "nothing, PATH is empty".to_owned() } else { paths.join(", ") };
    format!("{} is not there: looked for {paths}; bind its directory, or set PATH inside", shown(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is in the names.
    #[test]
    fn every_problem_is_one_visible_line() {
        let evil =
            || PathBuf::from("/a\n     sudo sh\r\x1b[2J\u{202e}\u{2066}\u{feff}\u{e0041}\u{2028}\0'\"`$(x)");
        let other = evil;
        let problems = [
            ProgramProblem::NotFound { program: evil(), searched: vec![evil(), other()] },
            ProgramProblem::DanglingLink { path: evil(), link: evil(), target: evil(), broken: false },
            ProgramProblem::NotSearchable { path: evil(), directory: evil(), mode: 0 },
            ProgramProblem::LinkLoop(evil()),
            ProgramProblem::NameTooLong(evil()),
            ProgramProblem::NotExecutable { path: evil(), mode: 0o644 },
            ProgramProblem::IsDirectory(evil()),
            ProgramProblem::TrailingSlash(evil()),
            ProgramProblem::NotAFile(evil()),
            ProgramProblem::Noexec(evil()),
            ProgramProblem::Busy(evil()),
            ProgramProblem::LoaderMissing { path: evil(), interpreter: evil(), bind: Some(evil()) },
            ProgramProblem::BadLoader { path: evil(), interpreter: evil() },
            ProgramProblem::InterpreterMissing { path: evil(), interpreter: evil(), bind: None },
            ProgramProblem::BadInterpreter { path: evil(), interpreter: evil() },
            ProgramProblem::CarriageReturn { path: evil(), interpreter: evil() },
            ProgramProblem::InterpreterLoop(evil()),
            ProgramProblem::ShellMissing(evil()),
            ProgramProblem::WrongArchitecture { path: evil(), machine: 8 },
        ];
        for problem in problems {
            let said = problem.to_string();
            assert!(said.chars().all(|c| (' '..='~').contains(&c)), "{said}");
            assert!(said.contains(r"\n     sudo sh\r\u{1b}[2J\u{202e}\u{2066}"), "{said}");
        }
    }

    #[test]
    fn a_long_name_is_not_shown_whole() {
        let said = ProgramProblem::NameTooLong(format!("/{}", "a".repeat(5000)).into()).to_string();
        assert!(said.len() < 700 && said.contains("(5001 bytes)"), "{said}");
    }
}

//! Why a program cannot be executed, as the launcher found by looking at the files.

use std::path::PathBuf;

/// Why a program cannot be executed in a sandbox.
///
/// It is found by looking for the program on the host, through the sandbox's operations, once `execve(2)` has
/// failed. `Display` says what to do about it.
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
    #[error("{:?} is not there: looked for {}; bind its directory, or set PATH inside", program.as_os_str(), list(searched))]
    NotFound {
        /// The program as it was named.
        program: PathBuf,
        /// Where it was looked for, inside the sandbox.
        searched: Vec<PathBuf>,
    },
    /// It has no execute permission.
    #[error("{:?} is not executable (mode {mode:04o}); chmod +x it", path.as_os_str())]
    NotExecutable {
        /// The file, inside the sandbox.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is a directory.
    #[error("{:?} is a directory; name the program in it", .0.as_os_str())]
    IsDirectory(PathBuf),
    /// It lies on a file system that is mounted `noexec`.
    #[error("{:?} lies on a file system mounted noexec; remount that with exec, or bind the program from elsewhere", .0.as_os_str())]
    Noexec(PathBuf),
    /// The ELF interpreter that it names, its dynamic loader, is not visible inside.
    #[error("{:?} is there, but its loader {:?} is not visible in the sandbox; bind it, for example with ro_bind(\"/lib64\", \"/lib64\") or symlink(\"/usr/lib64\", \"/lib64\")", path.as_os_str(), interpreter.as_os_str())]
    LoaderMissing {
        /// The program, inside the sandbox.
        path: PathBuf,
        /// The loader that it names.
        interpreter: PathBuf,
    },
    /// The interpreter in its `#!` line is not visible inside.
    #[error("{:?} is there, but the interpreter {:?} of its #! line is not visible in the sandbox; bind it", path.as_os_str(), interpreter.as_os_str())]
    InterpreterMissing {
        /// The script, inside the sandbox.
        path: PathBuf,
        /// The interpreter that it names.
        interpreter: PathBuf,
    },
    /// It was built for another kind of machine. Found where the sandbox has no `/bin/sh` only: `execvp(3)` lets that try what
    /// the kernel does not execute, and the shell's status is then the command's.
    #[error("{:?} is built for another architecture (ELF machine {machine}) than this {} machine", path.as_os_str(), std::env::consts::ARCH)]
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
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "nothing, PATH is empty".to_owned() } else { paths.join(", ") }
}

//! What a path is inside a sandbox, and why a program there cannot be executed: what bwrap's "No such file or directory" really
//! means.
//!
//! By then the sandbox is gone, or not there yet. So the program is looked for where it would be: through the sandbox's
//! operations on the host's files, by the rules of `execvp(3)` and `execve(2)`. Explaining, foretelling and checking ask here.

mod dev;
mod format;
mod problem;
mod settled;
#[cfg(test)]
mod tests;
mod view;
mod writers;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::geteuid;

pub(crate) use self::dev::{InDev, in_dev};
use self::format::{Wants, is_loader, wants};
pub use self::problem::ProgramProblem;
pub(crate) use self::settled::{settle, trail};
use self::view::{Node, View, Way};
use self::writers::has_writer;
use super::open_regular;
use crate::sandbox::{Sandbox, relative};

/// A program to find in a sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    /// As the command names it: with a slash, or searched for.
    pub(crate) program: &'a OsStr,
    /// `PATH` inside.
    pub(crate) path: Option<&'a OsStr>,
    /// `HOME` inside, where bwrap goes if the caller's directory is not there; `None` if there is none, or nobody may see it.
    pub(crate) home: Option<&'a OsStr>,
    /// What is known of an attempt to execute it.
    pub(crate) attempt: Attempt,
}

/// What is known of an attempt to execute a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// None was made. An emulator (`binfmt_misc`) may execute what the kernel itself does not.
    None,
    /// It failed, with this errno if bwrap said so.
    Failed(Option<i32>),
}

/// Finds out why a program cannot be executed, if that can be seen.
pub(crate) fn find(sandbox: &Sandbox, sought: Sought<'_>) -> Option<ProgramProblem> {
    let settled = settle(sandbox);
    let finder = Finder { view: View(&settled), sought };
    let direct = sought.program.as_bytes().contains(&b'/');
    let (mut first, mut astray, mut denied, mut searched) = (None, None, None, 0);
    let candidates = finder.candidates(direct)?;
    for candidate in &candidates {
        match finder.execute(candidate) {
            Verdict::Problem(ProgramProblem::NotFound { .. }) => searched += 1,
            // of directories that may not be searched most have nothing to do with it
            Verdict::Problem(problem @ ProgramProblem::NotSearchable { .. }) if candidates.len() > 1 => {
                denied = denied.or(Some(problem));
            }
            // of a link to where the host has no such program another one is mostly meant
            Verdict::Problem(problem @ ProgramProblem::DanglingLink { .. })
                if !direct && finder.view.shown_by(candidate).is_none() =>
            {
                astray = astray.or(Some(problem));
            }
            // execvp goes on after what it may not execute
            Verdict::Problem(problem) if !direct && problem.lets_search_go_on() => {
                first = first.or(Some(problem));
            }
            Verdict::Problem(problem) => return Some(problem),
            Verdict::Fine if sought.attempt == Attempt::Failed(Some(libc::ETXTBSY)) => {
                return Some(ProgramProblem::Busy(candidate.clone()));
            }
            // in a place that cannot be looked into it may be
            Verdict::Fine | Verdict::Unknown => return None,
        }
    }
    let only = denied.filter(|_| searched == 0);
    first
        .or(astray)
        .or(only)
        .or(Some(ProgramProblem::NotFound { program: sought.program.into(), searched: candidates }))
}

/// Whether a directory can be entered inside, or with which error number it cannot. What nobody can see is taken to be there.
pub(crate) fn enter(sandbox: &Sandbox, directory: &Path) -> Result<(), i32> {
    let settled = settle(sandbox);
    let view = View(&settled);
    match view.resolve(&Path::new("/").join(directory)) {
        Way::Unknown | Way::To(_, Node::Unknown) => Ok(()),
        Way::To(_, node @ (Node::Directory(_) | Node::Host(_) | Node::Data(..))) => {
            match view.searchable(&node) {
                Ok(true) | Err(None) => Ok(()),
                Ok(false) => Err(libc::ENOTDIR),
                Err(Some(_)) => Err(libc::EACCES),
            }
        }
        Way::To(_, Node::Missing | Node::Link(_)) | Way::Nowhere | Way::Astray { .. } => Err(libc::ENOENT),
        Way::Denied(..) => Err(libc::EACCES),
        Way::Circle => Err(libc::ELOOP),
        Way::TooLong => Err(libc::ENAMETOOLONG),
    }
}

/// A symbolic link on the way to a path, and where it leads: to where nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokenLink {
    pub(crate) link: PathBuf,
    pub(crate) target: PathBuf,
    /// What the path would be without links.
    pub(crate) end: PathBuf,
}

impl fmt::Display for BrokenLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the symbolic link {} leads to {}", self.link.display(), self.target.display())
    }
}

impl BrokenLink {
    /// The one on the way to a path inside.
    pub(crate) fn inside(sandbox: &Sandbox, path: &Path) -> Option<Self> {
        match View(&settle(sandbox)).walk(&Path::new("/").join(path)) {
            (Way::Astray { link, target }, end) => Some(Self { link, target, end }),
            _ => None,
        }
    }

    /// The one on the way to a path of the host's.
    pub(crate) fn on_host(path: &Path) -> Option<Self> {
        Self::inside(&Sandbox::new().dev_bind("/", "/"), &std::env::current_dir().ok()?.join(path))
    }
}

/// Whether bwrap's process 1 can open a file for reading, or with which error number it cannot. It does so where the command
/// starts. What nobody can see is taken to be there.
pub(crate) fn read(sandbox: &Sandbox, home: Option<&OsStr>, file: &Path) -> Result<(), i32> {
    let settled = settle(sandbox);
    let view = View(&settled);
    let Some(whole) = view.absolute(file, home) else { return Ok(()) };
    match view.resolve(&whole) {
        // it has no capabilities, root's neither
        Way::To(_, Node::Data(mode, _)) if mode & 0o400 == 0 => Err(libc::EACCES),
        Way::To(_, Node::Missing | Node::Link(_)) | Way::Nowhere | Way::Astray { .. } => Err(libc::ENOENT),
        Way::Denied(..) => Err(libc::EACCES),
        // root has capabilities, and where they count is another matter
        Way::To(_, Node::Host(host)) if !geteuid().is_root() => {
            match accessat(CWD, &host, Access::READ_OK, AtFlags::EACCESS) {
                Err(Errno::ACCESS) => Err(libc::EACCES),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// What a path is inside, where no link leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing,
    Directory,
    File,
    /// Nobody can tell, or a link leads there.
    Unknown,
}

/// What bwrap finds at a path, after the operations of this sandbox.
pub(crate) fn kind(sandbox: &Sandbox, path: &Path) -> Kind {
    let path = Path::new("/").join(relative(path));
    match View(sandbox).resolve(&path) {
        // a link on the way may lead to where it can be made
        Way::Nowhere if is_plain(sandbox, &path) => Kind::Missing,
        Way::To(at, Node::Directory(_)) if at == path => Kind::Directory,
        Way::To(at, Node::Data(..)) if at == path => Kind::File,
        Way::To(at, Node::Host(host)) if at == path => match fs::symlink_metadata(host) {
            Ok(meta) if meta.is_dir() => Kind::Directory,
            Ok(_) => Kind::File,
            Err(_) => Kind::Unknown,
        },
        _ => Kind::Unknown,
    }
}

/// Whether what is there of the way to a path has no link in it.
fn is_plain(sandbox: &Sandbox, path: &Path) -> bool {
    let mut above = path.ancestors().skip(1);
    let there = above.find_map(|above| match View(sandbox).resolve(above) {
        Way::Nowhere => None,
        Way::To(at, _) => Some(at == above),
        _ => Some(false),
    });
    there == Some(true)
}

/// Whether what is at a path is no program whatever its mode: no permission would make one of it.
fn is_no_program(problem: &ProgramProblem, at: &Path, node: &Node<'_>) -> bool {
    match problem {
        ProgramProblem::IsDirectory(path) | ProgramProblem::NotAFile(path) => path == at,
        ProgramProblem::NotExecutable { path, .. } if path == at => match node {
            Node::Data(_, Some(bytes)) => wants(Cursor::new(bytes)) == Wants::Shell,
            Node::Host(host) => open_regular(host).is_ok_and(|file| wants(file) == Wants::Shell),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a path ends as a directory's does, and something else is there (`execve(2)`, ENOTDIR).
fn is_no_directory(path: &Path, node: &Node<'_>) -> bool {
    let ends = path.as_os_str().as_bytes().ends_with(b"/");
    ends && match node {
        Node::Data(..) => true,
        Node::Host(host) => fs::metadata(host).is_ok_and(|meta| !meta.is_dir()),
        _ => false,
    }
}

enum Verdict {
    Fine,
    Problem(ProgramProblem),
    Unknown,
}

/// How many interpreters of interpreters the kernel follows.
const SCRIPTS: usize = 5;

#[derive(Clone, Copy)]
struct Finder<'a> {
    view: View<'a>,
    sought: Sought<'a>,
}

impl<'a> Finder<'a> {
    /// Where the program is looked for, inside. `None` if that depends on what nobody can see.
    fn candidates(self, direct: bool) -> Option<Vec<PathBuf>> {
        let program = Path::new(self.sought.program);
        if direct {
            return Some(vec![self.absolute(program)?]);
        }
        if self.sought.program.is_empty() {
            return Some(Vec::new());
        }
        // what execvp takes where there is no PATH
        let path = self.sought.path.unwrap_or(OsStr::new("/bin:/usr/bin"));
        let directories = std::env::split_paths(path).filter_map(|directory| self.absolute(&directory));
        Some(directories.map(|directory| directory.join(program)).collect())
    }

    /// A path as it is meant where the command starts.
    fn absolute(self, path: &Path) -> Option<PathBuf> {
        self.view.absolute(path, self.sought.home)
    }

    /// What `execve(2)` would say of a path inside.
    fn execute(self, path: &Path) -> Verdict {
        let (at, node) = match self.follow(path) {
            Ok(found) => found,
            Err(verdict) => return verdict,
        };
        if is_no_directory(path, &node) {
            return Verdict::Problem(ProgramProblem::TrailingSlash(path.into()));
        }
        self.judge(&at, &node, path, 0)
    }

    /// What is at a path, or what is wrong with the way there.
    fn follow(self, path: &Path) -> Result<(PathBuf, Node<'a>), Verdict> {
        let path = path.to_owned();
        Err(Verdict::Problem(match self.view.resolve(&path) {
            Way::To(_, Node::Unknown) | Way::Unknown => return Err(Verdict::Unknown),
            Way::To(at, node) => return Ok((at, node)),
            Way::Nowhere => ProgramProblem::NotFound { program: path.clone(), searched: vec![path] },
            Way::Astray { link, target } => self.dangling(path, link, target),
            Way::Denied(directory, mode) => ProgramProblem::NotSearchable { path, directory, mode },
            Way::Circle => ProgramProblem::LinkLoop(path),
            Way::TooLong => ProgramProblem::NameTooLong(path),
        }))
    }

    /// Judges a file, for `program` that is it or leads to it from script to script.
    fn judge(self, path: &Path, node: &Node<'_>, program: &Path, scripts: usize) -> Verdict {
        let wants = match node {
            Node::Directory(_) => return Verdict::Problem(ProgramProblem::IsDirectory(path.into())),
            Node::Data(mode, _) if mode & 0o111 == 0 => {
                return Verdict::Problem(ProgramProblem::NotExecutable { path: path.into(), mode: *mode });
            }
            Node::Data(_, Some(bytes)) => wants(Cursor::new(bytes)),
            Node::Host(host) => match self.permitted(path, host).map(|()| open_regular(host).map(wants)) {
                Ok(Ok(wants)) => wants,
                Ok(Err(_)) => return Verdict::Unknown,
                Err(verdict) => return verdict,
            },
            _ => return Verdict::Unknown,
        };
        let path = path.to_owned();
        match wants {
            Wants::Nothing => Verdict::Fine,
            Wants::Interpreter(_) if scripts == SCRIPTS => {
                Verdict::Problem(ProgramProblem::InterpreterLoop(program.to_owned()))
            }
            Wants::Interpreter(interpreter) => self.script(path, interpreter, program, scripts),
            Wants::Loader(interpreter) => self.loader(path, interpreter),
            Wants::Machine(_) | Wants::Shell if self.sought.attempt == Attempt::None => Verdict::Unknown,
            Wants::Machine(machine) => Verdict::Problem(ProgramProblem::WrongArchitecture { path, machine }),
            Wants::Shell
                if matches!(self.view.resolve(Path::new("/bin/sh")), Way::Nowhere | Way::Astray { .. }) =>
            {
                Verdict::Problem(ProgramProblem::ShellMissing(path))
            }
            Wants::Shell | Wants::Unknown => Verdict::Unknown,
        }
    }

    /// Whether a file of the host's may be executed at all.
    fn permitted(self, path: &Path, host: &Path) -> Result<(), Verdict> {
        let Ok(meta) = fs::metadata(host) else { return Err(Verdict::Unknown) };
        let mode = meta.mode() & 0o7777;
        let noexec = rustix::fs::StatVfsMountFlags::NOEXEC;
        let path = path.to_owned();
        Err(Verdict::Problem(if meta.is_dir() {
            ProgramProblem::IsDirectory(path)
        // merely to open a device may do something
        } else if !meta.is_file() {
            ProgramProblem::NotAFile(path)
        } else if mode & 0o111 == 0 {
            ProgramProblem::NotExecutable { path, mode }
        } else if rustix::fs::statvfs(host).is_ok_and(|statistics| statistics.f_flag.contains(noexec)) {
            ProgramProblem::Noexec(path)
        } else if self.view.denied(host, &meta) {
            ProgramProblem::NotExecutable { path, mode }
        } else if self.sought.attempt == Attempt::Failed(None) && has_writer(host, &meta) {
            ProgramProblem::Busy(path)
        } else {
            return Ok(());
        }))
    }

    /// Judges the interpreter of a script.
    fn script(self, path: PathBuf, interpreter: PathBuf, program: &Path, scripts: usize) -> Verdict {
        let Some(whole) = self.absolute(&interpreter) else { return Verdict::Unknown };
        match self.follow(&whole) {
            Ok((_, node)) if is_no_directory(&interpreter, &node) => {
                Verdict::Problem(ProgramProblem::BadInterpreter { path, interpreter })
            }
            Ok((at, node)) => match self.judge(&at, &node, program, scripts + 1) {
                Verdict::Problem(problem) if is_no_program(&problem, &at, &node) => {
                    Verdict::Problem(ProgramProblem::BadInterpreter { path, interpreter })
                }
                verdict => verdict,
            },
            Err(Verdict::Problem(ProgramProblem::NotFound { .. } | ProgramProblem::DanglingLink { .. })) => {
                let dos = interpreter.as_os_str().as_bytes().ends_with(b"\r");
                Verdict::Problem(if dos {
                    ProgramProblem::CarriageReturn { path, interpreter }
                } else {
                    match self.shown_by(&whole) {
                        Ok(bind) => ProgramProblem::InterpreterMissing { path, interpreter, bind },
                        Err(astray) => astray,
                    }
                })
            }
            Err(verdict) => verdict,
        }
    }

    /// What of the host's shows a file that is not there inside; `None` if the host has it not, either. Where it has, and a link that
    /// the sandbox makes leads past it, that is the problem.
    fn shown_by(self, whole: &Path) -> Result<Option<PathBuf>, ProgramProblem> {
        let shown = self.view.shown_by(whole);
        if shown.is_some() || fs::symlink_metadata(whole).is_err() {
            return Ok(shown);
        }
        match self.view.resolve(whole) {
            Way::Astray { link, target } if self.view.0.own_link(&link).is_some() => {
                Err(self.dangling(whole.to_owned(), link, target))
            }
            // of another tree the host's own is no part
            _ => Ok(Some(whole.to_owned()).filter(|_| !self.view.is_from_elsewhere(whole))),
        }
    }

    fn dangling(self, path: PathBuf, link: PathBuf, target: PathBuf) -> ProgramProblem {
        // of another tree a link to a whole path leads elsewhere on the host
        let broken = match self.view.look(&link) {
            Node::Host(host) => host == link && !host.exists(),
            _ => false,
        };
        ProgramProblem::DanglingLink { path, link, target, broken }
    }

    /// Judges the loader of an ELF file. What that names in turn, the kernel does not look at.
    fn loader(self, path: PathBuf, interpreter: PathBuf) -> Verdict {
        let Some(whole) = self.absolute(&interpreter) else { return Verdict::Unknown };
        let problem = match self.follow(&whole) {
            Ok((at, Node::Host(host))) => match self.permitted(&at, &host) {
                Err(verdict) => return verdict,
                Ok(()) => match open_regular(&host) {
                    Err(_) => return Verdict::Unknown,
                    Ok(file) if is_loader(&file) => return Verdict::Fine,
                    Ok(_) => ProgramProblem::BadLoader { path, interpreter },
                },
            },
            Ok((at, Node::Directory(_))) => ProgramProblem::IsDirectory(at),
            Ok(_) => return Verdict::Unknown,
            Err(Verdict::Problem(ProgramProblem::NotFound { .. } | ProgramProblem::DanglingLink { .. })) => {
                match self.shown_by(&whole) {
                    Ok(bind) => ProgramProblem::LoaderMissing { path, interpreter, bind },
                    Err(astray) => astray,
                }
            }
            Err(verdict) => return verdict,
        };
        Verdict::Problem(problem)
    }
}

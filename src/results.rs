//! What a sandbox has left in a directory that it could write: opened without following anything out of it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fcntl_setfl, fstat, open, openat, openat2};
use rustix::io::Errno;

/// A directory that a sandbox could write, for whoever stands outside and wants what is in it.
///
/// What is written inside can be a trap for who reads it outside, with more rights: a symbolic link to `/etc/shadow`, a directory that is
/// swapped for a link between check and use, a FIFO that blocks for ever, a device. Here the kernel resolves names below the directory
/// only, through no symbolic link (`openat2(2)`, `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS`, `RESOLVE_NO_MAGICLINKS`; Linux 5.6), and nothing
/// but a regular file is opened. The sandbox may run meanwhile.
///
/// The directory itself is named by the caller, and trusted: the sandbox must not be able to replace it, that is, to write the directory that
/// it is in. Files with another owner, or hard links, are opened as they are: a sandbox can link only what it can also
/// name in that file system, writable.
///
/// ```
/// use bwrap_launch::{Results, ResultsError, Sandbox};
/// # let directory = tempfile::tempdir().unwrap();
/// # let directory = directory.path();
/// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").bind(directory, directory).current_dir(directory);
/// let script = "mkdir out; echo fine > out/report; ln -s /etc/passwd out/trap";
/// assert!(sandbox.command("sh").args(["-c", script]).status().unwrap().success());
/// let results = Results::below(directory).unwrap();
/// assert_eq!(results.read("out/report", 1 << 20).unwrap(), b"fine\n");
/// assert!(matches!(results.open("out/trap"), Err(ResultsError::LeadsAway { .. })));
/// ```
#[derive(Debug)]
pub struct Results {
    directory: OwnedFd,
    /// What it is called in errors.
    path: PathBuf,
}

/// Something in a directory ([`Results::entries`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultsEntry {
    /// Its name.
    pub name: OsString,
    /// What it was when it was listed.
    pub kind: ResultsKind,
}

/// What something in a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResultsKind {
    /// A regular file, which [`Results::open`] opens.
    File,
    /// A directory, which [`Results::directory`] opens.
    Directory,
    /// A symbolic link, which nothing here follows.
    Symlink,
    /// A FIFO, socket or device, which nothing here opens.
    Special,
}

impl ResultsKind {
    fn of(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            _ => Self::Special,
        }
    }
}

/// Why something below a directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// The name leads out of the directory, or through a symbolic link.
    #[error(
        "{}: leads out of the directory, or through a symbolic link; it was not followed",
        crate::visible::path(path)
    )]
    #[non_exhaustive]
    LeadsAway {
        /// The name.
        path: PathBuf,
    },
    /// It is something else than what was asked for.
    #[error("{}: is not a {wanted}, but a {found}; it was not opened", crate::visible::path(path))]
    #[non_exhaustive]
    Other {
        /// The name.
        path: PathBuf,
        /// `regular file` or `directory`.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// There is more in it than was allowed.
    #[error("{}: has more than {limit} bytes", crate::visible::path(path))]
    #[non_exhaustive]
    TooLarge {
        /// The name.
        path: PathBuf,
        /// How many bytes were allowed.
        limit: u64,
    },
    /// There are more entries in it than were allowed.
    #[error("{}: has more than {limit} entries", crate::visible::path(path))]
    #[non_exhaustive]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// How many were allowed.
        limit: usize,
    },
    /// The kernel cannot open anything in this way.
    #[error(
        "openat2(2) is not there, which opens files without following anything out of a directory: it takes Linux 5.6, and in a container a seccomp profile that knows it (Docker 20.10)"
    )]
    Unsupported,
    /// The system denied it.
    #[error("{}: {source}", crate::visible::path(path))]
    #[non_exhaustive]
    System {
        /// The name.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// How often a name is resolved anew when something was renamed meanwhile.
const TRIES: usize = 100;

impl Results {
    /// The results below this directory.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or `openat2(2)` is not there.
    pub fn below(directory: impl Into<PathBuf>) -> Result<Self, ResultsError> {
        let path = directory.into();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = open(&path, flags, Mode::empty());
        let directory = opened.map_err(|errno| failed(errno, &path, Path::new("")))?;
        let results = Self { directory, path };
        // whether that can be done at all is to be known at once; what was opened just now is not denied but by a filter
        match results.resolve(Path::new("."), flags, Mode::empty()) {
            Err(error) if has_errno(&error, Errno::PERM) => Err(ResultsError::Unsupported),
            resolved => resolved.map(|_| results),
        }
    }

    /// Opens a regular file for reading. It is not waited for, whatever the sandbox does.
    ///
    /// # Errors
    ///
    /// If the name leads away, if it is no regular file, or the system denies it. A sandbox that holds a lease on the file
    /// (`fcntl(2)`, `F_SETLEASE`) makes that [`io::ErrorKind::WouldBlock`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File, ResultsError> {
        let path = path.as_ref();
        let found = self.regular(path)?;
        self.reopen(&found, path, OFlags::RDONLY)
    }

    /// Reads a regular file of `limit` bytes at most.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and if there is more in it, or it cannot be read.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, ResultsError> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        let file = self.open(path)?;
        let system = |source| ResultsError::System { path: self.path.join(path), source };
        // what it is said to hold may change while it is read
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(system)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
            return Err(ResultsError::TooLarge { path: self.path.join(path), limit });
        }
        Ok(bytes)
    }

    /// Opens a regular file for writing at its end. Makes it, with mode 0644 less the umask, if it is not there: a log that
    /// lies where the sandbox may write.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// ```
    /// use std::io::Write;
    /// use bwrap_launch::Results;
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path();
    /// let results = Results::below(directory).unwrap();
    /// for line in [b"one\n", b"two\n"] {
    ///     results.append("log").unwrap().write_all(line).unwrap();
    /// }
    /// assert_eq!(results.read("log", 100).unwrap(), b"one\ntwo\n");
    /// ```
    pub fn append(&self, path: impl AsRef<Path>) -> Result<File, ResultsError> {
        let path = path.as_ref();
        let exists = |error: &ResultsError| has_errno(error, Errno::EXIST);
        for _ in 0..TRIES {
            match self.regular(path) {
                Ok(found) => return self.reopen(&found, path, OFlags::WRONLY | OFlags::APPEND),
                Err(error) if has_errno(&error, Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
            let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            match self.resolve(path, flags, Mode::from_raw_mode(0o644)) {
                // somebody else has made it meanwhile
                Err(error) if exists(&error) => {}
                made => return Ok(made?.into()),
            }
        }
        Err(failed(Errno::AGAIN, &self.path, path))
    }

    /// A directory below this one.
    ///
    /// # Errors
    ///
    /// If the name leads away, if it is no directory, or the system denies it.
    ///
    /// ```
    /// use bwrap_launch::Results;
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path();
    /// std::fs::create_dir_all(directory.join("out/logs")).unwrap();
    /// let results = Results::below(directory).unwrap();
    /// assert!(results.directory("out/logs").unwrap().entries(100).unwrap().is_empty());
    /// ```
    pub fn directory(&self, path: impl AsRef<Path>) -> Result<Self, ResultsError> {
        let path = path.as_ref();
        let found = self.resolve(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        self.expect(&found, path, "directory", |kind| kind == FileType::Directory)?;
        Ok(Self { directory: found, path: self.path.join(path) })
    }

    /// What is in this directory, of `limit` entries at most, in no order. What can be opened may have changed by the time when it is.
    ///
    /// # Errors
    ///
    /// If there is more in it, or it cannot be read.
    ///
    /// ```
    /// use bwrap_launch::{Results, ResultsKind};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let directory = directory.path();
    /// std::os::unix::fs::symlink("/etc/passwd", directory.join("trap")).unwrap();
    /// let entries = Results::below(directory).unwrap().entries(100).unwrap();
    /// assert_eq!((entries[0].name.to_str(), entries[0].kind), (Some("trap"), ResultsKind::Symlink));
    /// ```
    pub fn entries(&self, limit: usize) -> Result<Vec<ResultsEntry>, ResultsError> {
        let fail = |errno| failed(errno, &self.path, Path::new(""));
        // what a path descriptor stands for is opened, whatever it is called now
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = openat(&self.directory, ".", flags, Mode::empty()).map_err(fail)?;
        let mut entries = Vec::new();
        for entry in Dir::new(readable).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if [".", ".."].contains(&name.to_str().unwrap_or_default()) {
                continue;
            }
            let kind = match entry.file_type() {
                // some file systems do not say it here
                FileType::Unknown => {
                    match self.resolve(Path::new(name), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
                        Ok(found) => self.kind_of(&found, Path::new(name))?,
                        Err(ResultsError::LeadsAway { .. }) => FileType::Symlink,
                        // it is gone by now
                        Err(error) if has_errno(&error, Errno::NOENT) => continue,
                        Err(error) => return Err(error),
                    }
                }
                kind => kind,
            };
            if entries.len() == limit {
                return Err(ResultsError::TooMany { path: self.path.clone(), limit });
            }
            entries.push(ResultsEntry { name: name.to_owned(), kind: ResultsKind::of(kind) });
        }
        Ok(entries)
    }

    /// Has the kernel resolve a name below the directory.
    fn resolve(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, ResultsError> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let mut last = Errno::AGAIN;
        for _ in 0..TRIES {
            match openat2(&self.directory, path, flags, mode, resolve) {
                Ok(found) => return Ok(found),
                // the kernel cannot be sure: something was renamed on the way
                Err(error @ (Errno::AGAIN | Errno::INTR)) => last = error,
                Err(error) => return Err(failed(error, &self.path, path)),
            }
        }
        Err(failed(last, &self.path, path))
    }

    /// A regular file, not opened yet: only looked at.
    fn regular(&self, path: &Path) -> Result<OwnedFd, ResultsError> {
        let found = self.resolve(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        self.expect(&found, path, "regular file", |kind| kind == FileType::RegularFile)?;
        Ok(found)
    }

    fn kind_of(&self, found: &OwnedFd, path: &Path) -> Result<FileType, ResultsError> {
        let stat = fstat(found).map_err(|errno| failed(errno, &self.path, path))?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }

    fn expect(
        &self,
        found: &OwnedFd,
        path: &Path,
        wanted: &'static str,
        is: impl FnOnce(FileType) -> bool,
    ) -> Result<(), ResultsError> {
        let kind = self.kind_of(found, path)?;
        if is(kind) {
            return Ok(());
        }
        let found = match kind {
            FileType::RegularFile => "regular file",
            FileType::Directory => "directory",
            FileType::Fifo => "FIFO",
            FileType::Socket => "socket",
            FileType::CharacterDevice | FileType::BlockDevice => "device",
            _ => "special file",
        };
        Err(ResultsError::Other { path: self.path.join(path), wanted, found })
    }

    /// Opens what was looked at, and not what has its name by now.
    fn reopen(&self, found: &OwnedFd, path: &Path, flags: OFlags) -> Result<File, ResultsError> {
        let fail = |errno| failed(errno, &self.path, path);
        let own = format!("/proc/self/fd/{}", found.as_fd().as_raw_fd());
        // a lease must not make us wait
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = openat(CWD, own, flags | OFlags::NONBLOCK, Mode::empty()).map_err(fail)?;
        fcntl_setfl(&file, flags & OFlags::APPEND).map_err(fail)?;
        Ok(file.into())
    }
}

impl AsFd for Results {
    /// The directory (`O_PATH`).
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn failed(errno: Errno, directory: &Path, path: &Path) -> ResultsError {
    let path = if path.as_os_str().is_empty() { directory.to_owned() } else { directory.join(path) };
    match errno {
        Errno::XDEV | Errno::LOOP => ResultsError::LeadsAway { path },
        Errno::NOSYS => ResultsError::Unsupported,
        errno => ResultsError::System { path, source: errno.into() },
    }
}

fn has_errno(error: &ResultsError, errno: Errno) -> bool {
    matches!(error, ResultsError::System { source, .. } if Errno::from_io_error(source) == Some(errno))
}

//! What is created or changed in the mounts that are there.

use std::path::{Path, PathBuf};

use super::super::Content;

/// A directory: `--dir` with its `--perms` (0755 without). An existing one keeps its permissions.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Dir;
/// let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").add(Dir::new("/tmp/private").mode(0o700));
/// let output = sandbox.command("stat").args(["-c", "%a", "/tmp/private"]).output()?;
/// assert_eq!(output.stdout, b"700\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    pub(crate) destination: PathBuf,
    pub(crate) mode: Option<u32>,
}

/// A file with the given content: `--file` with its `--perms` (0666 without).
///
/// An existing file is truncated and keeps its permissions; inside a writable bind that is a file on the
/// host. [`BindData`](super::BindData) never touches the host.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::File;
/// let script = File::new("#!/bin/sh\necho hello\n", "/tmp/greet").mode(0o755);
/// let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").add(script);
/// assert_eq!(sandbox.command("/tmp/greet").output()?.stdout, b"hello\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub(crate) content: Content,
    pub(crate) destination: PathBuf,
    pub(crate) mode: Option<u32>,
}

impl File {
    /// A file at `destination` that holds `content`.
    pub fn new(content: impl Into<Content>, destination: impl Into<PathBuf>) -> Self {
        Self { content: content.into(), destination: destination.into(), mode: None }
    }

    /// What the file holds.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }
}

/// A symbolic link: `--symlink`. The target is taken as it is, never resolved.
///
/// Before bwrap 0.9 anything already at `destination` is an error; since then the same link may be there
/// already.
///
/// See `symlink(7)`.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Symlink;
/// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").add(Symlink::new("usr/bin", "/bin"));
/// assert_eq!(sandbox.to_string(), "bwrap --clearenv --ro-bind /usr /usr --symlink usr/bin /bin");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symlink {
    pub(crate) target: PathBuf,
    pub(crate) destination: PathBuf,
}

impl Symlink {
    /// A link at `destination` that points to `target`.
    pub fn new(target: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        Self { target: target.into(), destination: destination.into() }
    }

    /// What the link points to, as it was given.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }
}

/// Changes the permissions of something that exists inside: `--chmod`.
///
/// See `chmod(2)`. What does not exist there fails the set-up.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Chmod;
/// let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").add(Chmod::new(0o1777, "/tmp"));
/// let output = sandbox.command("stat").args(["-c", "%a", "/tmp"]).output()?;
/// assert_eq!(output.stdout, b"1777\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod {
    pub(crate) mode: u32,
    pub(crate) destination: PathBuf,
}

impl Chmod {
    /// Sets the permissions of `path` to `mode` (07777 at most).
    pub fn new(mode: u32, path: impl Into<PathBuf>) -> Self {
        Self { mode, destination: path.into() }
    }

    /// The permissions that it sets.
    #[must_use]
    pub fn get_mode(&self) -> u32 {
        self.mode
    }
}

//! The operations on a sandbox's file system, one type for each, in the order in which bwrap performs them.
//!
//! [`Sandbox`](crate::Sandbox) has a short method for the most common ones; [`Sandbox::add`](crate::Sandbox::add) takes
//! them all. What was set can be read back: a getter has the name of what it gets, with `get_` before it where the
//! setter took that name, as in [`std::process::Command`].
//!
//! ```
//! use std::path::Path;
//! use bwrap_launch::{Sandbox, op};
//! let sandbox = Sandbox::new().ro_bind("/usr", "/usr").bind("/home/me", "/home/me").tmpfs("/tmp");
//! // a policy: nothing of /home may be written
//! let writes_home = |operation: &op::Operation| match operation {
//!     op::Operation::Bind(bind) => bind.access() != op::Access::ReadOnly && bind.source().starts_with("/home"),
//!     _ => false,
//! };
//! let offender = sandbox.operations().iter().find(|operation| writes_home(operation)).unwrap();
//! assert_eq!(offender.destination(), Path::new("/home/me"));
//! ```

mod bind;
mod create;
mod mount;
mod overlay;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use bind::{Access, Bind, BindData, BindFd};
pub use create::{Chmod, Dir, File, Symlink};
pub use mount::{Dev, Mqueue, Proc, RemountRo, Tmpfs};
pub use overlay::Overlay;
pub(crate) use overlay::OverlayKind;

/// One step of building the sandbox's file system.
///
/// bwrap performs operations strictly in order, each on top of what the earlier ones left. What belongs to an
/// operation is part of its value: permissions and size, overlay layers, the bytes of a file. bwrap's own
/// free-standing modifiers (`--perms`, `--size`, `--overlay-src`), which it silently ignores in the wrong
/// place, cannot be written.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Tmpfs;
/// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").add(Tmpfs::new("/tmp").mode(0o1777).size(64 << 20));
/// assert_eq!(
///     sandbox.to_string(),
///     "bwrap --clearenv --ro-bind /usr /usr --perms 1777 --size 67108864 --tmpfs /tmp"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Mounts a host file or directory inside: `--bind` and its relatives.
    Bind(Bind),
    /// Mounts what a descriptor refers to: `--bind-fd`, `--ro-bind-fd`.
    BindFd(BindFd),
    /// Makes an earlier mount read-only: `--remount-ro`.
    RemountRo(RemountRo),
    /// Mounts an overlay file system: `--overlay-src` with `--overlay`, `--tmp-overlay` or `--ro-overlay`.
    Overlay(Overlay),
    /// Mounts procfs: `--proc`.
    Proc(Proc),
    /// Mounts a minimal `/dev`: `--dev`.
    Dev(Dev),
    /// Mounts a new tmpfs: `--tmpfs`.
    Tmpfs(Tmpfs),
    /// Mounts the POSIX message queue file system: `--mqueue`.
    Mqueue(Mqueue),
    /// Creates a directory: `--dir`.
    Dir(Dir),
    /// Creates a file: `--file`.
    File(File),
    /// Mounts a file that exists only in memory: `--bind-data`, `--ro-bind-data`.
    BindData(BindData),
    /// Creates a symbolic link: `--symlink`.
    Symlink(Symlink),
    /// Changes permissions inside: `--chmod`.
    Chmod(Chmod),
}

impl Operation {
    /// Where inside the sandbox this operation acts.
    ///
    /// ```
    /// use std::path::Path;
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").symlink("usr/bin", "/bin");
    /// let last = sandbox.operations().last().unwrap();
    /// assert_eq!((last.name(), last.destination()), ("symlink", Path::new("/bin")));
    /// ```
    #[must_use]
    pub fn destination(&self) -> &Path {
        match self {
            Self::Bind(o) => &o.destination,
            Self::BindFd(o) => &o.destination,
            Self::RemountRo(o) => &o.destination,
            Self::Overlay(o) => &o.destination,
            Self::Proc(o) => &o.destination,
            Self::Dev(o) => &o.destination,
            Self::Tmpfs(o) => &o.destination,
            Self::Mqueue(o) => &o.destination,
            Self::Dir(o) => &o.destination,
            Self::File(o) => &o.destination,
            Self::BindData(o) => &o.destination,
            Self::Symlink(o) => &o.destination,
            Self::Chmod(o) => &o.destination,
        }
    }

    pub(crate) fn destination_mut(&mut self) -> &mut PathBuf {
        match self {
            Self::Bind(o) => &mut o.destination,
            Self::BindFd(o) => &mut o.destination,
            Self::RemountRo(o) => &mut o.destination,
            Self::Overlay(o) => &mut o.destination,
            Self::Proc(o) => &mut o.destination,
            Self::Dev(o) => &mut o.destination,
            Self::Tmpfs(o) => &mut o.destination,
            Self::Mqueue(o) => &mut o.destination,
            Self::Dir(o) => &mut o.destination,
            Self::File(o) => &mut o.destination,
            Self::BindData(o) => &mut o.destination,
            Self::Symlink(o) => &mut o.destination,
            Self::Chmod(o) => &mut o.destination,
        }
    }

    /// What people call this operation.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bind(Bind { access: Access::ReadOnly, .. }) => "read-only bind",
            Self::Bind(Bind { access: Access::Device, .. }) => "device bind",
            Self::Bind(_) => "bind",
            Self::BindFd(_) => "bind of a descriptor",
            Self::RemountRo(_) => "read-only remount",
            Self::Overlay(_) => "overlay",
            Self::Proc(_) => "proc",
            Self::Dev(_) => "dev",
            Self::Tmpfs(_) => "tmpfs",
            Self::Mqueue(_) => "mqueue",
            Self::Dir(_) => "dir",
            Self::File(_) => "file",
            Self::BindData(_) => "bind of data",
            Self::Symlink(_) => "symlink",
            Self::Chmod(_) => "chmod",
        }
    }

    /// The bind that it is.
    pub(crate) fn as_bind(&self) -> Option<&Bind> {
        let Self::Bind(bind) = self else { return None };
        Some(bind)
    }

    /// Whether the operation covers its destination with another file system or file.
    pub(crate) fn is_mount(&self) -> bool {
        !matches!(self, Self::RemountRo(_) | Self::Dir(_) | Self::File(_) | Self::Symlink(_) | Self::Chmod(_))
    }
}

/// The constructor of operations that need nothing but a destination.
macro_rules! destination_only {
    ($($name:ident { $($field:ident: $value:expr),* })+) => { $(
        impl $name {
            #[doc = concat!("A `", stringify!($name), "` on `destination`, a path inside the sandbox.")]
            pub fn new(destination: impl Into<PathBuf>) -> Self {
                Self { destination: destination.into(), $($field: $value),* }
            }
        }
    )+ };
}
destination_only! {
    RemountRo {}
    Proc {}
    Dev {}
    Tmpfs { mode: None, size: None }
    Mqueue {}
    Dir { mode: None }
}

/// The setter of permissions, for operations that create something.
macro_rules! with_mode {
    ($($name:ident)+) => { $(
        impl $name {
            /// Sets the permissions (`--perms`), 07777 at most. Parents that bwrap has to create are
            /// restricted alike.
            #[must_use]
            pub fn mode(mut self, mode: u32) -> Self {
                self.mode = Some(mode);
                self
            }

            /// The permissions that were set; without, bwrap's own default holds.
            #[must_use]
            pub fn get_mode(&self) -> Option<u32> {
                self.mode
            }
        }
    )+ };
}
with_mode! { Tmpfs Dir File BindData }

/// What all operations have: where they act, and their place in [`Operation`].
macro_rules! operations {
    ($($name:ident)+) => { $(
        impl $name {
            /// The path inside the sandbox on which it acts.
            #[must_use]
            pub fn destination(&self) -> &Path {
                &self.destination
            }
        }

        impl From<$name> for Operation {
            fn from(operation: $name) -> Self {
                Self::$name(operation)
            }
        }
    )+ };
}
operations! { Bind BindFd RemountRo Overlay Proc Dev Tmpfs Mqueue Dir File BindData Symlink Chmod }

impl Operation {
    /// Every path and string of this operation, for the checks that all of them share.
    pub(crate) fn texts(&self) -> Vec<(&'static str, &OsStr)> {
        let mut texts = vec![("destination", self.destination().as_os_str())];
        match self {
            Self::Bind(o) => texts.push(("source", o.source.as_os_str())),
            Self::Symlink(o) => texts.push(("target", o.target.as_os_str())),
            Self::Overlay(o) => {
                texts.extend(o.layers.iter().map(|layer| ("layer", layer.as_os_str())));
                texts.extend(o.options.iter().map(|option| ("mount option", option.as_os_str())));
                if let OverlayKind::Writable { upper, work } = &o.kind {
                    texts.push(("upper directory", upper.as_os_str()));
                    texts.push(("work directory", work.as_os_str()));
                }
            }
            _ => {}
        }
        texts
    }
}

//! One filesystem operation per variant, in the order in which bwrap performs them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Content, Descriptor};

/// One step of building the sandbox's file system.
///
/// bwrap performs operations strictly in order, each on top of what the earlier ones left. What belongs to an
/// operation is part of its value: permissions and size, overlay layers, the bytes of a file. bwrap's own
/// free-standing modifiers (`--perms`, `--size`, `--overlay-src`), which it silently ignores in the wrong
/// place, cannot be written.
///
/// ```
/// use bwrap_launch::{Sandbox, Tmpfs};
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

    /// Whether the operation covers its destination with another file system or file.
    pub(crate) fn is_mount(&self) -> bool {
        !matches!(self, Self::RemountRo(_) | Self::Dir(_) | Self::File(_) | Self::Symlink(_) | Self::Chmod(_))
    }
}

/// What a bind mount allows.
///
/// ```
/// use bwrap_launch::{Access, Bind, Sandbox};
/// let bind = |access| Sandbox::new().add(Bind::with("/a", "/a", access)).to_string();
/// assert_eq!(bind(Access::ReadOnly), "bwrap --clearenv --ro-bind /a /a");
/// assert_eq!(bind(Access::ReadWrite), "bwrap --clearenv --bind /a /a");
/// assert_eq!(bind(Access::Device), "bwrap --clearenv --dev-bind /a /a");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read and execute only, submounts included (`--ro-bind`).
    ReadOnly,
    /// Read and write; device nodes do not work (`--bind`).
    ReadWrite,
    /// Read and write, and device nodes work (`--dev-bind`).
    Device,
}

/// A host file or directory mounted inside: `--bind`, `--ro-bind`, `--dev-bind` and their `-try` forms. See
/// `mount(8)`.
///
/// The mount is recursive and always `nosuid`; it is `nodev` unless [`Access::Device`]. A missing destination is
/// created in whatever file system is there, on the host if an earlier writable bind covers it; missing parents get
/// mode 0700.
///
/// ```
/// use bwrap_launch::{Bind, Sandbox};
/// let sandbox = Sandbox::new().add(Bind::read_only("/opt/cache", "/cache").optional());
/// assert_eq!(sandbox.to_string(), "bwrap --clearenv --ro-bind-try /opt/cache /cache");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) destination: PathBuf,
    pub(crate) access: Access,
    pub(crate) optional: bool,
}

impl Bind {
    /// `--bind`: readable and writable.
    pub fn read_write(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        Self::with(source, destination, Access::ReadWrite)
    }

    /// `--ro-bind`: readable only.
    pub fn read_only(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        Self::with(source, destination, Access::ReadOnly)
    }

    /// `--dev-bind`: readable and writable, device nodes usable.
    pub fn device(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        Self::with(source, destination, Access::Device)
    }

    /// A bind with the given access.
    ///
    /// ```
    /// use bwrap_launch::{Access, Bind};
    /// assert_eq!(Bind::with("/a", "/b", Access::ReadOnly), Bind::read_only("/a", "/b"));
    /// assert_eq!(Bind::with("/a", "/b", Access::ReadWrite), Bind::read_write("/a", "/b"));
    /// assert_eq!(Bind::with("/a", "/b", Access::Device), Bind::device("/a", "/b"));
    /// ```
    pub fn with(source: impl Into<PathBuf>, destination: impl Into<PathBuf>, access: Access) -> Self {
        Self { source: source.into(), destination: destination.into(), access, optional: false }
    }

    /// Does nothing if the source does not exist (`--bind-try` and its relatives). Only "No such file or
    /// directory" is forgiven.
    ///
    /// ```
    /// use bwrap_launch::{Bind, Sandbox};
    /// let perhaps = Bind::read_only("/nonexistent", "/opt").optional();
    /// let sandbox = Sandbox::new().ro_bind("/", "/").add(perhaps);
    /// assert!(sandbox.command("true").status()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// What an open descriptor refers to, mounted inside: `--bind-fd`, `--ro-bind-fd` (bwrap 0.10, and older ones
/// that distributions patched).
///
/// The descriptor names the object even if somebody renames its path meanwhile. It needs a path: a memfd or a
/// deleted file has none.
///
/// ```
/// use bwrap_launch::{BindFd, Sandbox};
/// let directory = std::fs::File::open("/usr")?;
/// let sandbox = Sandbox::new().add(BindFd::read_only(directory, "/usr"));
/// assert!(sandbox.to_string().starts_with("bwrap --clearenv --ro-bind-fd 3 /usr 3</proc/"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindFd {
    pub(crate) descriptor: Descriptor,
    pub(crate) destination: PathBuf,
    pub(crate) read_only: bool,
}

impl BindFd {
    /// `--bind-fd`: readable and writable.
    pub fn read_write(descriptor: impl Into<Descriptor>, destination: impl Into<PathBuf>) -> Self {
        Self { descriptor: descriptor.into(), destination: destination.into(), read_only: false }
    }

    /// `--ro-bind-fd`: readable only.
    pub fn read_only(descriptor: impl Into<Descriptor>, destination: impl Into<PathBuf>) -> Self {
        Self { descriptor: descriptor.into(), destination: destination.into(), read_only: true }
    }
}

/// Makes a mount read-only after the fact, not its submounts: `--remount-ro`.
///
/// ```
/// use bwrap_launch::{RemountRo, Sandbox, Tmpfs};
/// let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").add(RemountRo::new("/tmp"));
/// assert!(!sandbox.command("sh").args(["-c", ": > /tmp/f"]).output()?.status.success());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemountRo {
    pub(crate) destination: PathBuf,
}

/// Where an overlay keeps what is written to it.
///
/// ```
/// use bwrap_launch::{Overlay, Sandbox};
/// let shown = |overlay| Sandbox::new().add(overlay).to_string();
/// assert!(shown(Overlay::writable("/up", "/work", "/d")).ends_with("--overlay /up /work /d"));
/// assert!(shown(Overlay::temporary("/d")).ends_with("--tmp-overlay /d"));
/// assert!(shown(Overlay::read_only("/d")).ends_with("--ro-overlay /d"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OverlayKind {
    /// In a host directory (`--overlay`): `upper` receives the changes, `work` is an empty directory on the
    /// same file system.
    Writable {
        /// The host directory that receives the changes.
        upper: PathBuf,
        /// An empty host directory on the same file system, for the kernel's use.
        work: PathBuf,
    },
    /// In memory, lost at the end (`--tmp-overlay`).
    Temporary,
    /// Nowhere: it cannot be written (`--ro-overlay`).
    ReadOnly,
}

/// An overlay file system with its layers: `--overlay-src` with `--overlay`, `--tmp-overlay` or
/// `--ro-overlay` (bwrap 0.11; unprivileged overlays need Linux 5.11).
///
/// ```
/// use bwrap_launch::{Overlay, Sandbox};
/// let sandbox = Sandbox::new().add(Overlay::temporary("/usr").layer("/usr").layer("/srv/extra"));
/// assert_eq!(
///     sandbox.to_string(),
///     "bwrap --clearenv --overlay-src /usr --overlay-src /srv/extra --tmp-overlay /usr"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) options: Vec<OsString>,
    pub(crate) kind: OverlayKind,
    pub(crate) destination: PathBuf,
}

impl Overlay {
    /// `--overlay`: changes go to the host directory `upper`; `work` is an empty directory beside it.
    pub fn writable(
        upper: impl Into<PathBuf>,
        work: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Self {
        Self::with(OverlayKind::Writable { upper: upper.into(), work: work.into() }, destination)
    }

    /// `--tmp-overlay`: changes go to memory and are lost at the end.
    pub fn temporary(destination: impl Into<PathBuf>) -> Self {
        Self::with(OverlayKind::Temporary, destination)
    }

    /// `--ro-overlay`: read-only; needs two layers at least.
    pub fn read_only(destination: impl Into<PathBuf>) -> Self {
        Self::with(OverlayKind::ReadOnly, destination)
    }

    fn with(kind: OverlayKind, destination: impl Into<PathBuf>) -> Self {
        Self { layers: Vec::new(), options: Vec::new(), kind, destination: destination.into() }
    }

    /// Adds a host directory on top of the layers so far (`--overlay-src`); the first is the bottom.
    ///
    /// ```
    /// use bwrap_launch::{Overlay, Problem, Sandbox};
    /// let overlay = Overlay::read_only("/usr").layer("/usr");
    /// let error = Sandbox::new().add(overlay.clone()).check().unwrap_err();
    /// assert_eq!(error.problem, Problem::TooFewLayers { given: 1, needed: 2 });
    /// assert!(Sandbox::new().add(overlay.layer("/srv/patch")).check().is_ok());
    /// ```
    #[must_use]
    pub fn layer(mut self, source: impl Into<PathBuf>) -> Self {
        self.layers.push(source.into());
        self
    }

    /// Adds an overlayfs mount option (`--overlay-opt`, newer than bwrap 0.12).
    ///
    /// The kernel's documentation of overlayfs lists them.
    ///
    /// ```
    /// use bwrap_launch::{Overlay, Sandbox};
    /// let sandbox = Sandbox::new().add(Overlay::temporary("/usr").layer("/usr").option("userxattr"));
    /// assert!(sandbox.to_string().contains("--overlay-opt userxattr"));
    /// ```
    #[must_use]
    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }
}

/// A procfs: `--proc`.
///
/// With a PID namespace of its own the sandbox gets a new procfs; without one bwrap binds the host's, with
/// every process of the host in it.
///
/// See `proc(5)`.
///
/// ```
/// use bwrap_launch::{Namespaces, Proc, Sandbox};
/// let sandbox = Sandbox::new().add(Proc::new("/proc")).unshare(Namespaces::PID);
/// assert_eq!(sandbox.to_string(), "bwrap --clearenv --unshare-pid --proc /proc");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proc {
    pub(crate) destination: PathBuf,
}

/// A minimal `/dev` with null, zero, full, random, urandom, tty, pts and shm: `--dev`.
///
/// ```
/// use bwrap_launch::{Dev, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").add(Dev::new("/dev"));
/// assert_eq!(sandbox.to_string(), "bwrap --clearenv --ro-bind /usr /usr --dev /dev");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dev {
    pub(crate) destination: PathBuf,
}

/// A new, empty tmpfs: `--tmpfs` with its `--perms` and `--size`.
///
/// Without a size the kernel's default holds: half of the memory, for each such mount.
///
/// ```
/// use bwrap_launch::{Sandbox, Tmpfs};
/// let sandbox = Sandbox::new().ro_bind("/", "/").add(Tmpfs::new("/tmp").mode(0o1777).size(1 << 20));
/// let output = sandbox.command("stat").args(["-c", "%a", "/tmp"]).output()?;
/// assert_eq!(output.stdout, b"1777\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    pub(crate) destination: PathBuf,
    pub(crate) mode: Option<u32>,
    pub(crate) size: Option<u64>,
}

impl Tmpfs {
    /// Sets the size limit in bytes (`--size`): not 0, at most half of the address space.
    ///
    /// ```
    /// use bwrap_launch::{Problem, Sandbox, Tmpfs};
    /// let error = Sandbox::new().add(Tmpfs::new("/tmp").size(0)).check().unwrap_err();
    /// assert_eq!(error.problem, Problem::Size(0));
    /// ```
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }
}

/// A POSIX message queue file system: `--mqueue`. Inside a user namespace the kernel also wants
/// [`Namespaces::IPC`](super::Namespaces::IPC).
///
/// See `mq_overview(7)`.
///
/// ```
/// use bwrap_launch::{Mqueue, Namespaces, Sandbox};
/// let sandbox = Sandbox::new().unshare(Namespaces::IPC).add(Mqueue::new("/dev/mqueue"));
/// assert_eq!(sandbox.to_string(), "bwrap --clearenv --unshare-ipc --mqueue /dev/mqueue");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqueue {
    pub(crate) destination: PathBuf,
}

/// A directory: `--dir` with its `--perms` (0755 without). An existing one keeps its permissions.
///
/// ```
/// use bwrap_launch::{Dir, Sandbox};
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
/// host. [`BindData`] never touches the host.
///
/// ```
/// use bwrap_launch::{File, Sandbox};
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
}

/// A file that lives in memory, mounted on `destination`: `--bind-data`, `--ro-bind-data` with `--perms`
/// (0600 without).
///
/// ```
/// use bwrap_launch::{BindData, Content, Sandbox};
/// let token = BindData::read_only(Content::secret("hunter2"), "/run/token").mode(0o400);
/// let sandbox = Sandbox::new().add(token);
/// assert!(!format!("{sandbox:?}").contains("hunter2"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindData {
    pub(crate) content: Content,
    pub(crate) destination: PathBuf,
    pub(crate) mode: Option<u32>,
    pub(crate) read_only: bool,
}

impl BindData {
    /// `--bind-data`: the command may change the file; the changes are lost.
    ///
    /// ```
    /// use bwrap_launch::{BindData, Sandbox};
    /// let notes = BindData::read_write("old\n", "/tmp/notes");
    /// let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").add(notes);
    /// let output = sandbox.command("sh").args(["-c", "echo new >> /tmp/notes; cat /tmp/notes"]).output()?;
    /// assert_eq!(output.stdout, b"old\nnew\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn read_write(content: impl Into<Content>, destination: impl Into<PathBuf>) -> Self {
        Self { content: content.into(), destination: destination.into(), mode: None, read_only: false }
    }

    /// `--ro-bind-data`: the command may only read it.
    pub fn read_only(content: impl Into<Content>, destination: impl Into<PathBuf>) -> Self {
        Self { content: content.into(), destination: destination.into(), mode: None, read_only: true }
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
/// use bwrap_launch::{Sandbox, Symlink};
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
}

/// Changes the permissions of something that exists inside: `--chmod`.
///
/// See `chmod(2)`. What does not exist there fails the set-up.
///
/// ```
/// use bwrap_launch::{Chmod, Sandbox};
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
        }
    )+ };
}
with_mode! { Tmpfs Dir File BindData }

macro_rules! into_operation {
    ($($name:ident)+) => { $(
        impl From<$name> for Operation {
            fn from(operation: $name) -> Self {
                Self::$name(operation)
            }
        }
    )+ };
}
into_operation! { Bind BindFd RemountRo Overlay Proc Dev Tmpfs Mqueue Dir File BindData Symlink Chmod }

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

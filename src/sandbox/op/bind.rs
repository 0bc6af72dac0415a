//! What of the host, or of the caller's memory, is mounted inside.

use std::path::{Path, PathBuf};

use super::super::{Content, Descriptor};

/// What a bind mount allows. These three are all there are, so a `match` needs no other arm.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::{Access, Bind};
/// let bind = |access| Sandbox::new().add(Bind::new("/a", "/a", access)).to_string();
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
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Bind;
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
        Self::new(source, destination, Access::ReadWrite)
    }

    /// `--ro-bind`: readable only.
    pub fn read_only(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        Self::new(source, destination, Access::ReadOnly)
    }

    /// `--dev-bind`: readable and writable, device nodes usable.
    pub fn device(source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        Self::new(source, destination, Access::Device)
    }

    /// A bind with the given access.
    ///
    /// ```
    /// use bwrap_launch::op::{Access, Bind};
    /// assert_eq!(Bind::new("/a", "/b", Access::ReadOnly), Bind::read_only("/a", "/b"));
    /// assert_eq!(Bind::new("/a", "/b", Access::ReadWrite), Bind::read_write("/a", "/b"));
    /// assert_eq!(Bind::new("/a", "/b", Access::Device), Bind::device("/a", "/b"));
    /// ```
    pub fn new(source: impl Into<PathBuf>, destination: impl Into<PathBuf>, access: Access) -> Self {
        Self { source: source.into(), destination: destination.into(), access, optional: false }
    }

    /// Does nothing if the source does not exist (`--bind-try` and its relatives). Only "No such file or
    /// directory" is forgiven.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::op::Bind;
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

    /// The path on the host.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// What the command may do with it.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether a missing source is passed over.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.optional
    }
}

/// What an open descriptor refers to, mounted inside: `--bind-fd`, `--ro-bind-fd` (bwrap 0.10, and older ones
/// that distributions patched).
///
/// The descriptor names the object even if somebody renames its path meanwhile. It needs a path: a memfd or a
/// deleted file has none.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::BindFd;
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

    /// The descriptor of what is mounted.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Whether the command may only read it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

/// A file that lives in memory, mounted on `destination`: `--bind-data`, `--ro-bind-data` with `--perms`
/// (0600 without).
///
/// ```
/// use bwrap_launch::{Content, Sandbox};
/// use bwrap_launch::op::BindData;
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
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::op::BindData;
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

    /// What the file holds.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Whether the command may only read it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

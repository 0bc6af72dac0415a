//! File systems of the sandbox's own, and the change of a mount that is there.

use std::path::PathBuf;

/// Makes a mount read-only after the fact, not its submounts: `--remount-ro`.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::{RemountRo, Tmpfs};
/// let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").add(RemountRo::new("/tmp"));
/// assert!(!sandbox.command("sh").args(["-c", ": > /tmp/f"]).output()?.status.success());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemountRo {
    pub(crate) destination: PathBuf,
}

/// A procfs: `--proc`.
///
/// With a PID namespace of its own the sandbox gets a new procfs; without one bwrap binds the host's, with
/// every process of the host in it.
///
/// See `proc(5)`.
///
/// ```
/// use bwrap_launch::{Namespaces, Sandbox};
/// use bwrap_launch::op::Proc;
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
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Dev;
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
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Tmpfs;
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
    /// Its size limit in bytes, if one was set.
    #[must_use]
    pub fn get_size(&self) -> Option<u64> {
        self.size
    }

    /// Sets the size limit in bytes (`--size`): not 0, at most half of the address space.
    ///
    /// ```
    /// use bwrap_launch::{Problem, Sandbox};
    /// use bwrap_launch::op::Tmpfs;
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
/// [`Namespaces::IPC`](crate::Namespaces::IPC).
///
/// See `mq_overview(7)`.
///
/// ```
/// use bwrap_launch::{Namespaces, Sandbox};
/// use bwrap_launch::op::Mqueue;
/// let sandbox = Sandbox::new().unshare(Namespaces::IPC).add(Mqueue::new("/dev/mqueue"));
/// assert_eq!(sandbox.to_string(), "bwrap --clearenv --unshare-ipc --mqueue /dev/mqueue");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqueue {
    pub(crate) destination: PathBuf,
}

//! What a sandbox has used, and how surely that is known.

use std::time::Duration;

/// A number that was read, and how sure it is.
///
/// ```
/// use bwrap_launch::Figure;
/// let peak = Figure::AtLeast(4096_u64);
/// assert_eq!((peak.value(), peak.is_exact()), (Some(4096), false));
/// assert_eq!(Figure::<u64>::Unknown.value(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Figure<T> {
    /// The kernel has counted all of it, and nothing else.
    Exact(T),
    /// It is this or more: something was not counted, or no longer there to be asked.
    AtLeast(T),
    /// Nobody has counted it.
    #[default]
    Unknown,
}

impl<T: Copy> Figure<T> {
    /// The number, exact or not.
    #[must_use]
    pub fn value(&self) -> Option<T> {
        match self {
            Self::Exact(value) | Self::AtLeast(value) => Some(*value),
            Self::Unknown => None,
        }
    }

    /// Whether it is all of it.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    pub(super) fn exact(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::Exact)
    }

    pub(super) fn at_least(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::AtLeast)
    }
}

/// What the processes of a sandbox have used ([`Child::usage`](crate::Child::usage)), from the time when the command was started.
///
/// ```
/// use bwrap_launch::{Limit, Limits, Sandbox};
/// let limits = Limits::new().optional(Limit::Accounting);
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
/// let mut child = sandbox.command("true").limits(&limits).spawn()?;
/// child.wait()?;
/// if let Some(user) = child.usage().user.value() {
///     println!("{user:?}");
/// }
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Processor time outside the kernel.
    pub user: Figure<Duration>,
    /// Processor time in the kernel.
    pub system: Figure<Duration>,
    /// The most bytes of memory at one moment. With a control group that counts all that was first touched in it: anonymous memory, tmpfs,
    /// file caches. Without one it is the resident memory of the largest process.
    pub peak_memory: Figure<u64>,
    /// Bytes read from block devices.
    pub read: Figure<u64>,
    /// Bytes written to block devices so far; what still waits in memory to be written is not among them.
    pub written: Figure<u64>,
    /// How many processes the kernel has killed because memory ran out in the control group.
    pub memory_kills: Figure<u64>,
}

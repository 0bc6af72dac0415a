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

    /// The larger one: what was counted before is not lost. What is exact stays so.
    fn or_more(self, other: Self) -> Self
    where
        T: Ord,
    {
        match (self, other) {
            (Self::AtLeast(one), Self::AtLeast(other)) => Self::AtLeast(one.max(other)),
            (Self::Unknown, other) => other,
            (this, _) => this,
        }
    }

    pub(super) fn at_least(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::AtLeast)
    }
}

/// What the processes of a sandbox have used ([`Child::usage`](crate::Child::usage)), from the time when the command was started.
///
/// With a control group of its own ([`Limit::Accounting`](crate::Limit::Accounting)) the kernel has counted all of it. Without one, every figure
/// is what `/proc` tells ([`Figure::AtLeast`]), processor time in steps of 10 ms:
///
/// * **While it runs**, what those have used who are there, and those that they have waited for (`wait(2)`). What nobody waited for is missing.
/// * **At the end**, processor time of the command and of all that was waited for, by it or by bwrap. With a PID namespace it is
///   bwrap's process 1 that knows; it is gone a moment after the command, and its parent may have waited for it before it can be asked:
///   then what was read last is all there is. That cannot happen where this process is the parent ([`adopt_orphans`](crate::adopt_orphans)).
///   Without a PID namespace, the few milliseconds count, too, that bwrap took in the process that it then executed the command in.
///   Memory and block devices are as they were when this was last asked for.
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
    /// How many processes the kernel has killed because memory ran out in the control group. Without one it is known only of a command that
    /// was killed while the kernel killed none on the whole machine: 0.
    pub memory_kills: Figure<u64>,
}

/// In what steps `/proc` counts processor time.
pub(super) const STEP: Duration = Duration::from_millis(10);

impl Usage {
    /// What is known of a sandbox that was there for less than a [`STEP`].
    pub(super) fn below_a_step() -> Self {
        let none = Figure::AtLeast(Duration::ZERO);
        Self { user: none, system: none, ..Self::default() }
    }

    /// This, and what else is known.
    pub(super) fn or_more(self, other: Self) -> Self {
        Self {
            user: self.user.or_more(other.user),
            system: self.system.or_more(other.system),
            peak_memory: self.peak_memory.or_more(other.peak_memory),
            read: self.read.or_more(other.read),
            written: self.written.or_more(other.written),
            memory_kills: self.memory_kills.or_more(other.memory_kills),
        }
    }
}

//! What a command may use: limits, described. They are set from outside while it waits at the gate.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::sandbox::{Invalid, Place, Problem};

/// Limits for a command and all that it starts, set by [`Command::limits`](crate::Command::limits).
///
/// bwrap makes the sandbox without them; they are set when it is complete, on process 1 of the sandbox (which stands between bwrap
/// and the command, and needs next to nothing) just before that starts the command. What cannot be set is an error before
/// the command runs, or, if it is [`optional`](Self::optional), reported by [`Child::unapplied`](crate::Child::unapplied).
///
/// A limit that is set again replaces the one before.
///
/// ```
/// use bwrap_launch::{Limit, Limits, Resource, Sandbox};
/// let limits = Limits::new()
///     .rlimit(Resource::OpenFiles, 100, 200)
///     .nice(15)
///     .oom_score_adj(900)
///     .optional(Limit::MemoryMax(512 << 20));
/// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
/// command.args(["-c", "ulimit -n; nice"]).limits(&limits);
/// assert_eq!(command.output()?.stdout, b"100\n15\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "it is a description: give it to Command::limits"]
pub struct Limits {
    wanted: Vec<(Limit, bool)>,
    below: Option<PathBuf>,
}

/// One limit. `Display` names it as the kernel does: `RLIMIT_NOFILE 100:200`, `memory.max 536870912`.
///
/// Those from [`Accounting`](Self::Accounting) on need a control group (`cgroups(7)`). One is made for the sandbox, below the group of
/// this process or beside it ([`Limits::below`] says elsewhere), with version 2 of control groups or, where a controller is there,
/// version 1. The sandbox enters it before the command can run. When the sandbox has ended, what is left in the group is killed, with or without a
/// PID namespace, and the group is removed. A process of this name that is killed leaves an empty group behind, which the next that makes one in
/// that place removes.
///
/// **Entering a group takes 5 to 12 ms, which are waited for and not worked** (median 12 ms with Linux 6.18, by hand, too:
/// `mkdir`, a number written to `cgroup.procs`, `rmdir`): the kernel lets an RCU grace period pass before it moves a process, unless it has
/// moved another one a few milliseconds ago. All else about a group with two controllers takes it 0.3 ms. Not to wait for it, take sandboxes
/// from a [`Pool`](crate::Pool), which sets limits while it prepares them. With version 2 an administrator can have it dispensed with, at some
/// cost for every fork and exit: `mount -o remount,favordynmods /sys/fs/cgroup` (Linux 6.0; `Documentation/admin-guide/cgroup-v2.rst`).
///
/// Inside, `/proc/self/cgroup` shows the path of the group; with a cgroup namespace
/// ([`Namespaces::CGROUP`](crate::Namespaces::CGROUP), `--unshare-cgroup`) only its name, below or beside the group of this process.
///
/// ```
/// use bwrap_launch::{Limit, Resource};
/// let limit = Limit::Resource { resource: Resource::Core, soft: Some(0), hard: Some(0) };
/// assert_eq!(limit.to_string(), "RLIMIT_CORE 0:0");
/// assert!(!limit.needs_group() && Limit::PidsMax(100).needs_group());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// A resource limit of each process (`setrlimit(2)`). `None` is unlimited.
    Resource {
        /// Which.
        resource: Resource,
        /// What holds, which a process may raise up to `hard`.
        soft: Option<u64>,
        /// What `soft` may become. Raising it above the caller's takes `CAP_SYS_RESOURCE`.
        hard: Option<u64>,
    },
    /// How readily the kernel kills it when memory runs out, -1000 (never) to 1000 (first), see `proc_pid_oom_score_adj(5)`.
    /// Lowering it takes `CAP_SYS_RESOURCE`.
    OomScoreAdj(i32),
    /// The niceness, -20 to 19 (`setpriority(2)`). Lowering it takes `CAP_SYS_NICE` or room in `RLIMIT_NICE`.
    Nice(i32),
    /// The scheduling class (`sched(7)`).
    Scheduling(Scheduling),
    /// The processors that it may run on, by number from 0 (`sched_setaffinity(2)`).
    Affinity(BTreeSet<usize>),
    /// The class and priority of its I/O (`ioprio_set(2)`), for schedulers that know them (BFQ).
    IoPriority(IoPriority),
    /// A control group without a limit, so that [`Child::usage`](crate::Child::usage) knows and nothing outlives the sandbox.
    Accounting,
    /// Bytes of memory, those in a tmpfs included (`memory.max`; version 1: `memory.limit_in_bytes`). When they do not suffice, a process in the
    /// group is killed.
    MemoryMax(u64),
    /// Bytes of memory above which it is slowed down (`memory.high`; version 2 only).
    MemoryHigh(u64),
    /// Bytes of swap (`memory.swap.max`; version 1: `memory.memsw.limit_in_bytes`, together with [`MemoryMax`](Self::MemoryMax) only).
    SwapMax(u64),
    /// When memory runs out in the group, all of it is killed, not one process (`memory.oom.group`; version 2 only).
    OomGroup,
    /// Processes and threads at a time, process 1 of the sandbox among them (`pids.max`).
    PidsMax(u64),
    /// Processor time in each period (`cpu.max`; version 1: `cpu.cfs_quota_us` and `cpu.cfs_period_us`): half a processor is a quota
    /// of 50 ms in 100 ms, two are 200 ms.
    CpuMax {
        /// At least 1 ms.
        quota: Duration,
        /// 1 ms to 1 s; 100 ms is usual.
        period: Duration,
    },
    /// What it may read from and write to one block device (`io.max`; version 1: `blkio.throttle.*`).
    IoMax(IoMax),
}

macro_rules! resources {
    ($($name:ident $kernel:ident $rustix:ident $text:literal)+) => {
        /// A resource of each process (`getrlimit(2)`).
        ///
        /// ```
        /// assert_eq!(bwrap_launch::Resource::OpenFiles.to_string(), "RLIMIT_NOFILE");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Resource {
            $(#[doc = concat!($text, " (`", stringify!($kernel), "`).")] $name,)+
        }

        impl Resource {
            pub(super) fn number(self) -> rustix::process::Resource {
                match self { $(Self::$name => rustix::process::Resource::$rustix,)+ }
            }
        }

        impl fmt::Display for Resource {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => stringify!($kernel),)+ })
            }
        }
    };
}

resources! {
    AddressSpace RLIMIT_AS As "Bytes of address space"
    Core RLIMIT_CORE Core "Bytes of a core dump"
    CpuTime RLIMIT_CPU Cpu "Seconds of processor time"
    Data RLIMIT_DATA Data "Bytes of data segment, heap and private mappings"
    FileSize RLIMIT_FSIZE Fsize "Bytes of a file that it writes"
    Locks RLIMIT_LOCKS Locks "File locks; without effect since Linux 2.4.25"
    LockedMemory RLIMIT_MEMLOCK Memlock "Bytes of locked memory"
    MessageQueues RLIMIT_MSGQUEUE Msgqueue "Bytes in POSIX message queues of the user"
    Nice RLIMIT_NICE Nice "How far the niceness may be lowered: to 20 minus this"
    OpenFiles RLIMIT_NOFILE Nofile "Open descriptors, plus one"
    Processes RLIMIT_NPROC Nproc "Processes and threads of the user, those outside the sandbox included unless it has a user namespace. The machine's root is exempt from it, in a user namespace, too, so for a command of root's it is refused; [`PidsMax`](Limit::PidsMax) holds"
    RealTimePriority RLIMIT_RTPRIO Rtprio "The highest real-time priority"
    RealTimeSpan RLIMIT_RTTIME Rttime "Microseconds of processor time without a blocking call, of a real-time process"
    Resident RLIMIT_RSS Rss "Bytes of resident memory; without effect since Linux 2.4.30"
    PendingSignals RLIMIT_SIGPENDING Sigpending "Queued signals of the user"
    Stack RLIMIT_STACK Stack "Bytes of stack"
}

/// A scheduling class (`sched(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheduling {
    /// The usual one (`SCHED_OTHER`).
    Other,
    /// For work that needs the processor and no quick answer (`SCHED_BATCH`).
    Batch,
    /// Only when nothing else runs (`SCHED_IDLE`).
    Idle,
    /// Real time, first come first served, with a priority of 1 to 99 (`SCHED_FIFO`). Takes `CAP_SYS_NICE` or room in `RLIMIT_RTPRIO`.
    Fifo(u8),
    /// Real time, in turn, with a priority of 1 to 99 (`SCHED_RR`). Takes what [`Fifo`](Self::Fifo) takes.
    RoundRobin(u8),
}

/// The class and priority of I/O (`ioprio_set(2)`): 0 is the highest level, 7 the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoPriority {
    /// Before all others (`IOPRIO_CLASS_RT`). Takes `CAP_SYS_ADMIN` or `CAP_SYS_NICE`.
    RealTime(u8),
    /// The usual class (`IOPRIO_CLASS_BE`).
    BestEffort(u8),
    /// Only when nobody else needs the disk (`IOPRIO_CLASS_IDLE`).
    Idle,
}

/// Limits of one block device. `None` is unlimited.
///
/// ```
/// use bwrap_launch::{IoMax, Limit};
/// let mut io = IoMax::new(8, 16);
/// io.write_bytes = Some(10 << 20);
/// assert_eq!(Limit::IoMax(io).to_string(), "io.max 8:16 rbps=max wbps=10485760 riops=max wiops=max");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoMax {
    /// The device's numbers, as `lsblk` shows them: a whole disk, not a partition.
    pub device: (u32, u32),
    /// Bytes that it may read in a second.
    pub read_bytes: Option<u64>,
    /// Bytes that it may write in a second.
    pub write_bytes: Option<u64>,
    /// Operations in a second that read.
    pub read_operations: Option<u64>,
    /// Operations in a second that write.
    pub write_operations: Option<u64>,
}

impl IoMax {
    /// No limits yet, of the device with these numbers.
    #[must_use]
    pub fn new(major: u32, minor: u32) -> Self {
        let device = (major, minor);
        Self { device, read_bytes: None, write_bytes: None, read_operations: None, write_operations: None }
    }
}

impl Limits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a limit that must hold: if it cannot be set, the command does not run.
    pub fn require(self, limit: Limit) -> Self {
        self.with(limit, false)
    }

    /// Adds a limit that may be missing: if it cannot be set, the command runs without, and
    /// [`Child::unapplied`](crate::Child::unapplied) says so.
    pub fn optional(self, limit: Limit) -> Self {
        self.with(limit, true)
    }

    fn with(mut self, limit: Limit, optional: bool) -> Self {
        self.wanted.retain(|(other, _)| !other.replaces(&limit));
        self.wanted.push((limit, optional));
        self
    }

    /// A resource limit of each process; `None` is unlimited. Short for [`Limit::Resource`].
    pub fn rlimit(
        self,
        resource: Resource,
        soft: impl Into<Option<u64>>,
        hard: impl Into<Option<u64>>,
    ) -> Self {
        self.require(Limit::Resource { resource, soft: soft.into(), hard: hard.into() })
    }

    /// How readily the kernel kills it when memory runs out. Short for [`Limit::OomScoreAdj`].
    pub fn oom_score_adj(self, adjustment: i32) -> Self {
        self.require(Limit::OomScoreAdj(adjustment))
    }

    /// The niceness. Short for [`Limit::Nice`].
    pub fn nice(self, niceness: i32) -> Self {
        self.require(Limit::Nice(niceness))
    }

    /// The processors that it may run on. Short for [`Limit::Affinity`].
    pub fn affinity(self, processors: impl IntoIterator<Item = usize>) -> Self {
        self.require(Limit::Affinity(processors.into_iter().collect()))
    }

    /// Bytes of memory. Short for [`Limit::MemoryMax`].
    pub fn memory_max(self, bytes: u64) -> Self {
        self.require(Limit::MemoryMax(bytes))
    }

    /// Processes and threads at a time. Short for [`Limit::PidsMax`].
    pub fn pids_max(self, processes: u64) -> Self {
        self.require(Limit::PidsMax(processes))
    }

    /// Makes the control group below this one, named as in `/proc/PID/cgroup`: `/jobs`. With version 1 it must be there in the hierarchy of
    /// every controller that is needed.
    pub fn below(mut self, group: impl Into<PathBuf>) -> Self {
        self.below = Some(group.into());
        self
    }

    /// Each limit, and whether it is optional.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Limit, bool)> {
        self.wanted.iter().map(|(limit, optional)| (limit, *optional))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The control group below which one is made, if not where this process is.
    #[must_use]
    pub fn get_below(&self) -> Option<&Path> {
        self.below.as_deref()
    }

    /// Checks what can be known before the launch.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        for (limit, _) in &self.wanted {
            limit.check().map_err(|problem| Invalid { place: Place::Limit(limit.to_string()), problem })?;
        }
        match &self.below {
            Some(group)
                if !group.is_absolute() || group.components().any(|part| part.as_os_str() == "..") =>
            {
                let place = Place::Limit("control group".to_owned());
                Err(Invalid { place, problem: Problem::GroupPath(group.clone()) })
            }
            Some(group) if group.as_os_str().as_encoded_bytes().contains(&0) => {
                let place = Place::Limit("control group".to_owned());
                Err(Invalid { place, problem: Problem::Nul("path") })
            }
            _ => Ok(()),
        }
    }
}

impl Limit {
    /// Whether it needs a control group.
    #[must_use]
    pub fn needs_group(&self) -> bool {
        !matches!(
            self,
            Self::Resource { .. }
                | Self::OomScoreAdj(_)
                | Self::Nice(_)
                | Self::Scheduling(_)
                | Self::Affinity(_)
                | Self::IoPriority(_)
        )
    }

    /// Whether both set the same thing.
    fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Resource { resource: one, .. }, Self::Resource { resource: two, .. }) => one == two,
            (Self::IoMax(one), Self::IoMax(two)) => one.device == two.device,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        let range = |value: i64, min: i64, max: i64| {
            if (min..=max).contains(&value) { Ok(()) } else { Err(Problem::LimitRange { value, min, max }) }
        };
        let micros = |time: &Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        match self {
            Self::Resource { soft, hard, .. } => {
                let most = hard.unwrap_or(u64::MAX);
                if soft.unwrap_or(u64::MAX) > most {
                    Err(Problem::LimitAboveHard { hard: most })
                } else {
                    Ok(())
                }
            }
            // `pid_max` on 64 bits
            Self::PidsMax(processes) => range(i64::try_from(*processes).unwrap_or(i64::MAX), 0, 4_194_304),
            Self::OomScoreAdj(adjustment) => range((*adjustment).into(), -1000, 1000),
            Self::Nice(niceness) => range((*niceness).into(), -20, 19),
            Self::Scheduling(Scheduling::Fifo(priority) | Scheduling::RoundRobin(priority)) => {
                range((*priority).into(), 1, 99)
            }
            Self::Affinity(processors) => match processors.last() {
                None => Err(Problem::NoProcessor),
                Some(last) => range(i64::try_from(*last).unwrap_or(i64::MAX), 0, i64::from(MAX_PROCESSOR)),
            },
            Self::IoPriority(IoPriority::RealTime(level) | IoPriority::BestEffort(level)) => {
                range((*level).into(), 0, 7)
            }
            Self::CpuMax { quota, period } => {
                range(micros(period), 1000, 1_000_000)?;
                range(micros(quota), 1000, i64::MAX)
            }
            _ => Ok(()),
        }
    }
}

/// The highest processor number in a [`rustix::thread::CpuSet`].
const MAX_PROCESSOR: u32 = 1023;

/// `max` for none, as the files of control groups have it.
fn or_max(value: Option<u64>) -> String {
    value.map_or_else(|| "max".to_owned(), |value| value.to_string())
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unlimited =
            |value: &Option<u64>| value.map_or_else(|| "unlimited".to_owned(), |value| value.to_string());
        match self {
            Self::Resource { resource, soft, hard } => {
                write!(f, "{resource} {}:{}", or_unlimited(soft), or_unlimited(hard))
            }
            Self::OomScoreAdj(adjustment) => write!(f, "oom_score_adj {adjustment}"),
            Self::Nice(niceness) => write!(f, "nice {niceness}"),
            Self::Scheduling(Scheduling::Other) => f.write_str("SCHED_OTHER"),
            Self::Scheduling(Scheduling::Batch) => f.write_str("SCHED_BATCH"),
            Self::Scheduling(Scheduling::Idle) => f.write_str("SCHED_IDLE"),
            Self::Scheduling(Scheduling::Fifo(priority)) => write!(f, "SCHED_FIFO {priority}"),
            Self::Scheduling(Scheduling::RoundRobin(priority)) => write!(f, "SCHED_RR {priority}"),
            Self::Affinity(processors) => {
                let list: Vec<String> = processors.iter().map(ToString::to_string).collect();
                write!(f, "processors {}", list.join(","))
            }
            Self::IoPriority(IoPriority::RealTime(level)) => write!(f, "IOPRIO_CLASS_RT {level}"),
            Self::IoPriority(IoPriority::BestEffort(level)) => write!(f, "IOPRIO_CLASS_BE {level}"),
            Self::IoPriority(IoPriority::Idle) => f.write_str("IOPRIO_CLASS_IDLE"),
            Self::Accounting => f.write_str("control group"),
            Self::MemoryMax(bytes) => write!(f, "memory.max {bytes}"),
            Self::MemoryHigh(bytes) => write!(f, "memory.high {bytes}"),
            Self::SwapMax(bytes) => write!(f, "memory.swap.max {bytes}"),
            Self::OomGroup => f.write_str("memory.oom.group"),
            Self::PidsMax(processes) => write!(f, "pids.max {processes}"),
            Self::CpuMax { quota, period } => {
                write!(f, "cpu.max {} {}", quota.as_micros(), period.as_micros())
            }
            Self::IoMax(io) => write!(
                f,
                "io.max {}:{} rbps={} wbps={} riops={} wiops={}",
                io.device.0,
                io.device.1,
                or_max(io.read_bytes),
                or_max(io.write_bytes),
                or_max(io.read_operations),
                or_max(io.write_operations)
            ),
        }
    }
}

/// A limit that could not be set, and why. `Display` says what to do about it as well.
///
/// ```
/// use bwrap_launch::{Error, Limits, Sandbox};
/// let mut command = Sandbox::new().ro_bind("/", "/").command("true");
/// // no machine has this group
/// let error = command.limits(&Limits::new().memory_max(1 << 30).below("/no/such/group")).status().unwrap_err();
/// let Error::Limit(unapplied) = error else { panic!("{error}") };
/// assert_eq!(unapplied.limit().to_string(), "memory.max 1073741824");
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("could not set {limit}: {source}{}", .remedy.as_ref().map(|text| format!("; {text}")).unwrap_or_default())]
pub struct Unapplied {
    limit: Limit,
    source: Arc<io::Error>,
    remedy: Option<Arc<str>>,
}

impl Unapplied {
    pub(super) fn new(limit: &Limit, source: impl Into<Arc<io::Error>>, remedy: Option<Arc<str>>) -> Self {
        Self { limit: limit.clone(), source: source.into(), remedy }
    }

    /// Which.
    #[must_use]
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// What the system said.
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.source
    }

    /// What to change, if that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_said_before_the_launch() {
        let long = Duration::from_secs(2);
        let cpu = |quota, period| Limit::CpuMax { quota, period };
        for (limits, expected) in [
            (
                Limits::new().rlimit(Resource::Core, 2, 1),
                "RLIMIT_CORE 2:1: the soft limit is above the hard one, 1",
            ),
            (Limits::new().rlimit(Resource::Core, None, 1), "RLIMIT_CORE unlimited:1: the soft limit"),
            (Limits::new().nice(20), "nice 20: 20 is not within -20 to 19"),
            (Limits::new().oom_score_adj(-1001), "-1001 is not within -1000 to 1000"),
            (Limits::new().affinity([]), "processors : no processor"),
            (Limits::new().affinity([1024]), "1024 is not within 0 to 1023"),
            (Limits::new().require(Limit::Scheduling(Scheduling::Fifo(0))), "0 is not within 1 to 99"),
            (Limits::new().optional(Limit::IoPriority(IoPriority::BestEffort(8))), "8 is not within 0 to 7"),
            (Limits::new().require(cpu(long, long)), "2000000 is not within 1000 to 1000000"),
            (Limits::new().require(cpu(Duration::ZERO, Duration::from_millis(100))), "0 is not within 1000"),
            (Limits::new().pids_max(u64::MAX), "9223372036854775807 is not within 0 to 4194304"),
            (Limits::new().below("/a\0b"), "control group: its path contains a NUL byte"),
            (Limits::new().below("jobs"), "control group: \"jobs\""),
            (Limits::new().below("/jobs/../.."), "control group: \"/jobs/../..\""),
        ] {
            let said = limits.check().unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
        let fine = Limits::new().rlimit(Resource::Core, None, None).nice(-20).affinity([0, 1023]).below("/");
        assert_eq!(fine.check(), Ok(()));
    }

    #[test]
    fn the_last_word_counts() {
        let limits = Limits::new().nice(1).rlimit(Resource::Core, 0, 0).rlimit(Resource::Stack, 1, 2);
        let limits = limits.optional(Limit::Nice(2)).rlimit(Resource::Core, 1, 1);
        let said: Vec<String> =
            limits.iter().map(|(limit, optional)| format!("{limit} {optional}")).collect();
        assert_eq!(said, ["RLIMIT_STACK 1:2 false", "nice 2 true", "RLIMIT_CORE 1:1 false"]);
    }
}

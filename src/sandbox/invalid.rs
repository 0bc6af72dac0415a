//! What is wrong with a description, and where.

use std::fmt;
use std::path::PathBuf;

use super::identity::{IdRange, MAX_RANGES};
use super::op::Operation;

/// A description that cannot work: where, and what is wrong with it.
///
/// ```
/// use bwrap_launch::{Place, Problem, Sandbox};
/// let error = Sandbox::new().hostname("box").check().unwrap_err();
/// assert_eq!((&error.place, &error.problem), (&Place::Identity, &Problem::HostnameNeedsUts));
/// assert_eq!(error.to_string(), "identity: a host name needs Namespaces::UTS (--unshare-uts)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
#[non_exhaustive]
pub struct Invalid {
    /// The part of the description.
    pub place: Place,
    /// What is wrong with it.
    pub problem: Problem,
}

impl Invalid {
    /// As [`Sandbox::check`](crate::Sandbox::check) says it: for checks of one's own, and to compare with.
    #[must_use]
    pub const fn new(place: Place, problem: Problem) -> Self {
        Self { place, problem }
    }
}

/// A part of a description.
///
/// `Display` counts operations and filters from 1, as people do.
///
/// ```
/// use bwrap_launch::{Place, Sandbox};
/// let error = Sandbox::new().tmpfs("/tmp").dir("").check().unwrap_err();
/// assert!(matches!(error.place, Place::Operation { index: 1, name: "dir", .. }));
/// assert_eq!(error.place.to_string(), "operation 2 (dir on \"\")");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// An operation on the file system.
    #[non_exhaustive]
    Operation {
        /// Its place among the operations, from 0.
        index: usize,
        /// What people call it.
        name: &'static str,
        /// Its destination inside.
        destination: PathBuf,
    },
    /// The namespaces.
    Namespaces,
    /// Ids and names.
    Identity,
    /// Capabilities and labels.
    Privileges,
    /// A system call filter, counted from 0.
    Filter(usize),
    /// An environment variable.
    Variable(String),
    /// Lock files, process 1 and the like.
    Lifetime,
    /// The directory in which the command starts.
    CurrentDir,
    /// The program to run.
    Program,
    /// An argument of the program, counted from 1; 0 is its name (`arg0`).
    Argument(usize),
    /// A descriptor given to the command, by its number inside.
    Descriptor(i32),
    /// A limit of the command, as it is shown (`RLIMIT_CORE 2:1`), or its control group.
    Limit(String),
    /// The command line as a whole.
    CommandLine,
    /// The process group of bwrap.
    ProcessGroup,
}

impl Place {
    /// The place of an operation, which is the `index`th from 0.
    #[must_use]
    pub fn operation(index: usize, operation: &Operation) -> Self {
        Self::Operation { index, name: operation.name(), destination: operation.destination().to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation { index, name, destination } => {
                write!(f, "operation {} ({name} on {:?})", index + 1, destination.to_string_lossy())
            }
            Self::Namespaces => f.write_str("namespaces"),
            Self::Identity => f.write_str("identity"),
            Self::Privileges => f.write_str("privileges"),
            Self::Filter(index) => write!(f, "seccomp filter {}", index + 1),
            Self::Variable(name) => write!(f, "environment variable {name:?}"),
            Self::Lifetime => f.write_str("lifetime"),
            Self::CurrentDir => f.write_str("current directory"),
            Self::Program => f.write_str("program"),
            Self::Argument(index) => write!(f, "argument {index}"),
            Self::Descriptor(number) => write!(f, "descriptor {number}"),
            Self::Limit(limit) => f.write_str(limit),
            Self::CommandLine => f.write_str("command line"),
            Self::ProcessGroup => f.write_str("process group"),
        }
    }
}

/// What is wrong with a part of a description.
///
/// `Display` says what to do about it, with the names of this crate and the options of bwrap. Variants with
/// several fields may get more of them; one with a single field stays as it is.
///
/// ```
/// use bwrap_launch::{Problem, Sandbox};
/// use bwrap_launch::op::Dir;
/// // decimal where octal was meant
/// let error = Sandbox::new().add(Dir::new("/tmp").mode(7555)).check().unwrap_err();
/// assert_eq!(error.problem, Problem::Mode(7555));
/// assert!(error.problem.to_string().contains("0o755"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A string holds a NUL byte.
    #[error("its {0} contains a NUL byte, which no argument can; remove it")]
    Nul(&'static str),
    /// A string is empty where bwrap would misread it: an empty destination replaces the whole root, an empty
    /// word ends the option list.
    #[error("its {0} is empty; bwrap would misread that, so give a path")]
    Empty(&'static str),
    /// A destination with a `..`. bwrap before 0.12 follows it out of the new root, onto the host.
    #[error(
        "its destination has a \"..\", which can lead out of the sandbox onto the host; write the path without it"
    )]
    ParentDir,
    /// Permissions above 07777.
    #[error("mode {0:o} (octal) is above 7777; give permissions as octal number, such as 0o755")]
    Mode(u32),
    /// Setuid or setgid bits for something new: `mkdir(2)` drops them silently, and so does writing to a file,
    /// unless root does it.
    #[error(
        "mode {0:o} (octal) has setuid or setgid bits, which are dropped silently, of a file unless root launches; add a Chmod (--chmod) after it"
    )]
    SpecialMode(u32),
    /// A size of 0, or above half of the address space.
    #[error("a size of {0} bytes is not possible: it must be 1 to {max}", max = usize::MAX / 2)]
    Size(u64),
    /// An overlay with too few layers.
    #[error("has {given} layers and needs {needed} at least; add them with Overlay::layer (--overlay-src)")]
    #[non_exhaustive]
    TooFewLayers {
        /// How many there are.
        given: usize,
        /// How many there must be.
        needed: usize,
    },
    /// The same descriptor is to be read twice: the second reader would get nothing.
    #[error("reads a descriptor that operation or filter {first:?} reads already; give each its own")]
    DescriptorReused {
        /// Who reads it first.
        first: String,
    },
    /// The descriptor was read by an earlier launch.
    #[error("its descriptor was read to the end by an earlier launch; open it again, or give bytes")]
    DescriptorSpent,
    /// A negative number.
    #[error("{0} is no descriptor number")]
    DescriptorNumber(i32),
    /// An id that bwrap would wrap around or refuse.
    #[error("id {0} is above 2147483647, the largest that bwrap takes")]
    Id(u32),
    /// Another id inside, as root and without a user namespace.
    #[error("root can only have another id inside a user namespace; add Namespaces::USER (--unshare-user)")]
    IdNeedsUserNamespace,
    /// A host name that the kernel refuses.
    #[error("the host name has {0} bytes and may have 64")]
    HostnameTooLong(usize),
    /// A host name without a namespace to keep it in.
    #[error("a host name needs Namespaces::UTS (--unshare-uts)")]
    HostnameNeedsUts,
    /// The network is asked to be both shared and not.
    #[error("share_net (--share-net) contradicts Namespaces::NET (--unshare-net); drop one of them")]
    NetworkSharedAndNot,
    /// A joined user namespace beside a new one.
    #[error(
        "join_user (--userns) cannot go with a new user namespace; list the namespaces instead of unshare_all (--unshare-all)"
    )]
    JoinedAndNewUserNamespace,
    /// Something needs an explicit [`Namespaces::USER`](crate::Namespaces::USER).
    #[error(
        "{0} needs Namespaces::USER (--unshare-user) itself: neither USER_TRY (--unshare-user-try) nor ALL (--unshare-all) nor being unprivileged is enough for bwrap"
    )]
    NeedsUserNamespace(&'static str),
    /// Something needs a PID namespace.
    #[error("{0} needs Namespaces::PID (--unshare-pid)")]
    NeedsPidNamespace(&'static str),
    /// Two settings that exclude each other.
    #[error("{0} and {1} exclude each other; drop one of them")]
    Conflict(&'static str, &'static str),
    /// An id map with an empty or impossible range.
    #[error(
        "the range of {count} ids, {inside} and on inside, {outside} and on outside, is empty or goes beyond 4294967294",
        count = .0.count, inside = .0.inside, outside = .0.outside
    )]
    IdRange(IdRange),
    /// An id map with an id in two ranges.
    #[error("the id ranges {} and {} overlap (inside, outside, count)", .0.line().trim_end(), .1.line().trim_end())]
    IdRangesOverlap(IdRange, IdRange),
    /// An id map that is longer than the kernel takes.
    #[error(
        "the {kind} map has {ranges} ranges, which are {bytes} bytes of text; the kernel takes {MAX_RANGES} ranges and fewer bytes than a page of memory has; join ranges that follow each other"
    )]
    #[non_exhaustive]
    IdMapTooLong {
        /// `user` or `group`.
        kind: &'static str,
        /// How many ranges it has.
        ranges: usize,
        /// How long it is in `/proc/PID/uid_map`.
        bytes: usize,
    },
    /// Ranges for only one of users and groups.
    #[error("map_uids and map_gids go together; the {0} ids have no range")]
    IdMapIncomplete(&'static str),
    /// An id map without the id that bwrap itself runs as.
    #[error("no range of the {kind} map covers {id}, which bwrap runs as; add it")]
    #[non_exhaustive]
    IdUnmapped {
        /// `user` or `group`.
        kind: &'static str,
        /// The id.
        id: u32,
    },
    /// A soft limit above the hard one.
    #[error("the soft limit is above the hard one, {hard}; raise that, or lower it")]
    #[non_exhaustive]
    LimitAboveHard {
        /// The hard limit.
        hard: u64,
    },
    /// A number that the kernel would refuse, or cut.
    #[error("{value} is not within {min} to {max}")]
    #[non_exhaustive]
    LimitRange {
        /// The number.
        value: i64,
        /// The least there may be.
        min: i64,
        /// The most there may be.
        max: i64,
    },
    /// A command that may run nowhere.
    #[error("no processor is left to run on; name one at least")]
    NoProcessor,
    /// A control group that is not named from the root of its hierarchy.
    #[error("{0:?} is no name of a control group; write it as /proc/PID/cgroup does, such as \"/jobs\"")]
    GroupPath(PathBuf),
    /// `cap_add_all` as root, without a user namespace.
    #[error(
        "as root, bwrap silently ignores drops beside cap_add_all (--cap-add ALL); name the capabilities one by one, or add Namespaces::USER (--unshare-user)"
    )]
    CapAddAllAsRoot,
    /// A capability that root itself lacks: bwrap would silently keep all the others.
    #[error("{0} is to be kept, but the caller lacks it: bwrap would then silently ignore every drop")]
    CapabilityMissing(String),
    /// A filter that is no BPF program.
    #[error("has {} bytes; a compiled filter has 8 for each of its 1 to 4096 instructions", counted(*.0))]
    FilterSize(usize),
    /// An environment variable that `setenv(3)` refuses.
    #[error("a name is neither empty nor contains '='")]
    VariableName,
    /// A descriptor number that bwrap's own descriptors or standard streams take.
    #[error("descriptors of the command are numbered 3 to {max}; 0, 1 and 2 are stdin, stdout and stderr")]
    DescriptorRange {
        /// The largest number.
        max: i32,
    },
    /// A process group that cannot be.
    #[error("{0} is no process group; 0 makes a new one, and 1 is the least number of one that is there")]
    ProcessGroup(i32),
    /// A word that is longer than the kernel hands on (`MAX_ARG_STRLEN`, execve(2)).
    #[error(
        "has {bytes} bytes, and the kernel hands on fewer than {limit} in a word; hand what is so long over in a file"
    )]
    #[non_exhaustive]
    WordTooLong {
        /// How long it is.
        bytes: usize,
        /// What it must be shorter than.
        limit: usize,
    },
    /// More words than bwrap reads.
    #[error(
        "has {count} words, {limit} at most are possible, the command's own included; bind directories instead of files, or hand long argument lists over in a file"
    )]
    #[non_exhaustive]
    TooManyWords {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// The largest filter in bytes: 4096 instructions (`BPF_MAXINSNS`) of 8 bytes.
pub(crate) const MAX_FILTER: usize = 4096 * 8;

/// How many bytes a filter has: of one that is too long no more is read than shows that.
fn counted(bytes: usize) -> String {
    if bytes > MAX_FILTER { format!("more than {MAX_FILTER}") } else { bytes.to_string() }
}

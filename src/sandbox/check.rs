//! The rules that bwrap enforces, and the silent traps that it does not, answered before launch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::RawFd;
use std::path::{Component, PathBuf};

use super::environment::valid_name;
use super::{
    CapabilityChange, Content, ContentKind, Descriptor, EnvironmentChange, IdRange, Inherit, Namespaces,
    Operation, Overlay, OverlayKind, Sandbox,
};

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
    /// As [`Sandbox::check`] says it: for checks of one's own, and to compare with.
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
    /// Something needs an explicit [`Namespaces::USER`].
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
    #[error("the id range {0:?} is empty or goes beyond 4294967294")]
    IdRange(IdRange),
    /// An id map with an id in two ranges.
    #[error("the id ranges {0:?} and {1:?} overlap")]
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
    #[error("has {0} bytes; a compiled filter has 8 for each of its 1 to 4096 instructions")]
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

type Check = Result<(), Problem>;

impl Sandbox {
    /// Checks what can be checked without looking at the host. Every launch does this first.
    ///
    /// # Errors
    ///
    /// The first part of the description that cannot work, and why.
    ///
    /// ```
    /// use bwrap_launch::{Problem, Sandbox};
    /// let error = Sandbox::new().ro_bind("/usr", "").check().unwrap_err();
    /// assert_eq!(error.problem, Problem::Empty("destination"));
    /// let start = "operation 1 (read-only bind on \"\"): its destination is empty";
    /// assert!(error.to_string().starts_with(start));
    /// ```
    pub fn check(&self) -> Result<(), Invalid> {
        for (index, operation) in self.operations.iter().enumerate() {
            check_operation(operation)
                .map_err(|problem| Invalid::new(Place::operation(index, operation), problem))?;
        }
        self.check_namespaces().map_err(|problem| Invalid::new(Place::Namespaces, problem))?;
        self.check_identity().map_err(|problem| Invalid::new(Place::Identity, problem))?;
        self.check_privileges().map_err(|problem| Invalid::new(Place::Privileges, problem))?;
        for (index, filter) in self.privileges.filters.iter().enumerate() {
            check_filter(&filter.program).map_err(|problem| Invalid::new(Place::Filter(index), problem))?;
        }
        self.check_environment()?;
        self.check_lifetime().map_err(|problem| Invalid::new(Place::Lifetime, problem))?;
        if let Some(directory) = &self.current_dir {
            text("path", directory.as_os_str())
                .map_err(|problem| Invalid::new(Place::CurrentDir, problem))?;
        }
        self.check_readers()
    }

    fn check_namespaces(&self) -> Check {
        let namespaces = &self.namespaces;
        if namespaces.share_net && namespaces.unshare.contains(Namespaces::NET) {
            return Err(Problem::NetworkSharedAndNot);
        }
        let new_user = Namespaces::USER | Namespaces::USER_TRY | Namespaces::ALL;
        if namespaces.join_user.is_some() && namespaces.unshare.intersects(new_user) {
            return Err(Problem::JoinedAndNewUserNamespace);
        }
        if self.privileges.disable_userns && !namespaces.new_user() {
            return Err(Problem::NeedsUserNamespace("disable_userns"));
        }
        [&namespaces.join_user, &namespaces.join_user2, &namespaces.join_pid]
            .into_iter()
            .flatten()
            .try_for_each(number)
    }

    fn check_identity(&self) -> Check {
        let identity = &self.identity;
        for id in [identity.uid, identity.gid].into_iter().flatten() {
            if i32::try_from(id).is_err() {
                return Err(Problem::Id(id));
            }
        }
        if let Some(name) = &identity.hostname {
            no_nul("host name", name)?;
            if name.len() > 64 {
                return Err(Problem::HostnameTooLong(name.len()));
            }
            if !self.namespaces.new_uts() {
                return Err(Problem::HostnameNeedsUts);
            }
        }
        if identity.mapped() {
            if !self.namespaces.new_user() {
                return Err(Problem::NeedsUserNamespace("an id map"));
            }
            if self.privileges.disable_userns {
                return Err(Problem::Conflict("an id map", "disable_userns"));
            }
            // bwrap leaves the maps to the launcher then, so --uid and --gid would have no effect
            if identity.uid.is_some() || identity.gid.is_some() {
                return Err(Problem::Conflict("uid or gid", "an id map"));
            }
            check_ranges("user", &identity.uid_map)?;
            check_ranges("group", &identity.gid_map)?;
        }
        Ok(())
    }

    fn check_privileges(&self) -> Check {
        for label in [&self.privileges.exec_label, &self.privileges.file_label].into_iter().flatten() {
            text("label", label)?;
        }
        self.debug_options.iter().try_for_each(|key| text("debug option", key))
    }

    fn check_environment(&self) -> Result<(), Invalid> {
        let inherited = match &self.environment.inherit {
            Inherit::Only(names) => names.as_slice(),
            Inherit::Nothing | Inherit::Everything => &[],
        };
        let names = inherited.iter().map(OsString::as_os_str);
        for name in names.chain(self.environment.changes.iter().map(EnvironmentChange::name)) {
            check_name(name)
                .map_err(|problem| Invalid::new(Place::Variable(name.display().to_string()), problem))?;
        }
        for change in &self.environment.changes {
            if let EnvironmentChange::Set { name, value } = change {
                no_nul("value", &value.text)
                    .map_err(|problem| Invalid::new(Place::Variable(name.display().to_string()), problem))?;
            }
        }
        Ok(())
    }

    fn check_lifetime(&self) -> Check {
        let lifetime = &self.lifetime;
        if lifetime.as_pid_1 {
            if !self.namespaces.new_pid() {
                return Err(Problem::NeedsPidNamespace("as_pid_1"));
            }
            if !lifetime.lock_files.is_empty() {
                return Err(Problem::Conflict("as_pid_1", "lock_file"));
            }
            // as process 1, the command itself would inherit the sync descriptor
            if !lifetime.sync_fds.is_empty() {
                return Err(Problem::Conflict("as_pid_1", "sync_fd"));
            }
        }
        // without one, bwrap ends with status 1, as if the command had, while the command runs on
        if !lifetime.lock_files.is_empty() && !self.namespaces.new_pid() {
            return Err(Problem::NeedsPidNamespace("lock_file"));
        }
        lifetime.lock_files.iter().try_for_each(|path| text("lock file", path.as_os_str()))?;
        lifetime.sync_fds.iter().chain(&lifetime.info_fd).try_for_each(number)
    }

    /// No descriptor may be read twice.
    fn check_readers(&self) -> Result<(), Invalid> {
        let mut seen: HashMap<RawFd, Place> = HashMap::new();
        for (place, content) in self.readers() {
            let Some(descriptor) = content.descriptor() else { continue };
            number(descriptor).map_err(|problem| Invalid::new(place.clone(), problem))?;
            match seen.entry(descriptor.current_number()) {
                Entry::Occupied(first) => {
                    return Err(Invalid::new(
                        place,
                        Problem::DescriptorReused { first: first.get().to_string() },
                    ));
                }
                Entry::Vacant(free) => {
                    free.insert(place);
                }
            }
        }
        Ok(())
    }

    /// Everything that bwrap reads from a descriptor, with its place.
    pub(crate) fn readers(&self) -> impl Iterator<Item = (Place, &Content)> {
        let operations = self.operations.iter().enumerate().filter_map(|(index, operation)| {
            let content = match operation {
                Operation::File(file) => &file.content,
                Operation::BindData(data) => &data.content,
                _ => return None,
            };
            Some((Place::operation(index, operation), content))
        });
        let filters = self.privileges.filters.iter().enumerate();
        operations.chain(filters.map(|(index, filter)| (Place::Filter(index), &filter.program)))
    }

    /// The rules that depend on who launches: `uid` and `gid` are the caller's, `has` says which capabilities it hands
    /// on, `user_namespaces` whether bwrap makes a user namespace where it may also go without.
    pub(crate) fn check_for(
        &self,
        uid: u32,
        gid: u32,
        has: impl Fn(super::Capability) -> bool,
        user_namespaces: impl Fn() -> bool,
    ) -> Result<(), Invalid> {
        let identity = &self.identity;
        for (kind, map, id) in [("user", &identity.uid_map, uid), ("group", &identity.gid_map, gid)] {
            let covers = |range: &IdRange| id >= range.outside && id - range.outside < range.count;
            if !map.is_empty() && !map.iter().any(covers) {
                return Err(Invalid::new(Place::Identity, Problem::IdUnmapped { kind, id }));
            }
        }
        if uid != 0 {
            return Ok(());
        }
        let changes_id = identity.uid.is_some_and(|wanted| wanted != uid)
            || identity.gid.is_some_and(|wanted| wanted != gid);
        if changes_id && !self.namespaces.any_user() {
            return Err(Invalid::new(Place::Identity, Problem::IdNeedsUserNamespace));
        }
        // inside its own user namespace bwrap has every capability
        if self.privileges.capabilities.is_empty()
            || self.namespaces.new_user()
            || self.namespaces.join_user.is_some()
            || self.namespaces.any_user() && user_namespaces()
        {
            return Ok(());
        }
        let mut wanted = Vec::new();
        for change in &self.privileges.capabilities {
            match *change {
                CapabilityChange::AddAll => {
                    return Err(Invalid::new(Place::Privileges, Problem::CapAddAllAsRoot));
                }
                CapabilityChange::Add(capability) => wanted.push(capability),
                CapabilityChange::Drop(capability) => wanted.retain(|other| *other != capability),
                CapabilityChange::DropAll => wanted.clear(),
            }
        }
        match wanted.into_iter().find(|capability| !has(*capability)) {
            Some(missing) => {
                Err(Invalid::new(Place::Privileges, Problem::CapabilityMissing(missing.to_string())))
            }
            None => Ok(()),
        }
    }
}

fn check_operation(operation: &Operation) -> Check {
    for (what, value) in operation.texts() {
        text(what, value)?;
    }
    if operation.destination().components().any(|part| part == Component::ParentDir) {
        return Err(Problem::ParentDir);
    }
    let (mode, size) = match operation {
        Operation::Tmpfs(o) => (o.mode, o.size),
        Operation::Dir(o) => (o.mode, None),
        Operation::File(o) => (o.mode, None),
        Operation::BindData(o) => (o.mode, None),
        Operation::Chmod(o) => (Some(o.mode), None),
        Operation::Overlay(overlay) => return check_layers(overlay),
        Operation::BindFd(o) => return number(&o.descriptor),
        _ => (None, None),
    };
    if let Some(mode) = mode.filter(|mode| *mode > 0o7777) {
        return Err(Problem::Mode(mode));
    }
    // a tmpfs gets these bits from its mount options, and a chmod sets them: neither loses them
    let creates = matches!(operation, Operation::Dir(_) | Operation::File(_) | Operation::BindData(_));
    if let Some(mode) = mode.filter(|mode| creates && mode & 0o6000 != 0) {
        return Err(Problem::SpecialMode(mode));
    }
    match size {
        Some(size) if size == 0 || usize::try_from(size).map_or(true, |size| size > usize::MAX / 2) => {
            Err(Problem::Size(size))
        }
        _ => Ok(()),
    }
}

fn check_layers(overlay: &Overlay) -> Check {
    let needed = if overlay.kind == OverlayKind::ReadOnly { 2 } else { 1 };
    let given = overlay.layers.len();
    if given < needed { Err(Problem::TooFewLayers { given, needed }) } else { Ok(()) }
}

fn check_filter(program: &Content) -> Check {
    match &program.0 {
        ContentKind::Bytes { bytes, .. } => check_filter_size(bytes.len()),
        ContentKind::Descriptor(_) => Ok(()),
    }
}

/// The largest filter in bytes: 4096 instructions (`BPF_MAXINSNS`) of 8 bytes.
pub(crate) const MAX_FILTER: usize = 4096 * 8;

pub(crate) fn check_filter_size(size: usize) -> Check {
    if size != 0 && size.is_multiple_of(8) && size <= MAX_FILTER {
        Ok(())
    } else {
        Err(Problem::FilterSize(size))
    }
}

/// How many ranges the kernel takes in an id map (`UID_GID_MAP_MAX_EXTENTS`).
const MAX_RANGES: usize = 340;

fn check_ranges(kind: &'static str, ranges: &[IdRange]) -> Check {
    if ranges.is_empty() {
        return Err(Problem::IdMapIncomplete(kind));
    }
    let bytes = ranges.iter().map(|range| range.line().len()).sum();
    if ranges.len() > MAX_RANGES || bytes >= rustix::param::page_size() {
        return Err(Problem::IdMapTooLong { kind, ranges: ranges.len(), bytes });
    }
    for (index, range) in ranges.iter().enumerate() {
        let fits = |first: u32| first.checked_add(range.count).is_some();
        if range.count == 0 || !fits(range.inside) || !fits(range.outside) {
            return Err(Problem::IdRange(*range));
        }
        for other in ranges.iter().take(index) {
            if range.overlaps(other, |r| r.inside) || range.overlaps(other, |r| r.outside) {
                return Err(Problem::IdRangesOverlap(*other, *range));
            }
        }
    }
    Ok(())
}

/// A string that becomes a word of its own and must not be empty.
pub(crate) fn text(what: &'static str, value: &OsStr) -> Check {
    if value.is_empty() {
        return Err(Problem::Empty(what));
    }
    no_nul(what, value)
}

pub(crate) fn no_nul(what: &'static str, value: &OsStr) -> Check {
    if value.as_encoded_bytes().contains(&0) { Err(Problem::Nul(what)) } else { Ok(()) }
}

fn check_name(name: &OsStr) -> Check {
    no_nul("name", name)?;
    if valid_name(name) { Ok(()) } else { Err(Problem::VariableName) }
}

fn number(descriptor: &Descriptor) -> Check {
    match descriptor.given_number() {
        Some(number) if number < 0 => Err(Problem::DescriptorNumber(number)),
        _ => Ok(()),
    }
}

//! Legal but unwise: advice, never an error.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::layout::{Layout, Places, relative};
use super::{Access, Capability, CapabilityChange, Operation, Proc, Sandbox};

/// How many binds bwrap mounts before their cost, which grows with the square, is felt.
const MANY_BINDS: usize = 50;

/// A piece of advice about a sandbox.
///
/// ```
/// use bwrap_launch::{Circumstances, Sandbox};
/// let advice = Sandbox::new().proc("/proc").lint(&Circumstances::default());
/// assert_eq!(advice[1].operation, Some(0));
/// assert!(advice[1].to_string().starts_with("operation 1: without a PID namespace"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// What is unwise.
    pub lint: Lint,
    /// The operation concerned, counted from 0, if it is one.
    pub operation: Option<usize>,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Some(index) => write!(f, "operation {}: {}", index + 1, self.lint),
            None => self.lint.fmt(f),
        }
    }
}

/// Something legal but unwise. `Display` gives the reason and what to do.
///
/// ```
/// use bwrap_launch::{Circumstances, Lint, Sandbox};
/// let advice = Sandbox::new().tmpfs("/tmp").lint(&Circumstances::default());
/// let lints: Vec<_> = advice.into_iter().map(|advice| advice.lint).collect();
/// assert_eq!(lints, [Lint::OutlivesCaller, Lint::UnlimitedTmpfs]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lint {
    /// Root keeps capabilities inside that nobody named.
    #[error(
        "the command keeps every capability of root that is not dropped by name; add cap_drop_all, then cap_add what it needs"
    )]
    RootKeepsCapabilities,
    /// The command gets capabilities that nobody named.
    #[error(
        "cap_add_all gives the command every capability, which opens much of the kernel to attack even inside a user namespace; cap_add what it needs instead"
    )]
    AddsAllCapabilities,
    /// The command can type into the caller's terminal.
    #[error(
        "the command can push characters into the terminal it is started from (CVE-2017-5226); add new_session, or Filter::terminal if it needs job control"
    )]
    TerminalInjection,
    /// The command can signal the caller.
    #[error(
        "the command can signal the caller and its whole process group, by kill(0, ...) or `kill 0` in a shell: no namespace is in the way of that; add new_session, or, where the command needs the terminal, Command::process_group(0)"
    )]
    SharesProcessGroup,
    /// Something is created below a writable bind or overlay, whose changes persist: a symlink planted there by
    /// an earlier run leads to the host.
    #[error(
        "{destination:?} is created below the writable mount on {writable:?}: a symlink left there by an earlier run can lead it onto the host (CVE-2026-87766); use bwrap 0.12 or create it before that mount"
    )]
    #[non_exhaustive]
    DestinationBelowWritable {
        /// The destination that is created.
        destination: PathBuf,
        /// The destination of the writable bind or overlay above it.
        writable: PathBuf,
    },
    /// The container engine's socket is inside: whoever has it is root on the host.
    #[error(
        "{0:?} hands the host over to the command: whoever talks to the container engine is root there; leave it out, or mount a tmpfs over its directory"
    )]
    EngineSocket(PathBuf),
    /// The command can overwrite the bwrap that runs it, and so what the caller starts next.
    #[error(
        "the command can overwrite the bwrap that runs it, through /proc/PID/exe in the moment after that has ended (as in CVE-2019-5736): it sees its process in /proc and owns the file; use a bwrap that the caller cannot write to, start it as another user, or show no /proc"
    )]
    ExposesBwrap,
    /// A new procfs without a PID namespace is the host's.
    #[error(
        "without a PID namespace this is the host's /proc, with every process of the host in it; add Namespaces::PID"
    )]
    HostProc,
    /// A bind brings the host's procfs along.
    #[error(
        "the bind brings the host's /proc to {0:?}, with every process of the host in it, PID namespace or not; use proc({0:?}) there, with Namespaces::PID"
    )]
    BoundProc(PathBuf),
    /// As root, bwrap leaves the files in `/proc/sys` writable.
    #[error(
        "root can write the host's settings in {0:?}: bwrap covers other parts of it only; add ro_bind(\"/proc/sys\", \"/proc/sys\") after it, or Namespaces::USER"
    )]
    WritableProcSys(PathBuf),
    /// Many binds.
    #[error(
        "{0} binds: bwrap reads the mount table again for each, so the cost grows with the square (500 took 0.4 s); bind parent directories instead"
    )]
    ManyBinds(usize),
    /// Something earlier is hidden by a later mount.
    #[error("hides operation {} before it, which is mounted below or on the same path; reorder them", hidden + 1)]
    HidesEarlier {
        /// The operation that is hidden, counted from 0.
        hidden: usize,
    },
    /// A writable bind of the whole root.
    #[error("the whole root of the host is writable inside; use ro_bind and bind only what is to be written")]
    WritableRoot,
    /// Device nodes cannot be used.
    #[error(
        "binds are mounted nodev: device nodes below {0:?}, such as /dev/null, do not work; add dev(\"/dev\")"
    )]
    NoDevices(PathBuf),
    /// A message queue file system that the kernel refuses.
    #[error("inside a user namespace the kernel refuses it without Namespaces::IPC; add that")]
    MqueueNeedsIpc,
    /// A tmpfs that may take half of the memory.
    #[error(
        "a tmpfs without a size may fill half of the host's memory; set Tmpfs::size for commands you do not trust"
    )]
    UnlimitedTmpfs,
    /// The sandbox outlives its caller.
    #[error("the sandbox goes on running if the caller crashes; add die_with_parent")]
    OutlivesCaller,
    /// Without a PID namespace only the command ends with the caller.
    #[error(
        "without a PID namespace, processes that the command leaves behind outlive the caller all the same; add Namespaces::PID"
    )]
    DescendantsOutliveCaller,
    /// The joined namespace's descriptor stays open in the command.
    #[error(
        "bwrap leaves the descriptor of a joined namespace open in the command, which is a capability over it; do not join namespaces for commands you do not trust"
    )]
    NamespaceDescriptorInherited,
    /// The sandbox says itself that it protects nothing.
    #[error(
        "not_a_security_boundary starts the sandbox even if parts of it stay writable; never for code you do not trust"
    )]
    NotASecurityBoundary,
    /// bwrap is installed setuid root.
    #[error(
        "bwrap is installed setuid root: versions with support for that had privilege escalations (CVE-2020-5291, CVE-2026-41163) and newer ones refuse to run; chmod u-s it"
    )]
    SetuidBwrap,
}

/// What [`Sandbox::lint`] cannot know from the sandbox.
///
/// [`Command::lint`](crate::Command::lint) fills it in from the host.
///
/// ```
/// use bwrap_launch::{Circumstances, Lint, Sandbox};
/// let mut circumstances = Circumstances::default();
/// circumstances.root = true;
/// let advice = Sandbox::new().ro_bind("/", "/").dev("/dev").die_with_parent().lint(&circumstances);
/// assert_eq!(advice[0].lint, Lint::RootKeepsCapabilities);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Circumstances {
    /// The caller is root (uid 0) in its user namespace.
    pub root: bool,
    /// Standard input, output or error of the command is a terminal.
    pub terminal: bool,
    /// bwrap is in the caller's process group ([`Command::process_group`](crate::Command::process_group)).
    pub shares_group: bool,
    /// bwrap resolves destinations inside the new root only (0.12 and newer, or patched).
    pub resolves_in_root: bool,
    /// bwrap keeps each descriptor of [`Sandbox::sync_fd`], and not only the last (0.13.1 and newer).
    pub keeps_every_sync_fd: bool,
    /// bwrap is setuid root.
    pub setuid: bool,
    /// The caller may write to bwrap's file, as root always may: one in its home directory or virtual environment.
    pub owns_bwrap: bool,
    /// Sockets of container engines that the host has, such as `/run/docker.sock`.
    pub engine_sockets: Vec<PathBuf>,
}

impl Sandbox {
    /// Says what is legal but unwise about this sandbox, each with its reason.
    ///
    /// What concerns the sandbox as a whole comes first, then its operations in their order.
    ///
    /// ```
    /// use bwrap_launch::{Circumstances, Lint, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").unshare_all().die_with_parent();
    /// assert!(sandbox.lint(&Circumstances::default()).is_empty());
    /// let advice = sandbox.tmpfs("/").lint(&Circumstances::default());
    /// assert_eq!(advice[0].lint, Lint::HidesEarlier { hidden: 0 });
    /// ```
    #[must_use]
    pub fn lint(&self, circumstances: &Circumstances) -> Vec<Advice> {
        let places = Places::of(&self.operations);
        let mut layout = Layout::new(&self.operations, &places);
        let mut advice = Vec::new();
        let mut whole = |lint| advice.push(Advice { lint, operation: None });
        let privileges = &self.privileges;
        if let Some(lint) = self.unnamed_capabilities(circumstances.root) {
            whole(lint);
        }
        let filtered = privileges.filters.iter().any(|filter| filter.terminal);
        if circumstances.terminal && !privileges.new_session && !filtered {
            whole(Lint::TerminalInjection);
        }
        if circumstances.shares_group && !privileges.new_session {
            whole(Lint::SharesProcessGroup);
        }
        if circumstances.setuid {
            whole(Lint::SetuidBwrap);
        }
        if (circumstances.root || circumstances.owns_bwrap) && self.exposes_bwrap(circumstances.root, &layout)
        {
            whole(Lint::ExposesBwrap);
        }
        if privileges.not_a_security_boundary {
            whole(Lint::NotASecurityBoundary);
        }
        if !self.lifetime.die_with_parent {
            whole(Lint::OutlivesCaller);
        } else if !self.namespaces.new_pid() {
            whole(Lint::DescendantsOutliveCaller);
        }
        if self.leaks_namespace_descriptor(circumstances.keeps_every_sync_fd) {
            whole(Lint::NamespaceDescriptorInherited);
        }
        let binds = self.operations.iter().filter(|o| matches!(o, Operation::Bind(_) | Operation::BindFd(_)));
        let binds = binds.count();
        if binds > MANY_BINDS {
            whole(Lint::ManyBinds(binds));
        }
        for (index, operation) in self.operations.iter().enumerate() {
            for lint in self.lint_operation(index, operation, circumstances, &layout) {
                advice.push(Advice { lint, operation: Some(index) });
            }
            layout.add(index);
        }
        advice
    }

    /// What there is to say about capabilities that the command has although none of them was named.
    fn unnamed_capabilities(&self, root: bool) -> Option<Lint> {
        let all = || Capability::ALL.iter().copied().collect::<HashSet<_>>();
        let mut unnamed = if root { all() } else { HashSet::new() };
        let mut lint = Lint::RootKeepsCapabilities;
        for change in &self.privileges.capabilities {
            match change {
                CapabilityChange::AddAll => (unnamed, lint) = (all(), Lint::AddsAllCapabilities),
                CapabilityChange::DropAll => unnamed.clear(),
                CapabilityChange::Add(capability) | CapabilityChange::Drop(capability) => {
                    unnamed.remove(capability);
                }
            }
        }
        (!unnamed.is_empty()).then_some(lint)
    }

    /// Whether the command sees a process of bwrap's in a `/proc` and may look into it: the monitor where no namespaces are between
    /// them, or the process that bwrap leaves inside. A command outlives both, and be it for the microseconds in which the
    /// kernel ends a PID namespace: that is enough.
    fn exposes_bwrap(&self, root: bool, layout: &Layout<'_>) -> bool {
        // users get a user namespace unasked; one that root only tries to make may be missing
        let apart = !root || self.namespaces.joined().next().is_some() || self.namespaces.new_user();
        let inside = self.keeps_bwrap_inside();
        let proc = |(index, operation): (usize, &Operation)| match operation {
            Operation::Proc(_) => true,
            Operation::Bind(bind) => layout.brings(index, bind, Path::new("/proc")).is_some(),
            _ => false,
        };
        (inside || !apart) && self.operations.iter().enumerate().any(proc)
    }

    /// bwrap closes such descriptors if they are also ones to keep open ([`Sandbox::sync_fd`]); the
    /// launcher arranges that where it can.
    pub(crate) fn leaks_namespace_descriptor(&self, keeps_every_sync_fd: bool) -> bool {
        self.namespaces.joined().count() > self.closed_namespace_descriptors(keeps_every_sync_fd)
    }

    /// How many of the joined namespaces' descriptors, from the first, can be passed as `--sync-fd` too, which makes
    /// bwrap close them before it executes the command.
    pub(crate) fn closed_namespace_descriptors(&self, keeps_every_sync_fd: bool) -> usize {
        let joined = self.namespaces.joined().count();
        match () {
            () if self.lifetime.as_pid_1 => 0,
            () if keeps_every_sync_fd => joined,
            () if self.lifetime.sync_fds.is_empty() => joined.min(1),
            () => 0,
        }
    }

    fn lint_operation(
        &self,
        index: usize,
        operation: &Operation,
        circumstances: &Circumstances,
        layout: &Layout<'_>,
    ) -> Vec<Lint> {
        let mut lints = Vec::new();
        let destination = operation.destination();
        if operation.is_mount()
            && let Some(hidden) = layout.hidden_by(index)
        {
            lints.push(Lint::HidesEarlier { hidden });
        }
        if !circumstances.resolves_in_root
            && let Some(writable) = layout.writable_above(index)
        {
            lints.push(Lint::DestinationBelowWritable {
                destination: destination.into(),
                writable: writable.into(),
            });
        }
        match operation {
            Operation::Bind(bind) => {
                if is_engine_socket(&bind.source) {
                    lints.push(Lint::EngineSocket(bind.source.clone()));
                } else {
                    let brought = circumstances.engine_sockets.iter();
                    let brought = brought.filter(|socket| layout.brings(index, bind, socket).is_some());
                    lints.extend(brought.cloned().map(Lint::EngineSocket));
                }
                if is_root(&bind.source) && is_root(destination) {
                    if bind.access != Access::ReadOnly {
                        lints.push(Lint::WritableRoot);
                    }
                    if bind.access != Access::Device && !layout.has_devices_after(index) {
                        lints.push(Lint::NoDevices(destination.into()));
                    }
                }
                if let Some(inside) = layout.brings(index, bind, Path::new("/proc")) {
                    lints.push(Lint::BoundProc(inside));
                }
            }
            Operation::Proc(Proc { .. })
                if !self.namespaces.new_pid() && self.namespaces.join_pid.is_none() =>
            {
                lints.push(Lint::HostProc);
            }
            Operation::Proc(_) if circumstances.root && !self.namespaces.any_user() => {
                let settings = destination.join("sys");
                if !layout.has_after(index, &settings) {
                    lints.push(Lint::WritableProcSys(settings));
                }
            }
            Operation::Mqueue(_)
                if !self.namespaces.new_ipc() && (!circumstances.root || self.namespaces.any_user()) =>
            {
                lints.push(Lint::MqueueNeedsIpc);
            }
            Operation::Tmpfs(tmpfs) if tmpfs.size.is_none() => lints.push(Lint::UnlimitedTmpfs),
            _ => {}
        }
        lints
    }
}

fn is_root(path: &Path) -> bool {
    relative(path).as_os_str().is_empty() && !path.as_os_str().is_empty()
}

/// Where container engines listen; who moves a socket keeps its name.
pub(crate) const ENGINE_SOCKETS: [&str; 6] = [
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/dockershim.sock",
];

fn is_engine_socket(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| ENGINE_SOCKETS.iter().any(|socket| Path::new(socket).file_name() == Some(name)))
}

//! What a text says in passing, and what one cause or remedy alone asks for.

/// What is told by a word or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hint {
    /// A sandbox of bwrap's is started within another.
    Nested,
    /// It is within another sandbox, whose nobody says.
    WithinSandbox,
    /// A user namespace can be made by hand.
    Unshares,
    /// None can, unshare(1) is denied it.
    UnshareDenied,
    /// An action of GitHub's is a container: nobody sets its options.
    ContainerAction,
    /// qemu plays another processor.
    Emulated,
    /// qemu's emulation of single programs is named.
    Qemu,
    /// The launcher brings a bwrap of its own along.
    OwnBwrap,
    /// The file that is said to be missing is there.
    FileThere,
    /// A container has its user's ids, and nobody chose them.
    KeepId,
    /// A container was given capabilities.
    CapAdd,
    /// `GameMode` is loaded into every program.
    GameMode,
    /// An application of Flatpak's makes a sandbox by itself.
    AppOfFlatpak,
    /// An application of Flatpak's is started.
    FlatpakRun,
    /// One is installed or updated, in which Flatpak itself starts bwrap.
    FlatpakInstall,
    /// An application of Flatpak's is built.
    FlatpakBuild,
    /// Flatpak's own bwrap had not ended its work.
    BeforeApp,
    /// Namespaces of the kernel's configuration are listed.
    KernelOptions,
    /// User namespaces are among them.
    UserNsOption,
    /// The switch for user namespaces is said not to be for the distribution.
    NoSwitch,
    /// The system is named as one of a distribution whose kernels never had it.
    NamedWithoutSwitch,
    /// Flatpak is one of two releases that name descriptors to bwrap which are closed by then.
    FlatpakDescriptors,
    /// bwrap is setuid root, as where user namespaces are off.
    SetuidBwrap,
    /// Somebody configured the kernel.
    OwnKernel,
    /// The system is RHEL 7, or what is made of it.
    El7,
    /// The kernel's configuration lacks a kind of namespaces.
    NamespacesLeftOut,
    /// The kernel's configuration has system call filters.
    FilterOption,
    /// A pod has a user namespace of its own.
    OwnUserNamespace,
    /// And nothing of the node's beside it.
    NothingOfNode,
    /// The runtime of the pods is containerd, by its name or by the cluster that comes with it.
    Containerd,
    /// The cluster is older than what honours the fields of pods for user namespaces by default.
    OldKubernetes,
    /// A cluster is named that honours them.
    NewKubernetes,
    /// What stands beside a name of WSL's is there in its second version only.
    KernelOfWsl2,
    /// A process shows that its user namespace is the machine's own.
    MachinesIds,
    /// Claude Code is as new as what leaves out what cannot be made.
    NewClaude,
    /// A Landlock domain is around bwrap.
    LandlockDomain,
    /// A container of root's was given `CAP_SYS_ADMIN`, and nothing over networks.
    SysAdmin,
    /// Capabilities were put on bwrap's file.
    FileCapabilities,
    /// Sharing process ids with whoever starts an application of Flatpak's.
    ParentPids,
    /// Steam was started as an application of Flatpak's.
    SteamOfFlatpak,
    /// The bwrap that failed opens the directories on the way to a destination: one that does not works, or was there before.
    OpeningBwrap,
}

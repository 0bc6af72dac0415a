//! Namespaces: which are new, and which existing ones are joined.

use bitflags::bitflags;

use super::Descriptor;

bitflags! {
    /// The namespaces that a sandbox gets for its own (`namespaces(7)`).
    ///
    /// A set, with the usual methods and operators of one. The traits of the crate `bitflags` that it has are no part of
    /// this crate's interface.
    ///
    /// ```
    /// use bwrap_launch::{Namespaces, Sandbox};
    /// let sandbox = Sandbox::new().unshare(Namespaces::PID | Namespaces::IPC);
    /// assert_eq!(sandbox.to_string(), "bwrap --clearenv --unshare-ipc --unshare-pid");
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Namespaces: u16 {
        /// User ids and capabilities (`--unshare-user`). bwrap makes one unasked for whoever is not root.
        const USER = 1;
        /// As [`USER`](Self::USER), where the host seems to allow it (`--unshare-user-try`).
        const USER_TRY = 1 << 1;
        /// System V IPC and POSIX message queues (`--unshare-ipc`).
        const IPC = 1 << 2;
        /// Process ids (`--unshare-pid`).
        const PID = 1 << 3;
        /// Network devices, addresses, ports; only a loopback device is inside (`--unshare-net`).
        const NET = 1 << 4;
        /// Host name (`--unshare-uts`).
        const UTS = 1 << 5;
        /// The view of the control groups; it limits nothing (`--unshare-cgroup`).
        const CGROUP = 1 << 6;
        /// As [`CGROUP`](Self::CGROUP), where the kernel has it (`--unshare-cgroup-try`).
        const CGROUP_TRY = 1 << 7;
        /// Every namespace that the bwrap at hand knows (`--unshare-all`); today `USER_TRY`, `IPC`, `PID`,
        /// `NET`, `UTS` and `CGROUP_TRY`. It does not satisfy an option that asks for [`USER`](Self::USER).
        const ALL = 1 << 8;
    }
}

impl Namespaces {
    /// What [`ALL`](Self::ALL) means to today's bwraps.
    pub(crate) const IN_ALL: Self = Self::USER_TRY
        .union(Self::IPC)
        .union(Self::PID)
        .union(Self::NET)
        .union(Self::UTS)
        .union(Self::CGROUP_TRY);
}

/// All that a sandbox says about namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NamespaceSettings {
    pub(crate) unshare: Namespaces,
    pub(crate) share_net: bool,
    pub(crate) join_user: Option<Descriptor>,
    pub(crate) join_user2: Option<Descriptor>,
    pub(crate) join_pid: Option<Descriptor>,
}

impl NamespaceSettings {
    pub(crate) fn new_pid(&self) -> bool {
        self.unshare.intersects(Namespaces::PID | Namespaces::ALL)
    }

    pub(crate) fn new_ipc(&self) -> bool {
        self.unshare.intersects(Namespaces::IPC | Namespaces::ALL)
    }

    pub(crate) fn new_uts(&self) -> bool {
        self.unshare.intersects(Namespaces::UTS | Namespaces::ALL)
    }

    /// The descriptors of joined namespaces, in the order of bwrap's options.
    pub(crate) fn joined(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.join_user, &self.join_user2, &self.join_pid].into_iter().flatten()
    }

    /// Whether a user namespace is asked for in a way that bwrap may not skip.
    pub(crate) fn new_user(&self) -> bool {
        self.unshare.contains(Namespaces::USER)
    }

    /// Whether bwrap works in a user namespace other than the caller's, if the host allows it.
    pub(crate) fn any_user(&self) -> bool {
        self.join_user.is_some()
            || self.unshare.intersects(Namespaces::USER | Namespaces::USER_TRY | Namespaces::ALL)
    }
}

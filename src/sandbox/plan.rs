//! What a sandbox asks of the kernel beside its mounts, whoever starts bwrap.

use super::{Namespaces, Operation, Sandbox};

/// What bwrap does for a sandbox that takes more than mounting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Plan {
    /// It makes a user namespace.
    pub(crate) user_namespace: bool,
    /// It makes one only if the host seems to allow it, and goes on without.
    pub(crate) user_namespace_optional: bool,
    /// It makes a second one: for `--dev` as another user than root, or to disable them.
    pub(crate) second_user_namespace: bool,
    pub(crate) disable_userns: bool,
    pub(crate) new_pid: bool,
    pub(crate) join_pid: bool,
    pub(crate) new_net: bool,
    /// The kinds of namespaces that it makes beside that of users, as `user.max_*_namespaces` call them.
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) hostname: bool,
    /// The operation that mounts a procfs; without a PID namespace of the sandbox's, bwrap binds the outer one.
    pub(crate) proc: Option<usize>,
    /// The operation that makes a `/dev`, for which bwrap mounts a devpts.
    pub(crate) dev: Option<usize>,
    pub(crate) overlay: Option<usize>,
}

impl Plan {
    /// `uid`: the user who starts bwrap, if that is known.
    pub(crate) fn of(sandbox: &Sandbox, uid: Option<u32>) -> Self {
        let root = uid == Some(0);
        let namespaces = &sandbox.namespaces;
        let joins_user = namespaces.join_user.is_some();
        let asked = namespaces.unshare;
        let optional = asked.intersects(Namespaces::USER_TRY | Namespaces::ALL) && !namespaces.new_user();
        // whoever is not root gets one unasked
        let user_namespace = !joins_user && (namespaces.any_user() || !root);
        let (new_pid, join_pid) = (namespaces.new_pid(), namespaces.join_pid.is_some());
        let new_net = asked.intersects(Namespaces::NET | Namespaces::ALL) && !namespaces.share_net;
        let new_cgroup = asked.intersects(Namespaces::CGROUP | Namespaces::CGROUP_TRY | Namespaces::ALL);
        let (ipc, uts) = (("ipc", namespaces.new_ipc()), ("uts", namespaces.new_uts()));
        let kinds = [("mnt", true), ("pid", new_pid), ("net", new_net), ipc, uts, ("cgroup", new_cgroup)];
        let position = |wanted: fn(&Operation) -> bool| sandbox.operations.iter().position(wanted);
        let dev = position(|operation| matches!(operation, Operation::Dev(_)));
        let disable_userns = sandbox.privileges.disable_userns;
        let root_inside = sandbox.identity.uid.or(uid) == Some(0);
        let dev_takes_two = dev.is_some() && !root_inside && !sandbox.identity.mapped();
        Self {
            user_namespace,
            user_namespace_optional: optional && root,
            second_user_namespace: user_namespace && (disable_userns || dev_takes_two),
            disable_userns,
            new_pid,
            join_pid,
            new_net,
            kinds: kinds.into_iter().filter_map(|(kind, made)| made.then_some(kind)).collect(),
            hostname: sandbox.identity.hostname.is_some(),
            proc: position(|operation| matches!(operation, Operation::Proc(_)))
                .filter(|_| new_pid || join_pid),
            dev,
            overlay: position(|operation| matches!(operation, Operation::Overlay(_))),
        }
    }
}

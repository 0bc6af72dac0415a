//! A description, read back.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{
    CapabilityChange, Descriptor, EnvironmentChange, Feature, Filter, IdRange, Inherit, Namespaces, Sandbox,
};

/// # What was set
///
/// Getters have the name of the method that sets, with `get_` before it, as in [`std::process::Command`]. Switches,
/// which are on or off, are asked with [`is_set`](Self::is_set); operations with [`operations`](Self::operations).
///
/// ```
/// use bwrap_launch::{Capability, CapabilityChange, IdRange, Inherit, Namespaces, Sandbox};
/// let one = [IdRange::new(0, 1000, 1)];
/// let sandbox = Sandbox::new()
///     .unshare(Namespaces::USER | Namespaces::PID | Namespaces::UTS)
///     .map_uids(one)
///     .map_gids(one)
///     .hostname("box")
///     .cap_drop_all()
///     .cap_add(Capability::CAP_KILL)
///     .lock_file("/run/lock")
///     .inherit_env_only(["PATH"])
///     .current_dir("/srv");
/// assert!(sandbox.get_unshare().contains(Namespaces::PID));
/// assert_eq!(sandbox.get_uid_map(), one);
/// assert_eq!(sandbox.get_hostname().unwrap(), "box");
/// let changes = [CapabilityChange::DropAll, CapabilityChange::Add(Capability::CAP_KILL)];
/// assert_eq!(sandbox.get_capabilities(), changes);
/// assert_eq!(sandbox.get_lock_files(), ["/run/lock"].map(std::path::PathBuf::from));
/// assert_eq!(*sandbox.get_inherit_env(), Inherit::Only(vec!["PATH".into()]));
/// assert_eq!(sandbox.get_current_dir(), Some("/srv".as_ref()));
/// assert_eq!((sandbox.get_uid(), sandbox.get_sync_fds().len()), (None, 0));
/// ```
impl Sandbox {
    /// The namespaces that are new, as they were asked for: [`Namespaces::ALL`] is not taken apart.
    /// [`Setting::ShareNet`](super::Setting::ShareNet) may take the network out of that.
    #[must_use]
    pub fn get_unshare(&self) -> Namespaces {
        self.namespaces.unshare
    }

    /// The user namespace that is entered.
    #[must_use]
    pub fn get_join_user(&self) -> Option<&Descriptor> {
        self.namespaces.join_user.as_ref()
    }

    /// The user namespace to which bwrap switches once everything is set up.
    #[must_use]
    pub fn get_join_user_after_setup(&self) -> Option<&Descriptor> {
        self.namespaces.join_user2.as_ref()
    }

    /// The PID namespace that is entered.
    #[must_use]
    pub fn get_join_pid(&self) -> Option<&Descriptor> {
        self.namespaces.join_pid.as_ref()
    }

    /// The user id inside.
    #[must_use]
    pub fn get_uid(&self) -> Option<u32> {
        self.identity.uid
    }

    /// The group id inside.
    #[must_use]
    pub fn get_gid(&self) -> Option<u32> {
        self.identity.gid
    }

    /// The ranges of [`map_uids`](Self::map_uids).
    #[must_use]
    pub fn get_uid_map(&self) -> &[IdRange] {
        &self.identity.uid_map
    }

    /// The ranges of [`map_gids`](Self::map_gids).
    #[must_use]
    pub fn get_gid_map(&self) -> &[IdRange] {
        &self.identity.gid_map
    }

    /// The host name inside.
    #[must_use]
    pub fn get_hostname(&self) -> Option<&OsStr> {
        self.identity.hostname.as_deref()
    }

    /// The changes of the command's capabilities, in order.
    #[must_use]
    pub fn get_capabilities(&self) -> &[CapabilityChange] {
        &self.privileges.capabilities
    }

    /// The system call filters, in order.
    #[must_use]
    pub fn get_seccomp(&self) -> &[Filter] {
        &self.privileges.filters
    }

    /// The command's `SELinux` context.
    #[must_use]
    pub fn get_exec_label(&self) -> Option<&OsStr> {
        self.privileges.exec_label.as_deref()
    }

    /// The `SELinux` context of created files.
    #[must_use]
    pub fn get_file_label(&self) -> Option<&OsStr> {
        self.privileges.file_label.as_deref()
    }

    /// What of the caller's environment the command sees, before [`get_envs`](Self::get_envs).
    #[must_use]
    pub fn get_inherit_env(&self) -> &Inherit {
        &self.environment.inherit
    }

    /// The variables that are set (with their value) or removed (`None`), each as the last call left it, in the order
    /// of these calls. Secret values are among them; [`is_env_secret`](Self::is_env_secret) says which.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().env("A", "1").env_secret("B", "2").env("A", "3").env_remove("C");
    /// let envs: Vec<_> = sandbox.get_envs().collect();
    /// let is = |name: &'static str, value: &'static str| (name.as_ref(), Some(value.as_ref()));
    /// assert_eq!(envs, [is("B", "2"), is("A", "3"), ("C".as_ref(), None)]);
    /// assert!(sandbox.is_env_secret("B") && !sandbox.is_env_secret("A"));
    /// ```
    #[must_use]
    pub fn get_envs(&self) -> impl ExactSizeIterator<Item = (&OsStr, Option<&OsStr>)> {
        let changes = &self.environment.changes;
        let last: HashMap<&OsStr, usize> =
            changes.iter().enumerate().map(|(index, change)| (change.name(), index)).collect();
        let kept =
            changes.iter().enumerate().filter(|(index, change)| last.get(change.name()) == Some(index));
        let kept: Vec<_> = kept
            .map(|(_, change)| match change {
                EnvironmentChange::Set { name, value } => (name.as_os_str(), Some(value.text.as_os_str())),
                EnvironmentChange::Unset { name } => (name.as_os_str(), None),
            })
            .collect();
        kept.into_iter()
    }

    /// Whether the variable has a value from [`env_secret`](Self::env_secret).
    #[must_use]
    pub fn is_env_secret(&self, name: impl AsRef<OsStr>) -> bool {
        self.environment.is_secret(name)
    }

    /// The directory in which the command starts.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.current_dir.as_deref()
    }

    /// The files that are locked.
    #[must_use]
    pub fn get_lock_files(&self) -> &[PathBuf] {
        &self.lifetime.lock_files
    }

    /// The descriptors that are kept open.
    #[must_use]
    pub fn get_sync_fds(&self) -> &[Descriptor] {
        &self.lifetime.sync_fds
    }

    /// The descriptor to which bwrap writes its description.
    #[must_use]
    pub fn get_info_fd(&self) -> Option<&Descriptor> {
        self.lifetime.info_fd.as_ref()
    }

    /// The keys of [`debug_option`](Self::debug_option).
    #[must_use]
    pub fn get_debug_options(&self) -> &[OsString] {
        &self.debug_options
    }

    /// The features that may be dropped.
    #[must_use]
    pub fn get_optional(&self) -> impl ExactSizeIterator<Item = Feature> {
        self.optional.iter().copied()
    }
}

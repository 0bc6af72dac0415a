//! Names for what some bwraps cannot do.

/// Something of a sandbox that bwrap must know an option for, to be marked as dispensable with
/// [`Sandbox::optional`](super::Sandbox::optional).
///
/// ```
/// use bwrap_launch::{Feature, Namespaces, Sandbox};
/// // bwrap 0.8 and newer lock user namespaces down; older ones start the sandbox without
/// let sandbox = Sandbox::new().unshare(Namespaces::USER).disable_userns().optional(Feature::DisableUserns);
/// assert!(sandbox.check().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Feature {
    /// [`Command::arg0`](crate::Command::arg0).
    Argv0,
    /// [`Sandbox::assert_userns_disabled`](super::Sandbox::assert_userns_disabled).
    AssertUsernsDisabled,
    /// [`BindFd`](super::BindFd): the whole operation is left out.
    BindFd,
    /// [`Bind::optional`](super::Bind::optional): the whole operation is left out.
    BindTry,
    /// [`Chmod`](super::Chmod).
    Chmod,
    /// [`Sandbox::debug_option`](super::Sandbox::debug_option).
    DebugOption,
    /// [`Sandbox::die_with_parent`](super::Sandbox::die_with_parent).
    DieWithParent,
    /// [`Sandbox::disable_userns`](super::Sandbox::disable_userns).
    DisableUserns,
    /// [`Sandbox::level_prefix`](super::Sandbox::level_prefix).
    LevelPrefix,
    /// [`Sandbox::new_session`](super::Sandbox::new_session).
    NewSession,
    /// [`Sandbox::not_a_security_boundary`](super::Sandbox::not_a_security_boundary).
    NotASecurityBoundary,
    /// [`Overlay`](super::Overlay): the whole operation is left out.
    Overlay,
    /// [`Overlay::option`](super::Overlay::option).
    OverlayOption,
    /// Permissions of [`Tmpfs`](super::Tmpfs), [`Dir`](super::Dir), [`File`](super::File) and
    /// [`BindData`](super::BindData).
    Perms,
    /// [`Tmpfs::size`](super::Tmpfs::size).
    Size,
    /// [`Sandbox::sync_fd`](super::Sandbox::sync_fd) more than once: only the last is kept.
    SyncFds,
    /// [`Namespaces::CGROUP`](super::Namespaces::CGROUP).
    UnshareCgroup,
}

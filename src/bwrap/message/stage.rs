//! Where bwrap was when it said something, and whether it went on.

use std::fmt;

/// Where bwrap was in its start-up when it said something.
///
/// The order is that in which bwrap goes through them, up to [`Exec`](Self::Exec); the others run
/// beside the command or belong to no step.
///
/// ```
/// use bwrap_launch::{Message, Stage};
/// let message = Message::parse(b"bwrap: setting up uid map: Permission denied");
/// assert_eq!(message.stage(), Stage::IdMap);
/// assert!(message.stage() < Stage::Mounts);
/// assert_eq!(message.stage().to_string(), "user and group id maps");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The dynamic loader, before bwrap's first instruction.
    Loader,
    /// Looking at its own privileges.
    Privileges,
    /// Reading the command line.
    Arguments,
    /// Checking that the options fit together and the host has what they need.
    Checks,
    /// Creating or joining namespaces.
    Namespaces,
    /// Setting up the loopback device of the new network namespace.
    Loopback,
    /// Writing the user and group id maps.
    IdMap,
    /// Looking up the sources of the mounts.
    Sources,
    /// Building the sandbox's file system.
    Mounts,
    /// Making it the root directory.
    Pivot,
    /// Entering the second user namespace, or forbidding more of them.
    NestedUserNamespace,
    /// Setting the capabilities of the command.
    Capabilities,
    /// Working directory, session, security label and fork of the command.
    Environment,
    /// Loading system call filters.
    Seccomp,
    /// Executing the command.
    Exec,
    /// The process that is pid 1 of the sandbox, while the command runs.
    Reaper,
    /// The process outside that waits for the sandbox.
    Monitor,
    /// A fault of bwrap itself, lack of memory, or the helper process of a setuid bwrap.
    Internal,
    /// Nobody knows.
    Unknown,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loader => "loading bwrap",
            Self::Privileges => "privileges",
            Self::Arguments => "arguments",
            Self::Checks => "checks",
            Self::Namespaces => "namespaces",
            Self::Loopback => "loopback device",
            Self::IdMap => "user and group id maps",
            Self::Sources => "sources of mounts",
            Self::Mounts => "mounting",
            Self::Pivot => "changing the root directory",
            Self::NestedUserNamespace => "nested user namespace",
            Self::Capabilities => "capabilities",
            Self::Environment => "environment of the command",
            Self::Seccomp => "system call filters",
            Self::Exec => "executing the command",
            Self::Reaper => "first process of the sandbox",
            Self::Monitor => "monitor of the sandbox",
            Self::Internal => "bwrap itself",
            Self::Unknown => "unknown",
        })
    }
}

/// Whether bwrap went on after a message. These are all there are, so a `match` needs no other arm.
///
/// ```
/// use bwrap_launch::{Message, Severity};
/// let message = Message::parse(b"bwrap: Only the last --chdir option will take effect");
/// assert_eq!(message.severity(), Severity::Warning);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It went on.
    Warning,
    /// It ended.
    Fatal,
}

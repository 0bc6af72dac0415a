//! Which operation of the caller's a message is about, and what its destination lies in.

use crate::diagnosis::causes::prelude::*;
use std::path::PathBuf;

use crate::sandbox::{Access, Bind, OverlayKind, Sandbox, below, relative};
use crate::visible::line;

/// An operation, and where it stands.
#[derive(Clone, Copy)]
pub(in crate::diagnosis) struct Found<'a> {
    pub(in crate::diagnosis) index: usize,
    pub(in crate::diagnosis) operation: &'a Operation,
    pub(in crate::diagnosis) sandbox: &'a Sandbox,
}

pub(in crate::diagnosis) fn message<'a>(case: &Case<'a>) -> Option<&'a Message> {
    case.symptom?.message()
}

/// Whether bwrap said this.
pub(in crate::diagnosis) fn says(case: &Case<'_>, patterns: &[&str]) -> bool {
    message(case).and_then(Message::pattern).is_some_and(|pattern| patterns.contains(&pattern))
}

/// Whether bwrap gave one of these reasons for a bind that failed.
pub(in crate::diagnosis) fn reasons(case: &Case<'_>, reasons: &[&str]) -> bool {
    message(case).and_then(Message::reason).is_some_and(|reason| reasons.contains(&reason))
}

/// The operation that has the message's path as a source.
pub(in crate::diagnosis) fn by_source<'a>(case: &Case<'a>) -> Option<Found<'a>> {
    let (path, sandbox) = (message(case)?.source()?, case.sandbox?);
    let has = |operation: &Operation| match operation {
        Operation::Bind(bind) => bind.source == path,
        Operation::Overlay(overlay) => {
            let upper = match &overlay.kind {
                OverlayKind::Writable { upper, work } => upper == path || work == path,
                _ => false,
            };
            upper || overlay.layers.iter().any(|layer| layer == path)
        }
        // bwrap is given a number, and looks there
        Operation::BindFd(_) => path.starts_with("/proc/self/fd"),
        _ => false,
    };
    first(sandbox, has)
}

/// The operation that the message's destination belongs to.
pub(in crate::diagnosis) fn by_destination<'a>(case: &Case<'a>) -> Option<Found<'a>> {
    let (message, sandbox) = (message(case)?, case.sandbox?);
    let path = message.path()?;
    let wanted = message.operation();
    let exact = |operation: &Operation| relative(operation.destination()) == relative(path);
    let same_source = |operation: &Operation| match (operation, message.source()) {
        (Operation::Bind(bind), Some(source)) => {
            wanted == Some("--bind") && source.ends_with(relative(&bind.source))
        }
        _ => false,
    };
    // bwrap makes more below a /dev and a /proc than the caller names
    let part = |operation: &Operation| {
        matches!(operation, Operation::Dev(_) | Operation::Proc(_)) && below(path, operation.destination())
    };
    first(sandbox, |operation| exact(operation) && same_source(operation))
        .or_else(|| first(sandbox, |operation| exact(operation) && is_named(operation, wanted)))
        .or_else(|| first(sandbox, exact))
        .or_else(|| first(sandbox, part))
}

fn first(sandbox: &Sandbox, fits: impl Fn(&Operation) -> bool) -> Option<Found<'_>> {
    let found = sandbox.operations.iter().enumerate().find(|(_, operation)| fits(operation));
    found.map(|(index, operation)| Found { index, operation, sandbox })
}

/// Whether an operation is of the family that a message names by its first option.
fn is_named(operation: &Operation, option: Option<&str>) -> bool {
    match option {
        Some("--bind") => {
            matches!(operation, Operation::Bind(_) | Operation::BindFd(_) | Operation::BindData(_))
        }
        Some("--bind-fd") => matches!(operation, Operation::BindFd(_)),
        Some("--bind-data") => matches!(operation, Operation::BindData(_)),
        Some("--remount-ro") => matches!(operation, Operation::RemountRo(_)),
        Some("--overlay" | "--tmp-overlay") => matches!(operation, Operation::Overlay(_)),
        Some("--proc") => matches!(operation, Operation::Proc(_)),
        Some("--dev") => matches!(operation, Operation::Dev(_)),
        Some("--tmpfs" | "--size") => matches!(operation, Operation::Tmpfs(_)),
        Some("--mqueue") => matches!(operation, Operation::Mqueue(_)),
        Some("--file") => matches!(operation, Operation::File(_) | Operation::BindData(_)),
        Some("--symlink") => matches!(operation, Operation::Symlink(_)),
        Some("--chmod") => matches!(operation, Operation::Chmod(_)),
        // those that make their destination
        _ => !matches!(operation, Operation::Chmod(_) | Operation::RemountRo(_) | Operation::Symlink(_)),
    }
}

impl<'a> Found<'a> {
    /// The mount in which the destination lies; the sandbox's root, an empty tmpfs, if there is none.
    pub(in crate::diagnosis) fn mount(self) -> Option<Found<'a>> {
        let destination = self.operation.destination();
        let above = |other: &Operation| {
            let same = relative(other.destination()) == relative(destination);
            // what a mount has on its own path can only be looked at by what mounts nothing
            below(destination, other.destination()) && (!same || !self.operation.is_mount())
        };
        self.before()
            .rev()
            .find(|(_, other)| other.is_mount() && above(other))
            .map(|(index, operation)| Found { index, operation, sandbox: self.sandbox })
    }

    /// The remount that has made the mount read-only in which the destination lies.
    pub(in crate::diagnosis) fn remount(self) -> Option<Found<'a>> {
        let mount = self.mount();
        let point = mount.map_or_else(PathBuf::new, |mount| relative(mount.operation.destination()));
        let after = mount.map_or(0, |mount| mount.index);
        let found = self.before().skip(after).find(|(_, other)| {
            matches!(other, Operation::RemountRo(remount) if relative(&remount.destination) == point)
        });
        found.map(|(index, operation)| Found { index, operation, sandbox: self.sandbox })
    }

    /// The symbolic link of the sandbox's own that the destination is, or lies below, and the path that it stands for.
    pub(in crate::diagnosis) fn link(self) -> Option<(Found<'a>, PathBuf)> {
        let destination = relative(self.operation.destination());
        self.before().rev().find_map(|(index, other)| {
            let Operation::Symlink(link) = other else { return None };
            let at = relative(&link.destination);
            let rest = destination.strip_prefix(&at).ok()?;
            let target = at.parent().unwrap_or(Path::new("")).join(&link.target).join(rest);
            let found = Found { index, operation: other, sandbox: self.sandbox };
            Some((found, Path::new("/").join(relative(&target))))
        })
    }

    fn before(self) -> impl DoubleEndedIterator<Item = (usize, &'a Operation)> + ExactSizeIterator {
        self.sandbox.operations.iter().take(self.index).enumerate()
    }

    /// Where on the host a path inside is, if this operation binds it.
    pub(in crate::diagnosis) fn outside(self, path: &Path) -> Option<PathBuf> {
        let Operation::Bind(bind) = self.operation else { return None };
        let rest = relative(path).strip_prefix(relative(&bind.destination)).ok()?.to_owned();
        Some(if rest.as_os_str().is_empty() { bind.source.clone() } else { bind.source.join(rest) })
    }

    /// Whether what lies in it cannot be written because the sandbox says so.
    pub(in crate::diagnosis) fn is_read_only(self) -> bool {
        match self.operation {
            Operation::Bind(bind) => bind.access == Access::ReadOnly,
            Operation::BindFd(bind) => bind.read_only,
            Operation::Overlay(overlay) => overlay.kind == OverlayKind::ReadOnly,
            _ => false,
        }
    }

    /// In the caller's terms: `read-only bind of /opt/tools`.
    pub(in crate::diagnosis) fn name(self) -> String {
        let destination = self.operation.destination().display();
        let name = self.operation.name();
        let said = match self.operation {
            Operation::Bind(Bind { source, destination: at, .. }) if source == at => {
                format!("{name} of {destination}")
            }
            Operation::Bind(Bind { source, .. }) => {
                format!("{name} of {} on {destination}", source.display())
            }
            Operation::Symlink(link) => format!("{name} {destination} to {}", link.target.display()),
            Operation::Dir(_) | Operation::File(_) => format!("{name} {destination}"),
            Operation::Chmod(_) => format!("{name} of {destination}"),
            _ => format!("{name} on {destination}"),
        };
        line(&said).into_owned()
    }

    /// With its number: `operation 2, tmpfs on /tmp`.
    pub(in crate::diagnosis) fn numbered(self) -> String {
        format!("operation {}, {}", self.index + 1, self.name())
    }
}

/// What the caller wrote, or else what bwrap says that it is about.
pub(in crate::diagnosis) fn name_of(found: Option<Found<'_>>, case: &Case<'_>) -> String {
    let said = || match message(case).and_then(Message::path) {
        Some(path) => format!("what is to be at {}", path.display()),
        None => "an operation".to_owned(),
    };
    found.map_or_else(said, Found::numbered)
}

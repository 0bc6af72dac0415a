//! Which operation of the caller's a message is about, and what its destination lies in.

use std::fmt;
use std::path::Component;

use crate::diagnosis::causes::prelude::*;
use crate::diagnosis::line::{is_named, is_source};
use crate::sandbox::{Access, Bind, OverlayKind, below};
use crate::visible::line;

/// What a destination that is missing is made with, since 0.12; before that what is written is opened so.
pub(super) const CREATE_FILE: &str = "Can't create file %s";

/// Whether a bind of an old bwrap, which gives no reason, may have met a link: what is bound at another place than its own, but for
/// content that bwrap itself wrote, and what is made for the sandbox alone, where links are the system's own.
pub(in crate::diagnosis::causes) fn may_have_met_link(message: &Message) -> bool {
    let (Some(source), Some(path)) = (message.source(), message.path()) else { return false };
    let written = source.to_string_lossy().starts_with("/bindfile");
    let whole = ["/usr", "/app"].iter().any(|whole| path == Path::new(whole));
    source != path && !written && !whole
}

/// An operation, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) index: usize,
    pub(super) operation: &'a Operation,
    sandbox: &'a Sandbox,
}

/// What a message is about: the path that it names, and the operation of the caller's that has it.
pub(super) struct Spot<'a> {
    pub(super) message: &'a Message,
    /// Empty, if the message names none.
    pub(super) path: &'a Path,
    pub(super) found: Option<Found<'a>>,
}

impl<'a> Spot<'a> {
    pub(super) fn source(case: &Case<'a>) -> Option<Self> {
        let message = case.message()?;
        Some(Self { message, path: message.source()?, found: by_source(case) })
    }

    pub(super) fn destination(case: &Case<'a>) -> Option<Self> {
        let message = case.message()?;
        Some(Self { message, path: message.path().unwrap_or(Path::new("")), found: by_destination(case) })
    }

    /// Begins a judgement about the operation.
    pub(super) fn weigh(&self, confidence: Confidence) -> Judgement {
        weigh(confidence).operation(self.found.map(|found| found.index))
    }

    /// What the caller wrote, or else what bwrap says that it is about.
    pub(super) fn name(&self) -> String {
        match self.found {
            Some(found) => found.to_string(),
            None if self.path.as_os_str().is_empty() => "an operation".to_owned(),
            None => format!("what is to be at {}", self.path.display()),
        }
    }

    /// The mount in which the path lies, or what a link of the sandbox's own on the way there stands for.
    pub(super) fn mount(&self) -> Option<Found<'a>> {
        self.behind_link().map_or_else(|| self.found?.mount(), |(mount, _)| Some(mount))
    }

    /// Where on the host the path is, if that mount binds it.
    pub(super) fn outside(&self) -> Option<PathBuf> {
        match self.behind_link() {
            Some((mount, target)) => mount.operation.outside(&target),
            None => self.mount()?.operation.outside(self.path),
        }
    }

    /// What a link of the sandbox's own on the way there stands for, and the mount in which that lies.
    fn behind_link(&self) -> Option<(Found<'a>, PathBuf)> {
        let found = self.found?;
        let (_, target) = found.link()?;
        Some((found.before().rfind(|other| other.holds(&target))?, target))
    }

    /// The last thing that helps.
    pub(super) fn leave_out(&self) -> Option<Remedy> {
        self.found.map(|found| Remedy::leave_out(found.index))
    }
}

/// The operation that has the message's path as a source.
fn by_source<'a>(case: &Case<'a>) -> Option<Found<'a>> {
    let path = case.message()?.source()?;
    all(case.sandbox?).find(|found| is_source(found.operation, path))
}

/// The operation that the message's destination belongs to.
fn by_destination<'a>(case: &Case<'a>) -> Option<Found<'a>> {
    let (message, sandbox) = (case.message()?, case.sandbox?);
    let wanted = message.operation();
    let Some(path) = message.path() else {
        // 0.13 names no destination of overlays
        let mut overlays = all(sandbox).filter(|found| matches!(found.operation, Operation::Overlay(_)));
        let first = overlays.next().filter(|_| wanted == Some("--overlay"));
        return first.filter(|_| overlays.next().is_none());
    };
    let exact = |operation: &Operation| operation.is_on(path);
    let same_source = |operation: &Operation| {
        matches!((operation, message.source()), (Operation::Bind(bind), Some(source))
            if wanted == Some("--bind") && source.ends_with(relative(&bind.source)))
    };
    // bwrap makes more below a /dev and a /proc than the caller names
    let part = |operation: &Operation| {
        matches!(operation, Operation::Dev(_) | Operation::Proc(_)) && below(path, operation.destination())
    };
    let first = |fits: &dyn Fn(&Operation) -> bool| all(sandbox).find(|found| fits(found.operation));
    // what is there is the work of an earlier one
    if case.says(&[
        "Can't mount on symlink destination %s",
        "Destination is not a directory %s",
        "Destination is not a file %s",
    ]) {
        let last = all(sandbox)
            .rfind(|found| exact(found.operation) && !matches!(found.operation, Operation::Symlink(_)));
        return last.or_else(|| first(&part));
    }
    // since 0.12 a bare name of what a /dev or /proc is made of
    if path.is_relative() {
        let callers =
            first(&|operation| operation.destination().is_relative() && below(operation.destination(), path));
        if callers.is_some() {
            return callers;
        }
        let of_dev = message.source().is_some_and(|source| source.starts_with("/dev"));
        return first(&|operation| match operation {
            Operation::Dev(_) => of_dev,
            Operation::Proc(_) => !of_dev,
            _ => false,
        });
    }
    if let Some(found) = of_file(case, path) {
        return Some(found);
    }
    // where a file is in the way of a directory, another one has made that
    let clash = case.says(&["Can't mkdir %s"]) && matches!(case.errno(), Some(libc::ENOTDIR | libc::EEXIST));
    first(&|operation| clash && exact(operation) && wants_directory(operation))
        .or_else(|| first(&|operation| exact(operation) && same_source(operation)))
        .or_else(|| first(&|operation| exact(operation) && is_named(operation, wanted)))
        .or_else(|| first(&exact))
        .or_else(|| first(&part))
}

/// Of several on one path the one that wants a file there, where the message is about files: the others have put there what is
/// in its way.
fn of_file<'a>(case: &Case<'a>, path: &Path) -> Option<Found<'a>> {
    let mut on_path = all(case.sandbox?).filter(|found| found.operation.is_on(path));
    if case.says(&["Can't create file at %s"]) && case.errno() == Some(libc::EISDIR) {
        let mut files = on_path.filter(|found| match found.operation {
            Operation::Bind(bind) => bind.source != Path::new("/"),
            operation => matches!(operation, Operation::BindFd(_) | Operation::BindData(_)),
        });
        // what the root is bound from is a directory
        let root = relative(path).as_os_str().is_empty();
        return if root { files.next_back() } else { files.next() };
    }
    rule_out(!case.says(&[CREATE_FILE]) || case.errno() != Some(libc::EROFS))?;
    let file = on_path.rfind(|found| matches!(found.operation, Operation::File(_)))?;
    let over = file.mount().filter(|mount| mount.operation.is_on(path) && mount.is_read_only())?;
    // since 0.12 the message is the same where that one could not be made
    let old = version(case).is_some_and(|version| version < Version::new(0, 12, 0));
    let made = old || over.mount().is_some_and(|under| !under.is_read_only()) && over.remount().is_none();
    made.then_some(file)
}

/// Whether an operation wants a directory at its destination, whatever it is given.
fn wants_directory(operation: &Operation) -> bool {
    use Operation::{Dev, Dir, Mqueue, Overlay, Proc, Tmpfs};
    matches!(operation, Dev(_) | Dir(_) | Mqueue(_) | Overlay(_) | Proc(_) | Tmpfs(_))
}

/// All operations of a sandbox.
fn all(sandbox: &Sandbox) -> impl DoubleEndedIterator<Item = Found<'_>> + ExactSizeIterator {
    sandbox.operations.iter().enumerate().map(move |(index, operation)| Found { index, operation, sandbox })
}

impl Found<'_> {
    /// Another operation of the same sandbox.
    fn other(self, index: usize) -> Option<Self> {
        Some(Self { index, operation: self.sandbox.operations.get(index)?, ..self })
    }

    /// The mount in which the destination lies; the sandbox's root, an empty tmpfs, if there is none.
    pub(super) fn mount(self) -> Option<Self> {
        self.other(self.sandbox.mount_under(self.index)?)
    }

    /// The remount that has made the mount read-only in which the destination lies.
    pub(super) fn remount(self) -> Option<Self> {
        self.other(self.sandbox.remount_under(self.index)?)
    }

    /// The symbolic link of the sandbox's own that the destination is, or lies below, and the path that it stands for.
    pub(super) fn link(self) -> Option<(Self, PathBuf)> {
        let (made, target) = self.sandbox.link_under(self.index)?;
        Some((self.other(made)?, target))
    }

    /// Whether it is a mount at a path or above it.
    pub(super) fn holds(self, path: &Path) -> bool {
        self.operation.is_mount() && below(path, self.operation.destination())
    }

    pub(super) fn before(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        all(self.sandbox).take(self.index)
    }

    pub(super) fn and_after(self) -> impl Iterator<Item = Self> {
        all(self.sandbox).skip(self.index)
    }

    /// Whether what lies in it cannot be written because the sandbox says so.
    pub(super) fn is_read_only(self) -> bool {
        match self.operation {
            Operation::Bind(bind) => bind.access == Access::ReadOnly,
            Operation::BindFd(bind) => bind.read_only,
            Operation::BindData(data) => data.read_only,
            Operation::Overlay(overlay) => overlay.kind == OverlayKind::ReadOnly,
            _ => false,
        }
    }

    /// In the caller's terms: `read-only bind of /opt/tools`.
    pub(super) fn name(self) -> String {
        let (name, at) = (self.operation.name(), self.operation.destination().display());
        let said = match self.operation {
            Operation::Bind(Bind { source, destination, .. }) if source != destination => {
                let nameless = source.as_os_str().is_empty();
                let source = if nameless { Path::new("''") } else { source.as_path() };
                format!("{name} of {} on {at}", source.display())
            }
            Operation::Bind(_) | Operation::Chmod(_) => format!("{name} of {at}"),
            Operation::Symlink(link) => format!("{name} {at} to {}", link.target.display()),
            Operation::Dir(_) | Operation::File(_) => format!("{name} {at}"),
            _ => format!("{name} on {at}"),
        };
        line(&said).into_owned()
    }
}

/// With its number: `operation 2, tmpfs on /tmp`.
impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}, {}", self.index + 1, self.name())
    }
}

/// Below which the system has what it needs itself.
const SYSTEM: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/gnu", "/lib", "/lib32", "/lib64", "/nix", "/opt", "/ostree", "/proc",
    "/run", "/sbin", "/snap", "/sys", "/sysroot", "/usr", "/var",
];
/// What is a user's all the same.
const OF_USERS: &[&str] = &["/run/media", "/var/home", "/var/mnt", "/var/tmp"];

fn is_below(path: &Path, directories: &[&str]) -> bool {
    directories.iter().any(|directory| path.starts_with(directory))
}

/// Whether it is somebody's whole home.
fn is_home(path: &Path) -> bool {
    let above = path.parent().unwrap_or(path);
    path == Path::new("/root")
        || ["/home", "/var/home", "/Users"].iter().any(|homes| above == Path::new(homes))
}

/// Whether the system itself needs what is at a path of the host's, or a user all of it: nobody moves it away for the sake of a
/// sandbox.
pub(super) fn is_of_system(path: &Path) -> bool {
    let top = path.components().count() <= 2;
    top || is_home(path) || is_below(path, SYSTEM) && !is_below(path, OF_USERS)
}

/// Whether users or programs keep data or settings there: homes, and all that lies in a hidden directory, as ~/.config and ~/.var.
pub(super) fn keeps_data(path: &Path) -> bool {
    let homes = |path: &Path| ["home", "homes", "users", "Users"].iter().any(|name| path.ends_with(name));
    lies_hidden(path) || homes(path) || path.parent().is_some_and(homes)
}

/// Whether it lies in a directory that is hidden, or is one.
pub(super) fn lies_hidden(path: &Path) -> bool {
    let hidden = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
    path.components().any(|part| matches!(part, Component::Normal(_)) && hidden(part))
}

/// Whether what is mounted there, or above it, is not to be unmounted while the system runs: disks of others' have directories of
/// their own below /.
pub(in crate::diagnosis) fn is_kept_mounted(path: &Path) -> bool {
    let whole =
        ["/", "/home", "/srv", "/tmp", "/var/home", "/var/tmp"].iter().any(|one| path == Path::new(one));
    let system = is_below(path, SYSTEM) && !is_below(path, OF_USERS);
    whole || is_home(path) || system || !path.is_absolute()
}

/// Whether a path is mostly a runtime's that the launcher of the sandbox brings along, and seldom the host's own.
pub(super) fn is_of_runtime(path: &Path) -> bool {
    ["/app", "/etc", "/run/host", "/usr"].iter().any(|runtime| path.starts_with(runtime))
}

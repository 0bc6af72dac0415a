//! What a sandbox shows at a path, as far as its operations tell without looking at files.

use std::path::{Component, Path, PathBuf};

use super::{Operation, Sandbox, below, relative};

impl Operation {
    /// Where on the host a path inside is, if this binds it.
    pub(crate) fn outside(&self, path: &Path) -> Option<PathBuf> {
        let Self::Bind(bind) = self else { return None };
        let rest = relative(path).strip_prefix(relative(&bind.destination)).ok()?.to_owned();
        Some(if rest.as_os_str().is_empty() { bind.source.clone() } else { bind.source.join(rest) })
    }

    pub(crate) fn is_on(&self, path: &Path) -> bool {
        relative(self.destination()) == relative(path)
    }
}

impl Sandbox {
    /// Whether an operation shows an absolute path, or something above it; `None` where nobody knows from here.
    pub(crate) fn shows(&self, path: &Path) -> Option<bool> {
        let shows = |operation: &Operation| match operation {
            // an empty directory shows nothing below it
            Operation::Dir(_) | Operation::Tmpfs(_) | Operation::RemountRo(_) | Operation::Chmod(_) => {
                operation.is_on(path)
            }
            _ => below(path, operation.destination()),
        };
        (path.is_absolute() && !leads_back(path)).then(|| self.operations.iter().any(shows))
    }

    /// Whether an operation puts something at a path, above it, or below it. The root is always there.
    pub(crate) fn reaches(&self, path: &Path) -> bool {
        let reaches = |operation: &Operation| match operation {
            // these make nothing, and a tmpfs or directory above is empty
            Operation::Chmod(_) | Operation::RemountRo(_) => false,
            Operation::Tmpfs(_) | Operation::Dir(_) | Operation::File(_) | Operation::Mqueue(_) => {
                below(operation.destination(), path)
            }
            _ => below(path, operation.destination()) || below(operation.destination(), path),
        };
        leads_back(path) || relative(path).as_os_str().is_empty() || self.operations.iter().any(reaches)
    }

    /// Whether an operation makes one of the directories in which loaders are, with what is in them: a link alone does not tell.
    pub(crate) fn shows_loaders(&self) -> Option<bool> {
        let made = self.operations.iter().filter(|operation| {
            let at = operation.destination();
            let empty =
                matches!(operation, Operation::Tmpfs(_) | Operation::RemountRo(_) | Operation::Chmod(_));
            let loaders = ["/lib64", "/lib"].map(Path::new);
            !empty && loaders.iter().any(|loaders| below(loaders, at) || below(at, loaders))
        });
        made.map(|operation| !matches!(operation, Operation::Symlink(_))).max()
    }

    /// The last mount at a path or above it.
    pub(crate) fn mount_above(&self, path: &Path) -> Option<usize> {
        self.operations
            .iter()
            .rposition(|operation| operation.is_mount() && below(path, operation.destination()))
    }

    /// The sandbox as it is when operation `index` begins.
    pub(crate) fn before(&self, index: usize) -> Self {
        let mut before = self.clone();
        before.operations.truncate(index);
        before
    }

    /// The last operation that makes a link at a path.
    pub(crate) fn own_link(&self, path: &Path) -> Option<usize> {
        let is = |operation: &Operation| matches!(operation, Operation::Symlink(_)) && operation.is_on(path);
        self.operations.iter().rposition(is)
    }

    /// The mount in which the destination of operation `index` lies; the sandbox's root, an empty tmpfs, if there is none.
    pub(crate) fn mount_under(&self, index: usize) -> Option<usize> {
        let operation = self.operations.get(index)?;
        let destination = operation.destination();
        self.operations.get(..index)?.iter().rposition(|other| {
            // what a mount has on its own path can only be looked at by what mounts nothing
            let hidden = operation.is_mount() && other.is_on(destination);
            other.is_mount() && below(destination, other.destination()) && !hidden
        })
    }

    /// The remount that has made the mount read-only in which the destination of operation `index` lies.
    pub(crate) fn remount_under(&self, index: usize) -> Option<usize> {
        let mount = self.mount_under(index).and_then(|at| Some((at, self.operations.get(at)?)));
        let (from, point) = mount.map_or((0, Path::new("/")), |(at, mount)| (at, mount.destination()));
        let is = |other: &Operation| matches!(other, Operation::RemountRo(_)) && other.is_on(point);
        Some(from + self.operations.get(from..index)?.iter().position(is)?)
    }

    /// The symbolic link of the sandbox's own that the destination of operation `index` is, or lies below, and the path that
    /// it stands for.
    pub(crate) fn link_under(&self, index: usize) -> Option<(usize, PathBuf)> {
        let destination = relative(self.operations.get(index)?.destination());
        self.operations.get(..index)?.iter().enumerate().rev().find_map(|(made, operation)| {
            let Operation::Symlink(link) = operation else { return None };
            let at = relative(&link.destination);
            let rest = destination.strip_prefix(&at).ok()?;
            let target = at.parent().unwrap_or(Path::new("")).join(&link.target).join(rest);
            Some((made, Path::new("/").join(relative(&target))))
        })
    }
}

/// Where `..` leads behind a symbolic link, nobody knows from here.
fn leads_back(path: &Path) -> bool {
    path.components().any(|component| component == Component::ParentDir)
}

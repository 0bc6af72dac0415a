//! Which operation covers or hides which: looked up by path, so that a thousand binds cost a thousand look-ups.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::{Access, Bind, Operation, Overlay, OverlayKind};

/// Where the operations act, in their order.
pub(super) struct Places {
    destinations: Vec<PathBuf>,
    /// The same with links resolved that every host has.
    actual: Vec<PathBuf>,
}

impl Places {
    pub(super) fn of(operations: &[Operation]) -> Self {
        let destinations: Vec<PathBuf> =
            operations.iter().map(|operation| relative(operation.destination())).collect();
        let actual = destinations.iter().map(|destination| actual(destination)).collect();
        Self { destinations, actual }
    }
}

/// The operations up to one of them, and what comes after it.
pub(super) struct Layout<'a> {
    operations: &'a [Operation],
    places: &'a Places,
    /// The last mount so far on each path.
    mounts: HashMap<&'a Path, usize>,
    /// The first operation so far on each path, unless it made a directory: that may be the mount point of what follows.
    at: HashMap<&'a Path, usize>,
    /// The first operation so far below each path.
    below: HashMap<&'a Path, usize>,
    /// The last operation of all on each path.
    last: HashMap<&'a Path, usize>,
    /// The last mount of all on each path, links resolved.
    last_mount: HashMap<&'a Path, usize>,
    /// The last operation that brings device nodes.
    last_devices: Option<usize>,
}

impl<'a> Layout<'a> {
    /// Before the first operation.
    pub(super) fn new(operations: &'a [Operation], places: &'a Places) -> Self {
        let (mut last, mut last_mount) = (HashMap::new(), HashMap::new());
        let paths = places.destinations.iter().zip(&places.actual);
        for ((index, operation), (destination, actual)) in operations.iter().enumerate().zip(paths) {
            last.insert(destination.as_path(), index);
            if operation.is_mount() {
                last_mount.insert(actual.as_path(), index);
            }
        }
        let gives_devices = |operation: &Operation| {
            matches!(operation, Operation::Dev(_) | Operation::Bind(Bind { access: Access::Device, .. }))
        };
        Self {
            operations,
            places,
            mounts: HashMap::new(),
            at: HashMap::new(),
            below: HashMap::new(),
            last,
            last_mount,
            last_devices: operations.iter().rposition(gives_devices),
        }
    }

    /// Goes on to what comes after operation `index`.
    pub(super) fn add(&mut self, index: usize) {
        let (Some(operation), Some(destination)) = (self.operations.get(index), self.place(index)) else {
            return;
        };
        if operation.is_mount() {
            self.mounts.insert(destination, index);
        }
        if !matches!(operation, Operation::Dir(_)) {
            self.at.entry(destination).or_insert(index);
        }
        for above in destination.ancestors().skip(1) {
            self.below.entry(above).or_insert(index);
        }
    }

    fn place(&self, index: usize) -> Option<&'a Path> {
        self.places.destinations.get(index).map(PathBuf::as_path)
    }

    /// The first operation so far that a mount by operation `index` would hide.
    pub(super) fn hidden_by(&self, index: usize) -> Option<usize> {
        let destination = self.place(index)?;
        [&self.at, &self.below].into_iter().filter_map(|found| found.get(destination)).min().copied()
    }

    /// The destination of the mount so far that persists its changes and in which operation `index` creates its own.
    pub(super) fn writable_above(&self, index: usize) -> Option<&'a Path> {
        let above = self.place(index)?.ancestors().skip(1);
        let covering = above.filter_map(|above| self.mounts.get(above)).max()?;
        match self.operations.get(*covering)? {
            Operation::Bind(bind) if bind.access != Access::ReadOnly => Some(&bind.destination),
            Operation::BindFd(bind) if !bind.read_only => Some(&bind.destination),
            Operation::Overlay(Overlay { kind: OverlayKind::Writable { .. }, destination, .. }) => {
                Some(destination)
            }
            _ => None,
        }
    }

    /// Whether an operation after `index` acts on this path.
    pub(super) fn has_after(&self, index: usize, path: &Path) -> bool {
        self.last.get(relative(path).as_path()).is_some_and(|last| *last > index)
    }

    /// Whether an operation after `index` brings device nodes.
    pub(super) fn has_devices_after(&self, index: usize) -> bool {
        self.last_devices > Some(index)
    }

    /// Where the bind, operation `index`, shows the host's `path` in the end, if it does.
    pub(super) fn brings(&self, index: usize, bind: &Bind, path: &Path) -> Option<PathBuf> {
        let path = actual(&relative(path));
        let rest = path.strip_prefix(actual(&relative(&bind.source))).ok()?;
        let inside = self.places.actual.get(index)?.join(rest);
        let covers = |above: &Path| self.last_mount.get(above).is_some_and(|last| *last > index);
        (!inside.ancestors().any(covers)).then(|| Path::new("/").join(inside))
    }
}

/// `/var/run` is a link to `/run` wherever there are container engines.
fn actual(path: &Path) -> PathBuf {
    path.strip_prefix("var/run").map_or_else(|_| path.to_owned(), |rest| Path::new("run").join(rest))
}

/// A destination as bwrap takes it: relative to the new root, whatever its form.
pub(crate) fn relative(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Whether `path` is `top` or below it.
pub(crate) fn below(path: &Path, top: &Path) -> bool {
    relative(path).starts_with(relative(top))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::op::{BindFd, Dir, RemountRo, Symlink, Tmpfs};
    use super::super::{Descriptor, Sandbox};
    use super::*;

    fn operation() -> impl Strategy<Value = Operation> {
        let path = proptest::collection::vec(select(vec!["a", "b", "./"]), 0..4)
            .prop_map(|names| format!("/{}", names.join("/")));
        (0..9, path).prop_map(|(kind, path)| match kind {
            0 => Dir::new(path).into(),
            1 => Tmpfs::new(path).into(),
            2 => Symlink::new("x", path).into(),
            3 => RemountRo::new(path).into(),
            4 => BindFd::read_write(Descriptor::number(3), path).into(),
            5 => Overlay::writable("/u", "/w", path).into(),
            6 => Overlay::temporary(path).into(),
            7 => Bind::read_only("/s", path).into(),
            _ => Bind::read_write("/s", path).into(),
        })
    }

    proptest! {
        /// What is looked up is what a search through all operations finds.
        #[test]
        fn look_ups_find_what_a_search_finds(operations in proptest::collection::vec(operation(), 0..12)) {
            let places = Places::of(&operations);
            let mut layout = Layout::new(&operations, &places);
            for (index, operation) in operations.iter().enumerate() {
                let at = relative(operation.destination());
                let earlier = operations.iter().take(index);
                let hidden = earlier.clone().position(|other| {
                    let there = relative(other.destination());
                    there.starts_with(&at) && !(there == at && matches!(other, Operation::Dir(_)))
                });
                prop_assert_eq!(layout.hidden_by(index), hidden);
                let covering = earlier.rev().find(|other| {
                    let above = relative(other.destination());
                    other.is_mount() && at != above && at.starts_with(above)
                });
                let writable = covering.filter(|other| match other {
                    Operation::Bind(bind) => bind.access() != Access::ReadOnly,
                    Operation::BindFd(bind) => !bind.is_read_only(),
                    Operation::Overlay(overlay) => overlay.upper().is_some(),
                    _ => false,
                });
                prop_assert_eq!(layout.writable_above(index), writable.map(Operation::destination));
                let after = operations.iter().skip(index + 1).any(|other| relative(other.destination()) == at);
                prop_assert_eq!(layout.has_after(index, operation.destination()), after);
                layout.add(index);
            }
        }
    }

    #[test]
    fn a_bind_brings_what_is_below_its_source_until_something_covers_it() {
        let sandbox =
            Sandbox::new().ro_bind("/", "/host").tmpfs("/host/var/run/docker").ro_bind("/var/run", "/r");
        let places = Places::of(&sandbox.operations);
        let layout = Layout::new(&sandbox.operations, &places);
        let brings = |index: usize, path: &str| match &sandbox.operations[index] {
            Operation::Bind(bind) => layout.brings(index, bind, Path::new(path)),
            _ => None,
        };
        assert_eq!(brings(0, "/proc"), Some("/host/proc".into()));
        assert_eq!(brings(2, "/run/docker.sock"), Some("/r/docker.sock".into()));
        assert_eq!(brings(2, "/proc"), None);
        let covered = Sandbox::new().ro_bind("/", "/").tmpfs("/var/run");
        let places = Places::of(&covered.operations);
        let layout = Layout::new(&covered.operations, &places);
        let Operation::Bind(bind) = &covered.operations[0] else { panic!() };
        assert_eq!(layout.brings(0, bind, Path::new("/run/docker.sock")), None);
    }
}

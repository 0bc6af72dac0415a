//! Where operations really act: bwrap follows the links that lead to their destinations.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::dev::{InDev, in_dev};
use super::view::parts;
use crate::sandbox::{Operation, Sandbox, relative};

/// The kernel's limit (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// The sandbox with each operation where the links lead that are there by then. bwrap before 0.12 leaves the last one to the
/// kernel; newer ones refuse that one, and then there is no sandbox.
pub(crate) fn settle(sandbox: &Sandbox) -> Cow<'_, Sandbox> {
    let mut places = Places::default();
    let mut settled = Cow::Borrowed(sandbox);
    for (index, operation) in sandbox.operations.iter().enumerate() {
        let wanted = relative(operation.destination());
        let at = match operation {
            // what makes a link follows none there
            Operation::Symlink(_) => places.beside(sandbox, &wanted),
            _ => places.follow(sandbox, &wanted),
        };
        if let Some(at) = at.filter(|at| *at != wanted) {
            if let Some(moved) = settled.to_mut().operations.get_mut(index) {
                *moved.destination_mut() = Path::new("/").join(&at);
            }
            places.add(index, operation, at);
        } else {
            places.add(index, operation, wanted);
        }
    }
    settled
}

/// The links on the way to a path, and where they lead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Trail {
    /// Where the path leads.
    pub(crate) at: PathBuf,
    /// Where each link leads by itself.
    pub(crate) landings: Vec<PathBuf>,
    /// One of them names its target from the root.
    pub(crate) absolute: bool,
    /// What the link holds that the path itself is, if it is one.
    pub(crate) last: Option<PathBuf>,
}

/// Follows a path through links that are there after these operations, which are [settled](settle). `None` if round in a circle.
pub(crate) fn trail(settled: &Sandbox, path: &Path) -> Option<Trail> {
    let mut places = Places::default();
    for (index, operation) in settled.operations.iter().enumerate() {
        places.add(index, operation, relative(operation.destination()));
    }
    places.trail(settled, &relative(path))
}

/// What the operations so far have put where: mounts, and links of the sandbox's own.
#[derive(Default)]
struct Places {
    mounts: HashMap<PathBuf, usize>,
    links: HashMap<PathBuf, usize>,
}

impl Places {
    fn add(&mut self, index: usize, operation: &Operation, at: PathBuf) {
        match operation {
            Operation::Symlink(_) => self.links.insert(at, index),
            operation if operation.is_mount() => self.mounts.insert(at, index),
            _ => None,
        };
    }

    /// Where a path leads; `None` if round in a circle.
    fn follow(&self, sandbox: &Sandbox, path: &Path) -> Option<PathBuf> {
        let at = self.trail(sandbox, path)?.at;
        Some(relative(&at))
    }

    fn trail(&self, sandbox: &Sandbox, path: &Path) -> Option<Trail> {
        let mut todo = parts(path);
        let mut trail = Trail::default();
        let mut at = PathBuf::new();
        let mut links = 0;
        // how much stays to be done beyond links that were followed
        let mut beyond: Vec<usize> = Vec::new();
        loop {
            while beyond.pop_if(|beyond| todo.len() <= *beyond).is_some() {
                trail.landings.push(Path::new("/").join(&at));
            }
            let Some(part) = todo.pop() else { break };
            if part == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&part);
            let Some(target) = self.link(sandbox, &next) else {
                at = next;
                continue;
            };
            links += 1;
            if links > LINKS {
                return None;
            }
            if todo.is_empty() && beyond.is_empty() {
                trail.last = Some(target.clone());
            }
            if target.is_absolute() {
                trail.absolute = true;
                at.clear();
            }
            beyond.push(todo.len());
            todo.extend(parts(&target));
        }
        trail.at = Path::new("/").join(at);
        Some(trail)
    }

    /// The same without the last name.
    fn beside(&self, sandbox: &Sandbox, path: &Path) -> Option<PathBuf> {
        let name = path.file_name()?;
        Some(self.follow(sandbox, path.parent()?)?.join(name))
    }

    /// Where a link leads, if there is one at a path without links above it.
    fn link(&self, sandbox: &Sandbox, path: &Path) -> Option<PathBuf> {
        let mounted = path.ancestors().filter_map(|above| Some((self.mounts.get(above)?, above))).max();
        let own = self.links.get(path).filter(|link| mounted.is_none_or(|(mount, _)| *link > mount));
        let operation = |index: &usize| sandbox.operations.get(*index);
        if let Some(Operation::Symlink(link)) = own.and_then(operation) {
            return Some(link.target.clone());
        }
        let (mount, above) = mounted?;
        match operation(mount)? {
            Operation::Bind(bind) => {
                let rest = path.strip_prefix(above).ok().filter(|rest| !rest.as_os_str().is_empty())?;
                fs::read_link(bind.source.join(rest)).ok()
            }
            Operation::Dev(_) => match in_dev(path, above)? {
                InDev::Link(target) => Some(PathBuf::from(target)),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    /// Where the last operation acts, of a root with these links.
    fn at(links: &[(&str, &str)], change: impl Fn(Sandbox) -> Sandbox) -> String {
        let root = tempfile::tempdir().unwrap();
        for directory in ["usr/bin", "etc", "tmp"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        for (link, target) in links {
            symlink(target, root.path().join(link)).unwrap();
        }
        let sandbox = change(Sandbox::new().ro_bind(root.path(), "/"));
        settle(&sandbox).operations.last().unwrap().destination().display().to_string()
    }

    #[test]
    fn a_mount_lies_where_the_links_lead() {
        let links = &[("bin", "usr/bin"), ("sbin", "/bin"), ("round", "round")][..];
        assert_eq!(at(links, |sandbox| sandbox.tmpfs("/bin")), "/usr/bin");
        assert_eq!(at(links, |sandbox| sandbox.ro_bind("/etc", "/sbin")), "/usr/bin");
        assert_eq!(at(links, |sandbox| sandbox.dir("/sbin/x/y")), "/usr/bin/x/y");
        assert_eq!(
            at(links, |sandbox| sandbox.tmpfs("/tmp").symlink("/etc", "/tmp/l").dir("/tmp/l/x")),
            "/etc/x"
        );
        assert_eq!(at(links, |sandbox| sandbox.symlink("x", "/bin/y")), "/usr/bin/y");
    }

    #[test]
    fn what_no_link_leads_to_stays() {
        let links = &[("bin", "usr/bin"), ("round", "round")][..];
        for path in ["/usr/bin", "/new/bin", "/round/x"] {
            assert_eq!(at(links, |sandbox| sandbox.tmpfs(path)), path);
        }
        // a link is made, not followed; what is mounted over one hides it; later ones are not there yet
        assert_eq!(at(links, |sandbox| sandbox.symlink("x", "/bin")), "/bin");
        assert_eq!(at(links, |sandbox| sandbox.tmpfs("/").dir("/bin/x")), "/bin/x");
        let first = |sandbox: Sandbox| sandbox.dir("/tmp/l/x").symlink("/etc", "/tmp/l");
        assert_eq!(at(links, first), "/tmp/l");
        let plain = Sandbox::new().ro_bind("/usr", "/usr").tmpfs("/tmp");
        assert!(matches!(settle(&plain), Cow::Borrowed(_)));
    }
}

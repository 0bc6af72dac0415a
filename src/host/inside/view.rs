//! A sandbox's files, seen from the host: through its operations.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgroups};

use super::dev::{InDev, in_dev};
use super::writers::flags;
use crate::sandbox::{
    Capability, CapabilityChange, ContentKind, Descriptor, File, Operation, OverlayKind, Sandbox, below,
    relative,
};

/// What there is at a path inside the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node<'a> {
    Missing,
    /// A directory that bwrap makes, with these permissions.
    Directory(u32),
    /// Something of the host's.
    Host(PathBuf),
    Link(PathBuf),
    /// A file made from content, with these permissions. The content, unless a descriptor has it, or it is secret.
    Data(u32, Option<&'a [u8]>),
    /// Made by the kernel or the command: nobody knows from here.
    Unknown,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// To this, at a path without links.
    To(PathBuf, Node<'a>),
    /// To nothing.
    Nowhere,
    /// To nothing, by way of a link: the link, and where it leads.
    Astray { link: PathBuf, target: PathBuf },
    /// Through this directory, which the command's user may not search: its permissions.
    Denied(PathBuf, u32),
    /// Round in a circle.
    Circle,
    /// Through a name that is longer than names are.
    TooLong,
    /// Where nobody can look.
    Unknown,
}

/// The kernel's limits (`MAXSYMLINKS`, `PATH_MAX` with a NUL, `NAME_MAX`).
const LINKS: usize = 40;
const PATH: usize = 4096;
const NAME: usize = 255;

/// A link on the way: what stays to be done beyond it, itself, and where it leads.
type Followed = (usize, PathBuf, PathBuf);

/// A sandbox's files, seen from the host.
#[derive(Clone, Copy)]
pub(super) struct View<'a>(pub(super) &'a Sandbox);

impl<'a> View<'a> {
    /// Follows a path inside, symbolic links included.
    pub(super) fn resolve(self, path: &Path) -> Way<'a> {
        self.walk(path).0
    }

    /// The same, and what there would have to be for it to be there: the path without the links that were followed.
    pub(super) fn walk(self, path: &Path) -> (Way<'a>, PathBuf) {
        let mut end = path.to_owned();
        (self.step_along(path, &mut end), end)
    }

    fn step_along(self, path: &Path, end: &mut PathBuf) -> Way<'a> {
        if path.as_os_str().len() >= PATH {
            return Way::TooLong;
        }
        let mut todo: Vec<OsString> = parts(path);
        let mut at = PathBuf::from("/");
        let mut node = self.look(&at);
        let mut links = 0;
        let mut followed: Vec<Followed> = Vec::new();
        while let Some(part) = todo.pop() {
            followed.retain(|(beyond, ..)| *beyond <= todo.len());
            match self.searchable(&node) {
                Ok(true) => {}
                // no directory: nothing is below it
                Ok(false) => return lost(&followed),
                Err(Some(mode)) => return Way::Denied(at, mode),
                Err(None) => return Way::Unknown,
            }
            if part == ".." {
                at.pop();
                node = self.look(&at);
                continue;
            }
            if part.len() > NAME {
                return Way::TooLong;
            }
            let next = at.join(&part);
            // to join nothing would add a slash
            *end = todo.iter().rev().fold(next.clone(), |end, part| end.join(part));
            node = self.look(&next);
            let target = match &node {
                Node::Link(target) => Some(target.clone()),
                Node::Host(host) => fs::read_link(host).ok(),
                Node::Missing => return lost(&followed),
                Node::Unknown => return Way::Unknown,
                Node::Directory(_) | Node::Data(..) => None,
            };
            let Some(target) = target else {
                at = next;
                continue;
            };
            links += 1;
            if links > LINKS {
                return Way::Circle;
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            node = self.look(&at);
            followed.push((todo.len(), next, Path::new("/").join(relative(&at.join(&target)))));
            todo.extend(parts(&target));
        }
        Way::To(at, node)
    }

    /// A path as it is meant where the command starts. `None` if nobody can tell.
    pub(super) fn absolute(self, path: &Path, home: Option<&OsStr>) -> Option<PathBuf> {
        if path.is_absolute() {
            Some(path.to_owned())
        } else {
            Some(self.working_directory(home)?.join(path))
        }
    }

    /// Where the command starts: in the directory asked for, the caller's, `HOME` or the root. `None` if nobody can tell.
    fn working_directory(self, home: Option<&OsStr>) -> Option<PathBuf> {
        if let Some(directory) = &self.0.current_dir {
            return Some(Path::new("/").join(directory));
        }
        let callers = std::env::current_dir().ok();
        for directory in callers.into_iter().chain(home.map(PathBuf::from)) {
            match self.resolve(&directory) {
                Way::To(at, Node::Directory(_)) => return Some(at),
                Way::To(at, Node::Host(host)) if host.is_dir() => return Some(at),
                Way::Unknown | Way::To(_, Node::Unknown) => return None,
                _ => {}
            }
        }
        Some("/".into())
    }

    /// What of the host's, bound read-only to the same path, would show this file, which is not there: the directory that it is in,
    /// with what may be beside it, or the file, where links lead on to what is not bound.
    pub(super) fn shown_by(self, path: &Path) -> Option<PathBuf> {
        let (_, wanted) = self.walk(path);
        // a bind that is there shows the host's own, where it is missing, too
        let above = self.0.mount_above(&wanted).and_then(|index| self.0.operations.get(index));
        let is_bound = above.is_some_and(|operation| operation.outside(&wanted).is_some());
        let directory = wanted.parent().filter(|parent| parent.parent().is_some());
        let shows = |candidate: &&Path| {
            let tried = self.0.clone().ro_bind(candidate, candidate);
            matches!(View(&tried).resolve(path), Way::To(_, Node::Host(_)))
        };
        let candidates = directory.into_iter().chain([wanted.as_path()]);
        candidates.filter(|_| !is_bound).find(shows).map(Path::to_owned)
    }

    /// Whether what is at a path comes from another place of the host's, or from none that is known.
    pub(super) fn is_from_elsewhere(self, path: &Path) -> bool {
        let (_, end) = self.walk(path);
        let above = self.0.mount_above(&end).and_then(|index| self.0.operations.get(index));
        above.is_some_and(|operation| operation.outside(&end).is_none_or(|outside| outside != end))
    }

    /// Whether it is a directory in which the command's user may look something up; its permissions if he may not.
    pub(super) fn searchable(self, node: &Node<'_>) -> Result<bool, Option<u32>> {
        match node {
            // bwrap makes it for its own user
            Node::Directory(mode) if mode & 0o100 == 0 && !self.overrides_permissions() => Err(Some(*mode)),
            Node::Directory(_) => Ok(true),
            Node::Host(host) => {
                let Ok(meta) = fs::metadata(host) else { return Err(None) };
                if !meta.is_dir() {
                    return Ok(false);
                }
                if self.denied(host, &meta) { Err(Some(meta.mode() & 0o7777)) } else { Ok(true) }
            }
            Node::Unknown => Err(None),
            Node::Missing | Node::Link(_) | Node::Data(..) => Ok(false),
        }
    }

    /// Whether the command's user may not execute a file, or search a directory, of the host's by its permissions. More than
    /// those can deny it, but not what everybody may.
    pub(super) fn denied(self, host: &Path, meta: &fs::Metadata) -> bool {
        let mode = meta.mode();
        // other users are mapped than we are
        if self.0.identity.mapped() {
            return mode & 0o111 == 0;
        }
        // in a user namespace capabilities reach no further than its users do
        let ours = || meta.uid() == geteuid().as_raw() && meta.gid() == getegid().as_raw();
        if self.overrides_permissions() && (!self.0.namespaces.any_user() || ours()) {
            return false;
        }
        if accessat(CWD, host, Access::EXEC_OK, AtFlags::EACCESS) == Err(Errno::ACCESS) {
            return mode & 0o111 != 0o111;
        }
        // that looked with capabilities which the command has not
        let group = || {
            let gid = meta.gid();
            gid == getegid().as_raw()
                || getgroups().is_ok_and(|all| all.iter().any(|one| one.as_raw() == gid))
        };
        let bit = match () {
            () if meta.uid() == 0 => 0o100,
            () if group() => 0o010,
            () => 0o001,
        };
        geteuid().is_root() && mode & bit == 0
    }

    /// Whether the command has a capability that opens directories whatever their permissions. Root keeps its own.
    fn overrides_permissions(self) -> bool {
        let overrides = [Capability::CAP_DAC_OVERRIDE, Capability::CAP_DAC_READ_SEARCH];
        let mut has = [geteuid().is_root(); 2];
        for change in &self.0.privileges.capabilities {
            for (has, capability) in has.iter_mut().zip(&overrides) {
                match change {
                    CapabilityChange::AddAll => *has = true,
                    CapabilityChange::DropAll => *has = false,
                    CapabilityChange::Add(one) if one == capability => *has = true,
                    CapabilityChange::Drop(one) if one == capability => *has = false,
                    _ => {}
                }
            }
        }
        has.contains(&true)
    }

    /// What is at a path whose parents are no links.
    pub(super) fn look(self, path: &Path) -> Node<'a> {
        let mut parent = relative(path).as_os_str().is_empty();
        let mut chmod = None;
        for operation in self.0.operations.iter().rev() {
            let destination = operation.destination();
            if !below(path, destination) {
                // bwrap makes the parents of what it mounts
                parent |= below(destination, path);
                continue;
            }
            let exact = relative(path) == relative(destination);
            let made = |mode: Option<u32>| Node::Directory(chmod.or(mode).unwrap_or(0o755));
            match operation {
                Operation::Bind(bind) => {
                    let Ok(source) = fs::canonicalize(&bind.source) else { continue };
                    return Self::host(source, path, destination, parent);
                }
                Operation::Overlay(overlay) => {
                    let upper = match &overlay.kind {
                        OverlayKind::Writable { upper, .. } => Some(upper),
                        _ => None,
                    };
                    for layer in upper.into_iter().chain(overlay.layers.iter().rev()) {
                        match Self::host(layer.clone(), path, destination, false) {
                            Node::Missing => {}
                            node => return node,
                        }
                    }
                    return if parent { Node::Directory(0o755) } else { Node::Missing };
                }
                Operation::Tmpfs(tmpfs) if exact => return made(tmpfs.mode),
                Operation::Tmpfs(_) => return if parent { Node::Directory(0o755) } else { Node::Missing },
                Operation::Dir(dir) if exact => return made(dir.mode),
                Operation::Symlink(link) if exact => return Node::Link(link.target.clone()),
                Operation::Chmod(change) if exact => chmod = chmod.or(Some(change.mode)),
                Operation::File(File { mode, content, .. }) if exact => {
                    return Node::Data(chmod.or(*mode).unwrap_or(0o666), bytes(&content.0));
                }
                Operation::BindData(data) if exact => {
                    return Node::Data(chmod.or(data.mode).unwrap_or(0o600), bytes(&data.content.0));
                }
                Operation::BindFd(bind) => {
                    return opened(&bind.descriptor)
                        .map_or(Node::Unknown, |source| Self::host(source, path, destination, parent));
                }
                Operation::Dev(_) => {
                    return match in_dev(path, destination) {
                        Some(InDev::Device) => Self::host("/dev".into(), path, destination, false),
                        None | Some(InDev::Shm) => made(None),
                        Some(InDev::Nothing) if parent => made(None),
                        Some(InDev::Nothing) => Node::Missing,
                        Some(InDev::Link(_) | InDev::Mount | InDev::Unknown) => Node::Unknown,
                    };
                }
                Operation::Proc(_) | Operation::Mqueue(_) => {
                    return if exact { Node::Directory(0o755) } else { Node::Unknown };
                }
                _ => {}
            }
        }
        if parent { Node::Directory(chmod.unwrap_or(0o755)) } else { Node::Missing }
    }

    fn host(source: PathBuf, path: &Path, destination: &Path, parent: bool) -> Node<'a> {
        let path = relative(path);
        let rest = path.strip_prefix(relative(destination)).unwrap_or(Path::new(""));
        let host = if rest.as_os_str().is_empty() { source } else { source.join(rest) };
        match fs::symlink_metadata(&host) {
            Ok(_) => Node::Host(host),
            Err(_) if parent => Node::Directory(0o755),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Node::Missing
            }
            Err(_) => Node::Unknown,
        }
    }
}

/// What a descriptor refers to, where it is by now. One that is known by its number only is what it is said to be if it was
/// inherited: a line may tell of descriptors of another process.
fn opened(descriptor: &Descriptor) -> Option<PathBuf> {
    let number = match descriptor.owned() {
        Some(owned) => owned.as_raw_fd(),
        None => descriptor.given_number().filter(|number| is_inherited(*number))?,
    };
    let descriptor = format!("/proc/self/fd/{number}");
    let path = fs::canonicalize(&descriptor).ok()?;
    // it may have been removed, and another be there
    let file = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    (file(&path)? == file(Path::new(&descriptor))?).then_some(path)
}

/// Whether whoever has started this process gave it this descriptor: what it opens itself, it closes on `execve(2)`.
fn is_inherited(number: RawFd) -> bool {
    let flags = || flags(&fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?);
    number > 2 && flags().is_some_and(|flags| flags & libc::O_CLOEXEC == 0)
}

fn bytes(content: &ContentKind) -> Option<&[u8]> {
    match content {
        ContentKind::Bytes { bytes, secret: false } => Some(bytes),
        _ => None,
    }
}

/// There is nothing: is a link to blame?
fn lost<'a>(followed: &[Followed]) -> Way<'a> {
    match followed.last() {
        Some((_, link, target)) => Way::Astray { link: link.clone(), target: target.clone() },
        None => Way::Nowhere,
    }
}

/// The parts of a path, the last first.
pub(super) fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut parts: Vec<_> = parts.collect();
    parts.reverse();
    parts
}

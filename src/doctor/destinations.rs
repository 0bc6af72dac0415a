//! What can be seen of a sandbox's destinations before it is launched: that they are of another kind, or cannot be made.
//!
//! Only where it is plain: what is there comes from a bind of the host's, or the sandbox made it.

mod links;

use std::fs;
use std::path::Path;

use rustix::fs::{Access as Write, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::bwrap::{Bwrap, Version};
use crate::host::Mount;
use crate::host::inside::{InDev, Kind, in_dev, kind, settle};
use crate::sandbox::{Access, Bind, Operation, Sandbox, relative};

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) mounts: &'a [Mount],
    /// bwrap follows links as the sandbox will see them: since 0.12.
    pub(super) in_root: bool,
    /// A link that is there already, and the same, is left: since 0.9.
    pub(super) leaves_links: bool,
}

impl<'a> Look<'a> {
    pub(super) fn of(bwrap: &Bwrap, mounts: &'a [Mount]) -> Self {
        let since = |version| bwrap.version() >= Some(version);
        Self { mounts, in_root: bwrap.resolves_in_root(), leaves_links: since(Version::new(0, 9, 0)) }
    }
}

/// What bwrap will say of the first operation that cannot be done, and which it is.
pub(super) fn refusal(sandbox: &Sandbox, look: Look<'_>) -> Option<(usize, String)> {
    let settled = settle(sandbox);
    let names = sandbox.operations.iter().map(Operation::destination).enumerate();
    names.into_iter().find_map(|(index, name)| Some((index, said(&settled, index, name, look)?)))
}

/// What bwrap will say of an operation, if it can be seen that it cannot be done. `named` is what the caller calls its destination,
/// which links may lead to.
fn said(sandbox: &Sandbox, index: usize, named: &Path, look: Look<'_>) -> Option<String> {
    let operation = sandbox.operations.get(index)?;
    let at = operation.destination();
    let before = sandbox.before(index);
    let name = named.display();
    match links::outcome(&before, operation, named, look) {
        links::Outcome::Fails(said) => return Some(said),
        links::Outcome::Done => return None,
        links::Outcome::Open => {}
    }
    let kind = kind(&before, at);
    match (operation, kind) {
        (Operation::RemountRo(_), Kind::Missing) => {
            Some(format!("Can't create file {name}: No such file or directory"))
        }
        (Operation::RemountRo(_), Kind::Directory | Kind::File) if !is_mounted(&before, at, look.mounts) => {
            Some(format!(
                "Can't remount readonly on /newroot{name}: Unable to find \"/newroot{name}\" in mount table"
            ))
        }
        (Operation::Chmod(change), Kind::Missing) => {
            Some(format!("Can't chmod {:04o} {name}: No such file or directory", change.mode))
        }
        (Operation::Chmod(change), Kind::Directory | Kind::File) => {
            let read_only = is_read_only(sandbox, index);
            read_only.then(|| format!("Can't chmod {:04o} {name}: Read-only file system", change.mode))
        }
        (Operation::RemountRo(_) | Operation::Chmod(_), _) => None,
        (operation, Kind::Unknown) => {
            let made = wants_directory(operation) == Some(true) && is_in_devpts(sandbox, index);
            made.then(|| format!("Can't mkdir {name}: Operation not permitted"))
        }
        (Operation::Symlink(_), Kind::Directory | Kind::File) => {
            Some(format!("Can't make symlink at {name}: destination exists and is not a symlink"))
        }
        (operation, Kind::Missing) => {
            is_done(operation)?;
            let made = match operation {
                Operation::Symlink(_) => "Can't make symlink at",
                Operation::File(_) => "Can't create file",
                other if wants_directory(other) == Some(false) => "Can't create file at",
                _ => "Can't mkdir",
            };
            Some(format!("{made} {name}: {}", unwritable(sandbox, index)?))
        }
        (Operation::File(_), Kind::File) => {
            is_read_only(sandbox, index).then(|| format!("Can't create file {name}: Read-only file system"))
        }
        (Operation::File(_), Kind::Directory) => Some(format!("Can't create file {name}: Is a directory")),
        (_, Kind::File) => {
            wants_directory(operation)?.then(|| format!("Destination is not a directory {name}"))
        }
        (_, Kind::Directory) => {
            (!wants_directory(operation)?).then(|| format!("Destination is not a file {name}"))
        }
    }
}

/// Whether an operation is made at all: what may be missing may be.
fn is_done(operation: &Operation) -> Option<()> {
    match operation {
        Operation::Bind(bind) => fs::metadata(&bind.source).ok().map(|_| ()),
        _ => Some(()),
    }
}

/// Whether an operation needs a directory, and no file; `None` if nobody knows.
fn wants_directory(operation: &Operation) -> Option<bool> {
    Some(match operation {
        Operation::Bind(bind) => fs::metadata(&bind.source).ok()?.is_dir(),
        Operation::BindData(_) => false,
        // over what it finds it is written, or not made; and a descriptor shows either
        Operation::File(_) | Operation::BindFd(_) => return None,
        _ => true,
    })
}

/// Whether the destination of an operation lies in a read-only bind of the host's, where nothing was mounted since, or in what an
/// earlier operation has made read-only.
fn is_read_only(sandbox: &Sandbox, index: usize) -> bool {
    let mount = sandbox.mount_under(index).and_then(|mount| sandbox.operations.get(mount));
    let bound = matches!(mount, Some(Operation::Bind(Bind { access: Access::ReadOnly, source, .. })) if source.exists());
    // what is mounted below a source stays as it is
    let whole = !matches!(mount, Some(Operation::Bind(_) | Operation::BindFd(_)));
    let above = sandbox.operations.get(index).and_then(|operation| operation.destination().parent());
    let in_it = |made: usize| {
        let on = sandbox.operations.get(made).map(Operation::destination);
        whole || on.zip(above).is_some_and(|(on, above)| relative(on) == relative(above))
    };
    bound || sandbox.remount_under(index).is_some_and(in_it)
}

/// Why nothing can be made where an operation wants it: the sandbox has it read-only, or the host does not let this user.
fn unwritable(sandbox: &Sandbox, index: usize) -> Option<&'static str> {
    const READ_ONLY: &str = "Read-only file system";
    if is_read_only(sandbox, index) {
        return Some(READ_ONLY);
    }
    let operation = sandbox.operations.get(index)?;
    let mount = sandbox.operations.get(sandbox.mount_under(index)?)?;
    let outside = mount.outside(operation.destination())?;
    let there = outside.ancestors().skip(1).find(|above| above.is_dir())?;
    match accessat(CWD, there, Write::WRITE_OK | Write::EXEC_OK, AtFlags::EACCESS) {
        Err(Errno::ROFS) => Some(READ_ONLY),
        // root in a user namespace of its own is another matter
        Err(Errno::ACCESS) if !geteuid().is_root() => Some("Permission denied"),
        _ => None,
    }
}

/// Whether an operation acts in the devpts of a new `/dev`, where nobody makes directories.
fn is_in_devpts(sandbox: &Sandbox, index: usize) -> bool {
    let mount = sandbox.mount_under(index).and_then(|mount| sandbox.operations.get(mount));
    let (Some(Operation::Dev(dev)), Some(operation)) = (mount, sandbox.operations.get(index)) else {
        return false;
    };
    let terminals = relative(&dev.destination.join("pts"));
    let at = relative(operation.destination());
    at.starts_with(&terminals) && at != terminals
}

/// Whether something is mounted just there, by the sandbox or in what it binds.
fn is_mounted(before: &Sandbox, at: &Path, mounts: &[Mount]) -> bool {
    let own = before.operations.iter().any(|operation| operation.is_mount() && operation.is_on(at));
    let above = before.mount_above(at).and_then(|mount| before.operations.get(mount));
    if let Some(Operation::Dev(dev)) = above
        && let Some(InDev::Device | InDev::Mount) = in_dev(at, &dev.destination)
    {
        return true;
    }
    let outside = above.and_then(|mount| mount.outside(at));
    own || above.is_none()
        || outside.is_none_or(|outside| mounts.iter().any(|mount| mount.point == outside))
            && matches!(above, Some(Operation::Bind(_)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    pub(super) const OLD: Look<'_> = Look { mounts: &[], in_root: false, leaves_links: false };
    pub(super) const NEW: Look<'_> = Look { mounts: &[], in_root: true, leaves_links: true };

    fn told(line: &[&str]) -> Option<(usize, String)> {
        let line = ["--ro-bind", "/", "/"].iter().chain(line);
        refusal(&Sandbox::from_args(line).unwrap(), OLD)
    }

    #[test]
    fn what_cannot_be_done_is_seen() {
        for (line, says) in [
            (&["--tmpfs", "/no-such-directory"][..], "Can't mkdir /no-such-directory: Read-only"),
            (&["--dir", "/no-such-directory/x"], "Can't mkdir /no-such-directory/x: Read-only"),
            (&["--ro-bind", "/usr", "/no-such-directory"], "Can't mkdir /no-such-directory"),
            (&["--ro-bind", "/etc/passwd", "/no-such-file"], "Can't create file at /no-such-file"),
            (&["--file", "5", "/no-such-file"], "Can't create file /no-such-file: Read-only"),
            (&["--symlink", "a", "/no-such-link"], "Can't make symlink at /no-such-link: Read-only"),
            (&["--tmpfs", "/etc/passwd"], "Destination is not a directory /etc/passwd"),
            (&["--ro-bind", "/usr", "/etc/passwd"], "Destination is not a directory /etc/passwd"),
            (&["--ro-bind", "/etc/passwd", "/usr"], "Destination is not a file /usr"),
            (&["--symlink", "a", "/etc/passwd"], "Can't make symlink at /etc/passwd: destination exists"),
            (
                &["--remount-ro", "/etc/passwd"],
                "Can't remount readonly on /newroot/etc/passwd: Unable to find",
            ),
            (&["--remount-ro", "/usr"], "Can't remount readonly on /newroot/usr: Unable to find"),
            (&["--remount-ro", "/no-such-directory"], "Can't create file /no-such-directory: No such file"),
            (&["--chmod", "0700", "/usr"], "Can't chmod 0700 /usr: Read-only file system"),
            (&["--chmod", "0700", "/no-such-directory"], "Can't chmod 0700 /no-such-directory: No such file"),
            (&["--file", "5", "/etc/passwd"], "Can't create file /etc/passwd: Read-only file system"),
            (&["--file", "5", "/usr"], "Can't create file /usr: Is a directory"),
            (
                &["--tmpfs", "/mnt", "--remount-ro", "/mnt", "--dir", "/mnt/a"],
                "Can't mkdir /mnt/a: Read-only",
            ),
            (
                &["--bind", "/", "/", "--remount-ro", "/", "--tmpfs", "/no-such"],
                "Can't mkdir /no-such: Read-only",
            ),
            (&["--ro-bind-fd", "12", "/no-such-directory"], "Can't mkdir /no-such-directory: Read-only"),
            (&["--dev", "/dev", "--dir", "/dev/pts/x"], "Can't mkdir /dev/pts/x: Operation not permitted"),
            (
                &["--tmpfs", "/tmp", "--dir", "/tmp/a", "--ro-bind", "/etc/passwd", "/tmp/a"],
                "Destination is not a file",
            ),
        ] {
            let (_, said) = told(line).unwrap_or_default();
            assert!(said.starts_with(says), "{line:?}: {said}");
        }
    }

    #[test]
    fn what_may_well_be_done_is_not() {
        for line in [
            &["--tmpfs", "/usr"][..],
            &["--dir", "/usr"],
            &["--ro-bind", "/etc/passwd", "/etc/passwd"],
            &["--ro-bind", "/usr", "/usr"],
            &["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/tmp/x/y"],
            &["--tmpfs", "/tmp", "--symlink", "a", "/tmp/b", "--file", "5", "/tmp/c"],
            &["--remount-ro", "/"],
            &["--tmpfs", "/tmp", "--remount-ro", "/tmp"],
            &["--tmpfs", "/tmp", "--dir", "/tmp/x", "--chmod", "0700", "/tmp/x"],
            // what is missing is left out
            &["--ro-bind-try", "/no-such-directory", "/no-such-directory"],
            // in a procfs and a /dev nobody knows
            &["--proc", "/proc", "--ro-bind", "/usr", "/proc/acpi"],
            &["--dev", "/dev", "--dir", "/dev/x"],
            // what a descriptor shows, nobody knows
            &["--ro-bind-fd", "12", "/etc/passwd"],
            &["--bind-fd", "12", "/usr"],
            // a device of a new /dev is a mount
            &["--dev", "/dev", "--remount-ro", "/dev/null"],
            &["--dev", "/dev", "--remount-ro", "/dev/urandom"],
            // in the sandbox's own root, or where the sandbox may write
            &["--tmpfs", "/", "--dir", "/x/y"],
            &["--bind", "/tmp", "/tmp", "--dir", "/tmp/no-such-directory"],
            &["--tmpfs", "/mnt", "--file", "5", "/mnt/a", "--file", "5", "/mnt/a"],
            &["--tmpfs", "/mnt", "--dir", "/mnt/a", "--remount-ro", "/mnt", "--tmpfs", "/mnt/a"],
            // another mount over it, or one that stays as it is below a bind
            &["--tmpfs", "/mnt", "--remount-ro", "/mnt", "--tmpfs", "/mnt", "--dir", "/mnt/a"],
            &["--bind", "/", "/", "--remount-ro", "/", "--dir", "/tmp/no-such-directory"],
            &["--dev", "/dev", "--tmpfs", "/dev/pts", "--dir", "/dev/pts/x"],
            &["--dev", "/dev", "--tmpfs", "/dev/shm"],
        ] {
            assert_eq!(told(line), None, "{line:?}");
        }
        // through a link, into a tmpfs of the sandbox's own
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", directory.path().join("b")).unwrap();
        let name = |name: &str| directory.path().join(name).display().to_string();
        assert_eq!(told(&["--tmpfs", &name("a"), "--dir", &name("b/x")]), None);
        assert!(told(&["--dir", &name("a/x")]).is_some());
        assert_eq!(refusal(&Sandbox::new().dir("/x").tmpfs("/y/z").symlink("a", "/b"), OLD), None);
    }
}

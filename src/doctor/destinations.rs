//! What can be seen of a sandbox's destinations before it is launched: that they are of another kind, or cannot be made.
//!
//! Only where it is plain: no link leads there, and what is there comes from a bind of the host's that the sandbox may not write.

use std::fs;
use std::path::Path;

use crate::host::Mount;
use crate::host::inside::{Kind, kind};
use crate::sandbox::{Access, Bind, Operation, Sandbox};

/// What bwrap will say of the first operation that cannot be done, and which it is.
pub(super) fn refusal(sandbox: &Sandbox, mounts: &[Mount]) -> Option<(usize, String)> {
    (0..sandbox.operations.len()).find_map(|index| Some((index, said(sandbox, index, mounts)?)))
}

/// What bwrap will say of an operation, if it can be seen that it cannot be done.
fn said(sandbox: &Sandbox, index: usize, mounts: &[Mount]) -> Option<String> {
    let operation = sandbox.operations.get(index)?;
    let at = operation.destination();
    let before = before(sandbox, index);
    let name = at.display();
    match (operation, kind(&before, at)) {
        (Operation::RemountRo(_), Kind::Missing) => {
            Some(format!("Can't create file {name}: No such file or directory"))
        }
        (Operation::RemountRo(_), Kind::Directory | Kind::File) if !is_mounted(&before, at, mounts) => {
            Some(format!(
                "Can't remount readonly on /newroot{name}: Unable to find \"/newroot{name}\" in mount table"
            ))
        }
        (Operation::Chmod(change), Kind::Directory | Kind::File) => {
            let read_only = is_read_only(sandbox, index);
            read_only.then(|| format!("Can't chmod {:04o} {name}: Read-only file system", change.mode))
        }
        (Operation::RemountRo(_) | Operation::Chmod(_) | Operation::BindFd(_), _) | (_, Kind::Unknown) => {
            None
        }
        (Operation::Symlink(_), Kind::Directory | Kind::File) => {
            Some(format!("Can't make symlink at {name}: destination exists and is not a symlink"))
        }
        (Operation::Symlink(_), Kind::Missing) => {
            let read_only = is_read_only(sandbox, index);
            read_only.then(|| format!("Can't make symlink at {name}: Read-only file system"))
        }
        (_, Kind::Missing) => {
            is_done(operation)?;
            let made = match operation {
                Operation::File(_) => "Can't create file",
                other if wants_directory(other) == Some(false) => "Can't create file at",
                _ => "Can't mkdir",
            };
            is_read_only(sandbox, index).then(|| format!("{made} {name}: Read-only file system"))
        }
        (_, Kind::File) => {
            wants_directory(operation)?.then(|| format!("Destination is not a directory {name}"))
        }
        (_, Kind::Directory) => {
            (!wants_directory(operation)?).then(|| format!("Destination is not a file {name}"))
        }
    }
}

/// The sandbox as it is when an operation begins.
fn before(sandbox: &Sandbox, index: usize) -> Sandbox {
    let mut before = sandbox.clone();
    before.operations.truncate(index);
    before
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
        // over what it finds it is written, or not made
        Operation::File(_) => return None,
        _ => true,
    })
}

/// Whether the destination of an operation lies in a read-only bind of the host's, where nothing was mounted since.
fn is_read_only(sandbox: &Sandbox, index: usize) -> bool {
    let mount = sandbox.mount_under(index).and_then(|mount| sandbox.operations.get(mount));
    matches!(mount, Some(Operation::Bind(Bind { access: Access::ReadOnly, source, .. })) if source.exists())
}

/// Whether something is mounted just there, by the sandbox or in what it binds.
fn is_mounted(before: &Sandbox, at: &Path, mounts: &[Mount]) -> bool {
    let own = before.operations.iter().any(|operation| operation.is_mount() && operation.is_on(at));
    let above = before.mount_above(at).and_then(|mount| before.operations.get(mount));
    let outside = above.and_then(|mount| mount.outside(at));
    own || above.is_none()
        || outside.is_none_or(|outside| mounts.iter().any(|mount| mount.point == outside))
            && matches!(above, Some(Operation::Bind(_)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn told(line: &[&str]) -> Option<(usize, String)> {
        let line = ["--ro-bind", "/", "/"].iter().chain(line);
        refusal(&Sandbox::from_args(line).unwrap(), &[])
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
            (&["--remount-ro", "/usr"], "Can't remount readonly on /newroot/usr: Unable to find"),
            (&["--remount-ro", "/no-such-directory"], "Can't create file /no-such-directory: No such file"),
            (&["--chmod", "0700", "/usr"], "Can't chmod 0700 /usr: Read-only file system"),
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
            // in the sandbox's own root, or where the sandbox may write
            &["--tmpfs", "/", "--dir", "/x/y"],
            &["--bind", "/tmp", "/tmp", "--dir", "/tmp/no-such-directory"],
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
        assert_eq!(refusal(&Sandbox::new().dir("/x").tmpfs("/y/z").symlink("a", "/b"), &[]), None);
    }
}

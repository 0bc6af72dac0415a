//! What links on the way to a destination, or in its place, keep bwrap from.

use std::path::Path;

use super::{Look, wants_directory};
use crate::host::inside::{Kind, kind, trail};
use crate::sandbox::{Operation, Sandbox};

/// What links make of an operation.
pub(super) enum Outcome {
    Fails(String),
    /// It is done, whatever is where they lead to.
    Done,
    /// What is there decides.
    Open,
}

/// What bwrap makes of the links on the way. `before` is [settled](crate::host::inside::settle).
pub(super) fn outcome(before: &Sandbox, operation: &Operation, named: &Path, look: Look<'_>) -> Outcome {
    let Some(trail) = trail(before, named) else { return Outcome::Open };
    let name = named.display();
    if let Operation::Symlink(link) = operation {
        let Some(there) = trail.last else { return Outcome::Open };
        let (same, target) = (there == link.target, there.display());
        return match look.leaves_links {
            true if same => Outcome::Open,
            true => Outcome::Fails(format!("Can't make symlink at {name}: existing destination is {target}")),
            false => Outcome::Fails(format!("Can't make symlink at {name}: File exists")),
        };
    }
    if trail.landings.is_empty() || matches!(operation, Operation::Chmod(_) | Operation::RemountRo(_)) {
        return Outcome::Open;
    }
    // a file is written, or made, where the last link leads
    let writes = matches!(operation, Operation::File(_) | Operation::BindData(_)) && trail.last.is_some();
    if look.in_root {
        let over = trail.last.is_some() && operation.is_mount();
        if over {
            return Outcome::Fails(format!("Can't mount on symlink destination {name}"));
        }
    }
    let lost = trail.landings.iter().any(|landing| kind(before, landing) == Kind::Missing);
    // an older bwrap has another root while it mounts
    let elsewhere = !look.in_root && trail.absolute;
    // which takes a link that leads nowhere for the directory that it was to make
    let forgiven = matches!(operation, Operation::Dir(_)) && !look.in_root && trail.last.is_some();
    if elsewhere && writes || forgiven && (lost || elsewhere) {
        return Outcome::Done;
    }
    if writes || !lost && !elsewhere {
        return Outcome::Open;
    }
    let Some(directory) = wants_directory(operation) else { return Outcome::Open };
    let made = if directory { "Can't mkdir" } else { "Can't create file at" };
    Outcome::Fails(format!("{made} {name}: No such file or directory"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::{NEW, OLD};
    use super::super::{Look, refusal};
    use super::*;

    /// What is said of a line, in a root with `bin` to `usr/bin` and `out` to `/usr`.
    fn told(look: Look<'_>, line: &str) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("usr/bin")).unwrap();
        for directory in ["tmp", "dev"] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        for (link, target) in [("bin", "usr/bin"), ("out", "/usr"), ("lost", "nothing")] {
            std::os::unix::fs::symlink(target, root.path().join(link)).unwrap();
        }
        let begin = ["--ro-bind", root.path().to_str().unwrap(), "/"];
        let words = begin.into_iter().chain(line.split(' '));
        Some(refusal(&Sandbox::from_args(words).unwrap(), look)?.1)
    }

    #[test]
    fn links_stand_in_the_way() {
        for (look, line, says) in [
            (OLD, "--symlink usr/bin /bin", "Can't make symlink at /bin: File exists"),
            (OLD, "--symlink x /bin", "Can't make symlink at /bin: File exists"),
            (NEW, "--symlink x /bin", "Can't make symlink at /bin: existing destination is usr/bin"),
            (NEW, "--tmpfs /bin", "Can't mount on symlink destination /bin"),
            (OLD, "--tmpfs /out", "Can't mkdir /out: No such file or directory"),
            (
                OLD,
                "--tmpfs /tmp --symlink /usr /tmp/l --tmpfs /tmp/l/x",
                "Can't mkdir /tmp/l/x: No such file",
            ),
            (NEW, "--tmpfs /tmp --symlink /usr /tmp/l --tmpfs /tmp/l/x", "Can't mkdir /tmp/l/x: Read-only"),
            (NEW, "--tmpfs /tmp --symlink gone /tmp/l --dir /tmp/l/x", "Can't mkdir /tmp/l/x: No such file"),
            (OLD, "--dev /dev --tmpfs /dev/fd", "Can't mkdir /dev/fd: No such file"),
            (NEW, "--dev /dev --tmpfs /dev/fd", "Can't mount on symlink destination /dev/fd"),
            (
                NEW,
                "--dev /dev --ro-bind /dev/null /dev/stdin",
                "Can't mount on symlink destination /dev/stdin",
            ),
            (OLD, "--dev /dev --symlink a /dev/fd", "Can't make symlink at /dev/fd: File exists"),
            (OLD, "--dir /lost/x", "Can't mkdir /lost/x: No such file"),
            (OLD, "--dir /bin/x", "Can't mkdir /bin/x: Read-only file system"),
        ] {
            let said = told(look, line).unwrap_or_default();
            assert!(said.starts_with(says), "{line}: {said}");
        }
    }

    #[test]
    fn links_that_lead_on_do_not() {
        for (look, line) in [
            (NEW, "--symlink usr/bin /bin"),
            (OLD, "--tmpfs /bin"),
            (OLD, "--tmpfs /bin --dir /bin/x"),
            (NEW, "--dir /out/bin"),
            (OLD, "--tmpfs /tmp --symlink . /tmp/l --tmpfs /tmp/l/x"),
            (OLD, "--tmpfs /tmp --symlink gone /tmp/l --file 5 /tmp/l"),
            (OLD, "--tmpfs / --symlink usr/bin /bin"),
            // of a new /dev
            (OLD, "--dev /dev --file 5 /dev/stdout"),
            (OLD, "--dev /dev --tmpfs /dev --tmpfs /dev/fd"),
            (NEW, "--dev /dev --tmpfs /dev/shm --symlink a /dev/new"),
            // while an older bwrap mounts, an absolute link leads nowhere
            (OLD, "--dir /out"),
            (OLD, "--dir /lost"),
            (OLD, "--tmpfs /tmp --symlink /usr /tmp/l --dir /tmp/l"),
            (OLD, "--tmpfs /tmp --symlink /usr /tmp/l --file 5 /tmp/l"),
        ] {
            assert_eq!(told(look, line), None, "{line}");
        }
    }
}

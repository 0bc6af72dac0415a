//! What the presets have in common.

use std::io;
use std::path::{Path, PathBuf};

use crate::sandbox::{Bind, Namespaces, Sandbox};

/// Where commands are looked for inside.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// What of the host is nobody's business inside: the sockets of its services, other people's temporary files, homes.
const COVERED: &[&str] = &["/tmp", "/var/tmp", "/run", "/home", "/root"];

/// What names resolve to where systemd-resolved is at work; `/etc/resolv.conf` links to one of them.
const RESOLVERS: &[&str] = &["/run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// What root may write to in a new `/proc`, in a user namespace, too: the kernel asks who the user is, not what it may.
const KERNELS: &[&str] = &["/proc/sys", "/proc/fs", "/proc/scsi", "/proc/acpi", "/proc/asound"];

/// The host's root, read-only, with homes, sockets and temporary files covered, and new `/proc` and `/dev`.
pub(super) fn host() -> Sandbox {
    let mut sandbox = kernel(Sandbox::new().ro_bind("/", "/"));
    for directory in covered() {
        sandbox = sandbox.tmpfs(directory);
    }
    for file in RESOLVERS {
        sandbox = sandbox.add(Bind::read_only(file, file).optional());
    }
    sandbox
}

/// New `/proc` and `/dev`, in which root changes nothing of the host's either.
pub(super) fn kernel(sandbox: Sandbox) -> Sandbox {
    let sandbox = sandbox.proc("/proc").dev("/dev");
    // these cover parts of /proc, which keeps anybody from mounting another one inside: for root only
    let covered = if rustix::process::geteuid().is_root() { KERNELS } else { &[] };
    covered.iter().fold(sandbox, |sandbox, path| sandbox.add(Bind::read_only(path, path).optional()))
}

/// The directories that are covered, where they really are; the caller's home among them.
fn covered() -> Vec<PathBuf> {
    let home = std::env::home_dir().filter(|home| home != Path::new("/"));
    let all = COVERED.iter().map(PathBuf::from).chain(home);
    let mut real: Vec<PathBuf> = Vec::new();
    for path in all.filter_map(|path| path.canonicalize().ok()).filter(|path| path.is_dir()) {
        if !real.iter().any(|above| path.starts_with(above)) {
            real.push(path);
        }
    }
    real
}

/// Namespaces of its own, no privileges, no terminal, no life of its own, and an environment of four variables.
pub(super) fn confined(sandbox: Sandbox) -> Sandbox {
    sandbox
        .unshare_all()
        .unshare(Namespaces::USER)
        .cap_drop_all()
        .new_session()
        .die_with_parent()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .env("TMPDIR", "/tmp")
        .env("HOME", "/tmp")
}

/// The same of a directory that is to be writable inside, and uncovers nothing.
///
/// # Errors
///
/// If something that is covered inside lies in it, or if it is the kernel's.
pub(super) fn of_its_own(path: &Path) -> io::Result<PathBuf> {
    let real = directory(path)?;
    let lies_in = covered().into_iter().find(|covered| covered.starts_with(&real));
    let kernels =
        ["/proc", "/dev", "/sys"].iter().find(|kernels| real.starts_with(kernels)).map(PathBuf::from);
    let Some(other) = lies_in.or(kernels) else { return Ok(real) };
    let what = format!(
        "{}: {} would be the host's inside, and writable; name a directory of its own",
        crate::visible::path(&real),
        crate::visible::path(&other)
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// A directory under its real path: a link on the way to it would lead elsewhere inside.
pub(super) fn directory(path: &Path) -> io::Result<PathBuf> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", crate::visible::path(path)));
    let real = path.canonicalize().map_err(named)?;
    if !real.is_dir() {
        return Err(named(io::ErrorKind::NotADirectory.into()));
    }
    Ok(real)
}

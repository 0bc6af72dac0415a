//! A build: the tools of the host or of a root file system, one directory to work in, and nothing else to write to.
//!
//! ```
//! use bwrap_launch::profile::ci;
//! let work = tempfile::tempdir()?;
//! std::fs::write(work.path().join("Makefile"), "all:\n\techo built > result\n")?;
//! let sandbox = ci::on_host(work.path())?; // .share_net() gives it the host's network
//! # if std::path::Path::new("/usr/bin/make").exists() {
//! assert!(sandbox.command("make").stdout(bwrap_launch::Stdio::null()).status()?.success());
//! assert_eq!(std::fs::read_to_string(work.path().join("result"))?, "built\n");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threat model
//!
//! The build is code that anybody may have sent.
//!
//! 1. It writes to the work directory and to a `/tmp` of its own, which is gone afterwards, and to nothing else.
//! 2. It reads no home directory, no variable and no descriptor of the caller's, and talks to none of the host's services: no
//!    socket of theirs is inside, nor any network but a loopback device.
//! 3. It sees, traces and signals no process of the host's, and cannot type into its terminal.
//! 4. It has no capability, and no setuid program gives it one.
//! 5. Nothing of it outlives the caller, or the build itself.
//!
//! Not covered: what it may read of the host's root or the root file system, as the user who launches it (so let that be
//! nobody's account, not root); memory, processors and disk, for which there are limits; faults of the kernel, which user
//! namespaces lay open to it ([`Sandbox::disable_userns`] leaves it none); whatever is done later with the work directory.

use std::io;
use std::path::Path;

use super::base::{confined, directory, host, kernel, of_its_own};
use crate::sandbox::Sandbox;

/// Where the work directory is inside a root file system.
pub const WORK: &str = "/home/work";

/// A build with the host's tools: its root is readable but for homes and `/run`; `work` is writable, under its own path, and
/// where the command starts. Without a network: [`Sandbox::share_net`] gives it the host's.
///
/// Toolchains in a home directory are to be added, as in `.ro_bind(&cargo, &cargo)`.
///
/// # Errors
///
/// If `work` is no directory; or if something lies in it that the build is not to see (`/`, `/home`, the caller's home), or it is
/// below `/proc`, `/dev` or `/sys`.
pub fn on_host(work: impl AsRef<Path>) -> io::Result<Sandbox> {
    let work = of_its_own(work.as_ref())?;
    Ok(confined(host().bind(&work, &work).current_dir(work)))
}

/// A build with the tools of an unpacked image: `rootfs` is the root, read-only; `work` is writable, at [`WORK`], and where the
/// command starts. Without a network: [`Sandbox::share_net`] gives it the host's, and `/etc/resolv.conf` is the image's.
///
/// ```no_run
/// use bwrap_launch::profile::ci;
/// let sandbox = ci::on_rootfs("/srv/images/debian-12", "/srv/builds/17")?;
/// let sandbox = sandbox.share_net().ro_bind("/etc/resolv.conf", "/etc/resolv.conf");
/// assert!(sandbox.command("make").arg("check").status()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If `work` is none that [`on_host`] takes, or if `rootfs` lacks one of the directories that something is mounted on: `dev`, `home`, `proc`,
/// `run`, `tmp`. Links in their place are refused: they could lead onto the host.
pub fn on_rootfs(rootfs: impl AsRef<Path>, work: impl AsRef<Path>) -> io::Result<Sandbox> {
    let (rootfs, work) = (directory(rootfs.as_ref())?, of_its_own(work.as_ref())?);
    for name in ["dev", "home", "proc", "run", "tmp"] {
        let path = rootfs.join(name);
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            let what = format!(
                "{}: no directory; make it, so that something can be mounted on it",
                crate::visible::path(&path)
            );
            return Err(io::Error::new(io::ErrorKind::NotADirectory, what));
        }
    }
    let sandbox = kernel(Sandbox::new().ro_bind(rootfs, "/"));
    let sandbox = ["/tmp", "/run", "/home"].into_iter().fold(sandbox, Sandbox::tmpfs);
    Ok(confined(sandbox.bind(work, WORK).current_dir(WORK)))
}

//! A runner for cargo: every test binary sees the host's root as it is, may write to it, and what it wrote is gone afterwards.
//!
//! ```text
//! cargo build --example cargo_runner
//! export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$PWD/target/debug/examples/cargo_runner
//! cargo test
//! ```
//!
//! What it exits with is the test binary's own status, or 125, with the reason, if there was no sandbox.
//!
//! Root's tests may write to all of it; other users' to the package, to what was built, to their home and to `/tmp`.
//!
//! A bwrap without overlays (before 0.11) shows the root read-only, with a `/tmp` of the binary's own: tests that write
//! elsewhere fail then. There is no network but a loopback device, unless `CARGO_RUNNER_NET` is set. It is no wall against tests that
//! mean harm: they may read whatever you may.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use bwrap_launch::op::{Bind, Overlay};
use bwrap_launch::{Bwrap, Command, Sandbox};
use procfs_core::FromRead;
use procfs_core::process::MountInfos;

/// As in `env(1)` and `timeout(1)`: what was to be run was not.
const NOT_RUN: u8 = 125;

fn main() -> ExitCode {
    ExitCode::from(run_with(std::env::args_os().skip(1)))
}

/// The whole program.
pub(crate) fn run_with(words: impl Iterator<Item = OsString>) -> u8 {
    let mut command = match command(words) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("cargo-runner: {error}");
            return NOT_RUN;
        }
    };
    match command.status() {
        Ok(status) => status.raw(),
        Err(error) => {
            eprintln!("cargo-runner: {}", error.report());
            NOT_RUN
        }
    }
}

fn command(mut words: impl Iterator<Item = OsString>) -> Result<Command, Box<dyn std::error::Error>> {
    let binary = words.next().ok_or("usage: cargo_runner TEST-BINARY [ARGUMENT ...]")?;
    let binary = Path::new(&binary).canonicalize()?;
    // cargo starts it in the package's directory
    let package = std::env::current_dir()?;
    // target/debug, with the libraries and programs that were built beside it
    let built = binary.ancestors().nth(2).unwrap_or(&binary);
    let bwrap = Bwrap::find()?;
    let root = if bwrap.accepts("--tmp-overlay") {
        let home = std::env::home_dir().filter(|home| home.is_dir());
        let own = [home.as_deref(), Some(&package), Some(built)];
        written_to_memory(own.into_iter().flatten())?
    } else {
        eprintln!("cargo-runner: bwrap {} has no overlays; the root is read-only", bwrap.version_text());
        read_only(&[&package, built])
    };
    let mut sandbox = root.proc("/proc").dev("/dev").add(Bind::read_only("/sys", "/sys").optional());
    sandbox = sandbox.unshare_all().inherit_env().current_dir(package.clone());
    if std::env::var_os("CARGO_RUNNER_NET").is_some() {
        sandbox = sandbox.share_net();
    }
    let mut command = sandbox.command(binary);
    command.args(words).bwrap(&bwrap).die_with_caller(true);
    Ok(command)
}

/// Every directory of the root below an overlay of its own. One with mounts below can be no layer (it would show what they hide); it is
/// read-only, but for the directories that matter. These have overlays of their own: the kernel copies no directory of somebody
/// else's for a user, which it does to write below it.
fn written_to_memory<'a>(
    directories: impl Iterator<Item = &'a Path>,
) -> Result<Sandbox, Box<dyn std::error::Error>> {
    let mounts = MountInfos::from_file("/proc/self/mountinfo")?;
    let is_whole = |path: &Path| {
        let below = |mount: &Path| mount.starts_with(path) && mount != path;
        !mounts.iter().any(|mount| below(&mount.mount_point)) && path.read_dir().is_ok()
    };
    let overlay = |path: &Path| Overlay::temporary(path).layer(path);
    let mut sandbox = Sandbox::new();
    for entry in Path::new("/").read_dir()? {
        let path = entry?.path();
        if ["/proc", "/dev", "/sys"].iter().any(|own| path == Path::new(own)) {
            continue;
        }
        sandbox = if path.is_symlink() {
            sandbox.symlink(path.read_link()?, path)
        } else if path.is_dir() && is_whole(&path) {
            sandbox.add(overlay(&path))
        } else {
            sandbox.ro_bind(&path, &path)
        };
    }
    if !rustix::process::geteuid().is_root() {
        sandbox = sandbox.tmpfs("/tmp");
    }
    let mut covered: Vec<&Path> = Vec::new();
    for directory in directories.filter(|directory| is_whole(directory)) {
        if !covered.iter().any(|above| directory.starts_with(above)) {
            sandbox = sandbox.add(overlay(directory));
            covered.push(directory);
        }
    }
    Ok(sandbox)
}

fn read_only(directories: &[&Path]) -> Sandbox {
    let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").tmpfs("/var/tmp");
    // they may be below what is covered
    directories.iter().fold(sandbox, |sandbox, directory| sandbox.ro_bind(directory, directory))
}

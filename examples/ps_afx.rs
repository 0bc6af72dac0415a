//! The main job: a process list from inside a sandbox, which shows bwrap and ps alone.
//!
//! The same as
//!
//! ```text
//! bwrap --ro-bind /lib /lib --ro-bind /usr /usr --symlink /usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp \
//!     --unshare-all --new-session ps afx
//! ```

use bwrap_launch::{Result, Sandbox};

fn main() -> Result<()> {
    let sandbox = Sandbox::new()
        .ro_bind("/lib", "/lib")
        .ro_bind("/usr", "/usr")
        .symlink("/usr/lib64", "/lib64")
        .proc("/proc")
        .dev("/dev")
        .tmpfs("/tmp")
        .unshare_all()
        .new_session();
    let status = sandbox.command("ps").arg("afx").status()?;
    std::process::exit(status.raw().into());
}

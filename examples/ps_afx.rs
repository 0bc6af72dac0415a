//! The main job: a process list from inside a sandbox, which shows bwrap and ps alone.
//!
//! The same as
//!
//! ```text
//! bwrap --ro-bind /lib /lib --ro-bind /usr /usr --symlink /usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp \
//!     --unshare-all --new-session ps afx
//! ```

use bwrap_launch::Sandbox;

fn main() {
    let sandbox = Sandbox::new()
        .ro_bind("/lib", "/lib")
        .ro_bind("/usr", "/usr")
        .symlink("/usr/lib64", "/lib64")
        .proc("/proc")
        .dev("/dev")
        .tmpfs("/tmp")
        .unshare_all()
        .new_session();
    match sandbox.command("ps").arg("afx").status() {
        Ok(status) => std::process::exit(status.raw().into()),
        Err(error) => {
            // the status of `env` and others for what did not come to the command
            eprintln!("{}", error.report());
            std::process::exit(125);
        }
    }
}

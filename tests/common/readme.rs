//! The sandbox that the README begins with.
#![allow(dead_code, reason = "each program uses a part of it")]

use bwrap_launch::Sandbox;

/// Its options, as somebody would type them.
pub(crate) const README: &[&str] = &[
    "--ro-bind",
    "/lib",
    "/lib",
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "/usr/lib64",
    "/lib64",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
    "--unshare-all",
    "--new-session",
];

/// The same in types, with an environment of its own.
pub(crate) fn readme_sandbox() -> Sandbox {
    Sandbox::from_args(README).unwrap().env_clear()
}

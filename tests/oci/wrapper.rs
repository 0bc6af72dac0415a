//! What a program may find itself in that no runtime makes: the container's program starts it so.

use crate::bundle::{Bundle, PROGRAM};

/// Runs a program in something more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrapper {
    /// In a tree that `chroot(2)` enters. It needs `CAP_SYS_CHROOT`, and user id 0.
    Chroot {
        /// Whether the tree is a mount: then `/proc/self/mountinfo` does not tell.
        on_a_mount: bool,
    },
    /// In a sandbox of bwrap's.
    NestedBwrap {
        /// Whether this bwrap runs as user 0: it covers parts of `/proc` then.
        root: bool,
        /// Whether the sandbox forbids user namespaces.
        disable_userns: bool,
    },
    /// In a Landlock domain that says what may be written in it, or else only what may be removed.
    Landlock { write_file: bool },
    /// In a user namespace with a limit on namespaces: as root of it.
    UserNamespaceLimit {
        /// As in `/proc/sys/user/max_KIND_namespaces`.
        kind: &'static str,
        value: u32,
    },
    /// In a user namespace that has no name for its user.
    UnmappedUid,
    /// In so many user namespaces, each in the one before.
    Unshare { levels: u32 },
}

/// Where the tree for [`Wrapper::Chroot`] is.
const TREE: &str = "/var/tmp/bwrap-launch-test.chroot";

/// What starts bwrap as a user.
pub(crate) const AS_USER: &[&str] = &["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Wrapper {
    /// The words before the program's.
    pub(crate) fn prefix(&self, bundle: &Bundle) -> Vec<String> {
        match self {
            Self::Chroot { .. } => words(&["chroot", TREE]),
            Self::NestedBwrap { root, disable_userns } => {
                let mut command = Vec::new();
                if !root && bundle.uid == 0 {
                    command = words(AS_USER);
                    command.push("--".to_owned());
                }
                command.extend(words(&["bwrap", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]));
                command.push("--unshare-pid".to_owned());
                if *disable_userns {
                    command.extend(words(&["--unshare-user", "--disable-userns"]));
                }
                command.push("--".to_owned());
                command
            }
            Self::Landlock { write_file } => {
                words(&[PROGRAM, "--helper", "landlock", if *write_file { "write" } else { "remove" }])
            }
            Self::UserNamespaceLimit { kind, value } => {
                let script = format!("echo {value} >/proc/sys/user/max_{kind}_namespaces && exec \"$@\"");
                words(&["unshare", "--user", "--map-root-user", "--", "sh", "-c", &script, "sh"])
            }
            Self::UnmappedUid => words(&["unshare", "--user", "--"]),
            Self::Unshare { levels } => {
                words(&["unshare", "--user", "--map-current-user", "--"].repeat(*levels as usize))
            }
        }
    }

    /// What is to be done in the container's mount namespace first.
    pub(crate) fn preparation(&self) -> Option<String> {
        let Self::Chroot { on_a_mount } = self else { return None };
        if *on_a_mount {
            return Some(format!("mkdir {TREE}; mount --rbind / {TREE}"));
        }
        Some(format!(
            "mkdir {TREE}; for entry in /*; do
                if [ -h \"$entry\" ]; then cp -P \"$entry\" {TREE}; continue; fi
                if [ -d \"$entry\" ]; then mkdir {TREE}$entry; mount --rbind \"$entry\" {TREE}$entry; fi
            done"
        ))
    }
}

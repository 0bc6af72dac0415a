//! Changes of the sandbox itself.

use std::path::PathBuf;

use crate::sandbox::{Bind, CapabilityChange, Namespaces, Operation, Sandbox, Setting};

/// A change of the sandbox. [`apply`](Self::apply) makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum SandboxChange {
    /// Bind the outer `/proc` read-only instead of mounting one.
    BindProc {
        /// The operation that mounts it.
        operation: usize,
    },
    /// Bind the outer `/dev` instead of making one.
    BindDev {
        /// The operation that makes it.
        operation: usize,
    },
    /// Add a user namespace ([`Namespaces::USER`](crate::Namespaces::USER)).
    UnshareUser,
    /// Make no user namespace: root keeps the caller's.
    KeepUserNamespace,
    /// Make a PID namespace of the sandbox's own.
    UnsharePid,
    /// Keep the caller's network.
    ShareNet,
    /// Leave further user namespaces possible inside.
    AllowUserNamespaces,
    /// Make a user namespace, and none possible in it.
    DisableUserNamespaces,
    /// Leave the host name as it is.
    KeepHostname,
    /// Ask for no SELinux label.
    DropLabels,
    /// Give the command no capabilities that are not there.
    DropCapabilities,
    /// Go on without a source that is not there.
    OptionalSource {
        /// The bind.
        operation: usize,
    },
    /// Leave an operation out.
    Remove {
        /// The operation.
        operation: usize,
    },
    /// Perform an operation earlier: before the one that makes its destination read-only.
    MoveBefore {
        /// The operation.
        operation: usize,
        /// The one that it must precede.
        before: usize,
    },
    /// Give an operation another destination: the path that a symbolic link stands for, say.
    Destination {
        /// The operation.
        operation: usize,
        /// The path.
        #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
        path: PathBuf,
    },
    /// Start in another directory.
    CurrentDir {
        /// The path inside.
        #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
        path: PathBuf,
    },
    /// Bind something more, read-only, where it is.
    RoBind {
        /// What.
        #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
        path: PathBuf,
    },
}

impl SandboxChange {
    /// The sandbox with this change. An operation that is not there, or not of the kind that the change is about, leaves it
    /// as it is.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::diagnosis::SandboxChange;
    /// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc");
    /// let changed = SandboxChange::BindProc { operation: 1 }.apply(&sandbox);
    /// assert_eq!(changed, Sandbox::new().ro_bind("/usr", "/usr").ro_bind("/proc", "/proc"));
    /// ```
    pub fn apply(&self, sandbox: &Sandbox) -> Sandbox {
        let mut changed = sandbox.clone();
        let operations = &mut changed.operations;
        match self {
            Self::BindProc { operation } => {
                if let Some(found @ Operation::Proc(_)) = operations.get_mut(*operation) {
                    *found = Bind::read_only("/proc", found.destination()).into();
                }
            }
            Self::BindDev { operation } => {
                if let Some(found @ Operation::Dev(_)) = operations.get_mut(*operation) {
                    *found = Bind::device("/dev", found.destination()).into();
                }
            }
            Self::UnshareUser => {
                changed.namespaces.unshare.remove(Namespaces::USER_TRY);
                return changed.unshare(Namespaces::USER);
            }
            Self::KeepUserNamespace => {
                // these are about a user namespace of its own; root is user 0 without one, too
                for id in [&mut changed.identity.uid, &mut changed.identity.gid] {
                    *id = id.filter(|id| *id != 0);
                }
                return changed.share(Namespaces::USER).unset(Setting::DisableUserns);
            }
            Self::UnsharePid => return changed.unset(Setting::JoinPid).unshare(Namespaces::PID),
            Self::ShareNet => return changed.share(Namespaces::NET),
            Self::AllowUserNamespaces => {
                return changed.unset(Setting::DisableUserns).unset(Setting::AssertUsernsDisabled);
            }
            Self::DisableUserNamespaces => return Self::UnshareUser.apply(sandbox).disable_userns(),
            Self::KeepHostname => return changed.unset(Setting::Hostname),
            Self::DropLabels => return changed.unset(Setting::ExecLabel).unset(Setting::FileLabel),
            Self::DropCapabilities => changed
                .privileges
                .capabilities
                .retain(|change| matches!(change, CapabilityChange::Drop(_) | CapabilityChange::DropAll)),
            Self::OptionalSource { operation } => {
                if let Some(Operation::Bind(bind)) = operations.get_mut(*operation) {
                    bind.optional = true;
                }
            }
            Self::Remove { operation } => {
                if *operation < operations.len() {
                    operations.remove(*operation);
                }
            }
            Self::MoveBefore { operation, before } => {
                if before < operation && *operation < operations.len() {
                    let moved = operations.remove(*operation);
                    operations.insert(*before, moved);
                }
            }
            Self::Destination { operation, path } => {
                if let Some(found) = operations.get_mut(*operation) {
                    found.destination_mut().clone_from(path);
                }
            }
            Self::CurrentDir { path } => return changed.current_dir(path),
            Self::RoBind { path } => operations.push(Bind::read_only(path, path).into()),
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::super::Remedy;
    use super::*;
    use crate::diagnosis::fixtures::whole;
    use crate::sandbox::{Capability, Chmod, Symlink};

    /// The changed sandbox as bwrap's arguments.
    fn after(change: &SandboxChange, sandbox: &Sandbox) -> String {
        change.apply(sandbox).to_string()
    }

    fn plain() -> Sandbox {
        Sandbox::new().ro_bind("/usr", "/usr").bind("/srv", "/srv").tmpfs("/usr/tmp")
    }

    fn every() -> Vec<SandboxChange> {
        let (operation, path) = (99, std::path::PathBuf::from("/a b"));
        vec![
            SandboxChange::BindProc { operation },
            SandboxChange::BindDev { operation },
            SandboxChange::UnshareUser,
            SandboxChange::KeepUserNamespace,
            SandboxChange::UnsharePid,
            SandboxChange::ShareNet,
            SandboxChange::AllowUserNamespaces,
            SandboxChange::DisableUserNamespaces,
            SandboxChange::KeepHostname,
            SandboxChange::DropLabels,
            SandboxChange::DropCapabilities,
            SandboxChange::OptionalSource { operation },
            SandboxChange::Remove { operation },
            SandboxChange::MoveBefore { operation, before: 98 },
            SandboxChange::Destination { operation, path: path.clone() },
            SandboxChange::CurrentDir { path: path.clone() },
            SandboxChange::RoBind { path },
        ]
    }

    #[test]
    fn proc_and_dev_are_bound() {
        let text = after(&SandboxChange::BindProc { operation: 1 }, &whole());
        assert!(text.contains("--ro-bind /proc /proc") && !text.contains("--proc"), "{text}");
        let text = after(&SandboxChange::BindDev { operation: 2 }, &whole());
        assert!(text.contains("--dev-bind /dev /dev") && !text.contains("--dev /dev"), "{text}");
        // not what it is about
        assert_eq!(SandboxChange::BindProc { operation: 0 }.apply(&whole()), whole());
    }

    #[test]
    fn namespaces_come_and_go() {
        let sandbox = Sandbox::new().unshare(Namespaces::USER_TRY);
        assert_eq!(SandboxChange::UnshareUser.apply(&sandbox), Sandbox::new().unshare(Namespaces::USER));
        let disabled = Sandbox::new().unshare(Namespaces::USER).disable_userns();
        assert_eq!(SandboxChange::DisableUserNamespaces.apply(&sandbox), disabled);
        assert_eq!(SandboxChange::UnsharePid.apply(&sandbox), sandbox.clone().unshare(Namespaces::PID));
        let some = Namespaces::IPC | Namespaces::PID | Namespaces::UTS | Namespaces::CGROUP_TRY;
        let all = Sandbox::new().unshare_all().uid(0).disable_userns();
        assert_eq!(
            SandboxChange::KeepUserNamespace.apply(&all),
            Sandbox::new().unshare(some | Namespaces::NET)
        );
        assert_eq!(
            SandboxChange::KeepUserNamespace.apply(&all.clone().share_net()),
            Sandbox::new().unshare(some)
        );
        let other = Sandbox::new().unshare(Namespaces::USER | Namespaces::PID).uid(1000);
        assert_eq!(
            SandboxChange::KeepUserNamespace.apply(&other),
            Sandbox::new().unshare(Namespaces::PID).uid(1000)
        );
        assert_eq!(
            SandboxChange::ShareNet.apply(&Sandbox::new().unshare_all()),
            Sandbox::new().unshare_all().share_net()
        );
        let net = Sandbox::new().unshare(Namespaces::NET | Namespaces::USER);
        assert_eq!(SandboxChange::ShareNet.apply(&net), Sandbox::new().unshare(Namespaces::USER));
    }

    #[test]
    fn settings_are_taken_back() {
        let sandbox = Sandbox::new().disable_userns().assert_userns_disabled();
        assert_eq!(SandboxChange::AllowUserNamespaces.apply(&sandbox), Sandbox::new());
        assert_eq!(SandboxChange::KeepHostname.apply(&Sandbox::new().hostname("box")), Sandbox::new());
        let labelled = Sandbox::new().exec_label("user_t").file_label("tmp_t");
        assert_eq!(SandboxChange::DropLabels.apply(&labelled), Sandbox::new());
        let moved =
            SandboxChange::CurrentDir { path: "/".into() }.apply(&Sandbox::new().current_dir("/work"));
        assert_eq!(moved, Sandbox::new().current_dir("/"));
        let sandbox = Sandbox::new().cap_drop_all().cap_add(Capability::CAP_NET_ADMIN).cap_add_all();
        assert_eq!(SandboxChange::DropCapabilities.apply(&sandbox), Sandbox::new().cap_drop_all());
    }

    #[test]
    fn operations_are_changed_in_place() {
        let text = after(&SandboxChange::OptionalSource { operation: 1 }, &plain());
        assert!(text.contains("--bind-try /srv /srv"), "{text}");
        assert_eq!(SandboxChange::Remove { operation: 1 }.apply(&plain()).operations().len(), 2);
        let moved = SandboxChange::MoveBefore { operation: 2, before: 0 }.apply(&plain());
        assert_eq!(moved.operations()[0].name(), "tmpfs");
        // later is not earlier
        assert_eq!(SandboxChange::MoveBefore { operation: 0, before: 2 }.apply(&plain()), plain());
        let link = Sandbox::new().add(Symlink::new("usr/lib", "/lib")).ro_bind("/opt", "/lib");
        let text = after(&SandboxChange::Destination { operation: 1, path: "/usr/lib".into() }, &link);
        assert!(text.ends_with("--ro-bind /opt /usr/lib"), "{text}");
        let text = after(&SandboxChange::RoBind { path: "/lib64".into() }, &plain());
        assert!(text.ends_with("--ro-bind /lib64 /lib64"), "{text}");
    }

    #[test]
    fn operations_that_are_not_there_change_nothing() {
        for change in every() {
            let mut sandbox = plain();
            if !matches!(
                change,
                SandboxChange::UnshareUser
                    | SandboxChange::UnsharePid
                    | SandboxChange::DisableUserNamespaces
                    | SandboxChange::CurrentDir { .. }
                    | SandboxChange::RoBind { .. }
            ) {
                assert_eq!(change.apply(&sandbox), sandbox, "{change:?}");
            }
            sandbox = change.apply(&sandbox);
            assert!(sandbox.operations().len() >= 3);
        }
    }

    #[test]
    fn operations_are_called_what_the_caller_wrote() {
        let sandbox = Sandbox::new().ro_bind("/a b", "/srv").proc("/proc").add(Chmod::new(0o700, "/srv"));
        let said = |change: SandboxChange| {
            let remedy = Remedy::change(change).worded(&sandbox);
            let text = remedy.instructions();
            let options = text.lines().next().unwrap().strip_prefix("bwrap: ").unwrap().to_owned();
            assert!(!text.contains("counted"), "{text}");
            (remedy.summary, options)
        };
        let (summary, options) = said(SandboxChange::Remove { operation: 2 });
        assert_eq!(summary, "Leave out `--chmod 0700 /srv`");
        assert_eq!(options, "the same line without `--chmod 0700 /srv`");
        let (_, options) = said(SandboxChange::BindProc { operation: 1 });
        assert_eq!(options, "--ro-bind /proc /proc instead of --proc /proc");
        let (_, options) = said(SandboxChange::OptionalSource { operation: 0 });
        assert_eq!(options, "--ro-bind-try '/a b' /srv instead of --ro-bind '/a b' /srv");
        let (_, options) = said(SandboxChange::MoveBefore { operation: 2, before: 1 });
        assert_eq!(options, "`--chmod 0700 /srv` before `--proc /proc`");
        let (summary, options) = said(SandboxChange::Destination { operation: 1, path: "/p".into() });
        assert_eq!(summary, "Make /p the destination of `--proc /proc`");
        assert_eq!(options, "--proc /p instead of --proc /proc");
        // one that is not there
        assert_eq!(said(SandboxChange::Remove { operation: 9 }).0, "Leave out operation 10");
    }

    #[test]
    fn operations_of_a_sandbox_that_nobody_knows_are_counted_from_1() {
        assert_eq!(Remedy::leave_out(2).summary, "Leave out operation 3");
        let text = Remedy::leave_out(2).instructions();
        assert_eq!(
            text,
            "bwrap: the same line without operation 3\nRust: Sandbox::operations without operation 3\n"
        );
        let moved = Remedy::change(SandboxChange::Destination { operation: 0, path: "/etc/passwd".into() });
        assert_eq!(moved.summary, "Make /etc/passwd the destination of operation 1");
        assert!(!moved.opens.contains("link"));
    }

    #[test]
    fn every_change_has_words() {
        for one in every() {
            let remedy = Remedy::change(one);
            assert!(!remedy.summary.is_empty() && !remedy.opens.is_empty());
            let text = remedy.instructions();
            assert!(
                text.starts_with("bwrap: ") && text.contains("\nRust: ") && text.ends_with('\n'),
                "{text}"
            );
        }
        let bind = Remedy::change(SandboxChange::RoBind { path: "/a b".into() });
        assert!(bind.instructions().starts_with("bwrap: --ro-bind '/a b' '/a b'\n"));
    }
}

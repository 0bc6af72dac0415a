//! Settings as values: whether one was made, and how it is taken back.

use super::{Namespaces, Sandbox};

/// Declares the settings and, in one place, what each of them is in a sandbox.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $($field:ident).+ $(, $more:ident.$other:ident)*;)+) => {
        /// A setting of a [`Sandbox`] besides its operations, its environment and its new namespaces.
        ///
        /// [`Sandbox::is_set`] says whether it was made, [`Sandbox::unset`] takes it back.
        ///
        /// ```
        /// use bwrap_launch::{Sandbox, Setting};
        /// let profile = Sandbox::new().ro_bind("/", "/").new_session().die_with_parent();
        /// assert!(profile.is_set(Setting::NewSession));
        /// // the same profile for an interactive shell
        /// let shell = profile.unset(Setting::NewSession);
        /// assert_eq!(shell.to_string(), "bwrap --clearenv --die-with-parent --ro-bind / /");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Setting {
            $($(#[$doc])* $name,)+
        }

        impl Setting {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }

        impl Sandbox {
            /// Whether the setting was made.
            #[must_use]
            pub fn is_set(&self, setting: Setting) -> bool {
                match setting {
                    $(Setting::$name => made(&self.$($field).+) $(|| made(&self.$more.$other))*,)+
                }
            }

            /// Takes the setting back, as if it had never been made.
            ///
            /// Variables are taken back by [`env_remove`](Self::env_remove) and [`env_clear`](Self::env_clear), new
            /// namespaces by [`share`](Self::share), operations by [`retain_operations`](Self::retain_operations).
            pub fn unset(mut self, setting: Setting) -> Self {
                match setting {
                    $(Setting::$name => {
                        self.$($field).+ = Default::default();
                        $(self.$more.$other = Default::default();)*
                    })+
                }
                self
            }
        }
    };
}

settings! {
    /// [`Sandbox::as_pid_1`].
    AsPid1: lifetime.as_pid_1;
    /// [`Sandbox::assert_userns_disabled`].
    AssertUsernsDisabled: privileges.assert_userns_disabled;
    /// [`Sandbox::cap_add`], [`Sandbox::cap_drop`] and their `_all`: every one.
    Capabilities: privileges.capabilities;
    /// [`Sandbox::current_dir`].
    CurrentDir: current_dir;
    /// [`Sandbox::debug_option`]: every one.
    DebugOptions: debug_options;
    /// [`Sandbox::die_with_parent`].
    DieWithParent: lifetime.die_with_parent;
    /// [`Sandbox::disable_userns`].
    DisableUserns: privileges.disable_userns;
    /// [`Sandbox::exec_label`].
    ExecLabel: privileges.exec_label;
    /// [`Sandbox::file_label`].
    FileLabel: privileges.file_label;
    /// [`Sandbox::gid`].
    Gid: identity.gid;
    /// [`Sandbox::hostname`].
    Hostname: identity.hostname;
    /// [`Sandbox::map_uids`] and [`Sandbox::map_gids`].
    IdMaps: identity.uid_map, identity.gid_map;
    /// [`Sandbox::info_fd`].
    InfoFd: lifetime.info_fd;
    /// [`Sandbox::join_pid`].
    JoinPid: namespaces.join_pid;
    /// [`Sandbox::join_user`].
    JoinUser: namespaces.join_user;
    /// [`Sandbox::join_user_after_setup`].
    JoinUserAfterSetup: namespaces.join_user2;
    /// [`Sandbox::level_prefix`].
    LevelPrefix: level_prefix;
    /// [`Sandbox::lock_file`]: every one.
    LockFiles: lifetime.lock_files;
    /// [`Sandbox::new_session`].
    NewSession: privileges.new_session;
    /// [`Sandbox::not_a_security_boundary`].
    NotASecurityBoundary: privileges.not_a_security_boundary;
    /// [`Sandbox::optional`]: every feature.
    Optional: optional;
    /// [`Sandbox::seccomp`]: every filter.
    Seccomp: privileges.filters;
    /// [`Sandbox::share_net`].
    ShareNet: namespaces.share_net;
    /// [`Sandbox::sync_fd`]: every one.
    SyncFds: lifetime.sync_fds;
    /// [`Sandbox::uid`].
    Uid: identity.uid;
}

fn made<T: Default + PartialEq>(value: &T) -> bool {
    *value != T::default()
}

impl Sandbox {
    /// Takes [`unshare`](Self::unshare) back: the sandbox has the caller's namespaces of these kinds.
    ///
    /// [`Namespaces::USER`] takes `USER_TRY` along and the other way round; so does `CGROUP`. After
    /// [`unshare_all`](Self::unshare_all), sharing the network is bwrap's own `--share-net`; for other kinds, what is
    /// left of [`Namespaces::ALL`] is listed.
    ///
    /// ```
    /// use bwrap_launch::{Namespaces, Sandbox};
    /// let base = Sandbox::new().unshare(Namespaces::PID | Namespaces::NET);
    /// assert_eq!(base.share(Namespaces::NET), Sandbox::new().unshare(Namespaces::PID));
    /// let all = Sandbox::new().unshare_all();
    /// assert_eq!(all.clone().share(Namespaces::NET), all.clone().share_net());
    /// assert_eq!(
    ///     all.share(Namespaces::UTS | Namespaces::CGROUP).to_string(),
    ///     "bwrap --clearenv --unshare-user-try --unshare-ipc --unshare-pid --unshare-net"
    /// );
    /// ```
    pub fn share(mut self, namespaces: Namespaces) -> Self {
        let settings = &mut self.namespaces;
        if namespaces.contains(Namespaces::ALL) {
            (settings.unshare, settings.share_net) = (Namespaces::empty(), false);
            return self;
        }
        let mut shared = namespaces;
        for kind in [Namespaces::USER | Namespaces::USER_TRY, Namespaces::CGROUP | Namespaces::CGROUP_TRY] {
            if shared.intersects(kind) {
                shared |= kind;
            }
        }
        if settings.unshare.contains(Namespaces::ALL) {
            settings.share_net |= shared.contains(Namespaces::NET);
            if shared.intersects(Namespaces::NET.complement()) {
                settings.unshare.remove(Namespaces::ALL);
                settings.unshare |= Namespaces::IN_ALL;
                if std::mem::take(&mut settings.share_net) {
                    settings.unshare.remove(Namespaces::NET);
                }
            }
        }
        settings.unshare.remove(shared);
        self
    }

    /// Keeps the operations for which `keep` says yes, in their order.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, op::Operation};
    /// let profile = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").proc("/proc");
    /// let without_proc = profile.retain_operations(|operation| !matches!(operation, Operation::Proc(_)));
    /// assert_eq!(without_proc, Sandbox::new().ro_bind("/", "/").tmpfs("/tmp"));
    /// ```
    pub fn retain_operations(mut self, keep: impl FnMut(&super::Operation) -> bool) -> Self {
        self.operations.retain(keep);
        self
    }
}

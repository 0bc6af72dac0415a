//! What to run in: an inert, ordered, cloneable description.
//!
//! A [`Sandbox`] opens nothing, reads nothing and launches nothing; it knows no spelling of bwrap's options either
//! (that is the business of the room next door). Each thought has a file: operations on the file system,
//! namespaces, identity, privileges, environment, lifetime, content. `check` holds the rules that are errors,
//! `lint` those that are advice.

mod check;
mod content;
mod environment;
mod feature;
mod hardened;
mod identity;
mod invalid;
mod layout;
mod lifetime;
mod lint;
mod namespaces;
pub mod op;
mod plan;
mod privileges;
mod read;
mod setting;
mod shown;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) use crate::capability::Capability;
pub(crate) use check::{check_filter_size, text as check_text};
pub(crate) use content::ContentKind;
pub use content::{Content, Descriptor};
pub use environment::Inherit;
pub(crate) use environment::{Environment, EnvironmentChange, Value};
pub use feature::Feature;
pub use identity::IdRange;
pub(crate) use identity::Identity;
pub(crate) use invalid::MAX_FILTER;
pub use invalid::{Invalid, Place, Problem};
pub(crate) use layout::{below, relative};
pub(crate) use lifetime::Lifetime;
pub(crate) use lint::ENGINE_SOCKETS;
pub use lint::{Advice, Circumstances, Lint};
pub(crate) use namespaces::NamespaceSettings;
pub use namespaces::Namespaces;
pub(crate) use op::{
    Access, Bind, BindData, BindFd, Chmod, Dev, Dir, File, Mqueue, Operation, Overlay, OverlayKind, Proc,
    RemountRo, Symlink, Tmpfs,
};
pub(crate) use plan::Plan;
pub(crate) use privileges::Privileges;
pub use privileges::{CapabilityChange, Filter, UnsupportedArchitecture};
pub use setting::Setting;

/// A description of a sandbox: everything that bwrap can be told but the command itself.
///
/// It is a plain value: build it once, clone it, compare it, keep it in a table, launch it as often as you
/// like. Nothing is checked while it is built; [`check`](Self::check) says what is wrong, and so does every
/// launch before anything runs. `Display` and `Debug` show the bwrap command line that it stands for, fit to
/// be pasted into dash, bash or busybox sh; secrets are left out, and what files hold comes through pipes. [`from_args`](Self::from_args) reads such a line.
///
/// The command inside sees no environment variable but `PWD`, unless asked.
///
/// ```
/// use bwrap_launch::Sandbox;
/// let sandbox = Sandbox::new()
///     .ro_bind("/lib", "/lib")
///     .ro_bind("/usr", "/usr")
///     .symlink("/usr/lib64", "/lib64")
///     .proc("/proc")
///     .dev("/dev")
///     .tmpfs("/tmp")
///     .unshare_all()
///     .new_session();
/// assert_eq!(
///     sandbox.to_string(),
///     "bwrap --clearenv --unshare-all --new-session --ro-bind /lib /lib --ro-bind /usr /usr \
///      --symlink /usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp"
/// );
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use = "a Sandbox does nothing until a Command is launched in it"]
pub struct Sandbox {
    pub(crate) operations: Vec<Operation>,
    pub(crate) namespaces: NamespaceSettings,
    pub(crate) identity: Identity,
    pub(crate) privileges: Privileges,
    pub(crate) environment: Environment,
    pub(crate) lifetime: Lifetime,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) level_prefix: bool,
    pub(crate) debug_options: Vec<OsString>,
    pub(crate) optional: BTreeSet<Feature>,
}

impl Sandbox {
    /// An empty sandbox: no files, the caller's namespaces (a user namespace for whoever is not root), no
    /// environment.
    pub fn new() -> Self {
        Self::default()
    }
}

/// # Files, in the order in which bwrap mounts and creates them
///
/// Sources are paths of the host, destinations paths inside: relative to the new root, whatever their form, and
/// without `..`, which bwrap would follow onto the host.
/// The short methods take bwrap's defaults; the types behind [`Operation`] set modes, sizes and the rest.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Chmod;
/// let sandbox = Sandbox::new()
///     .ro_bind("/", "/")
///     .tmpfs("/tmp")
///     .dir("/tmp/notes")
///     .file("hello\n", "/tmp/notes/today")
///     .add(Chmod::new(0o600, "/tmp/notes/today"))
///     .symlink("notes/today", "/tmp/latest");
/// assert_eq!(sandbox.operations().len(), 6);
/// assert_eq!(sandbox.command("cat").arg("/tmp/latest").output()?.stdout, b"hello\n");
///
/// let more = Sandbox::new().bind("/srv", "/srv").dev_bind("/dev/dri", "/dev/dri").proc("/proc").dev("/dev");
/// assert_eq!(
///     more.to_string(),
///     "bwrap --clearenv --bind /srv /srv --dev-bind /dev/dri /dev/dri --proc /proc --dev /dev"
/// );
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
impl Sandbox {
    /// Appends an operation on the file system. The methods below are short for the most common ones.
    #[allow(clippy::should_implement_trait, reason = "adding is what it does, and a sandbox is no number")]
    pub fn add(mut self, operation: impl Into<Operation>) -> Self {
        self.operations.push(operation.into());
        self
    }

    /// Mounts the host's `source` on `destination`, readable and writable (`--bind`).
    pub fn bind(self, source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        self.add(Bind::read_write(source, destination))
    }

    /// Mounts the host's `source` on `destination`, readable only (`--ro-bind`).
    pub fn ro_bind(self, source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        self.add(Bind::read_only(source, destination))
    }

    /// Mounts the host's `source` on `destination`, device nodes usable (`--dev-bind`).
    pub fn dev_bind(self, source: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        self.add(Bind::device(source, destination))
    }

    /// Mounts a procfs on `destination` (`--proc`): a new one if the sandbox has a PID namespace of its own,
    /// the host's otherwise.
    pub fn proc(self, destination: impl Into<PathBuf>) -> Self {
        self.add(Proc::new(destination))
    }

    /// Mounts a minimal `/dev` on `destination` (`--dev`).
    pub fn dev(self, destination: impl Into<PathBuf>) -> Self {
        self.add(Dev::new(destination))
    }

    /// Mounts a new tmpfs on `destination`, mode 0755 (`--tmpfs`). [`Tmpfs`] sets mode and size.
    pub fn tmpfs(self, destination: impl Into<PathBuf>) -> Self {
        self.add(Tmpfs::new(destination))
    }

    /// Creates the directory `destination`, mode 0755 (`--dir`). [`Dir`] sets the mode.
    pub fn dir(self, destination: impl Into<PathBuf>) -> Self {
        self.add(Dir::new(destination))
    }

    /// Creates the file `destination`, mode 0666 (`--file`). [`File`] sets the mode.
    pub fn file(self, content: impl Into<Content>, destination: impl Into<PathBuf>) -> Self {
        self.add(File::new(content, destination))
    }

    /// Creates a symbolic link at `destination` that points to `target` (`--symlink`).
    pub fn symlink(self, target: impl Into<PathBuf>, destination: impl Into<PathBuf>) -> Self {
        self.add(Symlink::new(target, destination))
    }

    /// The operations so far. They are in the order in which they were added.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

/// # Namespaces
///
/// What each kind keeps apart is in `namespaces(7)`. Namespaces to join are descriptors of `/proc/PID/ns/*`,
/// as `setns(2)` takes them.
///
/// ```
/// use bwrap_launch::{Descriptor, Namespaces, Sandbox};
/// let locked = Sandbox::new().unshare(Namespaces::USER).disable_userns().assert_userns_disabled();
/// assert_eq!(
///     locked.to_string(),
///     "bwrap --clearenv --unshare-user --disable-userns --assert-userns-disabled"
/// );
/// let online = Sandbox::new().unshare_all().share_net();
/// assert_eq!(online.to_string(), "bwrap --clearenv --unshare-all --share-net");
/// let joined = Sandbox::new()
///     .join_user(Descriptor::number(5))
///     .join_user_after_setup(Descriptor::number(6))
///     .join_pid(Descriptor::number(7));
/// assert_eq!(joined.to_string(), "bwrap --clearenv --userns 5 --userns2 6 --pidns 7");
/// ```
impl Sandbox {
    /// Gives the sandbox these namespaces of its own, besides those asked for before.
    pub fn unshare(mut self, namespaces: Namespaces) -> Self {
        self.namespaces.unshare |= namespaces;
        self
    }

    /// Gives the sandbox every namespace of its own that bwrap knows (`--unshare-all`).
    pub fn unshare_all(self) -> Self {
        self.unshare(Namespaces::ALL)
    }

    /// Leaves the sandbox the caller's network although [`unshare_all`](Self::unshare_all) is asked for,
    /// before or after (`--share-net`).
    ///
    /// ```
    /// use bwrap_launch::{Namespaces, Problem, Sandbox};
    /// assert_eq!(Sandbox::new().share_net().unshare_all(), Sandbox::new().unshare_all().share_net());
    /// // sharing what is asked to be new by name is a contradiction
    /// let both = Sandbox::new().unshare(Namespaces::NET).share_net();
    /// assert_eq!(both.check().unwrap_err().problem, Problem::NetworkSharedAndNot);
    /// ```
    pub fn share_net(mut self) -> Self {
        self.namespaces.share_net = true;
        self
    }

    /// Enters an existing user namespace (`--userns`), for example `/proc/PID/ns/user` of another sandbox.
    ///
    /// bwrap leaves such descriptors open in the command; see [`Lint::NamespaceDescriptorInherited`].
    ///
    /// It cannot go with a new user namespace, so list the others instead of
    /// [`unshare_all`](Self::unshare_all).
    ///
    /// ```
    /// use bwrap_launch::{Namespaces, Problem, Sandbox};
    /// let namespace = std::fs::File::open("/proc/self/ns/user")?;
    /// let sandbox = Sandbox::new().join_user(namespace).unshare(Namespaces::PID);
    /// assert!(sandbox.check().is_ok());
    /// let error = sandbox.unshare_all().check().unwrap_err();
    /// assert_eq!(error.problem, Problem::JoinedAndNewUserNamespace);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_user(mut self, namespace: impl Into<Descriptor>) -> Self {
        self.namespaces.join_user = Some(namespace.into());
        self
    }

    /// Switches to another user namespace once everything is set up (`--userns2`).
    pub fn join_user_after_setup(mut self, namespace: impl Into<Descriptor>) -> Self {
        self.namespaces.join_user2 = Some(namespace.into());
        self
    }

    /// Enters an existing PID namespace (`--pidns`), as the parent of a new one if that is asked for too.
    pub fn join_pid(mut self, namespace: impl Into<Descriptor>) -> Self {
        self.namespaces.join_pid = Some(namespace.into());
        self
    }

    /// Forbids further user namespaces inside (`--disable-userns`). It wants [`Namespaces::USER`] and a
    /// writable `/proc/sys`.
    ///
    /// ```
    /// use bwrap_launch::{Namespaces, Problem, Sandbox};
    /// let sandbox = Sandbox::new().unshare_all().disable_userns();
    /// // ALL only tries to make a user namespace: that is not enough
    /// assert_eq!(sandbox.check().unwrap_err().problem, Problem::NeedsUserNamespace("disable_userns"));
    /// assert!(sandbox.unshare(Namespaces::USER).check().is_ok());
    /// ```
    pub fn disable_userns(mut self) -> Self {
        self.privileges.disable_userns = true;
        self
    }

    /// Fails unless further user namespaces are impossible inside (`--assert-userns-disabled`).
    pub fn assert_userns_disabled(mut self) -> Self {
        self.privileges.assert_userns_disabled = true;
        self
    }
}

/// # Identity
///
/// Without these the command keeps the caller's ids and host name. See `user_namespaces(7)`,
/// `uts_namespaces(7)`.
///
/// ```
/// use bwrap_launch::{IdRange, Namespaces, Sandbox};
/// let named = Sandbox::new().unshare(Namespaces::USER | Namespaces::UTS).uid(1000).gid(100).hostname("box");
/// assert_eq!(
///     named.to_string(),
///     "bwrap --clearenv --unshare-user --unshare-uts --uid 1000 --gid 100 --hostname box"
/// );
/// let one = [IdRange::new(0, 1000, 1)];
/// let mapped = Sandbox::new().unshare(Namespaces::USER).map_uids(one).map_gids(one);
/// assert!(mapped.check().is_ok());
/// ```
impl Sandbox {
    /// The user id inside (`--uid`), 2147483647 at most. Root needs a user namespace for it. Without, the
    /// command has the caller's.
    pub fn uid(mut self, uid: u32) -> Self {
        self.identity.uid = Some(uid);
        self
    }

    /// The group id inside (`--gid`), 2147483647 at most. Root needs a user namespace for it. Without, the
    /// command has the caller's.
    pub fn gid(mut self, gid: u32) -> Self {
        self.identity.gid = Some(gid);
        self
    }

    /// Maps ranges of user ids instead of the caller's alone (`--userns-block-fd`). The launcher writes the
    /// map itself as root and through `newuidmap(1)` otherwise. The caller's own id must be in it.
    ///
    /// Calls add up. Ranges may not overlap on either side, and it needs [`Namespaces::USER`].
    ///
    /// ```
    /// use bwrap_launch::{IdRange, Namespaces, Problem, Sandbox};
    /// let ids = [IdRange::new(0, 1000, 1), IdRange::new(1, 100_000, 65_535)];
    /// let sandbox = Sandbox::new().unshare(Namespaces::USER).map_uids(ids);
    /// assert_eq!(sandbox.check().unwrap_err().problem, Problem::IdMapIncomplete("group"));
    /// assert!(sandbox.map_gids(ids).check().is_ok());
    /// ```
    pub fn map_uids(mut self, ranges: impl IntoIterator<Item = IdRange>) -> Self {
        self.identity.uid_map.extend(ranges);
        self
    }

    /// Maps ranges of group ids, as [`map_uids`](Self::map_uids) does for users; both must be given.
    pub fn map_gids(mut self, ranges: impl IntoIterator<Item = IdRange>) -> Self {
        self.identity.gid_map.extend(ranges);
        self
    }

    /// The host name inside (`--hostname`), 64 bytes at most; it wants [`Namespaces::UTS`]. See
    /// `sethostname(2)`.
    ///
    /// ```
    /// use bwrap_launch::{Namespaces, Problem, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").hostname("builder");
    /// assert_eq!(sandbox.check().unwrap_err().problem, Problem::HostnameNeedsUts);
    /// let output = sandbox.unshare(Namespaces::UTS).command("uname").arg("-n").output()?;
    /// assert_eq!(output.stdout, b"builder\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn hostname(mut self, name: impl Into<OsString>) -> Self {
        self.identity.hostname = Some(name.into());
        self
    }
}

/// # Privileges
///
/// bwrap always sets `no_new_privs` (`prctl(2)`), so setuid programs and file capabilities give nothing
/// inside. Additions and drops of capabilities (`capabilities(7)`) count in the order of the calls.
///
/// ```
/// use bwrap_launch::{Capability, Descriptor, Sandbox};
/// let sandbox = Sandbox::new()
///     .new_session()
///     .cap_drop_all()
///     .cap_add(Capability::CAP_CHOWN)
///     .seccomp(Descriptor::number(5));
/// assert_eq!(
///     sandbox.to_string(),
///     "bwrap --clearenv --new-session --cap-drop ALL --cap-add CAP_CHOWN --seccomp 5"
/// );
/// let label = "system_u:system_r:svirt_lxc_net_t:s0";
/// let labelled = Sandbox::new().exec_label(label).file_label(label).not_a_security_boundary();
/// assert!(labelled.check().is_ok());
/// ```
impl Sandbox {
    /// Gives the command a terminal session of its own (`--new-session`), so that it cannot push characters
    /// into the caller's terminal (CVE-2017-5226). Job control does not work inside then;
    /// [`Filter::terminal`] is the other way. See `setsid(2)`.
    pub fn new_session(mut self) -> Self {
        self.privileges.new_session = true;
        self
    }

    /// Gives or leaves the command a capability (`--cap-add`), in order with the drops.
    pub fn cap_add(self, capability: Capability) -> Self {
        self.capability(CapabilityChange::Add(capability))
    }

    /// Takes a capability from the command (`--cap-drop`), in order with the additions.
    pub fn cap_drop(self, capability: Capability) -> Self {
        self.capability(CapabilityChange::Drop(capability))
    }

    /// Gives the command every capability of its user namespace (`--cap-add ALL`). Refused as root without
    /// such a namespace, where bwrap would silently ignore drops if the caller lacked a single capability:
    /// name them one by one there.
    ///
    /// ```
    /// use std::os::unix::fs::MetadataExt;
    /// use bwrap_launch::{Capability, Sandbox};
    /// let sandbox = Sandbox::new().cap_add_all().cap_drop(Capability::CAP_SYS_ADMIN);
    /// assert_eq!(sandbox.to_string(), "bwrap --clearenv --cap-add ALL --cap-drop CAP_SYS_ADMIN");
    /// // the sandbox does not know who launches it, the command does
    /// let root = std::fs::metadata("/proc/self")?.uid() == 0;
    /// assert_eq!(sandbox.command("true").check().is_err(), root);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cap_add_all(self) -> Self {
        self.capability(CapabilityChange::AddAll)
    }

    /// Takes every capability from the command (`--cap-drop ALL`).
    pub fn cap_drop_all(self) -> Self {
        self.capability(CapabilityChange::DropAll)
    }

    fn capability(mut self, change: CapabilityChange) -> Self {
        self.privileges.capabilities.push(change);
        self
    }

    /// Filters the command's system calls (`--seccomp`; `--add-seccomp-fd` for several, of which all but the
    /// last must allow `prctl`).
    pub fn seccomp(mut self, filter: impl Into<Filter>) -> Self {
        self.privileges.filters.push(filter.into());
        self
    }

    /// The command's `SELinux` context (`--exec-label`). It needs a bwrap built with `SELinux`; see
    /// `setexeccon(3)`.
    pub fn exec_label(mut self, context: impl Into<OsString>) -> Self {
        self.privileges.exec_label = Some(context.into());
        self
    }

    /// The `SELinux` context of files that bwrap creates (`--file-label`). It needs a bwrap built with
    /// `SELinux`; see `setfscreatecon(3)`.
    pub fn file_label(mut self, context: impl Into<OsString>) -> Self {
        self.privileges.file_label = Some(context.into());
        self
    }

    /// Starts the sandbox although parts of it could not be made read-only (`--not-a-security-boundary`,
    /// bwrap 0.12). Never for code you do not trust.
    pub fn not_a_security_boundary(mut self) -> Self {
        self.privileges.not_a_security_boundary = true;
        self
    }
}

/// # Environment
///
/// Later settings win over earlier ones, and all of them over what is inherited. Names that are empty or contain `=` are refused at the launch.
///
/// ```
/// use bwrap_launch::Sandbox;
/// let sandbox = Sandbox::new()
///     .ro_bind("/", "/")
///     .env("A", "1")
///     .env("B", "2")
///     .env_remove("B")
///     .env_secret("C", "3")
///     .current_dir("/usr");
/// let output = sandbox.command("sh").args(["-c", "echo $A$B$C $PWD"]).output()?;
/// assert_eq!(output.stdout, b"13 /usr\n");
/// // whoever wants all of the caller's variables says so
/// assert_eq!(sandbox.env_clear().inherit_env().to_string(), "bwrap --ro-bind / / --chdir /usr");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
impl Sandbox {
    /// Sets an environment variable (`--setenv`). It shows in the command line that `Debug` and `Display`
    /// write.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.set(name.into(), value.into(), false);
        self
    }

    /// Sets an environment variable whose value no `Debug`, `Display`, log line or process list shows.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").env_secret("TOKEN", "hunter2");
    /// assert_eq!(sandbox.to_string(), "bwrap --clearenv --setenv TOKEN '[secret]' --ro-bind / /");
    /// let output = sandbox.command("sh").args(["-c", "echo $TOKEN"]).output()?;
    /// assert_eq!(output.stdout, b"hunter2\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn env_secret(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.set(name.into(), value.into(), true);
        self
    }

    /// Removes an environment variable (`--unsetenv`), inherited or set.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.unset(name.into());
        self
    }

    /// Forgets every variable set and every wish to inherit, as for a new sandbox (`--clearenv`).
    pub fn env_clear(mut self) -> Self {
        self.environment.clear();
        self
    }

    /// Lets the command see the caller's whole environment, as it is at the launch.
    pub fn inherit_env(mut self) -> Self {
        self.environment.inherit = Inherit::Everything;
        self
    }

    /// Lets the command see these variables of the caller's, those that are set at the launch.
    ///
    /// Calls add up. A variable that the caller has not set stays unset.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").inherit_env_only(["PATH", "NO_SUCH"]);
    /// let output = sandbox.command("sh").args(["-c", "echo $PATH; echo ${NO_SUCH-unset}"]).output()?;
    /// let path = std::env::var("PATH").unwrap();
    /// assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{path}\nunset\n"));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn inherit_env_only(mut self, names: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.environment.inherit_only(names.into_iter().map(Into::into));
        self
    }

    /// The directory, inside, in which the command starts (`--chdir`). Without, bwrap takes the caller's if
    /// it is there inside, else `$HOME`, else `/`.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(directory.into());
        self
    }
}

/// # Lifetime
///
/// ```
/// use bwrap_launch::{Descriptor, Namespaces, Sandbox};
/// let sandbox = Sandbox::new()
///     .unshare(Namespaces::PID)
///     .die_with_parent()
///     .lock_file("/run/box.lock")
///     .sync_fd(Descriptor::number(5))
///     .info_fd(Descriptor::number(6));
/// assert_eq!(
///     sandbox.to_string(),
///     "bwrap --clearenv --unshare-pid --die-with-parent --lock-file /run/box.lock --sync-fd 5 --info-fd 6"
/// );
/// assert!(Sandbox::new().unshare(Namespaces::PID).as_pid_1().check().is_ok());
/// ```
impl Sandbox {
    /// Kills the sandbox when the calling process ends (`--die-with-parent`), whichever thread launched it.
    /// The signal is SIGKILL (`PR_SET_PDEATHSIG` of `prctl(2)`). Processes that the command started die with
    /// it only if the sandbox has a PID namespace.
    ///
    /// bwrap ties its processes to the caller late, the last of them just before it executes the command: if the caller
    /// is killed during these milliseconds, nobody tells bwrap and the command runs.
    /// [`Command::prepare`](crate::Command::prepare) leaves no such moment before its
    /// [`start`](crate::Prepared::start), and [`Command::die_with_caller`](crate::Command::die_with_caller) leaves none. Nor does
    /// it end a command that traces process 1 (`ptrace(2)`), which that one does.
    ///
    /// Such launches run on one helper thread of this crate. If your thread has other namespaces, capabilities or the like
    /// than that one, a fresh thread is used, which stays for as long as the sandbox does. What cannot be compared (which system call filters a thread has, though not how many,
    /// Landlock's rules, a memory policy) is taken from the thread that launched first.
    pub fn die_with_parent(mut self) -> Self {
        self.lifetime.die_with_parent = true;
        self
    }

    /// Runs the command itself as process 1 of its PID namespace (`--as-pid-1`), with all that this means for
    /// signals and orphans. See `pid_namespaces(7)`. It needs a new PID namespace and excludes
    /// [`lock_file`](Self::lock_file).
    pub fn as_pid_1(mut self) -> Self {
        self.lifetime.as_pid_1 = true;
        self
    }

    /// Holds a shared lock on a file inside while the sandbox lives (`--lock-file`). It wants a PID
    /// namespace: bwrap loses track of the command otherwise.
    ///
    /// The path is one inside, and the file must be there. The lock is one of `fcntl(2)`, for reading; the
    /// command may start before it is held. If bwrap cannot take it, it ends with status 1, so a command's
    /// own status 1 becomes [`Undecided`](crate::Undecided).
    ///
    /// ```
    /// use bwrap_launch::{Namespaces, Problem, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").lock_file("/run/box.lock");
    /// assert_eq!(sandbox.check().unwrap_err().problem, Problem::NeedsPidNamespace("lock_file"));
    /// assert!(sandbox.unshare(Namespaces::PID).check().is_ok());
    /// ```
    pub fn lock_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.lifetime.lock_files.push(path.into());
        self
    }

    /// Keeps a descriptor open for as long as any process of the sandbox lives (`--sync-fd`). With a PID
    /// namespace its other end sees the end of file exactly when everything is gone.
    ///
    /// Several are kept by bwrap 0.13.1 and newer. For an older one a second is a [`MissingOption`], or, after
    /// [`optional`](Self::optional) with [`Feature::SyncFds`], only the last counts.
    ///
    /// [`MissingOption`]: crate::MissingOption
    ///
    /// Nothing is ever written to it. A sandbox that owns the descriptor holds a copy itself until it is
    /// dropped.
    ///
    /// ```
    /// use std::io::Read;
    /// use bwrap_launch::{Namespaces, Sandbox};
    /// let (mut reader, writer) = std::io::pipe().unwrap();
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare(Namespaces::PID).sync_fd(writer);
    /// assert!(sandbox.command("true").status()?.success());
    /// drop(sandbox);
    /// assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn sync_fd(mut self, descriptor: impl Into<Descriptor>) -> Self {
        self.lifetime.sync_fds.push(descriptor.into());
        self
    }

    /// Lets bwrap write its JSON description of the running sandbox to a descriptor (`--info-fd`).
    ///
    /// It is written before anything is mounted, so it says nothing about success. [`Child::namespaces`]
    /// tells the same without a descriptor.
    ///
    /// [`Child::namespaces`]: crate::Child::namespaces
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let (reader, writer) = std::io::pipe().unwrap();
    /// let sandbox = Sandbox::new().ro_bind("/", "/").info_fd(writer);
    /// assert!(sandbox.command("true").status()?.success());
    /// drop(sandbox); // it owns our copy of the writing end
    /// assert!(std::io::read_to_string(reader).unwrap().contains("\"child-pid\""));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn info_fd(mut self, descriptor: impl Into<Descriptor>) -> Self {
        self.lifetime.info_fd = Some(descriptor.into());
        self
    }
}

/// # bwrap itself
///
/// ```
/// use bwrap_launch::{Feature, Sandbox};
/// let sandbox = Sandbox::new()
///     .level_prefix()
///     .debug_option("force-openat-fallback")
///     .optional(Feature::LevelPrefix)
///     .optional(Feature::DebugOption);
/// assert!(sandbox.to_string().contains("--debug-opt=force-openat-fallback"));
/// assert!(sandbox.to_string().ends_with(" --level-prefix"));
/// ```
impl Sandbox {
    /// Drops this feature, and says so in the result, if the bwrap at hand has no option for it. Otherwise
    /// that is an error before anything is launched.
    ///
    /// ```
    /// use bwrap_launch::{Bwrap, Feature, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").level_prefix().optional(Feature::LevelPrefix);
    /// let output = sandbox.command("true").output()?;
    /// let knows_it = Bwrap::find()?.accepts("--level-prefix");
    /// assert_eq!(output.dropped.contains(&Feature::LevelPrefix), !knows_it);
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn optional(mut self, feature: Feature) -> Self {
        self.optional.insert(feature);
        self
    }

    /// Lets bwrap begin each of its messages with `<3>` or `<4>` for the system log (`--level-prefix`, bwrap
    /// 0.11).
    pub fn level_prefix(mut self) -> Self {
        self.level_prefix = true;
        self
    }

    /// A test hook of bwrap 0.12 and newer (`--debug-opt=KEY`), such as `force-openat-fallback`.
    pub fn debug_option(mut self, key: impl Into<OsString>) -> Self {
        self.debug_options.push(key.into());
        self
    }
}

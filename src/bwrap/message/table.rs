//! Every message bwrap is known to print, one row each, under the stage that prints it.
//!
//! A new message goes under its stage as one line: a constructor that says what follows the
//! message, the option it is about (`""` if it does not tell), its text as bwrap's source spells
//! it, and one letter for each of its holes:
//!
//! | constructor | after the message bwrap prints |
//! |---|---|
//! | [`plain`]   | nothing |
//! | [`errno`]   | `: ` and what `strerror` says |
//! | [`stale`]   | as `errno`, but about an earlier, unrelated call |
//! | [`result`]  | `: `, a row of [`REASONS`] and what that row says |
//!
//! | letter | the hole is |
//! |---|---|
//! | `p` | the path inside the sandbox that the message is about |
//! | `q` | the other path |
//! | `b` | a source path that is also what the message is about |
//! | `f` | the path at which an operation failed (a mount below the destination, say) |
//! | `o` | an option |
//! | `n` | the name of a node that `--dev` makes |
//! | `s` | anything else worth keeping |
//! | `e` | what `strerror` says, in the middle of the message |
//! | `-` | of no use to anybody |
//!
//! `%s` takes any text (an option if the letter is `o`), every other conversion takes a number.
//! `also` lists the wordings of other versions. The order of rows does not matter: the row with
//! the most literal text wins.
//!
//! If one text serves a family of options (`--bind`, `--ro-bind`, `--dev-bind`), the row names the
//! first of the family.

use super::stage::{Severity, Stage};

/// What bwrap prints after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing.
    Plain,
    /// `: ` and the text of an error number.
    Errno,
    /// The text of an error number that an earlier call left behind.
    Stale,
    /// One of [`REASONS`]; only the text of an error number before 0.5.0.
    Result,
}

/// A text with holes, and a letter for each hole.
pub(super) type Wording = (&'static str, &'static str);

/// One message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) tail: Tail,
    pub(super) operation: &'static str,
    pub(super) wording: Wording,
    pub(super) also: &'static [Wording],
    pub(super) severity: Severity,
    pub(super) implied: Option<i32>,
    pub(super) bare: bool,
}

impl Row {
    /// Every wording, the canonical one first.
    pub(super) fn wordings(&'static self) -> impl Iterator<Item = &'static Wording> {
        std::iter::once(&self.wording).chain(self.also)
    }

    const fn new(tail: Tail, operation: &'static str, text: &'static str, holes: &'static str) -> Self {
        let wording = (text, holes);
        Self { tail, operation, wording, also: &[], severity: Severity::Fatal, implied: None, bare: false }
    }

    /// Other versions word it so.
    const fn also(mut self, wordings: &'static [Wording]) -> Self {
        self.also = wordings;
        self
    }

    /// The wording is chosen for this error number, which is not printed.
    const fn implies(mut self, code: i32) -> Self {
        self.implied = Some(code);
        self
    }

    /// bwrap goes on after it.
    const fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Printed without `bwrap: ` in front.
    const fn bare(mut self) -> Self {
        self.bare = true;
        self
    }
}

const fn plain(operation: &'static str, text: &'static str, holes: &'static str) -> Row {
    Row::new(Tail::Plain, operation, text, holes)
}

const fn errno(operation: &'static str, text: &'static str, holes: &'static str) -> Row {
    Row::new(Tail::Errno, operation, text, holes)
}

const fn stale(operation: &'static str, text: &'static str, holes: &'static str) -> Row {
    Row::new(Tail::Stale, operation, text, holes)
}

const fn result(operation: &'static str, text: &'static str, holes: &'static str) -> Row {
    Row::new(Tail::Result, operation, text, holes)
}

// The error numbers that a wording implies.
const EPERM: i32 = 1;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const ELOOP: i32 = 40;

/// The messages.
#[rustfmt::skip]
pub(super) static TABLE: &[(Stage, &[Row])] = &[
    (Stage::Loader, &[
        plain("", "error while loading shared libraries: %s", "s").also(&[
            ("%s: error while loading shared libraries: %s", "-s"),
            ("Error loading shared library %s", "s"), // musl
            ("Error relocating %s", "s"), // musl
        ]).bare(),
        plain("", "symbol lookup error: %s", "s").also(&[("%s: symbol lookup error: %s", "-s")]).bare(),
        plain("", "%s: version `%s' not found (required by %s)", "-s-").bare(),
    ]),
    (Stage::Privileges, &[
        plain("", "Can't parse /proc/sys/kernel/overflowgid", ""),
        plain("", "Can't parse /proc/sys/kernel/overflowuid", ""),
        errno("", "Can't read /proc/sys/kernel/overflowgid", ""),
        errno("", "Can't read /proc/sys/kernel/overflowuid", ""),
        errno("", "Unable to set fsuid", ""),
        errno("", "Unable to set fsuid (was %d)", "s"),
        plain("", "Unexpected capabilities but not setuid, old file caps config?", "").also(&[
            ("Unexpected capabilities but not setuid", ""), // as people shorten it
        ]),
        plain("", "Unexpected setuid user %d, should be 0", "s"),
        errno("", "can't set dumpable", ""),
        errno("", "capget (for uid == 0) failed", ""),
        errno("", "capget failed", ""),
        errno("", "prctl(PR_SET_DUMPABLE) failed", ""),
        errno("", "prctl(PR_SET_KEEPCAPS) failed", ""),
        errno("", "prctl(PR_SET_NO_NEW_PRIVS) failed", "").also(&[("prctl(PR_SET_NO_NEW_CAPS) failed", "")]),
        plain("", "setuid use of bubblewrap is not supported", "").also(&[("setuid use of bubblewrap is not supported in this build", "")]),
        errno("", "unable to drop privs", ""),
        errno("", "unable to drop root uid", ""),
    ]),
    (Stage::Arguments, &[
        plain("", "usage: %s [OPTIONS...] [--] COMMAND [ARGS...]%s", "--").also(&[("usage: %s [OPTIONS...]%s", "--")]).bare(),
        plain("", "%s takes an argument", "o").also(&[("%s takes one argument", "o")]),
        plain("", "%s takes two arguments", "o"),
        plain("", "%s takes three arguments", "o"),
        plain("", "%s takes an octal argument <= 07777", "o"),
        plain("", "%s given twice for the same action", "o"),
        plain("", "%s used multiple times", "o"),
        plain("", "%s does not take an empty path argument", "o"),
        plain("", "The %s option is not permitted in setuid mode", "o"),
        plain("", "Only the last %s option will take effect", "o").warning(),
        plain("", "Unknown option %s", "s"),
        plain("--debug-opt", "Unknown --debug-opt value: %s", "s"),
        plain("--add-seccomp-fd", "--add-seccomp-fd cannot be combined with --seccomp", ""),
        plain("--args", "--args not supported in arguments file", ""),
        errno("--args", "Can't read --args data", ""),
        errno("--file-label", "--file-label setup failed", ""),
        plain("--overlay", "--overlay requires at least one --overlay-src", ""),
        plain("--overlay-opt", "--overlay-opt must be followed%s", "-"),
        plain("--overlay-src", "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay", ""),
        plain("--perms", "--perms must be followed by an option that creates a file", ""),
        plain("--ro-overlay", "--ro-overlay requires at least two --overlay-src", ""),
        plain("--seccomp", "--seccomp cannot be combined with --add-seccomp-fd", ""),
        plain("--size", "--size (for tmpfs) is limited to %zu", "s"),
        plain("--size", "--size must be followed by --tmpfs", ""),
        plain("--size", "--size takes a non-zero number of bytes", ""),
        plain("--tmp-overlay", "--tmp-overlay requires at least one --overlay-src", ""),
        plain("", "Exceeded maximum number of arguments %u", "s"),
        plain("", "Invalid fd: %s", "s"),
        plain("--gid", "Invalid gid: %s", "s"),
        plain("--uid", "Invalid uid: %s", "s"),
        plain("", "unknown cap: %s", "s"),
        errno("", "invalid label %s", "s"),
        plain("", "labeling not supported on this system", ""),
        errno("--clearenv", "clearenv failed", ""),
        plain("--setenv", "setenv failed", ""),
        plain("--unsetenv", "unsetenv failed", ""),
    ]),
    (Stage::Checks, &[
        plain("--cap-add", "--cap-add in setuid mode can be used only by root", ""),
        plain("--disable-userns", "--disable-userns is not compatible with --userns-block-fd", "").also(&[("--disable-userns is not compatible with  --userns-block-fd", "")]),
        plain("--disable-userns", "--disable-userns requires --unshare-user", ""),
        plain("--userns", "--userns doesn't work in setuid mode", ""),
        plain("--userns", "--userns is not compatible with --unshare-user", "").also(&[("--userns not compatible --unshare-user", "")]),
        plain("--userns", "--userns is not compatible with --unshare-user-try", "").also(&[("--userns not compatible --unshare-user-try", "")]),
        plain("--userns-block-fd", "--userns-block-fd requires --info-fd", ""),
        plain("--userns-block-fd", "--userns-block-fd requires --unshare-user", ""),
        plain("--userns2", "--userns2 doesn't work in setuid mode", ""),
        errno("", "Can't open /proc", ""),
        plain("--unshare-cgroup", "Cannot create new cgroup namespace because the kernel does not support it", ""),
        errno("--unshare-cgroup", "stat on /proc/self/ns/cgroup failed", ""),
        errno("", "Creating root mountpoint failed", ""),
        plain("--as-pid-1", "Specifying --as-pid-1 and --lock-file is not permitted", ""),
        plain("--as-pid-1", "Specifying --as-pid-1 requires --unshare-pid", ""),
        plain("--gid", "Specifying --gid requires --unshare-user or --userns", "").also(&[("Specifying --gid requires --unshare-user", "")]),
        plain("--uid", "Specifying --uid requires --unshare-user or --userns", "").also(&[("Specifying --uid requires --unshare-user", "")]),
        plain("--hostname", "Specifying --hostname requires --unshare-uts", ""),
        errno("", "eventfd()", ""),
        errno("", "pipe2()", ""),
        errno("", "sigprocmask", ""),
    ]),
    (Stage::Namespaces, &[
        errno("--pidns", "Can't create intermediate pids socket", ""),
        errno("--pidns", "Can't fork for --pidns", ""),
        errno("--pidns", "Can't read pid from socket", "").also(&[("Cant read pid from socket", "")]),
        errno("--pidns", "Can't send pid", ""),
        errno("--pidns", "Can't set SO_PASSCRED", ""),
        plain("--pidns", "No pid returned on socket", ""),
        plain("--pidns", "Unexpected short read from pid socket", ""),
        errno("--pidns", "Setting pidns failed", ""),
        errno("--unshare-pid", "unshare pid ns", ""), // only together with --pidns
        errno("", "Creating new namespace failed", "").also(&[("Create new namespace failed", "")]), // as people retype it
        plain("", "Creating new namespace failed, likely because the kernel does not support user namespaces.%s", "-").implies(EINVAL),
        plain("", "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)", "").also(&[("Creating new namespace failed: No space left on device", ""), ("Create new namespace failed: No space left on device", "")]).implies(ENOSPC), // until 0.6.3
        // every distribution words the rest of it differently
        plain("", "No permissions to create a new namespace%s", "-").also(&[("No permissions to creat%s", "-")]).implies(EPERM),
        errno("--userns", "Joining specified user namespace failed", ""),
        plain("--userns", "Joining the specified user namespace failed, it might not be a descendant of the current user namespace.", "").implies(EINVAL),
        errno("--userns2", "Setting userns2 failed", ""),
    ]),
    (Stage::Loopback, &[
        plain("--unshare-net", "Can't create loopback device", ""), // until 0.1.7, in place of the others
        // the kernel's answer is not copied to errno
        stale("--unshare-net", "loopback: Failed RTM_NEWADDR", ""),
        stale("--unshare-net", "loopback: Failed RTM_NEWLINK", ""),
        errno("--unshare-net", "loopback: Failed to bind NETLINK_ROUTE socket", ""),
        errno("--unshare-net", "loopback: Failed to create NETLINK_ROUTE socket", ""),
        errno("--unshare-net", "loopback: Failed to look up lo", ""),
    ]),
    (Stage::IdMap, &[
        plain("", "Unable to re-set fsuid", ""),
        errno("", "error writing to setgroups", ""),
        errno("", "open /proc/%s failed", "s"),
        errno("", "setting up gid map", ""),
        errno("", "setting up uid map", ""),
        errno("", "unable to switch to gid %d", "s"),
        errno("", "unable to switch to uid %d", "s"),
    ]),
    (Stage::Sources, &[
        errno("", "Can't find source path %s", "b"),
        errno("", "Can't get type of source %s", "b"),
        errno("", "Can't open source %s", "b"),
        errno("--overlay", "Can't open overlay source %s", "b"), // 0.12
        errno("--overlay", "Can't open overlay workdir %s", "b"), // 0.12
    ]),
    (Stage::Mounts, &[
        errno("", "Can't open /proc/self/mountinfo", ""),
        plain("", "Can't parse mountinfo line", ""),
        errno("", "Creating newroot failed", ""),
        errno("", "Creating oldroot failed", ""),
        errno("", "Creating proc failed", ""), // 0.12, as the next
        errno("", "mounting proc", ""),
        plain("", "Symbolic link target pathname too long", ""),
        errno("", "chdir base_path", ""),
        errno("", "setting up newroot bind", ""),
        errno("", "vsnprintf", ""),
        errno("", "Failed to make / slave", ""),
        errno("", "Failed to mount tmpfs", ""),
        // destinations, of whatever operation
        errno("", "Can't create file at %s", "p"),
        errno("", "Can't mkdir %s", "p"),
        errno("", "Can't mkdir parents for %s", "p"),
        plain("", "Can't mount on symlink destination %s", "p"),
        errno("", "Can't open %s", "p"), // 0.12, as for --chmod
        errno("", "Can't get type of dest %s", "p"), // 0.12
        errno("", "Can't reopen %s", "p"), // 0.12
        errno("", "Can't resolve %s", "p"),
        plain("", "Destination is not a directory %s", "p"),
        plain("", "Destination is not a file %s", "p"),
        // bind mounts
        result("--bind", "Can't bind mount %s on %s", "qp"),
        plain("--bind", "Can't remount %s submount (%s), ignoring error", "pe").warning(),
        errno("--bind-data", "Can't create tmpfile for %s", "p"),
        errno("--bind-data", "Can't set mode %#o on file to be used for %s", "sp"),
        errno("--bind-fd", "Can't stat fd %d", "s"),
        errno("--bind-fd", "Can't stat mount at %s", "p"),
        stale("--bind-fd", "Race condition binding dirfd", ""), // compares, calls nothing
        result("--remount-ro", "Can't remount readonly on %s", "p"),
        // --dev; its nodes are known by name because --file prints the same text
        errno("--dev", "Can't create %s/devpts", "p").also(&[("Can't create %s/pts", "p")]),
        errno("--dev", "Can't create %s/shm", "p"),
        errno("--dev", "Can't create file %s/%s", "pn"),
        errno("--dev", "Can't create symlink %s", "p"),
        errno("--dev", "Can't create symlink %s/%s", "pn"),
        errno("--dev", "Can't make symlink at %s/ptmx", "p"),
        errno("--dev", "Can't mount devpts on %s", "p"),
        errno("--dev", "creating %s/console", "p"),
        // the other file systems
        errno("--mqueue", "Can't mount mqueue on %s", "p"),
        errno("--proc", "Can't access %s", "p"),
        errno("--proc", "Can't mount proc on %s", "p"),
        errno("--tmpfs", "Can't mount tmpfs on %s", "p"), // also --dev
        stale("--size", "Specified tmpfs size too large (%zu > %zu)", "s-"), // compares, calls nothing
        // overlays
        errno("--overlay", "Can't make overlay mount on %s with options %s", "ps"),
        plain("--overlay", "Can't make overlay mount on %s with options %s: Overlay directories may not overlap", "ps").implies(ELOOP),
        plain("--overlay", "Overlay mounts are not supported in setuid mode", ""),
        errno("--tmp-overlay", "Creating --tmp-overlay upperdir failed", ""),
        errno("--tmp-overlay", "Creating --tmp-overlay workdir failed", ""),
        // files, links and the rest
        errno("--chmod", "Can't chmod %#o %s", "sp"),
        errno("--file", "Can't create file %s", "p"),
        errno("--file", "Can't write data to file %s", "p"), // also --bind-data
        errno("--hostname", "Can't set hostname to %s", "s"),
        errno("--symlink", "Can't make symlink at %s", "p"),
        plain("--symlink", "Can't make symlink at %s: destination exists and is not a symlink", "p"),
        errno("--symlink", "Can't make symlink at %s: destination exists, and cannot read symlink target", "p"),
        plain("--symlink", "Can't make symlink at %s: existing destination is %s", "pq"),
    ]),
    (Stage::Pivot, &[
        errno("", "Failed to make old root rprivate", ""),
        errno("", "can't open /", ""),
        errno("", "chdir /", ""),
        errno("", "chdir / (base path)", ""),
        errno("", "chdir /newroot", "").also(&[("chdir newroot", "")]),
        errno("", "chroot /newroot", ""),
        errno("", "fchdir to oldroot", ""),
        errno("", "pivot_root", ""),
        errno("", "pivot_root(/newroot)", ""),
        errno("", "umount old root", ""),
        errno("", "unmount old root", ""),
    ]),
    (Stage::NestedUserNamespace, &[
        errno("--disable-userns", "cannot open /proc/sys/user/max_user_namespaces", ""),
        plain("--assert-userns-disabled", "creation of new user namespaces was not disabled as requested", ""),
        errno("--disable-userns", "sysctl user.max_user_namespaces = 1", ""),
        errno("", "unshare user ns", ""),
    ]),
    (Stage::Capabilities, &[
        errno("--cap-add", "Adding ambient capability %ld", "s"),
        errno("", "Dropping capability %ld from bounds", "s"),
        errno("", "capset failed", ""),
    ]),
    (Stage::Environment, &[
        errno("--chdir", "Can't chdir to %s", "p"),
        errno("", "Can't fork for pid 1", ""),
        errno("--exec-label", "label_exec %s", "s"),
        errno("--die-with-parent", "prctl", ""),
        errno("--new-session", "setsid", ""),
    ]),
    (Stage::Seccomp, &[
        errno("--seccomp", "Can't read seccomp data", ""),
        plain("--seccomp", "Invalid seccomp data, must be multiple of 8", "").also(&[("Invalide seccomp data, must be multiple of 8", "")]),
        plain("--seccomp", "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL.%s", "-").implies(EINVAL),
        errno("--seccomp", "prctl(PR_SET_SECCOMP)", ""),
    ]),
    (Stage::Exec, &[
        errno("", "execvp %s", "s"),
    ]),
    (Stage::Reaper, &[
        errno("--lock-file", "Unable to lock file %s", "p"),
        errno("--lock-file", "Unable to open lock file %s", "p"),
        errno("", "init wait()", ""),
    ]),
    (Stage::Monitor, &[
        errno("", "Can't create signalfd", ""),
        plain("", "Read unexpected signal", ""),
        plain("", "Should not be reached", ""),
        errno("--info-fd", "Write to info_fd", ""), // also --json-status-fd
        errno("", "open /proc/%s/ns failed", "s"),
        errno("", "poll", ""),
        errno("", "read eventfd", ""),
        errno("", "read signalfd", ""),
    ]),
    (Stage::Internal, &[
        errno("", "Can't create privsep socket", ""),
        errno("", "Can't fork unprivileged helper", ""),
        plain("", "Can't read from privileged_op_socket", ""),
        errno("", "Can't read from unprivileged helper", ""),
        plain("", "Can't write to op_socket", ""),
        plain("", "Can't write to privileged_op_socket", ""),
        plain("--hostname", "Hostname argument is NULL", ""),
        plain("--hostname", "Refusing to set hostname in original namespace", ""),
        plain("", "Invalid size %zd from unprivileged helper", "s"),
        plain("", "Invalid string offset %d (buffer size %zd)", "s-"),
        plain("", "Out of memory", "").bare(),
        plain("", "Unexpected privileged op %d", "s"),
        plain("", "Unexpected type %d", "s"),
        plain("", "privilege separation operation to large", ""),
    ]),
];

/// What an `n` hole takes.
pub(super) const NODES: &[&str] =
    &["null", "zero", "full", "random", "urandom", "tty", "stdin", "stdout", "stderr"];

/// Why a bind mount or a remount failed: what stands between the message and the error number.
#[rustfmt::skip]
pub(super) static REASONS: &[Row] = &[
    errno("", "(unknown/invalid bind_mount_result)", ""),
    errno("", "Unable to apply mount flags: remount \"%s\"", "f").also(&[
        ("Unable to apply mount flags: remount %s", "f"),
        ("Unable to remount recursively with correct flags", ""),
    ]),
    plain("", "Unable to find \"%s\" in mount table", "f").also(&[
        ("Unable to find %s in mount table", "f"),
        ("Unable to find destination in mount table", ""),
    ]),
    errno("", "Unable to mount source on destination", ""),
    errno("", "Unable to open destination O_PATH fd \"%s\"", "f"),
    errno("", "Unable to remount destination \"%s\" with correct flags", "f").also(&[
        ("Unable to remount destination %s with correct flags", "f"),
        ("Unable to remount destination with correct flags", ""),
    ]),
    errno("", "mount_setattr() failed at \"%s\"", "f").also(&[("mount_setattr() failed at %s", "f")]),
    errno("", "open(\"%s\", O_PATH)", "f").also(&[("open(%s, O_PATH)", "f"), ("open(destination, O_PATH)", "")]),
    errno("", "readlink(/proc/self/fd/N) for \"%s\"", "f").also(&[
        ("readlink(/proc/self/fd/N) for %s", "f"),
        ("readlink(/proc/self/fd/<destination>)", ""),
    ]),
    errno("", "realpath(destination)", ""),
];

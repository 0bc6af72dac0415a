//! Loading bwrap and its privileges.

pub(super) const FILE_CAPABILITIES_OUTSIDE_BOUNDS: &str = "\
The kernel refused to start bwrap at all. The bwrap program carries file
capabilities, and at least one of them is outside the bounding set of the
process that starts it; then execve fails before bwrap's first instruction.

The shell or the launcher says `bwrap: Operation not permitted`, without
anything from bwrap itself. `getcap $(command -v bwrap)` lists the
capabilities of the file, and CapBnd in /proc/self/status (`capsh
--decode=...`) those that are allowed here.

bwrap needs no file capabilities, so take them away: `setcap -r
/usr/bin/bwrap`. On a machine do that as root, in a container build it into
the image; Docker, Podman and Kubernetes do not differ. The alternative, a
wider bounding set (`--cap-add`), only grants more than is needed. Taking the
file capabilities away costs nothing where user namespaces work. Kernel and
version of bwrap do not matter.";

pub(super) const LOADER_FAILED: &str = "\
The dynamic loader gave up before bwrap ran: a shared library of bwrap's is
missing, too old, or built for another C library.

The text is the loader's: `error while loading shared libraries: libcap.so.2:
cannot open shared object file`, `version 'GLIBC_2.38' not found`, or with
musl `Error loading shared library` and `Error relocating`. `ldd $(command -v
bwrap)` shows which library is not found.

Mostly the program was copied from another image or distribution, or it is a
glibc build in an Alpine image. Install bwrap with the image's own package
manager (`apt-get install bubblewrap`, `dnf install bubblewrap`, `apk add
bubblewrap`), or use a build that needs nothing but libc. If LD_LIBRARY_PATH
or LD_PRELOAD point somewhere odd, unset them. Nothing is opened up by any of
this.";

pub(super) const UNEXPECTED_CAPABILITIES: &str = "\
bwrap looked at its own privileges and stopped: it runs as a user other than
root, and holds capabilities all the same. It takes that for a botched
installation and refuses.

The message is `Unexpected capabilities but not setuid, old file caps
config?`. CapPrm in /proc/self/status of the caller is not zero although Uid
is not 0. The usual sources: `podman run --user N --cap-add X`, which makes
the capability ambient; AmbientCapabilities= in a systemd unit; a desktop that
runs with CAP_SYS_NICE; `setcap` on bwrap itself.

Start it without them: `setpriv --ambient-caps -all --inh-caps -all COMMAND`
on a machine, no --cap-add next to --user in Podman, no capabilities.add next
to runAsUser in a pod whose runtime makes them ambient (CRI-O:
add_inheritable_capabilities=false). For file capabilities, `setcap -r
/usr/bin/bwrap`. A user other than root needs no capability for bwrap,
CAP_SETFCAP included, so this only removes privilege.";

pub(super) const SETUID_WITHOUT_BOUNDS: &str = "\
The bwrap program is setuid root. Such a bwrap begins by reducing itself to
the few capabilities that it needs (SYS_ADMIN, NET_ADMIN, SYS_PTRACE, SETUID
and so on), and the kernel refused, because the bounding set of the container
does not have them all.

The message is `capset failed: Operation not permitted`. `ls -l $(command -v
bwrap)` shows `-rwsr-xr-x`, and CapBnd in /proc/self/status lacks one of those
capabilities, as in every container that is not privileged.

Take the setuid bit away and let bwrap use user namespaces: `chmod u-s
/usr/bin/bwrap`, on the machine or in the Dockerfile. In Kubernetes
`allowPrivilegeEscalation: false` has the same effect. That is less privilege
than before; the setuid mode is deprecated since CVE-2026-41163, off by
default in 0.11.2 and gone in 0.12. The host must allow user namespaces then.";

pub(super) const SETUID_UNSUPPORTED: &str = "\
The bwrap program is setuid root, but this build of it has no support for
that, and it refuses to run so.

The message is `setuid use of bubblewrap is not supported in this build`.
Since 0.11.2 (CVE-2026-41163: privilege escalation) the support is a build
option that is off unless asked for, and 0.12 has removed it. `bwrap
--version` and `ls -l $(command -v bwrap)` show both halves.

Take the bit away: `chmod u-s /usr/bin/bwrap`; `dpkg-statoverride --list`
tells whether a package or an administrator keeps setting it. bwrap then uses
user namespaces, which must be allowed: see `bwrap-doctor check` for what
stands in their way here. In containers do the same in the image. There is
nothing to lose but a root program.";

pub(super) const SETUID_HANGS: &str = "\
A setuid root bwrap 0.8 that is told to make a user namespace can stop without
a word: its child never gets on and the parent waits for it for ever. Later
versions were not seen to do it.

There is no message. The launch runs into its timeout, `ps` shows two bwrap
processes that wait for each other, and `ls -l $(command -v bwrap)` shows the
setuid bit. Why the child stops has not been found out.

Take the setuid bit away (`chmod u-s /usr/bin/bwrap`) or install a newer
bwrap; user namespaces must be allowed on the host then. Without them, leave
--unshare-user and --unshare-all out, so that bwrap uses its root privileges
instead. Probes of a bwrap that is not your own should always run under a
timeout.";

pub(super) const PROC_INCOMPLETE: &str = "\
Right at its start bwrap reads the ids that the kernel shows for unmapped
users, from /proc/sys/kernel/overflowuid and overflowgid. They are not there:
/proc is not mounted, is empty, or is a procfs that shows processes only
(subset=pid).

The message is `Can't read /proc/sys/kernel/overflowuid: No such file or
directory`. `grep ' /proc ' /proc/self/mountinfo` shows nothing, or the option
subset=pid.

In a chroot mount it: `mount -t proc proc ROOT/proc`. In a systemd unit remove
ProcSubset=pid, which costs that the service sees /proc/sys and the like again
(read-only with ProtectKernelTunables=). In an outer sandbox give it a whole
one: `--proc /proc`. In containers of Docker, Podman or Kubernetes it is
always there unless somebody has mounted over it. All versions of bwrap behave
so.";

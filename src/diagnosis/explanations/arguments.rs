//! bwrap's command line and its checks.

pub(super) const UNKNOWN_OPTION: &str = "\
bwrap met an option that it does not know. Options came with versions: --argv0
with 0.9, --bind-fd with 0.10, --disable-userns with 0.8, --size with 0.7,
--perms with 0.5, overlays with 0.11, --not-a-security-boundary with 0.12.

The message is `Unknown option --overlay`, and nothing was started. `bwrap
--version` tells what is installed; Ubuntu 20.04 has 0.4, Ubuntu 22.04 0.6,
Debian 12 has 0.8.

Install a newer bwrap, by the distribution's backports or built from source;
in a container, in the image. Where that is not possible, leave the feature
out if it is a refinement (this library does that for features that are
declared optional), or express it otherwise: an overlay as a copy, --argv0
with `exec -a`. Leaving out an isolating option, such as --disable-userns,
costs that isolation.";

pub(super) const BAD_ARGUMENTS: &str = "\
bwrap read its command line and did not accept it: an argument is missing, a
number or octal mode cannot be read, an option stands twice, or there are too
many arguments.

The message names the option: `--bind takes two arguments`, `--perms takes an
octal argument <= 07777`, `Exceeded maximum number of arguments 9000`, or the
usage text. Nothing was mounted or started. This library checks descriptions
before it launches, so this mostly comes from a command line that was written
by hand or from options for debugging.

Print the line and read it word by word: an empty variable in a shell script
swallows an argument. Words that are not options end the list of options, and
those after them belong to the command. The limit of 9000 counts words of the
command and of --args files, too; bind directories instead of single files.
What is wrong here is the same on every host.";

pub(super) const PROC_UNAVAILABLE: &str = "\
bwrap keeps /proc open from its start, because it writes the id maps there
later, when the old root is gone. Opening it failed.

The message is `Can't open /proc: No such file or directory`, or `Permission
denied`. With the first one there is no directory /proc at all; with the
second, a security module or the permissions of the directory forbid it. A
root tree that was unpacked from an archive, or a minimal initramfs, mostly
lacks it.

Make and mount it: `mkdir -p /proc && mount -t proc proc /proc`, in a chroot
on the path of /proc in there. In an outer sandbox add `--proc /proc`.
Container engines and Kubernetes always provide one, so in an image look for a
volume or bind that hides it. A mounted procfs shows the processes of the PID
namespace it was mounted in.";

pub(super) const CONTRADICTORY_OPTIONS: &str = "\
bwrap checked its options together and found two that contradict each other,
or one without which another makes no sense.

The messages say which: `Specifying --uid requires --unshare-user or
--userns`, `Specifying --hostname requires --unshare-uts`, `--disable-userns
requires --unshare-user`, `Specifying --as-pid-1 requires --unshare-pid`,
`--userns is not compatible with --unshare-user`. `Cannot create new cgroup
namespace because the kernel does not support it` belongs here as well: the
option asks for what the kernel lacks.

Add the option that is missing or leave the other one out; the namespaces that
it names cost no privilege. As root, --unshare-all makes a user namespace only
if it can, so options that depend on it need --unshare-user beside it.
Sandboxes of this library are checked for most of these before a launch. The
host is not to blame.";

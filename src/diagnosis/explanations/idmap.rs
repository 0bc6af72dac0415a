//! The loopback device and the id maps.

pub(super) const APP_ARMOR_STRIPS_NET_ADMIN: &str = "\
bwrap got its user and network namespace and wanted to bring the loopback
device up. On Ubuntu the new namespace comes under the AppArmor profile
unprivileged_userns, which takes all capabilities away, CAP_NET_ADMIN first.

The message is `loopback: Failed RTM_NEWADDR: Operation not permitted`.
Sandboxes without --unshare-net fail a step later with `setting up uid map:
Permission denied`. kernel.apparmor_restrict_unprivileged_userns is 1,
/proc/self/attr/current is unconfined, and dmesg shows capname=net_admin for
that profile.

Ubuntu 24.04 and newer: give bwrap a profile by its path with
`flags=(unconfined) { userns, }`, or install Ubuntu's own
bwrap-userns-restrict (package apparmor-profiles on 24.04; in place since
25.04). A bundled bwrap needs its own path in it. GitHub's runners: `sudo
sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`. With Docker, Podman
and Kubernetes the host or node needs this.

A profile lets every user wrap programs with bwrap; the sysctl lifts the
protection from all programs.";

pub(super) const NET_ADMIN_MISSING: &str = "\
The sandbox asks for a network namespace, but bwrap makes no user namespace,
because it runs as root. Then bringing the loopback device up takes
CAP_NET_ADMIN, and root in this container does not have it.

The message is `loopback: Failed RTM_NEWADDR`, and the rest of that line, `No
child processes` for example, is left over from an earlier call and means
nothing. Uid is 0, CapEff in /proc/self/status lacks NET_ADMIN, and the
options have --unshare-net without --unshare-user.

Add --unshare-user (Namespaces::USER): root of the new user namespace has all
capabilities over the new network. That holds on a machine, in Docker, Podman
and in pods, and costs nothing. The alternative, `--cap-add NET_ADMIN` or
capabilities.add, also hands the container's own network over; --share-net
gives up the isolation of the network.";

pub(super) const GVISOR_LOOPBACK: &str = "\
In gVisor a new network namespace has its loopback device set up from the
beginning. bwrap wants to do that itself, gets told that the address exists,
and gives up.

The message is `loopback: Failed RTM_NEWADDR`; the error after it is left over
and means nothing. `uname -r` contains gvisor.

Use a runsc that has the fix (gVisor issue 13438). Until then keep the
network: --share-net, or leave --unshare-net out, and let something else
restrict the traffic: a NetworkPolicy in Kubernetes, `--network none` in
Docker or Podman. That takes bwrap's isolation of the network away: the
command reaches what the container reaches. Or run the container with another
runtime (runtimeClassName, `--runtime`), which gives gVisor's own protection
up. Sandboxes without a network namespace are not affected.";

pub(super) const NETLINK_DENIED: &str = "\
To bring the loopback device up, bwrap opens a socket of the family
AF_NETLINK, and a system call filter does not let it.

The message is `loopback: Failed to create NETLINK_ROUTE socket: Operation not
permitted`, or `Address family not supported by protocol`, or the same about
bind. `Seccomp: 2` stands in /proc/self/status.

In a systemd unit add AF_NETLINK: `RestrictAddressFamilies=AF_UNIX AF_INET
AF_INET6 AF_NETLINK`. Docker and Podman: a filter that allows socket with
AF_NETLINK (their defaults do, so somebody wrote a narrower one):
`--security-opt seccomp=FILE`. Kubernetes: seccompProfile of type Localhost on
containerd and CRI-O; on OpenShift the security context constraint must admit
it. Or keep the network, --share-net, which gives the isolation up.

Netlink sockets expose configuration of the network to read, little more
without CAP_NET_ADMIN.";

pub(super) const SELINUX_DENIES_NET_ADMIN: &str = "\
SELinux distinguishes capabilities in user namespaces, and denied
CAP_NET_ADMIN there to our domain, so the loopback device of the new network
namespace could not be brought up.

The message is `loopback: Failed RTM_NEWADDR: Operation not permitted`; its
error text can be left over from an earlier call. /proc/self/attr/current has
container_t, and the audit log `avc: denied { net_admin } ...
tclass=cap_userns`. The boolean virt_sandbox_use_all_caps is off: `getsebool
virt_sandbox_use_all_caps`.

On the host or node: `setsebool -P virt_sandbox_use_all_caps on`, which gives
all containers with that domain namespaced capabilities, as they are by
default. For one container: Podman `--security-opt
label=type:container_engine_t`; pods seLinuxOptions with that type. Or
--share-net, without isolation of the network. This was read in the policy and
seldom seen in the wild.";

pub(super) const MISSING_SETFCAP: &str = "\
bwrap has made a user namespace and writes its id map. It runs as root (uid
0), and mapping the id 0 of the outer namespace takes CAP_SETFCAP, because
whoever is mapped to it could write file capabilities that hold outside. This
root does not have it.

The message is `setting up uid map: Operation not permitted`.
/proc/self/status shows Uid 0, and bit 31 is clear in CapEff (`capsh
--decode`). Linux 5.12 brought the rule, and distributions carried it back:
Debian's 5.10 has it.

Run as another user, best of all: pods `runAsUser: 1000` with runAsNonRoot,
where even `drop: [ALL]` does no harm; Docker and Podman `--user 1000`,
without --cap-add. Or give root the capability. Docker and Podman do unless it
was dropped: `--cap-add SETFCAP`; pods capabilities.add SETFCAP, which Pod
Security allows in baseline. CRI-O never has it in its defaults, and
OpenShift's nested-container constraint does not allow it.

With it container root can write file capabilities for its own namespace.";

pub(super) const APP_ARMOR_RESTRICTS_USER_NAMESPACES: &str = "\
Ubuntu lets unconfined programs make user namespaces, but moves them into the
AppArmor profile unprivileged_userns as it does so, where they may do nothing.
bwrap notices when it opens its id map.

The message is `setting up uid map: Permission denied`; with --unshare-net it
fails at the loopback device before that (LO01).
kernel.apparmor_restrict_unprivileged_userns is 1 and /proc/self/attr/current
says unconfined. The restriction is on in Ubuntu 24.04 and newer, and could be
switched on from 23.10.

Load a profile for bwrap's path, /etc/apparmor.d/bwrap, with `abi <abi/4.0>,`
and `profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }`, by
apparmor_parser -r; or Ubuntu's bwrap-userns-restrict. A bwrap at another path
needs that path. Last: the sysctl set to 0.

Docker and Podman on Ubuntu: do it on the host; apparmor=unconfined makes it
appear, not go away. Kubernetes: an appArmorProfile of type Localhost that
allows userns, mount and pivot_root, loaded on the nodes.

A profile allows every user to wrap programs so; the sysctl frees all
programs.";

pub(super) const PROC_READ_ONLY: &str = "\
bwrap writes the id maps of its new user namespace to /proc/self/uid_map, and
/proc is mounted read-only here.

The message is `setting up uid map: Read-only file system`. `grep ' /proc '
/proc/self/mountinfo` shows ro among the options.

Find out who mounts it so. In an outer bwrap, `--ro-bind / /` alone does it:
add `--proc /proc` after it. Docker and Podman: drop `-v /proc:/proc:ro`; they
mount a writable one themselves. Kubernetes: no hostPath volume over /proc;
readOnlyRootFilesystem does not touch it. On a machine or in a chroot: `mount
-o remount,rw /proc` as root.

A writable /proc lets processes change what their user may change, no more:
the files in it check permissions themselves, and the runtimes cover the
dangerous ones anyway.";

pub(super) const LANDLOCK_DENIES_PROC: &str = "\
A program around us has put us into a Landlock domain that handles writing to
files, and /proc is not among the paths that may be written. bwrap cannot
write its id map.

The message is `setting up uid map: Permission denied`, as for Ubuntu's
AppArmor restriction, which must be ruled out first (UM02). Nothing shows a
Landlock domain from inside; /sys/kernel/security/lsm lists landlock,
NoNewPrivs is 1, and there may be no filter (`Seccomp: 0`). A program that
sandboxes itself and its children is the usual author.

Apply Landlock inside of bwrap instead of around it: let bwrap start the
program that restricts itself. Or let the domain write beneath /proc; but a
domain with any rule about files also forbids mounting (MT04), so that alone
does not help. No option of Docker, Podman or Kubernetes changes it: none of
them uses Landlock by default. The isolation is the same, in another order.";

pub(super) const BWRAP_UNREADABLE: &str = "\
bwrap's file may be executed by us, but not read. The kernel then treats the
process as a secret: its files in /proc belong to root, and bwrap cannot write
its own id map.

The message is `setting up uid map: Permission denied`, as for Ubuntu's
AppArmor restriction (UM02) and for Landlock (UM04). `test -r /usr/bin/bwrap`
as the user who starts it fails, and `ls -l` shows a mode such as 0711 or
0750, or root's umask of 077 at the time when it was installed.

Let those who start it read it, too: `chmod a+r /usr/bin/bwrap`. In an image
for Docker, Podman or Kubernetes it belongs into the build of the image.
Nothing is opened up: the program is the same for everybody, and published.
A bwrap that is setuid root does not write its map so, and runs all the same.";

pub(super) const IDS_DIFFER: &str = "\
Without privileges a process may map exactly its own effective id into a new
user namespace. The ids do not fit: the real and the effective one differ, or
the effective one is not mapped where we are.

The message is `setting up uid map: Operation not permitted` for a user other
than root. `grep Uid /proc/self/status` shows four numbers; the first two
should be equal, and be covered by /proc/self/uid_map.

Something setuid starts bwrap, or a program that changed one of its ids only.
Make them equal first: `setpriv --reuid=N --regid=N --clear-groups COMMAND`,
or setresuid in the program. In a container with mapped ids choose a user that
is mapped: Podman `--userns=keep-id`, a pod with hostUsers: false runAsUser
below 65536. It is no question of privilege, and nothing is lost. All kernels
since 3.8 ask for this.";

pub(super) const GID_MAP_DENIED: &str = "\
The user id map is written, and the group id map, or `deny` to
/proc/self/setgroups before it, was refused.

The messages are `setting up gid map` and `error writing to setgroups`, with
`Operation not permitted` or `Permission denied`. The first text with equal
user ids points at a difference between real and effective group (Gid in
/proc/self/status): a setgid program starts bwrap. The second text points at a
security module; on Ubuntu it is the restriction of UM02 that meets the second
user namespace.

Take the setgid bit away, or start bwrap with one group: `setpriv --regid=N
--clear-groups COMMAND`. For AppArmor load a profile for bwrap as in UM02: on
the machine, or on the host of Docker and Podman and the nodes of Kubernetes.
Nothing is opened up by the first; the profile allows user namespaces to
whoever starts bwrap.";

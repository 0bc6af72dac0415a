//! Creating and joining namespaces.

pub(super) const SECCOMP_DENIES_NAMESPACES: &str = "\
bwrap asked the kernel for new namespaces (clone with CLONE_NEWUSER and
others) and a system call filter answered first. The default filter of Docker
and containerd lets these calls through only to containers that have
CAP_SYS_ADMIN.

The message begins `No permissions to creat`. /proc/self/status says `Seccomp:
2`, while the kernel itself has nothing against it: user.max_user_namespaces
is above 0.

Docker: `--security-opt seccomp=bwrap.json`. Kubernetes with containerd:
securityContext.seccompProfile of type Localhost with that file. Podman and
CRI-O allow these calls in their default already, so look elsewhere there.
Only a kubelet with seccompDefault, or an explicit RuntimeDefault, puts a
filter on a pod at all.

The file comes with the remedy, and works the other way round than the
default, which lists what is allowed: it allows everything but calls that are
dangerous and that bwrap does not need (kernel modules, bpf, kexec, keyrings,
clocks, swap, io_uring, perf events). So it is wider than the default plus
bwrap's calls, and a call that the kernel gains later is allowed.
seccomp=unconfined leaves nothing out, and Pod Security forbids that from
baseline on.";

pub(super) const USER_NAMESPACES_SWITCHED_OFF: &str = "\
The kernel has a switch that forbids user namespaces to everybody but root,
and it is off. Debian and Arch's hardened kernel carry it as a patch; others
do not know it.

bwrap says `No permissions to create a new namespace, likely because the
kernel does not allow non-privileged user namespaces`. To be sure: `cat
/proc/sys/kernel/unprivileged_userns_clone` prints 0.

As root on the machine: `sysctl -w kernel.unprivileged_userns_clone=1`, and
the same line in /etc/sysctl.d/ to keep it. The setting belongs to the whole
kernel: with Docker and Podman it is the host's, in Kubernetes the node's
(bootstrap script or a DaemonSet), on OpenShift a MachineConfig or Tuned
profile. No option of a container gets around it but CAP_SYS_ADMIN on the
host.

It lets every user of that machine make user namespaces, which opens parts of
the kernel to them that only root reached before. Debian has had it on since
version 11.";

pub(super) const CHROOTED: &str = "\
The process lives in a chroot, and the kernel makes no user namespaces for
such processes: with one they could get out again.

The message begins `No permissions to creat`. /proc/self/mountinfo has no line
whose mount point is exactly `/`; a chroot onto a mount point shows nothing of
the kind and can only be told by asking who started us. schroot, sbuild,
debootstrap scripts, installers and Termux' proot are the usual ones.

Enter the tree by a real root change instead: `systemd-nspawn -D TREE`,
`unshare --mount` with pivot_root, or bwrap itself from outside (`bwrap --bind
TREE / ...`), which isolates as much as the chroot did. Or run bwrap outside
of the chroot and bind from it. Container engines use pivot_root already, so
in Docker, Podman and Kubernetes only a chroot inside of the container can be
meant. This holds for all kernels.

Root without a user namespace gets no further: `Failed to make / slave:
Invalid argument`, because the root is no mount.";

pub(super) const UNMAPPED_ID: &str = "\
The user or group id of the process has no place in the user namespace that it
is in. The kernel makes no new one for somebody it cannot name.

The message begins `No permissions to creat`. `id` prints 65534 (nobody), and
/proc/self/uid_map or gid_map have no line that covers it.

Use an id that is mapped. Podman: `--userns=keep-id`, or a --uidmap that
contains the id. Kubernetes with hostUsers: false: runAsUser between 0 and
65535, which is what such a pod has. On a machine: `unshare --map-user`, or
newuidmap with entries of /etc/subuid, before bwrap starts. Docker with
userns-remap behaves like Podman.

This costs nothing: it is a question of numbers, not of rights. Files that
belong to ids outside of the map remain out of reach.";

pub(super) const UNIT_RESTRICTS_NAMESPACES: &str = "\
A systemd unit starts us with RestrictNamespaces= or a SystemCallFilter= that
leaves clone and unshare out. systemd puts both into a system call filter,
which denies bwrap its namespaces.

The message begins `No permissions to creat`. On a machine without containers,
/proc/self/status says `Seccomp: 2` and `NoNewPrivs: 1`, and /proc/self/cgroup
ends in a .service. `systemctl show UNIT -p
RestrictNamespaces,SystemCallFilter` always prints both: RestrictNamespaces=no
and an empty SystemCallFilter= mean that it is neither.

Add a drop-in with `systemctl edit UNIT` (`systemctl --user edit UNIT` for a
unit of a user's):

    [Service]
    RestrictNamespaces=user mnt pid net ipc uts cgroup
    SystemCallFilter=~nfsservctl
    SystemCallFilter=@mount @process sethostname

The middle line keeps the last one from being a list of all that is allowed,
where the unit has none. Leave
NoNewPrivileges=yes as it is: bwrap does not mind. PrivateUsers= and
ProtectProc= may stand in the way next. The service may then make these
namespaces itself, which exposes a little more of the kernel to it. Containers
are not concerned: there the engine's filter counts.";

pub(super) const OUTER_SANDBOX_DENIES_NAMESPACES: &str = "\
We are inside of another sandbox already (Flatpak, Firejail, Snap, a
browser's), and its system call filter keeps user namespaces from everything
in it.

The message begins `No permissions to creat`. `Seccomp: 2` stands in
/proc/self/status, and the outer one leaves its mark: /.flatpak-info, FIREJAIL
or SNAP_NAME in the environment.

Start bwrap from outside, where that is possible. Flatpak: `flatpak-spawn
--host COMMAND` (needs access to org.freedesktop.Flatpak, which amounts to
being outside), or `flatpak-spawn COMMAND` to have Flatpak make the inner
sandbox. Firejail: `ignore seccomp` in the profile's local file, or
`--noprofile`. Snap: a classic snap, or the browser-support plug with
allow-sandbox. Docker and Kubernetes have their own entry, NS01.

Each of these gives up the outer layer for that one program.";

pub(super) const ROOT_WITHOUT_SYS_ADMIN: &str = "\
bwrap runs as root. Then it makes a user namespace only if it is told to, and
without one the other namespaces need CAP_SYS_ADMIN, which root in a container
does not have.

The message is `Creating new namespace failed: Operation not permitted`; uid
0, no --unshare-user among the options, CAP_SYS_ADMIN missing from CapEff in
/proc/self/status.

Ask for the user namespace: `--unshare-user` (Namespaces::USER here), or
--unshare-all, everywhere: on a machine, in Docker, Podman and in pods. That
is safer than adding CAP_SYS_ADMIN, which in a container comes near to root on
the host. Or run the container as another user: bwrap makes the namespace
unasked then.

After this others may follow: the engine's filter (NS01) or CAP_SETFCAP
(UM01). With --unshare-all, root goes on without a user namespace if the
kernel allows none.";

pub(super) const SELINUX_DENIES_USER_NAMESPACES: &str = "\
SELinux has a permission for making user namespaces, and the domain that we
are in lacks it.

The message is `Creating new namespace failed: Permission denied`.
/proc/self/attr/current shows the domain; the audit log has `avc: denied {
create } ... tclass=user_namespace` (`ausearch -m avc -ts recent`). The check
came with Linux 6.1; older kernels never answer so.

On a machine, add a module that lets this domain make them: `allow DOMAIN
self:user_namespace create;` (audit2allow writes it). In containers,
container-selinux has allowed it since 2.217, so update that on the host or
node; on OpenShift update the cluster. Podman can choose another domain,
`--security-opt label=type:container_engine_t`, which may mount much more than
is needed here.

The domain reaches more of the kernel with it. Permissive mode (setenforce 0)
proves the point, but is no remedy.";

pub(super) const APP_ARMOR_DENIES_USER_NAMESPACES: &str = "\
AppArmor denied the new user namespace itself. Either our own profile has no
`userns` rule where the kernel asks for one, or Ubuntu's restriction is on and
the profile that it would move us to is not loaded.

The message is `Creating new namespace failed: Permission denied`. The audit
log (dmesg) says operation=userns_create and DENIED with error=-13.
kernel.apparmor_restrict_unprivileged_userns is 1, or /proc/self/attr/current
names a profile. Kernels from 6.7 on mediate it, Ubuntu's from 23.10 on.

Ubuntu: load /etc/apparmor.d/unprivileged_userns again with apparmor_parser
-r, or a profile for bwrap's path with `flags=(unconfined) { userns, }` (what
UM02 describes). In a container, Docker, Podman or Kubernetes, the profile of
the container needs a line `userns,` and `abi <abi/4.0>,`; load it on the host
or node. Switching the sysctl to 0 comes last: it lifts the protection for the
whole machine.";

pub(super) const NAMESPACES_NOT_IMPLEMENTED: &str = "\
A filter, or a kernel that only imitates Linux, answers the request for
namespaces as if the call did not exist.

The message is `Creating new namespace failed: Function not implemented`.
`Seccomp: 2` in /proc/self/status points at a filter whose default answer is
ENOSYS; a kernel name with gvisor or Microsoft in it (`uname -r`) points at an
emulation.

Under a filter: allow clone, unshare, setns, mount, umount2, pivot_root and
sethostname. Docker: `--security-opt seccomp=FILE`; Podman: the same with your
copy of its seccomp.json; Kubernetes with containerd or CRI-O: seccompProfile
of type Localhost; OpenShift: a security context constraint whose
seccompProfiles admit it. WSL 1: `wsl --set-version DISTRIBUTION 2`. gVisor: a
newer runsc, or another runtime class.

A wider filter exposes more of the kernel; name the file rather than
Unconfined.";

pub(super) const KERNEL_WITHOUT_USER_NAMESPACES: &str = "\
The kernel was built or booted without user namespaces, and bwrap can do
nothing without them unless it runs as root.

The message is `Creating new namespace failed, likely because the kernel does
not support user namespaces`, and it stands for EINVAL. /proc/self/ns/user is
missing. WSL 1 (4.4.0-...-Microsoft), custom kernels of boards and NAS
systems, some guests of Kata, and RHEL 7 without user_namespace.enable=1 are
like that.

Boot a kernel with CONFIG_USER_NS=y. RHEL 7: `grubby --update-kernel=ALL
--args=user_namespace.enable=1`, reboot, then set user.max_user_namespaces.
WSL: `wsl --set-version DISTRIBUTION 2`. In Docker and Podman it is the host's
kernel that counts, in Kubernetes the node image. As root with CAP_SYS_ADMIN,
bwrap works without a user namespace; that gives the command far more to
attack.";

pub(super) const NO_USER_NAMESPACES_ALLOWED: &str = "\
The kernel knows user namespaces, but the number of them that is allowed is
zero: user.max_user_namespaces=0. Hardening guides (the STIG for RHEL),
Bottlerocket and EKS Auto Mode set it so.

The message is `Creating new namespace failed: nesting depth or
/proc/sys/user/max_*_namespaces exceeded (ENOSPC)`; `cat
/proc/sys/user/max_user_namespaces` prints 0.

As root on the machine: `sysctl -w user.max_user_namespaces=15000`, and the
line in /etc/sysctl.d/99-userns.conf. It is the host's setting for Docker and
Podman, and the node's for Kubernetes: Bottlerocket has settings.kernel.sysctl
for it, other nodes their bootstrap or a DaemonSet; OpenShift a MachineConfig
or Tuned. EKS Auto Mode offers nothing short of a privileged DaemonSet.

All users of that machine may make user namespaces then, which exposes more of
the kernel to them; a STIG needs a documented exception. The limit exists
since Linux 4.9.";

pub(super) const ANCESTOR_LIMITS_USER_NAMESPACES: &str = "\
We are in a user namespace already, and one of those around it has a lower
limit than ours. The kernel counts in all of them.

The message is `Creating new namespace failed: nesting depth or
/proc/sys/user/max_*_namespaces exceeded (ENOSPC)`, while
/proc/sys/user/max_user_namespaces shows a large number, mostly 2147483647:
that is the limit of the innermost one, and says nothing about the rest.
/proc/self/uid_map is not the line `0 0 4294967295`.

The limit must be lifted where it was set. An outer bwrap with
--disable-userns, or Flatpak, sets it to 1 on purpose: start it without, or
leave the inner sandbox out. With rootless Podman or a pod with hostUsers:
false it is the host's or node's user.max_user_namespaces: raise that (see
NS12). Inside nothing can be done.

Afterwards what is in the outer sandbox may make user namespaces again.";

pub(super) const NESTED_TOO_DEEP: &str = "\
User namespaces may be nested 32 deep below the first one, and this one would
have been deeper. Nobody needs that many; mostly something starts itself again
and again, each time in a new sandbox.

The message is `Creating new namespace failed: nesting depth or
/proc/sys/user/max_*_namespaces exceeded (ENOSPC)`; before Linux 4.9 the
number was EUSERS, `Too many users`. The depth cannot be read from inside;
`lsns -t user` on the host shows the tree. The limits in /proc/sys/user are
high, so they are not the reason.

Look for the loop: a wrapper named like the program that it wraps, found again
through PATH; a build that runs a sandboxed test that runs the build. bwrap
takes two levels for a --dev as another user than root, one otherwise. No
setting changes the 32, on any host or cluster.";

pub(super) const NAMESPACE_LIMIT: &str = "\
A limit on another kind of namespace than user namespaces is reached: network,
PID, mount, IPC, UTS or cgroup namespaces each have one, per user.

The message is `Creating new namespace failed: nesting depth or
/proc/sys/user/max_*_namespaces exceeded (ENOSPC)`, the same as for user
namespaces. `grep . /proc/sys/user/max_*_namespaces` shows the one that is 0
or small; `lsns` counts what is in use.

Raise it as root: `sysctl -w user.max_net_namespaces=15000`, and keep it in
/etc/sysctl.d/. With Docker and Podman that is the host's, in Kubernetes the
node's affair (bootstrap, DaemonSet; MachineConfig on OpenShift). Or do
without that namespace: --share-net keeps the caller's network, for example,
and takes the isolation away that it would have brought.

If the limit is not small, look for sandboxes that nobody ends: each keeps its
namespaces as long as a process lives. The limits exist since Linux 4.9.";

pub(super) const PROCESS_LIMIT: &str = "\
The first process of the sandbox could not be created, because no more are
allowed: by the user's limit (RLIMIT_NPROC) or by the control group's.

The message is `Creating new namespace failed: Resource temporarily
unavailable`. Compare `ulimit -u` with the threads of that user (`ps -L -u
USER | wc -l`), and pids.max with pids.current in the control group that
/proc/self/cgroup names.

On a machine: `ulimit -u`, /etc/security/limits.d/, or TasksMax= of the unit.
Docker and Podman: `--pids-limit`, `--ulimit nproc=`. Kubernetes: podPidsLimit
of the kubelet, with CRI-O also pids_limit; on OpenShift in a KubeletConfig.
RLIMIT_NPROC counts all processes of that uid on the machine, in other
containers, too.

A higher limit weakens the protection against fork bombs. A sandbox takes two
processes besides the command. Look first for processes that were never waited
for.";

pub(super) const GVISOR_NESTED_TOO_DEEP: &str = "\
gVisor keeps its own count of nested user namespaces and ends at 32, with
another error number than Linux.

The message is `Creating new namespace failed: Too many users`. `uname -r`
ends in -gvisor (older ones 4.4.0 with the version `#1 SMP Sun Jan 10 15:06:54
PST 2016`), or `dmesg` tells of gVisor starting.

Nest less: something starts sandboxes in sandboxes, mostly by mistake (see
NS14 for how to find the loop). If the depth is wanted, run the workload with
another runtime: for Docker without `--runtime=runsc`, in Kubernetes a pod
without gVisor's runtimeClassName. That gives up gVisor's isolation of the
host's kernel, which matters more than bwrap's does, so prefer fewer levels.
No sysctl changes the number.";

pub(super) const JOIN_DENIED: &str = "\
The sandbox was to join a namespace that exists (--userns, --userns2,
--pidns), and the kernel did not let bwrap in.

The messages are `Joining specified user namespace failed`, `Joining the
specified user namespace failed, it might not be a descendant of the current
user namespace`, `Setting userns2 failed` and `Setting pidns failed`. A user
namespace can be joined only from above: it must be a child of ours, owned by
our user, or we need CAP_SYS_ADMIN in it, and nobody can join the one that he
is in. A PID namespace must be ours or below ours, and needs a user namespace
joined that owns it.

Check with `lsns -t user -t pid` and `nsenter -t PID --user --pid true` as the
same user. A filter can deny setns, too: Docker's does without CAP_SYS_ADMIN.
Pass a descriptor of /proc/PID/ns/user that was opened while that process
lived. This needs no privilege if the order of parents is right.";

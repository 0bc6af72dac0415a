//! Mounting procfs and making /dev.

pub(super) const MASKED_PROC: &str = "\
A process in a user namespace may mount a procfs only if it sees a whole one
already: otherwise it could uncover what was hidden from it. Container
runtimes mask parts of /proc, so the kernel refuses.

The message is `Can't mount proc on /newroot/proc: Operation not permitted`,
after bwrap 0.11 `on /proc`. /proc/self/mountinfo lists mounts on /proc/acpi,
/proc/kcore, /proc/keys, /proc/sys and the like.

Docker: `--security-opt systempaths=unconfined`, with a filter that allows
bwrap. Podman: `--security-opt unmask=ALL`. Kubernetes: hostUsers: false with
procMount: Unmasked (both on by default since 1.33; Linux 6.3, containerd 2.0
or CRI-O 1.25), as a user other than root. OpenShift: the constraint
nested-container, from 4.20 on. Or change the sandbox: bind the outer one,
--ro-bind /proc /proc, or leave --unshare-pid out.

An unmasked /proc shows kcore, keys and sysrq-trigger: safe only if the
container's root is not the host's. A bind shows the outer processes and their
command lines.";

pub(super) const COVERED_PROC: &str = "\
As with masks of a runtime (PR01), the kernel mounts no new procfs where none
is wholly visible, but here something else covers a part of it.

The message is `Can't mount proc on /newroot/proc: Operation not permitted`,
after bwrap 0.11 `on /proc`. /proc/self/mountinfo names the culprit: files of
lxcfs on /proc/cpuinfo and others, a tmpfs on /proc/driver/nvidia, or a mount
of your own. Directories that the kernel makes as mount points (/proc/fs/nfsd,
/proc/xen, /proc/sys/fs/binfmt_misc) do not count, but for old kernels some of
them do. Since Linux 7.2 a procfs with subset=pid is none that is whole.

On a machine unmount it, as root. GPUs in Docker, Podman and Kubernetes: use
NVIDIA's CDI mode instead of --gpus. lxcfs: nesting (security.nesting=true,
Proxmox nesting=1) provides a second, clean procfs. Or have root mount one
once, `mount -t proc proc /run/unmasked-proc`: any whole one will do, and it
uncovers what was covered. Or bind the outer one in the sandbox, --ro-bind
/proc /proc, which shows the outer processes.";

pub(super) const OUTER_BWRAP_COVERS_PROC: &str = "\
We are inside another bwrap that was started as root. As root, bwrap covers
those of four parts of its /proc (sys, sysrq-trigger, irq and bus) that it may
write to with themselves, read-only. For the kernel that procfs is no longer
whole, and it refuses a new one in a nested sandbox.

The message is `Can't mount proc on /newroot/proc: Operation not permitted`,
after bwrap 0.11 `on /proc`; /proc/self/mountinfo has mounts of type proc on
some of those paths and no others, and /proc/1/comm is bwrap. Container
engines cover parts of /proc in the same way (PR01).

Start the outer bwrap as another user than root: it covers nothing then, and
the inner one works. Or bind the outer procfs in the inner sandbox, --ro-bind
/proc /proc, which shows the processes of the outer sandbox. That holds in
containers and on a plain machine alike. Nothing is opened up by the first.
All versions of bwrap do so.";

pub(super) const PROC_ATIME: &str = "\
The kernel compares the way in which access times are kept: a new procfs has
relatime, and the one that is visible has another mode that is locked by the
user namespace. So it does not vouch for the new one.

The message is `Can't mount proc on /newroot/proc: Operation not permitted`,
after bwrap 0.11 `on /proc`. The line of /proc in /proc/self/mountinfo has
noatime or nodiratime, or no atime word at all (strictatime).

Mount it with the default, as root on the machine: `mount -o
remount,relatime,atime,diratime /proc`. That lasts until the next boot; to
keep it, correct the line in /etc/fstab. WSL 2 mounts /proc with noatime by
itself: there put the command into /etc/wsl.conf, as `command =` below
`[boot]`. Docker, Podman and Kubernetes mount it right, so in a container the
outer one is a volume or a bind that somebody added: remove that. Or bind it
in the sandbox, --ro-bind /proc /proc, which shows the outer processes. Access
times in procfs mean nothing, so nothing is lost. The options nosuid, nodev,
noexec and hidepid do not matter.";

pub(super) const SELINUX_DENIES_PROC: &str = "\
SELinux denied the mount of a procfs. The domain of containers, container_t,
may remount one, but not mount one (so still in container-selinux 2.250).

The message is `Can't mount proc on /newroot/proc: Permission denied`, after
bwrap 0.11 `on /proc`. /proc/self/attr/current has container_t, or another
domain; the host's audit log `avc: denied { mount } ... proc_t ...
tclass=filesystem`. If /proc is masked as well, this error comes first, and
PR01 after it.

Podman and Docker: `--security-opt label=type:container_engine_t`. Pods:
seLinuxOptions.type container_engine_t. Or a module on every node that adds
`allow container_t proc_t:filesystem mount;`, and the same for devpts_t.
OpenShift: the constraint nested-container sets the type. On a machine
unconfined users are not affected. Or bind the outer /proc.

container_engine_t may mount any file system; the module is narrower, but
concerns every container with that domain. label=disable takes SELinux away.";

pub(super) const APP_ARMOR_DENIES_PROC: &str = "\
The AppArmor profile that confines us allows some mounts, but not that of a
procfs.

The message is `Can't mount proc on /newroot/proc: Permission denied`, after
bwrap 0.11 `on /proc`, the same as SELinux gives; /proc/self/attr/current
tells them apart: here it is the name of a profile with (enforce). dmesg on
the host may say operation=mount, fstype=proc.

Add a rule to the profile: `mount fstype=proc -> /newroot/proc/,`, or simply
`mount,`, and load it with apparmor_parser -r. The profile lies on the
machine, on the host of Docker and Podman (`--security-opt apparmor=NAME`), or
on the nodes of Kubernetes (appArmorProfile of type Localhost). LXD and Incus:
security.nesting=true. Or bind the outer procfs in the sandbox, --ro-bind
/proc /proc, which shows the processes outside.

If the container's /proc is masked, that will be next (PR01). The rule lets
the container mount a procfs of its own PID namespaces, no more.";

pub(super) const PID_NAMESPACE_NOT_OWNED: &str = "\
A procfs shows a PID namespace, and mounting it takes CAP_SYS_ADMIN in the
user namespace that owns that one. The sandbox's user namespace does not: it
joins a PID namespace (--pidns) from elsewhere, or has none of its own.

The message is `Can't mount proc on /newroot/proc: Operation not permitted`,
after bwrap 0.11 `on /proc`, although the /proc outside has nothing mounted on
it.

Give the sandbox a PID namespace of its own, --unshare-pid: then its user
namespace owns it. To join one, join the user namespace that owns it as well
(--userns together with --pidns). Without either, bwrap binds the outer /proc
instead of mounting one, and this cannot happen. Wrappers that call `unshare
-U` without a PID namespace before bwrap cause it, too. Container engines make
no difference here. A PID namespace only isolates more: the command no longer
sees outer processes.";

pub(super) const EMULATED_KERNEL_DENIES_PROC: &str = "\
The kernel here is not the usual one: gVisor, or a micro-VM whose own sandbox
masks its /proc. It does not mount another procfs.

The message is `Can't mount proc on /newroot/proc: Operation not permitted`,
after bwrap 0.11 `on /proc`. `uname -r` contains gvisor, or dmesg and
/proc/version name the product; /proc/self/mountinfo may show nothing that
would explain it.

Bind the outer procfs in the sandbox instead: `--ro-bind /proc /proc`, with
--unshare-pid as before. The command then sees the processes outside of its
sandbox and their command lines, though it cannot reach into them. Or run the
workload with another runtime: runtimeClassName in Kubernetes, `--runtime` in
Docker and Podman; that gives the stronger isolation of such a runtime up for
bwrap's. With Kata, the guest's image and its kernel decide; ask who builds
it. Nothing on the host or node changes it.";

pub(super) const NEEDLESS_USER_NAMESPACE: &str = "\
The masks of a runtime on /proc count only for mounts that come from another
user namespace. bwrap runs as root with CAP_SYS_ADMIN and could mount a procfs
as it is; but it makes a user namespace of its own, and in there the masks are
locked.

The message is `Can't mount proc on /newroot/proc: Operation not permitted`,
after bwrap 0.11 `on /proc`, with Uid 0 and SYS_ADMIN in CapEff of
/proc/self/status, and --unshare-user or --unshare-all among the options.

Leave the user namespace out: name the other namespaces one by one instead of
--unshare-all. Docker and Podman with `--cap-add SYS_ADMIN` work like that,
and so does a pod with hostUsers: false and SYS_ADMIN.

SYS_ADMIN over the host is close to being root there, and a command without a
user namespace is less confined, so do this only where the capability is
contained: in a pod's own user namespace. Otherwise unmask /proc (PR01), and
run as another user.";

pub(super) const SELINUX_DENIES_DEVPTS: &str = "\
SELinux denied the mount of a devpts, the file system of terminals, which
--dev makes. container_t may not mount one (so still in container-selinux
2.250).

The message is `Can't mount devpts on /newroot/dev/pts: Permission denied`,
after bwrap 0.11 `on /dev/pts`. /proc/self/attr/current has container_t; the
host's audit log `avc: denied { mount } ... devpts_t ... tclass=filesystem`.
Where --proc is used, its mount fails first with the same error (PR05).

Podman and Docker: `--security-opt label=type:container_engine_t`. Pods:
seLinuxOptions.type container_engine_t, or a module on the nodes with `allow
container_t devpts_t:filesystem mount;`. OpenShift: the constraint
nested-container. Or bind the container's own /dev, --dev-bind /dev /dev,
which shows the command its terminals and devices.

container_engine_t may mount any file system; the module concerns every
container with that domain on the node. Fedora, RHEL and CoreOS are the ones
that run SELinux.";

pub(super) const DEVPTS_INVALID: &str = "\
The kernel refused to mount a devpts for the sandbox's /dev: its owner, root
of the user namespace, is not mapped, or a very old kernel or bwrap does not
fit together.

The message is `Can't mount devpts on /newroot/dev/pts: Invalid argument`,
after bwrap 0.11 `on /dev/pts`. bwrap maps itself to 0 for this and moves on
to a second user namespace afterwards. If an existing namespace is joined
(--userns), that one must have a mapping for 0; a map written through
--userns-block-fd must, too.

Map 0 in the namespace that is joined, or let bwrap make its own. Update a
bwrap of the 0.1 series. Otherwise bind the outer /dev, --dev-bind /dev /dev,
which lets the command see the terminals and devices outside, in Docker,
Podman or Kubernetes those of the container. Kernels since 4.7 have one devpts
instance for each mount, and were not seen to do this.";

pub(super) const DEVICE_MISSING: &str = "\
For --dev, bwrap binds six nodes of the outer /dev into the new one: null,
zero, full, random, urandom and tty. One of them is not there.

The message is `Can't bind mount /oldroot/dev/tty on /newroot/dev/tty: Unable
to mount source on destination: No such file or directory`; newer versions
leave the prefixes out. `ls -l /dev/{null,zero,full,random,urandom,tty}` shows
which.

Docker, Podman and Kubernetes provide all six, so /dev is a volume, or an
image was unpacked without an engine. On a machine or in a chroot: `mount
--bind /dev ROOT/dev`, or make the node as root: `mknod -m 666 /dev/tty c 5 0`
(null 1 3, zero 1 5, full 1 7, random 1 8, urandom 1 9). An outer bwrap:
`--dev /dev` instead of a plain bind of it. In a build sandbox that offers no
tty, bind the nodes that are there, one by one, with --dev-bind. These devices
are harmless.";

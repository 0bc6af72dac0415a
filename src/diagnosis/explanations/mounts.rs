//! Mounting, and changing the root.

pub(super) const APP_ARMOR_DENIES_MOUNT: &str = "\
bwrap has its namespaces and makes the first change to its mounts, of the
root's propagation. The AppArmor profile of the container denies every mount:
the defaults of Docker, containerd, CRI-O and Podman have `deny mount`.

The message is `Failed to make / slave: Permission denied`.
/proc/self/attr/current says `docker-default (enforce)`,
`cri-containerd.apparmor.d (enforce)` or `containers-default-...`. A plain
deny rule leaves nothing in the log.

Use a profile for such containers, with `userns, mount, umount, pivot_root,
capability, file, network,`: load it on the host or node with apparmor_parser
-r. Docker and Podman: `--security-opt apparmor=NAME`. Kubernetes:
appArmorProfile of type Localhost (a field since 1.30, an annotation before).
`unconfined` works as well, but not where Ubuntu restricts user namespaces
(24.04 and newer): that ends in UM02. OpenShift uses SELinux and is not
concerned.

The container may mount within its own namespaces then; rules of the default
profile that protect files in /proc and /sys must be copied or are lost.";

pub(super) const SECCOMP_DENIES_MOUNT: &str = "\
The namespaces are there, and the first mount was denied: a system call filter
lets clone through, but not mount.

The message is `Failed to make / slave: Operation not permitted`, with
`Seccomp: 2` in /proc/self/status. The default filters deny the namespaces
already, so this one was written by hand, or is a unit's or Firejail's.

Allow mount, umount2 and pivot_root beside clone and unshare. systemd:
`SystemCallFilter=@mount`. Docker and Podman: `--security-opt seccomp=FILE`.
Kubernetes: seccompProfile of type Localhost, the file lying in the node's
/var/lib/kubelet/seccomp. OpenShift: a security context constraint that admits
the profile. Unconfined works too, but opens every system call, and Pod
Security's baseline does not admit it.

With `Seccomp: 0` it is Landlock instead (MT04), with `Permission denied`
AppArmor (MT01). More of the kernel's mount code is reachable afterwards.";

pub(super) const MOUNT_NOT_IMPLEMENTED: &str = "\
A system call filter answers bwrap's first mount as if Linux had no such call.
Its default answer is ENOSYS, and mount is not on its list.

The message is `Failed to make / slave: Function not implemented`, with
`Seccomp: 2` in /proc/self/status. Filters derived from Podman's have this
default answer; an emulated kernel, WSL 1 for example, may answer so, too.

Put mount, umount2 and pivot_root on the filter's list, beside clone and
unshare. Docker and Podman: `--security-opt seccomp=FILE`; the distribution's
own seccomp.json of Podman has them. Kubernetes with containerd or CRI-O:
seccompProfile of type Localhost, and a security context constraint that
admits it on OpenShift. A unit: SystemCallFilter=@mount.

The price is that the container reaches the kernel's mount code, within its
own user namespace; naming a file is narrower than Unconfined.";

pub(super) const LANDLOCK_DENIES_MOUNT: &str = "\
A Landlock domain is in force that has rules about files. As long as it is,
nobody in it may change mounts, whatever paths it allows.

The message is `Failed to make / slave: Operation not permitted`.
/proc/self/status has `Seccomp: 0` and `NoNewPrivs: 1`, and
/sys/kernel/security/lsm lists landlock. The domain itself cannot be seen from
inside. With `Seccomp: 2` a filter is the likelier reason (MT02). Rules about
the network alone do no harm.

A parent put us there: an editor, agent or build tool that sandboxes what it
starts, landrun, or setpriv --landlock-access. Start bwrap before Landlock,
and apply the rules to the command inside: the isolation stays the same, in
the other order. Or exempt bwrap from that tool's sandbox. A domain cannot be
left. Docker, Podman and Kubernetes set none up by themselves, so look at what
the container's entry point does.";

pub(super) const TMP_MISSING: &str = "\
bwrap builds the new root on a tmpfs that it mounts on /tmp, in its own mount
namespace, and there is no /tmp to mount it on.

The message is `Failed to mount tmpfs: No such file or directory`; `Not a
directory` if /tmp is a file. `ls -ld /tmp` shows it. Images built from
scratch, distroless ones and small root trees often lack the directory. It
need not be writable, and nothing of it is seen in the sandbox.

On a machine or in a chroot: `mkdir -m 1777 /tmp`. Docker and Podman: add it
to the image (`RUN mkdir -m 1777 /tmp`), or start with `--tmpfs /tmp`.
Kubernetes, on containerd, CRI-O and OpenShift alike: an emptyDir mounted on
/tmp, which also works with readOnlyRootFilesystem. It costs nothing. Very old
versions of bwrap used another directory.";

pub(super) const SELINUX_DENIES_TMPFS: &str = "\
SELinux denied bwrap's first new mount, the tmpfs that the sandbox is built
on.

The message is `Failed to mount tmpfs: Permission denied`.
/proc/self/attr/current has a domain such as container_t, and the audit log of
the host `avc: denied { mount } ... tclass=filesystem` with tmpfs_t. Policies
of containers have allowed it for years (container-selinux after 2018), so it
is an old one or a domain of your own.

Update container-selinux on the host or node; a cluster update does it on
OpenShift. Otherwise choose a domain that may mount: Podman and Docker
`--security-opt label=type:container_engine_t`, pods seLinuxOptions.type,
OpenShift the constraint nested-container. For a domain of your own add `allow
DOMAIN tmpfs_t:filesystem { mount unmount };`.

container_engine_t may mount all kinds of file systems. label=disable takes
SELinux away from the container; it is the last resort.";

pub(super) const SECCOMP_DENIES_TMPFS: &str = "\
A system call filter looks at the flags of mount: it let the change of the
root's propagation pass, but not the tmpfs after it.

The message is `Failed to mount tmpfs: Operation not permitted`, with
`Seccomp: 2` in /proc/self/status. Such filters are written by hand, from a
trace of a program that mounts less than bwrap does.

Let mount through without a condition on its arguments. A filter cannot see
the type of the file system anyway, only numbers, so the condition protects
little. Docker and Podman: `--security-opt seccomp=FILE`. Kubernetes:
seccompProfile of type Localhost. A unit: SystemCallFilter=@mount. Next to
fail would be pivot_root and umount2: allow them at once.

The kernel's mount code becomes reachable, within the user namespace. If there
is no filter, look at Landlock (MT04), or at a security module.";

pub(super) const MOUNT_LIMIT: &str = "\
The kernel allows so many mounts in one namespace, fs.mount-max (100000 by
default), and the sandbox would have more. bwrap starts from a copy of all
mounts that are there, and binding a tree copies every mount below it once
more.

The message has `Limit exceeded (ENOSPC)` since bwrap 0.9, and `No space left
on device` before, after any of the mounts: `Can't bind mount ...`, `Failed to
mount tmpfs`. Compare `cat /proc/sys/fs/mount-max` with `wc -l <
/proc/self/mountinfo`. A disk that is full does not cause it.

Raise it as root: `sysctl -w fs.mount-max=200000`, on the host of Docker and
Podman, on the node for Kubernetes. Or bind single directories instead of /,
and look for mounts that pile up: leftover containers, automounts, snaps. More
mounts take kernel memory, which is not swapped, and slow bwrap down with the
square of their number. The limit exists since Linux 4.9.";

pub(super) const OPENAT2_MISSING: &str = "\
Since 0.12 bwrap walks every path with the system call openat2, so that no
symbolic link can lead it out of the sandbox while it builds it. Linux has
that call since 5.6. Something answers that it does not exist: an old kernel,
gVisor, a system call filter, or systemd, whose RestrictSUIDSGID=yes denies it
so.

The message is `Can't open source /usr: Function not implemented`, or the same
of another path and step.

A systemd unit: RestrictSUIDSGID=no. gVisor: a newer release. A container: a
filter that lets openat2 through. Elsewhere: a newer kernel. A bwrap that was
built without `assume_kernel` does without the call if it is run with
--not-a-security-boundary; bwrap 0.11 never needs it, but follows links that
somebody may have put into a writable bind.";

pub(super) const OVERLAY_UNSUPPORTED: &str = "\
The overlay was refused by the kernel: it is too old for overlays in user
namespaces, or does not take these directories.

The message is `Can't make overlay mount on /x with options ...` and an error.
`Operation not permitted` or `Invalid argument` on Linux before 5.11 (5.11 and
RHEL's 4.18 allow it). Later: `Invalid argument` when the upper directory lies
on NFS, FUSE or another overlay, or on another file system than the work
directory, which must be empty; `Overlay directories may not overlap` when one
contains another; `Device or resource busy` when another overlay uses them.
dmesg has a line `overlayfs: ...` that says more.

Put upper and work directory side by side on ext4, xfs, btrfs or a tmpfs, or
use a temporary overlay, which keeps what is written in memory. In Docker,
Podman and Kubernetes the container's own root is an overlay: use a volume or
an emptyDir. Or bind a copy. A newer kernel is the only way if it is too old.
bwrap knows overlays since 0.11; a setuid one makes none.";

pub(super) const HOSTNAME_DENIED: &str = "\
The sandbox sets a host name, and a system call filter denies sethostname. The
default filters of Docker, Podman, containerd and CRI-O let it pass only with
CAP_SYS_ADMIN.

The message is `Can't set hostname to box: Operation not permitted`, with
`Seccomp: 2` in /proc/self/status. Everything before it worked, the UTS
namespace included.

Leave the host name out (--hostname): inside the UTS namespace the command
then sees the name of the container, in Docker, Podman and Kubernetes alike.
That discloses the name of the host or pod, no more. Or allow sethostname in a
filter of your own: `--security-opt seccomp=FILE`, seccompProfile of type
Localhost; a systemd unit needs `SystemCallFilter=sethostname` and
ProtectHostname=no. It is a harmless call in a UTS namespace of one's own. A
wider filter for the sake of a name alone is not worth it.";

pub(super) const SECCOMP_DENIES_PIVOT_ROOT: &str = "\
Everything is mounted, and the sandbox was to become the root. The default
filter of Docker and containerd never allows pivot_root, not even to a
container with CAP_SYS_ADMIN, for which it allows all the rest.

The message is `pivot_root: Operation not permitted`, with `Seccomp: 2` and
often SYS_ADMIN in CapEff of /proc/self/status.

Docker: a filter with pivot_root on its list, `--security-opt seccomp=FILE`,
and drop the SYS_ADMIN that was added in vain: bwrap needs none as a user
other than root. Kubernetes with containerd: seccompProfile of type Localhost.
Podman, CRI-O and OpenShift allow pivot_root by default, so a profile of your
own is at work there.

With `Permission denied` it is AppArmor (MT09); with `Invalid argument` the
root is an initramfs or no mount. pivot_root only concerns the container's own
mount namespace; allowing it exposes little.";

pub(super) const APP_ARMOR_DENIES_PIVOT_ROOT: &str = "\
The AppArmor profile allows mounting, but has no rule for pivot_root, with
which bwrap makes the sandbox the root. Profiles of LXC, LXD and Incus are
like that.

The message is `pivot_root: Permission denied`. /proc/self/attr/current begins
with lxc-container-default, lxd- or incus-, or names a profile of your own.

Incus and LXD: `security.nesting=true` for the container. Proxmox: features
nesting=1. Plain LXC: `lxc.apparmor.profile =` a copy of
lxc-container-default-with-nesting with two more rules, `pivot_root
oldroot=/tmp/oldroot/ /tmp/,` and `pivot_root /newroot/,`. Docker, Podman and
Kubernetes: a profile with `pivot_root,`, loaded on the host or node; their
defaults deny mount before it comes to this (MT01).

The container may then change the root of its own mount namespaces. Nesting
also shows it an unmasked procfs, which matters if its root is the host's.";

pub(super) const SECCOMP_DENIES_UMOUNT: &str = "\
bwrap has made the sandbox the root and wants to get rid of the old one. A
system call filter denies umount2.

The message is `unmount old root: Operation not permitted`, `umount old root`
at another point, with `Seccomp: 2` in /proc/self/status. It would be unsafe
to go on: the whole host would remain visible, so bwrap stops.

Allow umount2 in the filter, beside clone, unshare, mount and pivot_root.
Docker and Podman: `--security-opt seccomp=FILE`. Kubernetes: seccompProfile
of type Localhost on containerd and CRI-O, admitted by the constraint on
OpenShift. systemd: SystemCallFilter=@mount contains it. With `Permission
denied`, the AppArmor profile lacks `umount,`.

Unmounting works only in the sandbox's own mount namespace, on mounts that it
has made; mounts of the container itself are locked. Nothing else becomes
possible.";

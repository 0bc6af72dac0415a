//! What the sandbox's operations ask for.

pub(super) const SOURCE_MISSING: &str = "\
bwrap looked up the source of a bind or a layer of an overlay on the host,
before it mounted anything, and it is not there.

The message is `Can't find source path /opt/tools: No such file or directory`.
`Not a directory` means that a part of the path is a file. `ls -ld PATH`,
typed as the same user in the same directory, shows the same: relative paths
begin where bwrap is started. In Docker, Podman and Kubernetes the path is
looked up in the container: what only the host or node has must be mounted
into it first, with -v or a volume.

Correct the path, or create it (`mkdir -p`). If the sandbox is to start
without it, make it optional (--ro-bind-try, Bind::optional): that ignores a
missing source, and nothing else, and the command then finds nothing there. A
descriptor as source must stand for something that still has a name.";

pub(super) const SOURCE_UNREACHABLE: &str = "\
The source of a bind is there, or may be, but bwrap must not look: some
directory on the way cannot be searched by the user that it runs as.

The message is `Can't find source path /root/x: Permission denied`, or another
error such as `Too many levels of symbolic links` or `Stale file handle`.
`namei -l PATH` lists the directories with their modes; the first without x
for the user is the one.

Let the user in: `setfacl -m u:NAME:x DIRECTORY`, or bind something that is
reachable. Optional binds do not help, they forgive only what is missing. FUSE
mounts show themselves to their owner only, unless mounted with allow_other;
NFS refuses root where root is squashed.

Root in a user namespace (--unshare-user; a pod with hostUsers: false;
rootless Podman) has no rights over files of users that are not mapped: do
without the namespace, or change the owner. Also SELinux labels of volumes
matter: `:z` or `:Z` behind a volume in Podman and Docker.";

pub(super) const REMOUNT_REFUSED: &str = "\
bwrap binds a tree with every mount in it, then sets nosuid, nodev and
read-only on each by a remount. The kernel refused one of those.

The message names it: `Can't bind mount /mnt on /mnt: Unable to apply mount
flags: remount \"/mnt/nfs\": Host is down` (bwrap 0.11 and older: `Can't bind
mount /oldroot/mnt on /newroot/mnt`), or `Unable to remount destination
\"...\" with correct flags`, or `mount_setattr() failed at \"...\"` in newer
versions. `findmnt -T PATH` shows what is there. Suspects are automounts,
network and FUSE mounts that do not answer, mounts whose flags are locked
because they come from outside of our user namespace (all of them in a
container), and security modules, which answer `Permission denied`.

Bind the parts of the tree that are needed and leave that mount out; or
unmount or repair it on the host. In Docker, Podman and Kubernetes move the
volume elsewhere. Only what is not bound is lost. bwrap 0.12 can make a
warning of it (--not-a-security-boundary), which leaves that mount writable.";

pub(super) const DESTINATION_READ_ONLY: &str = "\
bwrap goes through its operations in order. For each it makes the mount point,
if there is none, in whatever is mounted there by then. Here that cannot be
written: mostly it is a read-only bind of the sandbox's own.

The messages are `Can't mkdir /usr/x: Read-only file system`, `Can't create
file at ...`, `Can't mkdir parents for ...`, `Can't make symlink at ...`.
`Permission denied` means that it lies in a writable bind whose directory on
the host is not the user's.

With a bind it does not help to change the order: the bind would hide what was
made before. Make the mount point in the source, on the host (`mkdir -p
/usr/x`) or in the image; choose a destination that exists; mount a tmpfs on a
directory in between; or replace the read-only bind by a temporary overlay
(bwrap 0.11, Linux 5.11), on which the command can write, into memory. Where a
remount (--remount-ro) came too early, move the operation before it.

All environments are alike in this.";

pub(super) const DESTINATION_IS_SYMLINK: &str = "\
The destination of a mount is a symbolic link inside the sandbox, or lies
below one that leads nowhere. A mount on a link would land elsewhere than the
description says.

bwrap 0.12, and distributions that carry the fix for CVE-2026-87766, refuse
it: `Can't mount on symlink destination /lib64`, sometimes `Can't resolve ...:
Too many levels of symbolic links`. Older ones follow the link in the wrong
root and fail with `No such file or directory`, or worse, succeed on the host.

Name the path that the link stands for: /usr/lib64 instead of /lib64 where
/usr is merged, /run/systemd/resolve/stub-resolv.conf instead of
/etc/resolv.conf, /var/home instead of /home on ostree systems. `readlink -f`
on the tree that is bound tells which. If the sandbox makes the link itself,
mount on its target.

A link in a writable bind can have been planted by an earlier command: look
before you follow it. Nothing else is at stake.";

pub(super) const DESTINATION_OF_OTHER_KIND: &str = "\
Directories are mounted on directories and files on files. What is at the
destination is of the other kind, or nothing is there where something must be.

The messages of bwrap 0.12 are `Destination is not a directory ...` and
`Destination is not a file ...`; older ones say `Can't mkdir /etc/passwd: Not
a directory` or `Can't create file at /usr: Is a directory`. `Can't remount
readonly on ...: Unable to find \"...\" in mount table` belongs here: only a
mount can be made read-only, not just any directory. So does `Can't chmod ...:
No such file or directory`.

A file that is bound on a directory is mostly meant to lie in it: name the
whole path, /etc/passwd and not /etc. Otherwise choose a destination that fits
the source, or remove what an earlier operation puts there. For a read-only
part of a tree, bind that part on itself with --ro-bind instead of a remount.
Host and container engine have no say in it.";

pub(super) const DESTINATION_EXISTS: &str = "\
The sandbox makes a symbolic link, and something else is there already: a
file, a directory, or a link to another target.

The messages are `Can't make symlink at /lib: existing destination is
usr/lib`, `... destination exists and is not a symlink`, and before bwrap 0.9
always `Can't make symlink at /lib: File exists`, even if the link is the
same. `ls -ld` on the tree that is bound shows what is there.

Mostly a bind of the whole root brings the link along, and the operation can
simply go. Where two operations make the same path, remove one. In a writable
bind it may be left over from an earlier run: bwrap's links are made on the
host there and stay. From 0.9 on, the same link again is accepted, so a newer
bwrap cures the harmless case. Nothing is opened up; what is removed is not
there inside.";

pub(super) const FILE_TOO_BIG: &str = "\
bwrap writes a file of the sandbox, from content that it was given, and there
is no room: a tmpfs of the sandbox's own is full, the disk behind a writable
bind is, or files may not be that large.

The messages are `Can't write data to file /x: No space left on device`, `Disk
quota exceeded` or `File too large`. A tmpfs holds what --size says, or half
of the memory; in a container its pages count for the memory limit. `df -h`
shows disks, `ulimit -f` the limit on the size of files.

Raise the size of the tmpfs (Tmpfs::size), make room on the disk, or write the
content to a file on the host and bind that read-only, which takes no memory
at all. Docker and Podman: `--memory`, `--tmpfs /x:size=`; Kubernetes:
resources.limits.memory, and the node's ephemeral storage. A larger tmpfs lets
the command use as much memory.";

pub(super) const BIND_DENIED: &str = "\
The kernel refused a bind mount itself, after its source was found and its
destination made.

The message is `Can't bind mount /a on /b: Unable to mount source on
destination:` and an error; bwrap 0.11 and older say `Can't bind mount
/oldroot/a on /newroot/b`. `Permission denied` is a security module's answer;
`Operation not permitted` a filter's, or Landlock's; `Invalid argument` means
that the source cannot be bound: a file of another namespace
(/proc/PID/ns/..., /run/netns), or something below a mount that is locked.
`Unable to find \"...\" in mount table` comes from case-insensitive file systems
and emulated kernels.

Try it without bwrap: `unshare -Urm mount --rbind /a /mnt`. If that fails as
well, look into dmesg for DENIED or avc, and allow it in the profile or
policy: on a machine, or on the host of Docker and Podman, or on the nodes of
Kubernetes. Else bind a directory above, or a copy. A directory above shows
more of the host.";

//! From the second user namespace to the program.

pub(super) const SECCOMP_DENIES_UNSHARE: &str = "\
As another user than root, --dev takes a second user namespace: bwrap is
mapped to 0 while it mounts a devpts, and moves on to your own id by unshare.
A filter allows clone, but not unshare. --disable-userns takes that second
one, too.

The message is `unshare user ns: Operation not permitted`, with `Seccomp: 2`
in /proc/self/status; everything was mounted by then.

Allow unshare in the filter, beside clone: Docker and Podman `--security-opt
seccomp=FILE`, Kubernetes seccompProfile of type Localhost, OpenShift a
constraint that admits it. Or do without the second namespace: --dev-bind /dev
/dev in place of --dev, which shows the command the devices of the container,
or `--uid 0`, with which it believes to be root inside.

unshare offers nothing that clone with the same flags does not, so allowing it
costs next to nothing.";

pub(super) const SECOND_USER_NAMESPACE_LIMIT: &str = "\
The limit on user namespaces allows one more, and this sandbox needs two: as
another user than root, --dev takes a second one, and so does
--disable-userns.

The message is `unshare user ns: No space left on device`.
/proc/sys/user/max_user_namespaces is 1, or one around us has that limit,
which cannot be seen from inside: an outer bwrap with --disable-userns sets it
to 1.

Raise it as root where it was set: `sysctl -w user.max_user_namespaces=15000`
on the machine, on the host of Docker and Podman, on the node of Kubernetes
(MachineConfig or Tuned on OpenShift). Or need one only: --dev-bind /dev /dev
in place of --dev shows the command the outer devices; `--uid 0` makes it root
inside; leaving --disable-userns out lets it make namespaces of its own.

More user namespaces on a machine expose more of the kernel to its users.";

pub(super) const DISABLE_USERNS_DENIED: &str = "\
For --disable-userns, bwrap writes 1 to /proc/sys/user/max_user_namespaces of
its new user namespace. An AppArmor profile forbids writing there: those of
LXD and Incus and docker-default do.

The message is `cannot open /proc/sys/user/max_user_namespaces: Permission
denied`. /proc/self/attr/current names the profile.

Leave --disable-userns out, if it is a refinement for you: the command can
then make user namespaces inside, and reach more of the kernel through them.
To keep it, add `/proc/sys/user/max_user_namespaces rw,` to the profile: on
the host for Docker and Podman (`--security-opt apparmor=NAME`), on the nodes
of Kubernetes (type Localhost); for Incus a version that allows it (issue
1937). A system call filter that denies unshare and clone with CLONE_NEWUSER
to the command has the same effect and asks nobody. bwrap knows the option
since 0.8.";

pub(super) const DISABLE_USERNS_READ_ONLY: &str = "\
For --disable-userns, bwrap writes 1 to /proc/sys/user/max_user_namespaces of
its new user namespace, and the runtime has made /proc/sys read-only.

The message is `cannot open /proc/sys/user/max_user_namespaces: Read-only file
system`. /proc/self/mountinfo has a mount on /proc/sys with ro. Docker,
Podman, containerd, CRI-O and systemd-nspawn do so by default.

Leave --disable-userns out; the command can then make user namespaces inside.
A system call filter for the command that denies them does the same without
/proc. Or uncover /proc/sys: Docker `--security-opt systempaths=unconfined`,
Podman `--security-opt unmask=ALL`, Kubernetes hostUsers: false with
procMount: Unmasked (1.33 and newer), OpenShift the constraint
nested-container, nspawn `mount -o remount,rw /proc/sys` inside.

That uncovers all of /proc, so only where the container's root is not the
host's. The option came with bwrap 0.8.";

pub(super) const USER_NAMESPACES_STILL_ALLOWED: &str = "\
The sandbox demands that no user namespace can be made inside
(--assert-userns-disabled), bwrap tried to make one, and it worked.

The message is `creation of new user namespaces was not disabled as
requested`. The option only checks; it forbids nothing. --disable-userns
forbids, together with --unshare-user. It is also printed if a namespace is
joined (--userns) that was expected to be locked and is not.

Add --disable-userns and --unshare-user, or lock the namespace that is joined:
`echo 1 > /proc/sys/user/max_user_namespaces` in it, and go one level deeper.
In containers /proc/sys is mostly read-only, which stands in the way of it
(UM10). If further namespaces do no harm, leave the demand out; the command
then reaches more of the kernel. Nothing on the host has to change. Both
options came with bwrap 0.8.";

pub(super) const CAPABILITY_UNAVAILABLE: &str = "\
The sandbox gives its command a capability (--cap-add), and bwrap does not
have it to give.

The messages are `capset failed: Operation not permitted` late in the set-up,
or `Adding ambient capability N: Operation not permitted`. Without a user
namespace root can pass on only what is in its own CapPrm and CapBnd
(/proc/self/status); in a user namespace everything is there, but counts
inside only.

Leave the capability out, which is least privilege, or add --unshare-user so
that it is one of the namespace. If the command needs it over the host, the
caller must have it: Docker and Podman `--cap-add X`, pods capabilities.add
(only NET_BIND_SERVICE passes Pod Security's restricted level), a unit
CapabilityBoundingSet= and AmbientCapabilities= (but see CP01). A filter on
capset or prctl gives the same text. As root, do not use --cap-add ALL: bwrap
ignores some failures there.";

pub(super) const PROCESS_LIMIT_LATE: &str = "\
The namespaces and mounts are there. bwrap forks once more, for the process
that is number 1 inside, and no more processes are allowed.

The message is `Can't fork for pid 1: Resource temporarily unavailable`. As
for the first process (NS16), compare `ulimit -u` with the threads of the
user, and pids.max with pids.current in our control group. A sandbox takes two
processes besides the command, so a limit that leaves room for one ends here.

On a machine raise `ulimit -u`, or TasksMax= of the unit. Docker and Podman:
`--pids-limit`, `--ulimit nproc=`. Kubernetes: podPidsLimit of the kubelet,
pids_limit of CRI-O; a KubeletConfig on OpenShift. --as-pid-1 saves one
process, but the command must then collect orphans itself.

A higher limit weakens the protection against fork bombs. Look for processes
nobody waited for first.";

pub(super) const WORKING_DIRECTORY_MISSING: &str = "\
The sandbox is complete, and the directory in which the command was to start
is not there, or may not be entered.

The message is `Can't chdir to /work: No such file or directory`; `Permission
denied` if the user may not search it, `Not a directory` if it is a file. It
is a path inside: what it is on the host does not matter unless it is bound
there.

Bind the directory (ro_bind or bind), make an empty one (--dir), or start in
one that exists: `/` always does. With bind, files that the command writes
land on the host. Check the order: a tmpfs that is mounted on a directory
above, after the bind, hides it. In Docker, Podman and Kubernetes the
directory must exist in the container first: a volume that is not mounted is
the usual reason. No version or kernel matters here. Without --chdir bwrap
goes where the caller was, if that exists inside, and to / otherwise.";

pub(super) const LABEL_REFUSED: &str = "\
The sandbox asks for a SELinux label, for its command (--exec-label) or for
the files that bwrap makes (--file-label), and got a refusal.

The messages: `labeling not supported on this system`, when SELinux is off or
bwrap was built without it; `invalid label X`, when the policy does not know
it; `label_exec X: Permission denied` or `Invalid argument`, when our domain
may not make the transition; `--file-label setup failed`.

Leave the label out where SELinux is off: Debian and Ubuntu do without by
default. Otherwise see `ausearch -m avc -ts recent` for what was denied, and
`seinfo -t` for types that exist; allow the domain `process { setexec
transition }`. In Podman, Docker and Kubernetes the label is a matter of the
container (label=type:..., seLinuxOptions), and its domain may mostly not
change to another. Without it, the command has the label of its caller.";

pub(super) const FILTER_REJECTED: &str = "\
The sandbox brings a system call filter for its command, and it could not be
loaded. This is about the sandbox's own filter, not about that of a container.

The messages: `Invalid seccomp data, must be multiple of 8`, when it is a text
or was cut off; `prctl(PR_SET_SECCOMP) reported EINVAL`, when the program is
empty, longer than 4096 instructions, or malformed (the hint about the
kernel's configuration rarely applies); `prctl(PR_SET_SECCOMP): Operation not
permitted` or `Permission denied`, when a filter before it denies prctl;
`Can't read seccomp data`, when the descriptor is closed or was read already.

Compile it anew, to raw BPF for this architecture (seccomp_export_bpf,
seccompiler), and give each filter a descriptor of its own. With several, put
the strictest last. The process that is pid 1 inside runs under it as well: it
needs wait4, write, close and exit_group. No host setting helps. Several
filters need bwrap 0.6.";

pub(super) const LOADER_MISSING: &str = "\
The program is inside, but the kernel needs another file to start it, and that
is not: the dynamic loader that an ELF program names, or the interpreter in
the #! line of a script.

The message is `execvp /usr/bin/true: No such file or directory`, which sounds
as if the program itself were missing. `readelf -l PROGRAM | grep interpreter`
and `head -1 SCRIPT` name what is needed: /lib64/ld-linux-x86-64.so.2, or
/lib/ld-linux-aarch64.so.1, or /lib/ld-musl-x86_64.so.1.

With a merged /usr bind that, and make the links: `--symlink usr/lib /lib
--symlink usr/lib64 /lib64` (Sandbox::symlink). Otherwise bind /lib and /lib64
read-only. For NixOS and Guix bind the store, and for scripts the interpreter,
also /usr/bin/env if they use it. In containers the files of the image count,
so a glibc program in an Alpine image lacks its loader altogether. The command
can read what is bound.";

pub(super) const PROGRAM_MISSING: &str = "\
The sandbox is ready, and the program that it was to run is not in it: not at
the path given, or in no directory of PATH.

The message is `execvp NAME: No such file or directory`. `Permission denied`
can mean the same, if PATH has a directory that the user may not search,
/root/bin say. If the program is there, its loader is missing instead (EX01).

A name without a slash is searched in the PATH of the command. bwrap hands its
own environment on, unless it is cleared (--clearenv); in this library it is
empty unless asked. Without PATH only /bin and /usr/bin are searched. Set it
inside (`--setenv PATH ...`), or name the whole path as it is inside. Bind the
directory that has the program, read-only, with its libraries. A tmpfs on top
of an earlier bind hides it. In Docker, Podman and Kubernetes it must be in
the container's image, not on the host. The command can read what is bound;
nothing else changes.";

pub(super) const PROGRAM_NOT_EXECUTABLE: &str = "\
The program is there, and may not be executed: its mode has no x for this
user, it is a directory, its file system is mounted noexec, or it is just
being written.

The message is `execvp PROGRAM: Permission denied`; `Text file busy` in the
last case. `ls -lL PROGRAM` and `findmnt -T PROGRAM -o OPTIONS` tell, on the
path where it lies on the host.

`chmod +x PROGRAM`, name the program in the directory, or put it on a file
system without noexec: /tmp, /home and /dev/shm often are mounted so, and a
bind keeps that flag. As root on the host, `mount -o remount,exec` changes it
for everybody. In Kubernetes emptyDir and hostPath follow the node's mount;
ConfigMap volumes need defaultMode 0755 for scripts; Docker's `--tmpfs` is
noexec unless told `:exec`. Root needs an x somewhere in the mode, too.";

pub(super) const WRONG_ARCHITECTURE: &str = "\
The file has the mode of a program, and is none for this machine: it was built
for another processor, or is neither ELF nor a script with a #! line.

The message is `execvp PROGRAM: Exec format error`, or whatever a shell says
that tried to read it as a script. `file PROGRAM` names the architecture,
`uname -m` that of the machine: an amd64 image on an arm64 laptop or node is
the usual case.

Take a build for this machine: `docker pull --platform linux/arm64`, `podman
pull --arch`, an image index with both for Kubernetes, with nodeSelector
kubernetes.io/arch otherwise. Or emulate: binfmt_misc with qemu-user-static,
registered on the host or node with the flag F, so that the emulator need not
be in the sandbox; that is slow, and exposes the emulator's bugs. A script
needs `#!` and an interpreter in its first line.";

pub(super) const EXEC_DENIED: &str = "\
Everything about the file is in order, and executing it was denied all the
same: by a security module, a Landlock domain, or a system call filter.

The message is `execvp PROGRAM: Operation not permitted`, which mode bits
never cause, or `Permission denied` where mode and noexec are ruled out. dmesg
or the audit log name who: `apparmor=\"DENIED\" operation=\"exec\"`, `avc: denied
{ execute }`, or type=1326 for a filter. /proc/self/attr/current shows the
label that we have.

AppArmor: the profile that bwrap's commands end up in (Ubuntu stacks
unpriv_bwrap on them) needs a rule for that path. SELinux: label the file
bin_t (`restorecon`, `chcon`), or allow the transition; volumes of Podman and
Docker take `:z`. A filter of the sandbox's own must allow execve. fapolicyd
and IMA policies can deny it, too. On Kubernetes the node's log has the line.
Allow that one program, not all.";

pub(super) const DESCRIPTOR_LIMIT: &str = "\
bwrap, or what started it, has as many files open as the limit allows.

The message is an error with `Too many open files`: `eventfd()`, `pipe2()`,
`Can't open /proc` and others, before anything is mounted. `ulimit -n` shows
the limit, `ls /proc/PID/fd | wc -l` what the starting process has open: bwrap
inherits those that are not closed on exec, and each File, BindData and filter
takes one more.

Raise the soft limit before starting it: `ulimit -S -n 65536` in the shell (no
further than `ulimit -H -n` without root), LimitNOFILE= in a unit, `--ulimit
nofile=` in Docker and Podman. Kubernetes has no field for it: the node's
container runtime sets it (LimitNOFILE= of containerd or CRI-O). `Too many
open files in system` means fs.file-max instead.

More open files take kernel memory. A limit that is hit at the hundredth
launch points at descriptors which leak: look at /proc/PID/fd first.";

pub(super) const OUT_OF_MEMORY: &str = "\
Memory ran out for bwrap or for the kernel on its behalf.

The message is `Out of memory`, or any step with `Cannot allocate memory`.
bwrap itself takes little, so the limit is of others: the memory of the
control group (memory.max and memory.events in the directory that
/proc/self/cgroup names), `ulimit -v`, or the machine (`free -m`). With status
137 and no message the kernel has killed it: `dmesg | grep -i oom`.

On a machine: free memory, MemoryMax= of the unit. Docker and Podman:
`--memory`. Kubernetes: resources.limits.memory, with OOMKilled in `kubectl
describe pod`. Files of a sandbox lie in memory, those in a tmpfs or given as
content: limit a tmpfs by its size.

Kernel memory for mounts counts as well: thousands of binds (see MT12) make
every launch expensive. Raising limits takes memory from others on the host or
node.";

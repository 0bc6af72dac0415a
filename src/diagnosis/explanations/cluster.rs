//! Kubernetes, and what nobody knows.

pub(super) const UNMASKED_NEEDS_USER_NAMESPACE: &str = "\
The pod asks for procMount: Unmasked, so that bwrap can mount a procfs, and
the API server refuses it without a user namespace of the pod's own.

The message comes from kubectl: `securityContext.procMount: Invalid value:
\"Unmasked\": ... hostUsers must be false to use Unmasked`. It does so since
Kubernetes 1.30.

Add `hostUsers: false` to the pod's spec; containers keep procMount: Unmasked
in their securityContext. It needs nodes with Linux 6.3 (idmapped tmpfs),
containerd 2.0 or CRI-O 1.25, and runc 1.2 or crun 1.9. Then run bwrap as
another user than root. On OpenShift, from 4.20 on, the constraint
nested-container allows the combination.

This costs nothing: root of the pod is nobody on the node, which is why
uncovering /proc is acceptable there. Volumes must support idmapped mounts,
and hostNetwork, hostPID and hostIPC cannot be combined with it. Or leave both
out, and bind the outer /proc in the sandbox.";

pub(super) const NODE_WITHOUT_USER_NAMESPACES: &str = "\
The pod has hostUsers: false, and its node cannot make a user namespace for
it: user.max_user_namespaces is 0 there. The pod's sandbox does not even
start, so bwrap has not run.

The pod's events (`kubectl describe pod`) say `failed to start noop process
for unshare: fork/exec /proc/self/exe: no space left on device`. On the node,
`sysctl user.max_user_namespaces` prints 0. It has nothing to do with disks.

Set it on the nodes: Bottlerocket
`settings.kernel.sysctl.\"user.max_user_namespaces\" = \"16384\"`, other images in
their bootstrap script or by a DaemonSet, OpenShift by MachineConfig or Tuned.
EKS Auto Mode has it at 0 and no setting for it; use another node group, or a
privileged DaemonSet.

All processes of the node may then make user namespaces, which exposes more of
its kernel; hardening guides such as the STIG want an exception. The same
setting stops bwrap in pods without hostUsers: false, as NS12.";

pub(super) const POD_FIELDS_IGNORED: &str = "\
The pod's YAML says procMount: Unmasked or hostUsers: false, and nothing of it
arrives: the API server or the node drops the field without a word, and bwrap
fails as before: `Can't mount proc on /newroot/proc: Operation not permitted`
(PR01).

`kubectl get pod POD -o yaml` no longer shows the field: the API server's
feature gates ProcMountType and UserNamespacesSupport are off, as they were by
default before 1.33. Or it shows it, and in the container /proc/self/uid_map
is still `0 0 4294967295` and /proc/self/mountinfo has the masks: the node
ignores it, with a kubelet before 1.30 or containerd 1.6.

Use Kubernetes 1.33 or newer (both are final in 1.36), or switch both gates on
in API server and kubelet; containerd 2.0, or CRI-O 1.25. OpenShift has it
since 4.20, as a preview in 4.19. Until then bind the outer /proc in the
sandbox. Gates are cluster-wide; they only allow pods to ask.";

pub(super) const POD_SECURITY_FORBIDS_UNMASKED: &str = "\
The namespace enforces a level of Pod Security Standards that does not admit
procMount: Unmasked, so the pod was rejected.

The message is `violates PodSecurity \"baseline:latest\": procMount (container
\"c\" must not set securityContext.procMount to \"Unmasked\")`. `kubectl get ns
NAMESPACE --show-labels` shows pod-security.kubernetes.io/enforce.

From policy version 1.35 on, baseline admits it for pods with hostUsers:
false: label the namespace enforce=baseline and enforce-version=v1.35, or
newer, and add hostUsers: false. Older versions of baseline, and restricted in
every version, forbid it always; then only privileged admits it, in a
namespace of its own for these pods. OpenShift keeps the labels in step with
its constraints: let the service account use nested-container.

The rule of 1.35 opens little, for the pod's root is nobody on the node;
privileged drops every check. Or leave procMount out, and bind the outer /proc
in the sandbox, which shows the command the pod's processes.";

pub(super) const UNEXPLAINED: &str = "\
Nothing that this library knows explains what was seen. Either bwrap said
something that no rule is for, or the facts about this host rule out every
cause that goes with the message.

The report names the message and the stage that bwrap was in; every stage
before that one went well. It lists what is suspicious here: a system call
filter, a security label, a platform. The kernel often knows more: `dmesg |
tail`, and `ausearch -m avc,seccomp -ts recent` where auditd runs.

Run `bwrap-doctor check` as the same user in the same place: it tries each
step by itself. Paste the command line into a shell and leave one option out
at a time; the last one that makes it start is the culprit. In a container
compare with the machine around it: what works there is denied by the engine's
settings. Then report it with the output of `bwrap-doctor host`, which holds
no secrets, but names mounts and labels.";

//! What lets bwrap mount a procfs and a devpts, beyond what other rules share.

use super::hidden::{Hidden, SUMMED_UP, Seen, doubtful, is_lxcfs, is_nvidia, look, shortened};
use crate::diagnosis::case::Case;
use crate::diagnosis::remedies::{
    Setting, allow_nesting, change, commands, manual, permit_domain, unit, unmask_proc,
};
use crate::diagnosis::rules::facts::word;
use crate::diagnosis::{Engine, Remedy, SandboxChange, SelinuxRule};
use crate::host::Platform;

/// Whoever gets the one permission and not the other comes back with the next failure.
pub(super) fn permit_mounts(case: &Case<'_>) -> Vec<Remedy> {
    const PROC_T: SelinuxRule =
        SelinuxRule { target: "proc_t", class: "filesystem", permissions: &["mount"] };
    const DEVPTS_T: SelinuxRule =
        SelinuxRule { target: "devpts_t", class: "filesystem", permissions: &["mount"] };
    match (case.plans(|plan| plan.proc.is_some()), case.plans(|plan| plan.dev.is_some())) {
        (true, false) => permit_domain(case, &[PROC_T]),
        (false, true) => permit_domain(case, &[DEVPTS_T]),
        _ => permit_domain(case, &[PROC_T, DEVPTS_T]),
    }
}

pub(super) fn with_bind_proc(case: &Case<'_>, mut remedies: Vec<Remedy>) -> Vec<Remedy> {
    let operation = case.plan.as_ref().and_then(|plan| plan.proc);
    remedies.extend(operation.map(|operation| change(SandboxChange::BindProc { operation })));
    remedies
}

pub(super) fn with_bind_dev(case: &Case<'_>, mut remedies: Vec<Remedy>) -> Vec<Remedy> {
    let operation = case.plan.as_ref().and_then(|plan| plan.dev);
    remedies.extend(operation.map(|operation| change(SandboxChange::BindDev { operation })));
    remedies
}

pub(super) fn unmask_or_bind(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = with_bind_proc(case, unmask_proc(case));
    // there it takes another engine
    if Setting::of(case) == Setting::Container(Engine::Docker) && case.on(Platform::GitLabCi) {
        remedies.reverse();
    }
    remedies
}

/// Takes what covers /proc away, or has a whole one beside it.
pub(super) fn uncover(case: &Case<'_>) -> Vec<Remedy> {
    const OPENS: &str = "what was covered can be seen again";
    let hidden = match look(case) {
        Seen::Hidden(hidden) => Some(hidden),
        Seen::Whole => doubtful(case),
        Seen::Unknown => None,
    };
    let Some(Hidden { covers, .. }) = hidden else { return unmask_proc(case) };
    let points = covers.iter().map(|cover| word(&cover.point));
    let list = shortened(points.clone(), SUMMED_UP);
    if covers.is_empty() {
        return vec![manual(
            "Have a whole procfs mounted",
            "Mount one writable on /proc before bwrap is started: `mount -t proc proc /proc`, as root",
            "processes and settings of the kernel can be seen there",
        )];
    }
    match Setting::of(case) {
        Setting::Lxc => allow_nesting(case),
        Setting::Unit => unit(
            case,
            &[("ProtectKernelTunables", "no"), ("ProtectKernelLogs", "no")],
            "the service may see and, as root, change the kernel's settings in /proc",
        ),
        Setting::Machine => {
            // nobody unmounts that many by hand
            let few = points.len() <= 40;
            let umount: Vec<String> = points.take(40).map(|point| format!("umount {point}")).collect();
            let umount: Vec<&str> = umount.iter().map(String::as_str).collect();
            let beside = ["install -d -m 700 /run/whole-proc", "mount -t proc proc /run/whole-proc"];
            let away =
                few.then(|| commands(&format!("Unmount what covers {list}"), &umount, OPENS).for_root(case));
            let beside = commands(
                "Mount a whole procfs beside it, for root only",
                &beside,
                "root may see there what is covered in /proc",
            )
            .for_root(case);
            away.into_iter().chain([beside]).collect()
        }
        _ if covers.iter().any(|cover| is_nvidia(&cover.point)) => vec![manual(
            "Use CDI for the graphics cards",
            "Have the NVIDIA container toolkit hand out cards by CDI (`nvidia-ctk cdi generate`; \
             `--device nvidia.com/gpu=all` in place of `--gpus all`), which mounts nothing over /proc",
            "nothing",
        )],
        _ if covers.iter().any(|cover| is_lxcfs(cover)) => vec![manual(
            "Start the container without LXCFS",
            &format!("Take the mounts of LXCFS out of the container's options: {list}"),
            "the container sees the machine's processors and memory, not its own share",
        )],
        _ => vec![manual(
            "Start the container without mounts over /proc",
            &format!("Take what mounts {list} out of the container's options"),
            OPENS,
        )],
    }
}

pub(super) fn outer_as_user() -> Remedy {
    manual(
        "Start the outer bwrap as another user than root",
        "bwrap covers /proc/sys, /proc/sysrq-trigger, /proc/irq and /proc/bus only where its user could write there",
        "nothing",
    )
}

/// Root of a machine remounts it; what mounted it otherwise does so again at the next boot.
pub(super) fn relatime(case: &Case<'_>) -> Vec<Remedy> {
    const REMOUNT: &str = "mount -o remount,relatime,atime,diratime /proc";
    let now = commands("Remount /proc with relatime", &[REMOUNT], "nothing").for_root(case);
    if case.on(Platform::Wsl2) {
        let lines =
            format!("# in /etc/wsl.conf:\n[boot]\ncommand = {REMOUNT}\n# then, in Windows:\nwsl --shutdown");
        return vec![
            now.requires("the same again whenever WSL has been shut down, or what follows"),
            manual("Have WSL remount /proc with relatime whenever it starts", &lines, "nothing")
                .requires("root in WSL, and a WSL that knows the section boot (`wsl --update`)"),
        ];
    }
    match Setting::of(case) {
        Setting::Machine | Setting::Unit | Setting::Unknown => vec![now.requires(
            "the same after each boot; to keep it, take noatime, nodiratime or strictatime out of the line for /proc in \
             /etc/fstab, or have a unit of systemd run it before what needs bwrap",
        )],
        _ => vec![now],
    }
}

/// Gates and versions: the pod's manifest is right already.
pub(super) fn honour_pod_fields(case: &Case<'_>) -> Vec<Remedy> {
    const OPENS: &str = "pods of the whole cluster may ask for user namespaces and an unmasked /proc; Pod Security Standards \
                         still decide which of them get it";
    if matches!(Setting::of(case), Setting::Kubernetes { openshift: true }) {
        let how = "Update the cluster to OpenShift 4.20 or later (4.19 has it as a technology preview), and let the pod use the \
                   constraint nested-container";
        return vec![manual("Update OpenShift to a release that honours the pod's fields", how, OPENS)];
    }
    let runtime = if case.on(Platform::CriO) { "CRI-O 1.25" } else { "containerd 2.0" };
    let node = format!(
        "Where `kubectl get pod POD -o yaml` still shows the fields, the node ignores them: kubelet 1.30 or later and {runtime} \
         or later"
    );
    vec![
        manual(
            "Have the API server keep the pod's fields",
            "Where `kubectl get pod POD -o yaml` no longer shows procMount or hostUsers: switch the feature gates ProcMountType \
             and UserNamespacesSupport on in API server and kubelet, or use Kubernetes 1.33 or later, where they are on",
            OPENS,
        )
        .requires("the rights of a cluster administrator"),
        manual(&format!("Update the node: its kubelet, and {runtime} or later"), &node, OPENS)
            .requires("the rights of a cluster administrator"),
    ]
}

pub(super) fn another_kernel() -> Remedy {
    manual(
        "Run where the kernel is Linux's own",
        "Run the container or job under a runtime that shares the kernel or boots a whole one (runc, a virtual machine)",
        "the isolation of this kernel is gone",
    )
}

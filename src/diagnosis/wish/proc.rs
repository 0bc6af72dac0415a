//! What must be mounted, and how: /proc, its settings, /tmp, the nodes in /dev.

use crate::diagnosis::remedy::told;
use std::path::Path;

use super::{NESTED_CONTAINER, NESTED_CONTAINER_SINCE, allow_nesting, elsewhere, pod, unit};
use crate::diagnosis::case::Case;
use crate::diagnosis::need::Need;
use crate::diagnosis::remedy::{Action, Engine, Remedy};
use crate::diagnosis::setting::Setting;
use crate::host::Platform;
use crate::shell::path_word;

/// Leave /proc unmasked, in whatever started us; in a pod that takes a user namespace.
pub(super) fn whole(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    const AS_ROOT: &str = "what the engine hides of /proc is reachable in the container: kcore, keys, timer_list, and for \
                           its root also sysrq-trigger and the kernel's settings; run it as a user (--user=1000) and these \
                           stay closed";
    let start = |action| Remedy::new("Start the container with an unmasked /proc", action, AS_ROOT);
    let option = |engine, value: &str| Action::options(engine, &[&format!("--security-opt={value}")], &[]);
    match setting {
        Setting::Kubernetes { openshift } => {
            let remedy = Remedy::new(
                "Give the pod a user namespace of its own, and its container an unmasked /proc",
                pod(|pod| {
                    pod.host_users = Some(false);
                    pod.unmasked_proc = true;
                    // root of the pod would need CAP_SETFCAP next
                    pod.run_as_user = (case.root() != Some(false)).then_some(1000);
                    pod.required_scc = openshift.then(|| "nested-container".to_owned());
                }),
                "the container sees all of /proc, kcore, keys and sysrq-trigger included; as a user of its own namespace it \
                 may use none of these",
            );
            vec![if openshift {
                remedy.needs(NESTED_CONTAINER_SINCE).needs(NESTED_CONTAINER)
            } else {
                remedy
                    .needs(
                        "Kubernetes 1.33 or later, or the feature gates ProcMountType and UserNamespacesSupport switched on \
                         before (procMount is dropped without a word where the gate is off)",
                    )
                    .needs(Need::Linux("nodes with ", (6, 3)))
                    .needs(RUNTIME)
                    .needs(
                        "Pod Security Standards that allow it: baseline of version 1.35 or later, or privileged; restricted \
                         never does",
                    )
            }]
        }
        // docker's program makes something else of systempaths=unconfined, and the runner talks to the engine
        Setting::Container(Engine::Docker) if case.on(Platform::GitLabCi) => vec![
            Remedy::new(
                "Let the runner use Podman, and start the container with an unmasked /proc",
                option(Engine::Podman, "unmask=/proc/*"),
                AS_ROOT,
            )
            .needs(
                "Podman on the machine of the runner, and its socket as `host` in [runners.docker]: Docker cannot be told \
                 by a runner to unmask /proc",
            ),
        ],
        Setting::Container(Engine::Docker) => vec![start(option(Engine::Docker, "systempaths=unconfined"))],
        Setting::Container(Engine::Podman) => vec![
            start(option(Engine::Podman, "unmask=/proc/*")),
            Remedy::new(
                "Start the container with an unmasked /proc and /sys",
                option(Engine::Podman, "unmask=ALL"),
                format!("{AS_ROOT}; /sys/firmware and others of /sys, too"),
            ),
        ],
        Setting::OtherContainer => vec![start(Action::Manual(
            "Empty `linux.maskedPaths` and `linux.readonlyPaths` of the OCI configuration (nerdctl: \
             --security-opt=systempaths=unconfined)."
                .to_owned(),
        ))],
        Setting::Lxc => allow_nesting(case),
        Setting::Managed(platform) => elsewhere(case, platform),
        Setting::Nspawn => vec![
            another()
                .needs("root in a container that has no user namespace of its own (without --private-users)"),
        ],
        Setting::Unit => vec![
            Remedy::new(
                "Leave /proc as it is in the systemd unit",
                unit(
                    case,
                    &[("ProtectKernelTunables", "no"), ("ProtectKernelLogs", "no"), ("ProcSubset", "all")],
                ),
                "the service sees all of /proc; as a user other than root it may change none of the kernel's settings there",
            ),
            another().for_root(),
        ],
        Setting::Machine | Setting::Unknown => vec![another().for_root()],
    }
}

/// Of the nodes, for a pod with a user namespace of its own, beside Linux 6.3.
pub(in super::super) const RUNTIME: &str =
    "containerd 2.0 or CRI-O 1.25 or later on the nodes, with runc 1.2 or crun 1.9 or later";

/// One whole procfs is enough for the kernel, wherever it is.
fn another() -> Remedy {
    told!("second-proc")
}

/// What covers /proc, and where.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Covers<'a> {
    pub(in super::super) points: &'a [&'a Path],
    /// How a sentence names them: the first few where there are many.
    pub(in super::super) list: &'a str,
    /// The NVIDIA container toolkit's.
    pub(in super::super) nvidia: bool,
    pub(in super::super) lxcfs: bool,
}

/// Nobody unmounts more than this.
const UNMOUNTED_BY_HAND: usize = 40;

/// Take what covers /proc away, or have a whole one beside it.
pub(super) fn uncover(case: &Case<'_>, setting: Setting, covers: Covers<'_>) -> Vec<Remedy> {
    const OPENS: &str = "what was covered can be seen again";
    let list = covers.list;
    match setting {
        Setting::Lxc => allow_nesting(case),
        Setting::Managed(platform) => elsewhere(case, platform),
        Setting::Unit => vec![Remedy::new(
            "Change ProtectKernelTunables and ProtectKernelLogs of the systemd unit",
            unit(case, &[("ProtectKernelTunables", "no"), ("ProtectKernelLogs", "no")]),
            "the service may see and, as root, change the kernel's settings in /proc",
        )],
        Setting::Machine => {
            let lines = covers.points.iter().map(|point| format!("umount {}", path_word(point)));
            let unmount = || Remedy::commands(format!("Unmount what covers {list}"), lines, OPENS).for_root();
            let by_hand = covers.points.len() <= UNMOUNTED_BY_HAND;
            by_hand.then(unmount).into_iter().chain([told!("proc-for-root")]).collect()
        }
        Setting::Kubernetes { .. }
        | Setting::Container(_)
        | Setting::OtherContainer
        | Setting::Nspawn
        | Setting::Unknown => vec![if covers.nvidia {
            if matches!(setting, Setting::Kubernetes { .. }) {
                told!("cdi-of-gpu-operator")
            } else {
                told!("cdi")
            }
        } else if covers.lxcfs {
            told!("without-lxcfs", list)
        } else {
            told!("without-mounts-over-proc", list)
        }],
    }
}

/// A /proc whose id maps can be written.
pub(super) fn writable(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    const OPENS: &str = "nothing that the kernel does not guard itself";
    let manual = |summary: &str, how: &str| Remedy::manual(summary, how, OPENS);
    vec![match setting {
        Setting::Managed(platform) => return elsewhere(case, platform),
        // a mount from outside of our user namespace stays as it is
        _ if case.on(Platform::Bubblewrap) || case.host.user_namespace.is_initial() == Some(false) => manual(
            "Make /proc writable in the outer sandbox",
            "Give the outer sandbox a /proc of its own: `--unshare-pid --proc /proc` in place of a read-only bind",
        ),
        Setting::Machine | Setting::Unknown => {
            told!("remount-writable")
        }
        Setting::Unit => manual(
            "Leave /proc writable in the unit",
            "Take /proc out of ReadOnlyPaths= and BindReadOnlyPaths= (`systemctl edit UNIT`), and restart the unit",
        ),
        Setting::Kubernetes { .. } => manual(
            "Mount no volume over /proc",
            "Take the read-only volume that is mounted on /proc out of the pod's volumeMounts",
        ),
        Setting::Container(_) | Setting::OtherContainer | Setting::Lxc | Setting::Nspawn => manual(
            "Do not mount /proc read-only in the container",
            "Take `-v /proc:/proc:ro`, or what else mounts /proc read-only, out of the container's options",
        ),
    }]
}

/// Kernel settings that can be written, below this mount of /proc.
pub(super) fn writable_settings(case: &Case<'_>, setting: Setting, mount: &Path) -> Vec<Remedy> {
    match setting {
        Setting::Nspawn | Setting::Machine | Setting::Unit | Setting::Unknown => {
            let line = format!("mount -o remount,rw {}", path_word(mount));
            let opens = "root inside can change the kernel's settings that this container may change";
            vec![Remedy::commands("Make it writable again", [line], opens).for_root()]
        }
        Setting::Kubernetes { .. }
        | Setting::Container(_)
        | Setting::OtherContainer
        | Setting::Lxc
        | Setting::Managed(_) => whole(case, setting),
    }
}

/// A /proc, and the kernel's settings in it.
pub(super) fn any(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    const OPENS: &str = "processes see each other, and the kernel's settings";
    let lines = ["mkdir -p /proc", "mount -t proc proc /proc"];
    let mount = Remedy::commands("Mount a whole /proc", lines, OPENS).for_root();
    match setting {
        Setting::Unit => {
            let action = unit(case, &[("ProcSubset", "all")]);
            vec![Remedy::new("Change ProcSubset of the systemd unit", action, OPENS), mount]
        }
        Setting::Kubernetes { .. }
        | Setting::Container(_)
        | Setting::OtherContainer
        | Setting::Lxc
        | Setting::Nspawn
        | Setting::Machine
        | Setting::Unknown => vec![mount],
        Setting::Managed(platform) => elsewhere(case, platform),
    }
}

/// Root of a machine remounts it; what mounted it otherwise does so again at the next boot.
pub(super) fn relatime(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    const REMOUNT: &str = "mount -o remount,relatime,atime,diratime /proc";
    let now = told!("remount-relatime");
    if case.on(Platform::Wsl2) {
        let how =
            format!("# in /etc/wsl.conf:\n[boot]\ncommand = {REMOUNT}\n# then, in Windows:\nwsl --shutdown");
        return vec![
            now.for_root().needs("the same again whenever WSL has been shut down, or what follows"),
            Remedy::manual("Have WSL remount /proc with relatime whenever it starts", how, "nothing")
                .needs("root in WSL, and a WSL that knows the section boot (`wsl --update`)"),
        ];
    }
    vec![match setting {
        Setting::Managed(platform) => return elsewhere(case, platform),
        Setting::Machine | Setting::Unit | Setting::Unknown => now.for_root().needs(
            "the same after each boot; to keep it, take noatime, nodiratime or strictatime out of the line for /proc in \
             /etc/fstab, or have a unit of systemd run it before what needs bwrap",
        ),
        Setting::Kubernetes { .. }
        | Setting::Container(_)
        | Setting::OtherContainer
        | Setting::Lxc
        | Setting::Nspawn => now.for_root(),
    }]
}

/// An empty /tmp to build the sandbox on.
pub(super) fn tmp(setting: Setting) -> Vec<Remedy> {
    let image = told!("add-tmp-image");
    match setting {
        Setting::Kubernetes { .. } => {
            let action = pod(|pod| pod.empty_dir = Some("/tmp".into()));
            vec![Remedy::new("Mount an empty directory on /tmp", action, "nothing"), image]
        }
        Setting::Container(engine) => {
            let action = Action::options(engine, &["--tmpfs", "/tmp"], &[]);
            vec![Remedy::new("Start the container with a /tmp", action, "nothing"), image]
        }
        Setting::OtherContainer | Setting::Managed(_) => vec![image],
        Setting::Lxc | Setting::Nspawn | Setting::Unit | Setting::Machine | Setting::Unknown => {
            vec![told!("make-tmp")]
        }
    }
}

/// The nodes that bwrap binds into a new /dev, by path and numbers.
pub(super) fn devices(case: &Case<'_>, setting: Setting, missing: &[(&str, &str)]) -> Vec<Remedy> {
    const OPENS: &str = "nothing: these devices are open to everybody";
    let lines = missing.iter().map(|(path, numbers)| format!("mknod -m 666 {path} {numbers}"));
    let make = Remedy::commands("Make the devices", lines, OPENS);
    match setting {
        Setting::Machine | Setting::Nspawn | Setting::Unknown => vec![make.for_root()],
        Setting::Unit => vec![told!("leave-dev-to-unit"), make.for_root()],
        Setting::Managed(platform) => elsewhere(case, platform),
        Setting::Kubernetes { .. } | Setting::Container(_) | Setting::OtherContainer | Setting::Lxc => vec![
            told!("without-mount-over-dev"),
            make.needs("CAP_MKNOD, and a /dev that is not mounted nodev"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, only_on, pod};
    use crate::diagnosis::wish::{Wish, fit};
    use crate::host::{Fact, Host};

    fn remedies(host: &Host) -> Vec<Remedy> {
        let case = Case::new(None, host, None);
        fit(&case, Wish::WholeProc.grant(&case))
    }

    #[test]
    fn a_pod_gets_a_user_namespace_with_it() {
        let found = remedies(&pod());
        let Action::Pod(patch) = &found[0].action else { panic!() };
        assert_eq!(
            (patch.host_users, patch.unmasked_proc, patch.run_as_user),
            (Some(false), true, Some(1000))
        );
        assert!(found[0].requires.iter().any(|text| text.contains("1.33")));
        // which is met here
        assert!(!found[0].requires.iter().any(|text| text.contains("Linux 6.3")));
        let mut user = pod();
        user.process.uid = Fact::Present(1000);
        assert!(!remedies(&user)[0].instructions().contains("runAsUser"));
    }

    #[test]
    fn openshift_has_a_context_for_it() {
        let found = remedies(&only_on(docker(), Platform::OpenShift));
        assert!(found[0].instructions().contains("openshift.io/required-scc: \"nested-container\""));
        assert!(found[0].requires.iter().any(|text| text.contains("add-scc-to-user")));
    }

    #[test]
    fn engines_have_options_for_it() {
        assert_eq!(
            remedies(&docker())[0].instructions(),
            "docker run --security-opt=systempaths=unconfined IMAGE\n"
        );
        let podman = remedies(&only_on(docker(), Platform::Podman));
        assert_eq!(podman[0].instructions(), "podman run '--security-opt=unmask=/proc/*' IMAGE\n");
        assert_eq!(podman[1].instructions(), "podman run --security-opt=unmask=ALL IMAGE\n");
    }

    #[test]
    fn others_are_told_where_to_look() {
        assert!(remedies(&only_on(docker(), Platform::Containerd))[0].instructions().contains("maskedPaths"));
        assert!(
            remedies(&only_on(docker(), Platform::Lxc))[0].instructions().contains("security.nesting=true")
        );
        assert!(remedies(&only_on(docker(), Platform::Nspawn))[0].instructions().contains("mount -t proc"));
        assert!(
            remedies(&only_on(docker(), Platform::SystemdUnit))[0]
                .instructions()
                .contains("ProtectKernelTunables=no")
        );
        assert!(remedies(&machine())[0].instructions().contains("mount -t proc proc /run/unmasked-proc"));
    }
}

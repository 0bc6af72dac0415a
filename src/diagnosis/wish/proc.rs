//! What must be mounted, and how: /proc, its settings, /tmp, the nodes in /dev.

use super::prelude::*;
use crate::diagnosis::need::Need;

/// Leave /proc unmasked, in whatever started us; in a pod that takes a user namespace.
pub(super) fn whole(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    let unmasked = || option(Engine::Podman, "--security-opt=unmask=/proc/*");
    match setting {
        Kubernetes { openshift } => {
            let remedy = told!("whole-proc-of-pod" => pod(|pod| {
                pod.host_users = Some(false);
                pod.unmasked_proc = true;
                pod.required_scc = openshift.then(|| "nested-container".to_owned());
            }));
            if openshift {
                return vec![remedy.needs(NESTED_CONTAINER_SINCE).needs(NESTED_CONTAINER)];
            }
            let gates = "Kubernetes 1.33 or later, or the feature gates ProcMountType and UserNamespacesSupport switched on \
                         before (procMount is dropped without a word where the gate is off; since 1.36 it is always on)";
            let standards = "Pod Security Standards that allow it: baseline of version 1.35 or later, or privileged; \
                             restricted never does";
            vec![
                remedy.needs(gates).needs(Need::Linux("nodes with ", (6, 3))).needs(RUNTIME).needs(standards),
            ]
        }
        // docker's program makes something else of systempaths=unconfined, and the runner talks to the engine
        Container(Engine::Docker) if case.on(Platform::GitLabCi) => {
            vec![told!("whole-proc-of-runner" => unmasked())]
        }
        Container(engine @ Engine::Docker) => {
            let systempaths = option(engine, "--security-opt=systempaths=unconfined");
            vec![told!("whole-proc-of-container" => systempaths)]
        }
        Container(engine @ Engine::Podman) => vec![
            told!("whole-proc-of-container" => unmasked()),
            told!("whole-proc-and-sys" => option(engine, "--security-opt=unmask=ALL")),
        ],
        OtherContainer => vec![told!("whole-proc-of-oci")],
        Lxc => allow_nesting(case),
        Managed(platform) => elsewhere(case, platform),
        Nspawn => vec![
            told!("second-proc")
                .needs("root in a container that has no user namespace of its own (without --private-users)"),
            told!("whole-proc-of-nspawn"),
        ],
        Unit => {
            let settings =
                [("ProtectKernelTunables", "no"), ("ProtectKernelLogs", "no"), ("ProcSubset", "all")];
            vec![
                told!("whole-proc-of-unit" => unit(case, &settings)),
                told!("second-proc").needs(Need::Mounter),
            ]
        }
        // it covers /proc for all that it starts
        Machine | Unknown if case.on(Platform::Firejail) => {
            told!(NS06, "no-firejail").or([told!("second-proc").needs(Need::Mounter)])
        }
        // one whole procfs is enough for the kernel, wherever it is
        Machine | Unknown => vec![told!("second-proc").needs(Need::Mounter)],
    }
}

/// Allow nesting, as the managers of system containers call it (mounting inside is allowed, and a second, whole procfs is there), in the
/// words of the manager that the container's AppArmor profile gives away, or of each: first of the one that left a trace.
pub(in super::super) fn allow_nesting(case: &Case<'_>) -> Vec<Remedy> {
    if case.on(Platform::Crostini) {
        return vec![told!("allow-nesting-crostini")];
    }
    if case.told().is_some_and(|told| told.nests) {
        return vec![told!("nesting-is-not-enough")];
    }
    let profile = case.host.security.apparmor().unwrap_or_default();
    let trace = case.sighting(Platform::Lxc).map_or("", |sighting| sighting.evidence.as_str());
    let managers: [(&str, &[&str], Remedy); 4] = [
        ("incus-", &["incus"], told!("allow-nesting-incus")),
        // whose program is named lxc
        ("lxd-", &["lxd", "lxc exec", "lxc shell", "lxc launch", "lxc config"], told!("allow-nesting-lxd")),
        ("lxc-", &["proxmox", "pct ", "-pve", "features: nesting"], told!("allow-nesting-proxmox")),
        ("lxc-", &["lxc-attach", "lxc-start"], told!("allow-nesting-lxc")),
    ];
    let known = managers.iter().any(|(prefix, ..)| profile.starts_with(prefix));
    let mut likely: Vec<_> =
        managers.into_iter().filter(|(prefix, ..)| !known || profile.starts_with(prefix)).collect();
    likely.sort_by_key(|(_, traces, _)| !traces.iter().any(|mark| trace.contains(mark)));
    likely.into_iter().map(|(.., remedy)| remedy).collect()
}

/// Of the nodes, for a pod with a user namespace of its own, beside Linux 6.3.
pub(in super::super) const RUNTIME: &str =
    "containerd 2.0 or CRI-O 1.25 or later on the nodes, with runc 1.2 or crun 1.9 or later";

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
    let Covers { points, list, nvidia, lxcfs } = covers;
    let unmount = || {
        let lines = points.iter().map(|point| format!("umount {}", path_word(point)));
        let summary = format!("Unmount what covers {list}");
        let unmount = Remedy::commands(&summary, lines, "what was covered can be seen again").for_root();
        (points.len() <= UNMOUNTED_BY_HAND).then_some(unmount)
    };
    vec![match setting {
        Lxc => return allow_nesting(case),
        Managed(platform) => return elsewhere(case, platform),
        Unit => {
            let settings = [("ProtectKernelTunables", "no"), ("ProtectKernelLogs", "no")];
            told!("uncovered-proc-of-unit" => unit(case, &settings))
        }
        Machine => return Vec::new().or(unmount()).or([told!("proc-for-root")]),
        // nothing is locked in the namespace that it was mounted in
        _ if case.is_admin() && case.host.user_namespace.is_initial() == Some(true) => {
            let otherwise = if nvidia { told!("cdi") } else { told!("without-mounts-over-proc", list) };
            return Vec::new().or(unmount()).or([otherwise]);
        }
        Kubernetes { .. } if nvidia => told!("cdi-of-gpu-operator"),
        Kubernetes { .. } | Container(_) | OtherContainer | Nspawn | Unknown => match (nvidia, lxcfs) {
            (true, _) => told!("cdi"),
            (_, true) => told!("without-lxcfs", list),
            _ => told!("without-mounts-over-proc", list),
        },
    }]
}

/// A /proc whose id maps can be written.
pub(super) fn writable(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    let inner = case.host.user_namespace.is_initial() == Some(false);
    vec![match setting {
        Managed(platform) => return elsewhere(case, platform),
        // a mount from outside of our user namespace stays as it is
        _ if inner || case.on(Platform::Bubblewrap) => told!("writable-proc-outside"),
        Machine | Unknown => told!("remount-writable"),
        Unit => told!("writable-proc-of-unit"),
        Kubernetes { .. } => told!("writable-proc-of-pod"),
        Container(_) | OtherContainer | Lxc | Nspawn => told!("writable-proc-of-container"),
    }]
}

/// Kernel settings that can be written, below this mount of /proc.
pub(super) fn writable_settings(case: &Case<'_>, setting: Setting, mount: &Path) -> Vec<Remedy> {
    match setting {
        Nspawn | Machine | Unit | Unknown => vec![told!("remount-settings", mount = path_word(mount))],
        Kubernetes { .. } | Container(_) | OtherContainer | Lxc | Managed(_) => whole(case, setting),
    }
}

/// A /proc, and the kernel's settings in it.
pub(super) fn any(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    let mount = told!("mount-proc");
    match setting {
        Unit => vec![told!("proc-subset-of-unit" => unit(case, &[("ProcSubset", "all")])), mount],
        Managed(platform) => elsewhere(case, platform),
        Kubernetes { .. } | Container(_) | OtherContainer | Lxc | Nspawn | Machine | Unknown => vec![mount],
    }
}

/// Root of a machine remounts it; what mounted it otherwise does so again at the next boot.
pub(super) fn relatime(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    let now = told!("remount-relatime");
    if case.on(Platform::Wsl2) {
        let again = "the same again whenever WSL has been shut down, or what follows";
        return vec![now.needs(again), told!("relatime-in-wsl")];
    }
    vec![match setting {
        Managed(platform) => return elsewhere(case, platform),
        Machine | Unit | Unknown => now.needs(
            "the same after each boot; to keep it, take noatime, nodiratime or strictatime out of the line for /proc in \
             /etc/fstab, or have a unit of systemd run it before what needs bwrap",
        ),
        Kubernetes { .. } | Container(_) | OtherContainer | Lxc | Nspawn => now,
    }]
}

/// An empty /tmp to build the sandbox on.
pub(super) fn tmp(setting: Setting) -> Vec<Remedy> {
    let image = told!("add-tmp-image");
    match setting {
        Kubernetes { .. } => {
            vec![told!("tmp-of-pod" => pod(|pod| pod.empty_dir = Some("/tmp".into()))), image]
        }
        Container(engine) => {
            vec![told!("tmp-of-container" => Action::options(engine, &["--tmpfs=/tmp"], &[])), image]
        }
        OtherContainer | Managed(_) => vec![image],
        Lxc | Nspawn | Unit | Machine | Unknown => vec![told!("make-tmp")],
    }
}

/// The nodes that bwrap binds into a new /dev, by path and numbers.
pub(super) fn devices(case: &Case<'_>, setting: Setting, missing: &[(&str, &str)]) -> Vec<Remedy> {
    let lines = missing.iter().map(|(path, numbers)| format!("mknod -m 666 {path} {numbers}"));
    let opens = "nothing: these devices are open to everybody";
    let make = Remedy::commands("Make the devices", lines, opens);
    match setting {
        Machine | Nspawn | Unknown => vec![make.for_root()],
        Unit => vec![told!("leave-dev-to-unit"), make.for_root()],
        Managed(platform) => elsewhere(case, platform),
        Kubernetes { .. } | Container(_) | OtherContainer | Lxc => vec![
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
        // its root may stay root: what it needs for that is another's rule
        assert_eq!((patch.host_users, patch.unmasked_proc, patch.run_as_user), (Some(false), true, None));
        assert!(found[0].requires.iter().any(|text| text.contains("1.33")));
        // which is met here
        assert!(!found[0].requires.iter().any(|text| text.contains("Linux 6.3")));
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

    #[test]
    fn the_profile_names_the_manager() {
        let tools = |label: &str| -> Vec<String> {
            let mut host = machine();
            host.security.apparmor_label = Fact::Present(label.into());
            let remedies = allow_nesting(&Case::new(None, &host, None));
            let first = |remedy: &Remedy| remedy.instructions().split(' ').next().map(str::to_owned);
            remedies.iter().filter_map(first).collect()
        };
        assert_eq!(tools("incus-c1_</var/lib/incus> (enforce)"), ["incus"]);
        assert_eq!(tools("lxd-c1_</var/snap/lxd> (enforce)"), ["lxc"]);
        assert_eq!(tools("lxc-container-default-cgns (enforce)"), ["pct", "#"]);
        // inside, the container's own policy may be all that shows
        assert_eq!(tools("unconfined"), ["incus", "lxc", "pct", "#"]);
    }
}

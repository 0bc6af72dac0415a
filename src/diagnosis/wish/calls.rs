//! System call filters.

use super::prelude::*;
use crate::diagnosis::case::OURS;
use crate::diagnosis::remedy::fill;

/// Which calls a filter stands in the way of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Calls {
    /// clone, unshare, mount, `pivot_root`, ...: all that bwrap makes.
    Sandboxing,
    /// sockets of `AF_NETLINK`.
    Netlink,
}

/// What stays denied: calls that reach beyond any namespace, and large, seldom used parts of the kernel. Engines deny
/// them by default as well.
///
/// A list of what is allowed instead would have to be the engine's own, which changes with its versions.
fn denied() -> impl Iterator<Item = &'static str> {
    include_str!("../remedy/files/denied-calls.txt").lines().filter(|line| !line.starts_with('#'))
}

/// A profile as Docker, Podman, containerd and CRI-O read it, for machines like this one. It denies sockets of `AF_VSOCK` as
/// well, to the hypervisor: these belong to no network namespace.
fn profile() -> String {
    // filters refuse, fatally, what comes through another ABI than the named ones
    let mut rows =
        include_str!("../remedy/files/architectures.tsv").lines().filter_map(|row| row.split_once('\t'));
    // the native one alone, where it is in no row
    let names = rows.find(|(of, _)| *of == std::env::consts::ARCH).map_or("", |(_, names)| names);
    let architectures: Vec<&str> = names.split_terminator(' ').collect();
    let listed = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
    let architectures = match listed(&architectures).join(",\n    ") {
        none if none.is_empty() => none,
        some => format!("\n  \"architectures\": [\n    {some}\n  ],"),
    };
    let names = listed(&denied().collect::<Vec<_>>()).join(",\n        ");
    fill(include_str!("../remedy/files/bwrap.json"), &[("architectures", &architectures), ("names", &names)])
}

const KUBELET_DIRECTORY: &str = "/var/lib/kubelet/seccomp";

/// Permit all that bwrap calls.
pub(in super::super) fn permit_calls(case: &Case<'_>) -> Vec<Remedy> {
    Wish::Calls(Calls::Sandboxing).grant(case)
}

/// A filter that permits what bwrap calls, in place of the engine's default; none at all only after that.
pub(super) fn permit(case: &Case<'_>, setting: Setting, calls: Calls) -> Vec<Remedy> {
    let with_profile = |action| told!("profile-for-bwrap" => action, arch = std::env::consts::ARCH);
    match setting {
        Kubernetes { openshift } => {
            let under = |profile| pod(|pod| pod.seccomp = Some(profile));
            let local = with_profile(under(Profile::Localhost(OURS.to_owned())))
                .file(format!("{KUBELET_DIRECTORY}/{OURS}"), profile())
                .needs("the file on every node that runs the pod");
            let none = told!("without-filter" => under(Profile::Unconfined)).needs(PRIVILEGED_STANDARD);
            if openshift {
                let scc = "an SCC whose seccompProfiles allow it, such as nested-container";
                return vec![local.needs(scc), none.needs(scc)];
            }
            vec![local, none]
        }
        Container(engine) => {
            let option = |value: &str| option(engine, &format!("--security-opt=seccomp={value}"));
            vec![
                with_profile(option("bwrap.json")).file("bwrap.json", profile()),
                told!("without-filter" => option("unconfined")),
            ]
        }
        OtherContainer => {
            let how = "Start the container with `--security-opt=seccomp=bwrap.json` (nerdctl), `--seccomp --seccomp-profile \
                       bwrap.json` (ctr), or put the profile into `linux.seccomp` of an OCI configuration.";
            vec![with_profile(Action::Manual(how.to_owned())).file("bwrap.json", profile())]
        }
        Lxc => vec![told!("calls-of-lxc")],
        Nspawn => vec![told!("calls-of-nspawn")],
        Unit => vec![permit_to_unit(case, calls)],
        Managed(platform) => elsewhere(case, platform),
        Machine | Unknown => vec![told!("outside-of-filter")],
    }
}

/// Both settings of a unit that make a filter of its, at once: either alone may leave the other in the way.
pub(in super::super) fn permit_to_unit(case: &Case<'_>, calls: Calls) -> Remedy {
    match calls {
        Calls::Sandboxing => {
            let settings = [
                ("RestrictNamespaces", "cgroup ipc net mnt pid user uts"),
                ("SystemCallFilter", NO_LIST_OF_ALLOWED),
                ("SystemCallFilter", "@mount @process sethostname"),
            ];
            told!("calls-of-unit" => unit(case, &settings))
        }
        Calls::Netlink => {
            let settings = [
                ("RestrictAddressFamilies", "~AF_X25"),
                ("RestrictAddressFamilies", "AF_NETLINK"),
                ("SystemCallFilter", NO_LIST_OF_ALLOWED),
                ("SystemCallFilter", "@network-io"),
            ];
            told!("netlink-of-unit" => unit(case, &settings))
        }
    }
}

/// The first value of such a setting decides whether it lists what is allowed or what is denied. Where the unit has none,
/// a value without `~` would allow nothing else: this call, which no kernel has, makes it a list of what is denied.
const NO_LIST_OF_ALLOWED: &str = "~nfsservctl";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, only_on, pod};
    use crate::diagnosis::wish::Wish;
    use crate::host::{Host, Platform};

    fn remedies(host: &Host, calls: Calls) -> Vec<Remedy> {
        Wish::Calls(calls).grant(&Case::new(None, host, None))
    }

    #[test]
    fn the_profile_is_whole() {
        let profile: Value = serde_json::from_str(&profile()).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ALLOW");
        let rules = profile["syscalls"].as_array().unwrap();
        assert!(rules.iter().all(|rule| rule["action"] == "SCMP_ACT_ERRNO"));
        let names = rules[0]["names"].as_array().unwrap();
        for denied in ["bpf", "keyctl", "init_module", "kexec_load", "open_by_handle_at"] {
            assert!(names.contains(&Value::from(denied)), "{denied}");
        }
        assert_eq!(rules[0].get("args"), None);
        assert_eq!(rules[1]["names"], json!(["socket"]));
        assert_eq!(rules[1]["args"], json!([{ "index": 0, "op": "SCMP_CMP_EQ", "value": 40 }]));
        #[cfg(target_arch = "x86_64")]
        assert_eq!(profile["architectures"][0], "SCMP_ARCH_X86_64");
    }

    #[test]
    fn what_bwrap_calls_is_never_denied() {
        for call in [
            "capset",
            "chdir",
            "clone",
            "clone3",
            "mount",
            "pivot_root",
            "prctl",
            "seccomp",
            "sethostname",
            "setns",
            "umount2",
            "unshare",
        ] {
            assert!(denied().all(|denied| denied != call), "{call}");
        }
    }

    #[test]
    fn a_profile_before_none() {
        for engine in ["docker", "podman"] {
            let found = remedies(
                &only_on(docker(), if engine == "docker" { Platform::Docker } else { Platform::Podman }),
                Calls::Sandboxing,
            );
            let text = found[0].instructions();
            assert!(text.starts_with("cat > bwrap.json <<'EOF'\n{\n"), "{text}");
            assert!(text.ends_with(&format!("EOF\n{engine} run --security-opt=seccomp=bwrap.json IMAGE\n")));
            assert!(found[1].instructions().contains("seccomp=unconfined"));
        }
        for host in [pod(), only_on(docker(), Platform::OpenShift)] {
            let found = remedies(&host, Calls::Sandboxing);
            assert_eq!(
                found[0].files[0].path,
                std::path::Path::new("/var/lib/kubelet/seccomp/profiles/bwrap.json")
            );
            assert!(found[0].instructions().contains("localhostProfile: \"profiles/bwrap.json\""));
            assert!(found[1].instructions().contains("type: Unconfined"));
        }
    }

    #[test]
    fn a_unit_keeps_its_other_filters() {
        let text = remedies(&only_on(docker(), Platform::SystemdUnit), Calls::Sandboxing)[0].instructions();
        assert!(text.contains("RestrictNamespaces=cgroup ipc net mnt pid user uts\n"));
        assert!(
            text.contains("SystemCallFilter=~nfsservctl\nSystemCallFilter=@mount @process sethostname\n")
        );
        let text = remedies(&only_on(docker(), Platform::SystemdUnit), Calls::Netlink)[0].instructions();
        assert!(text.contains("RestrictAddressFamilies=~AF_X25\nRestrictAddressFamilies=AF_NETLINK\n"));
    }

    #[test]
    fn others_are_told_where_to_look() {
        assert!(remedies(&machine(), Calls::Sandboxing)[0].instructions().contains("ps -eo"));
        assert!(
            remedies(&only_on(docker(), Platform::Nspawn), Calls::Sandboxing)[0]
                .instructions()
                .contains("--system-call-filter")
        );
        assert!(
            remedies(&only_on(docker(), Platform::Lxc), Calls::Sandboxing)[0]
                .instructions()
                .contains("lxc.seccomp.profile")
        );
        assert_eq!(remedies(&only_on(docker(), Platform::Container), Calls::Sandboxing)[0].files.len(), 1);
    }
}

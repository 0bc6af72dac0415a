//! Kernel parameters of the machine or node.

use super::prelude::*;
use crate::diagnosis::facts::number;
use crate::diagnosis::remedy::Sysctl;

/// Set a kernel parameter on the machine or node, and keep it. `opens`: what that opens up.
pub(super) fn set(case: &Case<'_>, setting: Setting, name: &str, value: &str, opens: &str) -> Vec<Remedy> {
    let text = format!("{name}={value}");
    let file = "/etc/sysctl.d/99-bwrap.conf".into();
    let action = Action::Sysctl(Sysctl { name: name.to_owned(), value: value.to_owned(), file });
    let set = told!("sysctl" => action, text, machine = setting.machine(), opens);
    match setting {
        Kubernetes { openshift: true } => {
            let tuned = format!(include_str!("../remedy/files/tuned.yaml"), assignment = text);
            vec![
                told!("sysctl-by-tuned", text, opens).file("bwrap-tuned.yaml", tuned),
                set.needs("root on the nodes, outside of any pod; a node that is replaced loses it"),
            ]
        }
        Kubernetes { openshift: false } => {
            let (key, quoted) = (quoted(name), quoted(value));
            let of_talos = told!("sysctl-of-talos", text, key, quoted, opens);
            // which has neither a shell nor /etc/sysctl.d; its kernels are named so
            if case.host.kernel.release.present().is_some_and(|release| release.ends_with("-talos")) {
                return vec![of_talos];
            }
            let set = set
                .needs("root on the nodes, outside of any pod: from the node's bootstrap script, say")
                .needs(
                    "nodes that let themselves be set up: not those of EKS Auto Mode, Talos or Bottlerocket",
                );
            if !name.starts_with("user.") {
                return vec![set];
            }
            // the nodes that are delivered with user namespaces switched off
            let manifest = format!(include_str!("../remedy/files/sysctl-daemonset.yaml"), assignment = text);
            vec![
                set,
                told!("sysctl-of-bottlerocket", text, key, quoted, opens),
                of_talos.needs("nodes that run Talos"),
                told!("sysctl-by-daemonset", text, opens).file("bwrap-sysctl.yaml", manifest),
            ]
        }
        Unit | Machine if case.on(Platform::GitHubActions) => vec![told!("sysctl-in-job", text, opens)],
        Managed(platform) => elsewhere(case, platform),
        Unit | Machine | Unknown => vec![set],
        Container(_) | OtherContainer | Lxc | Nspawn => {
            vec![set.needs("root on that machine, outside of the container: inside it cannot be set")]
        }
    }
}

/// Raise a limit of the kernel's to twice what it is, and to `least` at the least; nothing where it can go no further.
pub(in super::super) fn raise(case: &Case<'_>, name: &str, least: u64, opens: &str) -> Vec<Remedy> {
    // all other limits are C ints
    let most =
        if name == "fs.file-max" { i64::MAX.unsigned_abs() } else { u64::from(i32::MAX.unsigned_abs()) };
    let Some(now) = number(case, name) else {
        let lower = format!("a lower value there now: `sysctl {name}` prints it");
        let remedies = Wish::Sysctl(name, &least.to_string(), opens).grant(case).into_iter();
        return remedies.map(|remedy| remedy.needs(lower.clone())).collect();
    };
    let wanted = now.saturating_mul(2).max(least).min(most);
    if wanted > now { Wish::Sysctl(name, &wanted.to_string(), opens).grant(case) } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, on, pod};
    use crate::diagnosis::wish::{fit, unit};
    use crate::host::{Fact, Host};

    fn texts(host: &Host, of: impl Fn(&Case<'_>) -> Vec<Remedy>) -> Vec<String> {
        of(&Case::new(None, host, None)).iter().map(Remedy::instructions).collect()
    }

    fn max(case: &Case<'_>) -> Vec<Remedy> {
        Wish::Sysctl("user.max_user_namespaces", "15000", "namespaces for all").grant(case)
    }

    #[test]
    fn a_parameter_is_set_and_kept_on_a_machine() {
        assert_eq!(
            texts(&machine(), max),
            ["sysctl -w user.max_user_namespaces=15000\n\
             echo 'user.max_user_namespaces = 15000' >> /etc/sysctl.d/99-bwrap.conf\n"]
        );
    }

    #[test]
    fn talos_has_a_machine_configuration() {
        let mut host = pod();
        host.kernel.release = Fact::Present("6.12.6-talos".into());
        let told = texts(&host, max);
        assert!(
            told.len() == 1 && told[0].contains("    \"user.max_user_namespaces\": \"15000\""),
            "{told:?}"
        );
    }

    #[test]
    fn a_parameter_is_set_outside_of_containers() {
        for host in [docker(), pod(), on(machine(), Platform::Lxc), on(machine(), Platform::Containerd)] {
            let case = Case::new(None, &host, None);
            let remedies = fit(&case, max(&case));
            assert!(
                remedies[0].summary.contains("the machine that")
                    || remedies[0].summary.contains("every node")
            );
            assert!(remedies[0].requires[0].contains("outside of"), "{remedies:?}");
        }
        assert!(texts(&pod(), max)[1].contains("\"user.max_user_namespaces\" = \"15000\""));
        let openshift = texts(&on(machine(), Platform::OpenShift), max);
        assert!(
            openshift[0].contains("kind: Tuned")
                && openshift[0].contains("      user.max_user_namespaces=15000\n")
        );
        assert!(openshift[0].ends_with("oc apply -f bwrap-tuned.yaml\n"));
    }

    #[test]
    fn jobs_of_github_have_sudo() {
        let host = on(on(machine(), Platform::GitHubActions), Platform::SystemdUnit);
        assert_eq!(texts(&host, max), ["sudo sysctl -w user.max_user_namespaces=15000\n"]);
    }

    #[test]
    fn units_are_named_if_they_are_known() {
        let mut host = on(machine(), Platform::SystemdUnit);
        host.cgroup.paths = Fact::Present(vec!["/system.slice/build@1.service".into()]);
        let case = Case::new(None, &host, None);
        let remedy = Remedy::new("Do it", unit(&case, &[("User", "1000")]), "nothing");
        assert!(remedy.instructions().starts_with("mkdir -p /etc/systemd/system/build@1.service.d\n"));
        assert!(remedy.instructions().contains("systemctl restart build@1.service "));
    }

    #[test]
    fn units_of_users_are_changed_by_them() {
        let mut host = on(machine(), Platform::SystemdUnit);
        let group = "/user.slice/user-1000.slice/user@1000.service/app.slice/build.service";
        host.cgroup.paths = Fact::Present(vec![group.into()]);
        let case = Case::new(None, &host, None);
        let remedy = fit(&case, vec![Remedy::new("Do it", unit(&case, &[("A", "1")]), "x")]).remove(0);
        let text = remedy.instructions();
        assert!(text.starts_with("mkdir -p ~/.config/systemd/user/build.service.d\n"), "{text}");
        assert!(
            text.contains("systemctl --user daemon-reload\nsystemctl --user restart build.service "),
            "{text}"
        );
        assert!(remedy.requires[0].starts_with("no root"));
    }

    #[test]
    fn limits_are_never_lowered() {
        let value = |now: Option<&str>| {
            let mut host = machine();
            let now = now.map_or(Fact::Unknown, |now| Fact::Present(now.into()));
            host.sysctls.insert("user.max_net_namespaces".into(), now);
            let found = raise(&Case::new(None, &host, None), "user.max_net_namespaces", 15_000, "x");
            found.first().map(|remedy| (remedy.summary.clone(), remedy.needs.len()))
        };
        let set = |value: &str| format!("Set user.max_net_namespaces={value} on this machine");
        assert_eq!(value(Some("0")), Some((set("15000"), 0)));
        assert_eq!(value(Some("63000")), Some((set("126000"), 0)));
        assert_eq!(value(Some("2147483647")), None);
        assert_eq!(value(None), Some((set("15000"), 1)));
    }
}

//! Rules of the SELinux policy.

use super::{NESTED_CONTAINER, NESTED_CONTAINER_SINCE, ROOT_OUTSIDE, elsewhere, pod};
use crate::diagnosis::case::Case;
use crate::diagnosis::remedy::{Action, Remedy, SelinuxModule, SelinuxRule};
use crate::diagnosis::setting::Setting;

/// The domain of container-selinux for container engines inside containers.
const ENGINE: &str = "container_engine_t";

/// The domain that engines give to containers.
const CONTAINER: &str = "container_t";

/// Let our domain do this: a module for exactly that, or another domain that may.
pub(super) fn permit(case: &Case<'_>, setting: Setting, rules: &[SelinuxRule]) -> Vec<Remedy> {
    let seen = case.host.security.selinux().map(|context| context.domain);
    let default = match setting {
        Setting::Kubernetes { .. } | Setting::Container(_) | Setting::OtherContainer => Some(CONTAINER),
        Setting::Managed(platform) => return elsewhere(case, platform),
        Setting::Lxc | Setting::Nspawn | Setting::Unit | Setting::Machine | Setting::Unknown => None,
    };
    let Some(domain) = seen.or(default) else { return vec![unknown_domain()] };
    let name = module_name(domain, rules);
    let module = Remedy::new(
        format!("Allow this to {domain} in the SELinux policy of {}", setting.machine()),
        Action::Selinux(SelinuxModule { name, domain: domain.to_owned(), rules: rules.to_vec() }),
        format!(
            "every process of {domain} there may do the same, each container that has this type included"
        ),
    );
    // which is in container-selinux, with more rights than any single container needs
    let engine = |action| {
        let summary = format!("Run the container as {ENGINE}, a SELinux type that may mount");
        let opens =
            "this container alone, but it may mount file systems of every kind that the kernel lets it";
        Remedy::new(summary, action, opens)
            .needs(format!("container-selinux with {ENGINE}: 2.232 or later on the machine that runs it"))
    };
    let option = format!("--security-opt=label=type:{ENGINE}");
    match setting {
        Setting::Kubernetes { openshift: false } => vec![
            module.needs("root on the nodes"),
            engine(pod(|pod| pod.selinux_type = Some(ENGINE.to_owned()))).needs(
                "Pod Security Standards: baseline allows this type from version 1.31 on, restricted as well",
            ),
        ],
        // OpenShift nodes are immutable images: installing a module there is harder, so it comes second
        Setting::Kubernetes { openshift: true } => vec![
            engine(pod(|pod| {
                pod.selinux_type = Some(ENGINE.to_owned());
                pod.host_users = Some(false);
                pod.required_scc = Some("nested-container".to_owned());
            }))
            .needs(NESTED_CONTAINER_SINCE)
            .needs(NESTED_CONTAINER),
            module.needs("root on the nodes, through the Security Profiles Operator or a MachineConfig"),
        ],
        Setting::Container(program) => {
            vec![module.needs(ROOT_OUTSIDE), engine(Action::options(program, &[&option], &[]))]
        }
        Setting::OtherContainer => vec![
            module.needs(ROOT_OUTSIDE),
            engine(Action::Manual(format!(
                "Start the container with `{option}` (nerdctl), or that type in `process.selinuxLabel` of an OCI configuration."
            ))),
        ],
        Setting::Lxc | Setting::Nspawn => vec![module.needs(ROOT_OUTSIDE)],
        Setting::Unit | Setting::Machine | Setting::Managed(_) | Setting::Unknown => vec![module],
    }
}

/// Installing a module replaces one of the same name: another set of rules must have another.
fn module_name(domain: &str, rules: &[SelinuxRule]) -> String {
    let about = rules.iter().map(|rule| match rule.target {
        "self" => rule.class,
        target => target.trim_end_matches("_t"),
    });
    // a name has no dots, which types of udica's have
    [&format!("bwrap_{}", domain.replace('.', "_"))[..]]
        .into_iter()
        .chain(about)
        .collect::<Vec<_>>()
        .join("_")
}

/// The kernel's log knows what was denied, and to whom.
fn unknown_domain() -> Remedy {
    let lines = [
        "ausearch -m avc -ts recent -c bwrap --raw | audit2allow -M bwrap_local",
        "# look at bwrap_local.te: it should only be about bwrap; then",
        "semodule -i bwrap_local.pp",
    ];
    Remedy::commands(
        "Allow in the SELinux policy what the audit log says was denied to bwrap",
        lines,
        "every process of the same domain may do the same",
    )
    .needs("the audit log: auditd, and audit2allow (policycoreutils-python-utils)")
    .for_root()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, only_on, pod};
    use crate::diagnosis::wish::Wish;
    use crate::host::{Fact, Host, Platform};

    const RULES: &[SelinuxRule] = &[
        SelinuxRule { target: "proc_t", class: "filesystem", permissions: &["mount"] },
        SelinuxRule { target: "devpts_t", class: "filesystem", permissions: &["mount", "unmount"] },
        SelinuxRule { target: "self", class: "user_namespace", permissions: &["create"] },
    ];

    fn labelled(mut host: Host, domain: &str) -> Host {
        host.security.label = Fact::Present(format!("system_u:system_r:{domain}:s0:c1,c2"));
        host
    }

    fn permit(host: &Host) -> Vec<Remedy> {
        Wish::Selinux(RULES).grant(&Case::new(None, host, None))
    }

    #[test]
    fn both_languages_say_the_same() {
        let found = permit(&labelled(pod(), "container_t"));
        let Action::Selinux(module) = &found[0].action else { panic!() };
        assert_eq!(
            module.te(),
            "module bwrap_container_t_proc_devpts_user_namespace 1.0;

require {
    type container_t;
    type proc_t;
    type devpts_t;
    class filesystem { mount unmount };
    class user_namespace { create };
}

allow container_t proc_t:filesystem { mount };
allow container_t devpts_t:filesystem { mount unmount };
allow container_t self:user_namespace { create };
"
        );
        assert_eq!(
            module.cil(),
            "(allow container_t proc_t (filesystem (mount)))
(allow container_t devpts_t (filesystem (mount unmount)))
(allow container_t self (user_namespace (create)))
"
        );
        let text = found[0].instructions();
        assert!(text.starts_with(&format!("cat > {}.cil <<'EOF'\n(allow", module.name)));
        assert!(text.contains(&format!("EOF\nsemodule -i {}.cil\n", module.name)));
        // which would replace one of the same name
        let host = labelled(pod(), "container_t");
        let other = Wish::Selinux(&RULES[..1]).grant(&Case::new(None, &host, None));
        let Action::Selinux(other) = &other[0].action else { panic!() };
        assert_ne!(other.name, module.name);
    }

    #[test]
    fn the_domain_is_the_one_that_was_seen() {
        let found = permit(&labelled(machine(), "my_app.process"));
        let Action::Selinux(module) = &found[0].action else { panic!() };
        assert_eq!(
            (module.name.as_str(), module.domain.as_str()),
            ("bwrap_my_app_process_proc_devpts_user_namespace", "my_app.process")
        );
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn nobody_guesses_a_domain_on_a_machine() {
        assert!(permit(&machine())[0].instructions().contains("audit2allow"));
        // but containers have one by default
        assert!(permit(&docker())[0].instructions().contains("container_t"));
    }

    #[test]
    fn the_module_comes_before_the_type() {
        let pod = permit(&labelled(pod(), "container_t"));
        assert!(matches!(pod[0].action, Action::Selinux(_)));
        assert!(pod[1].instructions().contains("seLinuxOptions:\n        type: \"container_engine_t\""));
        for (platform, program) in [(Platform::Docker, "docker"), (Platform::Podman, "podman")] {
            let found = permit(&only_on(docker(), platform));
            assert!(matches!(found[0].action, Action::Selinux(_)));
            let expected = format!("{program} run --security-opt=label=type:container_engine_t IMAGE\n");
            assert_eq!(found[1].instructions(), expected);
        }
    }

    #[test]
    fn openshift_has_a_context_for_it() {
        let found = permit(&only_on(docker(), Platform::OpenShift));
        let text = found[0].instructions();
        assert!(text.contains("nested-container") && text.contains("hostUsers: false"), "{text}");
    }
}

//! Rules of the SELinux policy.

use super::prelude::*;
use crate::diagnosis::remedy::{SelinuxModule, SelinuxRule};

/// The domain of container-selinux for container engines inside containers.
const ENGINE: &str = "container_engine_t";

/// The domain that engines give to containers.
const CONTAINER: &str = "container_t";

/// Let our domain do this: a module for exactly that, or another domain that may.
pub(super) fn permit(case: &Case<'_>, setting: Setting, rules: &[SelinuxRule]) -> Vec<Remedy> {
    let seen = case.host.security.selinux().map(|context| context.domain);
    let default = match setting {
        Kubernetes { .. } | Container(_) | OtherContainer => Some(CONTAINER),
        Managed(platform) => return elsewhere(case, platform),
        Lxc | Nspawn | Unit | Machine | Unknown => None,
    };
    // the kernel's log knows what was denied, and to whom
    let Some(domain) = seen.or(default) else { return vec![told!("selinux-by-audit-log")] };
    let name = module_name(domain, rules);
    let module = SelinuxModule { name, domain: domain.to_owned(), rules: rules.to_vec() };
    let module = told!("selinux-module" => Action::Selinux(module), domain, machine = setting.machine());
    // which is in container-selinux, with more rights than any single container needs
    let engine = |action| told!("selinux-engine" => action, engine = ENGINE);
    let standards =
        "Pod Security Standards: baseline allows this type from version 1.31 on, restricted as well";
    let security_option = format!("--security-opt=label=type:{ENGINE}");
    match setting {
        Kubernetes { openshift: false } => vec![
            module.needs("root on the nodes"),
            engine(pod(|pod| pod.selinux_type = Some(ENGINE.to_owned()))).needs(standards),
        ],
        // OpenShift nodes are immutable images: installing a module there is harder, so it comes second
        Kubernetes { openshift: true } => vec![
            engine(pod(|pod| {
                pod.selinux_type = Some(ENGINE.to_owned());
                pod.host_users = Some(false);
                pod.required_scc = Some("nested-container".to_owned());
            }))
            .needs(NESTED_CONTAINER_SINCE)
            .needs(NESTED_CONTAINER),
            module.needs("root on the nodes, through the Security Profiles Operator or a MachineConfig"),
        ],
        Container(program) => {
            vec![module.needs(ROOT_OUTSIDE), engine(option(program, &security_option))]
        }
        OtherContainer => {
            let how = format!(
                "Start the container with `{security_option}` (nerdctl), or that type in `process.selinuxLabel` of an OCI \
                 configuration."
            );
            vec![module.needs(ROOT_OUTSIDE), engine(Action::Manual(how))]
        }
        Lxc | Nspawn => vec![module.needs(ROOT_OUTSIDE)],
        Unit | Machine | Managed(_) | Unknown => vec![module],
    }
}

/// Installing a module replaces one of the same name: another set of rules must have another.
fn module_name(domain: &str, rules: &[SelinuxRule]) -> String {
    let about = rules.iter().map(|rule| match rule.target {
        "self" => rule.class,
        target => target.trim_end_matches("_t"),
    });
    // a name has no dots, which types of udica's have
    about.fold(format!("bwrap_{}", domain.replace('.', "_")), |name, about| name + "_" + about)
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

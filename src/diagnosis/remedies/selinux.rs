//! SELinux policy.

use std::fmt::Write as _;

use super::super::case::Case;
use super::super::remedy::{Action, PodPatch, Remedy, SelinuxModule, SelinuxRule};
use super::engine::options;
use super::{Setting, commands, everywhere};

/// The domain of container-selinux for container engines inside containers.
const ENGINE: &str = "container_engine_t";

/// The domain that engines give to containers.
const CONTAINER: &str = "container_t";

impl SelinuxModule {
    /// Type enforcement text: `checkmodule -M -m` and `semodule_package` make of it what `semodule -i` installs.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{Fact, Host};
    /// let mut host = Host::default();
    /// host.security.label = Fact::Present("system_u:system_r:container_t:s0:c1,c2".into());
    /// let symptom = Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Permission denied");
    /// for remedy in &diagnose(&symptom, &host, None).causes[0].remedies {
    ///     if let Action::Selinux(module) = &remedy.action {
    ///         assert!(module.te().starts_with("module bwrap_container_t_proc_devpts 1.0;\n"));
    ///         assert!(module.te().contains("allow container_t proc_t:filesystem { mount };\n"));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn te(&self) -> String {
        let mut types = vec![self.domain.as_str()];
        let mut classes: Vec<(&str, Vec<&str>)> = Vec::new();
        for rule in &self.rules {
            if rule.target != "self" && !types.contains(&rule.target) {
                types.push(rule.target);
            }
            let known = classes.iter().position(|(class, _)| *class == rule.class);
            let known = known.and_then(|index| classes.get_mut(index));
            match known {
                Some((_, permissions)) => {
                    for permission in rule.permissions {
                        if !permissions.contains(permission) {
                            permissions.push(permission);
                        }
                    }
                }
                None => classes.push((rule.class, rule.permissions.to_vec())),
            }
        }
        let mut text = format!("module {} 1.0;\n\nrequire {{\n", self.name);
        for name in types {
            let _ = writeln!(text, "    type {name};");
        }
        for (class, permissions) in classes {
            let _ = writeln!(text, "    class {class} {{ {} }};", permissions.join(" "));
        }
        text.push_str("}\n\n");
        for rule in &self.rules {
            let permissions = rule.permissions.join(" ");
            let _ =
                writeln!(text, "allow {} {}:{} {{ {permissions} }};", self.domain, rule.target, rule.class);
        }
        text
    }

    /// Common Intermediate Language: `semodule -i NAME.cil` installs it as it is. The file's name is the module's.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{Fact, Host};
    /// let mut host = Host::default();
    /// host.security.label = Fact::Present("system_u:system_r:container_t:s0:c1,c2".into());
    /// let symptom = Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Permission denied");
    /// for remedy in &diagnose(&symptom, &host, None).causes[0].remedies {
    ///     if let Action::Selinux(module) = &remedy.action {
    ///         assert!(module.cil().contains("(allow container_t proc_t (filesystem (mount)))\n"));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn cil(&self) -> String {
        self.rules.iter().fold(String::new(), |mut text, rule| {
            let permissions = rule.permissions.join(" ");
            let _ =
                writeln!(text, "(allow {} {} ({} ({permissions})))", self.domain, rule.target, rule.class);
            text
        })
    }
}

/// Let our domain do this: a module for exactly that, or another domain that may.
pub(in super::super) fn permit_domain(case: &Case<'_>, rules: &[SelinuxRule]) -> Vec<Remedy> {
    let setting = Setting::of(case);
    if setting == Setting::Unknown {
        return everywhere(case, |case| permit_domain(case, rules));
    }
    let seen = case.host.security.selinux().map(|context| context.domain);
    let default = match setting {
        Setting::Kubernetes { .. } | Setting::Container(_) | Setting::OtherContainer => Some(CONTAINER),
        Setting::Lxc | Setting::Nspawn | Setting::Unit | Setting::Machine | Setting::Unknown => None,
    };
    let Some(domain) = seen.or(default) else { return vec![unknown_domain().for_root(case)] };
    let module =
        SelinuxModule { name: module_name(domain, rules), domain: domain.to_owned(), rules: rules.to_vec() };
    let module = Remedy::new(
        format!("Allow this to {domain} in the SELinux policy of {}", setting.machine()),
        Action::Selinux(module),
        format!(
            "every process of {domain} there may do the same, each container that has this type included"
        ),
    );
    // which is in container-selinux, with more rights than any single container needs
    let engine = |action| {
        Remedy::new(
            format!("Run the container as {ENGINE}, a SELinux type that may mount"),
            action,
            "this container alone, but it may mount file systems of every kind that the kernel lets it",
        )
        .requires(format!("container-selinux with {ENGINE}: 2.232 or later on the machine that runs it"))
    };
    let selinux_type = Some(ENGINE.to_owned());
    match setting {
        Setting::Kubernetes { openshift: false } => vec![
            module.requires("root on the nodes"),
            engine(Action::Pod(PodPatch { selinux_type, ..PodPatch::default() }))
                .requires("Pod Security Standards: baseline allows this type from version 1.31 on, restricted as well"),
        ],
        Setting::Kubernetes { openshift: true } => vec![
            // the nodes are images: a module there is the harder way
            engine(Action::Pod(PodPatch {
                selinux_type,
                host_users: Some(false),
                required_scc: Some("nested-container".to_owned()),
                ..PodPatch::default()
            }))
            .requires("OpenShift 4.20 or later (4.19 as a technology preview)")
            .requires(
                "the SCC for the pod's service account: oc adm policy add-scc-to-user nested-container -z ACCOUNT",
            ),
            module.requires("root on the nodes, through the Security Profiles Operator or a MachineConfig"),
        ],
        Setting::Container(program) => vec![
            module.requires("root on the machine that runs the container"),
            engine(options(program, &[&format!("--security-opt=label=type:{ENGINE}")], &[])),
        ],
        Setting::OtherContainer => vec![
            module.requires("root on the machine that runs the container"),
            engine(Action::Manual(format!(
                "Start the container with `--security-opt=label=type:{ENGINE}` (nerdctl), or that type in \
                 `process.selinuxLabel` of an OCI configuration."
            ))),
        ],
        Setting::Lxc | Setting::Nspawn => vec![module.requires("root on the machine that runs the container")],
        Setting::Unit | Setting::Machine | Setting::Unknown => vec![module],
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
    commands(
        "Allow in the SELinux policy what the audit log says was denied to bwrap",
        &lines,
        "every process of the same domain may do the same",
    )
    .requires("the audit log: auditd, and audit2allow (policycoreutils-python-utils)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, only_on, pod};
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
        permit_domain(&Case::new(None, host, None), RULES)
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
        let other = permit_domain(&Case::new(None, &host, None), &RULES[..1]);
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

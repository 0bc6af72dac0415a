//! Users and capabilities: who starts bwrap, with which rights.

use super::prelude::*;
use crate::sandbox::Capability;

/// Run as another user than root.
pub(super) fn user(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    // whoever is none of root's already gains nothing, and only an id that is mapped can be had
    if case.root() == Some(false) {
        return Vec::new();
    }
    let map = case.host.user_namespace.uid_map.present();
    if map.is_some_and(|map| !map.iter().any(|mapping| mapping.covers(1000))) {
        return vec![told!("outside-as-user")];
    }
    vec![match setting {
        Kubernetes { openshift } => {
            let remedy = told!("container-as-user" => pod(|pod| pod.run_as_user = Some(1000)));
            let scc = "an SCC that lets the pod choose its user, such as nested-container; with restricted-v2 or -v3 \
                       leave runAsUser out, for those assign a user of the project's own range";
            if openshift { remedy.needs(scc) } else { remedy }
        }
        Container(engine) => {
            // Podman makes the capabilities that it adds for a user ambient, and bwrap refuses to run with those
            let remove: &[&str] = if engine == Engine::Podman { &["--cap-add"] } else { &[] };
            told!("container-as-user" => Action::options(engine, &["--user=1000"], remove))
        }
        Managed(_) => told!("image-as-user"),
        OtherContainer => told!("oci-as-user"),
        Unit => told!("service-as-user" => unit(case, &[("User", "1000")])),
        Lxc | Nspawn | Machine | Unknown => {
            let needed = [Capability::CAP_SETUID, Capability::CAP_SETGID];
            let able = needed.iter().all(|one| case.has(*one) != Some(false));
            if able { told!("run-as-user") } else { told!("start-as-user") }
        }
    }]
}

/// Keep or get a capability, for root.
pub(super) fn capability(case: &Case<'_>, setting: Setting, capability: Capability) -> Vec<Remedy> {
    let opens = match capability {
        Capability::CAP_SETFCAP => {
            "root there may give programs file capabilities; unless it has a user namespace of its own, they count on the \
             whole machine"
        }
        Capability::CAP_NET_ADMIN => {
            "the process may change the network of the container or machine that it runs in"
        }
        _ => "the process may do all that capabilities(7) says of it, in the namespaces that it is in",
    };
    let name = capability.to_string();
    let short = name.trim_start_matches("CAP_");
    vec![match setting {
        // no SCC that is shipped lets a pod in a user namespace add it
        Kubernetes { openshift: true } if capability == Capability::CAP_SETFCAP => return Vec::new(),
        Kubernetes { openshift } => {
            let add = pod(|pod| pod.add_capabilities = vec![capability]);
            told!("capability-of-container" => add, name, opens).needs(if openshift {
                format!("an SCC whose allowedCapabilities name {short}: of those that are shipped only privileged does")
            } else {
                "Pod Security Standards: baseline allows it, restricted does not".to_owned()
            })
        }
        Managed(platform) => return elsewhere(case, platform),
        Container(engine) => {
            let (add, remove) = (format!("--cap-add={short}"), format!("--cap-drop={short}"));
            told!("capability-of-root" => Action::options(engine, &[&add], &[&remove]), name, opens)
        }
        OtherContainer => told!("capability-of-oci", name, short, opens),
        Unit => told!("capability-of-unit" => unit(case, &[("CapabilityBoundingSet", &name)]), name, opens),
        Lxc => told!("capability-of-lxc", name, low = short.to_lowercase(), opens),
        Nspawn => told!("capability-of-nspawn", name, opens),
        Machine | Unknown => told!("keep-capability", name, opens),
    }]
}

/// What engines give to a container that asks for nothing.
const GIVEN: u64 = 0xa804_25fb;

/// Start without the capabilities that bwrap refuses to run with.
pub(super) fn no_ambient_capabilities(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    let source = match setting {
        Kubernetes { .. } => Some(told!("no-capabilities-in-pod")),
        Container(engine) => match (&case.host.process.ambient, case.host.process.uid.present()) {
            // no more than Podman gives to a user that it does not know
            (Fact::Present(set), Some(uid @ 1..)) if engine == Engine::Podman && set.0 & !GIVEN == 0 => {
                let user = format!("--user={uid}:{}", case.host.process.gid.present().unwrap_or(uid));
                Some(told!("user-of-container" => Action::options(engine, &[&user], &[])))
            }
            // it gives those to a user that it maps, and knows; what was asked for it gives to each
            _ if engine == Engine::Podman && case.hinted(Hint::KeepId) && !case.hinted(Hint::CapAdd) => {
                let both = ["--userns=keep-id", "--user=1000:1000"];
                Some(told!("user-of-container" => Action::options(engine, &both, &[])))
            }
            // whose engine started it without a word of that
            (Fact::Unknown, _) if case.told().is_some() && !case.hinted(Hint::CapAdd) => {
                let without = told!("no-cap-add" => Action::options(engine, &[], &["--cap-add"]));
                return told!("give-capabilities-up").or([without]);
            }
            _ => Some(told!("no-cap-add" => Action::options(engine, &[], &["--cap-add"]))),
        },
        Unit => Some(told!("no-ambient-in-unit" => unit(case, &[("AmbientCapabilities", "")]))),
        Nspawn => Some(told!("no-ambient-in-nspawn")),
        OtherContainer => Some(told!("no-ambient-in-oci")),
        Lxc | Managed(_) | Machine | Unknown => None,
    };
    Vec::new().or(source).or([told!("give-capabilities-up")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, only_on, pod};
    use crate::diagnosis::wish::{Wish, fit};
    use crate::host::{CapabilitySet, Fact, Host, Platform};

    fn texts(wish: Wish<'_>, host: &Host) -> Vec<String> {
        wish.grant(&Case::new(None, host, None)).iter().map(Remedy::instructions).collect()
    }

    #[test]
    fn another_user_comes_before_the_capability() {
        let pod = texts(Wish::MappedRoot, &pod());
        assert!(pod[0].contains("runAsUser: 1000") && pod[0].contains("runAsNonRoot: true"));
        assert!(pod[1].contains("SETFCAP"));
        let engine = texts(Wish::MappedRoot, &docker());
        assert!(engine[0].contains("docker run --user=1000") && engine[1].contains("--cap-add=SETFCAP"));
        let mut root = machine();
        root.process.uid = Fact::Present(0);
        assert!(texts(Wish::MappedRoot, &root)[0].contains("setpriv --reuid=1000"));
        // who is none already, and whom nobody can become
        assert!(texts(Wish::User, &machine()).is_empty());
        root.user_namespace.uid_map =
            Fact::Present(vec![crate::host::IdMapping { inside: 0, outside: 1000, count: 1 }]);
        assert!(texts(Wish::User, &root)[0].contains("--map-user=1000"));
        assert!(texts(Wish::MappedRoot, &only_on(docker(), Platform::SystemdUnit))[0].contains("User=1000"));
    }

    #[test]
    fn root_that_cannot_become_another_user_is_started_as_one() {
        let mut host = machine();
        host.process.uid = Fact::Present(0);
        host.process.effective = Fact::Present(CapabilitySet(1 << 6 | 1 << 7));
        assert!(texts(Wish::MappedRoot, &host)[0].starts_with("setpriv --reuid=1000"));
        host.process.effective = Fact::Present(CapabilitySet(1 << 6));
        let found = fit(&Case::new(None, &host, None), Wish::MappedRoot.grant(&Case::new(None, &host, None)));
        assert!(matches!(found[0].action, Action::Manual(_)) && found[0].summary.starts_with("Let whoever"));
        host.process.effective = Fact::Unknown;
        assert!(texts(Wish::MappedRoot, &host)[0].starts_with("setpriv --reuid=1000"));
    }

    #[test]
    fn podman_gets_no_capability_with_a_user() {
        let host = only_on(docker(), Platform::Podman);
        let remedies =
            fit(&Case::new(None, &host, None), Wish::MappedRoot.grant(&Case::new(None, &host, None)));
        let Action::Container(options) = &remedies[0].action else { panic!() };
        assert_eq!(
            (options.add.as_slice(), options.remove.as_slice()),
            (["--user=1000".to_owned()].as_slice(), ["--cap-add".to_owned()].as_slice())
        );
    }

    #[test]
    fn openshift_gets_no_capability() {
        let host = only_on(docker(), Platform::OpenShift);
        let remedies =
            fit(&Case::new(None, &host, None), Wish::MappedRoot.grant(&Case::new(None, &host, None)));
        assert_eq!(remedies.len(), 1);
        assert!(remedies[0].requires.iter().any(|text| text.contains("nested-container")));
    }

    #[test]
    fn every_setting_has_its_own_way() {
        for platform in [
            Platform::Kubernetes,
            Platform::OpenShift,
            Platform::Docker,
            Platform::Podman,
            Platform::Containerd,
            Platform::Lxc,
            Platform::Nspawn,
            Platform::SystemdUnit,
            Platform::Wsl2,
        ] {
            let host = only_on(docker(), platform);
            let case = Case::new(None, &host, None);
            for remedy in
                Wish::MappedRoot.grant(&case).iter().chain(&Wish::NoAmbientCapabilities.grant(&case))
            {
                assert!(!remedy.summary.is_empty() && !remedy.opens.is_empty(), "{remedy:?}");
                assert!(!remedy.instructions().contains("privileged"), "{remedy:?}");
            }
        }
    }

    #[test]
    fn capabilities_go_where_they_come_from() {
        assert!(texts(Wish::NoAmbientCapabilities, &pod())[0].contains("capabilities.add"));
        assert!(texts(Wish::NoAmbientCapabilities, &docker())[0].contains("without: --cap-add"));
        assert!(texts(Wish::NoAmbientCapabilities, &machine())[0].contains("setpriv --ambient-caps=-all"));
    }

    #[test]
    fn every_capability_has_its_way_in_every_setting() {
        let of = |host: &Host| texts(Wish::Capability(Capability::CAP_NET_ADMIN), host).concat();
        assert!(of(&pod()).contains("- NET_ADMIN"));
        assert!(of(&only_on(docker(), Platform::OpenShift)).contains("- NET_ADMIN"));
        assert!(of(&docker()).contains("--cap-add=NET_ADMIN"));
        assert!(of(&only_on(docker(), Platform::Lxc)).contains("`net_admin`"));
        assert!(of(&only_on(docker(), Platform::Nspawn)).contains("--capability=CAP_NET_ADMIN"));
        assert!(
            of(&only_on(docker(), Platform::SystemdUnit)).contains("CapabilityBoundingSet=CAP_NET_ADMIN")
        );
    }
}

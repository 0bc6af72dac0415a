//! How a container is started.

use std::fmt;

use super::super::case::Case;
use super::super::remedy::{Action, ContainerOptions, Engine, PodPatch, Remedy};
use super::host::unit_of;
use super::{Setting, commands, everywhere, manual};
use crate::sandbox::Capability;

impl Engine {
    /// Its program.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Podman => "Podman",
        })
    }
}

/// Start the container with other options.
pub(in super::super) fn options(engine: Engine, add: &[&str], remove: &[&str]) -> Action {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Action::Container(ContainerOptions { engine, add: owned(add), remove: owned(remove), service: None })
}

const NO_PRICE: &str =
    "nothing: it is less privilege than root; files that only root may read or write are out of reach";
const SETFCAP_PRICE: &str = "root there may give programs file capabilities; unless it has a user namespace of its own, they \
                             count on the whole machine";
const SETPRIV_USER: &str = "setpriv --reuid=1000 --regid=1000 --clear-groups COMMAND";

/// Run as another user than root, who needs no `CAP_SETFCAP`; or keep that capability.
pub(in super::super) fn run_as_user(case: &Case<'_>) -> Vec<Remedy> {
    let image = "an image whose programs and directories user 1000 may use";
    match Setting::of(case) {
        Setting::Kubernetes { openshift } => {
            let user = PodPatch { run_as_user: Some(1000), ..PodPatch::default() };
            let user = Remedy::new("Run the container as user 1000 instead of root", Action::Pod(user), NO_PRICE)
                .requires(image);
            if openshift {
                // no SCC that is shipped lets a pod in a user namespace add SETFCAP
                return vec![user.requires(
                    "an SCC that lets the pod choose its user, such as nested-container; with restricted-v2 or -v3 leave \
                     runAsUser out, for those assign a user of the project's own range",
                )];
            }
            let setfcap = PodPatch { add_capabilities: vec![Capability::CAP_SETFCAP], ..PodPatch::default() };
            let setfcap = Remedy::new("Give the container CAP_SETFCAP", Action::Pod(setfcap), SETFCAP_PRICE)
                .requires("Pod Security Standards: baseline allows it, restricted does not");
            vec![user, setfcap]
        }
        Setting::Container(engine) => {
            // Podman makes the capabilities that it adds for a user ambient, and bwrap refuses to run with those
            let remove: &[&str] = if engine == Engine::Podman { &["--cap-add"] } else { &[] };
            let user = options(engine, &["--user=1000"], remove);
            let setfcap = options(engine, &["--cap-add=SETFCAP"], &["--cap-drop=SETFCAP"]);
            vec![
                Remedy::new("Run the container as user 1000 instead of root", user, NO_PRICE).requires(image),
                Remedy::new("Leave CAP_SETFCAP to the container's root", setfcap, SETFCAP_PRICE),
            ]
        }
        Setting::OtherContainer => vec![
            manual(
                "Run the container as user 1000 instead of root",
                "Start the container as a user: `--user=1000` of nerdctl and ctr, `process.user.uid` in an OCI \
                 configuration.",
                NO_PRICE,
            )
            .requires(image),
            manual(
                "Leave CAP_SETFCAP to the container's root",
                "Start the container with CAP_SETFCAP: `--cap-add=SETFCAP` of nerdctl, the sets bounding, permitted and \
                 effective of `process.capabilities` in an OCI configuration.",
                SETFCAP_PRICE,
            ),
        ],
        Setting::Unit => {
            let settings = |settings: &[(&str, &str)]| unit_of(case, settings);
            vec![
                Remedy::new("Run the service as user 1000 instead of root", settings(&[("User", "1000")]), NO_PRICE),
                Remedy::new(
                    "Leave CAP_SETFCAP in the service's bounding set",
                    settings(&[("CapabilityBoundingSet", "CAP_SETFCAP")]),
                    SETFCAP_PRICE,
                ),
            ]
        }
        Setting::Lxc => vec![
            switch_user(case),
            manual(
                "Leave CAP_SETFCAP to the container's root",
                "Take `setfcap` out of `lxc.cap.drop` in the container's configuration (Incus and LXD: in raw.lxc), and \
                 restart it.",
                SETFCAP_PRICE,
            ),
        ],
        Setting::Nspawn => vec![
            switch_user(case),
            manual(
                "Leave CAP_SETFCAP to the container's root",
                "Start it with `systemd-nspawn --capability=CAP_SETFCAP`, or put `Capability=CAP_SETFCAP` below [Exec] in \
                 /etc/systemd/nspawn/NAME.nspawn.",
                SETFCAP_PRICE,
            ),
        ],
        Setting::Machine => vec![
            switch_user(case),
            manual(
                "Keep CAP_SETFCAP",
                "Something that started this process took CAP_SETFCAP away from root: setpriv --bounding-set, capsh --drop, \
                 su from a restricted shell. Start it without that.",
                SETFCAP_PRICE,
            ),
        ],
        Setting::Unknown => everywhere(case, run_as_user),
    }
}

/// Start as another user here; root without the capabilities for that can only be started so.
fn switch_user(case: &Case<'_>) -> Remedy {
    let able =
        [Capability::CAP_SETUID, Capability::CAP_SETGID].iter().all(|one| case.has(*one) != Some(false));
    if able {
        return commands("Run as user 1000 instead of root", &[SETPRIV_USER], NO_PRICE);
    }
    manual(
        "Let whoever starts this process start it as another user than root",
        "Without CAP_SETUID and CAP_SETGID this root cannot become another user: set the user where the process is started, \
         such as `user` of the program that starts it, or `setpriv --reuid=1000 --regid=1000 --clear-groups` before the \
         capabilities are dropped.",
        NO_PRICE,
    )
}

/// Start without the capabilities that bwrap refuses to run with.
pub(in super::super) fn drop_ambient_capabilities(case: &Case<'_>) -> Vec<Remedy> {
    const LESS: &str = "nothing: it is less privilege than now";
    let mut remedies = Vec::new();
    if let Some(bwrap) = case.host.bwrap.present().filter(|bwrap| bwrap.file_capabilities) {
        let path = crate::shell::path_word(&bwrap.path);
        let line = format!("setcap -r {path}");
        let remedy = commands("Take the file capabilities away from bwrap", &[line.as_str()], LESS);
        remedies.push(remedy.for_root(case));
    }
    let caller = commands(
        "Give the capabilities up before bwrap starts",
        &["setpriv --ambient-caps=-all --inh-caps=-all COMMAND"],
        LESS,
    )
    .requires("no root: type it as the user who starts bwrap, with COMMAND the program that launches it");
    let source = match Setting::of(case) {
        Setting::Kubernetes { .. } => Some(manual(
            "Take capabilities.add out of the pod",
            "Delete securityContext.capabilities.add of the container: a user other than root needs no capability for \
             bwrap, CAP_SETFCAP included. On nodes of CRI-O also set `add_inheritable_capabilities = false` in \
             /etc/crio/crio.conf, which is the default.",
            LESS,
        )),
        Setting::Container(engine) => {
            let action = options(engine, &[], &["--cap-add"]);
            Some(Remedy::new("Start the container without --cap-add", action, LESS))
        }
        Setting::Unit => Some(Remedy::new(
            "Take the service's ambient capabilities away",
            unit_of(case, &[("AmbientCapabilities", "")]),
            LESS,
        )),
        Setting::Nspawn => Some(manual(
            "Start the container without ambient capabilities",
            "Leave `--ambient-capability=` of systemd-nspawn out, or `AmbientCapability=` in the .nspawn file.",
            LESS,
        )),
        Setting::OtherContainer => Some(manual(
            "Start the container without ambient capabilities",
            "Empty the sets ambient and inheritable of `process.capabilities` in the OCI configuration; for nerdctl leave \
             `--cap-add` out.",
            LESS,
        )),
        Setting::Lxc | Setting::Machine => None,
        Setting::Unknown => return everywhere(case, drop_ambient_capabilities),
    };
    remedies.extend(source);
    remedies.push(caller);
    remedies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, only_on, pod};
    use crate::host::{CapabilitySet, Fact, Host, Platform, Program};

    fn texts(of: fn(&Case<'_>) -> Vec<Remedy>, host: &Host) -> Vec<String> {
        of(&Case::new(None, host, None)).iter().map(Remedy::instructions).collect()
    }

    #[test]
    fn another_user_comes_before_the_capability() {
        let pod = texts(run_as_user, &pod());
        assert!(pod[0].contains("runAsUser: 1000") && pod[0].contains("runAsNonRoot: true"));
        assert!(pod[1].contains("SETFCAP"));
        let engine = texts(run_as_user, &docker());
        assert!(engine[0].contains("docker run --user=1000") && engine[1].contains("--cap-add=SETFCAP"));
        assert!(texts(run_as_user, &machine())[0].contains("setpriv --reuid=1000"));
        assert!(texts(run_as_user, &only_on(docker(), Platform::SystemdUnit))[0].contains("User=1000"));
    }

    #[test]
    fn root_that_cannot_become_another_user_is_started_as_one() {
        let mut host = machine();
        host.process.uid = Fact::Present(0);
        host.process.effective = Fact::Present(CapabilitySet(1 << 6 | 1 << 7));
        assert!(texts(run_as_user, &host)[0].starts_with("setpriv --reuid=1000"));
        host.process.effective = Fact::Present(CapabilitySet(1 << 6));
        let found = run_as_user(&Case::new(None, &host, None));
        assert!(matches!(found[0].action, Action::Manual(_)) && found[0].summary.starts_with("Let whoever"));
        host.process.effective = Fact::Unknown;
        assert!(texts(run_as_user, &host)[0].starts_with("setpriv --reuid=1000"));
    }

    #[test]
    fn podman_gets_no_capability_with_a_user() {
        let host = only_on(docker(), Platform::Podman);
        let remedies = run_as_user(&Case::new(None, &host, None));
        let Action::Container(options) = &remedies[0].action else { panic!() };
        assert_eq!(
            (options.add.as_slice(), options.remove.as_slice()),
            (["--user=1000".to_owned()].as_slice(), ["--cap-add".to_owned()].as_slice())
        );
    }

    #[test]
    fn openshift_gets_no_capability() {
        let host = only_on(docker(), Platform::OpenShift);
        let remedies = run_as_user(&Case::new(None, &host, None));
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
            for remedy in run_as_user(&case).iter().chain(&drop_ambient_capabilities(&case)) {
                assert!(!remedy.summary.is_empty() && !remedy.opens.is_empty(), "{remedy:?}");
                assert!(!remedy.instructions().contains("privileged"), "{remedy:?}");
            }
        }
    }

    #[test]
    fn capabilities_go_where_they_come_from() {
        assert!(texts(drop_ambient_capabilities, &pod())[0].contains("capabilities.add"));
        assert!(texts(drop_ambient_capabilities, &docker())[0].contains("without: --cap-add"));
        let mut host = machine();
        assert!(texts(drop_ambient_capabilities, &host)[0].contains("setpriv --ambient-caps=-all"));
        let mut bwrap = Program::new("/opt/bwrap", "0.8.0");
        bwrap.file_capabilities = true;
        host.bwrap = Fact::Present(bwrap);
        assert_eq!(texts(drop_ambient_capabilities, &host)[0], "setcap -r /opt/bwrap\n");
    }
}

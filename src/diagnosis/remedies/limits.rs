//! Limits on processes and open files.

use super::super::case::Case;
use super::super::remedy::{Action, Engine, Remedy};
use super::engine::options;
use super::host::{is_of_user, unit_of};
use super::{Setting, commands, everywhere, manual};
use crate::host::Fact;
use crate::shell::word;

/// What runs out.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Limit {
    /// Processes of the control group.
    Pids,
    /// Processes of the user (`RLIMIT_NPROC`).
    Processes,
    /// Open files (`RLIMIT_NOFILE`).
    Files,
}

/// Allow more of it.
pub(in super::super) fn raise_limit(case: &Case<'_>, limit: Limit) -> Vec<Remedy> {
    if Setting::of(case) == Setting::Unknown {
        return everywhere(case, |case| raise_limit(case, limit));
    }
    match limit {
        Limit::Pids => cgroup_limit(case),
        Limit::Processes => resource_limit(case, &Resource::processes(case)),
        Limit::Files => resource_limit(case, &Resource::files(case)),
    }
}

/// Four times what is there, but not fewer than `least`.
fn more(now: Option<u64>, least: u64) -> u64 {
    now.map_or(least, |now| now.saturating_mul(4).max(least))
}

fn cgroup_limit(case: &Case<'_>) -> Vec<Remedy> {
    const OPENS: &str = "a program that forks without end reaches further before it is stopped";
    let pids = case.host.cgroup.pids.present();
    let wanted = more(pids.map(|pids| pids.max), 4096);
    let summary = format!("Allow {wanted} processes");
    match Setting::of(case) {
        Setting::Kubernetes { openshift: true } => vec![
            Remedy::new(
                format!("{summary} in each pod through a KubeletConfig"),
                Action::Commands(vec!["oc apply -f bwrap-kubelet.yaml".into()]),
                OPENS,
            )
            .requires("the rights of a cluster administrator; the worker nodes restart one after the other")
            .file("bwrap-kubelet.yaml", kubelet_config(wanted)),
        ],
        Setting::Kubernetes { openshift: false } => vec![
            manual(
                &format!("{summary} in each pod: podPidsLimit of the kubelet"),
                &format!(
                    "# in /var/lib/kubelet/config.yaml on every node that runs the pod:\npodPidsLimit: {wanted}\n\
                     # and then:\nsystemctl restart kubelet"
                ),
                OPENS,
            )
            .requires("root on the nodes; where CRI-O sets pids_limit in /etc/crio/crio.conf, raise that as well"),
        ],
        Setting::Container(engine) => {
            let action = options(engine, &[&format!("--pids-limit={wanted}")], &[]);
            vec![Remedy::new(format!("{summary} in the container"), action, OPENS)]
        }
        Setting::Lxc => vec![manual(
            &format!("{summary} in the container"),
            &format!(
                "# Incus:\nincus config set CONTAINER limits.processes={wanted}\n\
                 # LXD:\nlxc config set CONTAINER limits.processes={wanted}\n\
                 # LXC, in the container's configuration:\nlxc.cgroup2.pids.max = {wanted}"
            ),
            OPENS,
        )],
        Setting::Nspawn => vec![
            commands(
                &format!("{summary} in the container"),
                &[&format!("systemctl set-property systemd-nspawn@NAME.service TasksMax={wanted}")],
                OPENS,
            )
            .requires("root on the machine that runs the container"),
        ],
        Setting::OtherContainer => vec![manual(
            &format!("{summary} in the container"),
            &format!(
                "Start the container with `--pids-limit={wanted}` (nerdctl), or `linux.resources.pids.limit` in an OCI \
                 configuration."
            ),
            OPENS,
        )],
        Setting::Unit | Setting::Machine | Setting::Unknown => {
            let group = pids.and_then(|pids| pids.directory.file_name()).map(|name| name.to_string_lossy());
            let unit = group.as_deref().filter(|name| {
                [".service", ".slice", ".scope"].iter().any(|suffix| name.ends_with(suffix))
            });
            let user = pids.is_some_and(|pids| is_of_user(&pids.directory.to_string_lossy()));
            let property = |unit: &str| {
                let (unit, manager) = (word(unit), if user { "systemctl --user" } else { "systemctl" });
                let remedy = commands(
                    &format!("{summary} in {unit}"),
                    &[&format!("{manager} set-property {unit} TasksMax={wanted}")],
                    OPENS,
                );
                if user { remedy } else { remedy.for_root(case) }
            };
            vec![match (unit, Setting::of(case), pids) {
                (Some(unit), ..) => property(unit),
                (None, Setting::Unit, _) => {
                    let action = unit_of(case, &[("TasksMax", &wanted.to_string())]);
                    Remedy::new(format!("{summary} in the service"), action, OPENS)
                }
                // a group that is not systemd's
                (None, _, Some(pids)) => {
                    let file = pids.directory.join("pids.max");
                    let line = format!("echo {wanted} > {}", word(&file));
                    commands(&format!("{summary} in the control group"), &[&line], OPENS)
                        .requires("that whoever made the group does not set it again")
                        .for_root(case)
                }
                (None, ..) => {
                    let user = case.host.process.real_uid.present();
                    user.map_or_else(|| property("user.slice"), |uid| property(&format!("user-{uid}.slice")))
                }
            }]
        }
    }
}

/// What OpenShift makes the kubelets' configuration of.
fn kubelet_config(limit: u64) -> String {
    format!(
        "apiVersion: machineconfiguration.openshift.io/v1
kind: KubeletConfig
metadata:
  name: bwrap
spec:
  machineConfigPoolSelector:
    matchLabels:
      pools.operator.machineconfiguration.openshift.io/worker: \"\"
  kubeletConfig:
    podPidsLimit: {limit}
"
    )
}

/// A resource limit of setrlimit(2), as everybody calls it.
struct Resource {
    what: &'static str,
    /// In limits.conf, of container engines and, in capitals, of OCI.
    name: &'static str,
    /// Of systemd's units.
    setting: &'static str,
    /// Of the shell's `ulimit`.
    letter: char,
    wanted: u64,
    opens: &'static str,
    now: Option<u64>,
    max: Fact<u64>,
}

impl Resource {
    fn processes(case: &Case<'_>) -> Self {
        let process = &case.host.process;
        let now = process.process_limit.present().copied();
        Self {
            what: "processes",
            name: "nproc",
            setting: "LimitNPROC",
            letter: 'u',
            wanted: more(now, 4096),
            opens: "a program that forks without end reaches further before it is stopped",
            now,
            max: process.process_limit_max.clone(),
        }
    }

    fn files(case: &Case<'_>) -> Self {
        let process = &case.host.process;
        let now = process.descriptor_limit.present().copied();
        Self {
            what: "open files",
            name: "nofile",
            setting: "LimitNOFILE",
            letter: 'n',
            wanted: more(now, 65_536),
            opens: "a program that leaks descriptors goes on for longer",
            now,
            max: process.descriptor_limit_max.clone(),
        }
    }

    /// As far as the hard limit allows, if that is further than now.
    fn in_shell(&self, case: &Case<'_>) -> Remedy {
        let Self { what, name, letter, wanted, .. } = self;
        let shell = |limit: u64, line: &str, requires: &str| {
            let summary = format!("Allow {limit} {what} in the shell that starts this");
            let lasts = format!("{requires}; it lasts as long as the shell");
            commands(&summary, &[line], self.opens).requires(lasts)
        };
        let soft = |limit: u64| format!("ulimit -S -{letter} {limit}");
        match &self.max {
            Fact::Present(max) if self.now.is_some_and(|now| *max <= now) => {
                if case.root() == Some(true) {
                    // without -S, ulimit sets both limits
                    let line = format!("ulimit -{letter} {wanted}");
                    shell(
                        *wanted,
                        &line,
                        "CAP_SYS_RESOURCE outside of user namespaces: the hard limit is raised, too",
                    )
                } else {
                    let line = format!("sudo prlimit --pid $$ --{name}={wanted}:{wanted}");
                    shell(*wanted, &line, "sudo, for the hard limit is raised, too")
                }
            }
            Fact::Present(max) => {
                let limit = *wanted.min(max);
                shell(limit, &soft(limit), "no root")
            }
            Fact::Absent => shell(*wanted, &soft(*wanted), "no root"),
            Fact::Unreadable(_) | Fact::Unknown => {
                let requires = format!("no root, unless the hard limit is lower (`ulimit -H -{letter}`)");
                shell(*wanted, &soft(*wanted), &requires)
            }
        }
    }

    fn at_login(&self, case: &Case<'_>) -> Remedy {
        let Self { what, name, wanted, .. } = self;
        // the asterisk is about all users but root
        let user = if case.root() == Some(true) { "root" } else { "*" };
        commands(
            &format!("Allow {wanted} {what} from the next login on"),
            &[&format!("echo '{user} - {name} {wanted}' > /etc/security/limits.d/99-bwrap-{name}.conf")],
            self.opens,
        )
        .requires("pam_limits, which most distributions set up")
        .for_root(case)
    }
}

fn resource_limit(case: &Case<'_>, resource: &Resource) -> Vec<Remedy> {
    let &Resource { what, name, setting, wanted, opens, .. } = resource;
    let summary = format!("Allow {wanted} {what}");
    let in_container = |text: String| vec![manual(&format!("{summary} in the container"), &text, opens)];
    match Setting::of(case) {
        Setting::Kubernetes { .. } => vec![
            manual(
                &format!("{summary}: set {setting} of the container runtime on the nodes"),
                &format!(
                    "# a pod cannot ask for it. In a drop-in of containerd.service on every node that runs it:\n[Service]\n\
                     {setting}={wanted}\n# for CRI-O, in /etc/crio/crio.conf:\n[crio.runtime]\n\
                     default_ulimits = [\"{name}={wanted}:{wanted}\"]\n# and then restart the runtime, and the pod"
                ),
                opens,
            )
            .requires("root on the nodes"),
        ],
        Setting::Container(engine) => {
            let action = options(engine, &[&format!("--ulimit={name}={wanted}:{wanted}")], &[]);
            let remedy = Remedy::new(format!("{summary} in the container"), action, opens);
            vec![match engine {
                Engine::Podman => remedy.requires("a Podman without root goes no further than its user's own hard limit"),
                Engine::Docker => remedy,
            }]
        }
        Setting::Unit => {
            let action = unit_of(case, &[(setting, &wanted.to_string())]);
            vec![Remedy::new(format!("{summary} in the service"), action, opens)]
        }
        Setting::Lxc => in_container(format!(
            "# in the container's configuration (Incus and LXD: limits.kernel.{name}={wanted}):\n\
             lxc.prlimit.{name} = {wanted}"
        )),
        Setting::Nspawn => in_container(format!(
            "Start it with `systemd-nspawn --rlimit=RLIMIT_{}={wanted}`.",
            name.to_ascii_uppercase()
        )),
        Setting::OtherContainer => in_container(format!(
            "Start the container with `--ulimit={name}={wanted}` (nerdctl), or a RLIMIT_{} in `process.rlimits` of an OCI \
             configuration.",
            name.to_ascii_uppercase()
        )),
        Setting::Machine | Setting::Unknown => vec![resource.in_shell(case), resource.at_login(case)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, on, pod};
    use crate::host::{Host, PidsLimit, Platform};

    fn texts(host: &Host, of: impl Fn(&Case<'_>) -> Vec<Remedy>) -> Vec<String> {
        of(&Case::new(None, host, None)).iter().map(Remedy::instructions).collect()
    }

    #[test]
    fn more_processes_in_a_control_group() {
        let more = |host: &Host| texts(host, |case| raise_limit(case, Limit::Pids));
        assert_eq!(more(&docker()), ["docker run --pids-limit=4096 IMAGE\n"]);
        assert!(more(&pod())[0].contains("podPidsLimit: 4096"));
        assert!(more(&on(machine(), Platform::OpenShift))[0].contains("kind: KubeletConfig"));
        assert_eq!(more(&machine()), ["systemctl set-property user-1000.slice TasksMax=4096\n"]);
        let mut host = on(machine(), Platform::SystemdUnit);
        assert!(more(&host)[0].contains("TasksMax=4096\nEOF"));
        host.cgroup.pids =
            Fact::Present(PidsLimit::new("/sys/fs/cgroup/system.slice/build.service", 10_000, 10_000));
        assert_eq!(more(&host), ["systemctl set-property build.service TasksMax=40000\n"]);
        host = machine();
        host.cgroup.pids = Fact::Present(PidsLimit::new("/sys/fs/cgroup/my jobs", 2, 2));
        assert_eq!(more(&host), ["echo 4096 > '/sys/fs/cgroup/my jobs/pids.max'\n"]);
        let directory = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/build.service";
        host.cgroup.pids = Fact::Present(PidsLimit::new(directory, 10_000, 10_000));
        assert_eq!(more(&host), ["systemctl --user set-property build.service TasksMax=40000\n"]);
    }

    #[test]
    fn higher_resource_limits() {
        let processes = |host: &Host| texts(host, |case| raise_limit(case, Limit::Processes));
        assert_eq!(processes(&machine())[0], "ulimit -S -u 4096\n");
        assert_eq!(processes(&docker()), ["docker run --ulimit=nproc=4096:4096 IMAGE\n"]);
        assert!(processes(&pod())[0].contains("LimitNPROC=4096"));
        assert!(processes(&on(machine(), Platform::SystemdUnit))[0].contains("LimitNPROC=4096"));
        let files = |host: &Host| texts(host, |case| raise_limit(case, Limit::Files));
        assert_eq!(files(&machine())[0], "ulimit -S -n 65536\n");
        assert!(files(&on(machine(), Platform::Nspawn))[0].contains("RLIMIT_NOFILE"));
    }

    #[test]
    fn a_hard_limit_is_in_the_way() {
        let files = |host: &Host| texts(host, |case| raise_limit(case, Limit::Files));
        let mut host = machine();
        host.process.descriptor_limit_max = Fact::Present(4096);
        assert_eq!(files(&host)[0], "ulimit -S -n 4096\n");
        host.process.descriptor_limit_max = Fact::Present(1024);
        assert_eq!(files(&host)[0], "sudo prlimit --pid $$ --nofile=65536:65536\n");
        assert!(files(&host)[1].contains("'* - nofile 65536'"));
        host.process.uid = Fact::Present(0);
        assert_eq!(files(&host)[0], "ulimit -n 65536\n");
        assert!(files(&host)[1].contains("'root - nofile 65536'"));
    }
}

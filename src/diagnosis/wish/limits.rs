//! Limits on processes and open files.

use super::prelude::*;
use crate::diagnosis::setting::{is_of_user, manager};
use crate::host::Process;

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

/// Four times what is there, but not fewer than `least`.
fn more(now: Option<u64>, least: u64) -> u64 {
    now.map_or(least, |now| now.saturating_mul(4).max(least))
}

/// Allow more processes in the control group.
pub(super) fn cgroup_limit(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    let wanted = more(case.host.cgroup.pids.present().map(|pids| pids.max), 4096);
    let summary = format!("Allow {wanted} processes");
    vec![match setting {
        Kubernetes { openshift: true } => {
            let config = format!(include_str!("../remedy/files/kubelet-config.yaml"), limit = wanted);
            told!("pids-by-kubelet-config", summary).file("bwrap-kubelet.yaml", config)
        }
        Kubernetes { openshift: false } => told!("pids-of-kubelet", summary, wanted),
        Container(engine) => {
            told!("pids-of-container" => option(engine, &format!("--pids-limit={wanted}")), summary)
        }
        Lxc => told!("pids-of-lxc", summary, wanted),
        Nspawn => told!("pids-of-nspawn", summary, wanted),
        OtherContainer => told!("pids-of-oci", summary, wanted),
        Managed(platform) => return elsewhere(case, platform),
        Unit | Machine | Unknown => own_group(case, setting, wanted, &summary),
    }]
}

/// More processes in a control group of this system.
fn own_group(case: &Case<'_>, setting: Setting, wanted: u64, summary: &str) -> Remedy {
    let pids = case.host.cgroup.pids.present();
    let name = pids.and_then(|pids| pids.directory.file_name()).map(|name| name.to_string_lossy());
    let is_unit = |name: &&str| [".service", ".slice", ".scope"].iter().any(|suffix| name.ends_with(suffix));
    let property = |unit: &str, user: bool| {
        let (manager, name, unit) = (manager(user), word(unit), operand(unit));
        let remedy = told!("pids-of-unit", summary, name, manager, unit, wanted);
        if user { remedy } else { remedy.for_root() }
    };
    match (name.as_deref().filter(is_unit), pids) {
        (Some(unit), _) => {
            property(unit, pids.is_some_and(|pids| is_of_user(&pids.directory.to_string_lossy())))
        }
        (None, _) if setting == Unit => {
            told!("pids-of-service" => unit(case, &[("TasksMax", &wanted.to_string())]), summary)
        }
        // a group that is not systemd's
        (None, Some(pids)) => {
            told!("pids-of-group", summary, wanted, file = word(pids.directory.join("pids.max")))
        }
        (None, None) => {
            let user = case.host.process.real_uid.present();
            property(&user.map_or_else(|| "user.slice".to_owned(), |uid| format!("user-{uid}.slice")), false)
        }
    }
}

/// A resource limit of setrlimit(2), as everybody calls it.
pub(super) struct Resource {
    what: &'static str,
    /// In limits.conf, of container engines and, in capitals, of OCI.
    name: &'static str,
    /// Of systemd's units.
    field: &'static str,
    /// Of the shell's `ulimit`.
    letter: char,
    least: u64,
    /// The limit, and what it may be raised to.
    limits: fn(&Process) -> Limits<'_>,
    opens: &'static str,
}

pub(super) const PROCESSES: Resource = Resource {
    what: "processes",
    name: "nproc",
    field: "LimitNPROC",
    letter: 'u',
    least: 4096,
    limits: |process| (&process.process_limit, &process.process_limit_max),
    opens: "a program that forks without end reaches further before it is stopped",
};

pub(super) const FILES: Resource = Resource {
    what: "open files",
    name: "nofile",
    field: "LimitNOFILE",
    letter: 'n',
    least: 65_536,
    limits: |process| (&process.descriptor_limit, &process.descriptor_limit_max),
    opens: "a program that leaks descriptors goes on for longer",
};

/// The soft limit and the hard one.
type Limits<'a> = (&'a Fact<u64>, &'a Fact<u64>);

/// As far as the hard limit allows, if that is further than now.
fn in_shell(case: &Case<'_>, resource: &Resource, wanted: u64, (now, max): Limits<'_>) -> Remedy {
    let Resource { what, name, letter, opens, .. } = resource;
    let soft = |limit: u64, needs: &str| (limit, format!("ulimit -S -{letter} {limit}"), needs.to_owned());
    let (limit, line, needs) = match max {
        Fact::Present(max) if now.present().is_some_and(|now| max <= now) => {
            let (line, needs) = if case.root() == Some(true) {
                // without -S, ulimit sets both limits
                (format!("ulimit -{letter} {wanted}"), "CAP_SYS_RESOURCE outside of user namespaces:")
            } else {
                (format!("sudo prlimit --pid $$ --{name}={wanted}:{wanted}"), "sudo, for")
            };
            (wanted, line, format!("{needs} the hard limit is raised, too"))
        }
        Fact::Present(max) => soft(wanted.min(*max), "no root"),
        Fact::Absent => soft(wanted, "no root"),
        Fact::Unreadable(_) | Fact::Unknown => {
            soft(wanted, &format!("no root, unless the hard limit is lower (`ulimit -H -{letter}`)"))
        }
    };
    told!("limit-in-shell", limit, what, line, needs, opens)
}

/// Raise a resource limit.
pub(super) fn resource_limit(case: &Case<'_>, setting: Setting, resource: &Resource) -> Vec<Remedy> {
    let &Resource { what, name, field, least, opens, .. } = resource;
    let limits = (resource.limits)(&case.host.process);
    let wanted = more(limits.0.present().copied(), least);
    let capitals = name.to_ascii_uppercase();
    let summary = format!("Allow {wanted} {what}");
    let in_shell = || in_shell(case, resource, wanted, limits);
    vec![match setting {
        Kubernetes { .. } => told!("limit-of-runtime", summary, field, wanted, name, opens),
        Container(engine) => {
            let action = option(engine, &format!("--ulimit={name}={wanted}:{wanted}"));
            let remedy = told!("limit-of-container" => action, summary, opens);
            match engine {
                Engine::Podman => {
                    remedy.needs("a Podman without root goes no further than its user's own hard limit")
                }
                Engine::Docker => remedy,
            }
        }
        Unit => told!("limit-of-service" => unit(case, &[(field, &wanted.to_string())]), summary, opens),
        Lxc => told!("limit-of-lxc", summary, name, wanted, opens),
        Nspawn => told!("limit-of-nspawn", summary, capitals, wanted, opens),
        OtherContainer => told!("limit-of-oci", summary, name, capitals, wanted, opens),
        Managed(_) => in_shell(),
        Machine | Unknown => {
            // the asterisk is about all users but root
            let user = if case.root() == Some(true) { "root" } else { "*" };
            return vec![in_shell(), told!("limit-at-login", what, name, wanted, opens, user)];
        }
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, on, pod};
    use crate::diagnosis::wish::Wish;
    use crate::host::{Host, PidsLimit, Platform};

    fn texts(host: &Host, of: impl Fn(&Case<'_>) -> Vec<Remedy>) -> Vec<String> {
        of(&Case::new(None, host, None)).iter().map(Remedy::instructions).collect()
    }

    #[test]
    fn more_processes_in_a_control_group() {
        let more = |host: &Host| texts(host, |case| Wish::More(Limit::Pids).grant(case));
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
        let processes = |host: &Host| texts(host, |case| Wish::More(Limit::Processes).grant(case));
        assert_eq!(processes(&machine())[0], "ulimit -S -u 4096\n");
        assert_eq!(processes(&docker()), ["docker run --ulimit=nproc=4096:4096 IMAGE\n"]);
        assert!(processes(&pod())[0].contains("LimitNPROC=4096"));
        assert!(processes(&on(machine(), Platform::SystemdUnit))[0].contains("LimitNPROC=4096"));
        let files = |host: &Host| texts(host, |case| Wish::More(Limit::Files).grant(case));
        assert_eq!(files(&machine())[0], "ulimit -S -n 65536\n");
        assert!(files(&on(machine(), Platform::Nspawn))[0].contains("RLIMIT_NOFILE"));
    }

    #[test]
    fn a_hard_limit_is_in_the_way() {
        let files = |host: &Host| texts(host, |case| Wish::More(Limit::Files).grant(case));
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

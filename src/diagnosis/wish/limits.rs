//! Limits on processes and open files.

use super::{elsewhere, unit};
use crate::diagnosis::case::Case;
use crate::diagnosis::remedy::told;
use crate::diagnosis::remedy::{Action, Engine, Remedy};
use crate::diagnosis::setting::{Setting, is_of_user};
use crate::host::Fact;
use crate::shell::{operand, word};

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
pub(super) fn raise(case: &Case<'_>, setting: Setting, limit: Limit) -> Vec<Remedy> {
    match limit {
        Limit::Pids => cgroup_limit(case, setting),
        Limit::Processes => resource_limit(case, setting, &Resource::processes(case)),
        Limit::Files => resource_limit(case, setting, &Resource::files(case)),
    }
}

/// Four times what is there, but not fewer than `least`.
fn more(now: Option<u64>, least: u64) -> u64 {
    now.map_or(least, |now| now.saturating_mul(4).max(least))
}

fn cgroup_limit(case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
    const OPENS: &str = "a program that forks without end reaches further before it is stopped";
    let wanted = more(case.host.cgroup.pids.present().map(|pids| pids.max), 4096);
    let summary = format!("Allow {wanted} processes");
    vec![match setting {
        Setting::Kubernetes { openshift: true } => {
            let config = format!(include_str!("../remedy/files/kubelet-config.yaml"), limit = wanted);
            told!("pids-by-kubelet-config", summary).file("bwrap-kubelet.yaml", config)
        }
        Setting::Kubernetes { openshift: false } => told!("pids-of-kubelet", summary, wanted),
        Setting::Container(engine) => {
            let action = Action::options(engine, &[&format!("--pids-limit={wanted}")], &[]);
            Remedy::new(format!("{summary} in the container"), action, OPENS)
        }
        Setting::Lxc => told!("pids-of-lxc", summary, wanted),
        Setting::Nspawn => told!("pids-of-nspawn", summary, wanted),
        Setting::OtherContainer => told!("pids-of-oci", summary, wanted),
        Setting::Managed(platform) => return elsewhere(case, platform),
        Setting::Unit | Setting::Machine | Setting::Unknown => {
            own_group(case, setting, wanted, &summary, OPENS)
        }
    }]
}

/// More processes in a control group of this system.
fn own_group(case: &Case<'_>, setting: Setting, wanted: u64, summary: &str, opens: &str) -> Remedy {
    let pids = case.host.cgroup.pids.present();
    let name = pids.and_then(|pids| pids.directory.file_name()).map(|name| name.to_string_lossy());
    let is_unit = |name: &&str| [".service", ".slice", ".scope"].iter().any(|suffix| name.ends_with(suffix));
    let property = |unit: &str, user: bool| {
        let manager = if user { "systemctl --user" } else { "systemctl" };
        let line = format!("{manager} set-property {} TasksMax={wanted}", operand(unit));
        let remedy = Remedy::commands(format!("{summary} in {}", word(unit)), [line], opens);
        if user { remedy } else { remedy.for_root() }
    };
    match (name.as_deref().filter(is_unit), pids) {
        (Some(unit), _) => {
            property(unit, pids.is_some_and(|pids| is_of_user(&pids.directory.to_string_lossy())))
        }
        (None, _) if setting == Setting::Unit => {
            let action = unit(case, &[("TasksMax", &wanted.to_string())]);
            Remedy::new(format!("{summary} in the service"), action, opens)
        }
        // a group that is not systemd's
        (None, Some(pids)) => {
            let line = format!("echo {wanted} > {}", word(pids.directory.join("pids.max")));
            Remedy::commands(format!("{summary} in the control group"), [line], opens)
                .needs("that whoever made the group does not set it again")
                .for_root()
        }
        (None, None) => {
            let user = case.host.process.real_uid.present();
            property(&user.map_or_else(|| "user.slice".to_owned(), |uid| format!("user-{uid}.slice")), false)
        }
    }
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
        let soft =
            |limit: u64, needs: &str| (limit, format!("ulimit -S -{letter} {limit}"), needs.to_owned());
        let (limit, line, needs) = match &self.max {
            Fact::Present(max) if self.now.is_some_and(|now| *max <= now) => {
                if case.root() == Some(true) {
                    // without -S, ulimit sets both limits
                    let needs = "CAP_SYS_RESOURCE outside of user namespaces: the hard limit is raised, too";
                    (*wanted, format!("ulimit -{letter} {wanted}"), needs.to_owned())
                } else {
                    let line = format!("sudo prlimit --pid $$ --{name}={wanted}:{wanted}");
                    (*wanted, line, "sudo, for the hard limit is raised, too".to_owned())
                }
            }
            Fact::Present(max) => soft(*wanted.min(max), "no root"),
            Fact::Absent => soft(*wanted, "no root"),
            Fact::Unreadable(_) | Fact::Unknown => {
                soft(*wanted, &format!("no root, unless the hard limit is lower (`ulimit -H -{letter}`)"))
            }
        };
        Remedy::commands(format!("Allow {limit} {what} in the shell that starts this"), [line], self.opens)
            .needs(format!("{needs}; it lasts as long as the shell"))
    }

    fn at_login(&self, case: &Case<'_>) -> Remedy {
        let Self { what, name, wanted, opens, .. } = self;
        // the asterisk is about all users but root
        let user = if case.root() == Some(true) { "root" } else { "*" };
        told!("limit-at-login", what, name, wanted, opens, user)
    }
}

fn resource_limit(case: &Case<'_>, setting: Setting, resource: &Resource) -> Vec<Remedy> {
    let &Resource { what, name, setting: field, wanted, opens, .. } = resource;
    let capitals = name.to_ascii_uppercase();
    let summary = format!("Allow {wanted} {what}");
    vec![match setting {
        Setting::Kubernetes { .. } => told!("limit-of-runtime", summary, field, wanted, name, opens),
        Setting::Container(engine) => {
            let action = Action::options(engine, &[&format!("--ulimit={name}={wanted}:{wanted}")], &[]);
            let remedy = Remedy::new(format!("{summary} in the container"), action, opens);
            match engine {
                Engine::Podman => {
                    remedy.needs("a Podman without root goes no further than its user's own hard limit")
                }
                Engine::Docker => remedy,
            }
        }
        Setting::Unit => {
            let action = unit(case, &[(field, &wanted.to_string())]);
            Remedy::new(format!("{summary} in the service"), action, opens)
        }
        Setting::Lxc => told!("limit-of-lxc", summary, name, wanted, opens),
        Setting::Nspawn => told!("limit-of-nspawn", summary, capitals, wanted, opens),
        Setting::OtherContainer => told!("limit-of-oci", summary, name, capitals, wanted, opens),
        Setting::Managed(_) => resource.in_shell(case),
        Setting::Machine | Setting::Unknown => return vec![resource.in_shell(case), resource.at_login(case)],
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

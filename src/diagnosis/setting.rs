//! Where remedies are applied: what started this process.

use super::case::Case;
use super::remedy::{CiService, Engine};
use crate::host::Platform;
use crate::visible::is_hidden;

/// Who decides what this process may do, and in which words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// A pod; OpenShift's have security context constraints of their own.
    Kubernetes {
        openshift: bool,
    },
    Container(Engine),
    Lxc,
    Nspawn,
    /// A unit of systemd's, on a machine's own system.
    Unit,
    /// A container of an engine that nobody recognised.
    OtherContainer,
    /// A platform that lets nobody set what bwrap needs.
    Managed(Platform),
    Machine,
    /// Nothing is known but the message.
    Unknown,
}

/// What tells a setting, the first that is there; whoever is on a managed platform sets an image and little more.
const SETTINGS: &[(Platform, Setting)] = &[
    (Platform::Fargate, Setting::Managed(Platform::Fargate)),
    (Platform::Lambda, Setting::Managed(Platform::Lambda)),
    (Platform::CloudRun, Setting::Managed(Platform::CloudRun)),
    (Platform::ContainerApps, Setting::Managed(Platform::ContainerApps)),
    (Platform::RunPod, Setting::Managed(Platform::RunPod)),
    (Platform::Ecs, Setting::Managed(Platform::Ecs)),
    (Platform::Heroku, Setting::Managed(Platform::Heroku)),
    (Platform::CircleCi, Setting::Managed(Platform::CircleCi)),
    (Platform::Bitbucket, Setting::Managed(Platform::Bitbucket)),
    (Platform::CodeBuild, Setting::Managed(Platform::CodeBuild)),
    (Platform::OpenShift, Setting::Kubernetes { openshift: true }),
    (Platform::Kubernetes, Setting::Kubernetes { openshift: false }),
    (Platform::CriO, Setting::Kubernetes { openshift: false }),
    (Platform::Docker, Setting::Container(Engine::Docker)),
    (Platform::Podman, Setting::Container(Engine::Podman)),
    (Platform::Lxc, Setting::Lxc),
    (Platform::Crostini, Setting::Lxc),
    (Platform::Nspawn, Setting::Nspawn),
    (Platform::Containerd, Setting::OtherContainer),
    (Platform::Container, Setting::OtherContainer),
    (Platform::SystemdUnit, Setting::Unit),
];

impl Setting {
    pub(super) fn of(case: &Case<'_>) -> Self {
        match SETTINGS.iter().find(|(platform, _)| case.on(*platform)) {
            Some((_, setting)) => *setting,
            None if case.platforms.is_unknown() => Self::Unknown,
            None => Self::Machine,
        }
    }

    /// Whether something else than this system's own administrator decides: an engine on another, or a node.
    pub(super) fn is_container(self) -> bool {
        !matches!(self, Self::Unit | Self::Machine | Self::Unknown)
    }

    /// Where the kernel's settings and security policies are kept, seen from here.
    pub(super) fn machine(self) -> &'static str {
        match self {
            Self::Kubernetes { .. } => "every node that runs the pod",
            Self::Unit | Self::Machine => "this machine",
            Self::Unknown => "the machine",
            _ => "the machine that runs the container",
        }
    }
}

/// The CI service that starts containers for its jobs, if we are in one.
pub(super) fn ci_service(case: &Case<'_>) -> Option<CiService> {
    let services = [(Platform::GitLabCi, CiService::GitLab), (Platform::GitHubActions, CiService::GitHub)];
    services.into_iter().find(|(platform, _)| case.on(*platform)).map(|(_, service)| service)
}

/// The unit that we are in, and whether a user's own manager runs it.
pub(super) fn own_unit<'a>(case: &Case<'a>) -> Option<(&'a str, bool)> {
    let mut paths = case.host.cgroup.paths.present().into_iter().flatten();
    paths.find_map(|path| {
        let name = path.rsplit('/').next().filter(|name| name.ends_with(".service"))?;
        // the kernel's own lists have one path a line
        let name = Some(name).filter(|name| !name.contains(is_hidden))?;
        Some((name, is_of_user(path)))
    })
}

/// The program that talks to a unit's manager: the system's, or a user's own.
pub(super) fn manager(user: bool) -> &'static str {
    if user { "systemctl --user" } else { "systemctl" }
}

/// Whether a control group is below that of a user's own manager.
pub(super) fn is_of_user(path: &str) -> bool {
    path.split_once("/user@").is_some_and(|(_, rest)| rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{machine, only_on};
    use crate::host::{Fact, Host};

    #[test]
    fn a_place_where_nobody_looked_is_no_machine() {
        let setting = |host: &Host| Setting::of(&Case::new(None, host, None));
        let mut host = machine();
        assert_eq!(setting(&host), Setting::Machine);
        host.platforms = Fact::Unknown;
        assert_eq!(setting(&host), Setting::Unknown);
        assert_eq!(setting(&only_on(host, Platform::Docker)), Setting::Container(Engine::Docker));
    }

    #[test]
    fn managers_of_users_are_units_of_the_system() {
        assert!(is_of_user("/user.slice/user-1000.slice/user@1000.service/app.slice/build.service"));
        assert!(!is_of_user("/user.slice/user-1000.slice/user@1000.service"));
    }
}

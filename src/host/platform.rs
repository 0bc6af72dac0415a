//! Where we are: which engines and services leave their traces.

use std::fmt;

use super::source::Source;
use super::{Fact, Host, Mount};

/// Something that a process can run in. Several apply at once: CRI-O, Kubernetes and OpenShift, say.
///
/// ```
/// use bwrap_launch::host::Platform;
/// assert_eq!(Platform::GitHubActions.to_string(), "GitHub Actions");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Platform {
    /// A pod.
    Kubernetes,
    /// A pod of OpenShift.
    OpenShift,
    /// A Docker container.
    Docker,
    /// A Podman container.
    Podman,
    /// A container of containerd.
    Containerd,
    /// A container of CRI-O.
    CriO,
    /// A container of LXC, LXD or Incus.
    Lxc,
    /// A container for Linux programs on a Chromebook: one of LXC's, in a virtual machine.
    Crostini,
    /// A container of systemd-nspawn.
    Nspawn,
    /// A Flatpak application.
    Flatpak,
    /// A Snap application.
    Snap,
    /// A program under Firejail.
    Firejail,
    /// gVisor's kernel.
    GVisor,
    /// Windows Subsystem for Linux 1: no Linux kernel.
    Wsl1,
    /// Windows Subsystem for Linux 2.
    Wsl2,
    /// A job of GitHub Actions.
    GitHubActions,
    /// A job of GitLab CI.
    GitLabCi,
    /// A task of AWS Fargate.
    Fargate,
    /// A function of AWS Lambda.
    Lambda,
    /// An instance of Google's Cloud Run.
    CloudRun,
    /// A replica of Azure Container Apps.
    ContainerApps,
    /// A container of `RunPod`, which its users cannot set up.
    RunPod,
    /// A task of Amazon ECS on instances of its owner's.
    Ecs,
    /// A dyno of Heroku.
    Heroku,
    /// A job of `CircleCI` in a container.
    CircleCi,
    /// A step of Bitbucket Pipelines.
    Bitbucket,
    /// A build of AWS `CodeBuild`.
    CodeBuild,
    /// A service of systemd.
    SystemdUnit,
    /// A chroot: the root directory is no mount.
    Chroot,
    /// Another bwrap.
    Bubblewrap,
    /// A container of an engine that nobody recognised.
    Container,
    /// One that a newer version of this library wrote into a snapshot.
    #[cfg_attr(feature = "serde", serde(other))]
    Unknown,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kubernetes => "Kubernetes",
            Self::OpenShift => "OpenShift",
            Self::Docker => "Docker",
            Self::Podman => "Podman",
            Self::Containerd => "containerd",
            Self::CriO => "CRI-O",
            Self::Lxc => "LXC",
            Self::Crostini => "Crostini",
            Self::Nspawn => "systemd-nspawn",
            Self::Flatpak => "Flatpak",
            Self::Snap => "Snap",
            Self::Firejail => "Firejail",
            Self::GVisor => "gVisor",
            Self::Wsl1 => "WSL 1",
            Self::Wsl2 => "WSL 2",
            Self::GitHubActions => "GitHub Actions",
            Self::GitLabCi => "GitLab CI",
            Self::Fargate => "AWS Fargate",
            Self::Lambda => "AWS Lambda",
            Self::CloudRun => "Cloud Run",
            Self::ContainerApps => "Azure Container Apps",
            Self::RunPod => "RunPod",
            Self::Ecs => "Amazon ECS",
            Self::Heroku => "Heroku",
            Self::CircleCi => "CircleCI",
            Self::Bitbucket => "Bitbucket Pipelines",
            Self::CodeBuild => "AWS CodeBuild",
            Self::SystemdUnit => "a systemd unit",
            Self::Chroot => "a chroot",
            Self::Bubblewrap => "another bwrap",
            Self::Container => "a container",
            Self::Unknown => "something newer than this library",
        })
    }
}

/// A platform and what gave it away.
///
/// ```
/// use bwrap_launch::host::{Platform, Sighting};
/// let sighting = Sighting::new(Platform::Docker, "/.dockerenv");
/// assert_eq!(sighting.evidence, "/.dockerenv");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Sighting {
    /// The platform.
    pub platform: Platform,
    /// The file, variable or text that gave it away.
    pub evidence: String,
}

impl Sighting {
    /// A sighting, for a snapshot made by hand.
    #[must_use]
    pub fn new(platform: Platform, evidence: impl Into<String>) -> Self {
        Self { platform, evidence: evidence.into() }
    }
}

/// Files of engines. They stay in a root directory that is taken elsewhere, and in images: an engine that started us has
/// mounted something, too.
const DOCKERENV: &str = "/.dockerenv";
const CONTAINERENV: &str = "/run/.containerenv";

/// What Kubernetes mounts into containers.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io";
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Files that other platforms leave.
const FILES: &[(&str, Platform)] = &[
    (SERVICE_ACCOUNT, Platform::Kubernetes),
    ("/.flatpak-info", Platform::Flatpak),
    ("/opt/google/cros-containers", Platform::Crostini),
    ("/dev/.lxc", Platform::Lxc),
    ("/dev/lxd/sock", Platform::Lxc),
    ("/dev/incus/sock", Platform::Lxc),
    ("/run/host/container-manager", Platform::Nspawn),
];

/// Variables that they set. CI variables are inherited by what a job starts elsewhere, too.
const VARIABLES: &[(&str, Platform)] = &[
    ("KUBERNETES_SERVICE_HOST", Platform::Kubernetes),
    ("OPENSHIFT_BUILD_NAME", Platform::OpenShift),
    ("GITHUB_ACTIONS", Platform::GitHubActions),
    ("GITLAB_CI", Platform::GitLabCi),
    ("FLATPAK_ID", Platform::Flatpak),
    ("SNAP_NAME", Platform::Snap),
    ("FIREJAIL", Platform::Firejail),
    ("AWS_LAMBDA_FUNCTION_NAME", Platform::Lambda),
    ("CLOUD_RUN_JOB", Platform::CloudRun),
    ("CONTAINER_APP_NAME", Platform::ContainerApps),
    ("RUNPOD_POD_ID", Platform::RunPod),
    ("DYNO", Platform::Heroku),
    ("CODEBUILD_BUILD_ID", Platform::CodeBuild),
    ("SYSTEMD_IN_CHROOT", Platform::Chroot),
    ("SCHROOT_SESSION_ID", Platform::Chroot),
];

/// Variables of CI services that have their jobs run in containers or on machines.
const JOBS: &[(&str, Platform)] =
    &[("CIRCLECI", Platform::CircleCi), ("BITBUCKET_BUILD_NUMBER", Platform::Bitbucket)];

/// What shows that a job runs in a container of theirs: a pod is somebody's own runner.
const CONTAINERS: &[Platform] =
    &[Platform::Docker, Platform::Podman, Platform::Containerd, Platform::Container];

/// Words that they leave in paths: of the control group and of the root's mount.
const WORDS: &[(&str, Platform)] = &[
    ("kubepods", Platform::Kubernetes),
    ("/var/lib/kubelet/", Platform::Kubernetes),
    ("crio-", Platform::CriO),
    ("cri-containerd", Platform::Containerd),
    ("io.containerd.", Platform::Containerd),
    ("/containerd/", Platform::Containerd),
    ("/var/lib/docker/", Platform::Docker),
    ("/docker/", Platform::Docker),
    ("docker-", Platform::Docker),
    ("libpod-", Platform::Podman),
    ("/lxc/", Platform::Lxc),
    ("lxc.payload", Platform::Lxc),
    ("machine.slice/systemd-nspawn@", Platform::Nspawn),
];

/// What `container=` in the environment, and `/run/systemd/container`, say.
fn manager(name: &str) -> Platform {
    match name {
        "docker" => Platform::Docker,
        "podman" => Platform::Podman,
        "lxc" | "lxc-libvirt" | "lxd" | "incus" => Platform::Lxc,
        "systemd-nspawn" => Platform::Nspawn,
        "flatpak" => Platform::Flatpak,
        "wsl" => Platform::Wsl2,
        _ => Platform::Container,
    }
}

fn is_set(source: &Source, name: &str) -> bool {
    source.variable(name).is_some_and(|value| !value.is_empty())
}

fn in_environment(name: &str) -> String {
    format!("{name} in the environment")
}

/// Whether this is a pod: by what Kubernetes gives to each, whoever runs its containers. The last is what is left where the
/// environment is not the container's and the root of control groups is its own.
fn is_pod(source: &Source, host: &Host, mounts: &[Mount]) -> bool {
    is_set(source, "KUBERNETES_SERVICE_HOST")
        || source.exists(SERVICE_ACCOUNT)
        || host.cgroup.paths.present().is_some_and(|paths| paths.iter().any(|path| path.contains("kubepods")))
        || mounts.iter().any(|mount| mount.point.as_os_str() == TERMINATION_LOG)
}

/// Whose kernel has such a name.
pub(crate) fn of_kernel(release: &str) -> Option<Platform> {
    if release.starts_with("4.4.0-") && release.contains("Microsoft") {
        return Some(Platform::Wsl1);
    }
    release.contains("microsoft").then_some(Platform::Wsl2)
}

/// What gives platforms away in `host`, whose other facts are known already.
pub(super) fn read(source: &Source, host: &Host) -> Fact<Vec<Sighting>> {
    let mut seen: Vec<Sighting> = Vec::new();
    let mut see = |platform, evidence: String| {
        if !seen.iter().any(|sighting| sighting.platform == platform) {
            seen.push(Sighting { platform, evidence });
        }
    };
    let mounts = host.mounts.present().map(Vec::as_slice).unwrap_or_default();
    let mounted =
        |point: &str| mounts.is_empty() || mounts.iter().any(|mount| mount.point.as_os_str() == point);
    let pod = is_pod(source, host, mounts);
    if source.exists(CONTAINERENV) && mounted(CONTAINERENV) {
        // Podman writes into its own, of privileged containers, and CRI-O never does
        let filled = source.text(CONTAINERENV).present().is_some_and(|text| !text.is_empty());
        let podman = filled || !pod || source.variable("container").is_some_and(|name| name == "podman");
        see(if podman { Platform::Podman } else { Platform::CriO }, CONTAINERENV.to_owned());
    }
    for (path, platform) in FILES {
        if source.exists(path) {
            see(*platform, (*path).to_owned());
        }
    }
    for (name, platform) in VARIABLES {
        if is_set(source, name) {
            see(*platform, in_environment(name));
        }
    }
    if mounts.iter().any(|mount| mount.point.as_os_str() == TERMINATION_LOG) {
        see(Platform::Kubernetes, format!("{TERMINATION_LOG} in /proc/self/mountinfo"));
    }
    if let Some(name) = source.variable("AWS_EXECUTION_ENV") {
        let platform = match name.as_str() {
            "AWS_ECS_FARGATE" => Some(Platform::Fargate),
            "AWS_ECS_EC2" => Some(Platform::Ecs),
            _ => None,
        };
        if let Some(platform) = platform {
            see(platform, format!("AWS_EXECUTION_ENV={name} in the environment"));
        }
    }
    // Knative sets it in clusters of anybody's
    if source.variable("K_SERVICE").is_some() && source.variable("KUBERNETES_SERVICE_HOST").is_none() {
        see(Platform::CloudRun, in_environment("K_SERVICE"));
    }
    if let Some(name) = source.variable("container").filter(|name| !name.is_empty()) {
        see(manager(&name), format!("container={name} in the environment"));
    }
    if let Fact::Present(name) = source.text("/run/systemd/container") {
        see(manager(&name), format!("{name} in /run/systemd/container"));
    }
    let groups = host.cgroup.paths.present().into_iter().flatten();
    for path in groups {
        for (word, platform) in WORDS.iter().filter(|(word, _)| path.contains(word)) {
            see(*platform, format!("{word} in the control group {path}"));
        }
        if path.ends_with(".service") && host.user_namespace.is_initial() == Some(true) {
            see(Platform::SystemdUnit, format!("the control group {path}"));
        }
    }
    if let Some(root) = mounts.iter().rfind(|mount| mount.point.as_os_str() == "/") {
        let storage = root
            .super_options
            .iter()
            .filter(|option| ["lowerdir", "upperdir", "workdir"].iter().any(|name| option.starts_with(name)));
        for option in storage {
            for (word, platform) in WORDS.iter().filter(|(word, _)| option.contains(word)) {
                see(*platform, format!("{word} in the overlay mounted on /"));
            }
            if option.contains("/containers/storage/") {
                // the same storage is Podman's and CRI-O's
                let platform = if pod { Platform::CriO } else { Platform::Podman };
                see(platform, "/containers/storage/ in the overlay mounted on /".to_owned());
            }
        }
    } else if !mounts.is_empty() {
        see(Platform::Chroot, "no mount on / in /proc/self/mountinfo".to_owned());
    }
    if source.text("/proc/1/comm").is("bwrap") {
        see(Platform::Bubblewrap, "process 1 is bwrap (/proc/1/comm)".to_owned());
    } else if mounts.iter().any(|mount| mount.filesystem == "tmpfs" && mount.root.starts_with("/newroot")) {
        see(Platform::Bubblewrap, "a mount of /newroot in /proc/self/mountinfo".to_owned());
    }
    let release = host.kernel.release.present().map(String::as_str).unwrap_or_default();
    let version = host.kernel.version.present().map(String::as_str).unwrap_or_default();
    if release.contains("gvisor") || version == "#1 SMP Sun Jan 10 15:06:54 PST 2016" {
        see(Platform::GVisor, format!("the kernel's name: {release} {version}"));
    } else if let Some(platform) = of_kernel(release) {
        see(platform, format!("the kernel's name: {release}"));
    }
    // what Docker mounts, Podman mounts as well
    let others = [Platform::Docker, Platform::Podman];
    let named = seen.iter().any(|sighting| others.contains(&sighting.platform));
    if !named && source.exists(DOCKERENV) && mounted("/etc/hostname") {
        seen.push(Sighting::new(Platform::Docker, DOCKERENV));
    }
    // their jobs run on machines of their own, too, where everything can be set
    if seen.iter().any(|sighting| CONTAINERS.contains(&sighting.platform)) {
        let jobs = JOBS.iter().filter(|(name, _)| is_set(source, name));
        seen.extend(jobs.map(|(name, platform)| Sighting::new(*platform, in_environment(name))));
    }
    if seen.is_empty() { Fact::Absent } else { Fact::Present(seen) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::host::IdMapping;

    #[test]
    fn units_of_users_are_units_and_their_scopes_are_none() {
        let root = tempfile::tempdir().unwrap();
        let units = |group: &str| {
            let mut host = Host::default();
            let whole = IdMapping { inside: 0, outside: 0, count: u32::MAX };
            host.user_namespace.uid_map = Fact::Present(vec![whole]);
            host.user_namespace.gid_map = host.user_namespace.uid_map.clone();
            host.cgroup.paths = Fact::Present(vec![group.to_owned()]);
            let seen = read(&Source::directory(root.path(), |_| None), &host);
            seen.present()
                .into_iter()
                .flatten()
                .filter(|sighting| sighting.platform == Platform::SystemdUnit)
                .count()
        };
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(units(&format!("{manager}/app.slice/build.service")), 1);
        assert_eq!(units("/system.slice/build.service"), 1);
        // a terminal, and a login
        assert_eq!(units(&format!("{manager}/app.slice/vte-spawn-1.scope")), 0);
        assert_eq!(units("/user.slice/user-1000.slice/session-1.scope"), 0);
    }

    #[test]
    fn platforms_are_known_by_their_variables() {
        let root = tempfile::tempdir().unwrap();
        let seen = |environment| {
            let seen = read(&Source::directory(root.path(), environment), &Host::default());
            seen.present().into_iter().flatten().map(|sighting| sighting.platform).collect::<Vec<_>>()
        };
        assert_eq!(
            seen(|name| (name == "AWS_EXECUTION_ENV").then(|| "AWS_ECS_FARGATE".into())),
            [Platform::Fargate]
        );
        // whose machines are their owner's
        assert_eq!(seen(|name| (name == "AWS_EXECUTION_ENV").then(|| "AWS_ECS_EC2".into())), [Platform::Ecs]);
        assert_eq!(seen(|name| (name == "DYNO").then(|| "web.1".into())), [Platform::Heroku]);
        // a job on a machine sets what it likes
        assert_eq!(seen(|name| (name == "CIRCLECI").then(|| "true".into())), []);
        let contained = |name: &str| match name {
            "CIRCLECI" => Some("true".into()),
            "container" => Some("docker".into()),
            _ => None,
        };
        assert_eq!(seen(contained), [Platform::Docker, Platform::CircleCi]);
        assert_eq!(seen(|name| (name == "AWS_LAMBDA_FUNCTION_NAME").then(|| "f".into())), [Platform::Lambda]);
        assert_eq!(seen(|name| (name == "K_SERVICE").then(|| "s".into())), [Platform::CloudRun]);
        let knative =
            seen(|name| ["K_SERVICE", "KUBERNETES_SERVICE_HOST"].contains(&name).then(|| "s".into()));
        assert_eq!(knative, [Platform::Kubernetes]);
        assert_eq!(
            seen(|name| (name == "CONTAINER_APP_NAME").then(|| "a".into())),
            [Platform::ContainerApps]
        );
    }
}

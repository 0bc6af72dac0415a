//! By what words a text tells where bwrap ran. It also names places in passing, says that something works there, and has their names in
//! paths and prompts: none of that counts.

use super::meant::{is_meant, is_named, is_spoken};
use super::words::stands_whole;
use crate::host::{Platform, Sighting};

/// Words of platforms: what only whoever is there writes.
const PLATFORMS: &[(Platform, &[&str])] = &[
    (
        Platform::Docker,
        &[
            "docker run",
            "nerdctl run",
            "docker exec",
            "docker build",
            "docker compose",
            "docker-compose",
            "docker container",
            "docker image",
            "docker host",
            "docker-default",
            "docker \u{90e8}\u{7f72}",
            "docker \u{5bb9}\u{5668}",
            "codespace",
            "codespaces",
            "error: failed to solve",
            "docker executor",
            "docker create",
            "docker-in-docker",
            "in docker",
            "inside docker",
            "in a docker",
            "/.dockerenv",
            "devcontainer",
            // fields and lists of its tools
            "docker inspect",
            "docker service create",
            "docker backend",
            "driver = \"docker\"",
            "did not complete successfully: exit code",
            "security_opt:",
            "\"runargs\":",
            "\"securityopt\":",
        ],
    ),
    (
        Platform::Podman,
        &[
            "podman run",
            "podman exec",
            "podman build",
            "podman compose",
            "podman-compose",
            "podman engine",
            "podman container",
            "podman containers",
            "buildah bud",
            "buildah build",
            "fedora-toolbox",
            "rootless podman",
            "in podman",
            "inside podman",
            "toolbox run",
            "toolbox enter",
            "toolbox container",
            "toolbx container",
            "distrobox enter",
            "distrobox container",
            "in distrobox",
            "in a distrobox",
            "inside distrobox",
            "inside a distrobox",
            "/run/.containerenv",
            "error: building at step",
            "\u{2b22}[",
        ],
    ),
    (
        Platform::Kubernetes,
        &[
            "kubectl exec",
            "kubectl run",
            "kubectl debug",
            "kubectl attach",
            "kubectl",
            "kubelet",
            "kubepods",
            "\"pod_name\"",
            "k8s pod",
            "k8s pods",
            "k8s container",
            "k8s containers",
            "kubernetes pod",
            "in a pod",
            // fields of a manifest
            "securitycontext:",
            "\"securitycontext\":",
            "seccompprofile:",
            "\"seccompprofile\":",
            "apparmorprofile:",
            "procmount:",
            "hostusers:",
            "inside a pod",
            // kubectl's own words, and those of events
            "defaulted container \"",
            "back-off restarting failed container",
            "liveness probe failed:",
            "readiness probe failed:",
            "startup probe failed:",
            "k exec -it",
            // what runs jobs in pods: Argo Workflows, Tekton, Actions Runner Controller
            "argo=true",
            "tkn pr",
            "tkn pipelinerun",
            "tkn taskrun",
            "arc-runner",
            "arc-runners",
            "arc-runner-set",
            "arc pod",
            "arc pods",
            "actions-runner-controller",
            "ephemeralrunner",
            "eks node",
            "eks nodes",
            "gke node",
            "gke nodes",
            "aks pod",
            "eks pod",
            "gke pod",
            "tekton task",
            "kind cluster",
            "minikube cluster",
            "minikube pod",
            "agent pod",
            "kind: taskrun",
            "kind: pod",
            "kind: statefulset",
        ],
    ),
    (
        Platform::Lxc,
        &[
            "pct enter",
            "pct exec",
            "pct set",
            "pct create",
            "pct start",
            "incus exec",
            "incus launch",
            "incus shell",
            "incus config",
            "lxc exec",
            "lxc shell",
            "lxc launch",
            "lxc config",
            "lxc-attach",
            "lxc-start",
            "lxc-container-default",
            "lxc.apparmor",
            "lxc.payload",
            "container=lxc",
            "/var/lib/lxc/",
            "security.nesting",
            "features: nesting",
        ],
    ),
    (
        Platform::Crostini,
        &[
            "linux penguin",
            "@penguin",
            "crostini",
            "chromeos",
            "chrome os",
            "on a chromebook",
            "on my chromebook",
        ],
    ),
    (
        Platform::Nspawn,
        &[
            "systemd-nspawn",
            "in nspawn",
            "inside nspawn",
            "nspawn container",
            "in an nspawn",
            "inside an nspawn",
        ],
    ),
    // the last as the root of another tree shows itself
    (
        Platform::Chroot,
        &[
            "sudo chroot",
            "arch-chroot",
            "# chroot",
            "chroot /",
            "in chroot",
            "in a chroot",
            "in my chroot",
            "in our chroot",
            "in the chroot",
            "inside chroot",
            "inside a chroot",
            "inside my chroot",
            "inside the chroot",
            "inside of chroot",
            "inside of a chroot",
            "inside of the chroot",
            "within chroot",
            "within a chroot",
            "within the chroot",
            "into chroot",
            "into a chroot",
            "into the chroot",
            "from chroot",
            "from a chroot",
            "from the chroot",
            "my chroot",
            "nested chroot",
            "chroot command",
            "chroot environment",
            "chroot env",
            "chroot onto",
            "chrooted",
            "chrooting",
            "(chroot)",
            "schroot -",
            "schroot session",
            "in schroot",
            "brl strat",
            "bedrock linux",
            "localhost / #",
            "android chroot",
            "pbuilder",
            "cowbuilder",
            "/var/cache/pbuilder",
            "crouton",
            "nix-user-chroot",
        ],
    ),
    (Platform::SystemdUnit, &["[service]", "execstart", "systemd-run"]),
    (
        Platform::Flatpak,
        &[
            "flatpak run org.flatpak.builder",
            "inside flatpak",
            "inside a flatpak",
            "inside the flatpak",
            "inside of the flatpak",
            "inside of a flatpak",
            "flatpak enter",
            "flatpak com.visualstudio.code",
            "flatpak com.vscodium.codium",
            "vs code flatpak",
            "vscode flatpak",
            "flatpak of vs code",
            "flatpak version of vs code",
        ],
    ),
    (
        Platform::Snap,
        &["/snap/", "snap run", "snap install steam", "steam snap", "steam-snap", "snap info steam"],
    ),
    // the first generation of Cloud Run
    (
        Platform::GVisor,
        &[
            "gvisor",
            "runsc",
            "cloud run gen1",
            "cloud run service gen1",
            "first generation execution environment",
        ],
    ),
    (Platform::Wsl1, &["wsl 1", "wsl1"]),
    (Platform::Wsl2, &["wsl 2", "wsl2"]),
    (
        Platform::GitHubActions,
        &[
            "github actions",
            "actions/checkout",
            "runs-on",
            "##[error]process completed",
            "runner image: ",
            "ubuntu-latest runners",
            "`ubuntu-latest` runners",
            "ubuntu-24.04 runners",
            "`ubuntu-24.04` runners",
        ],
    ),
    (Platform::GitLabCi, &["gitlab-runner", "gitlab-ci", "gitlab ci", "gitlab shell executor"]),
    (Platform::Fargate, &["fargate"]),
    (Platform::Lambda, &["aws lambda"]),
    (Platform::CloudRun, &["cloud run"]),
    (Platform::RunPod, &["runpod"]),
    (Platform::Ecs, &["ecs task", "ecs tasks", "dockersecurityoptions"]),
    (Platform::Heroku, &["heroku dyno", "on heroku", "heroku run"]),
    (Platform::CircleCi, &["circleci docker", "on circleci", "circleci job"]),
    (
        Platform::Bitbucket,
        &[
            "in bitbucket pipelines",
            "on bitbucket pipelines",
            "in a bitbucket pipeline",
            "our bitbucket pipeline",
            "my bitbucket pipeline",
        ],
    ),
    (Platform::CodeBuild, &["in aws codebuild", "on aws codebuild", "in codebuild", "codebuild project"]),
];

/// Services that start containers for others, whose names stand in badges, comparisons and plans as well.
const HIRED: &[Platform] =
    &[Platform::Ecs, Platform::Heroku, Platform::CircleCi, Platform::Bitbucket, Platform::CodeBuild];

/// What says of such a service that it is another place, or one of several, or has been set up already.
const BESIDE_HIRED: &[&str] = &[
    "machine",
    "laptop",
    "local",
    "self-hosted",
    "self.hosted",
    "own runner",
    "used to",
    "moved from",
    "unlike",
    "plan to",
    "want to",
    "similar",
    "pass",
    "green",
    "fine",
    "| ok",
    "deploy",
    "http",
    "import ",
    "git@",
    "privilegedmode",
];

/// Whether a line means the service that it names.
fn is_hired(platform: Platform, line: &str) -> bool {
    !HIRED.contains(&platform) || !BESIDE_HIRED.iter().any(|words| line.contains(words))
}

/// Whether such a service is named where a container's own engine shows itself: what that one was given counts.
pub(super) fn is_hired_beside(platform: Platform, typed: &[Platform]) -> bool {
    let engines = [Platform::Docker, Platform::Podman, Platform::Kubernetes, Platform::Lxc];
    HIRED.contains(&platform) && typed.iter().any(|other| engines.contains(other))
}

/// Phrases and names that whoever works for such places writes at a desk, too: fields of files, releases, what is typed outside.
const OF_WORK: &[&str] = &[
    "securitycontext:",
    "\"securitycontext\":",
    "seccompprofile:",
    "\"seccompprofile\":",
    "apparmorprofile:",
    "procmount:",
    "hostusers:",
    "eks node",
    "eks nodes",
    "gke node",
    "gke nodes",
    "kubernetes",
    "k8s",
    "gke",
    "eks",
    "aks",
    "k3s",
    "rke2",
    "bottlerocket",
];

/// What is typed or kept outside of containers, or left of another one.
const OF_OTHERS: &[&str] = &[
    "docker inspect",
    "docker service create",
    "docker backend",
    "driver = \"docker\"",
    "did not complete successfully: exit code",
];

/// Whether such a word tells no place where a desk is told.
pub(super) fn is_of_work(word: &str, spoken: bool) -> bool {
    OF_OTHERS.contains(&word) || spoken && OF_WORK.contains(&word)
}

/// Names of places, which stand in sentences about other things as well.
const NAMES: &[(Platform, &[&str])] = &[
    (Platform::Kubernetes, &["kubernetes", "k8s", "gke", "eks", "aks", "k3s", "rke2", "bottlerocket"]),
    (Platform::OpenShift, &["openshift", "oc rsh", "oc exec", "oc debug"]),
    (Platform::CriO, &["cri-o"]),
    (Platform::Lxc, &["proxmox", "incus", "lxd", "lxc"]),
    (Platform::Firejail, &["firejail"]),
];

/// A place that a line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) platform: Platform,
    pub(super) word: String,
    /// It is no more than spoken of: nothing was typed there.
    pub(super) spoken: bool,
}

/// The places that a line in small letters names, and means.
pub(super) fn places(line: &str) -> Vec<Place> {
    let phrases =
        PLATFORMS.iter().filter(|(platform, _)| is_hired(*platform, line)).filter_map(|(platform, words)| {
            let word =
                words.iter().find(|word| stands_whole(line, word, |a, b| is_meant(line, word, a, b)))?;
            Some((*platform, *word))
        });
    let names = NAMES.iter().filter_map(|(platform, words)| {
        let word = words.iter().find(|word| stands_whole(line, word, |a, b| is_named(word, a, b)))?;
        Some((*platform, *word))
    });
    let place = |(platform, word): (Platform, &str)| Place {
        platform,
        word: word.to_owned(),
        spoken: is_spoken(line, word),
    };
    phrases.chain(names).map(place).collect()
}

/// What an engine itself says of a container that it did not start. Whatever failed so is not where bwrap ran.
const NOT_STARTED: &[(Platform, &[&str])] = &[
    (Platform::Docker, &["docker: error response from daemon"]),
    (Platform::Lxc, &["failed to run: lxd forkstart", "failed to run: incusd forkstart"]),
    (Platform::Podman, &["error: crun:", "error: runc:"]),
];

/// The engine that says so in a line in small letters; not of a name that another container has, or none.
pub(super) fn not_started(line: &str) -> Option<Platform> {
    let line = line.trim_start();
    if line.contains("no such container") || line.contains("conflict") {
        return None;
    }
    let says = |words: &[&str]| words.iter().any(|words| line.contains(words));
    NOT_STARTED.iter().find(|(_, words)| says(words)).map(|(platform, _)| *platform)
}

/// Whose profile a label of AppArmor's is, where its name says that.
pub(in super::super) fn of_profile(label: &str) -> Option<Sighting> {
    const PROFILES: &[(&str, Platform)] = &[
        ("docker-default", Platform::Docker),
        ("containers-default-", Platform::Podman),
        ("cri-containerd.apparmor.d", Platform::Kubernetes),
        ("crio-default", Platform::CriO),
        ("lxc-", Platform::Lxc),
        ("lxd-", Platform::Lxc),
        ("incus-", Platform::Lxc),
        ("snap.", Platform::Snap),
    ];
    let (_, platform) = PROFILES.iter().find(|(begin, _)| label.starts_with(begin))?;
    Some(Sighting::new(*platform, format!("the AppArmor profile {label}")))
}

/// What Docker Compose puts before each line of a container: `app-1  | `.
pub(super) fn composed(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(" | ")?;
    let name = name.trim();
    let (service, number) = name.rsplit_once('-')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let is = !service.is_empty() && service.chars().all(plain) && !number.is_empty();
    (is && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}

/// The manager of units that tells how one ended: `systemd[1]: foo.service: Main process exited`. Not
/// of what bwrap is never started by.
pub(super) fn ended_unit(line: &str) -> Option<&str> {
    const OTHERS: &[&str] =
        &["app-", "docker", "containerd", "podman", "kubelet", "libvirt", "snapd", "systemd-", "user@"];
    let (_, rest) = line.split_once("systemd[1]: ")?;
    let (unit, what) = rest.split_once(".service: ")?;
    let ended = ["Main process exited", "Failed with result", "Control process exited"];
    let plain = !unit.is_empty()
        && !unit.contains(char::is_whitespace)
        && !OTHERS.iter().any(|other| unit.starts_with(other));
    (plain && ended.iter().any(|words| what.starts_with(words))).then_some(unit)
}

/// The label that collectors of logs give a line of a pod's.
pub(super) fn label_of_pod(line: &str) -> Option<&'static str> {
    // whose name has a part that Kubernetes or its owner numbers
    let of_pod = |(_, rest): (&str, &str)| rest.split('"').next().is_some_and(|name| name.contains('-'));
    let labelled = line.contains("namespace=\"") && line.split_once("pod=\"").is_some_and(of_pod);
    let beside = ["\"namespace\":\"", "\"container\":\""].iter().any(|key| line.contains(key));
    let named = line.contains("\"pod\":\"") && beside;
    line.contains("\"pod_name\"").then_some("pod_name").or((labelled || named).then_some("pod"))
}

/// What kubectl(1) says at the end of a command in a pod, on a line of its own.
pub(super) fn of_kubectl(line: &str) -> Option<&str> {
    let number = line.trim().strip_prefix("command terminated with exit code ")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| line.trim())
}

/// A step of a build, as `BuildKit` and Buildah print it: `#9 [6/8] RUN make`, ` > [5/9] RUN make`, `STEP 5/9: RUN make`. Others number
/// their steps in small letters.
pub(super) fn of_build(line: &str) -> Option<Platform> {
    let counted = |text: &str| {
        let numbers = text.split_once('/').map(|(step, all)| [step, all]);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        numbers.is_some_and(|numbers| numbers.into_iter().all(digits))
    };
    let line = line.trim();
    if let Some((step, _)) = line.strip_prefix("STEP ").and_then(|rest| rest.split_once(": ")) {
        return counted(step).then_some(Platform::Podman);
    }
    let numbered = line.strip_prefix('#').and_then(|rest| rest.split_once(' '));
    let rest = match numbered {
        Some((number, rest)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            rest
        }
        _ => line.strip_prefix("> ")?,
    };
    let (stage, _) = rest.strip_prefix('[')?.split_once("] RUN ")?;
    counted(stage.rsplit(' ').next()?).then_some(Platform::Docker)
}

/// A row of `wsl -l -v`, of the distribution that is started: `* Ubuntu  Running  1`.
pub(super) fn wsl_row(line: &str) -> Option<Platform> {
    let words: Vec<&str> = line.trim().strip_prefix('*')?.split_whitespace().collect();
    match words[..] {
        [_, "running" | "stopped", "1"] => Some(Platform::Wsl1),
        [_, "running" | "stopped", "2"] => Some(Platform::Wsl2),
        _ => None,
    }
}

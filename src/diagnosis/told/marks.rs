//! By what words a text tells of launchers, platforms, kernels, sysctls, mounts and units.

use std::path::{Path, PathBuf};

use super::denied::{is_denied, is_in_passing};
use crate::diagnosis::launcher::Launcher;
use crate::host::{Mount, Platform};

/// Words of launchers, in small letters: those that are surest first, for one launcher is started by another.
pub(super) const LAUNCHERS: &[(Launcher, &[&str])] = &[
    (
        Launcher::Steam,
        &[
            "pressure-vessel",
            "steam.sh",
            "steamlinuxruntime",
            "steam-runtime",
            "umu-run",
            "umu-launcher",
            "protonfixes",
        ],
    ),
    (Launcher::Opam, &["opam-init/hooks/sandbox.sh", "opam init", "opam install", "opam switch"]),
    (
        Launcher::ClaudeCode,
        // the last is how it shows what a command printed
        &[
            "claude code",
            "claude-code",
            "claude cli",
            "@anthropic-ai",
            "sandbox-runtime",
            "$ srt",
            "npx srt",
            "srt:",
            "denyread",
            "\u{23bf}",
        ],
    ),
    (Launcher::Codex, &["codex"]),
    (Launcher::Glycin, &["glycin"]),
    (
        Launcher::WebKit,
        &[
            "webkit",
            "webkitgtk",
            "webkit2gtk",
            "webkitwebprocess",
            "webkitnetworkprocess",
            "epiphany",
            "(evolution:",
        ],
    ),
    (Launcher::NixFhs, &["-fhsenv", "buildfhsenv", "steam-run"]),
    // the last are its own words
    (Launcher::Flatpak, &["flatpak", "gnome-software", "usebottles", "error: ldconfig failed"]),
];

/// Words of platforms.
pub(super) const PLATFORMS: &[(Platform, &[&str])] = &[
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
            "docker executor",
            "docker create",
            "docker-in-docker",
            "in docker",
            "inside docker",
            "in a docker",
            "/.dockerenv",
            "devcontainer",
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
            "rootless podman",
            "in podman",
            "inside podman",
            "toolbox run",
            "toolbox enter",
            "/run/.containerenv",
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
            "kubernetes",
            "kubepods",
            // kubectl's own words, and those of events
            "defaulted container \"",
            "command terminated with exit code",
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
        ],
    ),
    (Platform::OpenShift, &["openshift", "oc rsh", "oc exec", "oc debug"]),
    (
        Platform::Lxc,
        &[
            "proxmox",
            "pct enter",
            "pct exec",
            "incus",
            "lxd",
            "lxc exec",
            "lxc shell",
            "lxc launch",
            "lxc config",
            "lxc-attach",
            "lxc-start",
            "lxc",
            "security.nesting",
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
    (Platform::Nspawn, &["systemd-nspawn"]),
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
        ],
    ),
    (Platform::SystemdUnit, &["[service]", "execstart", "systemd-run"]),
    (Platform::Flatpak, &["flatpak run org.flatpak.builder", "inside flatpak", "inside a flatpak"]),
    (Platform::Snap, &["/snap/", "snap run"]),
    (Platform::Firejail, &["firejail"]),
    (Platform::GVisor, &["gvisor", "runsc"]),
    (Platform::Wsl1, &["wsl 1", "wsl1"]),
    (Platform::Wsl2, &["wsl 2", "wsl2"]),
    (Platform::GitHubActions, &["github actions", "actions/checkout", "runs-on"]),
    (Platform::GitLabCi, &["gitlab-runner", "gitlab-ci", "gitlab ci"]),
    (Platform::Fargate, &["fargate"]),
    (Platform::Lambda, &["aws lambda"]),
    (Platform::CloudRun, &["cloud run"]),
    (Platform::RunPod, &["runpod"]),
];

/// Compositors, and what gives them a capability that they hand on.
pub(super) const COMPOSITORS: &[&str] = &[
    "gamescope",
    "kwin_wayland",
    "hyprland",
    "niri[",
    "cage[",
    "sway[",
    "capsysnice",
    "cap_sys_nice",
    "pressure-vessel-wrap",
];

/// Words of a system on the kernel of Chromium OS, outside of its virtual machine for Linux.
pub(super) const CHROMIUM_OS: &[&str] = &[
    "chromium os lsm",
    "shimboot",
    "crouton",
    "chromeos dev mode",
    "chrome os dev mode",
    "chromeos developer mode",
    "chromebrew",
    "crosh",
];

/// Words of Qubes' virtual machines.
pub(super) const QUBES: &[&str] = &["qubes", "qubes os", "qubesos", "appvm"];

/// Words of file systems in user space.
pub(super) const FUSE: &[&str] = &[
    "fuse",
    "fuse3",
    "libfuse",
    "sshfs",
    "squashfuse",
    "dwarfs",
    "fuse-overlayfs",
    "mergerfs",
    "rclone mount",
    "gocryptfs",
];

/// Whether a line in small letters shows that the root is the initramfs, as mount(8) and findmnt(8) do: `/ rootfs rootfs rw`.
pub(super) fn shows_rootfs(line: &str) -> bool {
    let mut words = line.split_whitespace();
    line.contains("rootfs on / type rootfs")
        || words.next() == Some("/") && words.take(2).any(|word| word == "rootfs")
        || line.contains(" / / ") && line.contains(" - rootfs ")
}

/// The security module that a distribution's kernels come with, where they come with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    AppArmor,
    Selinux,
    /// None, unless whoever keeps the machine built one in.
    Neither,
}

pub(super) const DISTRIBUTIONS: &[(Module, &[&str])] = &[
    (
        Module::Selinux,
        &[
            "almalinux",
            "rocky linux",
            "centos",
            "red hat enterprise linux",
            "rhel",
            "oracle linux",
            "amazon linux",
            "fedora",
            "silverblue",
            "bazzite",
        ],
    ),
    (Module::Neither, &["gentoo", "portage", "slackware"]),
    (Module::AppArmor, &["ubuntu", "debian", "linux mint", "pop!_os", "kde neon", "zorin", "proxmox"]),
];

/// The same, by the name of a kernel.
pub(super) fn module_of_kernel(release: &str) -> Option<Module> {
    let has = |marks: &[&str]| marks.iter().any(|mark| release.contains(mark));
    if has(&[".el", ".fc", ".amzn"]) {
        return Some(Module::Selinux);
    }
    has(&["-generic", "-pve", "-amd64", "-azure"]).then_some(Module::AppArmor)
}

/// Settings of units that concern bwrap.
const UNIT: &[&str] = &[
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DynamicUser",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateUsers",
    "ProcSubset",
    "ProtectKernelLogs",
    "ProtectKernelTunables",
    "ProtectProc",
    "RestrictNamespaces",
    "RestrictSUIDSGID",
    "SystemCallFilter",
];

/// Whether a line, in small letters, has one of these words, none of them a part of a longer one or denied.
pub(super) fn holds(line: &str, words: &[&str]) -> bool {
    stands(line, words, |before, after| !is_denied(before, after))
}

/// The same of launchers, which are also named in passing: `I also have flatpak`.
pub(super) fn names_launcher(line: &str, words: &[&str]) -> bool {
    stands(line, words, |before, after| !is_denied(before, after) && !is_in_passing(before, after))
}

/// Whether one of these words stands whole in a line, with something before and after it that is meant.
fn stands(line: &str, words: &[&str], meant: impl Fn(&str, &str) -> bool) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let whole = |at: usize, word: &str| {
        let (before, after) =
            (line.get(..at).unwrap_or_default(), line.get(at + word.len()..).unwrap_or_default());
        let parts = before.ends_with(inner) && word.starts_with(inner)
            || word.ends_with(inner) && after.starts_with(inner);
        // where every shell of Ubuntu's looks for programs
        let path = word == "/snap/" && after.starts_with("bin");
        // what a program says of a command of its own: `"chroot /work final" returned non-zero exit code 1`
        let reported =
            word.starts_with("chroot") && before.ends_with(['"', '\'']) && after.contains(" returned ");
        !parts && !path && !reported && meant(before, after)
    };
    words.iter().any(|word| line.match_indices(word).any(|(at, _)| whole(at, word)))
}

/// The release of a kernel: `5.1.16.a-1-hardened`. Other versions look alike, so it has to be a distribution's, or to stand where
/// kernels are spoken of.
pub(super) fn release(line: &str) -> Option<&str> {
    const FLAVOURS: &[&str] = &[
        "amd64",
        "arch",
        "aws",
        "azure",
        "cloud",
        "gcp",
        "generic",
        "gke",
        "hardened",
        "lts",
        "microsoft",
        "Microsoft",
        "pve",
        "rpi",
        "zen",
        ".amzn",
        ".el",
        ".fc",
    ];
    let about = holds(&line.to_ascii_lowercase(), &["linux", "kernel", "uname"]);
    let apart = |c: char| c.is_whitespace() || "()[]{}\"'`,;:=".contains(c);
    line.split(apart).map(|word| word.trim_end_matches('.')).find(|word| {
        let (version, flavour) = word.split_once('-').unwrap_or((word, ""));
        let mut numbers = version.split('.').map(str::parse::<u32>);
        let is_version = matches!((numbers.next(), numbers.next()), (Some(Ok(2..=9)), Some(Ok(_))));
        let flavoured = FLAVOURS.iter().any(|name| flavour.contains(name));
        is_version && (flavoured || about && numbers.next().is_some())
    })
}

/// What people put around a line of their own, taken off.
fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || "`|>*-#$".contains(c))
}

/// A kernel parameter that bwrap depends on.
fn is_parameter(name: &str) -> bool {
    let mut parts = name.split('.');
    ["kernel", "user", "fs"].iter().any(|part| parts.clone().next() == Some(*part))
        && parts.all(|part| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        })
        && name.contains('.')
}

/// A kernel parameter and its value, as sysctl(8) prints it or a file of its sets it: not as one is told to set it.
pub(super) fn parameter(line: &str) -> Option<(String, String)> {
    // a comment
    if line.trim_start().starts_with('#') || sets_parameter(&line.to_ascii_lowercase()) {
        return None;
    }
    let (before, after) = line.split_once('=')?;
    let (said, name) = bare(before).rsplit_once(' ').unwrap_or(("", bare(before)));
    // elsewhere it is what a guide says, or what was so before
    if !said.is_empty() && !said.to_ascii_lowercase().contains("have") {
        return None;
    }
    let name = name.trim_start_matches(['`', '"', '\'', '(']);
    let mut rest = after.split_whitespace();
    let value = value(rest.next()?)?;
    let alone = !said.is_empty() || rest.all(|word| !word.contains(char::is_alphanumeric));
    (is_parameter(name) && alone).then(|| (name.to_owned(), value))
}

/// Whether a line, in small letters, sets a kernel parameter, or has it set.
pub(super) fn sets_parameter(line: &str) -> bool {
    ["sysctl -w", "sysctl --write", "sysctl -p", "sysctl --system", "/etc/sysctl", "tee ", "echo "]
        .iter()
        .any(|mark| line.contains(mark))
}

/// A number, which is all that those are that bwrap depends on.
pub(super) fn value(line: &str) -> Option<String> {
    let value = line.trim().trim_matches(['`', '"', '\'', ',', ')', '.']);
    (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())).then(|| value.to_owned())
}

/// The kernel parameter whose file a line prints: `cat /proc/sys/user/max_user_namespaces`.
pub(super) fn asked(line: &str) -> Option<String> {
    let (_, path) = line.split_once("cat /proc/sys/")?;
    let name = path.split_whitespace().next()?.replace('/', ".");
    is_parameter(&name).then_some(name)
}

/// A file that can be executed, as `ls -l` shows it by its path.
pub(super) fn file(line: &str) -> Option<PathBuf> {
    let mut words = line.split_whitespace();
    let mode = words.next()?.trim_end_matches(['.', '+']);
    let is_mode = mode.len() == 10
        && mode.starts_with(['-', 'l'])
        && mode.bytes().all(|byte| b"-lrwxsStT".contains(&byte));
    let path = line.split(" -> ").next()?.split_whitespace().next_back()?;
    (is_mode && mode.contains('x') && path.starts_with('/')).then(|| PathBuf::from(path))
}

/// A mount, as mount(8) prints it: `nfsd on /proc/fs/nfsd type nfsd (rw,relatime)`.
pub(super) fn mount(line: &str) -> Option<Mount> {
    let (source, rest) = line.split_once(" on /")?;
    let (point, rest) = rest.split_once(" type ")?;
    let source = source.split_whitespace().next_back()?;
    let mut rest = rest.split_whitespace();
    let filesystem = rest.next()?;
    let options = rest.next().map_or("rw", |options| options.trim_matches(['(', ')']));
    let point = Path::new("/").join(point);
    let point = point.to_str().filter(|point| !point.contains(char::is_whitespace))?;
    Mount::parse(&format!("0 0 0:0 / {point} {options} - {filesystem} {source} {options}"))
}

/// Settings of a unit.
pub(super) fn unit_settings(line: &str) -> impl Iterator<Item = String> {
    let words =
        line.split(|c: char| c.is_whitespace() || "`\"',;|>".contains(c)).filter(|word| !word.is_empty());
    // alone on a line, as in a file or of systemctl(1), an argument of systemd-run(1), or said to be set: others only speak of them
    let all = line.contains("systemd-run") || says_set(&line.to_ascii_lowercase());
    let setting = |word: &&str| word.split_once('=').is_some_and(|(name, _)| UNIT.contains(&name));
    words.take(if all { usize::MAX } else { 1 }).filter(setting).map(str::to_owned)
}

/// Whether a line, in small letters, says of a setting that a unit has it, and not that somebody changes it.
fn says_set(line: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let set = has(&[
        " is set",
        " are set",
        " set in the unit",
        " in the unit",
        " in my unit",
        " in its unit",
        "unit has ",
        "unit sets ",
        "service has ",
        "service sets ",
        "runs with ",
        "running with ",
        "started with ",
        "hardened with ",
    ]);
    let changes = has(&[
        "remov",
        "without",
        "not ",
        "n't ",
        "no longer",
        "drop",
        "delet",
        "try",
        "should",
        "if ",
        "after ",
        "before ",
        "add",
        "?",
        "instead",
        "chang",
        "comment",
        "until",
        "unset",
        "disabl",
    ]);
    set && !changes
}

/// Whether a setting of a unit takes something away. Lists say what is left, unless they begin with a tilde.
pub(super) fn is_on(setting: &str) -> bool {
    match setting.split_once('=') {
        Some(("RestrictNamespaces", "yes" | "true" | "on" | "1")) => true,
        Some(("RestrictNamespaces" | "SystemCallFilter", value)) => value.starts_with('~'),
        Some((_, value)) => !["", "no", "false", "off", "0", "all", "default"].contains(&value),
        None => false,
    }
}

/// Whether a line, in small letters, starts bwrap from Nix's store, or names it there.
pub(super) fn is_nix_bwrap(line: &str) -> bool {
    line.contains("nixpkgs#bubblewrap")
        || line.split_whitespace().any(|word| word.contains("/nix/store/") && word.contains("bubblewrap"))
        || line.contains("nix-shell -p bubblewrap")
}

/// Whether a rule of an agent's settings denies reading everything: `"denyRead": ["/"]`.
pub(super) fn denies_root(line: &str) -> bool {
    line.split_once("denyRead").is_some_and(|(_, list)| list.contains("\"/\""))
}

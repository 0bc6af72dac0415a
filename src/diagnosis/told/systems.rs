//! By what words a text tells of systems: distributions and their security modules, kernels, what runs on a desktop.

use super::denied::is_denied;
use super::words::{around, stands};

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
    "crew install",
    "crosh",
    "/home/chronos",
    "chronos@localhost",
    // where Chromebrew keeps what is a user's
    "/usr/local/.config/.local",
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
            "secureblue",
        ],
    ),
    (Module::Neither, &["gentoo", "portage", "slackware"]),
    (Module::AppArmor, &["ubuntu", "debian", "linux mint", "pop!_os", "kde neon", "zorin", "proxmox"]),
];

/// Systems of nodes, whose containers are under SELinux.
pub(super) const NODES: &[&str] = &["bottlerocket", "rhcos", "red hat coreos", "fedora coreos"];

/// Releases whose kernels have no restriction of user namespaces by AppArmor: it is Ubuntu's, of 23.10 and later.
const UNRESTRICTED: &[&str] = &[
    "debian",
    "ubuntu 16",
    "ubuntu 18",
    "ubuntu 20",
    "ubuntu 22",
    "ubuntu-22.04",
    "ubuntu-20.04",
    "bionic",
    "focal",
    "jammy",
    "arch linux",
    "archlinux",
    "manjaro",
    "nixos",
    "gentoo",
    "fedora",
    "silverblue",
    "opensuse",
    "void linux",
];
const RESTRICTED: &[&str] = &[
    "ubuntu 23",
    "ubuntu 24",
    "ubuntu 25",
    "ubuntu 26",
    "ubuntu-24.04",
    "ubuntu-latest",
    "kubuntu 24",
    "xubuntu 24",
    "mint 22",
    "noble",
    "zorin",
    "kde neon",
    "pop!_os",
];

/// Whether a line in small letters names a release whose kernels have that restriction, or one whose kernels have not.
pub(super) fn restricts(line: &str) -> Option<bool> {
    // the digits of a release may go on
    let named = |words: &[&str]| words.iter().any(|word| starts_word(line, word));
    if named(RESTRICTED) { Some(true) } else { named(UNRESTRICTED).then_some(false) }
}

fn starts_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = around(line, at, word);
        let whole =
            word.ends_with(|c: char| c.is_ascii_digit()) || !after.starts_with(|c: char| c.is_alphanumeric());
        let number =
            word.ends_with(|c: char| c.is_ascii_digit()) && after.starts_with(|c: char| c.is_ascii_digit());
        // `debian:12` is an image
        let image = after.strip_prefix(':').is_some_and(|tag| tag.starts_with(|c: char| c.is_alphanumeric()));
        whole
            && !number
            && !image
            && !before.ends_with(|c: char| c.is_alphanumeric() || "/.@-".contains(c))
            && !is_denied(before, after)
    })
}

/// Words of Android's own user lands.
const ANDROID: &[&str] = &["termux", "linux deploy"];

/// Whether that is typed, and not spoken of.
fn enters_proot(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '`', '>', '$', '#', '~', ':']);
    line.strip_prefix("proot-distro login").is_some_and(|rest| !rest.starts_with(" is "))
}

/// Whether a line in small letters shows that the kernel is Android's: by the path of an app, its name, or the end of `uname -a`.
pub(super) fn shows_android(line: &str) -> bool {
    let named = stands(line, ANDROID, |before, after| {
        // somebody's tablet, with another machine at the far end
        if ["tablet", "phone", "server", "vps"].iter().any(|word| line.contains(word)) {
            return false;
        }
        let away = ["from ", "ssh", "like ", "as in ", "same ", "affect", "also ", "issue"];
        let away = away.iter().any(|words| before.contains(words));
        !away && !is_denied(before, after)
    });
    let kernel = line.trim_end_matches(['`', '*', ' ']).ends_with(" android")
        && line.trim_start_matches(['`', '*', ' ', '>']).starts_with("linux ");
    line.contains("/data/data/com.termux") || kernel || named || enters_proot(line)
}

/// Whether a line in small letters tells that what runs in a container is another user than root.
pub(super) fn tells_user(line: &str) -> bool {
    let line = line.trim_start();
    let told =
        ["as user ", "non-root", "node@", "vscode@", "runasuser"].iter().any(|words| line.contains(words));
    // of a Dockerfile, and of id(1)
    let shown = line.starts_with("user ") || line.starts_with("uid=") && !line.starts_with("uid=0");
    told || shown
}

/// Whether a line in small letters names WSL, of whatever version, or a drive of Windows' as WSL mounts it.
pub(super) fn shows_wsl(line: &str) -> bool {
    let named = stands(line, &["wsl"], |before, after| {
        !["colleague", "others", "someone", "also "].iter().any(|words| before.contains(words))
            && !is_denied(before, after)
    });
    named || drive(line)
}

fn drive(line: &str) -> bool {
    line.match_indices("/mnt/").any(|(at, mark)| {
        let (before, after) = around(line, at, mark);
        let mut letters = after.chars();
        let letter = letters.next().is_some_and(|c| c.is_ascii_lowercase());
        letter && letters.next() == Some('/') && !before.ends_with(|c: char| c.is_alphanumeric())
    })
}

/// Whether a kernel may be one of Ubuntu's that restrict user namespaces, by its name.
pub(super) fn may_restrict(release: &str) -> bool {
    let ubuntu = ["-generic", "-azure", "-aws", "-gcp", "-gke", "-oracle", "-oem", "-lowlatency", "-raspi"];
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    ubuntu.iter().any(|flavour| release.contains(flavour)) && version >= (6, 5)
}

/// The same, by the name of a kernel.
pub(super) fn module_of_kernel(release: &str) -> Option<Module> {
    let has = |marks: &[&str]| marks.iter().any(|mark| release.contains(mark));
    if has(&[".el", ".fc", ".amzn"]) {
        return Some(Module::Selinux);
    }
    has(&["-generic", "-pve", "-amd64", "-azure"]).then_some(Module::AppArmor)
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
